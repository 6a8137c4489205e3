"""What the norm proof sums: binary rows and squares of the update, and the four squares (docs/spec.md §7)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Self

from zkpfl.crypto.proofs.shape import MaskRow
from zkpfl.crypto.proofs.table import Sums, Table
from zkpfl.crypto.scalars import ORDER, Scalars, from_int


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
    """The public part of ``x·(A + τ·x) + 2^-(n-2)·τ·q²``, of which the sum is proved.

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

    def weigh(self, rows: Sequence[int], squares: int) -> int:
        """``Σ_k γ^k·rows[k] + τ·squares``."""
        total = sum(gamma * value for gamma, value in zip(self.gammas, rows, strict=True))
        return (total + self.tau * squares) % ORDER


@dataclass(frozen=True)
class NormSummand:
    """All of it: see `Summand`.

    Parameters
    ----------
    of
        The public part.
    x
        The update.
    sums
        Of the same seed and update.
    mask
        The mask row, which has q.
    """

    of: Combination
    x: Table = field(repr=False)
    sums: RowSums = field(repr=False)
    mask: MaskRow = field(repr=False)

    @property
    def y_lift(self) -> int:
        """τ: y is ``A + τ·x``."""
        return self.of.tau

    @property
    def corners(self) -> tuple[Sequence[int], Sequence[int]]:
        """Q and τ·q."""
        q = self.mask.corners
        return q, [self.of.tau * value % ORDER for value in q]

    @property
    def corner_lifts(self) -> tuple[int, int]:
        """a' and τ·a'."""
        lift = self.mask.lifts[1]
        return lift, self.of.tau * lift

    def grid(self) -> list[list[int]]:
        """Weigh the integer sums."""
        weighed = [self.of.weigh(rows, squares) for rows, squares in self.sums.grid]
        return [weighed[3 * i : 3 * i + 3] for i in range(3)]

    def bind_first(self, rho: Scalars) -> tuple[Scalars, Scalars]:
        """By tables of the binary rows."""
        of = self.of
        return self.x.bind_first(
            of.seed, from_int(of.gammas), self.mask.shape.variables, rho, from_int((of.tau,))
        )
