"""What the ledger and storage say about one job, checked against each other."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property, reduce
from operator import add

import numpy as np
from numpy.typing import NDArray

from zkpfl.crypto.points import G1Array
from zkpfl.crypto.sealing import EncryptionKey, require_public_key
from zkpfl.crypto.transcript import Context
from zkpfl.errors import (
    InvalidEncoding,
    InvalidInput,
    InvalidParameter,
    JobFailed,
    LedgerError,
    NotDelivered,
    ProtocolFault,
    StorageError,
    WrongContext,
    ZkpflError,
)
from zkpfl.ledger.client import LedgerClient
from zkpfl.ledger.records import Job, NodeRecord, Post, Round, RoundKind, Submission
from zkpfl.params import Committee, Layout
from zkpfl.privacy.client_level import ClientPrivacy
from zkpfl.protocol.aggregate import PublicAggregate, decode_commitments
from zkpfl.protocol.manifests import (
    MAX_MANIFEST_BYTES,
    AggregateManifest,
    ContributionManifest,
    JobManifest,
    ShareEntry,
    SubmissionManifest,
)
from zkpfl.protocol.member import MemberRound
from zkpfl.protocol.messages import MessageKind, ShareMessage, SignedMessage
from zkpfl.protocol.plan import CommitteeMember, RoundPlan, members_of
from zkpfl.roles.privacy_budget import most_charged, noise_quorum, require_committee
from zkpfl.storage.cid import ContentId
from zkpfl.storage.store import Contents

SEALING_OVERHEAD_BYTES = 1 << 20
"""Room for salts, tags and wrapped keys when a size limit is set on sealed content."""

FaultHandler = Callable[[ZkpflError], None]


class JobReader:
    """Reads one job.

    Parameters
    ----------
    ledger
        Client of the contract; need not have an account.
    store
        Where content lies.
    job_id
        The job's number.
    """

    def __init__(self, ledger: LedgerClient, store: Contents, job_id: int) -> None:
        self._ledger = ledger
        self._store = store
        self.job_id = job_id

    def job(self, *, finalized: bool = False) -> Job:
        """The job as the ledger has it now, or in the last finalised block."""
        return self._ledger.job(self.job_id, finalized=finalized)

    def round(self, number: int, *, finalized: bool = False) -> Round:
        """A round as the ledger has it now, or in the last finalised block."""
        return self._ledger.round(self.job_id, number, finalized=finalized)

    def final_round(self, number: int) -> Round | None:
        """A round as the last finalised block has it; None as long as no finalised block has it."""
        try:
            return self.round(number, finalized=True)
        except InvalidParameter:
            return None

    @cached_property
    def manifest(self) -> JobManifest:
        """The job manifest, by the digest in the job's terms."""
        return JobManifest.from_bytes(self.content_by_digest(self.job().terms.manifest))

    def epsilon_after(self, number: int) -> float | None:
        """ε that the rounds up to this one have cost a record of the trainer that was accepted most often.

        By the job's own terms, for a trainer with its least number of records; None if the job is not
        private.
        """
        if self.manifest.privacy is None:
            return None
        rounds = (self.round(earlier) for earlier in range(1, number + 1))
        return self.manifest.epsilon_after(most_charged(rounds))

    @cached_property
    def _nodes(self) -> tuple[CommitteeMember, ...]:
        return tuple(committee_member(self._ledger, address) for address in self.job().committee)

    def plan(self, job: Job, round_: Round) -> RoundPlan:
        """The plan of a round: those who join while it runs have no part in it."""
        return RoundPlan(
            context=Context(self._ledger.chain_id, self._ledger.contract, self.job_id, round_.number),
            layout=self._layout(job, round_.kind),
            committee=Committee(len(job.committee), job.terms.threshold),
            nodes=self._nodes,
            trainers=job.trainers[: round_.members],
            quorum=job.terms.quorum,
            member_key=job.terms.member_key,
            noise_quorum=job.terms.noise_quorum,
            checkpoint=self._checkpoint_before(round_.number),
        )

    def _checkpoint_before(self, number: int) -> bytes:
        """Hash of the last scored model before a round; zero bytes before the first."""
        for earlier in range(number - 1, 0, -1):
            checkpoint = self.round(earlier).checkpoint
            if checkpoint is not None:
                return checkpoint
        return bytes(32)

    def require_servable(self, job: Job) -> None:
        """Raise unless one can take part in every round of the job: look before joining binds a stake.

        Raises
        ------
        JobFailed
            The job manifest is malformed or lacks a layout for a round of the terms, or nobody can
            seal a share to a zk-node of the committee.
        """
        kinds = {RoundKind.STATISTICS: job.terms.statistics, RoundKind.TRAINING: job.terms.training_rounds}
        try:
            for kind in (kind for kind, wanted in kinds.items() if wanted):
                self._layout(job, kind)
            for address in job.committee:
                committee_member(self._ledger, address)
            if len(self.manifest.test_slices) != job.terms.slices:
                raise WrongContext(
                    f"the manifest has {len(self.manifest.test_slices)}, the terms state {job.terms.slices}",
                    party=f"owner of job {self.job_id}",
                    field="slices",
                )
        except (InvalidEncoding, InvalidInput, ProtocolFault) as error:
            text = f"job {self.job_id} cannot be carried out: {error}"
            raise JobFailed(text, party=error.party, field=error.field) from error

    def _layout(self, job: Job, kind: RoundKind) -> Layout:
        layout = self.manifest.statistics if kind is RoundKind.STATISTICS else self.manifest.training
        party = f"owner of job {self.job_id}"
        if layout is None:
            raise WrongContext(f"the job manifest has no {kind.name.lower()} layout", party=party)
        if layout.max_trainers < job.terms.max_trainers:
            raise WrongContext("sums of so many trainers do not decode", party=party, field="max_trainers")
        if layout.shape != job.terms.layout(kind):
            # Evidence is judged by the terms: under another layout an honest party could be convicted.
            raise WrongContext(
                "the terms state another layout than the manifest", party=party, field="layout"
            )
        if kind is RoundKind.TRAINING:
            self._require_noise(job, layout, party)
        return layout

    def _require_noise(self, job: Job, layout: Layout, party: str) -> None:
        """Raise unless terms and layout have the noise that the privacy of the manifest counts on."""
        privacy, size = self.manifest.privacy, len(job.committee)
        wanted = (noise_quorum(privacy), 0, 0)
        if isinstance(privacy, ClientPrivacy):
            bound = privacy.noise_bound(layout.dimension, layout.norm_bound)
            wanted = (privacy.noise_quorum, size, bound)
            require_committee(privacy, Committee(size, job.terms.threshold))
        if (job.terms.noise_quorum, layout.noise_parties, layout.noise_bound) != wanted:
            text = "terms or layout do not have the noise that the privacy of the manifest counts on"
            raise WrongContext(text, party=party, field="noise_quorum")

    def content_by_digest(self, digest: bytes, timeout_s: float | None = None) -> bytes:
        """A manifest that the ledger names."""
        cid = ContentId.from_digest(digest)
        return self._store.get(cid, max_size_bytes=MAX_MANIFEST_BYTES, timeout_s=timeout_s)

    def submissions(self, number: int, *, finalized: bool = False) -> dict[int, Submission]:
        """What was submitted to a round, by trainer, as of now or of the last finalised block."""
        return self._ledger.submissions(self.job_id, number, finalized=finalized)

    def posts(self, number: int) -> dict[int, Post]:
        """What was posted in a round, by number of the zk-node."""
        return self._ledger.posts(self.job_id, number)

    def submission(
        self, plan: RoundPlan, trainer: int, manifest_digest: bytes, timeout_s: float | None = None
    ) -> SubmissionManifest:
        """A trainer's submission manifest.

        Raises
        ------
        NotDelivered
            It is not in storage, malformed, or another trainer's.
        """
        party = plan.party(trainer)
        try:
            manifest = SubmissionManifest.from_bytes(self.content_by_digest(manifest_digest, timeout_s))
        except ZkpflError as error:
            raise NotDelivered(str(error), party=party, field="manifest") from error
        if manifest.trainer != plan.account_of(trainer):
            raise NotDelivered("the manifest names another trainer", party=party, field="manifest")
        if len(manifest.shares) != plan.committee.size:
            raise NotDelivered(
                f"must list {plan.committee.size} shares", party=party, field="manifest.shares"
            )
        return manifest

    def commitments(
        self, plan: RoundPlan, trainer: int, manifest: SubmissionManifest, timeout_s: float | None = None
    ) -> bytes:
        """Points and norm proof of a submission, not yet decoded; `NotDelivered` if storage lacks them."""
        limit, party = plan.commitments_bytes, plan.party(trainer)
        return self._delivered(manifest.commitments, limit, party, "commitments", timeout_s)

    def share(
        self,
        plan: RoundPlan,
        trainer: int,
        manifest: SubmissionManifest,
        root: bytes,
        node: int,
        timeout_s: float | None = None,
    ) -> tuple[SignedMessage, bytes]:
        """The signed message and sealed share for zk-node ``node``; `NotDelivered` if storage lacks it."""
        entry = manifest.shares[node - 1]
        limit, party = plan.matrix_bytes + SEALING_OVERHEAD_BYTES, plan.party(trainer)
        blob = self._delivered(entry.blob, limit, party, "blob", timeout_s)
        return signed_share(plan, manifest, entry, root), blob

    def public_aggregate(self, plan: RoundPlan, accepted: int) -> PublicAggregate:
        """The sum of the accepted commitments, from storage, checked against the ledger."""
        submissions = self.submissions(plan.context.round)
        roots = {trainer: submissions[trainer].commitment_root for trainer in members_of(accepted)}
        # One submission's points at a time in memory, beside their sum.
        points = (self.points(plan, trainer, submissions[trainer]) for trainer in roots)
        return PublicAggregate(plan, accepted, roots, reduce(add, points))

    def points(
        self, plan: RoundPlan, trainer: int, submission: Submission, timeout_s: float | None = None
    ) -> G1Array:
        """All points of a submission, under its root; `NotDelivered` if storage lacks them."""
        manifest = self.submission(plan, trainer, submission.manifest, timeout_s)
        data = self.commitments(plan, trainer, manifest, timeout_s)
        return decode_commitments(plan, data, submission.commitment_root, party=plan.party(trainer))

    def contributions(self, number: int) -> dict[int, bytes]:
        """Digests of the contribution manifests of a round, by trainer."""
        return self._ledger.contributions(self.job_id, number)

    def factors(self, number: int) -> dict[int, int]:
        """The decided factors of a round in percent, by trainer; empty if none are."""
        return self._ledger.factors(self.job_id, number)

    def stakes(self, trainers: int) -> dict[int, int]:
        """What the stakes of a set of trainers were worth when they joined, by trainer."""
        return {trainer: self._ledger.stake(self.job_id, trainer) for trainer in members_of(trainers)}

    def contribution_manifest(
        self, plan: RoundPlan, trainer: int, digest: bytes, timeout_s: float | None = None
    ) -> ContributionManifest:
        """What a trainer says that it contributed; `NotDelivered` if storage lacks it or it is malformed."""
        try:
            return ContributionManifest.from_bytes(self.content_by_digest(digest, timeout_s))
        except ZkpflError as error:
            raise NotDelivered(str(error), party=plan.party(trainer), field="contribution") from error

    def aggregate_manifest(self, plan: RoundPlan, node: int) -> AggregateManifest:
        """What a zk-node posted; `NotDelivered` if storage lacks it or it differs from the ledger."""
        post = self.posts(plan.context.round)[node]
        party = f"zk-node {node}"
        try:
            manifest = AggregateManifest.from_bytes(self.content_by_digest(post.manifest))
        except ZkpflError as error:
            raise NotDelivered(str(error), party=party, field="manifest") from error
        if manifest.share_root != post.share_root:
            raise NotDelivered("differs from the posted share root", party=party, field="share_root")
        return manifest

    def aggregate_blob(self, plan: RoundPlan, node: int, manifest: AggregateManifest) -> bytes:
        """A sealed aggregate share; `NotDelivered` if storage lacks it."""
        limit = plan.matrix_bytes + SEALING_OVERHEAD_BYTES
        return self._delivered(manifest.blob, limit, f"zk-node {node}", "blob")

    def total(
        self, plan: RoundPlan, round_: Round, member_key: EncryptionKey, on_fault: FaultHandler
    ) -> NDArray[np.int64]:
        """The exact sum of the accepted updates, from the first t good aggregate shares.

        Parameters
        ----------
        plan
            The round's plan.
        round_
            The round, attested.
        member_key
            Opens aggregate shares. Secret.
        on_fault
            Told of every zk-node whose share was refused.

        Returns
        -------
        ndarray
            int64 [d].

        Raises
        ------
        NotDelivered
            Fewer than t zk-nodes delivered a good share.
        BadSum
            The sum does not decode; it never will.
        """
        public = self.public_aggregate(plan, round_.accepted)
        if public.root != round_.aggregate_root:
            raise WrongContext(
                "the attested sum is not that of the accepted commitments", party="committee", field="root"
            )
        member = MemberRound(public, member_key)
        for node in (index + 1 for index in members_of(round_.valid)):
            try:
                manifest = self.aggregate_manifest(plan, node)
                member.accept_share(node, manifest, self.aggregate_blob(plan, node, manifest))
            except ProtocolFault as fault:
                on_fault(fault)
            if member.is_complete:
                break
        return member.total()

    def _delivered(
        self, content_id: str, max_size_bytes: int, party: str, field: str, timeout_s: float | None = None
    ) -> bytes:
        try:
            cid = ContentId.parse(content_id)
            return self._store.get(cid, max_size_bytes=max_size_bytes, timeout_s=timeout_s)
        except (InvalidEncoding, StorageError) as error:
            raise NotDelivered(str(error), party=party, field=field) from error


def registered_node(ledger: LedgerClient, address: bytes) -> NodeRecord:
    """The zk-node registered for an account of a committee."""
    record = ledger.node(address)
    if record is None:
        raise LedgerError("is not registered", party=f"zk-node 0x{address.hex()}")
    return record


def committee_member(ledger: LedgerClient, address: bytes) -> CommitteeMember:
    """A registered zk-node as a job's committee needs it.

    Raises
    ------
    ProtocolFault
        Nobody can seal to its encryption key.
    """
    party = f"zk-node 0x{address.hex()}"
    try:
        return CommitteeMember(address, require_public_key(registered_node(ledger, address).encryption_key))
    except InvalidEncoding as error:
        raise ProtocolFault(f"its key {error.message}", party=party, field="encryption_key") from error


def signed_share(
    plan: RoundPlan, manifest: SubmissionManifest, entry: ShareEntry, commitment_root: bytes
) -> SignedMessage:
    """The share message that a trainer's manifest entry signs, under the root that the ledger has."""
    message = ShareMessage(
        plan.context, manifest.trainer, entry.node, commitment_root, entry.share_root, entry.blob_hash
    )
    return SignedMessage(message, MessageKind.SHARE, entry.signature)
