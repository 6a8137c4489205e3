"""EVM nodes for the ledger tests: the embedded one in a thread, and a real anvil (marker ``anvil``)."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import subprocess
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from vyper import compile_code

from zkpfl.ledger.embedded import EmbeddedLedger
from zkpfl.ledger.rpc_server import serve

CHAIN_ID = 31337
PROBE = Path(__file__).with_name("probe.vy")
FREE_GAS = ("--gas-price", "0", "--block-base-fee-per-gas", "0")


def rpc(url: str, method: str, *params: Any) -> Any:
    """One raw JSON-RPC request; the whole answer, errors included."""
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": list(params)}).encode()
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})  # noqa: S310
    with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
        return json.load(answer)


def advance_time(url: str, seconds: int) -> None:
    """Move the clock of a test node, and mine a block there."""
    for method, params in (("evm_increaseTime", [seconds]), ("evm_mine", [])):
        answer = rpc(url, method, *params)
        assert "result" in answer, answer


@contextmanager
def running(ledger: EmbeddedLedger, *, port: int = 0, time_travel: bool = True) -> Iterator[str]:
    """Serve an embedded ledger from a thread of its own; yields the URL."""
    ready, stop, urls = threading.Event(), asyncio.Event(), []
    loops: list[asyncio.AbstractEventLoop] = []

    async def main() -> None:
        loops.append(asyncio.get_running_loop())
        async with serve(ledger, port=port, time_travel=time_travel) as url:
            urls.append(url)
            ready.set()
            await stop.wait()

    def run() -> None:
        try:
            asyncio.run(main())
        finally:
            ready.set()

    thread = threading.Thread(target=run)
    thread.start()
    ready.wait()
    assert urls, "the server did not start"
    try:
        yield urls[0]
    finally:
        loops[0].call_soon_threadsafe(stop.set)
        thread.join()


@contextmanager
def anvil(*options: str, epoch_slots: int = 0, hardfork: str = "prague") -> Iterator[str]:
    """Run an anvil of the test's own; yields the URL. Blocks are final two epochs after they are mined."""
    folder = os.environ.get("ZKPFL_ANVIL")
    binary = shutil.which("anvil", path=folder)
    if binary is None and folder is None:
        pytest.skip("no anvil: run tests/ledger/install_anvil.sh DIR and set ZKPFL_ANVIL to what it prints")
    assert binary, f"no anvil in ZKPFL_ANVIL={folder}"
    command = [
        binary,
        "--host",
        "127.0.0.1",
        "--port",
        "0",
        "--hardfork",
        hardfork,
        "--slots-in-an-epoch",
        str(epoch_slots),
    ]
    drain = threading.Thread()
    with subprocess.Popen(
        [*command, "--chain-id", str(CHAIN_ID), *options], stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            output = process.stdout
            assert output is not None
            found = (re.search(r"Listening on ([\d.]+:\d+)", line) for line in output)
            address = next((match.group(1) for match in found if match), None)
            assert address, "anvil did not start"
            drain = threading.Thread(target=output.read)  # it would stop at a full pipe
            drain.start()
            yield f"http://{address}"
        finally:
            process.kill()
            if drain.is_alive():
                drain.join()


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[str]:
    """URL of an embedded node on an empty chain."""
    with EmbeddedLedger(tmp_path / "chain.db", CHAIN_ID) as ledger, running(ledger) as url:
        yield url


ENGINES = [
    "embedded",
    pytest.param("prague", id="anvil-prague", marks=pytest.mark.anvil),
    pytest.param("osaka", id="anvil-osaka", marks=pytest.mark.anvil),
]
"""Kinds of node on which the contract tests run unchanged: the embedded one, and two hard forks of anvil."""


@pytest.fixture(params=ENGINES)
def ledger_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """URL of a node where any account may transact and `advance_time` works; tests run on each kind."""
    if request.param != "embedded":
        with anvil(*FREE_GAS, hardfork=request.param) as url:
            yield url
    else:
        yield request.getfixturevalue("engine")


@pytest.fixture(scope="session")
def probe() -> tuple[list[Any], bytes]:
    """ABI and bytecode of probe.vy."""
    compiled = compile_code(PROBE.read_text(), output_formats=["abi", "bytecode"])
    return compiled["abi"], bytes.fromhex(compiled["bytecode"].removeprefix("0x"))


@pytest.fixture(scope="module", params=ENGINES)
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A deployed ledger with registered parties, on each kind of node; shared by a module, jobs are not."""
    from tests.ledger.world import World, node_url  # noqa: PLC0415  it imports this file

    with node_url(request.param, tmp_path_factory) as url:
        made = World(url)
        yield made
        made.close()
