"""Sizes and places in the norm proof: of its tables, of the mask row, of the encoding (docs/spec.md §7)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isqrt

from zkpfl.crypto.points import POINT_BYTES
from zkpfl.crypto.proofs import folding
from zkpfl.crypto.proofs.squares import SQUARES
from zkpfl.crypto.scalars import ORDER, SCALAR_BYTES

TESTS = 128
"""Random binary rows, and the masked sums that are sent."""

SUM_BYTES = 8
"""Bytes of a masked sum on the wire."""

SUM_LIMIT = 1 << 8 * SUM_BYTES

Polynomial = list[int]
"""Coefficients mod r, lowest first."""


@dataclass(frozen=True)
class Shape:
    """The table of ``rows·columns`` entries in ``variables`` variables, top bit of the row first.

    Parameters
    ----------
    rows
        At least 1.
    columns
        N, a power of two from 256.
    """

    rows: int
    columns: int

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
        return SQUARES + TESTS + 1 + sum(self.degrees) + 2

    def slack(self, bound_squared: int) -> int:
        """K = ⌈√((D + 4)·B²)⌉: no row sum of an honest prover is larger on either side."""
        square = (self.size + SQUARES) * bound_squared
        return isqrt(square) + (isqrt(square) ** 2 < square)

    @property
    def polynomial_scalars(self) -> list[int]:
        """Scalars sent for each variable: all coefficients of the first polynomial, later none of X."""
        return [degree + (index == 0) for index, degree in enumerate(self.degrees)]

    @property
    def head_bytes(self) -> int:
        """Bytes before the folding argument."""
        scalars = sum(self.polynomial_scalars) + 2
        return 3 * POINT_BYTES + SUM_BYTES * TESTS + SCALAR_BYTES * scalars

    @property
    def proof_bytes(self) -> int:
        """Size of a proof: 3,680 for d = 2^20 and N = 2048."""
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
    def q(self) -> Sequence[int]:
        """The four squares' roots."""
        return self.values[:SQUARES]

    @property
    def constant(self) -> int:
        """g_0."""
        return self.values[SQUARES + TESTS]

    @property
    def polynomials(self) -> list[Polynomial]:
        """``Σ_e g_(i,e)·X^e`` for each variable."""
        at, result = SQUARES + TESTS + 1, []
        for degree in self.shape.degrees:
            result.append([0, *self.values[at : at + degree]])
            at += degree
        return result

    @property
    def lifts(self) -> tuple[int, int]:
        """a and a', which hide X' and Q'."""
        a, a_of_q = self.values[self.shape.masks - 2 : self.shape.masks]
        return a, a_of_q


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


def functional(
    shape: Shape, rho: Sequence[int], gammas: Sequence[int], theta: int, a_q: Sequence[int]
) -> list[int]:
    """φ: coefficients of the mask row in L3 + θ·L1 + θ²·L2 + θ³·L4; zero from ``shape.masks`` on.

    Parameters
    ----------
    shape
        Of the statement.
    rho
        ρ_1 … ρ_n.
    gammas
        γ^k, k < 128.
    theta
        θ.
    a_q
        A at the four squares.
    """
    squared, cubed = theta * theta % ORDER, pow(theta, 3, ORDER)
    half = theta << (shape.variables - 1)
    s, t = rho[-2:]
    corners = ((1 - s) * (1 - t), (1 - s) * t, s * (1 - t), s * t)
    phi = [theta * a + cubed * corner for a, corner in zip(a_q, corners, strict=True)]
    phi += [theta * gamma for gamma in gammas]
    phi.append(squared - 2 * half)
    for r, degree in zip(rho, shape.degrees, strict=True):
        phi += [squared * power - half for power in powers(r, degree + 1)[1:]]
    phi += [bubble(t), cubed * bubble(t)]
    return [value % ORDER for value in phi]
