"""A zk-node's process: takes shares, reports, releases one proved sum, attests the others' proofs."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass

from zkpfl import __version__
from zkpfl.crypto.bls import (
    BlsPublicKey,
    BlsSecretKey,
    aggregate_signatures,
    attestation_digest,
    possession_digest,
    signature_to_ledger,
)
from zkpfl.crypto.transcript import Context
from zkpfl.errors import BadSignature, NotAuthorized, ProtocolFault, WrongContext, WrongPhase, ZkpflError
from zkpfl.ledger.client import LedgerClient
from zkpfl.ledger.records import Job, JobStatus, Phase, Round
from zkpfl.protocol.aggregate import PublicAggregate
from zkpfl.protocol.messages import SignedMessage
from zkpfl.protocol.plan import bitmap_of, members_of
from zkpfl.protocol.zk_node import NodeRound, ReleaseJournal
from zkpfl.roles.events import Reporter, RoleEvent, fault_event
from zkpfl.roles.identity import Identity
from zkpfl.roles.job_reader import SEALING_OVERHEAD_BYTES, JobReader, registered_node
from zkpfl.roles.loop import RoleLoop, advance_if_due
from zkpfl.rpc.client import NodeClient
from zkpfl.rpc.handler import Attestation, NodeStatus, UploadLimits
from zkpfl.storage.cid import ContentId
from zkpfl.storage.store import Store

PATIENCE_S = 0.3
TURN_S = 1.0
"""Each node leaves it this long to every one before it to send the common attestation."""
PEER_TIMEOUT_S = 2.0
MAX_CONTENT_BYTES = 1 << 32


class ZkNodeRole:
    """Serves every job whose committee names this node.

    Parameters
    ----------
    ledger
        Client with the node's account.
    store
        Content-addressed storage.
    identity
        Account, encryption and BLS key.
    journal
        Durable memory of releases.
    report
        Told of progress and faults.
    """

    def __init__(
        self,
        ledger: LedgerClient,
        store: Store,
        identity: Identity,
        journal: ReleaseJournal,
        report: Reporter,
    ) -> None:
        if identity.bls is None:
            raise NotAuthorized(
                "this identity has no BLS key", field="identity", hint="make one with `zkpfl keys new --node`"
            )
        self._ledger = ledger
        self._store = store
        self._identity = identity
        self._bls = BlsSecretKey.from_bytes(identity.bls)
        self._journal = journal
        self._report = report
        self._duties: dict[int, _Duty] = {}
        self._jobs_seen = 0

    def register(self, endpoint: str, stake: int) -> None:
        """Register key, endpoint and stake, unless this account is registered already.

        Raises
        ------
        WrongContext
            Registered with another key or endpoint.
        """
        record = self._ledger.node(self._identity.account.address)
        public = self._bls.public
        if record is not None:
            if record.bls_key != public.to_ledger() or record.endpoint != endpoint:
                raise WrongContext(
                    f"this account is registered at {record.endpoint}",
                    party="zk-node",
                    field="endpoint",
                    hint="serve there, or unstake and register anew",
                )
            return
        digest = possession_digest(
            self._ledger.chain_id, self._ledger.contract, self._identity.account.address, public
        )
        possession = signature_to_ledger(self._bls.prove_possession(digest))
        self._ledger.register_node(
            public.to_ledger(), possession, self._identity.encryption.public, endpoint, stake
        )

    def run(self, stop: threading.Event) -> None:
        """Serve until ``stop`` is set."""
        try:
            RoleLoop(self._ledger, stop, self._report).run(self._step)
        finally:
            for duty in self._duties.values():
                duty.close()

    # The calls of the gRPC service, each from its own thread

    def admit(self, signed: SignedMessage) -> UploadLimits:
        """How large an upload may be; refuses one that is not for this node, job and round, or not signed."""
        return self._duty(signed.message.context).admit(signed)

    def receive_share(self, signed: SignedMessage, commitments: bytes, blob: bytes) -> SignedMessage:
        """Take a trainer's share; see `NodeRound.receive_share`."""
        context = signed.message.context
        receipt = self._duty(context).receive_share(signed, commitments, blob)
        trainer = f"0x{signed.message.trainer.hex()}"
        size = len(commitments) + len(blob)
        self._report(
            RoleEvent("share_received", context.job, context.round, {"trainer": trainer, "bytes": size})
        )
        return receipt

    def attestation(self, context: Context) -> Attestation:
        """The node's signature over the round's attestation; `WrongPhase` until the proofs have verified."""
        return self._duty(context).attestation(context.round)

    def content(self, content_id: str) -> Iterator[bytes]:
        """Stored content by id."""
        return self._store.stream(ContentId.parse(content_id), max_size_bytes=MAX_CONTENT_BYTES)

    def status(self) -> NodeStatus:
        """Who this is and what it serves."""
        return NodeStatus(
            address=self._identity.account.address,
            version=__version__,
            jobs=tuple(sorted(self._duties)),
            block_number=self._ledger.block_number(),
        )

    def _duty(self, context: Context) -> _Duty:
        if (context.chain_id, context.contract) != (self._ledger.chain_id, self._ledger.contract):
            raise WrongContext("another ledger", party="peer", field="context")
        self._find_jobs()
        if context.job not in self._duties:
            raise WrongContext(
                f"this node does not serve job {context.job}", party="peer", field="context.job"
            )
        return self._duties[context.job]

    def _step(self) -> bool:
        self._find_jobs()
        for job_id, duty in list(self._duties.items()):
            try:
                ended = duty.step()
            except ProtocolFault as fault:
                self._report(fault_event(fault, job_id, None))
                continue
            if ended:
                self._duties.pop(job_id).close()
        return False

    def _find_jobs(self) -> None:
        for job_id in range(self._jobs_seen + 1, self._ledger.job_count() + 1):
            job = self._ledger.job(job_id)
            address = self._identity.account.address
            if address in job.committee and not job.status.ended:
                node = job.committee.index(address) + 1
                self._duties.setdefault(job_id, self._make_duty(job_id, node))
                self._report(RoleEvent("serving", job_id, fields={"node": node}))
            self._jobs_seen = max(self._jobs_seen, job_id)

    def _make_duty(self, job_id: int, node: int) -> _Duty:
        reader = JobReader(self._ledger, self._store, job_id)
        return _Duty(
            self._ledger, self._store, reader, self._identity, self._bls, self._journal, node, self._report
        )


@dataclass(frozen=True)
class _Attested:
    digest: bytes
    valid: int
    aggregate_root: bytes
    signature: bytes
    began: float


class _Duty:
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
        self._store = store
        self._reader = reader
        self._identity = identity
        self._bls = bls
        self._journal = journal
        self._node = node
        self._report = report
        self._lock = threading.RLock()
        self._round: NodeRound | None = None
        self._public: PublicAggregate | None = None
        self._attested: _Attested | None = None
        self._clients: dict[int, NodeClient] = {}

    def close(self) -> None:
        for client in self._clients.values():
            client.close()

    def admit(self, signed: SignedMessage) -> UploadLimits:
        with self._lock:
            state = self._round_state(self._reader.job())
            state.admit(signed)
        plan = state.plan
        return UploadLimits(48 * plan.submission_points, plan.matrix_bytes + SEALING_OVERHEAD_BYTES)

    def receive_share(self, signed: SignedMessage, commitments: bytes, blob: bytes) -> SignedMessage:
        with self._lock:
            job = self._reader.job()
            return self._round_state(job).receive_share(signed, commitments, blob)

    def attestation(self, number: int) -> Attestation:
        with self._lock:
            if self._attested is None or self._round is None or self._round.plan.context.round != number:
                raise WrongPhase(f"round {number} is not attested here yet", party=f"zk-node {self._node}")
            return Attestation(self._node, self._attested.digest, self._attested.signature)

    def step(self) -> bool:
        """Do what the round asks of this node now; returns whether the job has ended."""
        job = self._reader.job()
        if job.status.ended:
            self._claim()
            return True
        if job.status is JobStatus.RUNNING:
            with self._lock:
                self._step_round(job)
        advance_if_due(self._ledger, job, patience_s=PATIENCE_S * self._node)
        return False

    def _claim(self) -> None:
        owed = self._ledger.owed(self._reader.job_id, self._identity.account.address)
        if owed:
            self._ledger.claim(self._reader.job_id)
            self._report(RoleEvent("claimed", self._reader.job_id, fields={"amount": str(owed)}))

    def _round_state(self, job: Job) -> NodeRound:
        number = job.current_round
        if self._round is None or self._round.plan.context.round != number:
            plan = self._reader.plan(job, number, self._reader.round(number).kind)
            self._round = NodeRound(plan, self._node, self._identity.account, self._identity.encryption)
            self._public, self._attested = None, None
        return self._round

    def _step_round(self, job: Job) -> None:
        state = self._round_state(job)
        round_ = self._reader.round(job.current_round)
        own = 1 << (self._node - 1)
        if round_.phase is Phase.CHECK and not round_.reported & own:
            self._check(state)
        elif round_.phase is Phase.AGGREGATE and round_.quorum & own and not round_.delivered & own:
            final = self._reader.round(job.current_round, finalized=True)
            if final.phase is Phase.AGGREGATE:
                self._release(state, final)
        elif round_.phase is Phase.ATTEST:
            self._attest(state, round_)

    def _check(self, state: NodeRound) -> None:
        """Fetch from storage what was not streamed, check everything, report."""
        context = state.plan.context
        submissions = self._reader.submissions(context.round)
        for trainer, submission in submissions.items():
            if not state.holds(trainer, submission.commitment_root):
                self._fetch_share(state, trainer, submission.commitment_root, submission.manifest)
        roots = {trainer: submission.commitment_root for trainer, submission in submissions.items()}
        verdict = state.report(roots)
        for fault in verdict.faults:
            self._report(fault_event(fault, context.job, context.round))
        self._ledger.report(context.job, context.round, verdict.accepted)
        self._report(
            RoleEvent("reported", context.job, context.round, {"accepted": verdict.accepted.bit_count()})
        )

    def _fetch_share(self, state: NodeRound, trainer: int, root: bytes, manifest_digest: bytes) -> None:
        plan = state.plan
        try:
            manifest = self._reader.submission(plan, trainer, manifest_digest)
            signed, blob = self._reader.share(plan, trainer, manifest, root, self._node)
            state.receive_share(signed, self._reader.commitments(plan, trainer, manifest), blob)
        except ProtocolFault as fault:
            self._report(fault_event(fault, plan.context.job, plan.context.round))

    def _release(self, state: NodeRound, round_: Round) -> None:
        context = state.plan.context
        if not state.has_reported:
            self._restore(state)
        share = state.release(round_.accepted, self._journal)
        blob_id = str(self._store.put(share.blob))
        manifest = self._store.put(share.manifest(self._node, blob_id).to_bytes())
        self._ledger.post_aggregate(context.job, context.round, share.share_root, manifest.digest)
        self._report(RoleEvent("aggregate_posted", context.job, context.round, {"bytes": len(share.blob)}))

    def _restore(self, state: NodeRound) -> None:
        """After a restart: the shares again, from storage."""
        context = state.plan.context
        submissions = self._reader.submissions(context.round)
        for trainer, submission in submissions.items():
            self._fetch_share(state, trainer, submission.commitment_root, submission.manifest)
        state.report({trainer: submission.commitment_root for trainer, submission in submissions.items()})

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
        public = self._public or self._reader.public_aggregate(state.plan, round_.accepted)
        self._public = public
        posts = self._reader.posts(context.round)
        valid = []
        for node in (index + 1 for index in members_of(round_.delivered)):
            try:
                public.require_proof(node, self._reader.aggregate_manifest(state.plan, node))
                valid.append(node)
            except ProtocolFault as fault:
                self._report(fault_event(fault, context.job, context.round))
        bitmap = bitmap_of(node - 1 for node in valid)
        digest = attestation_digest(
            context,
            round_.accepted,
            public.root,
            bitmap,
            [(posts[node].share_root, posts[node].manifest) for node in valid],
        )
        return _Attested(digest, bitmap, public.root, self._bls.sign(digest), time.monotonic())

    def _ask(self, state: NodeRound, node: int, own: _Attested) -> bytes | None:
        """A peer's signature over the same attestation; None if it has none yet or signed another."""
        record = registered_node(self._ledger, state.plan.nodes[node - 1].address)
        if node not in self._clients:
            self._clients[node] = NodeClient(record.endpoint, party=f"zk-node {node}")
        try:
            reply = self._clients[node].attestation(state.plan.context, timeout_s=PEER_TIMEOUT_S)
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
