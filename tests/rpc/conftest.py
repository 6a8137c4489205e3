"""A real server on loopback with a small node behind it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from tests.rpc.doubles import CONTEXT, LIMITS, SERVER, TRAINER, RecordingNode, connect

from zkpfl.protocol.messages import MessageKind, ShareMessage, SignedMessage
from zkpfl.rpc.client import NodeClient
from zkpfl.rpc.server import RunningServer, serve


@pytest.fixture
def node() -> RecordingNode:
    return RecordingNode()


@pytest.fixture
def start() -> Iterator[Callable[..., RunningServer]]:
    """Start servers that are stopped after the test."""
    running: list[RunningServer] = []

    def start_server(handler: RecordingNode, **options: object) -> RunningServer:
        running.append(serve(handler, **{"identity": SERVER, "limits": LIMITS, **options}))
        return running[-1]

    yield start_server
    for server in running:
        server.stop(0)


@pytest.fixture
def server(node: RecordingNode, start: Callable[..., RunningServer]) -> RunningServer:
    return start(node)


@pytest.fixture
def client(server: RunningServer) -> Iterator[NodeClient]:
    with connect(server.endpoint, party="zk-node 2") as connected:
        yield connected


@pytest.fixture
def signed() -> SignedMessage:
    message = ShareMessage(CONTEXT, TRAINER.address, 2, os.urandom(32), os.urandom(32), os.urandom(32))
    return message.sign(MessageKind.SHARE, TRAINER)


@pytest.fixture
def run_in_threads() -> Callable[[int, Callable[[], object]], list[object]]:
    """Run a function so many times at once and give the results; the first error is raised."""

    def run(count: int, function: Callable[[], object]) -> list[object]:
        with ThreadPoolExecutor(count) as pool:
            return [future.result() for future in [pool.submit(function) for _ in range(count)]]

    return run
