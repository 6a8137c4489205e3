"""Fiat–Shamir transcript and the context of a round (docs/spec.md §2).

Every domain string and label of the proofs stands here, so that no two can collide unseen.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import StrEnum
from typing import Self

from zkpfl.crypto.scalars import ORDER
from zkpfl.errors import InvalidEncoding, InvalidParameter

CONTEXT_BYTES = 40
LAMBDA = 0xD201000000010000**2 - 1
"""λ = z² − 1, the cube root of unity by which the GLV endomorphism multiplies; λ² + λ + 1 = 0 mod r."""


class Domain(StrEnum):
    """What a transcript proves. Two proofs of different domains share no challenge."""

    AGGREGATION = "zkpfl/v1/aggregation"
    NORM = "zkpfl/v1/norm"
    CONTRIBUTION = "zkpfl/v1/contribution"


class Label(StrEnum):
    """What a transcript absorbs and draws."""

    CONTEXT = "context"
    NODE = "node"
    ACCEPTED = "accepted"
    COMMITMENT_ROOTS = "commitment-roots"
    AGGREGATE_ROOT = "aggregate-root"
    SHARE_ROOT = "share-root"
    BLOB = "blob"
    SHAPE = "shape"
    AGGREGATE_COMMITMENTS = "F"
    ROW_CHALLENGE = "e"
    LEFT = "L"
    RIGHT = "R"
    FOLD_CHALLENGE = "x"
    MASK_COMMITMENT = "A"
    FINAL_CHALLENGE = "y"
    TRAINER = "trainer"
    CHECKPOINT = "checkpoint"
    LANE_COMMITMENTS = "C"
    MASK_ROW = "M"
    ROW_SEED = "rows"
    MASKED_SUMS = "z"
    ROW_POWERS = "gamma"
    NORM_WEIGHT = "tau"
    POLYNOMIAL = "s"
    VARIABLE = "rho"
    CLAIMS = "claims"
    CLAIM_POWERS = "theta"
    CROSS_TERMS = "T"
    MASK_WEIGHT = "c"
    INNER_PRODUCT_WEIGHT = "xi"
    AGGREGATE = "X"
    PUBLIC_UPDATES = "U"
    VALUE = "value"
    UPDATE_POWERS = "mu"


@dataclass(frozen=True)
class Context:
    """Where and when something is said: contained in whatever is hashed or signed in a round.

    Parameters
    ----------
    chain_id
        EIP-155 chain id, 0 to 2^64 − 1.
    contract
        Address of the ledger contract, 20 bytes.
    job
        Number of the job, 0 to 2^64 − 1.
    round
        Number of the round, 0 to 2^32 − 1.
    """

    chain_id: int
    contract: bytes
    job: int
    round: int

    def __post_init__(self) -> None:
        for field, bits in (("chain_id", 64), ("job", 64), ("round", 32)):
            value = getattr(self, field)
            if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 1 << bits:
                raise InvalidParameter(f"must be an integer from 0 to 2^{bits} − 1", field=field)
        if not isinstance(self.contract, bytes) or len(self.contract) != 20:
            raise InvalidParameter("must be an address of 20 bytes", field="contract")

    def to_bytes(self) -> bytes:
        """``u64be(chain id) ‖ contract ‖ u64be(job) ‖ u32be(round)``, 40 bytes."""
        return (
            self.chain_id.to_bytes(8, "big")
            + self.contract
            + self.job.to_bytes(8, "big")
            + self.round.to_bytes(4, "big")
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Inverse of :meth:`to_bytes`; raises :class:`InvalidEncoding` unless there are exactly 40 bytes."""
        if len(data) != CONTEXT_BYTES:
            raise InvalidEncoding(f"must be {CONTEXT_BYTES} bytes, got {len(data)}", field="context")
        chain_id, job = int.from_bytes(data[:8], "big"), int.from_bytes(data[28:36], "big")
        return cls(chain_id, bytes(data[8:28]), job, int.from_bytes(data[36:], "big"))


@dataclass(frozen=True)
class ShortChallenge:
    """``e1 + λ·e2`` with nonzero 64-bit halves: 128 bits for a multiplication of only 64 doublings.

    Parameters
    ----------
    e1, e2
        The halves, 1 to 2^64 − 1. Public.
    """

    e1: int
    e2: int

    @property
    def value(self) -> int:
        """``e1 + λ·e2 mod r``; never zero, because both halves are short and nonzero."""
        return (self.e1 + LAMBDA * self.e2) % ORDER


class Transcript:
    """Running SHA-256 state that turns what was absorbed into challenges (docs/spec.md §2).

    ``state = SHA256(domain)``; ``absorb`` replaces it by
    ``SHA256(state ‖ u64be(|label|) ‖ label ‖ u64be(|data|) ‖ data)``.

    Parameters
    ----------
    domain
        What is being proved.
    """

    def __init__(self, domain: str) -> None:
        self._state = hashlib.sha256(domain.encode()).digest()

    @property
    def state(self) -> bytes:
        """The 32-byte state, public; prover randomness is derived from it among other things."""
        return self._state

    def absorb(self, label: str, data: bytes) -> None:
        """Bind ``data`` under ``label``."""
        name = label.encode()
        framed = len(name).to_bytes(8, "big") + name + len(data).to_bytes(8, "big")
        self._state = hashlib.sha256(self._state + framed + data).digest()

    def challenge_scalar(self, label: str) -> int:
        """Draw a nonzero scalar: 512 bits reduced mod r, so its bias is below 2^-256."""
        while True:
            value = int.from_bytes(self._squeeze(label, 2), "big") % ORDER
            if value:
                return value

    def challenge_short(self, label: str) -> ShortChallenge:
        """Draw a short challenge, the first 16 bytes of one block; again while a half is zero."""
        while True:
            block = self._squeeze(label, 1)
            e1, e2 = int.from_bytes(block[:8], "big"), int.from_bytes(block[8:16], "big")
            if e1 and e2:
                return ShortChallenge(e1, e2)

    def challenge_block(self, label: str) -> bytes:
        """Draw 32 bytes: the seed of what is expanded in public."""
        return self._squeeze(label, 1)

    def _squeeze(self, label: str, blocks: int) -> bytes:
        self.absorb(label, b"")
        return b"".join(
            hashlib.sha256(self._state + b"squeeze" + index.to_bytes(1, "big")).digest()
            for index in range(blocks)
        )
