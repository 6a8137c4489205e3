"""A trainer's part in the contributions of a job: prove its own, check the others' (docs/spec.md §9.5).

Nothing here keeps a trainer from scoring: what fails is reported, and costs at most the factor of one round.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from zkpfl.crypto.points import G1Array
from zkpfl.crypto.proofs import contribution
from zkpfl.crypto.proofs.contribution import Direction
from zkpfl.errors import BadProof, NotDelivered, ZkpflError
from zkpfl.ledger.client import LedgerClient
from zkpfl.ledger.factors import is_material, percents
from zkpfl.ledger.records import Job, Round, RoundKind
from zkpfl.privacy.record_level import RecordPrivacy
from zkpfl.protocol.contributions import contribution_statement, proved_values
from zkpfl.protocol.manifests import ContributionManifest
from zkpfl.protocol.plan import RoundPlan, members_of
from zkpfl.protocol.trainer import PreparedSubmission
from zkpfl.roles.events import Reporter, RoleEvent, fault_event
from zkpfl.roles.job_reader import FaultHandler, JobReader
from zkpfl.roles.job_storage import JobStore
from zkpfl.roles.member import Member

LEAST_PATIENCE_S = 0.1


def contributions_count(reader: JobReader, round_: Round) -> bool:
    """Whether contributions may be revealed: they are as private as updates that are private themselves."""
    return round_.kind is RoundKind.TRAINING and isinstance(reader.manifest.privacy, RecordPrivacy)


@dataclass(frozen=True)
class _Own:
    """Of a submission, what a proof needs: its shares are large. Secret."""

    round: int
    points: G1Array
    witness: contribution.Witness = field(repr=False)


class Contributions:
    """Takes part for one trainer.

    Parameters
    ----------
    ledger, reader, store
        The job.
    report
        Told of progress and faults.
    """

    def __init__(self, ledger: LedgerClient, reader: JobReader, store: JobStore, report: Reporter) -> None:
        self._ledger = ledger
        self._reader = reader
        self._store = store
        self._report = report
        self._own: _Own | None = None

    def remember(self, round_: Round, submission: PreparedSubmission) -> None:
        """Keep what was submitted, in memory alone: a process that is started again has no proof to give."""
        if contributions_count(self._reader, round_):
            self._own = _Own(round_.number, submission.points, submission.witness)

    def contribute(self, job: Job, round_: Round, member: Member) -> None:
        """Prove one's own contribution, where there is one, and tell the ledger where the proof lies."""
        own, self._own = self._own, None
        if own is not None and own.round == round_.number:
            self._reporting_faults(round_, lambda: self._prove(job, round_, member, own))

    def attest(self, job: Job, round_: Round, member: Member) -> None:
        """Check all proofs of a round and say what factors they earn."""
        if contributions_count(self._reader, round_):
            self._reporting_faults(round_, lambda: self._attest(job, round_, member))

    def _prove(self, job: Job, round_: Round, member: Member, own: _Own) -> None:
        direction = member.direction(job, round_)
        if direction is None:
            return
        plan, value = self._reader.plan(job, round_), direction.contribution(own.witness.values)
        if not is_material(value, round_.accepted_trainers.bit_count(), direction.squared_norm):
            return  # a proof would earn nothing
        trainer = job.trainers.index(self._ledger.account)
        statement = contribution_statement(plan, trainer, own.points, direction, value)
        proof = contribution.prove(statement, own.witness, plan.generators)
        manifest = ContributionManifest(self._ledger.account, value, proof)
        digest = self._store.put(manifest.to_bytes()).digest
        self._ledger.contribute(job.id, round_.number, digest)
        self._report(RoleEvent("contributed", job.id, round_.number))

    def _attest(self, job: Job, round_: Round, member: Member) -> None:
        if self._ledger.account in self._ledger.attested_factors(job.id, round_.number):
            return  # before this process was started again
        direction = member.direction(job, round_)
        if direction is None:
            return
        patience_s = (round_.deadline - time.time()) / 2
        values = checked_contributions(
            self._reader, job, round_, direction, lambda error: self._fault(round_, error), patience_s
        )
        stakes = self._reader.stakes(round_.accepted_trainers)
        earned = percents(values, stakes, direction.squared_norm)
        if earned:
            self._ledger.attest_factors(job.id, round_.number, earned)
            own = earned[job.trainers.index(self._ledger.account)]
            self._report(RoleEvent("factors_attested", job.id, round_.number, {"own_percent": own}))

    def _reporting_faults(self, round_: Round, act: Callable[[], None]) -> None:
        try:
            act()
        except ZkpflError as error:
            self._fault(round_, error)

    def _fault(self, round_: Round, error: ZkpflError) -> None:
        self._report(fault_event(error, self._reader.job_id, round_.number))


def checked_contributions(
    reader: JobReader,
    job: Job,
    round_: Round,
    direction: Direction,
    on_fault: FaultHandler,
    patience_s: float | None = None,
) -> dict[int, int]:
    """Return what the trainers of a round have proved to contribute, by number.

    Parameters
    ----------
    reader, job, round_
        Which round.
    direction
        Along what its updates are measured.
    on_fault
        Told of each trainer whose proof is not there or does not hold.
    patience_s
        How long to wait for storage in all; None for as long as storage waits.
    """
    plan = reader.plan(job, round_)
    claims = dict(_claims(reader, plan, round_, on_fault, patience_s))
    values = proved_values(plan, direction, claims)
    for trainer in claims.keys() - values.keys():
        text = "the proof of its contribution does not hold"
        on_fault(BadProof(text, party=plan.party(trainer), field="contribution"))
    return values


def _claims(
    reader: JobReader,
    plan: RoundPlan,
    round_: Round,
    on_fault: FaultHandler,
    patience_s: float | None,
) -> Iterator[tuple[int, tuple[G1Array, ContributionManifest]]]:
    until = None if patience_s is None else time.monotonic() + patience_s
    submissions, digests = reader.submissions(round_.number), reader.contributions(round_.number)
    for trainer in members_of(round_.accepted_trainers):
        if trainer not in digests:
            continue
        left = None if until is None else max(LEAST_PATIENCE_S, until - time.monotonic())
        try:
            manifest = reader.contribution_manifest(plan, trainer, digests[trainer], left)
            points = reader.points(plan, trainer, submissions[trainer], left)
        except NotDelivered as error:
            on_fault(error)
            continue
        yield trainer, (points, manifest)
