"""Encoding of norm and contribution proofs (docs/spec.md §7)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from zkpfl.crypto.points import POINT_BYTES, G1Array, decode_points
from zkpfl.crypto.proofs.folding import FoldingProof
from zkpfl.crypto.proofs.shape import SUM_BYTES, Shape
from zkpfl.crypto.scalars import SCALAR_BYTES, decode_scalars, to_int
from zkpfl.errors import InvalidEncoding


@dataclass(frozen=True)
class MaskedProof:
    """A decoded proof; every point and scalar has been checked.

    Parameters
    ----------
    points
        C_m, T1 and T2.
    mask_commitment, masked_sums, polynomials, claims, cross
        The messages before the folding argument as the transcript absorbs them, a polynomial at a time.
    scalars
        The coefficients that are sent for each variable.
    values
        What is sent of x' and the corners at ρ.
    opening
        The folding argument.
    """

    points: G1Array
    mask_commitment: bytes
    masked_sums: bytes
    polynomials: Sequence[bytes]
    claims: bytes
    cross: bytes
    scalars: Sequence[Sequence[int]]
    values: Sequence[int]
    opening: FoldingProof

    @classmethod
    def decode(cls, data: bytes, shape: Shape) -> Self:
        """Decode the proof of a statement of this shape.

        Raises
        ------
        InvalidEncoding, InvalidPoint, InvalidScalar
            Wrong length; a point not canonical, on the curve and in the subgroup; a scalar not below r.
        """
        if len(data) != shape.proof_bytes:
            raise InvalidEncoding(f"must be {shape.proof_bytes} bytes, got {len(data)}", field="proof")
        reader = _Reader(bytes(data))
        mask_commitment = reader.take(POINT_BYTES)
        masked_sums = reader.take(SUM_BYTES * shape.sums)
        polynomials = [reader.take(SCALAR_BYTES * count) for count in shape.polynomial_scalars]
        claims, cross = reader.take(shape.claims * SCALAR_BYTES), reader.take(2 * POINT_BYTES)
        opening = FoldingProof.decode(reader.rest(), shape.columns)
        points = decode_points(mask_commitment + cross, 3)
        scalars = [_scalars(wire) for wire in polynomials]
        values = _scalars(claims)
        return cls(points, mask_commitment, masked_sums, polynomials, claims, cross, scalars, values, opening)

    @property
    def z(self) -> list[int]:
        """The masked row sums."""
        wire = self.masked_sums
        return [int.from_bytes(wire[i : i + SUM_BYTES], "big") for i in range(0, len(wire), SUM_BYTES)]


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def take(self, count: int) -> bytes:
        self._at += count
        return self._data[self._at - count : self._at]

    def rest(self) -> bytes:
        return self._data[self._at :]


def _scalars(wire: bytes) -> list[int]:
    return to_int(decode_scalars(wire, len(wire) // SCALAR_BYTES))
