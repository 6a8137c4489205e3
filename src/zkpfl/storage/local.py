"""A store in a directory of this machine; where it has a remote, the directory is what has arrived so far."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from zkpfl.errors import CorruptContent, InvalidParameter, NotFound, StorageError
from zkpfl.storage import dag
from zkpfl.storage.blocks import BlockFolder, Layout, by_cid
from zkpfl.storage.cid import ContentId
from zkpfl.storage.pins import PinBook
from zkpfl.storage.remote import Remote
from zkpfl.storage.store import GRACE_S, MAX_PINNED_BYTES, Collected

_ANY_SIZE = 1 << 63

TIMEOUT_S = 30.0
"""How long one read waits for others, unless told otherwise."""


class LocalStore:
    """A ``Store`` in a directory of the local file system, which many processes may use at once.

    A parent is stored only after its children, so a crash leaves no root without content.

    Parameters
    ----------
    root
        Directory, made if missing. Blocks lie in ``root/blocks/<two characters of the id>/<id>``.
    remote
        Where blocks that are not here come from, and to whom new ones are given.
    layout
        How files are named.
    timeout_s
        How long a read waits for the remote unless it says so itself, in seconds.

    Raises
    ------
    StorageError
        The directory cannot be made or written.
    """

    def __init__(
        self,
        root: Path,
        remote: Remote | None = None,
        *,
        layout: Layout = by_cid,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        self._folder = BlockFolder(root, layout)
        self._pins = PinBook(root)
        self._remote = remote or Remote()
        self._timeout_s = timeout_s

    def put(self, data: bytes) -> ContentId:
        """Store content; durable when this returns. Idempotent, and replaces a block that was damaged."""
        return self.put_stream((data,))

    def put_stream(self, chunks: Iterable[bytes]) -> ContentId:
        """Store content that arrives in pieces, cut anywhere, in bounded memory."""
        cid = dag.write(map(_require_bytes, chunks), self._put_block)
        self._remote.settle(time.monotonic() + self._timeout_s)
        return cid

    def get(self, cid: ContentId, *, max_size_bytes: int, timeout_s: float | None = None) -> bytes:
        """Return the whole content of at most ``max_size_bytes``, verified; see ``Store``."""
        return b"".join(self.stream(cid, max_size_bytes=max_size_bytes, timeout_s=timeout_s))

    def stream(
        self, cid: ContentId, *, max_size_bytes: int, timeout_s: float | None = None
    ) -> Iterator[bytes]:
        """Return the content piece by piece, each verified; see ``Store``."""
        if max_size_bytes < 0:
            raise InvalidParameter(f"must not be negative, got {max_size_bytes}", field="max_size_bytes")
        source = _Reading(self._folder, self._remote, self._deadline(timeout_s))
        return dag.read(cid, source.block, max_size_bytes=max_size_bytes, announce=source.announce)

    def has(self, cid: ContentId) -> bool:
        """Whether the root block is here; it is stored last. Its bytes are checked when they are read."""
        return self._folder.has(cid)

    def pin(
        self,
        cid: ContentId,
        label: str,
        *,
        max_size_bytes: int = MAX_PINNED_BYTES,
        timeout_s: float | None = None,
    ) -> None:
        """Keep content under a label, fetching what is missing; see ``Store``."""
        source = _Reading(self._folder, self._remote, self._deadline(timeout_s))
        walk = dag.walk(cid, source.block, max_size_bytes=max_size_bytes, announce=source.announce)
        for block in walk:
            source.keep(block)
        self._pins.add(label, cid)
        self._remote.pin(cid, source.deadline)

    def unpin(self, label: str) -> None:
        """Drop the pins of a label; see ``Store``."""
        removed = self._pins.remove(label)
        pinned = frozenset[ContentId]().union(*self._pins.all().values())
        for cid in sorted(removed - pinned):
            self._remote.unpin(cid)

    def pins(self) -> Mapping[str, frozenset[ContentId]]:
        """What is pinned, by label."""
        return self._pins.all()

    def collect_garbage(self, *, grace_s: float = GRACE_S) -> Collected:
        """Remove what no pin keeps: mark from the pinned roots, then sweep; see ``Store``."""
        if grace_s < 0:
            raise InvalidParameter(f"must not be negative, got {grace_s:g}", field="grace_s")
        kept = self._marked()
        removed, size = [], 0
        for cid, size_bytes in self._folder.sweep(kept, grace_s):
            removed.append(cid)
            size += size_bytes
        if removed:
            self._remote.forget(removed)
        return Collected(len(removed), size)

    def close(self) -> None:
        """End what the remote has started."""
        self._remote.close()

    def _deadline(self, timeout_s: float | None) -> float:
        return time.monotonic() + (self._timeout_s if timeout_s is None else timeout_s)

    def _put_block(self, cid: ContentId, block: bytes) -> None:
        if self._folder.write(cid, block):
            self._remote.forget([cid])  # it may have tried the damaged one
        self._remote.publish(cid, block)

    def _marked(self) -> set[bytes]:
        """Digests of every block below a pin."""
        kept: set[bytes] = set()
        for label, roots in self._pins.all().items():
            for root in sorted(roots):
                try:
                    kept.update(
                        cid.digest for cid in dag.walk(root, self._folder.read, max_size_bytes=_ANY_SIZE)
                    )
                except (NotFound, CorruptContent) as error:
                    hint = "store the content again or drop the label; nothing was removed"
                    text = f"{root} cannot be followed: {error.message}"
                    raise StorageError(text, field=f"pins: {label}", hint=hint) from error
        return kept


class _Reading:
    """One read: blocks from the folder, and until the deadline from the remote."""

    def __init__(self, folder: BlockFolder, remote: Remote, deadline: float) -> None:
        self._folder = folder
        self._remote = remote
        self.deadline = deadline

    def announce(self, cids: Sequence[ContentId]) -> None:
        """Let the remote begin with the blocks that are read next."""
        missing = [cid for cid in cids if not self._folder.has(cid)]
        if missing:
            self._remote.want(missing, self.deadline)

    def block(self, cid: ContentId) -> bytes:
        try:
            return self._folder.read(cid)
        except NotFound:
            self._remote.fetch(cid, self.deadline)
            return self._folder.read(cid)

    def keep(self, cid: ContentId) -> None:
        """Make sure that a block is here, and young."""
        try:
            self._folder.refresh(cid)
        except NotFound:
            self._remote.fetch(cid, self.deadline)


def _require_bytes(chunk: bytes) -> bytes:
    if not isinstance(chunk, bytes | bytearray | memoryview):
        raise InvalidParameter(f"must be bytes, got {type(chunk).__name__}", field="data")
    return chunk
