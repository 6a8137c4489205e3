"""Sizes and places in the masked proofs: of tables, of the mask row, of the encoding (docs/spec.md §7)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isqrt
from typing import Self

from zkpfl.crypto.points import POINT_BYTES
from zkpfl.crypto.proofs import folding
from zkpfl.crypto.scalars import ORDER, SCALAR_BYTES

CORNERS = 4
"""Entries of the small table over the last two variables: four squares' roots, or products with updates."""

TESTS = 128
"""Random binary rows of a norm proof, and the masked sums that are sent."""

SUM_BYTES = 8
"""Bytes of a masked sum on the wire."""

SUM_LIMIT = 1 << 8 * SUM_BYTES

Polynomial = list[int]
"""Coefficients mod r, lowest first."""


@dataclass(frozen=True)
class Shape:
    """A table of ``rows·columns`` entries in ``variables`` variables, top bit of the row first.

    Parameters
    ----------
    rows
        At least 1.
    columns
        N, a power of two from 256.
    sums
        Masked sums of binary rows: 128 in a norm proof, none in a contribution proof.
    claims
        Values at ρ that are sent, each hidden by a multiple of Z of its own: 2 or 3.
    """

    rows: int
    columns: int
    sums: int
    claims: int

    @classmethod
    def of_norm(cls, rows: int, columns: int) -> Self:
        """Shape of a norm proof: X' and Q' are sent."""
        return cls(rows, columns, TESTS, 2)

    @classmethod
    def of_contribution(cls, rows: int, columns: int) -> Self:
        """Shape of a contribution proof: X', P' and P'' are sent."""
        return cls(rows, columns, 0, 3)

    @property
    def size(self) -> int:
        """D = rows·N: entries that are committed."""
        return self.rows * self.columns

    @property
    def row_variables(self) -> int:
        """n_r = ceil(log2 rows)."""
        return (self.rows - 1).bit_length()

    @property
    def variables(self) -> int:
        """n = n_r + log2 N."""
        return self.row_variables + self.columns.bit_length() - 1

    @property
    def degrees(self) -> list[int]:
        """Degree of the sumcheck polynomial of each variable."""
        return [2] * (self.variables - 1) + [4]

    @property
    def masks(self) -> int:
        """Columns of the mask row that mean something; the others are random and mean nothing."""
        return CORNERS + self.sums + 1 + sum(self.degrees) + self.claims

    def slack(self, bound_squared: int) -> int:
        """K = ⌈√((D + 4)·B²)⌉: no row sum of an honest prover is larger on either side."""
        square = (self.size + CORNERS) * bound_squared
        return isqrt(square) + (isqrt(square) ** 2 < square)

    @property
    def polynomial_scalars(self) -> list[int]:
        """Scalars sent for each variable: all coefficients of the first polynomial, later none of X."""
        return [degree + (index == 0) for index, degree in enumerate(self.degrees)]

    @property
    def head_bytes(self) -> int:
        """Bytes before the folding argument."""
        scalars = sum(self.polynomial_scalars) + self.claims
        return 3 * POINT_BYTES + SUM_BYTES * self.sums + SCALAR_BYTES * scalars

    @property
    def proof_bytes(self) -> int:
        """Size of a proof: 3,680 of a norm, 2,688 of a contribution, for d = 2^20 and N = 2048."""
        return self.head_bytes + folding.proof_bytes(self.columns)


@dataclass(frozen=True)
class MaskRow:
    """The mask row by the meaning of its columns, as integers. Secret.

    Parameters
    ----------
    values
        The first ``shape.masks`` columns.
    shape
        Of the statement.
    """

    values: Sequence[int]
    shape: Shape

    @property
    def corners(self) -> Sequence[int]:
        """The small table."""
        return self.values[:CORNERS]

    @property
    def constant(self) -> int:
        """g_0."""
        return self.values[CORNERS + self.shape.sums]

    @property
    def polynomials(self) -> list[Polynomial]:
        """``Σ_e g_(i,e)·X^e`` for each variable."""
        at, result = CORNERS + self.shape.sums + 1, []
        for degree in self.shape.degrees:
            result.append([0, *self.values[at : at + degree]])
            at += degree
        return result

    @property
    def lifts(self) -> Sequence[int]:
        """a, a', …, which hide the values at ρ."""
        return self.values[self.shape.masks - self.shape.claims : self.shape.masks]


def powers(base: int, count: int) -> list[int]:
    """First ``count`` powers of a base mod r, from 1 on."""
    result = [1]
    for _ in range(count - 1):
        result.append(result[-1] * base % ORDER)
    return result


def evaluate(polynomial: Sequence[int], x: int) -> int:
    """Value at x, by Horner."""
    value = 0
    for coefficient in reversed(polynomial):
        value = (value * x + coefficient) % ORDER
    return value


def bubble(x: int) -> int:
    """``Z(X) = X(1 − X)``, zero at 0 and 1."""
    return x * (1 - x) % ORDER


def corner_weights(rho: Sequence[int]) -> list[int]:
    """``eq(ρ_(n−1), ρ_n, ·)`` of the four corners."""
    s, t = rho[-2:]
    return [(1 - s) * (1 - t) % ORDER, (1 - s) * t % ORDER, s * (1 - t) % ORDER, s * t % ORDER]


def mask_weights(shape: Shape, rho: Sequence[int], theta: int) -> list[int]:
    """Coefficients of g_0 and the g_(i,e) in θ·L1 + θ²·L2: the sum of g over the cube, and its value at ρ."""
    squared = theta * theta % ORDER
    half = theta << (shape.variables - 1)
    weights = [squared - 2 * half]
    for r, degree in zip(rho, shape.degrees, strict=True):
        weights += [squared * power - half for power in powers(r, degree + 1)[1:]]
    return [weight % ORDER for weight in weights]
