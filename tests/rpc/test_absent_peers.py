"""Nodes that are away, late, slow or killed: nothing blocks for ever, and errors name the node."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from tests.rpc.doubles import BlockingNode, connect

from zkpfl.errors import DeadlineExceeded, Unavailable
from zkpfl.rpc.convert import CHUNK_BYTES

KILLED_SERVER = """
from tests.rpc.doubles import LIMITS, SERVER, BlockingNode
from zkpfl.rpc.server import serve

print(serve(BlockingNode(), identity=SERVER, limits=LIMITS).endpoint, flush=True)
input()
"""


@pytest.fixture
def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_a_node_that_is_away_is_unavailable_within_the_time(free_port):
    began = time.monotonic()
    expected = pytest.raises(Unavailable, match=rf"zk-node 2: .*127\.0\.0\.1:{free_port}")
    with connect(f"127.0.0.1:{free_port}", party="zk-node 2") as client, expected:
        client.status(timeout_s=0.5)
    assert time.monotonic() - began < 5


def test_a_node_that_starts_late_is_found(free_port, start, node, signed):
    with connect(f"127.0.0.1:{free_port}") as client:
        late = threading.Timer(0.5, lambda: start(node, port=free_port))
        late.start()
        client.upload_share(signed, bytes(48), bytes(CHUNK_BYTES + 1), timeout_s=30)
        late.join()
    assert len(node.shares) == 1


def test_a_node_that_restarts_is_found_again(free_port, start, node):
    with connect(f"127.0.0.1:{free_port}") as client:
        for _ in range(2):
            server = start(node, port=free_port)
            assert client.status(timeout_s=30).block_number == 42
            server.stop(0)


def test_a_node_killed_in_mid_stream_is_unavailable(signed):
    """The client blocks in the middle of the upload until the server's process is dead."""
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED_SERVER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(["src", ".", *sys.path])},
    )
    with process, connect(process.stdout.readline().strip(), party="zk-node 2") as client:

        def kill(sent):
            if sent >= 4 * CHUNK_BYTES and process.poll() is None:
                process.send_signal(signal.SIGKILL)
                process.wait()

        with pytest.raises(Unavailable, match="zk-node 2"):
            client.upload_share(signed, bytes(48), bytes(20 << 20), timeout_s=3, progress=kill)


def test_a_slow_node_meets_the_deadline(start):
    slow = BlockingNode()
    server = start(slow)
    expected = pytest.raises(DeadlineExceeded, match=rf"zk-node 2: .*{server.endpoint}")
    with connect(server.endpoint, party="zk-node 2") as client, expected:
        client.status(timeout_s=0.3)
    slow.release.set()


def test_close_ends_calls_of_other_threads(start):
    slow = BlockingNode()
    client = connect(start(slow).endpoint)
    closer = threading.Thread(target=lambda: (slow.entered.wait(20), client.close()))
    closer.start()
    with pytest.raises(Unavailable):
        client.status(timeout_s=30)
    closer.join()
    slow.release.set()


def test_close_ends_the_wait_between_attempts(free_port):
    client = connect(f"127.0.0.1:{free_port}")
    threading.Timer(0.3, client.close).start()
    began = time.monotonic()
    with pytest.raises(Unavailable):
        client.status(timeout_s=60)
    assert time.monotonic() - began < 20


def test_a_busy_node_is_tried_again_until_it_has_room(start, signed):
    slow = BlockingNode()
    server = start(slow, max_streams=1)
    with connect(server.endpoint) as client, connect(server.endpoint, party="zk-node 2") as second:
        upload = threading.Thread(
            target=lambda: client.upload_share(signed, bytes(48), bytes(48), timeout_s=30)
        )
        upload.start()
        assert slow.entered.wait(20)
        with pytest.raises(Unavailable, match="zk-node 2"):
            second.upload_share(signed, bytes(48), bytes(48), timeout_s=0.5)
        slow.release.set()
        second.upload_share(signed, bytes(48), bytes(48), timeout_s=30)
        upload.join()
    assert len(slow.shares) == 2


def test_stop_lets_a_running_call_finish(start):
    slow = BlockingNode()
    server = start(slow)
    with connect(server.endpoint) as client:
        answers = []
        call = threading.Thread(target=lambda: answers.append(client.status(timeout_s=30)))
        call.start()
        assert slow.entered.wait(20)
        threading.Timer(0.2, slow.release.set).start()
        server.stop(grace_s=20)
        call.join()
    assert answers[0].block_number == 42


def test_stop_leaves_no_thread_behind(start, node, signed):
    before = set(threading.enumerate())
    server = start(node, idle_timeout_s=20)
    waiting = threading.Event()

    def endless():
        waiting.set()
        while True:
            yield bytes(CHUNK_BYTES)

    node.contents["bafy1"] = endless()

    def fetch_until_cut_off(client):
        with pytest.raises(Unavailable):
            client.fetch("bafy1", max_size_bytes=1 << 40, timeout_s=3)

    with connect(server.endpoint) as client, ThreadPoolExecutor(1) as pool:
        fetch = pool.submit(fetch_until_cut_off, client)
        assert waiting.wait(20)
        server.stop(0)
        server.stop(0)
        fetch.result()
    ours = {thread for thread in set(threading.enumerate()) - before if thread.name.startswith("zkpfl")}
    assert not ours
