"""Event logs of the embedded chain, and which of them a query wants."""

from __future__ import annotations

from dataclasses import dataclass

from eth_bloom.bloom import BloomFilter


@dataclass(frozen=True)
class LogEntry:
    """An event log: ``topics`` are 256-bit integers; ``log_index`` counts within the block."""

    address: bytes
    topics: tuple[int, ...]
    data: bytes
    block_number: int
    block_hash: bytes
    transaction_hash: bytes
    log_index: int


@dataclass(frozen=True)
class LogFilter:
    """What a query wants.

    Parameters
    ----------
    addresses
        Contracts to include, bytes[20]; None for all.
    topics
        For each position the topics to include, None for any; an event needs at least as many topics.
    """

    addresses: frozenset[bytes] | None = None
    topics: tuple[frozenset[int] | None, ...] = ()

    def may_match(self, bloom: int) -> bool:
        """Tell from a block's 2048-bit bloom filter whether the block can hold a match; False is certain."""
        if not bloom:
            return False
        bits = BloomFilter(bloom)
        if self.addresses is not None and not any(address in bits for address in self.addresses):
            return False
        return all(
            wanted is None or any(topic.to_bytes(32, "big") in bits for topic in wanted)
            for wanted in self.topics
        )

    def matches(self, entry: LogEntry) -> bool:
        """Tell whether one event is wanted."""
        if self.addresses is not None and entry.address not in self.addresses:
            return False
        if len(entry.topics) < len(self.topics):
            return False
        return all(
            wanted is None or topic in wanted
            for topic, wanted in zip(entry.topics, self.topics, strict=False)
        )


ALL_LOGS = LogFilter()
"""The filter that every event passes."""
