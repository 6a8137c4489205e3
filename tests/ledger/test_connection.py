"""Connection, on the embedded node and on anvil alike."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from eth_account import Account
from eth_account.typed_transactions import TypedTransaction
from hexbytes import HexBytes
from tests.ledger.conftest import CHAIN_ID, FREE_GAS, advance_time, anvil, rpc, running
from web3.contract import Contract
from web3.exceptions import TransactionNotFound

from zkpfl.crypto.merkle import keccak256
from zkpfl.crypto.signatures import AccountKey
from zkpfl.errors import (
    DeadlineExceeded,
    InvalidParameter,
    LedgerError,
    NotAuthorized,
    TransactionFailed,
    Unavailable,
)
from zkpfl.ledger import pending
from zkpfl.ledger.connection import Connection
from zkpfl.ledger.embedded import EmbeddedLedger
from zkpfl.ledger.node import _reason

Probe = tuple[list[Any], bytes]


@pytest.fixture
def connection(ledger_url: str) -> Iterator[Connection]:
    with Connection(ledger_url, AccountKey.generate(), chain_id=CHAIN_ID, timeout_s=20) as opened:
        yield opened


@pytest.fixture
def contract(connection: Connection, probe: Probe) -> Contract:
    abi, bytecode = probe
    address = connection.deploy(abi, bytecode, connection.timestamp() + 1000)
    return connection.contract(abi, address)


def test_transactions_change_what_calls_read(connection: Connection, contract: Contract) -> None:
    before = connection.block_number()
    receipt = connection.transact(contract.functions.store(7, 42))
    assert receipt["status"] == 1
    assert receipt["from"] == connection.address
    assert connection.call(contract.functions.value_of(7)) == 42
    assert connection.block_number() == connection.finalized_block() == before + 1
    assert connection.call(contract.functions.value_of(7), at=before) == 0


def test_logs_are_decoded_and_filtered(connection: Connection, contract: Contract) -> None:
    first = connection.transact(contract.functions.store(1, 10))["blockNumber"]
    connection.transact(contract.functions.store_many(3))
    last = connection.transact(contract.functions.store(2, 20))["blockNumber"]
    event = contract.events.Stored
    found = connection.logs(event, first, last)
    assert [(log["args"]["key"], log["args"]["amount"]) for log in found] == [
        (1, 10), (0, 0), (1, 1), (2, 2), (2, 20),
    ]  # fmt: skip
    assert [log["logIndex"] for log in found] == [0, 0, 1, 2, 0]
    assert [log["blockNumber"] for log in connection.logs(event, first, last, {"key": 2})] == [last - 1, last]
    assert connection.logs(event, last + 1, last) == []


@pytest.mark.parametrize("reason", ["zero_value", "too_early", ""])
def test_a_refusal_carries_the_contracts_reason(
    connection: Connection, contract: Contract, reason: str
) -> None:
    functions = contract.functions
    refused = {
        "zero_value": functions.store(1, 0),
        "too_early": functions.store_late(1),
        "": functions.fail_silently(),
    }
    with pytest.raises(TransactionFailed) as caught:
        connection.transact(refused[reason])
    assert caught.value.reason == reason


def test_a_refused_call_carries_the_reason_too(connection: Connection, contract: Contract) -> None:
    with pytest.raises(TransactionFailed) as caught:
        connection.call(contract.functions.checked(99))
    assert caught.value.reason == "unknown_key"


def test_revert_data_that_announces_more_than_memory_has_no_reason() -> None:
    offset, length = (32).to_bytes(32, "big"), b"\xff" * 32
    assert _reason("0x08c379a0" + (offset + length).hex()) == ""


def test_a_transaction_that_fails_in_its_block_is_explained(
    connection: Connection, contract: Contract, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the estimate and the block the state may change; here the estimate is left out instead."""
    connection.transact(contract.functions.store_once(5))
    monkeypatch.setattr(connection, "_gas_limit", lambda *_, **__: 200_000)
    with pytest.raises(TransactionFailed) as caught:
        connection.transact(contract.functions.store_once(5))
    assert caught.value.reason == "already_stored"


def test_estimates_give_what_a_call_demands_not_only_what_it_uses(
    connection: Connection, contract: Contract
) -> None:
    receipt = connection.transact(contract.functions.burn(5_000_000))
    assert receipt["status"] == 1
    assert receipt["gasUsed"] < 100_000


def test_deadlines_are_judged_by_the_present(
    connection: Connection, contract: Contract, ledger_url: str
) -> None:
    start = connection.timestamp()
    advance_time(ledger_url, 2000)
    assert 2000 <= connection.timestamp() - start < 2060
    assert connection.transact(contract.functions.store_late(1))["status"] == 1
    assert connection.call(contract.functions.value_of(1)) >= start + 2000


def test_one_account_sends_from_many_threads(connection: Connection, contract: Contract) -> None:
    with ThreadPoolExecutor(8) as pool:
        receipts = list(
            pool.map(lambda key: connection.transact(contract.functions.store(key, 1)), range(1, 25))
        )
    assert [receipt["status"] for receipt in receipts] == [1] * 24
    assert all(connection.call(contract.functions.value_of(key)) == 1 for key in range(1, 25))


def test_two_processes_may_share_an_account(ledger_url: str, probe: Probe) -> None:
    key = AccountKey.generate()
    with Connection(ledger_url, key) as one, Connection(ledger_url, key) as two:
        contract = one.contract(probe[0], one.deploy(*probe, 0))
        with ThreadPoolExecutor(2) as pool:
            sends = [
                pool.submit(sender.transact, contract.functions.store(number, 1))
                for number in range(1, 9)
                for sender in (one, two)
            ]
        assert [send.result()["status"] for send in sends] == [1] * 16


def test_precompiles_answer_alike(connection: Connection, contract: Contract) -> None:
    """G1ADD of infinity, a wrong length, and the map to G1 through a contract's raw_call."""
    call = contract.functions.precompile
    assert connection.call(call(0x0B, bytes(256))) == [True, bytes(128)]
    assert connection.call(call(0x0B, bytes(255))) == [False, b""]
    done, point = connection.call(call(0x10, bytes(64)))
    assert done
    assert connection.call(call(0x0C, point + (5).to_bytes(32, "big")))[0]
    assert connection.call(call(0x0F, point + bytes(256))) == [True, (1).to_bytes(32, "big")]


def test_without_an_account_only_reading_works(
    connection: Connection, contract: Contract, ledger_url: str
) -> None:
    with Connection(ledger_url) as reader:
        assert reader.address is None
        assert reader.call(contract.functions.value_of(1)) == 0
        with pytest.raises(NotAuthorized):
            reader.transact(contract.functions.store(1, 1))


def test_no_contract_at_the_address(connection: Connection, contract: Contract) -> None:
    nowhere = connection.contract(contract.abi, bytes(19) + b"\xee")
    with pytest.raises(LedgerError, match="no such contract"):
        connection.call(nowhere.functions.value_of(1))


def test_value_needs_funds(connection: Connection, contract: Contract) -> None:
    with pytest.raises(LedgerError):
        connection.transact(contract.functions.pay(), value=10**30)


@pytest.mark.anvil
def test_gas_is_paid_where_it_costs(probe: Probe) -> None:
    mnemonic = "test test test test test test test test test test test junk"  # anvil's own rich account
    Account.enable_unaudited_hdwallet_features()
    rich = AccountKey.from_bytes(bytes(Account.from_mnemonic(mnemonic).key))
    with anvil() as url, Connection(url, rich) as connection:
        before = connection.balance(rich.address)
        contract = connection.contract(probe[0], connection.deploy(*probe, 0))
        receipt = connection.transact(contract.functions.pay(), value=3)
        assert receipt["effectiveGasPrice"] > 0
        assert connection.balance(rich.address) < before - 3
        with Connection(url, AccountKey.generate()) as poor, pytest.raises(LedgerError):
            poor.transact(contract.functions.store(1, 1))


def test_another_chain_is_refused(engine: str) -> None:
    with pytest.raises(InvalidParameter, match="chain 31337, not 1"):
        Connection(engine, chain_id=1)


@pytest.mark.parametrize("url", ["", "localhost:8545", "ftp://localhost", "http://"])
def test_a_url_must_be_http(url: str) -> None:
    with pytest.raises(InvalidParameter):
        Connection(url)


def test_silence_ends_at_the_deadline_and_keeps_the_access_key_secret() -> None:
    with pytest.raises(Unavailable) as caught:
        Connection("http://127.0.0.1:1/v3/ACCESSKEY", timeout_s=0.2)
    assert "ACCESSKEY" not in f"{caught.value!r} {caught.value} {caught.value.__cause__!r}"


class Flaky(BaseHTTPRequestHandler):
    """A proxy that passes every request on to the node, and loses the answer to each one the first time."""

    node: str
    lost: set[str]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        answer = requests.post(self.node, data=body, headers={"Content-Type": "application/json"}, timeout=10)
        asked = json.loads(body)
        request = json.dumps([asked["method"], asked["params"]])
        if request not in self.lost:
            self.lost.add(request)
            self.close_connection = True
            return
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer.content)))
        self.end_headers()
        self.wfile.write(answer.content)

    def log_message(self, *_args: Any) -> None:
        pass


@pytest.fixture
def flaky_url(ledger_url: str) -> Iterator[str]:
    handler = type("Handler", (Flaky,), {"node": ledger_url, "lost": set()})
    with HTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_lost_answers_neither_lose_nor_repeat_a_transaction(flaky_url: str, probe: Probe) -> None:
    with Connection(flaky_url, AccountKey.generate(), timeout_s=20) as connection:
        contract = connection.contract(probe[0], connection.deploy(*probe, 0))
        for key in range(1, 6):
            assert connection.transact(contract.functions.store(key, key))["status"] == 1
        found = connection.logs(contract.events.Stored, 0, connection.block_number())
        assert [log["args"]["key"] for log in found] == [1, 2, 3, 4, 5]


@pytest.mark.anvil
def test_a_transaction_that_is_not_mined_meets_the_deadline(probe: Probe) -> None:
    with (
        anvil(*FREE_GAS, "--no-mining") as url,
        Connection(url, AccountKey.generate(), timeout_s=0.3) as connection,
    ):
        with pytest.raises(DeadlineExceeded):
            connection.deploy(*probe, 0)
        rpc(url, "evm_mine")
        assert connection.block_number() == 1


@pytest.mark.anvil
def test_a_transaction_that_a_reorganisation_takes_away_is_sent_again(
    probe: Probe, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its receipt alone does not count: three blocks must follow, and first empty ones replace those."""
    monkeypatch.setattr(pending, "LOOK_AFTER_S", 0.1)
    key = AccountKey.generate()
    with (
        anvil(*FREE_GAS) as url,
        Connection(url, key) as setup,
        Connection(url, key, confirmations=3, timeout_s=30) as connection,
    ):
        contract = setup.contract(probe[0], setup.deploy(*probe, 0))
        with ThreadPoolExecutor(1) as pool:
            sent = pool.submit(connection.transact, contract.functions.store(1, 2))
            while setup.call(contract.functions.value_of(1)) != 2:
                time.sleep(0.02)
            height = setup.block_number()
            assert "result" in rpc(
                url, "anvil_reorg", 1, []
            )  # an empty block in place of the one that held it
            assert setup.block_number() == height
            rpc(url, "anvil_dropAllTransactions")
            while setup.call(contract.functions.value_of(1)) != 2:
                time.sleep(0.02)
            assert not sent.done()
            for _ in range(3):
                rpc(url, "evm_mine")
            receipt = sent.result(timeout=30)
        assert receipt["status"] == 1
        assert receipt["blockNumber"] > height


@pytest.fixture
def dropping(connection: Connection, monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The node swallows the next transaction; holds what it swallowed."""
    monkeypatch.setattr(pending, "LOOK_AFTER_S", 0.1)
    swallowed: list[bytes] = []
    eth = connection._web3.eth
    honest = eth.send_raw_transaction

    def send(raw: bytes) -> Any:
        if swallowed:
            return honest(raw)
        swallowed.append(bytes(raw))
        return keccak256(bytes(raw))

    monkeypatch.setattr(eth, "send_raw_transaction", send)
    return swallowed


def test_a_dropped_transaction_is_sent_again(
    connection: Connection, contract: Contract, dropping: list[bytes]
) -> None:
    receipt = connection.transact(contract.functions.store(1, 2))
    assert receipt["status"] == 1
    assert receipt["transactionHash"] == keccak256(dropping[0])
    assert connection.call(contract.functions.value_of(1)) == 2


def test_a_replaced_transaction_is_given_up(
    connection: Connection, contract: Contract, dropping: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process with the same account used the nonce meanwhile."""
    assert connection._signer is not None
    with Connection(connection._web3.provider.endpoint_uri, None) as other:  # type: ignore[attr-defined]
        other._signer = connection._signer
        monkeypatch.setattr(connection, "_gas_limit", lambda *_, **__: 200_000)
        steal = threading.Timer(0.3, lambda: other.transact(contract.functions.store(7, 7)))
        monkeypatch.setattr(pending.PendingTransaction, "_broadcast", lambda _self, _signed: None)
        steal.start()
        with pytest.raises(LedgerError, match="took its nonce"):
            connection.transact(contract.functions.store(1, 3))
        steal.join()
    assert connection.call(contract.functions.value_of(7)) == 7
    monkeypatch.undo()
    assert connection.transact(contract.functions.store(1, 4))["status"] == 1


class DearNode:
    """A node whose base fee has risen; it mines what offers at least that."""

    timeout_s = 5.0

    def __init__(self, base_fee: int) -> None:
        self.base_fee = base_fee
        self.stop = threading.Event()
        self.sent: list[Any] = []
        self.web3 = SimpleNamespace(eth=self)

    def ask(self, operation: Callable[[], Any]) -> Any:
        return operation()

    def get_transaction_count(self, account: str, block: str) -> int:
        return 3

    def get_block(self, block: str) -> dict[str, int]:
        return {"baseFeePerGas": self.base_fee}

    def send_raw_transaction(self, raw: bytes) -> None:
        self.sent.append(TypedTransaction.from_bytes(HexBytes(raw)).as_dict())

    def get_transaction_receipt(self, transaction_hash: bytes) -> dict[str, int]:
        if not self.sent or self.sent[-1]["maxFeePerGas"] < self.base_fee:
            raise TransactionNotFound("not mined")
        return {"status": 1}


@pytest.mark.parametrize(("fresh", "fee"), [(500, 500), (90, 113)])
def test_a_transaction_that_got_too_cheap_is_replaced_by_a_dearer_one(
    monkeypatch: pytest.MonkeyPatch, fresh: int, fee: int
) -> None:
    monkeypatch.setattr(pending, "LOOK_AFTER_S", 0.05)
    node, signer = DearNode(base_fee=101), Account.create()
    fields = {
        "chainId": CHAIN_ID, "nonce": 3, "to": "0x" + "11" * 20, "value": 0, "gas": 50_000, "data": b"",
        "maxFeePerGas": 100, "maxPriorityFeePerGas": 8,
    }  # fmt: skip
    signed = signer.sign_transaction(fields)
    fees: Any = lambda: {"maxFeePerGas": fresh, "maxPriorityFeePerGas": 1}  # noqa: E731
    waiting: Any = node
    receipt = pending.PendingTransaction(waiting, signer, fields, signed, fees).wait()
    assert receipt["status"] == 1
    (sent,) = node.sent
    assert (sent["nonce"], sent["maxFeePerGas"], sent["maxPriorityFeePerGas"]) == (3, fee, 9)


def test_a_restarted_ledger_is_found_again(tmp_path: Path, probe: Probe) -> None:
    path, key = tmp_path / "chain.db", AccountKey.generate()
    with EmbeddedLedger(path, CHAIN_ID) as ledger, running(ledger) as url:
        connection = Connection(url, key, timeout_s=20)
        contract = connection.contract(probe[0], connection.deploy(*probe, 0))
    with connection, ThreadPoolExecutor(1) as pool:
        sent = pool.submit(connection.transact, contract.functions.store(1, 2))
        with EmbeddedLedger(path, CHAIN_ID) as ledger, running(ledger, port=urlsplit(url).port or 0):
            assert sent.result()["status"] == 1
            assert connection.call(contract.functions.value_of(1)) == 2


@pytest.mark.parametrize(("status", "error"), [(200, LedgerError), (403, Unavailable)])
def test_what_is_no_ledger_node_is_said_at_once(status: int, error: type[Exception]) -> None:
    class Page(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(status)
            self.send_header("Content-Length", "6")
            self.end_headers()
            self.wfile.write(b"<html>")

        def log_message(self, *_args: Any) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Page) as server, ThreadPoolExecutor(1) as pool:
        pool.submit(server.handle_request)
        with pytest.raises(error):
            Connection(f"http://127.0.0.1:{server.server_port}", timeout_s=60)


def test_arguments_are_checked(connection: Connection, contract: Contract) -> None:
    with pytest.raises(InvalidParameter):
        connection.transact(contract.functions.pay(), value=-1)
    with pytest.raises(InvalidParameter):
        connection.contract(contract.abi, bytes(19))


def test_the_key_is_never_printed(connection: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    key = AccountKey.generate()
    connection._signer = Account.from_key(key.to_bytes())
    assert key.to_bytes().hex() not in f"{connection!r} {connection._signer!r} {connection.__dict__!r}"


def test_a_proxy_of_the_environment_is_not_asked_for_loopback(
    engine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    with Connection(engine, timeout_s=2) as connection:
        assert connection.block_number() == 0
