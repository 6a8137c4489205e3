"""What a zk-node keeps of the shares of a round: running sums, and where each share lies (docs/spec.md §5).

Its memory does not grow with the number of trainers, but for a few hundred bytes each: a share and its
commitments are checked, added up and put into storage, sealed as they came, and read again only to leave a
trainer out of a sum or to find the row that fails.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from zkpfl.crypto.merkle import hash_blob, keccak256, share_root
from zkpfl.crypto.points import G1Array, combine_arrays
from zkpfl.crypto.scalars import Scalars, add_into, from_int, linear_combination
from zkpfl.crypto.sealing import EncryptionKey, open_from
from zkpfl.crypto.sharing import CombinedShare, ShareCheck, check_rows, combine_share, share_commitments
from zkpfl.errors import (
    BadShare,
    CorruptContent,
    InvalidEncoding,
    NotDelivered,
    ProtocolFault,
    StorageError,
)
from zkpfl.protocol.aggregate import decode_commitments, norm_proof_of
from zkpfl.protocol.messages import ShareMessage, SignedMessage
from zkpfl.protocol.norm_proofs import NormProofs
from zkpfl.protocol.plan import RoundPlan
from zkpfl.protocol.running_sum import RunningSum
from zkpfl.protocol.shares import decode_share

Handle = TypeVar("Handle")


class ShareArchive(Protocol[Handle]):
    """Where a zk-node puts what it received, public or sealed; every content-addressed store is one.

    What comes back is checked again: whoever keeps it need not be trusted with more than availability.
    """

    def put(self, data: bytes, /) -> Handle:
        """Store, durably before returning; the name gives the bytes back."""

    def get(self, handle: Handle, /, *, max_size_bytes: int) -> bytes:
        """Return the bytes of that name; raises `StorageError` if they are lost or longer."""


@dataclass(frozen=True)
class StoredShare:
    """Where a share and its commitments lie, and what the trainer signed about them."""

    signed: SignedMessage
    commitments: Any
    commitments_hash: bytes
    blob: Any
    blob_bytes: int


@dataclass(frozen=True)
class OpenedShare:
    """A share that is the signed one, and stored."""

    stored: StoredShare
    points: G1Array
    norm_proof: bytes
    rows: Scalars = field(repr=False)
    combined: CombinedShare = field(repr=False)


class ReceivedShares:
    """The shares of one round that a zk-node has taken.

    Parameters
    ----------
    plan
        The round.
    node
        This node's number, 1…m.
    encryption
        This node's X25519 key; opens shares.
    archive
        Where shares and commitments lie.
    """

    def __init__(
        self, plan: RoundPlan, node: int, encryption: EncryptionKey, archive: ShareArchive[Any]
    ) -> None:
        self._plan = plan
        self._node = node
        self._encryption = encryption
        self._archive = archive
        self._held: dict[int, StoredShare] = {}
        self._check = ShareCheck(plan.generators)
        self._norms = NormProofs(plan)
        self._rows = RunningSum(self._read_rows, _add_rows, _subtract_rows)
        self._points = RunningSum(self._read_points, _add_points, _subtract_points)

    def message(self, trainer: int) -> ShareMessage | None:
        """What the trainer signed about its share, if that is here."""
        held = self._held.get(trainer)
        return held.signed.message if held else None

    @property
    def commitment_roots(self) -> dict[int, bytes]:
        """Commitment root of every share that is here, by trainer."""
        return {trainer: held.signed.message.commitment_root for trainer, held in self._held.items()}

    def open(self, signed: SignedMessage, commitments: bytes, blob: bytes, party: str) -> OpenedShare:
        """Check that a share is the signed one, and store it; changes nothing here, so any thread may.

        Raises
        ------
        NotDelivered
            Bytes that do not yield what ``party`` signed.
        StorageError
            The archive takes nothing.
        """
        message = signed.message
        if hash_blob(blob) != message.blob_hash:
            raise NotDelivered("the sealed share is not the signed one", party=party, field="blob")
        points = decode_commitments(self._plan, commitments, message.commitment_root, party=party)
        rows = received_rows(self._plan, message, blob, self._encryption, party)
        # Weights are drawn now that share and commitments are fixed.
        plan = self._plan
        combined = combine_share(rows, points, plan.layout, plan.committee, self._node)
        archive = self._archive
        stored = StoredShare(
            signed, archive.put(commitments), keccak256(commitments), archive.put(blob), len(blob)
        )
        return OpenedShare(stored, points, norm_proof_of(plan, commitments), rows, combined)

    def take(self, trainer: int, share: OpenedShare) -> None:
        """Add up a share, whose rows become part of the sum, in place of an earlier one of this trainer.

        Whether the rows fit the commitments comes out in `faulty`, whether the norm is proved in `unproved`.

        Raises
        ------
        StorageError
            The archive has lost the earlier one. Then nothing has changed.
        """
        if trainer in self._held:
            rows, points = self._read_rows(trainer), self._read_points(trainer)
            self._rows.exclude(trainer, rows)
            self._points.exclude(trainer, points)
        self._held[trainer] = share.stored
        self._check.add(trainer, share.combined)
        self._norms.add(trainer, share.stored.signed.message.commitment_root, share.points, share.norm_proof)
        self._points.include(trainer, share.points)
        self._rows.include(trainer, share.rows)

    def faulty(self) -> frozenset[int]:
        """Trainers whose rows fail their commitments."""
        return self._check.faulty()

    def verify_norms(self) -> None:
        """Verify the norm proofs that have arrived, many at once; other threads may take shares meanwhile."""
        self._norms.verify()

    def unproved(self) -> frozenset[int]:
        """Trainers whose submission does not prove its norm."""
        self.verify_norms()
        roots = self.commitment_roots.items()
        return frozenset(trainer for trainer, root in roots if not self._norms.is_proved(trainer, root))

    def holds_commitments(self, trainer: int, commitments: bytes) -> bool:
        """Whether the commitments of a share that is here are these very bytes."""
        return keccak256(commitments) == self._held[trainer].commitments_hash

    def bad_share(self, trainer: int) -> BadShare:
        """The fault of a trainer in `faulty`, with the first row that fails, if it can still be read."""
        party = self._plan.party(trainer)
        try:
            commitments = self._commitments_to(self._read_points(trainer))
            row = check_rows(self._read_rows(trainer), commitments)
        except StorageError as error:
            return BadShare(f"a row fails its commitment; {error}", party=party, field="rows")
        return BadShare(f"row {row} fails its commitment", party=party, field=f"row {row}")

    def sum_of_rows(self, members: int) -> Scalars:
        """Sum of the shares of a bitmap of trainers that are here, shape [P, N + 1, 4]. Secret.

        Read only, and valid until the next call.

        Raises
        ------
        StorageError
            A share that must be read again is lost or altered.
        """
        total = self._rows.over(members).view()
        total.setflags(write=False)
        return total

    def sum_of_commitments(self, members: int) -> G1Array:
        """Elementwise sum of the commitments of a bitmap of trainers; raises as `sum_of_rows`."""
        return self._points.over(members)

    def _read_rows(self, trainer: int) -> Scalars:
        held = self._held[trainer]
        with self._own_fault(trainer):
            blob = self._archive.get(held.blob, max_size_bytes=held.blob_bytes)
            message = held.signed.message
            return received_rows(self._plan, message, blob, self._encryption, self._plan.party(trainer))

    def _read_points(self, trainer: int) -> G1Array:
        held, size = self._held[trainer], self._plan.commitments_bytes
        with self._own_fault(trainer):
            data = self._archive.get(held.commitments, max_size_bytes=size)
            root = held.signed.message.commitment_root
            return decode_commitments(self._plan, data, root, party=self._plan.party(trainer))

    @contextmanager
    def _own_fault(self, trainer: int) -> Iterator[None]:
        """What was here once and cannot be read again is this node's fault, whoever sent it."""
        try:
            yield
        except (StorageError, ProtocolFault) as error:
            raise StorageError(
                f"cannot be read again: {error}",
                party=f"zk-node {self._node}",
                field=f"share of {self._plan.party(trainer)}",
            ) from error

    def _commitments_to(self, points: G1Array) -> G1Array:
        return share_commitments(points, self._plan.layout, self._plan.committee, self._node)


def received_rows(
    plan: RoundPlan, message: ShareMessage, blob: bytes, key: EncryptionKey, party: str
) -> Scalars:
    """Rows of a sealed share, under its signed root but not yet compared with the commitments.

    The share root binds them, whatever the bytes are.

    Raises
    ------
    NotDelivered
        The blob is not what ``party`` signed, does not open or does not yield the share root.
    """
    try:
        context = plan.share_context(message.trainer, message.node)
        rows = decode_share(plan, message.node, open_from(key, blob, context=context))
    except (CorruptContent, InvalidEncoding) as error:
        raise NotDelivered(str(error), party=party, field="blob") from error
    if share_root(rows) != message.share_root:
        raise NotDelivered("rows do not yield the share root", party=party, field="share_root")
    return rows


def _add_rows(total: Scalars, rows: Scalars) -> Scalars:
    add_into(total, rows)
    return total


def _subtract_rows(total: Scalars, rows: Scalars) -> Scalars:
    return linear_combination((total, rows), from_int((1, -1)))


def _add_points(total: G1Array, points: G1Array) -> G1Array:
    return total + points


def _subtract_points(total: G1Array, points: G1Array) -> G1Array:
    return combine_arrays((total, points), from_int((1, -1)))
