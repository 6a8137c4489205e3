"""What a verifier checks in the end: sums of points that must be infinity, many of them at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from zkpfl.crypto.generators import Generators
from zkpfl.crypto.points import POINT_BYTES, G1Array, msm
from zkpfl.crypto.scalars import Scalars, linear_combination, random_short
from zkpfl.errors import InvalidEncoding

Statement = TypeVar("Statement")

INFINITY = b"\xc0" + bytes(POINT_BYTES - 1)


@dataclass(frozen=True)
class Equation:
    """The claim ``⟨generators, (G, U, H)⟩ + ⟨scalars, points⟩ = 0``.

    Parameters
    ----------
    generators
        Shape (N + 2, 4): coefficients of the generators, which all equations share.
    points
        n points of this equation alone.
    scalars
        Their coefficients, shape (n, 4).
    """

    generators: Scalars
    points: G1Array
    scalars: Scalars


def hold(equations: Sequence[Equation], gens: Generators) -> bool:
    """Whether all equations hold, by one multi-scalar multiplication.

    Several are added up with secret weights of 128 bits, drawn now: if one does not hold, the sum is infinity
    with probability at most 2^-127 (docs/notes/norm-proof.md). No equations hold.

    Parameters
    ----------
    equations
        Of rows of N columns.
    gens
        Generators for N columns.
    """
    if not equations:
        return True
    shared, scalars = _combined(equations)
    points = G1Array.concatenate([gens.G, gens.U, gens.H, *(equation.points for equation in equations)])
    return msm(points, np.concatenate((shared, *scalars))).encode() == INFINITY


def failing(equations: Sequence[Equation], gens: Generators) -> list[int]:
    """Indices of the equations that do not hold, found by halving: few failures cost few multiplications."""
    if hold(equations, gens):
        return []
    if len(equations) == 1:
        return [0]
    half = len(equations) // 2
    later = failing(equations[half:], gens)
    return [*failing(equations[:half], gens), *(half + index for index in later)]


def failing_of(
    equation: Callable[[Statement, bytes, Generators], Equation],
    statements: Sequence[Statement],
    proofs: Sequence[bytes],
    gens: Generators,
) -> tuple[int, ...]:
    """Indices of the proofs that fail, ascending; one that does not decode fails.

    Parameters
    ----------
    equation
        Makes what must hold of a statement and its proof.
    statements, proofs
        As many of each; proofs are untrusted bytes.
    gens
        Generators for N columns.
    """
    equations: dict[int, Equation] = {}
    for index, (statement, proof) in enumerate(zip(statements, proofs, strict=True)):
        try:
            equations[index] = equation(statement, proof, gens)
        except InvalidEncoding:
            continue
    indices = list(equations)
    wrong = {indices[position] for position in failing(list(equations.values()), gens)}
    return tuple(index for index in range(len(statements)) if index not in equations or index in wrong)


def _combined(equations: Sequence[Equation]) -> tuple[Scalars, list[Scalars]]:
    if len(equations) == 1:
        return equations[0].generators, [equations[0].scalars]
    weights = random_short(len(equations))
    shared = linear_combination([equation.generators for equation in equations], weights)
    own = [
        linear_combination((equation.scalars,), weight[None])
        for equation, weight in zip(equations, weights, strict=True)
    ]
    return shared, own
