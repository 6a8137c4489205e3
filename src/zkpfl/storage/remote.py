"""Where blocks come from that are not in a store's own folder."""

from __future__ import annotations

from collections.abc import Sequence

from zkpfl.errors import NotFound
from zkpfl.storage.cid import ContentId


class Remote:
    """Another keeper of blocks, not trusted with anything; as it stands, one that has none and takes none.

    Deadlines are times of ``time.monotonic()``. Calls raise ``Unavailable`` if the remote itself does not
    answer.
    """

    def want(self, cids: Sequence[ContentId], deadline: float) -> None:
        """Begin to fetch blocks that will be asked for; returns at once."""

    def fetch(self, cid: ContentId, deadline: float) -> None:  # noqa: ARG002
        """Have a block put into the store's folder by `BlockFolder.accept`, which checks it.

        Raises
        ------
        NotFound
            None has come by the deadline.
        CorruptContent
            What came is not the block.
        """
        raise NotFound(f"{cid} is not stored here", field="cid")

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
