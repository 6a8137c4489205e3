"""A daemon by RPC: nothing it says is believed, nothing waits for ever, nothing is asked for twice."""

import os
import socket
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.storage.rpc_daemon import RpcDaemon

from zkpfl.errors import CorruptContent, InvalidParameter, NotFound, StorageError, Unavailable
from zkpfl.storage import dag
from zkpfl.storage.cid import ContentId
from zkpfl.storage.dag import LEAF_BYTES
from zkpfl.storage.kubo_rpc import KuboRpcStore
from zkpfl.storage.local import LocalStore

LARGE = os.urandom(20 * LEAF_BYTES + 17)
NO_LIMIT = 1 << 40


@pytest.fixture
def daemon() -> Iterator[RpcDaemon]:
    with RpcDaemon() as running:
        yield running


@pytest.fixture
def owner(tmp_path: Path, daemon: RpcDaemon) -> Iterator[KuboRpcStore]:
    store = KuboRpcStore(tmp_path / "owner", daemon.url)
    yield store
    store.close()


@pytest.fixture
def reader(tmp_path: Path, daemon: RpcDaemon) -> Iterator[KuboRpcStore]:
    store = KuboRpcStore(tmp_path / "reader", daemon.url, timeout_s=10)
    yield store
    store.close()


def test_one_stores_and_another_reads(daemon: RpcDaemon, owner: KuboRpcStore, reader: KuboRpcStore) -> None:
    cid = owner.put(LARGE)
    assert not reader.has(cid)
    assert reader.get(cid, max_size_bytes=len(LARGE)) == LARGE
    assert reader.has(cid)
    assert len(daemon.blocks) == 22
    assert set(daemon.count("block/get").values()) == {1}


def test_what_was_read_is_not_asked_for_again(
    daemon: RpcDaemon, owner: KuboRpcStore, reader: KuboRpcStore
) -> None:
    cid = owner.put(LARGE)
    reader.get(cid, max_size_bytes=NO_LIMIT)
    daemon.asked.clear()
    assert reader.get(cid, max_size_bytes=NO_LIMIT) == LARGE
    assert daemon.asked == []


def test_an_interrupted_fetch_goes_on(daemon: RpcDaemon, owner: KuboRpcStore, reader: KuboRpcStore) -> None:
    cid = owner.put(LARGE)
    gone = ContentId.of_block(LARGE[7 * LEAF_BYTES : 8 * LEAF_BYTES])
    block = daemon.blocks.pop(gone.digest)
    with pytest.raises(NotFound, match=str(gone)):
        reader.get(cid, max_size_bytes=NO_LIMIT, timeout_s=1)
    time.sleep(0.5)  # the daemon gives up a little later
    daemon.blocks[gone.digest] = block
    daemon.asked.clear()
    assert reader.get(cid, max_size_bytes=NO_LIMIT) == LARGE
    assert daemon.count("block/get") == {str(gone): 1}


def test_blocks_are_fetched_at_once(daemon: RpcDaemon, owner: KuboRpcStore, reader: KuboRpcStore) -> None:
    cid = owner.put(LARGE)
    daemon.delay_s = 0.05
    assert reader.get(cid, max_size_bytes=NO_LIMIT) == LARGE
    assert 4 <= daemon.most_concurrent <= 9


def test_a_missing_block_ends_at_the_deadline(reader: KuboRpcStore) -> None:
    began = time.monotonic()
    with pytest.raises(NotFound, match="deadline exceeded"):
        reader.get(ContentId.of_block(b"absent"), max_size_bytes=9, timeout_s=0.5)
    assert 0.4 < time.monotonic() - began < 3


def test_a_silent_daemon_is_unavailable(tmp_path: Path) -> None:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        store = KuboRpcStore(tmp_path, f"http://127.0.0.1:{listening.getsockname()[1]}")
        began = time.monotonic()
        with pytest.raises(Unavailable):
            store.get(ContentId.of_block(b"absent"), max_size_bytes=9, timeout_s=0.3)
        assert time.monotonic() - began < 6
        store.close()


def test_no_daemon_is_unavailable(tmp_path: Path) -> None:
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        store = KuboRpcStore(tmp_path, f"http://127.0.0.1:{reserved.getsockname()[1]}")
        with pytest.raises(Unavailable):
            store.put(b"anything")
        store.close()


@pytest.mark.parametrize(
    "damage", [lambda b: b[:-1], lambda b: b + b"\0", lambda b: b"\xff" + b[1:], lambda b: b""]
)
def test_what_the_daemon_alters_is_refused_and_not_kept(
    daemon: RpcDaemon, owner: KuboRpcStore, reader: KuboRpcStore, damage
) -> None:
    cid = owner.put(LARGE)
    daemon.tamper = lambda command, body: damage(body) if command == "block/get" else body
    with pytest.raises(CorruptContent):
        reader.get(cid, max_size_bytes=NO_LIMIT)
    daemon.tamper = lambda command, body: body
    assert reader.get(cid, max_size_bytes=NO_LIMIT) == LARGE


def stored_blocks(daemon: RpcDaemon) -> list[ContentId]:
    """Give a daemon content of two levels; returns its root, then every block."""
    blocks: dict[ContentId, bytes] = {}
    root = dag.write([LARGE[: 2 * LEAF_BYTES + 9]], blocks.__setitem__)
    daemon.blocks = {cid.digest: block for cid, block in blocks.items()}
    return [root, *blocks]


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 1 << 40))
def test_every_flipped_bit_is_noticed(place: int) -> None:
    with RpcDaemon() as daemon:
        cid, *blocks = stored_blocks(daemon)
        digest = blocks[place % len(blocks)].digest
        damaged = bytearray(daemon.blocks[digest])
        damaged[place % len(damaged)] ^= 1 << place % 8
        daemon.blocks[digest] = bytes(damaged)
        with tempfile.TemporaryDirectory() as folder:
            store = KuboRpcStore(Path(folder), daemon.url)
            with pytest.raises(CorruptContent):
                store.get(cid, max_size_bytes=NO_LIMIT)
            store.close()


def test_an_endless_answer_is_cut(daemon: RpcDaemon, owner: KuboRpcStore, reader: KuboRpcStore) -> None:
    cid = owner.put(b"small")
    daemon.tamper = lambda command, body: bytes(1 << 24)
    with pytest.raises(Unavailable, match="more than"):
        reader.get(cid, max_size_bytes=NO_LIMIT)


def test_a_daemon_that_names_blocks_otherwise_is_no_store(daemon: RpcDaemon, owner: KuboRpcStore) -> None:
    for answer in (b'{"Key": "QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWnPbdG"}', b"[]", b"not json"):
        daemon.tamper = lambda command, body, answer=answer: answer
        with pytest.raises(StorageError, match="does not name"):
            owner.put(b"data")


def test_pins_are_at_the_daemon_too(daemon: RpcDaemon, owner: KuboRpcStore, reader: KuboRpcStore) -> None:
    kept, other = owner.put(LARGE), owner.put(b"other")
    reader.pin(kept, "job-1")
    reader.pin(kept, "job-2")
    assert daemon.pins == {kept}
    owner.collect_garbage(grace_s=0)
    assert not owner.has(kept)
    assert other.digest not in daemon.blocks
    assert len(daemon.blocks) == 22  # what the reader has pinned
    reader.unpin("job-1")
    assert daemon.pins == {kept}
    reader.unpin("job-2")
    assert daemon.pins == set()
    assert reader.collect_garbage(grace_s=0).blocks == 22
    assert daemon.blocks == {}


def test_a_pin_that_the_daemon_has_lost_already(daemon: RpcDaemon, owner: KuboRpcStore) -> None:
    owner.pin(owner.put(b"data"), "job-1")
    daemon.pins.clear()
    owner.unpin("job-1")
    assert owner.pins() == {}


def test_the_authorization_is_sent_and_not_shown(tmp_path: Path, daemon: RpcDaemon) -> None:
    store = KuboRpcStore(tmp_path, daemon.url, authorization="Basic c2VjcmV0")
    store.put(b"data")
    assert daemon.headers[0]["Authorization"] == "Basic c2VjcmV0"
    daemon.tamper = lambda command, body: bytes(1 << 24)
    with pytest.raises(Unavailable) as caught:
        store.put(b"more")
    assert "c2VjcmV0" not in str(caught.value)
    store.close()


def test_many_readers_share_one_store(daemon: RpcDaemon, owner: KuboRpcStore, reader: KuboRpcStore) -> None:
    contents = {owner.put(data): data for data in (LARGE[i * 1000 :] for i in range(4))}
    results: list[bool] = []

    def read(cid: ContentId, data: bytes) -> None:
        results.append(reader.get(cid, max_size_bytes=NO_LIMIT) == data)

    threads = [threading.Thread(target=read, args=item) for item in contents.items() for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert results == [True] * 8


@pytest.mark.parametrize(
    "url",
    [
        "",
        "127.0.0.1:5001",
        "ftp://host",
        "http://",
        "http://host:0",
        "http://host:x",
        "http://u:p@host",
        "http://h/?q",
        "http://h/?",
        "http://h/#",
        "http://h/\r\nX: y",
        "http://h/ x",
    ],
)
def test_the_url_is_checked(tmp_path: Path, url: str) -> None:
    with pytest.raises(InvalidParameter, match="URL"):
        KuboRpcStore(tmp_path, url)


def test_a_closed_store_asks_nobody(daemon: RpcDaemon, owner: KuboRpcStore) -> None:
    owner.close()
    with pytest.raises(Unavailable):
        owner.get(ContentId.of_block(b"absent"), max_size_bytes=9)
    assert daemon.asked == []


def around(size: int) -> st.SearchStrategy[int]:
    return st.integers(max(0, size - 2), size + 2)


@settings(max_examples=25, deadline=None)
@given(st.one_of(around(0), around(LEAF_BYTES), around(2 * LEAF_BYTES), st.integers(0, 4 * LEAF_BYTES)))
def test_names_are_those_of_a_local_store(size: int) -> None:
    with RpcDaemon() as daemon, tempfile.TemporaryDirectory() as folder:
        require_same_name(Path(folder), daemon, size)


@pytest.mark.parametrize("size", [174 * LEAF_BYTES, 174 * LEAF_BYTES + 1])
def test_names_of_a_full_node_and_of_one_more(tmp_path: Path, daemon: RpcDaemon, size: int) -> None:
    require_same_name(tmp_path, daemon, size)


def require_same_name(folder: Path, daemon: RpcDaemon, size: int) -> None:
    data = (LARGE * (size // len(LARGE) + 1))[:size]
    store = KuboRpcStore(folder / "rpc", daemon.url)
    cid = store.put(data)
    assert cid == LocalStore(folder / "local").put(data)
    assert store.get(cid, max_size_bytes=size) == data
    store.close()
