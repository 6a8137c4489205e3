"""Hashes and choices of the ledger, by the words of docs/spec.md §9 alone."""

from __future__ import annotations

from fractions import Fraction

from tests.reference.hashing import keccak


def posts_hash(posts: list[tuple[int, bytes, bytes]]) -> bytes:
    """``p ← keccak(p ‖ u256(node) ‖ share root ‖ manifest digest)``, 0 at first."""
    found = b"\0" * 32
    for node, share_root, manifest in posts:
        found = keccak(found + node.to_bytes(32, "big") + share_root + manifest)
    return found


def score_commitment(context: bytes, trainer: bytes, checkpoint: bytes, accuracy: int, salt: bytes) -> bytes:
    """The hash of nine words, bit 64 of which counts as 0."""
    chain_id, contract, job, round_ = context[:8], context[8:28], context[28:36], context[36:]
    words = [part.rjust(32, b"\0") for part in (chain_id, contract, job, round_, trainer)]
    last = [checkpoint, accuracy.to_bytes(32, "big"), salt]
    digest = bytearray(keccak(b"".join([keccak(b"ZKPFL-V1-SCORE"), *words, *last])))
    digest[32 - 9] &= 0xFE  # bit 64 is the lowest of the ninth byte from the end
    return bytes(digest)


def slice_keys(last: bytes, count: int) -> list[bytes]:
    """``k_i = keccak(k_(i+1))``."""
    return [last] if count == 1 else [keccak(slice_keys(last, count - 1)[0]), *slice_keys(last, count - 1)]


def committee_draw(seed: bytes, weights: list[int], count: int) -> list[int]:
    """Where a uniform number falls among the weights of those who are left."""
    left = [Fraction(weight) for weight in weights]
    drawn: list[int] = []
    for k in range(count):
        number = int.from_bytes(keccak(seed + k.to_bytes(32, "big")), "big") % int(sum(left))
        ends = [sum(left[: i + 1]) for i in range(len(left))]
        drawn.append(next(i for i, end in enumerate(ends) if number < end))
        left[drawn[-1]] = Fraction(0)
    return drawn
