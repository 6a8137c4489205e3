"""A zk-node's part of a round: take shares, report, release one proved sum (docs/spec.md §5, §6)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from zkpfl.crypto.merkle import hash_blob, keccak256, share_root
from zkpfl.crypto.points import G1Array
from zkpfl.crypto.proofs import aggregation
from zkpfl.crypto.scalars import Scalars, sum_scalars
from zkpfl.crypto.sealing import EncryptionKey, open_from, seal_to
from zkpfl.crypto.sharing import ShareCheck, share_commitments
from zkpfl.crypto.signatures import AccountKey
from zkpfl.crypto.transcript import Context
from zkpfl.errors import (
    BadShare,
    CorruptContent,
    InvalidEncoding,
    NotAuthorized,
    NotDelivered,
    ProtocolFault,
    WrongContext,
)
from zkpfl.protocol.aggregate import PublicAggregate, decode_commitments
from zkpfl.protocol.manifests import AggregateManifest
from zkpfl.protocol.messages import MessageKind, ShareMessage, SignedMessage
from zkpfl.protocol.plan import RoundPlan, bitmap_of, members_of
from zkpfl.protocol.shares import decode_share, encode_matrix

MAX_UPLOADS = 8
"""Uploads of one trainer in one round; each may replace the one before, and each is kept in storage."""


class ReleaseJournal(Protocol):
    """Durable memory of the one accepted set per round for which a node releases anything."""

    def record(self, context: Context, accepted_hash: bytes) -> None:
        """Record, durably before returning; raises `Equivocation` if another set is recorded."""


@dataclass(frozen=True)
class Verdict:
    """What a zk-node reports about a round's submissions.

    Parameters
    ----------
    accepted
        Bitmap of trainers whose share verified.
    faults
        One error for each other submitter, naming it.
    """

    accepted: int
    faults: tuple[ProtocolFault, ...]


@dataclass(frozen=True)
class AggregateShare:
    """A zk-node's sum of shares, sealed to the members, with its proof; everything here is public."""

    share_root: bytes
    aggregate_root: bytes
    blob: bytes
    blob_hash: bytes
    proof: bytes

    def manifest(self, node: int, blob_id: str) -> AggregateManifest:
        """Manifest naming the stored blob by content id."""
        return AggregateManifest(
            node=node,
            blob=blob_id,
            blob_hash=self.blob_hash,
            share_root=self.share_root,
            aggregate_root=self.aggregate_root,
            proof=self.proof,
        )


@dataclass(frozen=True)
class _Received:
    commitment_root: bytes
    points: G1Array
    rows: Scalars


class NodeRound:
    """State of one zk-node in one round.

    Parameters
    ----------
    plan
        The round.
    node
        This node's number, 1…m.
    account
        This node's account key; signs receipts.
    encryption
        This node's X25519 key; opens shares.
    """

    def __init__(self, plan: RoundPlan, node: int, account: AccountKey, encryption: EncryptionKey) -> None:
        self.plan = plan
        self.node = node
        self._account = account
        self._encryption = encryption
        self._received: dict[int, _Received] = {}
        self._uploads: dict[int, int] = {}
        self._verdict: Verdict | None = None

    def holds(self, trainer: int, commitment_root: bytes) -> bool:
        """Whether a share of trainer ``trainer`` under this commitment root is here."""
        received = self._received.get(trainer)
        return received is not None and received.commitment_root == commitment_root

    def commitments(self, trainer: int) -> bytes:
        """Compressed points of a trainer whose share is here."""
        return self._received[trainer].points.encode()

    @property
    def has_reported(self) -> bool:
        """Whether the shares of this round have been checked."""
        return self._verdict is not None

    def admit(self, signed: SignedMessage) -> int:
        """Number of the trainer who sends a share, from its signed message alone, before any of its bytes.

        Raises
        ------
        WrongContext
            For another chain, contract, job, round or node, or after the check.
        NotAuthorized
            The trainer has not joined the job, or has sent too many shares in this round.
        BadSignature
            Not signed by the trainer that it names.
        """
        trainer = self._require_addressed(signed.message)
        party = f"trainer {trainer}"
        if self._verdict is not None:
            # A share exchanged after the check would be summed unchecked, and this node blamed for it.
            raise WrongContext("the shares of this round are already checked", party=party, field="round")
        if signed.kind is not MessageKind.SHARE:
            raise WrongContext(f"a {signed.kind.value.lower()} is not a share", party=party, field="kind")
        signed.require_signer(signed.message.trainer, party)
        if self._uploads.get(trainer, 0) >= MAX_UPLOADS:
            text = f"sent {MAX_UPLOADS} shares in this round already"
            raise NotAuthorized(text, party=party, field="round")
        return trainer

    def receive_share(self, signed: SignedMessage, commitments: bytes, blob: bytes) -> SignedMessage:
        """Take one share and acknowledge it.

        Parameters
        ----------
        signed
            The trainer's signed share message.
        commitments
            Compressed points of the submission.
        blob
            The sealed share.

        Returns
        -------
        SignedMessage
            This node's receipt.

        Raises
        ------
        ProtocolFault
            As `admit` does.
        NotDelivered
            Bytes that do not yield what was signed.
        """
        message = signed.message
        trainer = self.admit(signed)
        party = f"trainer {trainer}"
        points = decode_commitments(self.plan, commitments, message.commitment_root, party=party)
        rows = self._open_share(message, blob, party)
        self._uploads[trainer] = self._uploads.get(trainer, 0) + 1
        self._received[trainer] = _Received(message.commitment_root, points, rows)
        return message.sign(MessageKind.RECEIPT, self._account)

    def report(self, submissions: dict[int, bytes]) -> Verdict:
        """Check every received share against the commitments, all at once; later shares are refused.

        Parameters
        ----------
        submissions
            Commitment root of each submission on the ledger.

        Returns
        -------
        Verdict
            The accepted trainers, and a fault for each other submitter.
        """
        check = ShareCheck(self.plan.generators)
        faults: list[ProtocolFault] = []
        for trainer, root in sorted(submissions.items()):
            if not self.holds(trainer, root):
                faults.append(NotDelivered("no share arrived", party=f"trainer {trainer}", field="share"))
                continue
            received = self._received[trainer]
            check.add(trainer, received.rows, self._commitments_to(received.points))
        bad = {fault.trainer_id: fault.row for fault in check.faulty()}
        faults += [
            BadShare(f"row {row} fails its commitment", party=f"trainer {trainer}", field=f"row {row}")
            for trainer, row in sorted(bad.items())
        ]
        accepted = bitmap_of(
            trainer
            for trainer, root in submissions.items()
            if self.holds(trainer, root) and trainer not in bad
        )
        self._verdict = Verdict(accepted, tuple(faults))
        return self._verdict

    def public_aggregate(self, accepted: int) -> PublicAggregate:
        """The sum of the commitments of ``accepted``, all of which this node must hold."""
        members = [trainer for trainer in members_of(accepted) if trainer in self._received]
        return PublicAggregate(
            self.plan,
            accepted,
            roots={trainer: self._received[trainer].commitment_root for trainer in members},
            points={trainer: self._received[trainer].points for trainer in members},
        )

    def release(self, accepted: int, journal: ReleaseJournal) -> AggregateShare:
        """Sum the accepted shares, seal the sum to the members and prove it; for one accepted set only, ever.

        Parameters
        ----------
        accepted
            The accepted set I, read from a finalised block.
        journal
            Written before anything is computed.

        Raises
        ------
        NotAuthorized
            I is below the quorum or not a subset of what this node accepted.
        Equivocation
            Another I was recorded for this round.
        """
        if accepted.bit_count() < self.plan.quorum:
            raise NotAuthorized(
                f"{accepted.bit_count()} trainers are below the quorum of {self.plan.quorum}",
                party="ledger",
                field="accepted",
            )
        if self._verdict is None or accepted & ~self._verdict.accepted:
            raise NotAuthorized(
                "has trainers that this node did not accept", party="ledger", field="accepted"
            )
        journal.record(self.plan.context, keccak256(accepted.to_bytes(32, "big")))
        return self._prove_sum(accepted)

    def _prove_sum(self, accepted: int) -> AggregateShare:
        total = self._sum_of_shares(accepted)
        root = share_root(total)
        context = self.plan.aggregate_share_context(self.node)
        blob = seal_to(self.plan.member_key, encode_matrix(total), context=context)
        blob_hash = hash_blob(blob)
        public = self.public_aggregate(accepted)
        statement = public.statement(self.node, root, blob_hash)
        proof = aggregation.prove(statement, aggregation.Witness(total), self.plan.generators)
        return AggregateShare(root, public.root, blob, blob_hash, proof)

    def _sum_of_shares(self, accepted: int) -> Scalars:
        return sum_scalars([self._received[trainer].rows for trainer in members_of(accepted)])

    def _commitments_to(self, points: G1Array) -> G1Array:
        return share_commitments(points, self.plan.layout, self.plan.committee, self.node)

    def _require_addressed(self, message: ShareMessage) -> int:
        party = f"trainer 0x{message.trainer.hex()}"
        if message.context != self.plan.context:
            raise WrongContext("the share belongs to another job or round", party=party, field="context")
        if message.node != self.node:
            raise WrongContext(f"the share is for zk-node {message.node}", party=party, field="node")
        if message.trainer not in self.plan.trainers:
            raise NotAuthorized("has not joined the job", party=party, field="trainer")
        return self.plan.trainers.index(message.trainer)

    def _open_share(self, message: ShareMessage, blob: bytes, party: str) -> Scalars:
        if hash_blob(blob) != message.blob_hash:
            raise NotDelivered("the sealed share is not the signed one", party=party, field="blob")
        try:
            context = self.plan.share_context(message.trainer, self.node)
            rows = decode_share(self.plan, self.node, open_from(self._encryption, blob, context=context))
        except (CorruptContent, InvalidEncoding) as error:
            raise NotDelivered(str(error), party=party, field="blob") from error
        if share_root(rows) != message.share_root:
            raise NotDelivered("rows do not yield the share root", party=party, field="share_root")
        return rows
