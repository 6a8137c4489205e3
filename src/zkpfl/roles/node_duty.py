"""What a zk-node does in one job: take shares, check and report, release its sum, attest the others'."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass

from zkpfl.crypto.bls import (
    BlsPublicKey,
    BlsSecretKey,
    aggregate_signatures,
    attestation_digest,
    signature_to_ledger,
)
from zkpfl.errors import (
    BadSignature,
    Equivocation,
    InvalidEncoding,
    NotAuthorized,
    ProtocolFault,
    StorageError,
    WrongContext,
    WrongPhase,
    ZkpflError,
)
from zkpfl.ledger.client import LedgerClient
from zkpfl.ledger.records import Job, JobStatus, Phase, Round, Submission
from zkpfl.protocol.aggregate import PublicAggregate
from zkpfl.protocol.messages import SignedMessage
from zkpfl.protocol.plan import bitmap_of, members_of
from zkpfl.protocol.zk_node import NodeRound, ReleaseJournal
from zkpfl.roles.claiming import claim_if_due
from zkpfl.roles.events import Reporter, RoleEvent, fault_event
from zkpfl.roles.identity import Identity
from zkpfl.roles.job_reader import SEALING_OVERHEAD_BYTES, JobReader, registered_node
from zkpfl.roles.job_storage import (
    MAX_CONTENT_BYTES,
    JobStore,
    job_label,
    keep_job_content,
    release_if_over,
)
from zkpfl.roles.key_custody import KeyCollector, KeyCustodian, slice_is_due
from zkpfl.roles.loop import advance_if_due
from zkpfl.roles.node_clients import NodeClients
from zkpfl.roles.noise import NoiseDuty
from zkpfl.rpc.handler import Attestation, UploadLimits
from zkpfl.storage.cid import ContentId
from zkpfl.storage.store import Store

PATIENCE_S = 0.3
TURN_S = 1.0
"""Each node leaves it this long to every one before it to send the common attestation."""
PEER_TIMEOUT_S = 2.0

FETCHES = 3
"""Contents of one trainer that a check reads."""

LEAST_WAIT_S = 0.5
KEEP_AGAIN_S = 10.0

OPENED_AT_ONCE = 2
"""Shares decoded and stored at once, each in three times its size of memory: one waits for the disk."""


@dataclass(frozen=True)
class _Attested:
    round: int
    digest: bytes
    valid: int
    aggregate_root: bytes
    signature: bytes
    began: float


@dataclass(frozen=True)
class _SliceOpening:
    number: int
    collector: KeyCollector
    began: float


class NodeDuty:
    """The node's part in one job: the current round's state, and what has been done in it."""

    def __init__(
        self,
        ledger: LedgerClient,
        store: Store,
        reader: JobReader,
        identity: Identity,
        bls: BlsSecretKey,
        journal: ReleaseJournal,
        node: int,
        report: Reporter,
    ) -> None:
        self._ledger = ledger
        self._store = JobStore(store, job_label(ledger, reader.job_id))
        self._reader = reader
        self._identity = identity
        self._bls = bls
        self._journal = journal
        self._node = node
        self._report = report
        self._lock = threading.RLock()
        self._opening = threading.BoundedSemaphore(OPENED_AT_ONCE)
        self._round: NodeRound | None = None
        self._public: PublicAggregate | None = None
        self._attested: _Attested | None = None
        self._clients = NodeClients(ledger, reader, identity.account)
        self._custodian = KeyCustodian(ledger, store, reader, identity.encryption, node)
        self._noise = NoiseDuty(ledger, self._store, reader, identity, node, report)
        self._slice: _SliceOpening | None = None
        self._kept = False
        self._keep_after = 0.0

    def close(self) -> None:
        """Close the connections to peers."""
        self._clients.close()

    def admit(self, signed: SignedMessage) -> UploadLimits:
        """How large the upload that a signed message announces may be; see `NodeRound.admit`."""
        with self._lock:
            state = self._round_state(self._reader.job())
            state.admit(signed)
        plan = state.plan
        return UploadLimits(plan.commitments_bytes, plan.matrix_bytes + SEALING_OVERHEAD_BYTES)

    def receive_share(self, signed: SignedMessage, commitments: bytes, blob: bytes) -> SignedMessage:
        """Take a share; see `NodeRound.receive_share`. The job goes on while it is decoded and stored."""
        with self._lock:
            state = self._round_state(self._reader.job())
        with self._opening:
            share = state.open_share(signed, commitments, blob)
        with self._lock:
            return state.take(share)

    def attestation(self, number: int) -> Attestation:
        """The node's signature for a round; `WrongPhase` until it has verified the posted proofs."""
        attested = self._attested  # no lock: while it verifies, a peer without answer would take it for dead
        if attested is None or attested.round != number:
            raise WrongPhase(f"round {number} is not attested here yet", party=f"zk-node {self._node}")
        return Attestation(self._node, attested.digest, attested.signature)

    def key_share(self, account: bytes, number: int) -> bytes:
        """The node's share of a key of the job, sealed to an account; see `KeyCustodian.release`."""
        return self._custodian.release(account, number)

    def step(self) -> bool:
        """Do what the round asks of this node now; returns whether the job has ended."""
        job = self._reader.job()
        if job.status.ended:
            done = claim_if_due(self._ledger, job, self._report)
            if done:
                release_if_over(self._ledger, self._store, job)
            return done
        if job.status is JobStatus.RUNNING:
            self._noise.step(job)
            with self._lock:
                state = self._round_state(job)
            state.verify_norms()  # of those who have submitted already, while others train
            with self._lock:
                self._step_round(job)
            self._open_slice(job)
        self._keep_content()
        advance_if_due(self._ledger, job, patience_s=PATIENCE_S * self._node)
        return False

    def _keep_content(self) -> None:
        """Keep what the owner stored, once its keys are handed over: it may go, and its copies with it."""
        if self._kept or time.monotonic() < self._keep_after:
            return
        digest = self._ledger.key_shares(self._reader.job_id)
        if digest is None:
            return
        try:
            keep_job_content(self._reader, self._store, digest)
            self._kept = True
        except (StorageError, InvalidEncoding):
            self._keep_after = time.monotonic() + KEEP_AGAIN_S

    def _round_state(self, job: Job) -> NodeRound:
        number = job.current_round
        if self._round is None or self._round.plan.context.round != number:
            plan = self._reader.plan(job, self._reader.round(number))
            # Whatever the trainer does with its copies, members find the commitments in storage, and this
            # node, after a crash, its share.
            self._round = NodeRound(
                plan, self._node, self._identity.account, self._identity.encryption, self._store
            )
            self._public, self._attested = None, None
        return self._round

    def _step_round(self, job: Job) -> None:
        state = self._round_state(job)
        round_ = self._reader.round(job.current_round)
        own = 1 << (self._node - 1)
        if round_.phase is Phase.CHECK and not round_.reported & own:
            self._check(state)
        elif round_.phase is Phase.AGGREGATE and round_.quorum & own and not round_.delivered & own:
            final = self._reader.final_round(job.current_round)
            if final is not None and final.phase is Phase.AGGREGATE:
                self._release(state, final)
        elif round_.phase is Phase.ATTEST and not self._waits_for_slice(job, round_):
            self._attest(state, round_)

    def _waits_for_slice(self, job: Job, round_: Round) -> bool:
        """Whether attesting now would close the round before its slice of the test set is open."""
        return slice_is_due(job, round_) and time.time() < round_.deadline - job.terms.durations.attest / 2

    def _check(self, state: NodeRound) -> None:
        """Check everything that was submitted, and report."""
        context = state.plan.context
        verdict = state.report(self._servable(state))
        for fault in verdict.faults:
            self._report(fault_event(fault, context.job, context.round))
        self._ledger.report(context.job, context.round, verdict.accepted)
        self._report(
            RoleEvent("reported", context.job, context.round, {"accepted": verdict.accepted.bit_count()})
        )

    def _servable(self, state: NodeRound) -> dict[int, bytes]:
        """Commitment roots of the submissions whose share is here and whose commitments members can fetch."""
        context = state.plan.context
        roots = {}
        submissions = self._reader.submissions(context.round)
        left_s = self._reader.round(context.round).deadline - time.time()
        # Whoever does not deliver must not take the time of those who do.
        timeout_s = max(LEAST_WAIT_S, left_s / (2 * FETCHES * max(1, len(submissions))))
        for trainer, submission in submissions.items():
            try:
                self._obtain(state, trainer, submission, timeout_s)
                roots[trainer] = submission.commitment_root
            except (ProtocolFault, NotAuthorized) as fault:  # a share may name who has not joined
                self._report(fault_event(fault, context.job, context.round))
        return roots

    def _obtain(self, state: NodeRound, trainer: int, submission: Submission, timeout_s: float) -> None:
        """Make sure that storage has what the submission names, and take the share if it was not streamed.

        Manifest and commitments are kept: members need them, whatever becomes of the trainer.
        """
        plan, root = state.plan, submission.commitment_root
        manifest = self._reader.submission(plan, trainer, submission.manifest, timeout_s)
        commitments = self._reader.commitments(plan, trainer, manifest, timeout_s)
        signed, blob = self._reader.share(plan, trainer, manifest, root, self._node, timeout_s)
        for cid in (ContentId.from_digest(submission.manifest), ContentId.parse(manifest.commitments)):
            self._store.keep(cid, max_size_bytes=MAX_CONTENT_BYTES, timeout_s=timeout_s)
        if state.holds(trainer, root):
            state.require_same(trainer, signed, commitments, blob)
        else:
            state.receive_share(signed, commitments, blob)

    def _release(self, state: NodeRound, round_: Round) -> None:
        context = state.plan.context
        if not state.has_reported:
            state.report(self._servable(state))  # restarted since: the shares again, from storage
        self._require_final(state, round_)
        share = state.release(round_.accepted, self._journal)
        blob_id = str(self._store.put(share.blob))
        manifest = self._store.put(share.manifest(self._node, blob_id).to_bytes())
        self._ledger.post_aggregate(context.job, context.round, share.share_root, manifest.digest)
        self._report(RoleEvent("aggregate_posted", context.job, context.round, {"bytes": len(share.blob)}))

    def _require_final(self, state: NodeRound, final: Round) -> None:
        """Refuse to release unless the finalised ledger has the job and the commitments that were checked.

        A bit of I means whoever joined in that place: the plan came from the latest block, and the ledger may
        have another order of trainers by now, or other submissions.
        """
        plan, number = state.plan, final.number
        submissions = self._reader.submissions(number, finalized=True)
        same_job = self._reader.plan(self._reader.job(finalized=True), final) == plan
        same_roots = all(
            trainer in submissions and state.holds(trainer, submissions[trainer].commitment_root)
            for trainer in members_of(final.accepted)
        )
        if same_job and same_roots:
            return
        self._round = None  # the next step begins anew from what the ledger says then
        raise Equivocation(
            "the finalised ledger has other trainers, terms or submissions than were checked",
            party="ledger",
            field="trainers" if not same_job else "submissions",
        )

    def _attest(self, state: NodeRound, round_: Round) -> None:
        if self._attested is None:
            self._attested = self._sign(state, round_)
        # Those who delivered in this round are alive: they take turns, and are asked first.
        alive = [index + 1 for index in members_of(self._attested.valid)]
        others = [node for node in range(1, state.plan.committee.size + 1) if node not in alive]
        turn = (alive + others).index(self._node)
        if time.monotonic() < self._attested.began + TURN_S * turn:
            return
        signatures = {self._node: self._attested.signature}
        for node in alive + others:
            if len(signatures) == state.plan.committee.threshold:
                break
            if node != self._node and (signature := self._ask(state, node, self._attested)):
                signatures[node] = signature
        if len(signatures) < state.plan.committee.threshold:
            return
        context = state.plan.context
        self._ledger.attest(
            context.job,
            context.round,
            self._attested.aggregate_root,
            self._attested.valid,
            bitmap_of(node - 1 for node in signatures),
            signature_to_ledger(aggregate_signatures(list(signatures.values()))),
        )
        self._report(RoleEvent("attested", context.job, context.round, {"signers": len(signatures)}))

    def _sign(self, state: NodeRound, round_: Round) -> _Attested:
        """Verify every posted proof and sign for those that hold."""
        context = state.plan.context
        public = self._public or self._aggregate(state, round_.accepted)
        self._public = public
        valid = []
        for node in (index + 1 for index in members_of(round_.delivered)):
            try:
                public.require_proof(node, self._reader.aggregate_manifest(state.plan, node))
                valid.append(node)
            except ProtocolFault as fault:
                self._report(fault_event(fault, context.job, context.round))
        bitmap = bitmap_of(node - 1 for node in valid)
        digest = attestation_digest(context, round_.accepted, public.root, bitmap, round_.posts)
        signature = self._bls.sign(digest)
        return _Attested(context.round, digest, bitmap, public.root, signature, time.monotonic())

    def _aggregate(self, state: NodeRound, accepted: int) -> PublicAggregate:
        """The sum of the accepted commitments: as summed while they came in, else from storage."""
        if state.accepts(accepted):
            return state.public_aggregate(accepted)
        return self._reader.public_aggregate(state.plan, accepted)

    def _open_slice(self, job: Job) -> None:
        """Open the slice of the test set that is due, with the other zk-nodes' shares of its key."""
        number = job.slices_opened + 1
        if not slice_is_due(job, self._reader.round(job.current_round)):
            return
        if self._slice is None or self._slice.number != number:
            self._slice = _SliceOpening(number, self._collector(number), time.monotonic())
        if time.monotonic() < self._slice.began + TURN_S * (self._node - 1):
            return
        key = self._slice.collector.collect(job)
        if key is not None:
            self._ledger.open_slice(job.id, job.current_round, key)
            self._report(RoleEvent("slice_opened", job.id, job.current_round, {"slice": number}))

    def _collector(self, number: int) -> KeyCollector:
        job, encryption = self._reader.job_id, self._identity.encryption

        def report(error: ZkpflError) -> None:
            self._report(fault_event(error, job, None))

        collector = KeyCollector(self._ledger, self._reader, encryption, number, self._clients.of, report)
        try:
            collector.add(self._node, self._custodian.share(number))
        except ZkpflError as error:
            report(error)  # the others' shares may do
        return collector

    def _ask(self, state: NodeRound, node: int, own: _Attested) -> bytes | None:
        """A peer's signature over the same attestation; None if it has none yet or signed another."""
        record = registered_node(self._ledger, state.plan.nodes[node - 1].address)
        try:
            reply = self._clients.of(node).attestation(state.plan.context, timeout_s=PEER_TIMEOUT_S)
            if reply.digest != own.digest:
                raise WrongContext("attests something else", party=f"zk-node {node}", field="digest")
            if not BlsPublicKey.from_ledger(record.bls_key).verify(own.digest, reply.signature):
                raise BadSignature("the attestation is not signed by its key", party=f"zk-node {node}")
        except WrongPhase:
            return None
        except ZkpflError as error:
            self._report(fault_event(error, state.plan.context.job, state.plan.context.round))
            return None
        return reply.signature
