"""Following a job's rounds on the ledger, and checking each."""

from __future__ import annotations

from zkpfl.cli.demo.audit import RoundAudit
from zkpfl.cli.demo.display import Display
from zkpfl.cli.demo.round_clock import RoundClock
from zkpfl.cli.demo.uploads import Uploads
from zkpfl.cli.jobs import has_ended, spent_after, summarize
from zkpfl.ledger.client import LedgerClient
from zkpfl.ledger.records import Job, Phase, Round


class Follower:
    """Reports every round as it ends, checked.

    Parameters
    ----------
    ledger
        To read.
    audit
        Checks a round.
    uploads
        Bytes by round.
    display
        Shows it.
    job_id
        The job.
    clock
        When its rounds ended.
    """

    def __init__(
        self,
        ledger: LedgerClient,
        audit: RoundAudit,
        uploads: Uploads,
        display: Display,
        job_id: int,
        clock: RoundClock,
    ) -> None:
        self._ledger = ledger
        self._audit = audit
        self._uploads = uploads
        self._display = display
        self._job_id = job_id
        self._ended = 0
        self._clock = clock
        self._good = True

    @property
    def verified(self) -> bool:
        """Whether there was a closed round, and everything about every closed round held."""
        return self._good and self._audit.member.training_rounds > 0

    def poll(self) -> Job:
        """Report the rounds that have ended since the last call; returns the job as it is."""
        job = self._ledger.job(self._job_id)
        for number in range(self._ended + 1, job.current_round + 1):
            round_ = self._ledger.round(job.id, number)
            if not has_ended(round_):
                break
            self._report(job, round_)
            self._ended = number
        self._show(job)
        return job

    def _report(self, job: Job, round_: Round) -> None:
        verified = self._audit.check(job, round_) if round_.phase is Phase.CLOSED else None
        self._good = self._good and verified is not False
        summary = summarize(
            job,
            round_,
            verified=verified,
            seconds=round(self._clock.seconds(round_.number), 1),
            size_bytes=self._uploads.of(round_.number),
            spent=spent_after(self._audit.reader, round_.number),
        )
        self._display.round_ended(job.id, summary)

    def _show(self, job: Job) -> None:
        if job.current_round and not job.status.ended:
            text = f"round {job.current_round}, {job.phase.name.lower()}"
            self._display.advance(text, self._ended, job.terms.rounds)
