"""Blocks on disk: durable, idempotent, verified, shared by processes."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from zkpfl.errors import ContentTooLarge, CorruptContent, InvalidParameter, NotFound, StorageError
from zkpfl.storage import dag
from zkpfl.storage.cid import Codec, ContentId
from zkpfl.storage.dag import LEAF_BYTES
from zkpfl.storage.local import LocalStore
from zkpfl.storage.store import Store

LARGE = bytes(range(256)) * 3000 + os.urandom(64)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return LocalStore(tmp_path)


def name_of(data: bytes) -> ContentId:
    return dag.write([data], lambda cid, block: None)


def block_path(root: Path, cid: ContentId) -> Path:
    (path,) = (root / "blocks").rglob(str(cid))
    return path


@pytest.mark.parametrize("size", [0, 1, LEAF_BYTES, LEAF_BYTES + 1, len(LARGE)])
def test_what_was_put_comes_back(store: Store, size: int) -> None:
    cid = store.put(LARGE[:size])
    assert store.get(cid, max_size_bytes=size) == LARGE[:size]
    assert store.has(cid)


def test_streams_in_and_out(store: Store) -> None:
    cid = store.put_stream(LARGE[i : i + 1000] for i in range(0, len(LARGE), 1000))
    assert cid == store.put(LARGE)
    pieces = list(store.stream(cid, max_size_bytes=len(LARGE)))
    assert b"".join(pieces) == LARGE
    assert max(map(len, pieces)) <= LEAF_BYTES


def test_survives_reopening(tmp_path: Path) -> None:
    cid = LocalStore(tmp_path).put(LARGE)
    assert LocalStore(tmp_path).get(cid, max_size_bytes=len(LARGE)) == LARGE


def test_missing_content_is_named(store: Store) -> None:
    cid = ContentId.of_block(b"never stored")
    assert not store.has(cid)
    with pytest.raises(NotFound, match=str(cid)):
        store.get(cid, max_size_bytes=100)


def test_missing_leaf_is_named(tmp_path: Path, store: Store) -> None:
    cid = store.put(LARGE)
    leaf = ContentId.of_block(LARGE[:LEAF_BYTES])
    block_path(tmp_path, leaf).unlink()
    with pytest.raises(NotFound, match=str(leaf)):
        store.get(cid, max_size_bytes=len(LARGE))


def test_size_limit(store: Store) -> None:
    cid = store.put(LARGE)
    with pytest.raises(ContentTooLarge):
        store.get(cid, max_size_bytes=len(LARGE) - 1)
    with pytest.raises(InvalidParameter, match="max_size_bytes"):
        store.stream(cid, max_size_bytes=-1)


@pytest.mark.parametrize(
    "damage", [lambda b: b[:-1], lambda b: b + b"\0", lambda b: b"\xff" + b[1:], lambda b: b""]
)
@pytest.mark.parametrize("codec", list(Codec))
def test_damage_on_disk_is_found_and_repaired_by_another_put(tmp_path: Path, codec: Codec, damage) -> None:
    store = LocalStore(tmp_path)
    cid = store.put(LARGE)
    victim = cid if codec is Codec.DAG_PB else ContentId.of_block(LARGE[:LEAF_BYTES])
    path = block_path(tmp_path, victim)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(CorruptContent, match=str(victim)):
        store.get(cid, max_size_bytes=len(LARGE))
    assert store.put(LARGE) == cid
    assert store.get(cid, max_size_bytes=len(LARGE)) == LARGE


def test_putting_again_writes_nothing(tmp_path: Path, store: Store) -> None:
    def written() -> dict[Path, tuple[int, int]]:
        files = (path for path in tmp_path.rglob("*") if path.is_file())
        return {path: (path.stat().st_ino, path.stat().st_size) for path in files}

    store.put(LARGE)
    before = written()
    store.put(LARGE)
    assert written() == before


def test_only_litter_of_crashes_is_swept(tmp_path: Path) -> None:
    LocalStore(tmp_path)
    old, young = tmp_path / "unfinished" / "old", tmp_path / "unfinished" / "young"
    for path in (old, young):
        path.write_bytes(b"half a block")
    two_days_ago = time.time() - 2 * 24 * 3600
    os.utime(old, (two_days_ago, two_days_ago))
    LocalStore(tmp_path)
    assert young.exists()
    assert not old.exists()


def test_a_failed_write_leaves_nothing(tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError, match="No space left"):
        store.put(LARGE)
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["lock"]


def test_a_failing_source_stores_no_root(store: Store) -> None:
    def source():
        yield LARGE
        raise RuntimeError("connection lost")

    with pytest.raises(RuntimeError, match="connection lost"):
        store.put_stream(source())
    assert not store.has(name_of(LARGE))


def test_unusable_directory(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StorageError, match="file"):
        LocalStore(tmp_path / "file")


def test_text_is_refused(store: Store) -> None:
    with pytest.raises(InvalidParameter, match="data"):
        store.put("text")  # type: ignore[arg-type]


WRITER = """
import sys
from pathlib import Path
from zkpfl.storage.local import LocalStore
store = LocalStore(Path(sys.argv[1]))
sys.stdin.read(1)
for i in range(12):
    for data in (bytes([i]) * 700_000, bytes([i]) * 5, sys.argv[2].encode() * (100_000 + i)):
        assert store.get(store.put(data), max_size_bytes=len(data)) == data
"""


def test_several_processes_write_at_once(tmp_path: Path) -> None:
    command = [sys.executable, "-W", "error", "-c", WRITER, str(tmp_path)]
    writers = [subprocess.Popen([*command, str(i)], stdin=subprocess.PIPE) for i in range(4)]
    for writer in writers:
        writer.communicate(b"!", timeout=60)
    assert [writer.returncode for writer in writers] == [0] * 4
    assert not list((tmp_path / "unfinished").iterdir())
    store = LocalStore(tmp_path)
    for i in range(12):
        cid = name_of(bytes([i]) * 700_000)
        assert store.get(cid, max_size_bytes=700_000) == bytes([i]) * 700_000


KILLED = """
import sys
from pathlib import Path
from zkpfl.storage.local import LocalStore
store = LocalStore(Path(sys.argv[1]))
i = 0
while True:
    print(store.put(i.to_bytes(4, "big") * 200_000), flush=True)
    i += 1
"""


def test_a_killed_writer_loses_nothing_that_it_acknowledged(tmp_path: Path) -> None:
    command = [sys.executable, "-c", KILLED, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        acknowledged = [writer.stdout.readline().strip() for _ in range(5)]
        writer.kill()
        acknowledged += [line.strip() for line in writer.stdout if line.endswith("\n")]
    store = LocalStore(tmp_path)
    for i, name in enumerate(acknowledged):
        data = store.get(ContentId.parse(name), max_size_bytes=800_000)
        assert data == i.to_bytes(4, "big") * 200_000
