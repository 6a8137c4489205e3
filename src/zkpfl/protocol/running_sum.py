"""A sum over a set of trainers that can be moved to another set without its terms in memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from zkpfl.protocol.plan import members_of

Term = TypeVar("Term")


class RunningSum(Generic[Term]):
    """The sum of one term of each trainer in a set; only the sum is kept.

    Parameters
    ----------
    read
        Gives the term of a trainer again, from wherever it lies. If it raises, the sum stays what it is.
    add, subtract
        Give total + term and total - term; may reuse the total's memory, and must not fail.
    """

    def __init__(
        self,
        read: Callable[[int], Term],
        add: Callable[[Term, Term], Term],
        subtract: Callable[[Term, Term], Term],
    ) -> None:
        self._read = read
        self._add = add
        self._subtract = subtract
        self._members = 0
        self._total: Term | None = None

    def include(self, trainer: int, term: Term) -> None:
        """Add a trainer's term, which is not in the sum; the sum may take its memory over."""
        self._total = term if self._total is None else self._add(self._total, term)
        self._members |= 1 << trainer

    def exclude(self, trainer: int, term: Term) -> None:
        """Subtract a trainer's term, which is in the sum."""
        self._members &= ~(1 << trainer)
        if self._total is not None:
            self._total = self._subtract(self._total, term) if self._members else None

    def over(self, members: int) -> Term:
        """The sum over a bitmap of trainers, at least one, after reading every term that differs.

        It is valid until the next call.
        """
        for trainer in members_of(self._members & ~members):
            self.exclude(trainer, self._read(trainer))
        for trainer in members_of(members & ~self._members):
            self.include(trainer, self._read(trainer))
        if self._total is None:
            raise ValueError("a sum over no trainers")
        return self._total
