"""A zk-node's part of a round: take shares, report, release one proved sum (docs/spec.md §5, §6)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from zkpfl.crypto.merkle import hash_blob, share_root
from zkpfl.crypto.proofs import aggregation
from zkpfl.crypto.scalars import Scalars
from zkpfl.crypto.sealing import EncryptionKey, seal_to
from zkpfl.crypto.signatures import AccountKey
from zkpfl.crypto.transcript import Context
from zkpfl.errors import BadProof, NotAuthorized, NotDelivered, ProtocolFault, WrongContext
from zkpfl.protocol.aggregate import PublicAggregate, require_roots
from zkpfl.protocol.manifests import AggregateManifest
from zkpfl.protocol.messages import MessageKind, ShareMessage, SignedMessage
from zkpfl.protocol.plan import RoundPlan, bitmap_of
from zkpfl.protocol.received import OpenedShare, ReceivedShares, ShareArchive
from zkpfl.protocol.shares import encode_matrix

MAX_UPLOADS = 8
"""Uploads of one trainer in one round, whatever becomes of them: each may cost a check of all its points."""


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
        Bitmap of trainers whose share and norm proof verified.
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
    archive
        Takes every share and its commitments before the receipt; a `Store` is one.
    """

    def __init__(
        self,
        plan: RoundPlan,
        node: int,
        account: AccountKey,
        encryption: EncryptionKey,
        archive: ShareArchive[Any],
    ) -> None:
        self.plan = plan
        self.node = node
        self._account = account
        self._received = ReceivedShares(plan, node, encryption, archive)
        self._uploads: dict[int, int] = {}
        self._verdict: Verdict | None = None
        self._public: PublicAggregate | None = None

    def holds(self, trainer: int, commitment_root: bytes) -> bool:
        """Whether a share of trainer ``trainer`` under this commitment root is here."""
        message = self._received.message(trainer)
        return message is not None and message.commitment_root == commitment_root

    @property
    def has_reported(self) -> bool:
        """Whether the shares of this round have been checked."""
        return self._verdict is not None

    def accepts(self, accepted: int) -> bool:
        """Whether this node accepted every trainer of ``accepted``."""
        return self._verdict is not None and not accepted & ~self._verdict.accepted

    def admit(self, signed: SignedMessage) -> int:
        """Number of the trainer who sends a share, from its signed message alone, before any of its bytes.

        Counts as one of the trainer's uploads; what the trainer did not sign is refused uncounted, so nobody
        else can use them up. What lies in storage needs no upload.

        Raises
        ------
        WrongContext
            For another chain, contract, job, round or node, or after the check.
        NotAuthorized
            The trainer has not joined the job, or has sent too many shares in this round.
        BadSignature
            Not signed by the trainer that it names.
        """
        trainer = self._require_admissible(signed)
        if self._uploads.get(trainer, 0) >= MAX_UPLOADS:
            text = f"sent {MAX_UPLOADS} shares in this round already"
            raise NotAuthorized(text, party=self.plan.party(trainer), field="round")
        self._uploads[trainer] = self._uploads.get(trainer, 0) + 1
        return trainer

    def _require_admissible(self, signed: SignedMessage) -> int:
        trainer = self._require_addressed(signed.message)
        party = self.plan.party(trainer)
        if self._verdict is not None:
            # A share exchanged after the check would be summed unchecked, and this node blamed for it.
            raise WrongContext("the shares of this round are already checked", party=party, field="round")
        if signed.kind is not MessageKind.SHARE:
            raise WrongContext(f"a {signed.kind.value.lower()} is not a share", party=party, field="kind")
        signed.require_signer(signed.message.trainer, party)
        return trainer

    def receive_share(self, signed: SignedMessage, commitments: bytes, blob: bytes) -> SignedMessage:
        """Take one share and acknowledge it: `open_share`, then `take`."""
        return self.take(self.open_share(signed, commitments, blob))

    def open_share(self, signed: SignedMessage, commitments: bytes, blob: bytes) -> OpenedShare:
        """Check and store what a trainer sent. Changes nothing here: several threads may do it at once.

        Parameters
        ----------
        signed
            The trainer's signed share message.
        commitments
            Compressed points of the submission, and its norm proof.
        blob
            The sealed share.

        Raises
        ------
        ProtocolFault, NotAuthorized
            As `admit` does, but for the number of uploads.
        NotDelivered
            Bytes that do not yield what was signed.
        StorageError
            The archive failed: this node's fault.
        """
        party = self.plan.party(self._require_admissible(signed))
        return self._received.open(signed, commitments, blob, party)

    def take(self, share: OpenedShare) -> SignedMessage:
        """Add up an opened share and acknowledge it.

        Returns
        -------
        SignedMessage
            This node's receipt.

        Raises
        ------
        ProtocolFault, NotAuthorized
            As `open_share` does: much may have happened since.
        StorageError
            The archive has lost what this share replaces: this node's fault.
        """
        signed = share.stored.signed
        trainer = self._require_admissible(signed)
        if self._received.message(trainer) != signed.message:  # else sent again: the receipt was lost
            self._received.take(trainer, share)
            self._public = None
        return signed.message.sign(MessageKind.RECEIPT, self._account)

    def require_same(self, trainer: int, signed: SignedMessage, commitments: bytes, blob: bytes) -> None:
        """Raise unless a trainer whose share is here put the very same into storage.

        Else it would be accepted for what it streamed, and an audit would find something else.

        Parameters
        ----------
        trainer
            Its number.
        signed, commitments, blob
            As its submission manifest names them.
        """
        party = self.plan.party(trainer)
        signed.require_signer(self.plan.account_of(trainer), party)
        message = self._received.message(trainer)
        if message is None or message != signed.message or hash_blob(blob) != message.blob_hash:
            raise NotDelivered("storage has another share than was streamed", party=party, field="manifest")
        if not self._received.holds_commitments(trainer, commitments):
            text = "storage has other commitments than were streamed"
            raise NotDelivered(text, party=party, field="commitments")

    def verify_norms(self) -> None:
        """Verify the norm proofs that have arrived, many at once. Other calls may run meanwhile."""
        self._received.verify_norms()

    def report(self, submissions: dict[int, bytes]) -> Verdict:
        """Check every received share and norm proof against the commitments; later shares are refused.

        Parameters
        ----------
        submissions
            Commitment root of each submission on the ledger.

        Returns
        -------
        Verdict
            The accepted trainers, and a fault for each other submitter.
        """
        bad = self._received.faulty()
        held = {trainer for trainer, root in submissions.items() if self.holds(trainer, root)}
        faults: list[ProtocolFault] = [
            NotDelivered("no share arrived", party=self.plan.party(trainer), field="share")
            for trainer in sorted(submissions.keys() - held)
        ]
        faults += [self._received.bad_share(trainer) for trainer in sorted(held & bad)]
        unproved = self._received.unproved()
        faults += [
            BadProof("does not prove its norm", party=self.plan.party(trainer), field="norm_proof")
            for trainer in sorted(held & unproved - bad)
        ]
        accepted = bitmap_of(held - bad - unproved)
        self._verdict = Verdict(accepted, tuple(faults))
        return self._verdict

    def public_aggregate(self, accepted: int) -> PublicAggregate:
        """The sum of the commitments of ``accepted``, all of which this node must hold."""
        if self._public is None or self._public.accepted != accepted:
            self._public = self._sum_commitments(accepted)
        return self._public

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
            I is below a quorum or not a subset of what this node accepted.
        Equivocation
            Another I was recorded for this round.
        StorageError
            A share that must be left out of the sum is lost: this node's fault.
        """
        self.plan.require_quorum(accepted)
        if not self.accepts(accepted):
            raise NotAuthorized(
                "has trainers that this node did not accept", party="ledger", field="accepted"
            )
        accepted_hash = self.plan.accepted_hash(accepted, self._received.commitment_roots)
        journal.record(self.plan.context, accepted_hash)
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
        return self._received.sum_of_rows(accepted)

    def _sum_commitments(self, accepted: int) -> PublicAggregate:
        roots = self._received.commitment_roots
        require_roots(accepted, roots)
        return PublicAggregate(self.plan, accepted, roots, self._received.sum_of_commitments(accepted))

    def _require_addressed(self, message: ShareMessage) -> int:
        party = f"trainer 0x{message.trainer.hex()}"
        if message.context != self.plan.context:
            raise WrongContext("the share belongs to another job or round", party=party, field="context")
        if message.node != self.node:
            raise WrongContext(f"the share is for zk-node {message.node}", party=party, field="node")
        submitter = self.plan.submitter(message.trainer)
        if submitter is None:
            raise NotAuthorized("has not joined the job", party=party, field="trainer")
        return submitter
