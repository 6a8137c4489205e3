"""Audit of the block store: every file hashes to its name, whether anything refers to it or not."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from zkpfl.errors import InvalidEncoding, NotAuthorized, NotFound, StorageError
from zkpfl.roles.audit_report import Findings, Progress
from zkpfl.storage import dag
from zkpfl.storage.cid import ContentId

CHECK = "stored_block"
_FOLDERS = frozenset({"blocks", "unfinished"})


class AuditedStore:
    """A `Store` that reads the folder of a `LocalStore` and changes nothing there.

    Parameters
    ----------
    root
        The store's folder.
    """

    def __init__(self, root: Path) -> None:
        self._blocks = root / "blocks"

    def put(self, data: bytes) -> ContentId:  # noqa: ARG002
        """Refuse: an audit writes nothing."""
        raise NotAuthorized("an audit writes nothing", field="store")

    def put_stream(self, chunks: Iterable[bytes]) -> ContentId:  # noqa: ARG002
        """Refuse: an audit writes nothing."""
        raise NotAuthorized("an audit writes nothing", field="store")

    def get(self, cid: ContentId, *, max_size_bytes: int) -> bytes:
        """Return the whole content, verified; see ``Store``."""
        return b"".join(self.stream(cid, max_size_bytes=max_size_bytes))

    def stream(self, cid: ContentId, *, max_size_bytes: int) -> Iterator[bytes]:
        """Return the content piece by piece, each verified; see ``Store``."""
        return dag.read(cid, self._get_block, max_size_bytes=max_size_bytes)

    def has(self, cid: ContentId) -> bool:
        """Whether the root block is here."""
        return self._path(cid).is_file()

    def _path(self, cid: ContentId) -> Path:
        name = str(cid)
        return self._blocks / name[-3:-1] / name

    def _get_block(self, cid: ContentId) -> bytes:
        try:
            with self._path(cid).open("rb") as file:
                return file.read(dag.LEAF_BYTES + 1)
        except FileNotFoundError:
            raise NotFound(f"{cid} is not stored here", field="cid") from None
        except OSError as error:
            raise StorageError(f"{cid}: {error.strerror}", field="cid") from error


def audit_store(root: Path, findings: Findings, progress: Progress) -> None:
    """Check every file of a `LocalStore`.

    Parameters
    ----------
    root
        The store's folder; only read.
    findings
        Takes one check a block.
    progress
        Told of blocks.
    """
    if not (root / "blocks").is_dir():
        findings.failed(CHECK, str(root), "is not a block store")
        return
    paths = sorted(_files(root / "blocks"))
    for number, path in enumerate(paths, start=1):
        fault = _fault(path)
        findings.require(CHECK, str(path.relative_to(root)), fault is None, fault or "")
        progress("storage", number, len(paths))
    for stray in sorted(entry.name for entry in root.iterdir() if entry.name not in _FOLDERS):
        findings.failed(CHECK, stray, "does not belong into a block store")
    for path in sorted(_files(root / "unfinished")):
        findings.failed(CHECK, str(path.relative_to(root)), "was never finished: a writer crashed")


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if not path.is_dir())


def _fault(path: Path) -> str | None:
    try:
        cid = ContentId.parse(path.name)
    except InvalidEncoding:
        return "the name is not a content id"
    if path.parent.name != path.name[-3:-1]:
        return "lies in the wrong folder"
    try:
        block = path.read_bytes()
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    return None if cid.names(block) else "the bytes do not hash to the name"
