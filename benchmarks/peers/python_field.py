"""Field arithmetic in Python's integers and in NumPy, on a part of the input."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from benchmarks.figures import Peer, timed
from zkpfl.crypto.scalars import ORDER, Scalars, from_int, to_int

ELEMENTS = 2048


def combination(rows: Sequence[Scalars], coefficients: Sequence[int]) -> tuple[Peer, Scalars]:
    """``Σ_k coefficients[k]·rows[k]`` of the first elements, by Python's integers; and the result."""
    columns = list(zip(*(to_int(row.reshape(-1, 4)[:ELEMENTS]) for row in rows), strict=True))

    def run() -> list[int]:
        return [sum(map(int.__mul__, coefficients, column)) % ORDER for column in columns]

    expected = run()

    def check(result: list[int]) -> None:
        assert result == expected

    return Peer(len(columns) * len(rows), timed(run, check)), from_int(expected)


def numpy_sum(rows: Sequence[Scalars]) -> Peer:
    """Add the 64-bit limbs without any carry or reduction: less work than a sum in the field."""
    expected = np.sum(rows, axis=0, dtype=np.uint64)

    def run() -> Scalars:
        total = np.zeros_like(rows[0])
        for row in rows:
            np.add(total, row, out=total)
        return total

    def check(total: Scalars) -> None:
        assert np.array_equal(total, expected)

    return Peer(len(rows) * rows[0].size // 4, timed(run, check))
