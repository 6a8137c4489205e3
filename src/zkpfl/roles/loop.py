"""The loop that drives a role: look at the ledger, take one step, wait for the next block."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from zkpfl.errors import (
    DeadlineExceeded,
    InvalidInput,
    JobFailed,
    LedgerError,
    NotAuthorized,
    StorageError,
    Unavailable,
    ZkpflError,
)
from zkpfl.ledger.client import LedgerClient
from zkpfl.ledger.records import Job, JobStatus
from zkpfl.roles.events import Reporter, RoleEvent, fault_event

POLL_S = 0.05
HEARTBEAT_S = 0.5
MAX_OUTAGE_S = 120.0


class RoleLoop:
    """Steps a role whenever a block arrives, and at least twice a second, until it is done or stopped.

    Parameters
    ----------
    ledger
        Tells the height of the chain.
    stop
        Set from outside to end the loop.
    report
        Told of outages, and of each fault of others once.
    """

    def __init__(self, ledger: LedgerClient, stop: threading.Event, report: Reporter) -> None:
        self._ledger = ledger
        self._stop = stop
        self._report = report
        self._outage_began: float | None = None
        self._last_fault: str | None = None

    def run(self, step: Callable[[], bool]) -> None:
        """Call ``step`` until it returns True.

        Raises
        ------
        Unavailable
            The ledger or storage did not answer for two minutes.
        InvalidInput, NotAuthorized, JobFailed
            As ``step`` does: what is wrong is this process's own data, keys or job.
        """
        height = -1
        while not self._stop.is_set():
            try:
                height = self._wait_for_block(height)
                if step():
                    return
                self._outage_began = None
            except (Unavailable, DeadlineExceeded, StorageError) as error:
                self._endure(error)
            except LedgerError as error:
                # Another party was faster, or the phase has passed: the next step reads the ledger again.
                self._report(RoleEvent("overtaken", fields={"text": str(error)}))
                self._stop.wait(POLL_S)
            except (InvalidInput, NotAuthorized, JobFailed):
                raise  # one's own data, keys or job: another look at the ledger changes nothing
            except ZkpflError as error:
                # Others broke the protocol: that must not end a process that keeps to it.
                self._report_new(error)

    def _wait_for_block(self, height: int) -> int:
        deadline = time.monotonic() + HEARTBEAT_S
        while not self._stop.is_set():
            current = self._ledger.block_number()
            if current != height or time.monotonic() >= deadline:
                return current
            self._stop.wait(POLL_S)
        return height

    def _report_new(self, error: ZkpflError) -> None:
        """Report a fault once, not at every block until its round is over."""
        if str(error) != self._last_fault:
            self._last_fault = str(error)
            self._report(fault_event(error, None, None))

    def _endure(self, error: Exception) -> None:
        now = time.monotonic()
        self._outage_began = self._outage_began or now
        if now - self._outage_began > MAX_OUTAGE_S:
            raise error
        self._report(RoleEvent("outage", fields={"text": str(error)}))
        self._stop.wait(min(5.0, 0.2 + (now - self._outage_began) / 2))


def advance_if_due(ledger: LedgerClient, job: Job, *, patience_s: float) -> bool:
    """Draw a job's committee, or move the job past an expired deadline.

    Roles have different patience, so that one transaction is enough.

    Parameters
    ----------
    ledger
        With an account.
    job
        As just read.
    patience_s
        How long after the deadline this role leaves it to others.

    Returns
    -------
    bool
        Whether a transaction was sent.
    """
    if job.status.ended:
        return False
    if job.status is JobStatus.DRAWING:
        if ledger.block_number() < job.draw_block:
            return False
        ledger.advance(job.id)
        return True
    deadline = job.join_deadline if job.status is JobStatus.RECRUITING else job.phase_deadline
    if time.time() < deadline + patience_s:
        return False
    ledger.advance(job.id)
    return True
