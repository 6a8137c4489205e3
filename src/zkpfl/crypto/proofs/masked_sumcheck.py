"""A sumcheck that shows nothing: a committed random polynomial is added to what is summed (docs/spec.md §7).

Summed is ``x'·y + 2^-(n-2)·p'·p''`` over the cube: x' and y are of full size, p' and p'' have four entries
over the last two variables. What is left in the end are their values at a random point ρ.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from zkpfl import _core
from zkpfl.crypto.proofs.shape import MaskRow, Polynomial, Shape, evaluate
from zkpfl.crypto.scalars import ORDER, Scalars, encode_scalars, from_int, to_int
from zkpfl.crypto.transcript import Label, Transcript

AT_INFINITY = 2
"""Place of the leading coefficient beside the values at 0 and 1."""


class Summand(Protocol):
    """What is summed. All but ``y_lift`` is secret."""

    @property
    def y_lift(self) -> int:
        """How often y contains what is added to x' to hide it."""

    @property
    def corners(self) -> tuple[Sequence[int], Sequence[int]]:
        """p' and p'' without what hides them, four integers each."""

    @property
    def corner_lifts(self) -> tuple[int, int]:
        """Multiples of Z(X_n) that hide p' and p''."""

    def grid(self) -> list[list[int]]:
        """``Σ x·y`` with the two top variables at 0, 1 and ∞; at ∞ means the coefficient."""

    def bind_first(self, rho: Scalars) -> tuple[Scalars, Scalars]:
        """Bind the two top variables of x and y: two tables of a quarter of the size."""


class Prover:
    """Sends the polynomials; afterwards it has the point ρ and the values there.

    Parameters
    ----------
    transcript
        Has given all that the summand depends on. Advanced.
    shape
        Of the statement.
    mask
        The mask row.
    summand
        What is summed.
    """

    def __init__(self, transcript: Transcript, shape: Shape, mask: MaskRow, summand: Summand) -> None:
        self.sent = b""
        self.rho: list[int] = []
        self._transcript = transcript
        self._shape = shape
        self._summand = summand
        self._polynomials = mask.polynomials
        self._known = mask.constant
        self._lift = mask.lifts[0]
        self._corners = [list(corners) for corners in summand.corners]
        self._scale = pow(2, 2 - shape.variables, ORDER)

    def run(self) -> tuple[int, int, int]:
        """Send s_1 … s_n and return x', p' and p'' at ρ."""
        grid = self._summand.grid()
        at_0, at_1, at_infinity = (row[0] + row[1] for row in grid)
        claim = self._round(at_0 + at_1, at_0, at_infinity)
        r = self.rho[0]
        bound = [evaluate([a, b - a - c, c], r) for a, b, c in zip(*grid, strict=True)]
        claim = self._round(claim, bound[0], bound[AT_INFINITY])
        tables = self._summand.bind_first(from_int(self.rho))
        constant, quadratic = to_int(_core.sumcheck_round(*tables))
        for _ in range(self._shape.variables - 3):
            claim = self._round(claim, constant, quadratic)
            constant, quadratic = to_int(_core.sumcheck_bind(*tables, from_int(self.rho[-1:])))
            half = len(tables[0]) // 2
            tables = tables[0][:half], tables[1][:half]
        return self._last(*(to_int(table) for table in tables))

    def _round(self, claim: int, constant: int, quadratic: int) -> int:
        """Send a polynomial of degree 2; return what the next must sum to, without masks and corners."""
        own = [constant, claim - 2 * constant - quadratic, quadratic]
        self._send(_plus(own, self._corner_part(), self._mask()))
        if len(self.rho) == self._shape.variables - 1:
            self._corners = [
                [(a + self.rho[-1] * (b - a)) % ORDER for a, b in zip(p[:2], p[2:], strict=True)]
                for p in self._corners
            ]
        return evaluate(own, self.rho[-1])

    def _last(self, x: Sequence[int], y: Sequence[int]) -> tuple[int, int, int]:
        """Send the polynomial of degree 4, in which the lifts hide the values at its end."""
        of_x, of_y = _lifted(x, self._lift), _lifted(y, self._summand.y_lift * self._lift)
        first, second = map(_lifted, self._corners, self._summand.corner_lifts)
        corners = [self._scale * value for value in _times(first, second)]
        self._send(_plus(_times(of_x, of_y), corners, self._mask()))
        at_x, at_p, at_partner = (evaluate(polynomial, self.rho[-1]) for polynomial in (of_x, first, second))
        return at_x, at_p, at_partner

    def _corner_part(self) -> Polynomial:
        """What the four corners add, before the last variable."""
        index = len(self.rho) + 1
        p, partner = self._corners
        free = self._shape.variables - 2 - index
        if free >= 0:
            return [self._scale * sum(a * b for a, b in zip(p, partner, strict=True)) << free]
        lines = [zip(corners[:2], corners[2:], strict=True) for corners in (p, partner)]
        products = [_times([a, b - a], [c, d - c]) for (a, b), (c, d) in zip(*lines, strict=True)]
        return [self._scale * coefficient for coefficient in _plus(*products)]

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
        wire = _encoded(reduced, first=not self.rho)
        self.sent += wire
        self.rho.append(_next_variable(self._transcript, wire))
        self._known += evaluate(self._polynomials[len(self.rho) - 1], self.rho[-1])


def replay(
    transcript: Transcript, wires: Sequence[bytes], scalars: Sequence[Sequence[int]]
) -> tuple[list[int], int, int]:
    """ρ, ``s_1(0) + s_1(1)`` and ``s_n(ρ_n)``, of the polynomials that were sent.

    Parameters
    ----------
    transcript
        As the prover's. Advanced.
    wires, scalars
        Each polynomial as bytes and as coefficients.
    """
    claim, first = 0, 0
    rho: list[int] = []
    for wire, sent in zip(wires, scalars, strict=True):
        polynomial = list(sent) if not rho else _completed(sent, claim)
        if not rho:
            first = (polynomial[0] + sum(polynomial)) % ORDER
        rho.append(_next_variable(transcript, wire))
        claim = evaluate(polynomial, rho[-1])
    return rho, first, claim


def _completed(sent: Sequence[int], claim: int) -> Polynomial:
    """Insert the coefficient of X such that s(0) + s(1) is what is claimed."""
    return [sent[0], (claim - sent[0] - sum(sent)) % ORDER, *sent[1:]]


def _encoded(polynomial: Polynomial, *, first: bool) -> bytes:
    """Coefficients as they are sent: later ones without that of X, which follows from the claim."""
    return encode_scalars(from_int(polynomial if first else [polynomial[0], *polynomial[2:]]))


def _next_variable(transcript: Transcript, wire: bytes) -> int:
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
