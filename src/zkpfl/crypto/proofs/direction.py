"""Along what updates are measured: the sum of a round, without what was public before (docs/spec.md §7.2).

With X the sum, U_1 … U_k public updates of earlier rounds, and V, x_V the parts of X, x that are orthogonal
to all U_j, the contribution of x is ``⟨x, V − x_V⟩``: how far it goes the way that the others go, so that
neither x itself nor what it repeats counts. With G = (⟨U_j, U_l⟩), D = det G, p = (⟨x, U_j⟩), b = (⟨X, U_j⟩):

    D·⟨x, V − x_V⟩ = D·(⟨x, X⟩ − ⟨x, x⟩) + pᵀ·adj(G)·(p − b),

an integer.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from math import isqrt
from typing import Self

import numpy as np
from numpy.typing import NDArray

from zkpfl.crypto.proofs.shape import CORNERS, powers
from zkpfl.crypto.proofs.table import PART_BITS, Integers, Part
from zkpfl.crypto.scalars import ORDER
from zkpfl.errors import InvalidParameter

Matrix = list[list[int]]

_CHUNK = 1 << 11
"""So few columns that NumPy's OpenBLAS multiplies with one thread: its threads wait for each other without
sleeping, so that on busy cores a product that takes 10 ms took seconds."""


@dataclass(frozen=True, eq=False)
class Direction:
    """What is public of a round and the same for all its contributions.

    Parameters
    ----------
    total
        X, int64, shape (d,).
    updates
        U_1 … U_k, int16, shape (d,), linearly independent, at most four.
    gram
        G, k × k.
    limit
        No contribution times D is larger, on either side; below r/2.
    """

    total: NDArray[np.int64]
    updates: tuple[NDArray[np.int16], ...]
    gram: Matrix
    limit: int
    _stacks: dict[int, Part] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def of(cls, total: NDArray[np.int64], updates: Sequence[NDArray[np.int16]], norm_bound: int) -> Self:
        """Take the updates that are independent of those before them.

        Parameters
        ----------
        total
            X, the exact sum of the accepted updates, int64, shape (d,).
        updates
            Public updates, int16, shape (d,), the latest first, at most four.
        norm_bound
            B, no norm of an accepted update is larger.

        Raises
        ------
        InvalidParameter
            Wrong shapes or types, too many, or so large that a contribution could wrap around mod r.
        """
        _check(total, updates)
        kept: list[NDArray[np.int16]] = []
        for update in updates:
            if determinant(_gram([*kept, update])):
                kept.append(update)
        gram = _gram(kept)
        parts = digits(total)
        limit = determinant(gram) * norm_bound * (isqrt(_weighed_dot(parts, parts)) + 1 + norm_bound)
        if 2 * limit >= ORDER:
            text = "contributions could wrap around: too many or too large updates"
            raise InvalidParameter(text, field="updates")
        return cls(total, tuple(kept), gram, limit)

    def __len__(self) -> int:
        return len(self.total)

    @cached_property
    def denominator(self) -> int:
        """D = det G, positive; 1 without updates."""
        return determinant(self.gram)

    @cached_property
    def adjugate(self) -> Matrix:
        """adj(G), k × k, symmetric."""
        return adjugate(self.gram)

    @cached_property
    def parts(self) -> list[Part]:
        """X in balanced digits to the base 2^15, lowest first: ``X = Σ_i 2^(15·i)·parts[i]``."""
        return digits(self.total)

    @cached_property
    def along(self) -> list[int]:
        """B: ``⟨X, U_j⟩``."""
        return [_weighed_dot(self.parts, [update]) for update in self.updates]

    @cached_property
    def squared_norm(self) -> int:
        """``D·‖V‖²``, what the contributions of all trainers and their self terms add up to."""
        along = sum(a * b for a, b in zip(self.along, applied(self.adjugate, self.along), strict=True))
        return self.denominator * _weighed_dot(self.parts, self.parts) - along

    @cached_property
    def digests(self) -> tuple[bytes, bytes]:
        """SHA-256 of X as i64be, and those of U_1 … U_k as i16be, one after the other."""
        of_updates = (hashlib.sha256(update.astype(">i2").data).digest() for update in self.updates)
        return hashlib.sha256(self.total.astype(">i8").data).digest(), b"".join(of_updates)

    def contribution(self, values: Integers) -> int:
        """``D·⟨x, V − x_V⟩`` of an update, int16, shape (d,). Secret as the update is, until it is stated."""
        if values.dtype != np.int16 or values.shape != self.total.shape:
            wanted = f"int16 of shape {self.total.shape}"
            raise InvalidParameter(f"must be {wanted}, got {values.dtype} of {values.shape}", field="values")
        x = values.astype(np.int16, copy=False)
        along_tables = [dot(x, table) for table in (*self.parts, *self.updates)]
        return self.value(along_tables, dot(x, x))

    def value(self, along_tables: Sequence[int], squared_norm: int) -> int:
        """`contribution` from the inner products of x with the tables of `stack`, and ``⟨x, x⟩``."""
        count = len(self.parts)
        along_total = sum(product << PART_BITS * i for i, product in enumerate(along_tables[:count]))
        p = along_tables[count:]
        rest = [own - of_total for own, of_total in zip(p, self.along, strict=True)]
        mixed = sum(a * value for a, value in zip(p, applied(self.adjugate, rest), strict=True))
        return self.denominator * (along_total - squared_norm) + mixed

    @property
    def partner(self) -> Matrix:
        """``G⁻¹`` mod r, in a 4 × 4 matrix of zeros."""
        inverse = pow(self.denominator, -1, ORDER)
        matrix = [[0] * CORNERS for _ in range(CORNERS)]
        for j, row in enumerate(self.adjugate):
            matrix[j][: len(row)] = [value * inverse % ORDER for value in row]
        return matrix

    def coefficients(self, mu: int) -> list[int]:
        """Of the tables of `stack` in ``A = X + Σ_j (μ^j − (G⁻¹·b)_j)·U_j``, mod r."""
        inverse = pow(self.denominator, -1, ORDER)
        projection = applied(self.adjugate, self.along)
        own = [
            (power - inverse * value) % ORDER
            for power, value in zip(powers(mu, 1 + len(projection))[1:], projection, strict=True)
        ]
        return [1 << PART_BITS * i for i in range(len(self.parts))] + own

    def stack(self, size: int) -> Part:
        """Parts of X, then U_1 … U_k, each padded with zeros to ``size``; shape (tables, size)."""
        if size not in self._stacks:
            tables = [*self.parts, *self.updates]
            stacked = np.zeros((len(tables), size), dtype=np.int16)
            stacked[:, : len(self)] = tables
            self._stacks[size] = stacked
        return self._stacks[size]


def digits(values: NDArray[np.int64]) -> list[Part]:
    """Balanced digits to the base 2^15 of integers, lowest first; at least one."""
    half, rest = 1 << (PART_BITS - 1), values
    found: list[Part] = []
    while not found or rest.any():
        low = ((rest + half) & (2 * half - 1)) - half
        found.append(low.astype(np.int16))
        rest = (rest - low) >> PART_BITS
    return found


def dot(a: NDArray[np.int16], b: NDArray[np.int16]) -> int:
    """``⟨a, b⟩``, exact."""
    return int(products(a[None], b[None])[0, 0])


def products(a: NDArray[np.int16], b: NDArray[np.int16]) -> NDArray[np.int64]:
    """``a·bᵀ``, exact: products have 30 bits, so the sums of a chunk fit in the 53 bits of a float64."""
    total = np.zeros((len(a), len(b)), dtype=np.int64)
    for start in range(0, a.shape[1], _CHUNK):
        chunk = slice(start, start + _CHUNK)
        total += (a[:, chunk].astype(np.float64) @ b[:, chunk].astype(np.float64).T).astype(np.int64)
    return total


def _weighed_dot(a: Sequence[Part], b: Sequence[Part]) -> int:
    """Inner product of two vectors, each given by its digits."""
    return sum(dot(x, y) << PART_BITS * (i + j) for i, x in enumerate(a) for j, y in enumerate(b))


def applied(matrix: Matrix, vector: Sequence[int]) -> list[int]:
    """Matrix times vector."""
    return [sum(a * b for a, b in zip(row, vector, strict=True)) for row in matrix]


def determinant(matrix: Matrix) -> int:
    """Of a small matrix of integers, exact, by its first row; 1 of the empty one."""
    if not matrix:
        return 1
    return sum(value * _cofactor(matrix, 0, column) for column, value in enumerate(matrix[0]))


def adjugate(matrix: Matrix) -> Matrix:
    """``det·matrix⁻¹``, exact."""
    return [[_cofactor(matrix, column, row) for column in range(len(matrix))] for row in range(len(matrix))]


def _cofactor(matrix: Matrix, row: int, column: int) -> int:
    minor = [line[:column] + line[column + 1 :] for i, line in enumerate(matrix) if i != row]
    return determinant(minor) * (-1 if (row + column) % 2 else 1)


def _gram(updates: Sequence[NDArray[np.int16]]) -> Matrix:
    return [[dot(a, b) for b in updates] for a in updates]


def _check(total: NDArray[np.int64], updates: Sequence[NDArray[np.int16]]) -> None:
    if total.dtype != np.int64 or total.ndim != 1 or not len(total):
        text = f"must be int64 of one axis, got {total.dtype} of shape {total.shape}"
        raise InvalidParameter(text, field="total")
    if len(updates) > CORNERS:
        raise InvalidParameter(f"must be at most {CORNERS}, got {len(updates)}", field="updates")
    for update in updates:
        if update.dtype != np.int16 or update.shape != total.shape:
            wanted = f"int16 of shape {total.shape}"
            raise InvalidParameter(f"must be {wanted}, got {update.dtype} of {update.shape}", field="updates")
