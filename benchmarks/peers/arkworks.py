"""The arkworks library, by its wheel: the usual way to this curve from Python. On one thread, as blst."""

from __future__ import annotations

import os
from collections.abc import Sequence

os.environ["RAYON_NUM_THREADS"] = "1"  # read when its threads start

from py_arkworks_bls12381 import G1Point, Scalar

from benchmarks.figures import Peer, timed
from zkpfl.crypto.points import POINT_BYTES, G1Array


def commitments(points: G1Array, rows: Sequence[Sequence[int]], expected: bytes) -> Peer:
    """One multi-scalar multiplication a row; the results must be ``expected``.

    A negative value takes the negative of its point, so that scalars are as short as they can be.
    """
    wire = points.encode()
    bases = list(zip(_points(wire), _points(_negatives(wire)), strict=True))
    tasks = [
        (
            [pair[value < 0] for pair, value in zip(bases, row, strict=True)],
            [Scalar.from_le_bytes(abs(value).to_bytes(32, "little")) for value in row],
        )
        for row in rows
    ]

    def run() -> list[G1Point]:
        return [G1Point.multiexp_unchecked(*task) for task in tasks]

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


def _negatives(wire: bytes) -> bytes:
    """The sign is the third bit of a compressed point."""
    flipped = bytearray(wire)
    for start in range(0, len(wire), POINT_BYTES):
        flipped[start] ^= 0x20
    return bytes(flipped)
