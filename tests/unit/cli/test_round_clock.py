"""Rounds are timed from outside."""

import threading
import time
from types import SimpleNamespace
from typing import Any, cast

import pytest

from zkpfl.cli.demo import round_clock
from zkpfl.cli.demo.round_clock import RoundClock
from zkpfl.errors import Unavailable
from zkpfl.ledger.client import LedgerClient
from zkpfl.ledger.records import JobStatus


class ScriptedLedger:
    """Gives one state of the job after the other, then the last for ever."""

    def __init__(self, *states: tuple[int, JobStatus] | None) -> None:
        self._states = list(states)
        self.exhausted = threading.Event()

    def job(self, _job_id: int) -> Any:
        if len(self._states) == 1:
            self.exhausted.set()
        state = self._states.pop(0) if len(self._states) > 1 else self._states[0]
        if state is None:
            raise Unavailable("away for a moment")
        return SimpleNamespace(current_round=state[0], status=state[1])


def test_each_round_ends_when_the_next_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(round_clock, "POLL_S", 0.01)
    running, done = JobStatus.RUNNING, JobStatus.DONE
    ledger = ScriptedLedger((1, running), None, (2, running), (2, running), (4, done))
    began = time.monotonic()
    with RoundClock(cast(LedgerClient, ledger), 1, began) as clock:
        assert ledger.exhausted.wait(10)
    total = time.monotonic() - began
    rounds = [clock.seconds(number) for number in (1, 2, 3, 4)]
    assert rounds[0] > 0
    assert rounds[1] > 0
    assert rounds[2] < rounds[1], "rounds 2, 3 and 4 were over at the same look"
    assert sum(rounds) <= total


def test_it_stops_with_its_context() -> None:
    ledger = ScriptedLedger((1, JobStatus.RUNNING))
    before = threading.active_count()
    with RoundClock(cast(LedgerClient, ledger), 1, time.monotonic()):
        assert threading.active_count() == before + 1
    assert threading.active_count() == before
