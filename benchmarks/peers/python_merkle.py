"""The Merkle tree of docs/spec.md §2 in Python, with the Keccak of pycryptodome."""

from __future__ import annotations

from collections.abc import Sequence

from eth_hash.auto import keccak

from benchmarks.figures import Peer, timed


def root(leaves: Sequence[bytes]) -> bytes:
    """Keccak-256 root over at least one leaf."""
    level = [keccak(b"\0" + index.to_bytes(8, "big") + leaf) for index, leaf in enumerate(leaves)]
    while len(level) > 1:
        unpaired = level[-1:] if len(level) % 2 else []
        pairs = zip(level[::2], level[1::2], strict=False)
        level = [keccak(b"\1" + left + right) for left, right in pairs] + unpaired
    return bytes(keccak(b"\2" + len(leaves).to_bytes(8, "big") + level[0]))


def rooting(leaves: Sequence[bytes], work: int) -> Peer:
    """Time it; the root must always be the same."""
    expected = root(leaves)

    def check(result: bytes) -> None:
        assert result == expected

    return Peer(work, timed(lambda: root(leaves), check))
