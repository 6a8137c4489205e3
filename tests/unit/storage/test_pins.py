"""Pins and garbage collection: what a label keeps stays, the rest goes, whoever writes meanwhile."""

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from zkpfl.errors import ContentTooLarge, InvalidParameter, NotFound, StorageError
from zkpfl.storage import dag
from zkpfl.storage.cid import ContentId
from zkpfl.storage.dag import LEAF_BYTES
from zkpfl.storage.local import LocalStore
from zkpfl.storage.store import Collected

LARGE = os.urandom(3 * LEAF_BYTES + 5)
SMALL = b"a manifest"


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path)


def stored(root: Path) -> set[str]:
    return {path.name for path in (root / "blocks").rglob("*") if path.is_file()}


def block_path(root: Path, cid: ContentId) -> Path:
    (path,) = (root / "blocks").rglob(str(cid))
    return path


def test_pinned_content_stays_and_the_rest_goes(tmp_path: Path, store: LocalStore) -> None:
    kept, small, lost = store.put(LARGE), store.put(SMALL), store.put(LARGE[::-1])
    store.pin(kept, "job-1")
    store.pin(small, "job-2")
    collected = store.collect_garbage(grace_s=0)
    assert collected.blocks == 5
    assert collected.size_bytes > len(LARGE)
    assert store.get(kept, max_size_bytes=len(LARGE)) == LARGE
    assert store.get(small, max_size_bytes=100) == SMALL
    assert not store.has(lost)
    assert len(stored(tmp_path)) == 6
    assert store.collect_garbage(grace_s=0) == Collected(0, 0)


def test_blocks_that_pinned_content_shares_stay(store: LocalStore) -> None:
    one, two = store.put(LARGE), store.put(LARGE[: 2 * LEAF_BYTES])
    store.pin(one, "job-1")
    store.pin(two, "job-2")
    store.unpin("job-2")
    store.collect_garbage(grace_s=0)
    assert store.get(one, max_size_bytes=len(LARGE)) == LARGE
    assert not store.has(two)


def test_a_label_goes_as_a_whole_and_alone(store: LocalStore) -> None:
    one, two, three = (store.put(bytes([i])) for i in range(3))
    for cid, label in ((one, "a"), (two, "a"), (two, "b"), (three, "c")):
        store.pin(cid, label)
    store.pin(one, "a")
    assert store.pins() == {"a": {one, two}, "b": {two}, "c": {three}}
    store.unpin("a")
    store.unpin("never-used")
    assert store.pins() == {"b": {two}, "c": {three}}
    store.collect_garbage(grace_s=0)
    assert [store.has(cid) for cid in (one, two, three)] == [False, True, True]


def test_young_blocks_stay(tmp_path: Path, store: LocalStore) -> None:
    old, young, touched, unpinned = (store.put(bytes([i])) for i in range(4))
    store.pin(unpinned, "job-1")
    for cid in (old, touched, unpinned):
        os.utime(block_path(tmp_path, cid), (1, 1))
    store.put(bytes([2]))
    store.pin(unpinned, "job-1")
    store.unpin("job-1")
    assert store.collect_garbage(grace_s=3600) == Collected(1, 1)
    assert [store.has(cid) for cid in (old, young, touched, unpinned)] == [False, True, True, True]


def test_only_what_is_here_can_be_pinned(tmp_path: Path, store: LocalStore) -> None:
    with pytest.raises(NotFound):
        store.pin(ContentId.of_block(b"elsewhere"), "job-1")
    cid = store.put(LARGE)
    block_path(tmp_path, ContentId.of_block(LARGE[:LEAF_BYTES])).unlink()
    with pytest.raises(NotFound):
        store.pin(cid, "job-1")
    assert store.pins() == {}


def test_pinning_is_limited_by_size(store: LocalStore) -> None:
    cid = store.put(LARGE)
    with pytest.raises(ContentTooLarge):
        store.pin(cid, "job-1", max_size_bytes=len(LARGE) - 1)
    assert store.pins() == {}


@pytest.mark.parametrize("label", ["", "-a", ".", "..", "a/b", "A", "a" * 129, "a\n", "ä"])
def test_labels_are_checked(store: LocalStore, label: str) -> None:
    cid = store.put(SMALL)
    for use in (lambda: store.pin(cid, label), lambda: store.unpin(label)):
        with pytest.raises(InvalidParameter, match="label"):
            use()


def test_nothing_goes_while_a_pin_cannot_be_followed(tmp_path: Path, store: LocalStore) -> None:
    kept, other = store.put(LARGE), store.put(SMALL)
    store.pin(kept, "job-1")
    path = block_path(tmp_path, kept)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(StorageError, match=r"pins: job-1.*nothing was removed"):
        store.collect_garbage(grace_s=0)
    assert store.has(other)
    store.put(LARGE)
    assert store.collect_garbage(grace_s=0).blocks == 1


def test_what_is_no_pin_stops_the_collection(tmp_path: Path, store: LocalStore) -> None:
    store.pin(store.put(SMALL), "job-1")
    (tmp_path / "pins/job-1/notes.txt").write_text("?")
    with pytest.raises(StorageError, match="no pin"):
        store.collect_garbage(grace_s=0)


def test_a_negative_grace_is_refused(store: LocalStore) -> None:
    with pytest.raises(InvalidParameter, match="grace_s"):
        store.collect_garbage(grace_s=-1)


def test_shared_nodes_are_walked_once() -> None:
    blocks: dict[ContentId, bytes] = {}
    root = dag.write([bytes(LEAF_BYTES)] * (3 * 174), blocks.__setitem__)
    fetched: list[ContentId] = []

    def fetch(cid: ContentId) -> bytes:
        fetched.append(cid)
        return blocks[cid]

    assert set(dag.walk(root, fetch, max_size_bytes=1 << 40)) == set(blocks)
    assert len(fetched) == 2


def test_a_walk_names_every_block_once() -> None:
    blocks: dict[ContentId, bytes] = {}
    root = dag.write([os.urandom(175 * 100) * 270], blocks.__setitem__)
    walked = list(dag.walk(root, blocks.__getitem__, max_size_bytes=1 << 40))
    assert walked[0] == root
    assert sorted(walked) == sorted(blocks)


WRITER = """
import sys
from pathlib import Path
from zkpfl.storage.local import LocalStore
store = LocalStore(Path(sys.argv[1]))
for i in range(60):
    data = bytes([i % 5]) * 300_000
    cid = store.put(data)
    store.pin(cid, sys.argv[2])
    assert store.get(cid, max_size_bytes=len(data)) == data
    store.unpin(sys.argv[2])
"""


def test_collecting_while_others_write_the_same_blocks(tmp_path: Path, store: LocalStore) -> None:
    """The blocks are made old all the time; what was just put or pinned is young again, and must stay."""
    command = [sys.executable, "-W", "error", "-c", WRITER, str(tmp_path)]
    writers = [subprocess.Popen([*command, f"writer-{i}"]) for i in range(2)]
    stop = threading.Event()

    def age() -> None:
        while not stop.is_set():
            for path in (tmp_path / "blocks").rglob("*"):
                if path.is_file() and time.time() - path.stat().st_mtime > 1:
                    os.utime(path, (1, 1))
            stop.wait(0.01)

    ageing = threading.Thread(target=age)
    ageing.start()
    collected = 0
    try:
        while any(writer.poll() is None for writer in writers):
            try:
                collected += store.collect_garbage(grace_s=0.5).blocks
            except StorageError as error:
                assert "cannot be followed" in str(error)
    finally:
        stop.set()
        ageing.join()
    assert [writer.wait(60) for writer in writers] == [0, 0]
