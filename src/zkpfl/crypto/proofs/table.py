"""The committed integers as the kernels of the proofs read them: parts of 16 bits (docs/spec.md §7).

Updates have 16 bits and are one part. Noise of zk-nodes has up to 30 and is two, ``x = low + 2^15·high``: all
that the proof computes of x is linear in it, or a sum of squares.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import combinations
from typing import Any, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

from zkpfl import _core
from zkpfl.crypto.scalars import Scalars, from_int, linear_combination
from zkpfl.errors import InvalidUpdate

Integers: TypeAlias = NDArray[np.int16] | NDArray[np.int64]
Part: TypeAlias = NDArray[np.int16]
Sums: TypeAlias = tuple[list[int], int]
"""A number for each binary row, and a sum of squares."""

PART_BITS = 15
_CHUNK = 1 << 16


@dataclass(frozen=True)
class Table:
    """x in whole rows, zero padded.

    Parameters
    ----------
    parts
        int16 arrays of one shape, ``x = Σ_i 2^(15·i)·parts[i]``. Secret.
    """

    parts: tuple[Part, ...] = field(repr=False)

    @classmethod
    def of(cls, values: Integers, size: int) -> Self:
        """Cut values into parts of ``size`` entries: int16 into one, int64 into two.

        Raises
        ------
        InvalidUpdate
            A value has more than 30 bits.
        """
        return cls(tuple(_padded(part, size) for part in _parts(values)))

    def __len__(self) -> int:
        return len(self.parts[0])

    def squared_norm(self) -> int:
        """``‖x‖²``, exact."""
        within = sum(weight**2 * _core.squared_norm_of_integers(part) for weight, part in self._weighed)
        return within + sum(weight * _products(a, b) for weight, a, b in self._mixed)

    def grid(self, seed: bytes, variables: int) -> list[Sums]:
        """``⟨R_k, x⟩`` and ``⟨x, x⟩`` with the two top variables of both at i and j from {0, 1, ∞}.

        At place ``3·i + j``; at ∞ means the coefficient. The table has ``2^variables`` entries.
        """
        weights = [weight for weight, _ in self._weighed]
        grids = [_core.binary_row_grid(seed, part, variables) for part in self.parts]
        mixed = self._mixed_grid(variables)
        found = []
        for place, of_parts in enumerate(zip(*grids, strict=True)):
            rows = [
                sum(weight * row for weight, row in zip(weights, of_row, strict=True))
                for of_row in zip(*(rows.tolist() for rows, _ in of_parts), strict=True)
            ]
            within = sum(weight**2 * squares for weight, (_, squares) in zip(weights, of_parts, strict=True))
            found.append((rows, within + mixed[place]))
        return found

    def bind_first(
        self, seed: bytes, gammas: Scalars, variables: int, rho: Scalars, tau: Scalars
    ) -> tuple[Scalars, Scalars]:
        """Bind the two top variables of x and of ``A + τ·x`` to ρ: two tables of a quarter of the size."""
        x, y = _core.bind_binary_rows(seed, gammas, self.parts[0], variables, rho, tau)
        for weight, part in self._weighed[1:]:
            step, _ = _core.bind_binary_rows(seed, gammas, part, variables, rho, tau)
            x = linear_combination((x, step), from_int((1, weight)))
            scaled = linear_combination((step,), from_int((weight,)))
            y = linear_combination((y, scaled), np.concatenate((from_int((1,)), tau.reshape(1, 4))))
        return x, y

    def folded(self, weights: Scalars) -> Scalars:
        """``Σ_row weights[row]·x[row, ·]``."""
        out = _core.fold_rows(self.parts[0], weights)
        for weight, part in self._weighed[1:]:
            out = linear_combination((out, _core.fold_rows(part, weights)), from_int((1, weight)))
        return out

    @property
    def _weighed(self) -> list[tuple[int, Part]]:
        return [(1 << (PART_BITS * index), part) for index, part in enumerate(self.parts)]

    @property
    def _mixed(self) -> list[tuple[int, Part, Part]]:
        """Terms of ``(Σ_i 2^(15·i)·parts[i])²`` with two different parts: a factor and both."""
        return [(2 * a * b, low, high) for (a, low), (b, high) in combinations(self._weighed, 2)]

    def _mixed_grid(self, variables: int) -> list[int]:
        """What the mixed terms add to the squares of each place of the grid."""
        total = [0] * 9
        for weight, low, high in self._mixed:
            places = zip(_grid(low, variables), _grid(high, variables), strict=True)
            total = [sum_ + weight * _products(a, b) for sum_, (a, b) in zip(total, places, strict=True)]
        return total


def _parts(values: Integers) -> tuple[Part, ...]:
    if values.dtype == np.int16:
        return (values.astype(np.int16, copy=False),)
    half = 1 << (PART_BITS - 1)
    low = ((values + half) & (2 * half - 1)) - half
    high = (values - low) >> PART_BITS
    if np.any(np.abs(high) >= half):
        raise InvalidUpdate("has a coordinate of more than 30 bits", field="values")
    return low.astype(np.int16), high.astype(np.int16)


def _padded(values: Part, size: int) -> Part:
    if len(values) == size:
        return np.ascontiguousarray(values)
    out = np.zeros(size, dtype=np.int16)
    out[: len(values)] = values
    return out


def _grid(part: Part, variables: int) -> list[NDArray[np.int32]]:
    """The quarters of a table with the top variables at 0, 1 and ∞, by place."""
    table = np.zeros(1 << variables, dtype=np.int32)
    table[: len(part)] = part
    quarters = table.reshape(2, 2, -1)
    upper = np.concatenate((quarters, quarters[1:] - quarters[:1]))
    both = np.concatenate((upper, upper[:, 1:] - upper[:, :1]), axis=1)
    return list(both.reshape(9, -1))


def _products(a: NDArray[Any], b: NDArray[Any]) -> int:
    """``⟨a, b⟩`` of integers of at most 18 bits, exact."""
    total = 0
    for start in range(0, len(a), _CHUNK):
        chunk = slice(start, start + _CHUNK)
        total += int(a[chunk].astype(np.int64) @ b[chunk].astype(np.int64))
    return total
