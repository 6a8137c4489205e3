"""The cumulative distribution of a discrete Gaussian, enclosed by integers (docs/notes/discrete-gaussian.md).

Every product and quotient is rounded down for the lower bound and up for the upper one, so the bounds are
proved by how they are computed, not by an estimate of floating-point errors.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

FRACTION_BITS = 63
"""Bits of U in one word of the stream; the bit above them is the sign."""

_GUARD_BITS = 96
_TAIL_BITS = 32
_MIN_GUIDE_BITS, _MAX_GUIDE_BITS = 8, 18


@dataclass(frozen=True)
class Cumulative:
    """``lower[k] ≤ P(|X| ≤ k)·2^bits ≤ upper[k]``, up to the k from which on the bounds say nothing more."""

    bits: int
    lower: list[int]
    upper: list[int]


@dataclass(frozen=True, eq=False)
class InversionTable:
    """What the kernel searches.

    Parameters
    ----------
    bounds
        uint64 ``[K]``: ``bounds[k] ≤ P(|X| ≤ k)·2^63 ≤ bounds[k] + slack``.
    slack
        At least 1. A larger one leaves more words open and changes no draw.
    guide
        uint32 ``[2^g + 1]``: where the search begins for the first g bits of U.
    """

    bounds: NDArray[np.uint64]
    slack: int
    guide: NDArray[np.uint32]

    @classmethod
    def enclosing(cls, lower: list[int], slack: int) -> InversionTable:
        """Add the guide."""
        bounds = np.array(lower, dtype=np.uint64)
        bits = min(_MAX_GUIDE_BITS, max(_MIN_GUIDE_BITS, len(lower).bit_length()))
        starts = np.arange((1 << bits) + 1, dtype=np.uint64) << np.uint64(FRACTION_BITS - bits)
        guide = np.searchsorted(bounds + np.uint64(slack), starts, side="right").astype(np.uint32)
        return cls(bounds, slack, guide)


@lru_cache(maxsize=4)
def inversion_table(sigma: float) -> InversionTable:
    """Table of N_Z(0, σ²) for the kernel: about 9σ entries, 4 µs each to compute."""
    enclosed = cumulative(sigma, FRACTION_BITS)
    slack = max(high - low for low, high in zip(enclosed.lower, enclosed.upper, strict=True))
    return InversionTable.enclosing(enclosed.lower, slack)


@lru_cache(maxsize=2)
def cumulative(sigma: float, bits: int) -> Cumulative:
    """Enclose ``P(|X| ≤ k)`` for X ~ N_Z(0, σ²) by multiples of 2^-bits.

    Parameters
    ----------
    sigma
        σ, taken as the exact rational number that the float is; at least 0.5.
    bits
        Of the bounds, 63 or more.
    """
    one = 1 << bits + _GUARD_BITS
    sums, total = [(one, one)], (one, one)
    for low, high, tail in _weights(sigma, bits + _GUARD_BITS):
        before = sums[-1]
        sums.append((before[0] + 2 * low, before[1] + 2 * high))
        if tail < 1 << _GUARD_BITS - _TAIL_BITS:
            total = sums[-1][0], sums[-1][1] + 2 * tail
            break
    lower = [(low << bits) // total[1] for low, _ in sums]
    upper = [-(-(high << bits) // total[0]) for _, high in sums]
    # Past the first entry that touches 1 nothing is decided by the table.
    size = next((k + 1 for k, high in enumerate(upper) if high >= 1 << bits), len(upper))
    return Cumulative(bits, lower[:size], upper[:size])


def _weights(sigma: float, precision: int) -> Iterator[tuple[int, int, int]]:
    """For k = 1, 2, …: bounds of ``exp(−k²/2σ²)·2^precision``, and one of the sum of all later weights.

    ``w_k = w_(k−1)·q^(2k−1)`` with ``q = exp(−1/2σ²)``; the weights after k fall faster than the geometric
    series whose ratio is ``q^(2k+1)``.
    """
    one = 1 << precision
    ratio_low, ratio_high = exp_bounds(1 / (2 * Fraction(sigma) ** 2), precision)
    square_low, square_high = _times(ratio_low, ratio_low, ratio_high, ratio_high, precision)
    low, high = one, one
    while True:
        low, high = low * ratio_low >> precision, -(-high * ratio_high >> precision)
        ratio_low, ratio_high = (
            ratio_low * square_low >> precision,
            -(-ratio_high * square_high >> precision),
        )
        yield low, high, -(-high * ratio_high // (one - ratio_high))


def _times(a_low: int, b_low: int, a_high: int, b_high: int, precision: int) -> tuple[int, int]:
    return a_low * b_low >> precision, -(-a_high * b_high >> precision)


def exp_bounds(x: Fraction, precision: int) -> tuple[int, int]:
    """Bounds of ``exp(−x)·2^precision`` for 0 < x ≤ 2, by the alternating series."""
    term_low = term_high = low = high = 1 << precision
    order = 0
    while term_high > 1 or order < 4:
        order += 1
        numerator, denominator = x.numerator, x.denominator * order
        term_low = term_low * numerator // denominator
        term_high = -(-term_high * numerator // denominator)
        # From the second on terms fall, so that the rest of the series is smaller than the last one.
        low, high = (low - term_high, high - term_low) if order % 2 else (low + term_low, high + term_high)
    return low - term_high, high + term_high
