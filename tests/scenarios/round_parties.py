"""The parties of one round without network, disk or ledger, for the scenarios beside this file."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from zkpfl.crypto.bls import BlsSecretKey
from zkpfl.crypto.merkle import keccak256
from zkpfl.crypto.sealing import EncryptionKey, generate_encryption_key
from zkpfl.crypto.signatures import AccountKey
from zkpfl.crypto.transcript import Context
from zkpfl.errors import ContentTooLarge, Equivocation, NotFound
from zkpfl.params import Committee, Layout
from zkpfl.protocol.manifests import AggregateManifest
from zkpfl.protocol.member import MemberRound
from zkpfl.protocol.messages import SignedMessage
from zkpfl.protocol.plan import CommitteeMember, RoundPlan
from zkpfl.protocol.trainer import PreparedSubmission, prepare_submission
from zkpfl.protocol.zk_node import AggregateShare, NodeRound
from zkpfl.storage.cid import ContentId

CONTENT_ID = str(ContentId.of_block(b"content"))
LAYOUT = Layout(dimension=3000, norm_bound=1_000_000, max_trainers=8, columns=256)


class MemoryJournal:
    """A release journal that lives as long as the test."""

    def __init__(self) -> None:
        self.recorded: dict[bytes, bytes] = {}

    def record(self, context: Context, accepted_hash: bytes) -> None:
        if self.recorded.setdefault(context.to_bytes(), accepted_hash) != accepted_hash:
            raise Equivocation("another accepted set")


class MemoryArchive:
    """Content by its hash; tests lose or alter it."""

    def __init__(self) -> None:
        self.content: dict[bytes, bytes] = {}

    def put(self, data: bytes) -> bytes:
        name = keccak256(data)
        self.content.setdefault(name, data)
        return name

    def get(self, handle: bytes, *, max_size_bytes: int) -> bytes:
        if handle not in self.content:
            raise NotFound("lost", field="cid")
        if len(self.content[handle]) > max_size_bytes:
            raise ContentTooLarge("longer than it was", field="cid")
        return self.content[handle]


@dataclass
class Parties:
    """Accounts and keys of a small network."""

    trainers: list[AccountKey]
    nodes: list[AccountKey]
    node_keys: list[EncryptionKey]
    bls_keys: list[BlsSecretKey]
    member_key: EncryptionKey
    committee: Committee
    journals: list[MemoryJournal] = field(default_factory=list)

    @classmethod
    def make(cls, trainers: int = 4, committee: Committee | None = None) -> Parties:
        committee = committee or Committee()
        return cls(
            trainers=[AccountKey.generate() for _ in range(trainers)],
            nodes=[AccountKey.generate() for _ in range(committee.size)],
            node_keys=[generate_encryption_key() for _ in range(committee.size)],
            bls_keys=[BlsSecretKey.generate() for _ in range(committee.size)],
            member_key=generate_encryption_key(),
            committee=committee,
            journals=[MemoryJournal() for _ in range(committee.size)],
        )

    def plan(
        self, round_number: int = 1, job: int = 7, layout: Layout = LAYOUT, noise_quorum: int = 0
    ) -> RoundPlan:
        return RoundPlan(
            context=Context(chain_id=31337, contract=b"\x11" * 20, job=job, round=round_number),
            layout=layout,
            committee=self.committee,
            nodes=tuple(
                CommitteeMember(account.address, key.public)
                for account, key in zip(self.nodes, self.node_keys, strict=True)
            ),
            trainers=tuple(account.address for account in self.trainers),
            quorum=2,
            member_key=self.member_key.public,
            noise_quorum=noise_quorum,
        )

    def node_round(self, plan: RoundPlan, node: int, archive: MemoryArchive | None = None) -> NodeRound:
        keys = self.nodes[node - 1], self.node_keys[node - 1]
        return NodeRound(plan, node, *keys, archive or MemoryArchive())

    def node_rounds(self, plan: RoundPlan) -> list[NodeRound]:
        return [self.node_round(plan, node) for node in range(1, self.committee.size + 1)]

    def submit(self, plan: RoundPlan, trainer: int, values: np.ndarray) -> PreparedSubmission:
        return prepare_submission(plan, self.trainers[trainer], values)

    def release(self, node: NodeRound, accepted: int) -> AggregateShare:
        return node.release(accepted, self.journals[node.node - 1])


def updates(count: int, seed: int = 1, layout: Layout = LAYOUT) -> list[np.ndarray]:
    """Updates inside the value range."""
    rng = np.random.default_rng(seed)
    return [rng.integers(-900, 900, layout.dimension, dtype=np.int16) for _ in range(count)]


def deliver(submission: PreparedSubmission, nodes: list[NodeRound]) -> list[SignedMessage]:
    """Every node receives its share; returns the receipts."""
    return [
        node.receive_share(
            submission.shares[node.node - 1].signed,
            submission.commitments,
            submission.shares[node.node - 1].blob,
        )
        for node in nodes
    ]


def manifests_of(shares: dict[int, AggregateShare]) -> dict[int, AggregateManifest]:
    """The posted manifests."""
    return {node: share.manifest(node, CONTENT_ID) for node, share in shares.items()}


def decode(member: MemberRound, shares: dict[int, AggregateShare], nodes: list[int]) -> np.ndarray:
    """Open the shares of ``nodes`` and decode the sum."""
    for node in nodes:
        member.accept_share(node, shares[node].manifest(node, CONTENT_ID), shares[node].blob)
    return member.total()
