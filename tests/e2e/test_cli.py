"""The command line as processes: it starts what it says, stops when told, and leaves nothing behind."""

import json
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.commands import Start, read_until, starting
from zkpfl.cli.app import run
from zkpfl.cli.lifeline import LEAVE_S, LIFELINE
from zkpfl.cli.storage import parse_place
from zkpfl.roles.network import Network
from zkpfl.roles.store_place import KuboPlace, LocalPlace, read_swarm_key
from zkpfl.storage.cid import ContentId
from zkpfl.storage.kubo import KuboStore
from zkpfl.storage.kubo_process import KuboSettings
from zkpfl.storage.local import LocalStore

pytestmark = pytest.mark.e2e


@pytest.fixture
def start() -> Iterator[Start]:
    with starting() as start_command:
        yield start_command


def processes_of(folder: Path) -> list[int]:
    """Processes that have the folder in their command line."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdecimal() and str(folder) in (entry / "cmdline").read_text():
                found.append(int(entry.name))
        except OSError:
            continue  # it has just ended
    return found


def wait_until_gone(folder: Path, timeout_s: float) -> None:
    deadline = time.monotonic() + timeout_s
    while left := processes_of(folder):
        assert time.monotonic() < deadline, f"still running: {left}"
        time.sleep(0.05)


def start_demo(start: Start, folder: Path) -> subprocess.Popen[str]:
    """A demo whose children all run."""
    demo = start("demo", "--data-dir", str(folder))
    identity = read_until(demo, "run")
    assert (identity["seed"], identity["committee"], identity["threshold"]) == (0, 3, 2)
    read_until(demo, "ready", "node-1")
    assert len(processes_of(folder)) == 1 + 1 + 3 + 1 + 4, "demo, ledger, zk-nodes, owner, trainers"
    return demo


def test_a_demo_that_is_told_to_stop_leaves_no_process(start: Start, tmp_path: Path) -> None:
    demo = start_demo(start, tmp_path / "demo")
    demo.terminate()
    assert demo.stdout is not None
    last = json.loads(demo.stdout.read().splitlines()[-1])
    assert last["error"]["code"] in {"job_failed", "unavailable"}
    assert demo.wait(30) in {1, 2}
    assert processes_of(tmp_path / "demo") == []


def test_a_demo_that_is_killed_leaves_no_process(start: Start, tmp_path: Path) -> None:
    demo = start_demo(start, tmp_path / "demo")
    demo.kill()
    wait_until_gone(tmp_path / "demo", 30)


def test_a_child_ends_with_its_parents_end_of_the_pipe(start: Start, tmp_path: Path) -> None:
    ledger = start("ledger", "serve", "--data-dir", str(tmp_path), **{LIFELINE: "1"})
    read_until(ledger, "serving")
    assert ledger.stdin is not None
    ledger.stdin.close()
    assert ledger.wait(15) == 0


def test_from_keys_to_a_deployed_network(
    start: Start, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def succeed(*arguments: str) -> dict[str, Any]:
        assert run([*arguments, "--json"]) == 0
        return dict(json.loads(capsys.readouterr().out.splitlines()[-1]))

    ledger = start("ledger", "serve", "--data-dir", str(tmp_path / "ledger"))
    url = read_until(ledger, "serving")["url"]
    keys, network = tmp_path / "deployer.json", tmp_path / "network.json"
    succeed("keys", "new", str(keys))
    store = tmp_path / "store"
    place = ["--url", url, "--identity", str(keys), "--network", str(network), "--store", str(store)]
    deployed = succeed("ledger", "deploy", *place, "--fund", f"{'0x' + '11' * 20}=0.5")
    assert deployed["funded"] == {"0x" + "11" * 20: "0.5"}
    assert Network.load(network).store == LocalPlace(store)
    assert Network.load(network).connect(None).token.balance(b"\x11" * 20) == 5 * 10**17
    assert succeed("job", "list", "--network", str(network)) == {"jobs": []}
    assert run(["job", "status", "1", "--network", str(network)]) == 4
    assert "there is no job 1" in capsys.readouterr().err
    options = ["--model", "heart", "--no-privacy", "--job-key", str(tmp_path / "job.key")]
    assert run(["job", "submit", "--network", str(network), "--identity", str(keys), *options]) == 4
    assert "3 zk-nodes are asked for, 0 are registered" in capsys.readouterr().err
    assert not (tmp_path / "job.key").exists()
    ledger.send_signal(signal.SIGINT)
    assert ledger.wait(15) == 0


def test_storage_is_looked_after(start: Start, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def call(*arguments: str, code: int = 0) -> dict[str, Any]:
        assert run([*arguments, "--json"]) == code
        return dict(json.loads(capsys.readouterr().out.splitlines()[-1]))

    url = read_until(start("ledger", "serve", "--data-dir", str(tmp_path / "ledger")), "serving")["url"]
    keys, network = tmp_path / "deployer.json", ["--network", str(tmp_path / "network.json")]
    call("keys", "new", str(keys))
    deploy = ["ledger", "deploy", "--url", url, "--identity", str(keys)]
    call(*deploy, *network, "--store", str(tmp_path / "store"))
    store = LocalStore(tmp_path / "store")
    kept, other = store.put(b"kept"), store.put(b"other")
    store.pin(kept, "mine")
    assert call("store", "pins", *network) == {"pins": {"mine": [str(kept)]}}
    assert call("store", "gc", *network) == {"released": [], "blocks": 0, "size_bytes": 0}
    assert call("store", "gc", *network, "--grace", "0") == {"released": [], "blocks": 1, "size_bytes": 5}
    assert store.has(kept)
    assert not store.has(other)
    for command in ("serve", "connect"):
        assert call("store", command, *network, code=4)["error"]["field"] == "store"

    private = ["--network", str(tmp_path / "private" / "network.json")]
    call(*deploy, *private, "--store", f"kubo:{tmp_path / 'private' / 'ipfs'}")
    peer, listen = "/ip4/127.0.0.1/tcp/4001/p2p/12D3KooW", "/ip4/127.0.0.1/tcp/0"
    assert call("store", "connect", *private, "--peer", peer) == {"peers": [peer], "listen": [listen]}
    assert call("store", "connect", *private, "--peer", "127.0.0.1:4001", code=4)["error"]["field"] == "peers"
    place = Network.load(tmp_path / "private" / "network.json").store
    assert isinstance(place, KuboPlace)
    assert place.path == tmp_path / "private" / "ipfs"
    assert (tmp_path / "private" / "swarm.key").stat().st_mode & 0o777 == 0o600


@pytest.mark.kubo
def test_an_ipfs_node_serves_until_it_is_told_to_stop(start: Start, tmp_path: Path) -> None:
    place = parse_place(f"kubo:{tmp_path / 'ipfs'}", tmp_path)
    Network("http://127.0.0.1:1", 31337, b"\x11" * 20, place).save(tmp_path / "network.json")
    node = start("store", "serve", "--network", str(tmp_path / "network.json"))
    (address,) = read_until(node, "serving")["addresses"]
    settings = KuboSettings(read_swarm_key(tmp_path / "swarm.key"), peers=(address,))
    with closing(KuboStore(tmp_path / "other", settings)) as store:
        assert store.put(b"hello") == ContentId.of_block(b"hello")
    node.send_signal(signal.SIGTERM)
    assert node.wait(15) == 0


@contextmanager
def silent_ledger(tmp_path: Path) -> Iterator[tuple[Path, socket.socket]]:
    """Network file of a ledger that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(30)
        file = tmp_path / "network.json"
        Network(
            f"http://127.0.0.1:{server.getsockname()[1]}", 31337, b"\x11" * 20, LocalPlace(Path("store"))
        ).save(file)
        yield file, server


def serve_node(network: Path, keys: Path) -> list[str]:
    places = ["--network", str(network), "--identity", str(keys), "--data-dir", str(keys.parent)]
    return ["node", "serve", *places]


def let_it_wait(asked: socket.socket) -> None:
    """Return once the process that asked is blocked in its wait for the answer.

    A signal in the microseconds between Python's last look at its signals and the blocking call would be
    seen only when the call returns.
    """
    asked.settimeout(30)
    assert asked.recv(1)
    time.sleep(0.3)


def told_to_stop(process: subprocess.Popen[str], number: signal.Signals, within_s: float) -> dict[str, Any]:
    """The error with which a command ends after a signal."""
    began = time.monotonic()
    process.send_signal(number)
    assert process.stdout is not None
    last = json.loads(process.stdout.read().splitlines()[-1])
    assert process.wait(10) == 1
    assert time.monotonic() - began < within_s
    return dict(last["error"])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
def test_a_command_that_waits_for_an_answer_ends_at_once(
    start: Start, tmp_path: Path, number: signal.Signals
) -> None:
    with silent_ledger(tmp_path) as (network, server):
        listing = start("job", "list", "--network", str(network))
        asked, _ = server.accept()
        with asked:
            let_it_wait(asked)
            assert told_to_stop(listing, number, 2.5)["code"] == "job_failed"


def test_a_node_whose_ledger_does_not_answer_ends_soon(start: Start, tmp_path: Path) -> None:
    keys = tmp_path / "node.json"
    assert run(["keys", "new", str(keys), "--node"]) == 0
    with silent_ledger(tmp_path) as (network, server):
        node = start(*serve_node(network, keys))
        asked, _ = server.accept()
        with asked:
            let_it_wait(asked)
            assert told_to_stop(node, signal.SIGTERM, LEAVE_S + 2.5)["code"] == "job_failed"


def test_a_node_whose_ledger_is_gone_ends_at_once(start: Start, tmp_path: Path) -> None:
    keys = tmp_path / "node.json"
    assert run(["keys", "new", str(keys), "--node"]) == 0
    with silent_ledger(tmp_path) as (network, server):
        node = start(*serve_node(network, keys))
        asked, _ = server.accept()
        asked.close()
    time.sleep(0.5)  # from now on every connection is refused, and the node waits longer and longer
    began = time.monotonic()
    node.terminate()
    assert node.stdout is not None
    assert json.loads(node.stdout.read().splitlines()[-1])["error"]["code"] == "unavailable"
    assert node.wait(10) == 2
    assert time.monotonic() - began < 2.5
