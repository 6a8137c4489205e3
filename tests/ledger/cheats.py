"""Real shares, sums and attestations of one round, honest or false, for the tests of evidence."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from tests.ledger.conftest import CHAIN_ID
from tests.ledger.world import World

from zkpfl.crypto.bls import attestation_digest, signature_to_ledger
from zkpfl.crypto.merkle import commitment_root, share_root
from zkpfl.crypto.points import G1Array, sum_arrays
from zkpfl.crypto.scalars import Scalars, sum_scalars
from zkpfl.crypto.sealing import EncryptionKey, generate_encryption_key, open_from
from zkpfl.crypto.transcript import Context
from zkpfl.ledger.judge import SignedAttestation
from zkpfl.params import Committee, Layout
from zkpfl.protocol.messages import MessageKind, SignedMessage
from zkpfl.protocol.plan import CommitteeMember, RoundPlan, members_of
from zkpfl.protocol.shares import decode_share
from zkpfl.protocol.trainer import PreparedSubmission, prepare_submission

SHORT = Layout(dimension=256 * 25, norm_bound=1000, value_bits=8, max_trainers=4, columns=256)
"""25 lane rows in two packed rows, the last one not full; a row is one piece."""
LONG = Layout(dimension=1024 * 3, norm_bound=1000, value_bits=8, max_trainers=4, columns=1024)
"""A row is three pieces, the last one the blinding alone."""


@dataclass
class RealRound:
    """A round whose submissions are real.

    Parameters
    ----------
    world, layout
        Where, and of what shape.
    nodes, threshold, trainers
        How many.
    """

    world: World
    layout: Layout
    nodes: int = 3
    threshold: int = 2
    trainers: int = 3
    keys: list[EncryptionKey] = field(default_factory=list)
    submissions: list[PreparedSubmission] = field(default_factory=list)

    def __post_init__(self) -> None:
        world, shape = self.world, self.layout.shape
        self.job = world.create(
            self.nodes, max_trainers=self.trainers, threshold=self.threshold, training_layout=shape
        )
        for trainer in world.trainers[: self.trainers]:
            trainer.join(self.job)
        self.keys = [generate_encryption_key() for _ in range(self.nodes)]
        self.plan = RoundPlan(
            context=Context(CHAIN_ID, world.admin.contract, self.job, 1),
            layout=self.layout,
            committee=Committee(self.nodes, self.threshold),
            nodes=tuple(
                CommitteeMember(node.account, key.public)
                for node, key in zip(world.nodes[: self.nodes], self.keys, strict=True)
            ),
            trainers=tuple(trainer.account for trainer in world.trainers[: self.trainers]),
            quorum=2,
            member_key=self.keys[0].public,
        )
        generator = np.random.default_rng(7)
        for account in self.plan.trainers:
            values = generator.integers(-9, 9, self.layout.dimension).astype(np.int16)
            self.submissions.append(prepare_submission(self.plan, world.keys[account], values))

    def rows(self, trainer: int, node: int) -> Scalars:
        """What a trainer sent to a node."""
        context = self.plan.share_context(self.plan.trainers[trainer], node)
        blob = self.submissions[trainer].shares[node - 1].blob
        return decode_share(self.plan, node, open_from(self.keys[node - 1], blob, context=context))

    def points(self, trainer: int) -> G1Array:
        return G1Array.decode(self.submissions[trainer].commitments[: self.plan.points_bytes])

    def signed(self, trainer: int, node: int, rows: Scalars) -> SignedMessage:
        """The trainer's signature of rows as its share."""
        honest = self.submissions[trainer].shares[node - 1].signed.message
        key = self.world.keys[honest.trainer]
        changed = type(honest)(
            honest.context, honest.trainer, node, honest.commitment_root, share_root(rows), honest.blob_hash
        )
        return changed.sign(MessageKind.SHARE, key)

    def submit(self) -> None:
        for trainer, submission in zip(self.world.trainers, self.submissions, strict=False):
            trainer.submit(self.job, 1, submission.commitment_root, bytes(31) + b"\1")
        self.world.check(self.job)

    def sum(self, node: int, accepted: int) -> Scalars:
        return sum_scalars([self.rows(trainer, node) for trainer in members_of(accepted)])

    def aggregate(self, accepted: int) -> G1Array:
        return sum_arrays([self.points(trainer) for trainer in members_of(accepted)])

    def attestation(self, node: int, accepted: int, root: bytes) -> SignedAttestation:
        """What node ``node`` signs about some aggregate."""
        digest = attestation_digest(self.plan.context, accepted, root, 1, root)
        key = self.world.bls[self.world.nodes[node - 1].account]
        signature = signature_to_ledger(key.sign(digest))
        return SignedAttestation(accepted, root, 1, root, signature)


def changed(rows: Scalars, row: int, column: int = 5) -> Scalars:
    """Rows with one scalar off by one bit."""
    false = rows.copy()
    false[row, column, 0] ^= np.uint64(1)
    return false


__all__ = ["LONG", "SHORT", "RealRound", "changed", "commitment_root"]
