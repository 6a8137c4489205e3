"""A trainer's part of a round: commit to a vector of small integers and share it (docs/spec.md §4, §5).

A zk-node that brings noise (§8.2) does the same with its noise.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field

import numpy as np

from zkpfl.crypto.commitments import commit_lanes, commit_rows, packed_blindings
from zkpfl.crypto.encoding import pack
from zkpfl.crypto.merkle import commitment_root, hash_blob, share_root
from zkpfl.crypto.points import G1Array
from zkpfl.crypto.proofs import norm
from zkpfl.crypto.proofs.table import Integers
from zkpfl.crypto.scalars import Scalars, random_scalars
from zkpfl.crypto.sealing import seal_to
from zkpfl.crypto.sharing import expand_seed, split
from zkpfl.crypto.signatures import AccountKey
from zkpfl.errors import NotAuthorized
from zkpfl.protocol.manifests import ShareEntry, SubmissionManifest
from zkpfl.protocol.messages import MessageKind, ShareMessage, SignedMessage
from zkpfl.protocol.norm_proofs import norm_statement
from zkpfl.protocol.plan import RoundPlan
from zkpfl.protocol.shares import SEED_BYTES, encode_matrix, encode_seed


@dataclass(frozen=True)
class SealedShare:
    """One zk-node's share, sealed to it, with the trainer's signed statement about it."""

    signed: SignedMessage
    blob: bytes


@dataclass(frozen=True)
class PreparedSubmission:
    """Everything a trainer sends in a round, public or sealed, and what it keeps.

    Parameters
    ----------
    commitments
        Compressed points, 48 bytes each, then the proof that the norm of what they hold is within its bound.
    commitment_root
        Their Merkle root, 32 bytes.
    shares
        One for each zk-node, ascending.
    points
        The points.
    witness
        What the lane commitments among them hold. Secret: for further proofs (§7.2), sent to nobody.
    """

    commitments: bytes
    commitment_root: bytes
    shares: tuple[SealedShare, ...]
    points: G1Array
    witness: norm.Witness = field(repr=False)

    def manifest(self, commitments_id: str, blob_ids: list[str]) -> SubmissionManifest:
        """Manifest naming the stored commitments and sealed shares by content id."""
        entries = (
            ShareEntry(
                node=share.signed.message.node,
                blob=blob_id,
                blob_hash=share.signed.message.blob_hash,
                share_root=share.signed.message.share_root,
                signature=share.signed.signature,
            )
            for share, blob_id in zip(self.shares, blob_ids, strict=True)
        )
        return SubmissionManifest(self.shares[0].signed.message.trainer, commitments_id, tuple(entries))


class SeededShares:
    """The shares of nodes 1…t−1 and their commitments: data-independent, so made while the model trains.

    Secret, and single use: `take` hands them out once.
    """

    def __init__(self, plan: RoundPlan) -> None:
        layout = plan.layout
        seeds = [os.urandom(SEED_BYTES) for _ in range(plan.committee.threshold - 1)]
        rows = [expand_seed(seed, layout.packed_rows, layout.columns + 1) for seed in seeds]
        commitments = [commit_rows(matrix, plan.generators) for matrix in rows]
        self._content: tuple[list[bytes], list[Scalars], list[G1Array]] | None = (seeds, rows, commitments)

    def take(self) -> tuple[list[bytes], list[Scalars], list[G1Array]]:
        """Seeds, expanded rows and row commitments of nodes 1…t−1; a second call is an error."""
        content, self._content = self._content, None
        if content is None:
            raise RuntimeError("seeded shares are single use")
        return content


@dataclass(frozen=True)
class SharedValues:
    """Values that are committed to and shared, but of which nothing is proved yet.

    Parameters
    ----------
    points
        All commitments of the submission.
    root
        Their Merkle root, 32 bytes.
    witness
        The values, and the blindings of the lane commitments. Secret.
    shares
        One for each zk-node, ascending.
    """

    points: G1Array
    root: bytes
    witness: norm.Witness = field(repr=False)
    shares: tuple[SealedShare, ...]

    def submission(self, norm_proof: bytes) -> PreparedSubmission:
        """The submission with this proof."""
        commitments = self.points.encode() + norm_proof
        return PreparedSubmission(commitments, self.root, self.shares, self.points, self.witness)


def prepare_submission(
    plan: RoundPlan,
    account: AccountKey,
    values: Integers,
    seeded: SeededShares | None = None,
) -> PreparedSubmission:
    """Commit to ``values``, share them among the committee and prove that their norm is within its bound.

    Parameters
    ----------
    plan
        The round.
    account
        The trainer's account key.
    values
        int16 [d], the encoded update, or int64 [d], noise. Secret.
    seeded
        Precomputed shares of nodes 1…t−1; made here if None.

    Returns
    -------
    PreparedSubmission
        Commitments with their proof, and sealed, signed shares.

    Raises
    ------
    InvalidUpdate
        The norm of ``values`` is above the bound.
    NotAuthorized
        The account has no part in the round.
    """
    submitter = plan.submitter(account.address)
    if submitter is None:
        party = f"account 0x{account.address.hex()}"
        raise NotAuthorized("has no part in this round", party=party, field="trainer", hint="join the job")
    shared = share_values(plan, account, values, seeded)
    statement = norm_statement(plan, submitter, shared.points)
    return shared.submission(norm.prove(statement, shared.witness, plan.generators))


def share_values(
    plan: RoundPlan, account: AccountKey, values: Integers, seeded: SeededShares | None = None
) -> SharedValues:
    """Commit to values and share them, as `prepare_submission` does before it proves their norm."""
    layout = plan.layout
    blindings = random_scalars((layout.lane_rows,))
    secret = np.concatenate(
        [pack(values, layout), packed_blindings(blindings, layout)[:, np.newaxis, :]], axis=1
    )
    seeds, seeded_rows, seeded_commitments = (seeded or SeededShares(plan)).take()
    lanes = commit_lanes(values, blindings, layout, plan.generators)
    points = G1Array.concatenate([lanes, *seeded_commitments])
    root = commitment_root(points)
    matrices = split(secret, seeds, plan.committee)
    shares = []
    for node in range(1, plan.committee.size + 1):
        is_seeded = node < plan.committee.threshold
        rows = seeded_rows[node - 1] if is_seeded else matrices[node]
        plaintext = encode_seed(seeds[node - 1]) if is_seeded else encode_matrix(rows)
        shares.append(_seal_share(plan, account, node, root, rows, plaintext))
    return SharedValues(points, root, norm.Witness(values, blindings), tuple(shares))


def _seal_share(
    plan: RoundPlan, account: AccountKey, node: int, root: bytes, rows: Scalars, plaintext: bytes
) -> SealedShare:
    trainer = account.address
    context = plan.share_context(trainer, node)
    blob = seal_to(plan.nodes[node - 1].encryption_key, plaintext, context=context)
    message = ShareMessage(plan.context, trainer, node, root, share_root(rows), hash_blob(blob))
    return SealedShare(message.sign(MessageKind.SHARE, account), blob)
