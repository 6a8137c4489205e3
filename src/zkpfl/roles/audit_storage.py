"""Audit of the block store: every file hashes to its name, whether anything refers to it or not."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from zkpfl.errors import NotAuthorized, NotFound, StorageError
from zkpfl.roles.audit_report import Findings, Progress
from zkpfl.roles.store_place import KuboPlace, StorePlace
from zkpfl.storage import dag
from zkpfl.storage.blocks import block_path, by_cid, by_multihash, named
from zkpfl.storage.cid import ContentId
from zkpfl.storage.store import Collected

CHECK = "stored_block"
PIN_CHECK = "pinned_content"
_ENTRIES = frozenset({"blocks", "unfinished", "pins", "lock"})


class AuditedStore:
    """A `Store` that reads a store's folder and changes nothing there.

    Parameters
    ----------
    place
        Where the store is; what is not in its folder is not here.
    """

    def __init__(self, place: StorePlace) -> None:
        self._blocks = place.path / "blocks"
        self._layout = by_multihash if isinstance(place, KuboPlace) else by_cid

    def put(self, data: bytes) -> ContentId:  # noqa: ARG002
        """Refuse: an audit writes nothing."""
        raise NotAuthorized("an audit writes nothing", field="store")

    def put_stream(self, chunks: Iterable[bytes]) -> ContentId:  # noqa: ARG002
        """Refuse: an audit writes nothing."""
        raise NotAuthorized("an audit writes nothing", field="store")

    def get(self, cid: ContentId, *, max_size_bytes: int, timeout_s: float | None = None) -> bytes:
        """Return the whole content, verified; see ``Store``."""
        return b"".join(self.stream(cid, max_size_bytes=max_size_bytes, timeout_s=timeout_s))

    def stream(
        self,
        cid: ContentId,
        *,
        max_size_bytes: int,
        timeout_s: float | None = None,  # noqa: ARG002 (nothing is waited for)
    ) -> Iterator[bytes]:
        """Return the content piece by piece, each verified; see ``Store``."""
        return dag.read(cid, self._get_block, max_size_bytes=max_size_bytes)

    def has(self, cid: ContentId) -> bool:
        """Whether the root block is here."""
        return self._path(cid).is_file()

    def pin(
        self,
        cid: ContentId,  # noqa: ARG002
        label: str,  # noqa: ARG002
        *,
        max_size_bytes: int = 0,  # noqa: ARG002
        timeout_s: float | None = None,  # noqa: ARG002
    ) -> None:
        """Refuse: an audit writes nothing."""
        raise NotAuthorized("an audit writes nothing", field="store")

    def unpin(self, label: str) -> None:  # noqa: ARG002
        """Refuse: an audit writes nothing."""
        raise NotAuthorized("an audit writes nothing", field="store")

    def pins(self) -> Mapping[str, frozenset[ContentId]]:
        """Nothing: an audit reads what the ledger names, pinned or not."""
        return {}

    def collect_garbage(self, *, grace_s: float = 0) -> Collected:  # noqa: ARG002
        """Refuse: an audit writes nothing."""
        raise NotAuthorized("an audit writes nothing", field="store")

    def close(self) -> None:
        """Do nothing: nothing was started."""

    def _path(self, cid: ContentId) -> Path:
        return block_path(self._blocks, self._layout(cid))

    def _get_block(self, cid: ContentId) -> bytes:
        try:
            with self._path(cid).open("rb") as file:
                return file.read(dag.LEAF_BYTES + 1)
        except FileNotFoundError:
            raise NotFound(f"{cid} is not stored here", field="cid") from None
        except OSError as error:
            raise StorageError(f"{cid}: {error.strerror}", field="cid") from error


def audit_store(place: StorePlace, findings: Findings, progress: Progress) -> None:
    """Check every file of a store's folder.

    Parameters
    ----------
    place
        Where the store is; its folder is only read.
    findings
        Takes one check a block.
    progress
        Told of blocks.
    """
    root = place.path
    if not (root / "blocks").is_dir():
        findings.failed(CHECK, str(root), "is not a block store")
        return
    if isinstance(place, KuboPlace):
        findings.not_checked.append("what Kubo keeps beside its blocks")
        paths = sorted((root / "blocks").glob("??/*.data"))
    else:
        paths = sorted(_files(root / "blocks"))
    for number, path in enumerate(paths, start=1):
        fault = _fault(path)
        findings.require(CHECK, str(path.relative_to(root)), fault is None, fault or "")
        progress("storage", number, len(paths))
    if not isinstance(place, KuboPlace):
        _audit_strays(root, findings)
    _audit_pins(place, findings)


def _audit_strays(root: Path, findings: Findings) -> None:
    """Nothing lies in the folder but what a store and a collection of its garbage leave."""
    for stray in sorted(entry.name for entry in root.iterdir() if entry.name not in _ENTRIES):
        findings.failed(CHECK, stray, "does not belong into a block store")
    for path in sorted(_files(root / "unfinished")):
        findings.failed(CHECK, str(path.relative_to(root)), "was never finished: a writer crashed")


def _audit_pins(place: StorePlace, findings: Findings) -> None:
    """Whatever is pinned is a content id whose root block is stored."""
    store = AuditedStore(place)
    for path in sorted(_files(place.path / "pins")):
        cid = named(path)
        held = cid is not None and store.has(cid)
        findings.require(PIN_CHECK, str(path.relative_to(place.path)), held, "pins what is not stored here")


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if not path.is_dir())


def _fault(path: Path) -> str | None:
    cid = named(path)
    if cid is None:
        return "the name is not a content id"
    if path.parent.name != path.stem[-3:-1]:
        return "lies in the wrong folder"
    try:
        block = path.read_bytes()
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    return None if cid.names(block) else "the bytes do not hash to the name"
