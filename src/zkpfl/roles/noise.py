"""A zk-node's noise: in each training round of a job that asks for it, one submission (docs/spec.md §8.2).

The noise depends on nobody's data, so it is made while the trainers train.
"""

from __future__ import annotations

import os

from zkpfl.crypto.discrete_gaussian import sample_discrete_gaussian
from zkpfl.errors import InvalidUpdate
from zkpfl.ledger.client import LedgerClient
from zkpfl.ledger.records import Job, Phase, Round
from zkpfl.params import FIRST_NOISE
from zkpfl.privacy.client_level import ClientPrivacy
from zkpfl.protocol.trainer import prepare_submission
from zkpfl.roles.events import Reporter, RoleEvent, Value
from zkpfl.roles.identity import Identity
from zkpfl.roles.job_reader import JobReader
from zkpfl.roles.job_storage import JobStore, publish_submission
from zkpfl.roles.privacy_budget import most_charged

SEED_BYTES = 32


class NoiseDuty:
    """Brings a zk-node's noise into one job.

    Parameters
    ----------
    ledger
        Client with the node's account.
    store
        Where the submission is put; the other zk-nodes find it there.
    reader
        The job.
    identity
        The node's keys.
    node
        Its number in the committee, from 1.
    report
        Told of what was brought, and why nothing was.
    """

    def __init__(
        self,
        ledger: LedgerClient,
        store: JobStore,
        reader: JobReader,
        identity: Identity,
        node: int,
        report: Reporter,
    ) -> None:
        self._ledger = ledger
        self._store = store
        self._reader = reader
        self._identity = identity
        self._place = FIRST_NOISE + node - 1
        self._report = report
        self._done = 0

    def step(self, job: Job) -> None:
        """Bring noise into the current round, once, if the job asks for it and its budget allows it."""
        number = job.current_round
        if not job.terms.noise_quorum or self._done >= number:
            return
        round_ = self._reader.round(number)
        if round_.phase is not Phase.COLLECT:
            return
        if not round_.submitted >> self._place & 1:
            self._bring(job, round_)
        self._done = number

    def _bring(self, job: Job, round_: Round) -> None:
        privacy = self._reader.manifest.privacy
        if not isinstance(privacy, ClientPrivacy) or not self._within_budget(privacy, round_.number):
            return
        plan = self._reader.plan(job, round_)
        sigma = privacy.node_sigma(plan.layout.norm_bound)
        noise = sample_discrete_gaussian(sigma, plan.layout.dimension, os.urandom(SEED_BYTES))
        try:
            submission = prepare_submission(plan, self._identity.account, noise)
        except InvalidUpdate:
            # Above its bound: improbable, and in the budget's δ. It abstains: to draw again would be another
            # distribution.
            self._tell("noise_withheld", round_.number)
            return
        digest = publish_submission(self._store, submission)
        self._ledger.submit(job.id, round_.number, submission.commitment_root, digest)
        self._tell("noise_submitted", round_.number, bytes=len(submission.commitments))

    def _within_budget(self, privacy: ClientPrivacy, number: int) -> bool:
        """Whether one more sum stays within the budget: without noise a round closes without one."""
        charged = most_charged(map(self._reader.round, range(1, number)))
        if privacy.within(charged + 1):
            return True
        self._tell("budget_spent", number, epsilon=privacy.epsilon_after(charged), delta=privacy.delta)
        return False

    def _tell(self, kind: str, number: int, **fields: Value) -> None:
        self._report(RoleEvent(kind, self._reader.job_id, number, fields))
