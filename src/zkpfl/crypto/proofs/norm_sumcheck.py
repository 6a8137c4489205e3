"""The prover's side of the norm proof's sumcheck, masked by a committed polynomial (docs/spec.md §7)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Self

from zkpfl import _core
from zkpfl.crypto.proofs.norm_shape import MaskRow, Polynomial, Shape, evaluate
from zkpfl.crypto.proofs.norm_table import Sums, Table
from zkpfl.crypto.scalars import ORDER, Scalars, encode_scalars, from_int, to_int
from zkpfl.crypto.transcript import Label, Transcript

AT_INFINITY = 2
"""Place of the leading coefficient beside the values at 0 and 1."""


@dataclass(frozen=True)
class RowSums:
    """Integer sums over the table of x that determine the first two rounds.

    Parameters
    ----------
    grid
        ``⟨R_k, x⟩`` and ``⟨x, x⟩`` with the two top variables of both at i and j from {0, 1, ∞}, at place
        ``3·i + j``; at ∞ means the coefficient. Secret.
    """

    grid: Sequence[Sums] = field(repr=False)

    @classmethod
    def of(cls, seed: bytes, x: Table, variables: int) -> Self:
        """Compute them in one pass over x; memory access does not depend on it."""
        return cls(x.grid(seed, variables))

    @property
    def rows(self) -> list[int]:
        """``⟨R_k, x⟩`` over all of the table."""
        parts = [self.grid[3 * i + j][0] for i in range(2) for j in range(2)]
        return [sum(values) for values in zip(*parts, strict=True)]


@dataclass(frozen=True)
class Combination:
    """The combination ``F = x·(A + τ·x)`` of which the sum is proved.

    Parameters
    ----------
    seed
        Of the binary rows.
    gammas
        γ^k, k < 128.
    tau
        τ.
    """

    seed: bytes
    gammas: Sequence[int]
    tau: int

    def weigh_grid(self, sums: RowSums) -> list[list[int]]:
        """F with its two top variables at the places of the grid, summed over the others."""
        weighed = [self.weigh(rows, squares) for rows, squares in sums.grid]
        return [weighed[3 * i : 3 * i + 3] for i in range(3)]

    def weigh(self, rows: Sequence[int], squares: int) -> int:
        """``Σ_k γ^k·rows[k] + τ·squares``."""
        total = sum(gamma * value for gamma, value in zip(self.gammas, rows, strict=True))
        return (total + self.tau * squares) % ORDER


class Prover:
    """Sends the polynomials; afterwards it has the point ρ and the values there.

    Parameters
    ----------
    transcript
        Has given τ. Advanced.
    shape
        Of the statement.
    mask
        The mask row.
    combination
        What is summed.
    """

    def __init__(self, transcript: Transcript, shape: Shape, mask: MaskRow, combination: Combination) -> None:
        self.sent = b""
        self.rho: list[int] = []
        self._transcript = transcript
        self._shape = shape
        self._combination = combination
        self._polynomials = mask.polynomials
        self._known = mask.constant
        self._lifts = mask.lifts
        self._q = list(mask.q)
        self._scale = combination.tau * pow(2, 2 - shape.variables, ORDER) % ORDER

    def run(self, x: Table, sums: RowSums) -> tuple[int, int]:
        """Send s_1 … s_n and return X' and Q'."""
        grid = self._combination.weigh_grid(sums)
        at_0, at_1, at_infinity = (row[0] + row[1] for row in grid)
        claim = self._round(at_0 + at_1, at_0, at_infinity)
        r = self.rho[0]
        bound = [evaluate([a, b - a - c, c], r) for a, b, c in zip(*grid, strict=True)]
        claim = self._round(claim, bound[0], bound[AT_INFINITY])
        tables = self._bind_first(x)
        constant, quadratic = to_int(_core.sumcheck_round(*tables))
        for _ in range(self._shape.variables - 3):
            claim = self._round(claim, constant, quadratic)
            constant, quadratic = to_int(_core.sumcheck_bind(*tables, from_int(self.rho[-1:])))
            half = len(tables[0]) // 2
            tables = tables[0][:half], tables[1][:half]
        return self._last(*(to_int(table) for table in tables))

    def _bind_first(self, x: Table) -> tuple[Scalars, Scalars]:
        of, variables = self._combination, self._shape.variables
        rho, tau = from_int(self.rho), from_int((of.tau,))
        return x.bind_first(of.seed, from_int(of.gammas), variables, rho, tau)

    def _round(self, claim: int, constant: int, quadratic: int) -> int:
        """Send a polynomial of degree 2; return what the next must sum to, without masks and squares."""
        own = [constant, claim - 2 * constant - quadratic, quadratic]
        self._send(_plus(own, self._squares(), self._mask()))
        if len(self.rho) == self._shape.variables - 1:
            low, high = self._q[:2], self._q[2:]
            self._q = [(a + self.rho[-1] * (b - a)) % ORDER for a, b in zip(low, high, strict=True)]
        return evaluate(own, self.rho[-1])

    def _last(self, x: Sequence[int], y: Sequence[int]) -> tuple[int, int]:
        """Send the polynomial of degree 4, in which a and a' hide the values at its end."""
        a, a_of_q = self._lifts
        tau = self._combination.tau
        of_x, of_y = _lifted(x, a), _lifted(y, tau * a)
        of_q = _lifted(self._q, a_of_q)
        squares = [self._scale * value for value in _times(of_q, of_q)]
        self._send(_plus(_times(of_x, of_y), squares, self._mask()))
        return evaluate(of_x, self.rho[-1]), evaluate(of_q, self.rho[-1])

    def _squares(self) -> Polynomial:
        """What the four squares add, before the last variable."""
        index, q = len(self.rho) + 1, self._q
        free = self._shape.variables - 2 - index
        if free >= 0:
            return [self._scale * sum(value * value for value in q) << free]
        pairs = [(low, high - low) for low, high in zip(q[:2], q[2:], strict=True)]
        return [
            self._scale * sum(low * low for low, _ in pairs),
            self._scale * sum(2 * low * step for low, step in pairs),
            self._scale * sum(step * step for _, step in pairs),
        ]

    def _mask(self) -> Polynomial:
        """What g adds: the sum over the variables that are still free."""
        index = len(self.rho)
        free = self._shape.variables - index - 1
        rest = sum(sum(polynomial) for polynomial in self._polynomials[index + 1 :])
        own = [coefficient << free for coefficient in self._polynomials[index]]
        own[0] = (self._known << free) + (rest << free >> 1)
        return own

    def _send(self, polynomial: Polynomial) -> None:
        reduced = [coefficient % ORDER for coefficient in polynomial]
        wire = encode_polynomial(reduced, first=not self.rho)
        self.sent += wire
        self.rho.append(next_variable(self._transcript, wire))
        self._known += evaluate(self._polynomials[len(self.rho) - 1], self.rho[-1])


def encode_polynomial(polynomial: Polynomial, *, first: bool) -> bytes:
    """Coefficients as they are sent: later ones without that of X, which follows from the claim."""
    return encode_scalars(from_int(polynomial if first else [polynomial[0], *polynomial[2:]]))


def next_variable(transcript: Transcript, wire: bytes) -> int:
    """Absorb a polynomial and draw ρ_i."""
    transcript.absorb(Label.POLYNOMIAL, wire)
    return transcript.challenge_scalar(Label.VARIABLE)


def _lifted(values: Sequence[int], lift: int) -> Polynomial:
    """``values[0]·(1 − X) + values[1]·X + lift·X·(1 − X)``."""
    low, high = values
    return [low, (high - low + lift) % ORDER, -lift % ORDER]


def _times(a: Polynomial, b: Polynomial) -> Polynomial:
    product = [0] * (len(a) + len(b) - 1)
    for i, x in enumerate(a):
        for j, y in enumerate(b):
            product[i + j] += x * y
    return product


def _plus(*polynomials: Polynomial) -> Polynomial:
    total = [0] * max(map(len, polynomials))
    for polynomial in polynomials:
        for i, coefficient in enumerate(polynomial):
            total[i] += coefficient
    return total
