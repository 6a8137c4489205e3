"""What an audit found: one check a statement, each with the place that it is about."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from zkpfl.errors import ZkpflError

Value = str | int | bool | list[str] | dict[str, int] | list[dict[str, str]]
Progress = Callable[[str, int, int], None]
"""Told of a stage, how much of it is done, and how much there is."""


@dataclass(frozen=True)
class Check:
    """One statement that was checked.

    Parameters
    ----------
    name
        What was checked, snake-case: the same name for the same statement about every party.
    place
        File, block, row, job, round or party.
    ok
        Whether it holds.
    detail
        What is wrong; for a check that holds, what is worth knowing.
    """

    name: str
    place: str
    ok: bool
    detail: str = ""


@dataclass(frozen=True)
class AuditReport:
    """Everything that was checked.

    Parameters
    ----------
    checks
        In the order in which they were made.
    not_checked
        What this audit could not look at, and why.
    """

    checks: tuple[Check, ...]
    not_checked: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether every check holds; what was not checked does not count."""
        return all(check.ok for check in self.checks)

    @property
    def failures(self) -> tuple[Check, ...]:
        """The checks that do not hold."""
        return tuple(check for check in self.checks if not check.ok)

    def to_dict(self) -> dict[str, Value]:
        """One JSON object: verdict, number of checks by name, every failure and remark with its place."""
        return {
            "ok": self.ok,
            "checks": dict(Counter(check.name for check in self.checks)),
            "failures": [_described(check) for check in self.failures],
            "remarks": [_described(check) for check in self.checks if check.ok and check.detail],
            "not_checked": list(self.not_checked),
        }


def _described(check: Check) -> dict[str, str]:
    return {"check": check.name, "place": check.place, "detail": check.detail}


@dataclass
class Findings:
    """Collects checks while an audit runs."""

    checks: list[Check] = field(default_factory=list)
    not_checked: list[str] = field(default_factory=list)

    def passed(self, name: str, place: str, detail: str = "") -> None:
        """Note a check that holds."""
        self.checks.append(Check(name, place, True, detail))

    def failed(self, name: str, place: str, detail: str) -> None:
        """Note a check that does not hold."""
        self.checks.append(Check(name, place, False, detail))

    def require(self, name: str, place: str, holds: bool, detail: str) -> None:
        """Note a check; ``detail`` says what is wrong if it does not hold."""
        self.checks.append(Check(name, place, holds, "" if holds else detail))

    @contextmanager
    def check(self, name: str, place: str) -> Iterator[None]:
        """Note a check that holds if the block ends, and fails with the error that the block raises."""
        try:
            yield
        except ZkpflError as error:
            self.failed(name, place, str(error))
        else:
            self.passed(name, place)

    @contextmanager
    def remark(self, name: str, place: str) -> Iterator[None]:
        """Note a check of something that the ledger did not act on: an error is a remark, not a failure."""
        try:
            yield
        except ZkpflError as error:
            self.passed(name, place, f"refused and without effect: {error}")
        else:
            self.passed(name, place)

    def report(self) -> AuditReport:
        """Return what has been found so far."""
        return AuditReport(tuple(self.checks), tuple(self.not_checked))
