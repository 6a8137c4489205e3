"""What a verifier makes of a norm proof: one equation between points (docs/spec.md §7)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from zkpfl import _core
from zkpfl.crypto.points import POINT_BYTES, G1Array, decode_points
from zkpfl.crypto.proofs import folding
from zkpfl.crypto.proofs.equation import Equation
from zkpfl.crypto.proofs.folding import FoldingProof, Functional
from zkpfl.crypto.proofs.norm_opening import column_weights, mask_functional, row_weights
from zkpfl.crypto.proofs.norm_shape import SUM_BYTES, TESTS, Polynomial, Shape, evaluate, powers
from zkpfl.crypto.proofs.norm_statement import Statement
from zkpfl.crypto.proofs.norm_sumcheck import Combination, next_variable
from zkpfl.crypto.scalars import (
    ORDER,
    SCALAR_BYTES,
    decode_scalars,
    from_int,
    linear_combination,
    to_int,
)
from zkpfl.crypto.transcript import Label, Transcript
from zkpfl.errors import InvalidEncoding


@dataclass(frozen=True)
class NormProof:
    """A decoded proof; every point and scalar has been checked.

    Parameters
    ----------
    points
        C_m, T1 and T2.
    mask_commitment, masked_sums, polynomials, claims, cross
        Messages 1 to 5 as the transcript absorbs them, a polynomial at a time.
    scalars
        The coefficients that are sent for each variable.
    values
        X' and Q'.
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
        masked_sums = reader.take(SUM_BYTES * TESTS)
        polynomials = [reader.take(SCALAR_BYTES * count) for count in shape.polynomial_scalars]
        claims, cross = reader.take(2 * SCALAR_BYTES), reader.take(2 * POINT_BYTES)
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


def equation(statement: Statement, proof: NormProof, transcript: Transcript) -> Equation:
    """Replay the messages; the proof holds if and only if the equation does.

    Parameters
    ----------
    statement
        What is claimed.
    proof
        Decoded for the statement's shape.
    transcript
        Fresh, of the domain of norm proofs. Advanced.
    """
    shape = statement.shape
    statement.absorb_into(transcript)
    transcript.absorb(Label.MASK_ROW, proof.mask_commitment)
    seed = transcript.challenge_block(Label.ROW_SEED)
    transcript.absorb(Label.MASKED_SUMS, proof.masked_sums)
    gamma = transcript.challenge_scalar(Label.ROW_POWERS)
    tau = transcript.challenge_scalar(Label.NORM_WEIGHT)
    combination = Combination(seed, powers(gamma, TESTS), tau)
    rho, first, last = _replay(transcript, proof)
    transcript.absorb(Label.CLAIMS, proof.claims)
    theta = transcript.challenge_scalar(Label.CLAIM_POWERS)
    l1 = combination.weigh(proof.z, statement.bound_squared) - first
    t = _claimed_value(shape, proof.values, combination, rho, (l1, last), theta)
    transcript.absorb(Label.CROSS_TERMS, proof.cross)
    c = transcript.challenge_scalar(Label.MASK_WEIGHT)
    xi = transcript.challenge_scalar(Label.INNER_PRODUCT_WEIGHT)
    inverse = pow(c, -1, ORDER)
    rows = column_weights(shape, rho), mask_functional(shape, combination, rho, theta)
    f = linear_combination(rows, from_int((xi, xi * inverse)))
    weights = np.concatenate((row_weights(shape, rho), from_int((c, xi * inverse, xi * c))))
    points = G1Array.concatenate([statement.commitments, proof.points])
    return folding.equation(transcript, points, weights, proof.opening, Functional(f, xi * t % ORDER))


def _replay(transcript: Transcript, proof: NormProof) -> tuple[list[int], int, int]:
    """ρ, ``s_1(0) + s_1(1)`` and ``s_n(ρ_n)``."""
    claim, first = 0, 0
    rho: list[int] = []
    for wire, sent in zip(proof.polynomials, proof.scalars, strict=True):
        polynomial = list(sent) if not rho else _completed(sent, claim)
        if not rho:
            first = (polynomial[0] + sum(polynomial)) % ORDER
        rho.append(next_variable(transcript, wire))
        claim = evaluate(polynomial, rho[-1])
    return rho, first, claim


def _completed(sent: Sequence[int], claim: int) -> Polynomial:
    """Insert the coefficient of X such that s(0) + s(1) is what is claimed."""
    return [sent[0], (claim - sent[0] - sum(sent)) % ORDER, *sent[1:]]


def _claimed_value(
    shape: Shape,
    values: Sequence[int],
    combination: Combination,
    rho: Sequence[int],
    sides: tuple[int, int],
    theta: int,
) -> int:
    """T, the right side of L3 + θ·L1 + θ²·L2 + θ³·L4; ``sides`` are that of L1, and s_n(ρ_n)."""
    x, q = values
    l1, last = sides
    weights = from_int(combination.gammas)
    (a,) = to_int(_core.evaluate_binary_rows(combination.seed, weights, shape.size, from_int(rho))[None])
    scale = combination.tau * pow(2, 2 - shape.variables, ORDER)
    l2 = last - x * (a + combination.tau * x) - scale * q * q
    return (x + theta * l1 + theta * theta * l2 + pow(theta, 3, ORDER) * q) % ORDER
