"""Blocks in a directory: a file a block; any number of processes at once.

A block is written under a name of its own, flushed, then renamed to the name that its hash gives; two writers
of one block write the same bytes, so it does not matter who is last, and a reader, who locks nothing, sees a
whole block or none. Only removal needs a lock: a writer that finds its block there already makes it young
under a shared lock, and a sweep looks at its age again, and removes it, under the exclusive one.
"""

from __future__ import annotations

import base64
import contextlib
import fcntl
import os
import secrets
import time
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

from zkpfl.errors import InvalidEncoding, NotFound, StorageError
from zkpfl.storage import dag
from zkpfl.storage.cid import Codec, ContentId

_STALE_AFTER_S = 24 * 3600
"""Age at which an unfinished file can only be the litter of a crash."""

_SHA2_256 = b"\x12\x20"

Layout = Callable[[ContentId], str]
"""The name of a block's file; it lies in a folder of the two characters before the last of its stem."""


def by_cid(cid: ContentId) -> str:
    """``<content id>``, the layout of a local store."""
    return str(cid)


def by_multihash(cid: ContentId) -> str:
    """``<multihash in upper-case base32>.data``, the layout of the block store of Kubo (flatfs)."""
    return base64.b32encode(_SHA2_256 + cid.digest).decode().rstrip("=") + ".data"


def block_path(blocks: Path, name: str) -> Path:
    """Where a block of that file name lies."""
    stem = name.partition(".")[0]
    return blocks / stem[-3:-1] / name


def named(path: Path) -> ContentId | None:
    """The block that a file of either layout holds; of a multihash, which has no codec, as a raw block."""
    with contextlib.suppress(ValueError, InvalidEncoding):
        if path.suffix != ".data":
            return ContentId.parse(path.name)
        multihash = base64.b32decode(path.stem + "=" * (-len(path.stem) % 8))
        cid = ContentId.from_bytes(bytes((1, Codec.RAW)) + multihash)
        return cid if by_multihash(cid) == path.name else None
    return None


class BlockFolder:
    """Blocks below ``root/blocks``.

    Parameters
    ----------
    root
        Directory, made if missing.
    layout
        How files are named.

    Raises
    ------
    StorageError
        The directory cannot be made or written.
    """

    def __init__(self, root: Path, layout: Layout = by_cid) -> None:
        self._blocks = root / "blocks"
        self._unfinished = root / "unfinished"
        self._lock = root / "lock"
        self._layout = layout
        with disk_errors(root):
            self._blocks.mkdir(parents=True, exist_ok=True)
            self._unfinished.mkdir(exist_ok=True)
            self._sweep_litter()

    def path(self, cid: ContentId) -> Path:
        """Where a block lies, if it is here."""
        return block_path(self._blocks, self._layout(cid))

    def has(self, cid: ContentId) -> bool:
        """Whether a block is here; its bytes are checked when they are read."""
        return self.path(cid).is_file()

    def read(self, cid: ContentId) -> bytes:
        """Return a block, not yet checked and at most one byte longer than a leaf; raises `NotFound`."""
        path = self.path(cid)
        with disk_errors(path), _found(cid), path.open("rb") as file:
            return file.read(dag.LEAF_BYTES + 1)

    def write(self, cid: ContentId, block: bytes) -> bool:
        """Store a block durably and make it young; returns whether a damaged one was in its place."""
        path = self.path(cid)
        with disk_errors(path), self._locked(fcntl.LOCK_SH):
            found = _read(path)
            if found == block:
                os.utime(path)
            else:
                self._replace(path, block)
            # Also if it was there: another writer may have renamed it and not have synced yet.
            sync_directory(path.parent)
        return found not in (None, block)

    def accept(self, cid: ContentId, block: bytes) -> None:
        """Store a block that somebody else gave; raises `CorruptContent` if it is not that of the name."""
        self.write(cid, dag.require_block(cid, block))

    def refresh(self, cid: ContentId) -> None:
        """Make a block young, so that no sweep takes it within its grace period; raises `NotFound`."""
        path = self.path(cid)
        with disk_errors(path), _found(cid), self._locked(fcntl.LOCK_SH):
            os.utime(path)

    def sweep(self, keep: Collection[bytes], grace_s: float) -> Iterator[tuple[ContentId, int]]:
        """Remove each block whose digest is not in ``keep`` and that is older than ``grace_s``; yields it."""
        for path in sorted(self._blocks.glob("??/*")):
            cid = named(path)
            if cid is not None and cid.digest not in keep:
                size = self._remove(path, time.time() - grace_s)
                if size is not None:
                    yield cid, size

    def _remove(self, path: Path, oldest: float) -> int | None:
        with disk_errors(path), self._locked(fcntl.LOCK_EX):
            try:
                status = path.stat()
                if status.st_mtime > oldest:
                    return None
                path.unlink()
            except FileNotFoundError:
                return None  # another sweep was faster
            return status.st_size

    @contextlib.contextmanager
    def _locked(self, operation: int) -> Iterator[None]:
        descriptor = os.open(self._lock, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o666)
        try:
            fcntl.flock(descriptor, operation)
            yield
        finally:
            os.close(descriptor)

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
                sync_directory(self._blocks)
            unfinished.replace(path)
        except BaseException:
            unfinished.unlink(missing_ok=True)
            raise

    def _sweep_litter(self) -> None:
        """Remove what crashed writers left; younger files may belong to a living writer."""
        oldest = time.time() - _STALE_AFTER_S
        for path in self._unfinished.iterdir():
            with contextlib.suppress(FileNotFoundError):
                if path.stat().st_mtime < oldest:
                    path.unlink()


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def sync_directory(path: Path) -> None:
    """Make the names in a directory durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _found(cid: ContentId) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise NotFound(f"{cid} is not stored here", field="cid") from None


@contextlib.contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turn errors of the file system into `StorageError`."""
    try:
        yield
    except OSError as error:
        raise StorageError(
            f"{path}: {error.strerror or error}", hint="check space and permissions"
        ) from error
