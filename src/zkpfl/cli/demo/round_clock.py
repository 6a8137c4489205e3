"""When each round of a job ended, whatever else this process is busy with."""

from __future__ import annotations

import threading
import time
from types import TracebackType
from typing import Self

from zkpfl.cli.jobs import POLL_S
from zkpfl.errors import ZkpflError
from zkpfl.ledger.client import LedgerClient


class RoundClock:
    """Watches a job in a thread while its context lasts: to check a round may take longer than the round.

    Parameters
    ----------
    ledger
        To read.
    job_id
        The job.
    began
        When its first round began, on `time.monotonic`'s clock.
    """

    def __init__(self, ledger: LedgerClient, job_id: int, began: float) -> None:
        self._ledger = ledger
        self._job_id = job_id
        self._ends = {0: began}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="round clock", daemon=True)

    def seconds(self, number: int) -> float:
        """How long an ended round took."""
        return self._ends.get(number, time.monotonic()) - self._ends.get(number - 1, self._ends[0])

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stop.wait(POLL_S):
            try:
                job = self._ledger.job(self._job_id)
            except ZkpflError:
                continue  # whoever waits for the job meets the same error
            ended = job.current_round if job.status.ended else job.current_round - 1
            for number in range(1, ended + 1):
                self._ends.setdefault(number, time.monotonic())
            if job.status.ended:
                return
