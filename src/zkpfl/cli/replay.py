"""Rebuilding a job's model from ledger and storage, as any holder of the job key can."""

from __future__ import annotations

from zkpfl.cli.output import Output
from zkpfl.ledger.client import LedgerClient
from zkpfl.ledger.records import Job
from zkpfl.roles.events import fault_event
from zkpfl.roles.job_reader import JobReader
from zkpfl.roles.member import Member
from zkpfl.storage.store import Store


def replay(ledger: LedgerClient, store: Store, job: Job, job_key: bytes, output: Output) -> Member:
    """Decode every aggregate of a job; returns the member that holds the model and the statistics.

    Raises
    ------
    ProtocolFault
        An aggregate or a checkpoint is not what the ledger says.
    """
    member = Member(
        JobReader(ledger, store, job.id),
        store,
        job_key,
        lambda error: output(fault_event(error, job.id, None)),
    )
    member.catch_up(job)
    return member
