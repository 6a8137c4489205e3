"""Discrete Gaussian, slow and exact: inversion with decimals that are rounded correctly, and rejection.

Neither shares an idea with the product: each weight is an exponential of its own, and the rejection sampler
of Canonne, Kamath and Steinke (arXiv 2004.00010) knows no table at all.
"""

from __future__ import annotations

import random
from decimal import ROUND_HALF_EVEN, Context, Decimal
from fractions import Fraction
from functools import lru_cache
from itertools import pairwise

from tests.reference.hashing import stream

MIN_SIGMA, MAX_SIGMA = 0.5, 65536.0


def sample(sigma: float, count: int, seed: bytes) -> list[int]:
    """``count`` samples of docs/spec.md §8.1."""
    if not MIN_SIGMA <= sigma <= MAX_SIGMA or len(seed) != 32:
        raise ValueError("out of range")
    words = stream(seed, 0, 8 * count)
    return [
        _invert(sigma, int.from_bytes(words[8 * i : 8 * i + 8], "big"), seed, i + 1) for i in range(count)
    ]


def _invert(sigma: float, word: int, seed: bytes, number: int) -> int:
    sign, fraction, bits = word >> 63, word & (1 << 63) - 1, 63
    while True:
        low, high = Fraction(fraction, 1 << bits), Fraction(fraction + 1, 1 << bits)
        digits = 20 + bits // 3
        error = Fraction(1, 10 ** (digits - 10))
        for k, cumulative in enumerate(distribution(sigma, digits)):
            if low >= cumulative + error:
                continue
            if high <= cumulative - error:
                return -k if sign else k
            break
        bits += 64
        more = int.from_bytes(stream(seed, number, (bits - 63) // 8), "big")
        fraction = (word & (1 << 63) - 1) << (bits - 63) | more


@lru_cache(maxsize=8)
def distribution(sigma: float, digits: int) -> list[Fraction]:
    """``P(|X| ≤ k)`` for k = 0, 1, …, each wrong by less than 10^(10 − digits)."""
    context = Context(prec=digits, rounding=ROUND_HALF_EVEN)
    twice = 2 * Fraction(sigma) ** 2
    weights, k = [Fraction(1)], 0
    while weights[-1] > Fraction(1, 10**digits):
        k += 1
        exponent = k * k / twice
        # Rounding the argument moves the exponential by no more than the argument's own error.
        argument = context.divide(Decimal(exponent.numerator), Decimal(exponent.denominator))
        weights.append(Fraction(context.exp(context.minus(argument))))
    total, running, sums = 2 * sum(weights) - 1, Fraction(0), []
    for k, weight in enumerate(weights):
        running += weight if k == 0 else 2 * weight
        sums.append(running / total)
    return sums


def probabilities(sigma: float, digits: int = 40) -> list[float]:
    """``P(|X| = k)`` for k = 0, 1, …."""
    sums = [Fraction(0), *distribution(sigma, digits)]
    return [float(after - before) for before, after in pairwise(sums)]


def sample_by_rejection(sigma: Fraction, rng: random.Random) -> int:
    """Algorithm 3 of Canonne, Kamath and Steinke, on exact rational numbers."""
    t = int(sigma) + 1
    while True:
        y = _laplace(t, rng)
        if _bernoulli_exp((abs(y) - sigma**2 / t) ** 2 / (2 * sigma**2), rng):
            return y


def _laplace(t: int, rng: random.Random) -> int:
    while True:
        u = rng.randrange(t)
        if not _bernoulli_exp(Fraction(u, t), rng):
            continue
        v = 0
        while _bernoulli_exp(Fraction(1), rng):
            v += 1
        magnitude, negative = u + t * v, rng.randrange(2)
        if not (negative and magnitude == 0):
            return -magnitude if negative else magnitude


def _bernoulli_exp(gamma: Fraction, rng: random.Random) -> bool:
    """True with probability exp(−γ)."""
    while gamma > 1:
        if not _bernoulli_exp(Fraction(1), rng):
            return False
        gamma -= 1
    k = 1
    while rng.randrange(k * gamma.denominator) < gamma.numerator:
        k += 1
    return k % 2 == 1
