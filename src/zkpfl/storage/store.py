"""The interface of content-addressed storage; roles know only this."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from zkpfl.storage.cid import ContentId

GRACE_S = 24 * 3600.0
"""Age below which unpinned blocks are kept: whoever stored them may be about to pin them."""


MAX_PINNED_BYTES = 1 << 36
"""Largest content that is pinned unless told otherwise; limit what a stranger named."""


@dataclass(frozen=True)
class Collected:
    """What a garbage collection removed: number and size of the blocks."""

    blocks: int
    size_bytes: int


class Contents(Protocol):
    """Bytes in, name out; name in, the very same bytes out, or an error: what parties of a job need.

    Whoever keeps the bytes need not be trusted: every block is checked against its name while it is read,
    and content larger than the caller allows is refused before memory is spent on it. Reads raise
    ``NotFound`` (also where nobody delivered a block within ``timeout_s``), ``CorruptContent`` or
    ``ContentTooLarge``, each naming the content id; any call raises ``StorageError`` if the medium fails and
    ``Unavailable`` if a store that is another process does not answer (docs/spec.md §2).

    A ``timeout_s`` bounds all waiting for others in one read, in seconds; None takes the store's own bound.
    Blocks that have arrived by then stay, so another read goes on where the last one stopped.
    """

    def put(self, data: bytes) -> ContentId:
        """Store content; durable when this returns. Storing the same content again changes nothing."""

    def put_stream(self, chunks: Iterable[bytes]) -> ContentId:
        """Store content that arrives in pieces, cut anywhere, in bounded memory."""

    def get(self, cid: ContentId, *, max_size_bytes: int, timeout_s: float | None = None) -> bytes:
        """Return the whole content of at most ``max_size_bytes``."""

    def stream(
        self, cid: ContentId, *, max_size_bytes: int, timeout_s: float | None = None
    ) -> Iterator[bytes]:
        """Return the content piece by piece, at most 256 KiB each; errors surface while iterating.

        A piece is authentic when it is yielded, but the content is complete only once the iterator has ended.
        """

    def has(self, cid: ContentId) -> bool:
        """Whether the root block is here; a root is stored last, after everything below it."""


class Store(Contents, Protocol):
    """`Contents` whose owner decides what is kept."""

    def pin(
        self,
        cid: ContentId,
        label: str,
        *,
        max_size_bytes: int = MAX_PINNED_BYTES,
        timeout_s: float | None = None,
    ) -> None:
        """Keep content of at most ``max_size_bytes`` from garbage collection under a label, that of a job.

        All of it is here when this returns: what is missing is fetched, or ``NotFound`` raised. Pinning again
        changes nothing.
        """

    def unpin(self, label: str) -> None:
        """Drop every pin of a label; does nothing if there is none. Content stays until it is collected."""

    def pins(self) -> Mapping[str, frozenset[ContentId]]:
        """What is pinned, by label."""

    def collect_garbage(self, *, grace_s: float = GRACE_S) -> Collected:
        """Remove the blocks below no pin that were last stored or pinned more than ``grace_s`` seconds ago.

        Others may read, write and pin meanwhile. Nothing is removed if a pin cannot be followed.
        """

    def close(self) -> None:
        """End what the store has started; it cannot be used after that. Closing again changes nothing."""
