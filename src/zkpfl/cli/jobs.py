"""What the commands about jobs share: waiting, how a job ended, and its rounds as they are shown."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from zkpfl.cli.addresses import format_address
from zkpfl.errors import DeadlineExceeded, InvalidParameter, JobFailed
from zkpfl.ledger.client import Job, JobStatus, LedgerClient, Phase, Round, RoundKind
from zkpfl.roles.job_reader import JobReader

POLL_S = 0.2


@dataclass(frozen=True)
class Spent:
    """Privacy that a record has spent, of which budget; None in a job without privacy."""

    epsilon: float | None = None
    delta: float | None = None
    budget: float | None = None


def spent_after(reader: JobReader, number: int) -> Spent:
    """What a job's rounds up to this one have cost a record, by its manifest (docs/spec.md §8.1)."""
    privacy = reader.manifest.privacy
    if privacy is None:
        return Spent()
    return Spent(reader.epsilon_after(number), privacy.delta, privacy.epsilon)


@dataclass(frozen=True)
class RoundSummary:
    """An ended round, as it is shown.

    Parameters
    ----------
    round
        Number of the round.
    kind
        ``statistics`` or ``training``.
    outcome
        ``closed`` or ``failed``.
    accepted, trainers
        Trainers in the sum, and in the job.
    verified
        Whether this process checked everything about the aggregate; None if it did not look.
    accuracy
        In [0, 1]; None if nobody scored.
    seconds
        How long the round took.
    bytes
        Uploaded by the trainers; None where unknown.
    epsilon, delta
        Privacy that a record has spent so far; None in a job without privacy.
    """

    round: int
    kind: str
    outcome: str
    accepted: int
    trainers: int
    verified: bool | None = None
    accuracy: float | None = None
    seconds: float | None = None
    bytes: int | None = None
    epsilon: float | None = None
    delta: float | None = None

    def to_dict(self, job: int) -> dict[str, Any]:
        """One flat object, for JSON lines."""
        return {"event": "round_ended", "job": job, **asdict(self)}

    def to_line(self) -> str:
        """One line of rich text."""
        parts = [f"round {self.round:>3}  {self.kind:<10}", f"accepted {self.accepted}/{self.trainers}"]
        if self.outcome == "failed":
            parts.append("[red]failed[/red]")
        if self.verified is not None:
            mark = "[green]✓[/green]" if self.verified else "[red]✗[/red]"
            parts.append(f"aggregate verified {mark}")
        parts.append(f"accuracy {self.accuracy:.3f}" if self.accuracy is not None else " " * 14)
        if self.seconds is not None:
            parts.append(f"{self.seconds:5.1f} s")
        if self.bytes is not None:
            parts.append(f"{self.bytes / 1000:9.1f} kB")
        if self.epsilon is not None:
            parts.append(f"ε {self.epsilon:.3f} at δ {self.delta:g}")
        return "  ".join(parts).rstrip()


def summarize(
    job: Job,
    round_: Round,
    *,
    verified: bool | None = None,
    seconds: float | None = None,
    size_bytes: int | None = None,
    spent: Spent = Spent(),
) -> RoundSummary:
    """Summary of an ended round."""
    return RoundSummary(
        round=round_.number,
        kind=round_.kind.name.lower(),
        outcome="closed" if round_.phase is Phase.CLOSED else "failed",
        accepted=round_.accepted_trainers.bit_count(),
        trainers=len(job.trainers),
        verified=verified,
        accuracy=None if round_.accuracy is None else round_.accuracy / 1e6,
        seconds=seconds,
        bytes=size_bytes,
        epsilon=spent.epsilon,
        delta=spent.delta,
    )


def has_ended(round_: Round) -> bool:
    """Whether a round is closed or has failed."""
    return round_.phase in (Phase.CLOSED, Phase.ABORTED)


def rounds_of(ledger: LedgerClient, job: Job) -> list[Round]:
    """All rounds of a job that have begun."""
    return [ledger.round(job.id, number) for number in range(1, job.current_round + 1)]


def training_rounds(rounds: list[Round]) -> int:
    """How many training rounds succeeded."""
    return sum(round_.kind is RoundKind.TRAINING and round_.phase is Phase.CLOSED for round_ in rounds)


def last_accuracy(rounds: list[Round]) -> float | None:
    """Accuracy of the newest scored checkpoint, in [0, 1]; None before the first."""
    scored = [round_.accuracy for round_ in rounds if round_.accuracy is not None]
    return scored[-1] / 1e6 if scored else None


def job_result(ledger: LedgerClient, job: Job, reader: JobReader | None = None) -> dict[str, Any]:
    """What the ledger says about a job, as flat JSON values; with a reader, the privacy that it has spent."""
    rounds = rounds_of(ledger, job)
    spent = Spent() if reader is None else spent_after(reader, job.current_round)
    return {
        "job": job.id,
        "status": job.status.name.lower(),
        "owner": format_address(job.owner),
        "rounds": training_rounds(rounds),
        "max_rounds": job.terms.training_rounds,
        "accuracy": last_accuracy(rounds),
        "target": job.terms.target / 1e6,
        "trainers": len(job.trainers),
        "quorum": job.terms.quorum,
        "committee": len(job.committee),
        "threshold": job.terms.threshold,
        "checkpoint": job.checkpoint.hex() if job.checkpoint else None,
        "epsilon": spent.epsilon,
        "delta": spent.delta,
        "epsilon_budget": spent.budget,
    }


def existing_job(ledger: LedgerClient, job_id: int) -> Job:
    """Read a job; `InvalidParameter` if there is none of this number."""
    if job_id > ledger.job_count():
        raise InvalidParameter(
            f"there is no job {job_id}", field="job", hint="`zkpfl job list` shows which there are"
        )
    return ledger.job(job_id)


def wait_for_job(ledger: LedgerClient, job_id: int, wait_s: float, stop: threading.Event) -> None:
    """Wait until a job exists; raises `InvalidParameter` at once if there is no patience."""
    if wait_s:
        wait_until(lambda: ledger.job_count() >= job_id, wait_s, stop, f"job {job_id} to be created")
    existing_job(ledger, job_id)


def wait_until(condition: Callable[[], bool], wait_s: float, stop: threading.Event, what: str) -> None:
    """Poll until ``condition`` holds.

    Raises
    ------
    DeadlineExceeded
        It did not within ``wait_s`` seconds.
    JobFailed
        The process was told to stop.
    """
    deadline = time.monotonic() + wait_s
    while not condition():
        if time.monotonic() >= deadline:
            raise DeadlineExceeded(f"waited {wait_s:g} s for {what}", field="wait")
        if stop.wait(POLL_S):
            raise JobFailed(f"stopped while waiting for {what}")


def require_success(job: Job) -> Job:
    """Raise `JobFailed` unless the job is done."""
    if job.status is JobStatus.DONE:
        return job
    if not job.status.ended:
        raise JobFailed(f"stopped before job {job.id} ended", hint="it goes on without this process")
    raise JobFailed(
        f"job {job.id} {job.status.name.lower()}", hint=f"zkpfl job status {job.id} shows its rounds"
    )
