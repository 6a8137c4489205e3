"""The committed integers as the norm proof's kernels read them: parts of 16 bits (docs/spec.md §7).

Updates have 16 bits and are one part. Noise of zk-nodes has up to 30 and is two, ``x = low + 2^15·high``: all
that the proof computes of x is linear in it, or a sum of squares.
"""

from __future__ import annotations

from collections.abc import Callable
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
        return sum(weight * _products(a, b) for weight, a, b in _pairs(self.parts))

    def row_sums(self, seed: bytes, begin: int, end: int) -> Sums:
        """``Σ_c R_k[c]·x[c]`` for each row and ``Σ_c x[c]²``, both for ``begin ≤ c < end``."""
        parts = tuple(part[begin:end] for part in self.parts)
        return _sums(parts, lambda part: _core.binary_row_sums(seed, begin, part))

    def row_differences(self, seed: bytes, half: int) -> Sums:
        """``Σ_(c<half) (R_k[half + c] − R_k[c])·(x[half + c] − x[c])``, squares of the second factor."""
        if len(self.parts) == 1:
            return _as_sums(_core.binary_row_differences(seed, self.parts[0], half))
        rows, _ = _sums(self.parts, lambda part: _core.binary_row_differences(seed, part, half))
        steps = [_steps(part, half) for part in self.parts]
        return rows, sum(weight * _products(a, b) for weight, a, b in _pairs(steps))

    def bind_first(
        self, seed: bytes, gammas: Scalars, half: int, rho: Scalars, tau: Scalars
    ) -> tuple[Scalars, Scalars]:
        """Bind the top variable of x and of ``A + τ·x`` to ρ: two tables of ``half`` entries."""
        x, y = _core.bind_binary_rows(seed, gammas, self.parts[0], half, rho, tau)
        for weight, part in self._further:
            step, _ = _core.bind_binary_rows(seed, gammas, part, half, rho, tau)
            x = linear_combination((x, step), from_int((1, weight)))
            scaled = linear_combination((step,), from_int((weight,)))
            y = linear_combination((y, scaled), np.concatenate((from_int((1,)), tau.reshape(1, 4))))
        return x, y

    def folded(self, weights: Scalars) -> Scalars:
        """``Σ_row weights[row]·x[row, ·]``."""
        out = _core.fold_rows(self.parts[0], weights)
        for weight, part in self._further:
            out = linear_combination((out, _core.fold_rows(part, weights)), from_int((1, weight)))
        return out

    @property
    def _further(self) -> list[tuple[int, Part]]:
        return [(1 << (PART_BITS * index), part) for index, part in enumerate(self.parts) if index]


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


def _as_sums(found: tuple[NDArray[np.int64], int]) -> Sums:
    rows, squares = found
    return rows.tolist(), squares


def _sums(parts: tuple[Part, ...], kernel: Callable[[Part], Any]) -> Sums:
    """Rows of all parts by a kernel, and their squares, of which the kernel knows those within a part."""
    found = [_as_sums(kernel(part)) for part in parts]
    weights = [1 << (PART_BITS * index) for index in range(len(parts))]
    rows = [
        sum(weight * row for weight, row in zip(weights, of_row, strict=True))
        for of_row in zip(*(rows for rows, _ in found), strict=True)
    ]
    within = sum(weight**2 * squares for weight, (_, squares) in zip(weights, found, strict=True))
    return rows, within + sum(weight * _products(a, b) for weight, a, b in _pairs(parts) if a is not b)


def _steps(part: Part, half: int) -> NDArray[np.int32]:
    """``x[half + c] − x[c]``, zero padded."""
    steps = -part[:half].astype(np.int32)
    steps[: len(part) - half] += part[half:]
    return steps


def _pairs(parts: Any) -> list[tuple[int, Any, Any]]:
    """Terms of ``(Σ_i 2^(15·i)·parts[i])²``: a factor and two parts each."""
    own = [(1 << (2 * PART_BITS * index), part, part) for index, part in enumerate(parts)]
    mixed = combinations(enumerate(parts), 2)
    return own + [(2 << (PART_BITS * (i + j)), a, b) for (i, a), (j, b) in mixed]


def _products(a: NDArray[Any], b: NDArray[Any]) -> int:
    """``⟨a, b⟩`` of integers of at most 17 bits, exact."""
    total = 0
    for start in range(0, len(a), _CHUNK):
        chunk = slice(start, start + _CHUNK)
        total += int(a[chunk].astype(np.int64) @ b[chunk].astype(np.int64))
    return total
