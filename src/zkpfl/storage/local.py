"""Blocks in a directory: a file a block, sharded as IPFS does; any number of processes at once.

Nothing here locks. A block is written under a name of its own, flushed, then renamed to the name that its
hash gives; two writers of one block write the same bytes, so it does not matter who is last, and a reader
sees a whole block or none. A parent is stored only after its children, so a crash leaves no root without
content.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from zkpfl.errors import InvalidParameter, NotFound, StorageError
from zkpfl.storage import dag
from zkpfl.storage.cid import ContentId

_STALE_AFTER_S = 24 * 3600
"""Age at which an unfinished file can only be the litter of a crash."""


class LocalStore:
    """A ``Store`` in a directory of the local file system.

    Parameters
    ----------
    root
        Directory, made if missing. Blocks lie in ``root/blocks/<two characters of the id>/<id>``.

    Raises
    ------
    StorageError
        The directory cannot be made or written.
    """

    def __init__(self, root: Path) -> None:
        self._blocks = root / "blocks"
        self._unfinished = root / "unfinished"
        with _disk_errors(root):
            self._blocks.mkdir(parents=True, exist_ok=True)
            self._unfinished.mkdir(exist_ok=True)
            self._sweep()

    def put(self, data: bytes) -> ContentId:
        """Store content; durable when this returns. Idempotent, and replaces a block that was damaged."""
        return self.put_stream((data,))

    def put_stream(self, chunks: Iterable[bytes]) -> ContentId:
        """Store content that arrives in pieces, cut anywhere, in bounded memory."""
        return dag.write(map(_require_bytes, chunks), self._put_block)

    def get(self, cid: ContentId, *, max_size_bytes: int) -> bytes:
        """Return the whole content of at most ``max_size_bytes``, verified; see ``Store``."""
        return b"".join(self.stream(cid, max_size_bytes=max_size_bytes))

    def stream(self, cid: ContentId, *, max_size_bytes: int) -> Iterator[bytes]:
        """Return the content piece by piece, each verified; see ``Store``."""
        if max_size_bytes < 0:
            raise InvalidParameter(f"must not be negative, got {max_size_bytes}", field="max_size_bytes")
        return dag.read(cid, self._get_block, max_size_bytes=max_size_bytes)

    def has(self, cid: ContentId) -> bool:
        """Whether the root block is here; it is stored last. Its bytes are checked when they are read."""
        return self._path(cid).is_file()

    def _path(self, cid: ContentId) -> Path:
        name = str(cid)
        return self._blocks / name[-3:-1] / name

    def _get_block(self, cid: ContentId) -> bytes:
        path = self._path(cid)
        with _disk_errors(path):
            try:
                with path.open("rb") as file:
                    return file.read(dag.LEAF_BYTES + 1)
            except FileNotFoundError:
                raise NotFound(f"{cid} is not stored here", field="cid") from None

    def _put_block(self, cid: ContentId, block: bytes) -> None:
        path = self._path(cid)
        with _disk_errors(path):
            if not _holds(path, block):
                self._replace(path, block)
            # Also if it was there: another writer may have renamed it and not have synced yet.
            _sync_directory(path.parent)

    def _replace(self, path: Path, block: bytes) -> None:
        """Write the bytes durably, then give them their name in one step."""
        unfinished = self._unfinished / f"{path.name}.{secrets.token_hex(8)}"
        try:
            with unfinished.open("xb") as file:
                file.write(block)
                file.flush()
                os.fsync(file.fileno())
            if not path.parent.is_dir():
                path.parent.mkdir(exist_ok=True)
                _sync_directory(self._blocks)
            unfinished.replace(path)
        except BaseException:
            unfinished.unlink(missing_ok=True)
            raise

    def _sweep(self) -> None:
        """Remove what crashed writers left; younger files may belong to a living writer."""
        oldest = time.time() - _STALE_AFTER_S
        for path in self._unfinished.iterdir():
            with contextlib.suppress(FileNotFoundError):
                if path.stat().st_mtime < oldest:
                    path.unlink()


def _require_bytes(chunk: bytes) -> bytes:
    if not isinstance(chunk, bytes | bytearray | memoryview):
        raise InvalidParameter(f"must be bytes, got {type(chunk).__name__}", field="data")
    return chunk


def _holds(path: Path, block: bytes) -> bool:
    try:
        return path.read_bytes() == block
    except FileNotFoundError:
        return False


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _disk_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StorageError(
            f"{path}: {error.strerror or error}", hint="check space and permissions"
        ) from error
