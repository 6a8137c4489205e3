"""A zk-node's process: takes shares, reports, releases one proved sum, attests the others' proofs."""

from __future__ import annotations

import threading
from collections.abc import Iterator

from zkpfl import __version__
from zkpfl.crypto.bls import (
    BlsSecretKey,
    possession_digest,
    signature_to_ledger,
)
from zkpfl.crypto.transcript import Context
from zkpfl.errors import (
    DeadlineExceeded,
    LedgerError,
    NotAuthorized,
    Unavailable,
    WrongContext,
    ZkpflError,
)
from zkpfl.ledger.client import LedgerClient
from zkpfl.ledger.records import JobStatus
from zkpfl.protocol.messages import SignedMessage
from zkpfl.protocol.zk_node import ReleaseJournal
from zkpfl.roles.events import Reporter, RoleEvent, fault_event
from zkpfl.roles.identity import Identity
from zkpfl.roles.job_reader import JobReader
from zkpfl.roles.job_storage import MAX_CONTENT_BYTES
from zkpfl.roles.loop import RoleLoop
from zkpfl.roles.node_clients import transport_identity
from zkpfl.roles.node_duty import NodeDuty
from zkpfl.rpc.handler import Attestation, NodeStatus, UploadLimits
from zkpfl.storage.cid import ContentId
from zkpfl.storage.store import Store


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

    Attributes
    ----------
    transport
        Whom the node's connections speak for.
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
        self.transport = transport_identity(identity.account, ledger)
        self._duties: dict[int, NodeDuty] = {}
        self._jobs_seen = 0
        self._undrawn: set[int] = set()

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

    def key_share(self, context: Context, account: bytes, number: int) -> bytes:
        """The node's share of a key of a job, sealed to an account; see `KeyCustodian.release`."""
        return self._duty(context).key_share(account, number)

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

    def _duty(self, context: Context) -> NodeDuty:
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
            if self._ended(job_id, duty):
                self._duties.pop(job_id).close()
        return False

    def _ended(self, job_id: int, duty: NodeDuty) -> bool:
        """Take one step of a job; what is wrong with one job must not stop the others."""
        try:
            return duty.step()
        except (Unavailable, DeadlineExceeded):
            raise  # the ledger does not answer: no job can go on
        except LedgerError as error:
            self._report(RoleEvent("overtaken", job_id, fields={"text": str(error)}))
        except ZkpflError as error:
            self._report(fault_event(error, job_id, None))
        return False

    def _find_jobs(self) -> None:
        count = self._ledger.job_count()
        new = self._ledger.unfinished_jobs(self._jobs_seen) if count > self._jobs_seen else []
        for job_id in (*sorted(self._undrawn), *new):
            job = self._ledger.job(job_id)
            self._undrawn.discard(job_id)
            if job.status is JobStatus.DRAWING:
                self._undrawn.add(job_id)
            address = self._identity.account.address
            if address in job.committee and not job.status.ended:
                node = job.committee.index(address) + 1
                self._duties.setdefault(job_id, self._make_duty(job_id, node))
                self._report(RoleEvent("serving", job_id, fields={"node": node}))
        self._jobs_seen = max(self._jobs_seen, count)

    def _make_duty(self, job_id: int, node: int) -> NodeDuty:
        reader = JobReader(self._ledger, self._store, job_id)
        return NodeDuty(
            self._ledger, self._store, reader, self._identity, self._bls, self._journal, node, self._report
        )
