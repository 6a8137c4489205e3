"""The arkworks library, by its wheel: the usual way to this curve from Python."""

from __future__ import annotations

from collections.abc import Sequence

from py_arkworks_bls12381 import G1Point, Scalar

from benchmarks.figures import Peer, timed
from zkpfl.crypto.points import POINT_BYTES, G1Array
from zkpfl.crypto.scalars import ORDER


def commitments(points: G1Array, rows: Sequence[Sequence[int]], expected: bytes) -> Peer:
    """One multi-scalar multiplication a row; the results must be ``expected``."""
    bases = _points(points.encode())
    scalars = [
        [Scalar.from_le_bytes((value % ORDER).to_bytes(32, "little")) for value in row] for row in rows
    ]

    def run() -> list[G1Point]:
        return [G1Point.multiexp_unchecked(bases, row) for row in scalars]

    def check(result: list[G1Point]) -> None:
        assert b"".join(bytes(point.to_compressed_bytes()) for point in result) == expected

    return Peer(len(rows) * len(points), timed(run, check))


def decoding(wire: bytes) -> Peer:
    """Decode compressed points, with the check of the subgroup."""
    pieces = [wire[i : i + POINT_BYTES] for i in range(0, len(wire), POINT_BYTES)]

    def check(result: list[G1Point]) -> None:
        assert bytes(result[-1].to_compressed_bytes()) == pieces[-1]

    return Peer(len(pieces), timed(lambda: [G1Point.from_compressed_bytes(piece) for piece in pieces], check))


def _points(wire: bytes) -> list[G1Point]:
    return [
        G1Point.from_compressed_bytes_unchecked(wire[i : i + POINT_BYTES])
        for i in range(0, len(wire), POINT_BYTES)
    ]
