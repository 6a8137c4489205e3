"""Where blocks come from that are not in a store's own folder."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from zkpfl.errors import NotFound
from zkpfl.storage.cid import ContentId


class Remote(Protocol):
    """Another keeper of blocks, not trusted with anything: `LocalStore` checks every block that it gives.

    Deadlines are times of ``time.monotonic()``. Calls raise ``Unavailable`` if the remote itself does not
    answer.
    """

    def want(self, cids: Sequence[ContentId], deadline: float) -> None:
        """Begin to fetch blocks that will be asked for; returns at once."""

    def fetch(self, cid: ContentId, deadline: float) -> bytes:
        """Return a block, not checked; raises `NotFound` if none has come by the deadline."""

    def publish(self, cid: ContentId, block: bytes) -> None:
        """Give a block that was stored here."""

    def settle(self, deadline: float) -> None:
        """Return once the remote has whatever was published."""

    def pin(self, cid: ContentId, deadline: float) -> None:
        """Have content kept that is all here and was published, or fetched from this remote."""

    def unpin(self, cid: ContentId) -> None:
        """Let go of content that was pinned; does nothing if it was not."""

    def forget(self, cids: Sequence[ContentId]) -> None:
        """Learn that blocks are not here, or not as they were: what is pinned may be kept, else drop them."""

    def close(self) -> None:
        """End what was started."""


class NoRemote:
    """A store that has nothing but its folder."""

    def want(self, cids: Sequence[ContentId], deadline: float) -> None:
        """Do nothing."""

    def fetch(self, cid: ContentId, deadline: float) -> bytes:  # noqa: ARG002
        """Raise `NotFound`."""
        raise NotFound(f"{cid} is not stored here", field="cid")

    def publish(self, cid: ContentId, block: bytes) -> None:
        """Do nothing."""

    def settle(self, deadline: float) -> None:
        """Do nothing."""

    def pin(self, cid: ContentId, deadline: float) -> None:
        """Do nothing."""

    def unpin(self, cid: ContentId) -> None:
        """Do nothing."""

    def forget(self, cids: Sequence[ContentId]) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""
