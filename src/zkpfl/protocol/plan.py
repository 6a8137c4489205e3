"""What a round is: all that is public and fixed before it begins (docs/spec.md §2, §5, §6)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from zkpfl.crypto.generators import Generators, generators
from zkpfl.crypto.merkle import keccak256
from zkpfl.crypto.points import POINT_BYTES
from zkpfl.crypto.proofs import norm
from zkpfl.crypto.transcript import Context
from zkpfl.errors import InvalidParameter, NotAuthorized
from zkpfl.params import FIRST_NOISE, Committee, Layout


@dataclass(frozen=True)
class CommitteeMember:
    """One zk-node of the committee, as the ledger registered it.

    Parameters
    ----------
    address
        Account, 20 bytes.
    encryption_key
        X25519 public key, 32 bytes.
    """

    address: bytes
    encryption_key: bytes


@dataclass(frozen=True)
class RoundPlan:
    """A round of a job.

    Parameters
    ----------
    context
        Chain, contract, job and round.
    layout
        Shape of a submission.
    committee
        Size and threshold.
    nodes
        The m zk-nodes; node j is ``nodes[j - 1]``.
    trainers
        Accounts of the joined trainers; trainer i is ``trainers[i]``.
    quorum
        Fewest trainers whose sum may be released, at least 2.
    member_key
        X25519 public key to which aggregate shares are sealed, 32 bytes.
    noise_quorum
        Of how many zk-nodes the sum must have noise, 0 in a round without noise of theirs.
    checkpoint
        Hash of the last scored model, from which the round starts, 32 bytes; zero bytes before the first.
    """

    context: Context
    layout: Layout
    committee: Committee
    nodes: tuple[CommitteeMember, ...]
    trainers: tuple[bytes, ...]
    quorum: int
    member_key: bytes
    noise_quorum: int = 0
    checkpoint: bytes = bytes(32)

    def __post_init__(self) -> None:
        if len(self.nodes) != self.committee.size:
            raise InvalidParameter(
                f"must list the {self.committee.size} zk-nodes, got {len(self.nodes)}", field="nodes"
            )
        if self.quorum < 2:
            raise InvalidParameter("must be at least 2: the sum of one update is that update", field="quorum")
        if len(self.trainers) > self.layout.max_trainers:
            raise InvalidParameter(f"at most {self.layout.max_trainers} trainers", field="trainers")
        bring_noise = self.committee.size if self.noise_quorum else 0
        if self.layout.noise_parties != bring_noise or self.noise_quorum > bring_noise:
            room = self.layout.noise_parties
            text = f"the layout has room for the noise of {room} zk-nodes, {self.noise_quorum} must bring it"
            raise InvalidParameter(text, field="noise_quorum")

    def submitter(self, account: bytes) -> int | None:
        """Place of an account in sets of trainers; see `place_of`."""
        noisy = [node.address for node in self.nodes] if self.noise_quorum else []
        return place_of(account, self.trainers, noisy)

    def account_of(self, submitter: int) -> bytes:
        """Account of whoever has this place in sets of trainers; `InvalidParameter` if nobody has."""
        if 0 <= submitter < len(self.trainers):
            return self.trainers[submitter]
        if self.noise_quorum and FIRST_NOISE <= submitter < FIRST_NOISE + len(self.nodes):
            return self.nodes[submitter - FIRST_NOISE].address
        raise InvalidParameter(f"nobody in this round has the place {submitter}", field="accepted")

    def is_noise(self, submitter: int) -> bool:
        """Whether this place is that of a zk-node's noise."""
        return bool(self._noise >> submitter & 1)

    def party(self, submitter: int) -> str:
        """What errors and reports call whoever has this place in sets of trainers."""
        if self.is_noise(submitter):
            return f"noise of zk-node {submitter - FIRST_NOISE + 1}"
        return f"trainer {submitter}"

    def require_quorum(self, accepted: int) -> None:
        """Raise `NotAuthorized` unless a sum hides each of its trainers and has the noise that it needs."""
        noise = (accepted & self._noise).bit_count()
        trainers = accepted.bit_count() - noise
        if trainers < self.quorum:
            text = f"{trainers} trainers are below the quorum of {self.quorum}"
            raise NotAuthorized(text, party="ledger", field="accepted")
        if noise < self.noise_quorum:
            text = f"the noise of {noise} zk-nodes is less than that of {self.noise_quorum}"
            raise NotAuthorized(text, party="ledger", field="accepted")

    @property
    def _noise(self) -> int:
        """Places of the zk-nodes that bring noise, as a set of trainers."""
        return ((1 << len(self.nodes)) - 1) << FIRST_NOISE if self.noise_quorum else 0

    @property
    def generators(self) -> Generators:
        """The generators for the layout's columns."""
        return generators(self.layout.columns)

    @property
    def submission_points(self) -> int:
        """R + (t−1)·P: how many commitments a submission has."""
        return self.layout.lane_rows + (self.committee.threshold - 1) * self.layout.packed_rows

    @property
    def points_bytes(self) -> int:
        """Size of a submission's compressed points."""
        return POINT_BYTES * self.submission_points

    @property
    def commitments_bytes(self) -> int:
        """Size of a submission's commitments: compressed points, then the norm proof."""
        return self.points_bytes + norm.proof_bytes(self.layout.lane_rows, self.layout.columns)

    @property
    def matrix_bytes(self) -> int:
        """Size of a share or an aggregate share that is sent as a matrix: P·(N + 1) scalars."""
        return self.layout.packed_rows * (self.layout.columns + 1) * 32

    @property
    def rotation_seed(self) -> bytes:
        """Public seed of the round's rotation (docs/spec.md §3.1), 32 bytes."""
        return keccak256(b"ZKPFL-V1-ROTATION" + self.context.to_bytes())

    def accepted_hash(self, accepted: int, roots: Mapping[int, bytes]) -> bytes:
        """What a release is recorded under: who is in I and what each committed to, whatever their numbers.

        A bitmap would not do: it means other people once the ledger lists the trainers in another order.

        Parameters
        ----------
        accepted
            The accepted set I as a bitmap of trainers.
        roots
            Commitment root of each of them, 32 bytes.
        """
        pairs = sorted(self.account_of(number) + roots[number] for number in members_of(accepted))
        return keccak256(b"ZKPFL-V1-ACCEPTED" + b"".join(pairs))

    def share_context(self, trainer: bytes, node: int) -> bytes:
        """What the sealing of a share is bound to."""
        return b"share" + self.context.to_bytes() + trainer + bytes([node])

    def aggregate_share_context(self, node: int) -> bytes:
        """What the sealing of an aggregate share is bound to."""
        return b"aggregate-share" + self.context.to_bytes() + bytes([node])


def place_of(account: bytes, trainers: Sequence[bytes], noisy: Sequence[bytes]) -> int | None:
    """Place of an account in sets of trainers: as a trainer, or for its noise; None if it has none.

    Parameters
    ----------
    account
        bytes[20].
    trainers, noisy
        Accounts of the joined trainers, and of the zk-nodes that bring noise, in their order.
    """
    if account in trainers:
        return trainers.index(account)
    return FIRST_NOISE + noisy.index(account) if account in noisy else None


def members_of(bitmap: int) -> Iterator[int]:
    """Trainers in a bitmap, ascending."""
    return (number for number in range(bitmap.bit_length()) if bitmap >> number & 1)


def bitmap_of(numbers: Iterable[int]) -> int:
    """Bitmap with the bits ``numbers`` set."""
    bitmap = 0
    for number in numbers:
        bitmap |= 1 << number
    return bitmap
