"""Audit of one round from what everybody can see: the ledger and the store (docs/spec.md §5, §6, §9.3)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from zkpfl.crypto.bls import aggregate_public_keys, attestation_digest, signature_from_ledger
from zkpfl.crypto.merkle import hash_blob
from zkpfl.crypto.points import G1Array, sum_arrays
from zkpfl.errors import BadSignature, NotDelivered, WrongContext, ZkpflError
from zkpfl.ledger.events import (
    AcceptedSetFixed,
    AggregatePosted,
    Attested,
    Event,
    Reported,
    RoundClosed,
    Submitted,
)
from zkpfl.ledger.records import Job, Round
from zkpfl.ledger.rules import posts_hash
from zkpfl.protocol.aggregate import (
    PublicAggregate,
    decode_commitments,
    norm_proof_of,
    require_roots,
)
from zkpfl.protocol.manifests import SubmissionManifest
from zkpfl.protocol.norm_proofs import NormProofs
from zkpfl.protocol.plan import RoundPlan, bitmap_of, members_of
from zkpfl.roles.audit_keys import NodeKeys
from zkpfl.roles.audit_report import Findings
from zkpfl.roles.job_reader import JobReader

_E = TypeVar("_E", bound=Event)


class RoundAudit:
    """Checks one round; what it finds goes to ``findings``.

    Parameters
    ----------
    reader
        The job's content.
    job, round_
        As the ledger has them.
    events
        All events of the job.
    keys
        The zk-nodes' registered BLS keys.
    findings
        Takes the checks.
    """

    def __init__(
        self,
        reader: JobReader,
        job: Job,
        round_: Round,
        events: Sequence[Event],
        keys: NodeKeys,
        findings: Findings,
    ) -> None:
        self._reader = reader
        self._job = job
        self._round = round_
        self._events = [event for event in events if getattr(event, "round", None) == round_.number]
        self._keys = keys
        self._findings = findings
        self._points: dict[int, G1Array] = {}
        self._roots: dict[int, bytes] = {}
        self.place = f"job {job.id}, round {round_.number}"
        self.plan: RoundPlan = reader.plan(job, round_)
        self._norms = NormProofs(self.plan)
        self.public: PublicAggregate | None = None

    def run(self) -> None:
        """Make all checks that need no key; then ``public`` is the sum of the commitments, if any."""
        self._check_submissions()
        self._check_norms()
        self._check_reports()
        attested = self._only(Attested)
        if self._round.accepted:
            self._sum_commitments(attested)
            self._check_posts(attested)
        if attested is not None:
            self._check_attestation(attested)
        self._check_record(attested)

    def _of(self, kind: type[_E]) -> list[_E]:
        return [event for event in self._events if isinstance(event, kind)]

    def _only(self, kind: type[_E]) -> _E | None:
        found = self._of(kind)
        return found[0] if found else None

    # Submissions (§5)

    def _submitter(self, event: Submitted) -> int:
        place = self._job.submitter(event.trainer)
        if place is None:
            raise WrongContext("has not joined the job", party=f"0x{event.trainer.hex()}", field="trainer")
        return place

    def _check_submissions(self) -> None:
        for event in self._of(Submitted):
            trainer = self._submitter(event)
            place = f"{self.place}, {self.plan.party(trainer)} (0x{event.trainer.hex()})"
            # The round does without a submission that was not accepted, so a fault in it harmed nobody.
            accepted = bool(self._round.accepted >> trainer & 1)
            check = self._findings.check if accepted else self._findings.remark
            with check("submission", place):
                self._check_submission(trainer, event)

    def _check_submission(self, trainer: int, event: Submitted) -> None:
        manifest = self._reader.submission(self.plan, trainer, event.manifest)
        data = self._reader.commitments(self.plan, trainer, manifest)
        root, party = event.commitment_root, self.plan.party(trainer)
        points = decode_commitments(self.plan, data, root, party=party)
        self._norms.add(trainer, root, points, norm_proof_of(self.plan, data))
        self._points[trainer], self._roots[trainer] = points, root
        for node in range(1, self.plan.committee.size + 1):
            if self._round.quorum >> (node - 1) & 1:
                self._check_share(manifest, event, trainer, node)
                continue
            # Only the zk-nodes of Q vouched for the accepted set; what was meant for another had no effect.
            place = f"{self.place}, {self.plan.party(trainer)}, share for zk-node {node}"
            with self._findings.remark("share", place):
                self._check_share(manifest, event, trainer, node)

    def _check_norms(self) -> None:
        """Whoever was accepted has proved its norm (§7)."""
        self._norms.verify()
        for trainer in members_of(self._round.accepted):
            place = f"{self.place}, {self.plan.party(trainer)}"
            proved = trainer in self._roots and self._norms.is_proved(trainer, self._roots[trainer])
            self._findings.require("norm_proof", place, proved, "was accepted without proof of its norm")

    def _check_share(self, manifest: SubmissionManifest, event: Submitted, trainer: int, node: int) -> None:
        party = self.plan.party(trainer)
        signed, blob = self._reader.share(self.plan, trainer, manifest, event.commitment_root, node)
        signed.require_signer(event.trainer, party)
        if hash_blob(blob) != signed.message.blob_hash:
            text = f"the sealed share for zk-node {node} is not the signed one"
            raise NotDelivered(text, party=party, field="blob")

    # What the nodes and the contract stated; what follows from it is recomputed with the money (§6, §9.3)

    def _check_reports(self) -> None:
        submitted = bitmap_of(map(self._submitter, self._of(Submitted)))
        for event in self._of(Reported):
            place = f"{self.place}, zk-node {self._job.committee.index(event.node) + 1}"
            foreign = event.accepted & ~submitted
            self._findings.require("report", place, not foreign, "names trainers who submitted nothing")

    def _check_record(self, attested: Attested | None) -> None:
        """The contract's state is what its events said."""
        fixed, closed, round_ = self._only(AcceptedSetFixed), self._only(RoundClosed), self._round
        said = (
            (fixed.accepted, fixed.quorum) if fixed else (0, 0),
            (attested.aggregate_root, attested.valid, attested.signers) if attested else (None, 0, 0),
            (closed.checkpoint, closed.accuracy) if closed else (bytes(32), 0),
        )
        held = (
            (round_.accepted, round_.quorum),
            (round_.aggregate_root, round_.valid, round_.signers),
            (round_.checkpoint or bytes(32), round_.accuracy or 0),
        )
        self._findings.require("round_record", self.place, said == held, "differs from the events")

    # The aggregate and its proofs (§6)

    def _sum_commitments(self, attested: Attested | None) -> None:
        with self._findings.check("aggregate_commitments", self.place):
            require_roots(self._round.accepted, self._roots)
            sums = sum_arrays([self._points[trainer] for trainer in members_of(self._round.accepted)])
            public = PublicAggregate(self.plan, self._round.accepted, self._roots, sums)
            stated = {attested.aggregate_root, self._round.aggregate_root} if attested else set()
            if stated - {public.root}:
                text = "the attested root is not that of the sum of the accepted commitments"
                raise WrongContext(text, party="committee", field="aggregate_root")
            self.public = public

    def _check_posts(self, attested: Attested | None) -> None:
        valid = attested.valid if attested else 0
        for event in self._of(AggregatePosted):
            node = self._job.committee.index(event.node) + 1
            # Members use the posts that the committee attested; one that it left out has no effect.
            check = self._findings.check if valid >> (node - 1) & 1 else self._findings.remark
            with check("aggregation_proof", f"{self.place}, zk-node {node} (0x{event.node.hex()})"):
                self._check_post(node, event)

    def _check_post(self, node: int, event: AggregatePosted) -> None:
        party = f"zk-node {node}"
        manifest = self._reader.aggregate_manifest(self.plan, node)
        if manifest.share_root != event.share_root:
            raise NotDelivered("the manifest has another share root", party=party, field="share_root")
        if hash_blob(self._reader.aggregate_blob(self.plan, node, manifest)) != manifest.blob_hash:
            raise NotDelivered("the sealed share is not the posted one", party=party, field="blob")
        if self.public is None:
            text = "cannot be verified: the sum of the commitments is not known"
            raise NotDelivered(text, party=party, field="proof")
        self.public.require_proof(node, manifest)

    def _check_attestation(self, attested: Attested) -> None:
        with self._findings.check("attestation", self.place):
            self._require_attestation(attested)

    def _require_attestation(self, attested: Attested) -> None:
        posts = {self._job.committee.index(event.node): event for event in self._of(AggregatePosted)}
        hashed = posts_hash((node + 1, post.share_root, post.manifest) for node, post in posts.items())
        valid, signers = list(members_of(attested.valid)), list(members_of(attested.signers))
        threshold = self._job.terms.threshold
        if set(valid) - posts.keys() or len(valid) < threshold or len(signers) < threshold:
            text = "attests posts that are not there, or fewer than the threshold, or by too few signers"
            raise WrongContext(text, party="committee", field="attestation")
        digest = attestation_digest(
            self.plan.context,
            self._round.accepted,
            attested.aggregate_root,
            attested.valid,
            hashed,
        )
        keys = [self._keys.of(self._job.committee[node], attested.block) for node in signers]
        if not aggregate_public_keys(keys).verify(digest, signature_from_ledger(attested.signature)):
            names = ", ".join(f"zk-node {node + 1}" for node in signers)
            raise BadSignature("the aggregate signature does not verify", party=names, field="attestation")


def audit_round(
    reader: JobReader, job: Job, round_: Round, events: Sequence[Event], keys: NodeKeys, findings: Findings
) -> RoundAudit | None:
    """Audit one round; None if not even its plan can be made, which is a finding too."""
    try:
        audit = RoundAudit(reader, job, round_, events, keys, findings)
    except ZkpflError as error:
        findings.failed("round", f"job {job.id}, round {round_.number}", str(error))
        return None
    audit.run()
    return audit
