"""Audit of what the job key opens: aggregate shares, sums, models and scores (docs/spec.md §6, §9.4, §10)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace

from zkpfl.crypto.sealing import EncryptionKey, member_key
from zkpfl.errors import BadSum, ZkpflError
from zkpfl.ledger.events import Event, Scored, SliceOpened
from zkpfl.ledger.factors import percents
from zkpfl.ledger.records import Job, Phase, Round, RoundKind
from zkpfl.protocol.aggregate import PublicAggregate
from zkpfl.protocol.member import MemberRound
from zkpfl.protocol.plan import members_of
from zkpfl.roles.audit_report import Findings, Progress
from zkpfl.roles.contribution import checked_contributions
from zkpfl.roles.job_reader import JobReader
from zkpfl.roles.member import Member
from zkpfl.storage.store import Store


class ModelAudit:
    """Follows a job as a member does, and checks what a member takes for granted.

    Parameters
    ----------
    reader, store
        The job's content.
    job
        As the ledger has it.
    events
        All events of the job.
    publics
        Sum of the accepted commitments of each attested round, by number.
    job_key
        32 bytes. Secret.
    findings
        Takes the checks.
    """

    def __init__(
        self,
        reader: JobReader,
        store: Store,
        job: Job,
        events: Sequence[Event],
        publics: Mapping[int, PublicAggregate],
        job_key: bytes,
        findings: Findings,
    ) -> None:
        self._reader = reader
        self._store = store
        self._job = job
        self._scores = [event for event in events if isinstance(event, Scored)]
        self._slices = [event for event in events if isinstance(event, SliceOpened)]
        self._publics = publics
        self._job_key = job_key
        self._findings = findings

    def run(self, progress: Progress) -> None:
        """Open the bundle, every attested aggregate share and every model."""
        member: Member | None = None
        with self._findings.check("bundle", f"job {self._job.id}, bundle"):
            member = Member(self._reader, self._store, self._job_key, lambda _fault: None)
        opens_shares = member_key(self._job_key)
        for number in range(1, self._job.current_round + 1):
            round_ = self._reader.round(number)
            if round_.aggregate_root is not None:
                self._check_shares(round_, opens_shares)
            if member is not None and not self._follow(member, round_):
                member = None
                text = f"job {self._job.id}: models after round {number}, which could not be followed"
                self._findings.not_checked.append(text)
            progress("model", number, self._job.current_round)

    def _check_shares(self, round_: Round, opens: EncryptionKey) -> None:
        """Open *all* attested shares; rows that all fit the public commitments lie on one polynomial."""
        public = self._publics.get(round_.number)
        if public is None:
            self._findings.not_checked.append(f"{self._place(round_)}: aggregate shares, without commitments")
            return
        member = MemberRound(public, opens)
        for node in (index + 1 for index in members_of(round_.valid)):
            with self._findings.check("aggregate_share", f"{self._place(round_)}, zk-node {node}"):
                manifest = self._reader.aggregate_manifest(public.plan, node)
                member.accept_share(node, manifest, self._reader.aggregate_blob(public.plan, node, manifest))
        with self._findings.check("aggregate_sum", self._place(round_)), self._spoilt(round_):
            member.total()

    @contextmanager
    def _spoilt(self, round_: Round) -> Iterator[None]:
        """Let pass that a training sum does not decode: it is the committed one, and changed nothing."""
        try:
            yield
        except BadSum as fault:
            if round_.kind is not RoundKind.TRAINING:
                raise
            self._findings.passed("spoilt_sum", self._place(round_), f"without effect: {fault}")

    def _follow(self, member: Member, round_: Round) -> bool:
        """Apply one round to the model; False if it does not give what the ledger says."""
        if round_.phase is not Phase.CLOSED:
            if round_.phase is Phase.ABORTED:
                member.catch_up(self._job_in(round_))
            return True
        name = "checkpoint" if round_.kind is RoundKind.TRAINING else "statistics"
        try:
            if round_.kind is RoundKind.TRAINING and self._reader.contributions(round_.number):
                self._check_contributions(member, round_)
            member.catch_up(self._job_in(round_))
            if round_.kind is RoundKind.TRAINING:
                self._check_scores(member, round_)
        except ZkpflError as error:
            self._findings.failed(name, self._place(round_), str(error))
            return False
        self._findings.passed(name, self._place(round_))
        return True

    def _check_contributions(self, member: Member, round_: Round) -> None:
        """What was decided is what the proofs earn; a proof that does not hold is without effect."""
        job, place = self._job_in(round_), self._place(round_)
        direction = member.direction(job, round_)
        if direction is None:
            return

        def remark(error: ZkpflError) -> None:
            self._findings.passed("contribution", f"{place}, {error.party}", f"counts for nothing: {error}")

        values = checked_contributions(self._reader, job, round_, direction, remark)
        decided = self._reader.factors(round_.number)
        stakes = self._reader.stakes(round_.accepted_trainers)
        earned = percents(values, stakes, direction.squared_norm)
        detail = f"decided are {decided}, the proofs earn {earned}"
        self._findings.require("factors", place, decided in ({}, earned), detail)
        for trainer in values:
            self._findings.passed("contribution", f"{place}, trainer {trainer}")

    def _check_scores(self, member: Member, round_: Round) -> None:
        candidate = member.candidate(self._job_in(round_), round_.number, round_)
        own = (candidate.checkpoint_hash, candidate.accuracy_ppm)
        for event in self._scores:
            if event.round != round_.number:
                continue
            trainer = self._job.trainers.index(event.trainer)
            place = f"{self._place(round_)}, trainer {trainer} (0x{event.trainer.hex()})"
            if event.checkpoint == round_.checkpoint:
                detail = f"stated {event.accuracy} ppm, the checkpoint has {own[1]}"
                self._findings.require("score", place, (event.checkpoint, event.accuracy) == own, detail)
            else:
                self._findings.passed("score", place, "scored another checkpoint than the round's")

    def _job_in(self, round_: Round) -> Job:
        """The job as its members saw it when they scored the round."""
        opened = [event for event in self._slices if event.round <= round_.number]
        key = opened[-1].key if opened else self._job.terms.slice_anchor
        return replace(self._job, current_round=round_.number, slices_opened=len(opened), slice_key=key)

    def _place(self, round_: Round) -> str:
        return f"job {self._job.id}, round {round_.number}"


def audit_model(
    reader: JobReader,
    store: Store,
    job: Job,
    events: Sequence[Event],
    publics: Mapping[int, PublicAggregate],
    job_key: bytes,
    findings: Findings,
    progress: Progress,
) -> None:
    """Audit everything of a job that its key opens; see `ModelAudit`."""
    ModelAudit(reader, store, job, events, publics, job_key, findings).run(progress)
