"""Taking what an ended job owes, once nobody can bring evidence any more (docs/spec.md §9.6)."""

from __future__ import annotations

import threading

from zkpfl.ledger.client import LedgerClient
from zkpfl.ledger.records import Job
from zkpfl.roles.events import Reporter, RoleEvent

PATIENCE_S = 30
"""A window that closes later is not waited for: a process that has nothing else to do may end."""

_POLL_S = 0.2


def claim_if_due(ledger: LedgerClient, job: Job, report: Reporter) -> bool:
    """Claim what an ended job owes this account; returns False while the job does not pay yet."""
    owed = ledger.owed_by_coin(job.id, ledger.account)
    if not owed:
        return True
    if ledger.connection.timestamp() < ledger.pays_at(job):
        return False
    ledger.claim(job.id)
    for coin, amount in owed.items():
        report(RoleEvent("claimed", job.id, fields={"coin": coin, "amount": str(amount)}))
    return True


def claim_or_tell(ledger: LedgerClient, job: Job, stop: threading.Event, report: Reporter) -> None:
    """Claim, waiting for a job that pays within `PATIENCE_S`; else report when it will."""
    while not claim_if_due(ledger, job, report):
        pays_at = ledger.pays_at(job)
        if pays_at - ledger.connection.timestamp() > PATIENCE_S:
            report(RoleEvent("claim_later", job.id, fields={"pays_at": pays_at}))
            return
        if stop.wait(_POLL_S):
            return
