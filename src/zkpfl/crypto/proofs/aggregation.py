"""Aggregation proof: a zk-node knows the opening of the sum that it says it aggregated (docs/spec.md §6).

Statement: the node knows ``S[p]`` with ``F_p = ⟨S[p], (G, H)⟩`` for every packed row p, F_p being the public
sum of the accepted submissions' commitments. The rows are combined with powers of a challenge e and opened
once, so size and verification hardly depend on the model. Nothing else about S is revealed.
docs/notes/aggregation-proof.md has the argument.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, field

from zkpfl.crypto.generators import Generators
from zkpfl.crypto.points import G1Array
from zkpfl.crypto.proofs import folding
from zkpfl.crypto.scalars import ORDER, Scalars, check_scalars, from_int, linear_combination, random_scalars
from zkpfl.crypto.transcript import Context, Domain, Label, Transcript
from zkpfl.errors import InvalidParameter

HASH_BYTES = 32
ADDRESS_BYTES = 20
MOST_NODES = 10


@dataclass(frozen=True)
class Statement:
    """What is proved, by whom, where and when. All of it is public and bound by the transcript.

    Parameters
    ----------
    context
        Chain, contract, job and round.
    node
        j, the node's number in the committee, 1 to 10.
    node_address
        The node's account, 20 bytes.
    accepted
        I as a 256-bit bitmap, at least one trainer.
    commitment_roots
        Commitment roots of I in ascending order of trainers, 32 bytes each.
    aggregate_root
        Merkle root of the summed commitments, 32 bytes.
    share_root
        Merkle root over the rows of S, 32 bytes.
    blob_hash
        Keccak-256 of the sealed aggregate share, 32 bytes.
    F
        Commitments to the rows of S, P points.
    """

    context: Context
    node: int
    node_address: bytes
    accepted: int
    commitment_roots: tuple[bytes, ...]
    aggregate_root: bytes
    share_root: bytes
    blob_hash: bytes
    F: G1Array

    def __post_init__(self) -> None:
        _require(1 <= self.node <= MOST_NODES, "node", f"must be 1 to {MOST_NODES}, got {self.node}")
        _require(len(self.node_address) == ADDRESS_BYTES, "node_address", "must be 20 bytes")
        _require(0 < self.accepted < 1 << 256, "accepted", "must be a bitmap of 256 bits that is not empty")
        count = self.accepted.bit_count()
        _require(
            len(self.commitment_roots) == count, "commitment_roots", f"must be {count}, one a trainer of I"
        )
        hashes = (*self.commitment_roots, self.aggregate_root, self.share_root, self.blob_hash)
        _require(all(len(value) == HASH_BYTES for value in hashes), "roots and hashes", "must be 32 bytes")
        _require(len(self.F) >= 1, "F", "must be at least one commitment")


@dataclass(frozen=True)
class Witness:
    """What the node knows.

    Parameters
    ----------
    rows
        S, shape (P, N + 1, 4), the last column being the blinding. Secret.
    """

    rows: Scalars = field(repr=False)


def prove(statement: Statement, witness: Witness, gens: Generators) -> bytes:
    """Prove ``statement`` with hedged masks.

    The masks come from the operating system's randomness hashed with witness and transcript: a broken random
    source alone does not repeat masks for another statement or witness.

    Returns
    -------
    bytes
        ``folding.proof_bytes(N)`` bytes. A wrong witness gives a proof too, which does not verify.

    Raises
    ------
    InvalidParameter
        If the shape of the witness does not fit the statement.
    """
    transcript, _ = _start(statement, gens)
    masks = _hedged_masks(transcript, witness, gens)
    return prove_with_masks(statement, witness, gens, masks)


def prove_with_masks(statement: Statement, witness: Witness, gens: Generators, masks: Scalars) -> bytes:
    """Prove with given masks, shape (``folding.mask_count(N)``, 4).

    For test vectors only: two proofs under the same masks reveal S.
    """
    rows = check_scalars(witness.rows, (len(statement.F), gens.columns + 1), field="witness")
    transcript, e = _start(statement, gens)
    combined = linear_combination(rows, from_int(_powers(e, len(rows))))
    return folding.prove(transcript, gens, combined[:-1], combined[-1], masks)


def verify(statement: Statement, proof: bytes, gens: Generators) -> bool:
    """Whether ``proof`` shows that the node knows the opening of every ``F_p``.

    Raises
    ------
    InvalidEncoding, InvalidPoint, InvalidScalar
        The proof does not decode.
    """
    transcript, e = _start(statement, gens)
    return folding.verify(transcript, gens, statement.F, _powers(e, len(statement.F)), proof)


def _start(statement: Statement, gens: Generators) -> tuple[Transcript, int]:
    """Absorb the statement; return the transcript and the challenge e that combines the rows."""
    transcript = Transcript(Domain.AGGREGATION)
    transcript.absorb(Label.CONTEXT, statement.context.to_bytes())
    transcript.absorb(Label.NODE, statement.node.to_bytes(1, "big") + statement.node_address)
    transcript.absorb(Label.ACCEPTED, statement.accepted.to_bytes(32, "big"))
    transcript.absorb(Label.COMMITMENT_ROOTS, b"".join(statement.commitment_roots))
    transcript.absorb(Label.AGGREGATE_ROOT, statement.aggregate_root)
    transcript.absorb(Label.SHARE_ROOT, statement.share_root)
    transcript.absorb(Label.BLOB, statement.blob_hash)
    shape = gens.columns.to_bytes(4, "big") + len(statement.F).to_bytes(4, "big")
    transcript.absorb(Label.SHAPE, shape)
    transcript.absorb(Label.AGGREGATE_COMMITMENTS, statement.F.encode())
    return transcript, transcript.challenge_scalar(Label.ROW_CHALLENGE)


def _powers(e: int, count: int) -> list[int]:
    powers = [1]
    for _ in range(count - 1):
        powers.append(powers[-1] * e % ORDER)
    return powers


def _hedged_masks(transcript: Transcript, witness: Witness, gens: Generators) -> Scalars:
    """Masks from SHAKE256 keyed by OS randomness, witness digest and transcript state."""
    rows = check_scalars(witness.rows, (None, None), field="witness")
    key = os.urandom(32) + hashlib.sha256(rows.data).digest() + transcript.state
    requests = iter(range(256))

    def source(count: int) -> bytes:
        return hashlib.shake_256(b"zkpfl/v1/masks" + next(requests).to_bytes(1, "big") + key).digest(count)

    return random_scalars((folding.mask_count(gens.columns),), source)


def _require(condition: bool, name: str, message: str) -> None:
    if not condition:
        raise InvalidParameter(message, field=name)
