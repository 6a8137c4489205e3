"""Merkle root, key stream and transcript (docs/spec.md §2)."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Protocol

from Crypto.Cipher import AES
from Crypto.Hash import keccak as _keccak

from tests.reference.group import R

LAMBDA = 0xD201000000010000**2 - 1


def keccak(data: bytes) -> bytes:
    return _keccak.new(digest_bits=256, data=data).digest()


def merkle_root(leaves: Sequence[bytes]) -> bytes:
    level = [keccak(b"\x00" + index.to_bytes(8, "big") + leaf) for index, leaf in enumerate(leaves)]
    while len(level) > 1:
        pairs = [keccak(b"\x01" + a + b) for a, b in zip(level[::2], level[1::2], strict=False)]
        level = pairs + level[len(level) & ~1 :]
    return keccak(b"\x02" + len(leaves).to_bytes(8, "big") + level[0])


def hash_blob(blob: bytes) -> bytes:
    if not blob:
        raise ValueError("an empty blob")
    return merkle_root([blob[i : i + 16384] for i in range(0, len(blob), 16384)])


def stream(key: bytes, a: int, length: int) -> bytes:
    """The first ``length`` bytes of stream(key, a): block i encrypts u64be(a) ‖ u64be(i)."""
    blocks = b"".join(a.to_bytes(8, "big") + i.to_bytes(8, "big") for i in range(-(-length // 16)))
    return AES.new(key, AES.MODE_ECB).encrypt(blocks)[:length]


class Challenges(Protocol):
    def absorb(self, label: bytes, data: bytes) -> None: ...
    def blocks(self, label: bytes, count: int) -> bytes: ...
    def scalar(self, label: bytes) -> int: ...
    def short(self, label: bytes) -> int: ...


class Transcript:
    def __init__(self, domain: bytes) -> None:
        self.state = hashlib.sha256(domain).digest()

    def absorb(self, label: bytes, data: bytes) -> None:
        frame = len(label).to_bytes(8, "big") + label + len(data).to_bytes(8, "big") + data
        self.state = hashlib.sha256(self.state + frame).digest()

    def blocks(self, label: bytes, count: int) -> bytes:
        self.absorb(label, b"")
        return b"".join(hashlib.sha256(self.state + b"squeeze" + bytes([i])).digest() for i in range(count))

    def scalar(self, label: bytes) -> int:
        value = 0
        while value == 0:
            value = int.from_bytes(self.blocks(label, 2), "big") % R
        return value

    def short(self, label: bytes) -> int:
        halves = (0, 0)
        while 0 in halves:
            block = self.blocks(label, 1)
            halves = int.from_bytes(block[:8], "big"), int.from_bytes(block[8:16], "big")
        return (halves[0] + LAMBDA * halves[1]) % R
