"""The interface of content-addressed storage; roles know only this."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol

from zkpfl.storage.cid import ContentId


class Store(Protocol):
    """Bytes in, name out; name in, the very same bytes out, or an error.

    Whoever keeps the bytes need not be trusted: every block is checked against its name while it is read,
    and content larger than the caller allows is refused before memory is spent on it. Reads raise
    ``NotFound``, ``CorruptContent`` or ``ContentTooLarge``, each naming the content id; any call raises
    ``StorageError`` if the medium fails (docs/spec.md §2).
    """

    def put(self, data: bytes) -> ContentId:
        """Store content; durable when this returns. Storing the same content again changes nothing."""

    def put_stream(self, chunks: Iterable[bytes]) -> ContentId:
        """Store content that arrives in pieces, cut anywhere, in bounded memory."""

    def get(self, cid: ContentId, *, max_size_bytes: int) -> bytes:
        """Return the whole content of at most ``max_size_bytes``."""

    def stream(self, cid: ContentId, *, max_size_bytes: int) -> Iterator[bytes]:
        """Return the content piece by piece, at most 256 KiB each; errors surface while iterating.

        A piece is authentic when it is yielded, but the content is complete only once the iterator has ended.
        """

    def has(self, cid: ContentId) -> bool:
        """Whether the root block is here; a root is stored last, after everything below it."""
