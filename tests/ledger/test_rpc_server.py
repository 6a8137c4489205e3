"""The JSON-RPC front: the protocol itself, hostile requests, and a clean stop."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from eth_account import Account
from tests.ledger.conftest import CHAIN_ID, rpc, running

from zkpfl.errors import Unavailable
from zkpfl.ledger.embedded import EmbeddedLedger
from zkpfl.ledger.rpc_server import MAX_BATCH, MAX_BODY_BYTES, serve

ACCOUNT = Account.from_key(b"\x07" * 32)


def post(url: str, body: Any, **headers: str) -> requests.Response:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return requests.post(url, data=data, headers={"Content-Type": "application/json"} | headers, timeout=10)


def request(method: str, *params: Any, number: int = 1) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": number, "method": method, "params": list(params)}


def send(url: str, **changes: Any) -> Any:
    nonce = int(rpc(url, "eth_getTransactionCount", ACCOUNT.address, "pending")["result"], 16)
    fields = {"chainId": CHAIN_ID, "nonce": nonce, "gas": 100_000, "to": "0x" + "11" * 20, "value": 0}
    signed = ACCOUNT.sign_transaction(fields | {"maxFeePerGas": 0, "maxPriorityFeePerGas": 0} | changes)
    return rpc(url, "eth_sendRawTransaction", "0x" + bytes(signed.raw_transaction).hex())


def error_code(answer: dict[str, Any]) -> int:
    assert "result" not in answer
    return int(answer["error"]["code"])


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[str]:
    """A server as the CLI runs it, without time travel."""
    with (
        EmbeddedLedger(tmp_path / "guarded.db", CHAIN_ID) as ledger,
        running(ledger, time_travel=False) as url,
    ):
        yield url


def test_identity(engine: str) -> None:
    answers = [
        rpc(engine, method)["result"] for method in ("eth_chainId", "net_version", "web3_clientVersion")
    ]
    assert answers == ["0x7a69", "31337", "zkpfl/embedded"]


def test_blocks_receipts_and_transactions_fit_together(engine: str) -> None:
    transaction_hash = send(engine)["result"]
    block = rpc(engine, "eth_getBlockByNumber", "latest", True)["result"]
    receipt = rpc(engine, "eth_getTransactionReceipt", transaction_hash)["result"]
    assert [t["hash"] for t in block["transactions"]] == [receipt["transactionHash"]] == [transaction_hash]
    assert receipt["blockHash"] == block["hash"]
    assert rpc(engine, "eth_getBlockByHash", block["hash"], True)["result"] == block
    assert rpc(engine, "eth_getTransactionByHash", transaction_hash)["result"] == block["transactions"][0]
    for tag in ("finalized", "safe", "0x1"):
        assert rpc(engine, "eth_getBlockByNumber", tag, True)["result"] == block
    pending = rpc(engine, "eth_getBlockByNumber", "pending", False)["result"]
    assert (pending["number"], pending["parentHash"]) == ("0x2", block["hash"])


def test_what_does_not_exist_is_null(engine: str) -> None:
    nothing = "0x" + "ab" * 32
    for method in ("eth_getTransactionReceipt", "eth_getTransactionByHash"):
        assert rpc(engine, method, nothing)["result"] is None
    assert rpc(engine, "eth_getBlockByNumber", "0x63", False)["result"] is None
    assert rpc(engine, "eth_getBlockByHash", nothing, False)["result"] is None
    assert error_code(rpc(engine, "eth_getBalance", ACCOUNT.address, "0x63")) == -32000


def test_gas_is_free(engine: str) -> None:
    for method in ("eth_gasPrice", "eth_maxPriorityFeePerGas"):
        assert rpc(engine, method)["result"] == "0x0"
    send(engine)
    history = rpc(engine, "eth_feeHistory", "0x5", "latest", [50])["result"]
    assert history["oldestBlock"] == "0x0"
    assert history["baseFeePerGas"] == ["0x0"] * 3
    assert len(history["gasUsedRatio"]) == len(history["reward"]) == 2


def test_state_of_earlier_blocks(engine: str) -> None:
    send(engine)
    counts = [
        rpc(engine, "eth_getTransactionCount", ACCOUNT.address, block)["result"] for block in ("0x0", "0x1")
    ]
    assert counts == ["0x0", "0x1"]
    by_hash = {"blockHash": rpc(engine, "eth_getBlockByNumber", "0x0", False)["result"]["hash"]}
    assert rpc(engine, "eth_getTransactionCount", ACCOUNT.address, by_hash)["result"] == "0x0"
    assert rpc(engine, "eth_getCode", ACCOUNT.address, "latest")["result"] == "0x"
    assert rpc(engine, "eth_getStorageAt", ACCOUNT.address, "0x0", "latest")["result"] == "0x" + "00" * 32


def test_a_revert_has_the_standard_shape(engine: str, probe: tuple[list[Any], bytes]) -> None:
    data = "0x" + (probe[1] + bytes(32)).hex()
    transaction_hash = send(engine, to="", data=data, gas=3_000_000)["result"]
    created = rpc(engine, "eth_getTransactionReceipt", transaction_hash)["result"]["contractAddress"]
    selector = "0x6ed28ed0"  # store(uint256,uint256)
    for method in ("eth_call", "eth_estimateGas"):
        error = rpc(engine, method, {"to": created, "data": selector + "00" * 64}, "latest")["error"]
        assert (error["code"], error["message"]) == (3, "execution reverted")
        assert error["data"].startswith("0x08c379a0")
        assert b"zero_value" in bytes.fromhex(error["data"][2:])


def test_batches_answer_in_order_and_skip_notifications(engine: str) -> None:
    quiet = {"jsonrpc": "2.0", "method": "eth_chainId"}
    answers = post(engine, [request("eth_chainId", number=5), quiet, request("nope", number=6), 7]).json()
    assert [answer["id"] for answer in answers] == [5, 6, None]
    assert answers[0]["result"] == hex(CHAIN_ID)
    assert [error_code(answer) for answer in answers[1:]] == [-32601, -32600]


def test_notifications_alone_have_no_answer(engine: str) -> None:
    quiet = {"jsonrpc": "2.0", "method": "eth_chainId"}
    for body in (quiet, [quiet, quiet]):
        answer = post(engine, body)
        assert (answer.status_code, answer.content) == (204, b"")


@pytest.mark.parametrize("size", [0, MAX_BATCH + 1])
def test_batches_have_a_size(engine: str, size: int) -> None:
    assert error_code(post(engine, [request("eth_chainId")] * size).json()) == -32600


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"{", b"\xff\xfe", b"[" * 4096, b"[" * MAX_BODY_BYTES, b'{"a":' * 100_000),
        *(b'{"jsonrpc":"2.0","id":%s,"method":"eth_chainId"}' % number for number in (b"NaN", b"1e999")),
    ],
)
def test_what_is_not_json(engine: str, body: bytes) -> None:
    assert error_code(post(engine, body).json()) == -32700


@pytest.mark.parametrize(
    "body",
    [
        {},
        1,
        None,
        {"jsonrpc": "1.0", "id": 1, "method": "eth_chainId"},
        {"jsonrpc": "2.0", "id": 1, "method": 5},
        {"jsonrpc": "2.0", "id": {}, "method": "eth_chainId"},
        {"jsonrpc": "2.0", "id": 1, "method": "eth_chainId", "params": {"a": 1}},
    ],
)
def test_what_is_not_a_request(engine: str, body: Any) -> None:
    assert error_code(post(engine, body).json()) == -32600


@pytest.mark.parametrize(
    "bad",
    [
        request("eth_getBalance"),
        request("eth_getBalance", "0x12"),
        request("eth_getBalance", 5, "latest"),
        request("eth_getBalance", "0x" + "zz" * 20),
        request("eth_getBalance", "0x" + "11" * 20, "soon"),
        request("eth_getBalance", "0x" + "11" * 20, {"blockHash": 1}),
        request("eth_getBalance", "0x" + "11" * 20, []),
        request("eth_getStorageAt", "0x" + "11" * 20, "0x1" + "00" * 32),
        request("eth_call", "text"),
        request("eth_call", {"to": "0x11"}),
        request("eth_call", {"to": "0x" + "11" * 20, "value": "0x1" + "00" * 32}),
        request("eth_getLogs", {"topics": [5]}),
        request("eth_getLogs", {"address": 5}),
        request("eth_getLogs", {"fromBlock": "0xzz"}),
        request("eth_sendRawTransaction", 5),
        request("eth_sendRawTransaction", "0x1"),
        request("eth_feeHistory", None),
        request("eth_chainId", 1, 2, 3),
    ],
    ids=lambda bad: f"{bad['method']} {bad['params']}"[:60],
)
def test_bad_parameters(engine: str, bad: dict[str, Any]) -> None:
    assert error_code(post(engine, bad).json()) == -32602


def test_refused_transactions_say_why(engine: str) -> None:
    assert "nonce too high" in send(engine, nonce=9)["error"]["message"]
    assert error_code(rpc(engine, "eth_sendRawTransaction", "0x02c0")) == -32000


def test_a_large_body_is_cut_off(engine: str) -> None:
    assert post(engine, b" " * (MAX_BODY_BYTES + 1)).status_code == 413


def test_web_pages_are_kept_out(engine: str) -> None:
    body = request("eth_chainId")
    assert post(engine, body, Origin="http://example.org").status_code == 403
    assert post(engine, body, **{"Content-Type": "text/plain"}).status_code == 403
    assert requests.get(engine, timeout=10).status_code == 405


def test_time_travel_must_be_asked_for(engine: str, guarded: str) -> None:
    assert rpc(engine, "evm_increaseTime", 5)["result"] == "0x5"
    for method in ("evm_increaseTime", "evm_mine"):
        assert error_code(rpc(guarded, method, 5)) == -32601


def test_a_taken_port_is_unavailable(tmp_path: Path) -> None:
    async def listen(port: int) -> None:
        with EmbeddedLedger(tmp_path / "chain.db", CHAIN_ID) as ledger:
            async with serve(ledger, port=port):
                raise AssertionError("two servers on one port")

    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(Unavailable, match="cannot listen"):
        asyncio.run(listen(taken.getsockname()[1]))


def test_after_the_stop_nothing_listens_and_the_chain_can_be_opened(tmp_path: Path) -> None:
    path = tmp_path / "chain.db"
    with EmbeddedLedger(path, CHAIN_ID) as ledger:
        with running(ledger) as url:
            send(url)
        with pytest.raises(requests.ConnectionError):
            post(url, request("eth_chainId"))
    with EmbeddedLedger(path, CHAIN_ID) as again:
        assert again.head.block_number == 1
