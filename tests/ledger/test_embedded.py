"""The embedded ledger in process: durability, clock, admission, logs, gas."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from eth_account import Account
from eth_account.signers.local import LocalAccount
from eth_utils import to_checksum_address
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.ledger.conftest import CHAIN_ID
from web3 import Web3
from web3.utils import get_create_address

from zkpfl.errors import InvalidEncoding, InvalidInput, InvalidParameter, Unavailable
from zkpfl.ledger.calls import Call
from zkpfl.ledger.embedded import MAX_TRANSACTION_BYTES, EmbeddedLedger
from zkpfl.ledger.evm import TRANSACTION_GAS_LIMIT
from zkpfl.ledger.logs import LogFilter

RECEIVER = bytes(19) + b"\x99"


class Clock:
    """A wall clock that tests set."""

    def __init__(self, now: float = 1_700_000_000.9) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


class Sender:
    """Signs one transaction after the other."""

    def __init__(self, ledger: EmbeddedLedger, account: LocalAccount) -> None:
        self.ledger = ledger
        self.account = account
        self.address = bytes.fromhex(account.address[2:])

    def signed(self, **changes: Any) -> bytes:
        fields: dict[str, Any] = {
            "chainId": CHAIN_ID,
            "nonce": self.ledger.nonce(self.address),
            "gas": 1_000_000,
            "to": to_checksum_address(RECEIVER),
            "value": 0,
            "maxFeePerGas": 0,
            "maxPriorityFeePerGas": 0,
        }
        complete = {name: value for name, value in (fields | changes).items() if value is not None}
        return bytes(self.account.sign_transaction(complete).raw_transaction)

    def send(self, **changes: Any) -> Any:
        mined = self.ledger.transaction(self.ledger.send_raw_transaction(self.signed(**changes)))
        assert mined is not None
        return mined

    def succeeded(self, **changes: Any) -> bool:
        return self.send(**changes).receipt.state_root == b"\x01"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "chain.db"


@pytest.fixture
def ledger(path: Path, clock: Clock) -> Iterator[EmbeddedLedger]:
    with EmbeddedLedger(path, CHAIN_ID, clock=clock) as opened:
        yield opened


@pytest.fixture
def sender(ledger: EmbeddedLedger) -> Sender:
    return Sender(ledger, Account.create())


@pytest.fixture
def contract(sender: Sender, probe: tuple[list[Any], bytes]) -> Any:
    """The probe contract, encoding calls only."""
    abi, bytecode = probe
    created = get_create_address(sender.account.address, sender.ledger.nonce(sender.address))
    assert sender.succeeded(to=None, data=bytecode + bytes(32), gas=5_000_000)
    return Web3().eth.contract(address=created, abi=abi)


def encoded(contract: Any, name: str, *arguments: int) -> dict[str, Any]:
    return {"to": contract.address, "data": contract.encode_abi(name, arguments)}


# Durability


def test_a_reopened_chain_has_everything(path: Path, clock: Clock) -> None:
    with EmbeddedLedger(path, CHAIN_ID, clock=clock, alloc={RECEIVER: 5}) as ledger:
        sender = Sender(ledger, Account.create())
        hashes = [bytes(sender.send().transaction.hash) for _ in range(5)]
        head = ledger.head.hash
    with EmbeddedLedger(path, CHAIN_ID, clock=clock, alloc={RECEIVER: 77}) as again:
        assert again.head.hash == head
        assert again.nonce(sender.address) == 5
        assert again.balance(RECEIVER) == 5
        assert [again.transaction(h).header.block_number for h in hashes] == [1, 2, 3, 4, 5]  # type: ignore[union-attr]
        sender.ledger = again
        assert sender.send().header.block_number == 6


CHILD = """
import sys
from pathlib import Path
from eth_account import Account
from zkpfl.ledger.embedded import EmbeddedLedger

ledger, account, nonce = EmbeddedLedger(Path(sys.argv[1]), 31337), Account.from_key(b"\\x01" * 32), 0
while True:
    raw = account.sign_transaction({"chainId": 31337, "nonce": nonce, "gas": 21000, "to": "0x" + "11" * 20,
        "value": 0, "maxFeePerGas": 0, "maxPriorityFeePerGas": 0}).raw_transaction
    print(ledger.send_raw_transaction(bytes(raw)).hex(), flush=True)
    nonce += 1
"""


def test_kill_9_loses_no_acknowledged_transaction(path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", CHILD, str(path)], stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        acknowledged = [child.stdout.readline().strip() for _ in range(20)]
        os.kill(child.pid, signal.SIGKILL)
        acknowledged += [line.strip() for line in child.stdout if line.endswith("\n")]
    with EmbeddedLedger(path, CHAIN_ID) as ledger:
        assert ledger.head.block_number >= len(acknowledged) >= 20
        assert all(ledger.transaction(bytes.fromhex(h)) is not None for h in acknowledged)


def test_a_block_that_cannot_be_written_never_happened(
    ledger: EmbeddedLedger, sender: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    sender.send()
    head = ledger.head

    def fail() -> None:
        raise Unavailable("the disk is full")

    with monkeypatch.context() as broken:
        broken.setattr(ledger._journal, "commit", fail)
        with pytest.raises(Unavailable):
            sender.send()
    assert ledger.head == head
    assert ledger.nonce(sender.address) == 1
    assert sender.send().header.block_number == 2


def test_a_second_process_is_told_to_wait(ledger: EmbeddedLedger, path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from zkpfl.errors import Unavailable\n"
        "from zkpfl.ledger.embedded import EmbeddedLedger\n"
        "try: EmbeddedLedger(Path(sys.argv[1]), 31337)\n"
        "except Unavailable as error: print(error)\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", script, str(path)], capture_output=True, text=True, check=True
    )
    assert "locked" in run.stdout
    assert "stop the other process" in run.stdout
    with pytest.raises(Unavailable):
        EmbeddedLedger(path, CHAIN_ID)


def test_a_missing_folder_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(Unavailable):
        EmbeddedLedger(tmp_path / "nowhere" / "chain.db", CHAIN_ID)


def test_another_chain_id_is_refused(path: Path) -> None:
    EmbeddedLedger(path, CHAIN_ID).close()
    with pytest.raises(InvalidParameter, match="holds chain 31337"):
        EmbeddedLedger(path, 5)
    EmbeddedLedger(path, CHAIN_ID).close()  # the refusal released the file


@pytest.mark.parametrize("chain_id", [0, -1, 1 << 53])
def test_chain_ids_have_a_range(path: Path, chain_id: int) -> None:
    with pytest.raises(InvalidParameter):
        EmbeddedLedger(path, chain_id)


# Clock


def test_many_blocks_in_a_second_share_its_timestamp(
    ledger: EmbeddedLedger, sender: Sender, clock: Clock
) -> None:
    assert {sender.send().header.timestamp for _ in range(10)} == {1_700_000_000}
    clock.now += 60
    assert sender.send().header.timestamp == 1_700_000_060


def test_the_chain_clock_never_goes_back(ledger: EmbeddedLedger, sender: Sender, clock: Clock) -> None:
    sender.send()
    clock.now -= 3600
    assert ledger.now() == sender.send().header.timestamp == 1_700_000_000


def test_time_can_be_advanced(ledger: EmbeddedLedger, contract: Any, sender: Sender, clock: Clock) -> None:
    ledger.advance_time(100)
    clock.now += 1
    assert ledger.now() == 1_700_000_101
    call = Call(
        to=bytes.fromhex(contract.address[2:]), data=bytes.fromhex(contract.encode_abi("now", ())[2:])
    )
    assert int.from_bytes(ledger.execute(call).output, "big") == 1_700_000_101
    with pytest.raises(InvalidParameter):
        ledger.advance_time(-1)


def test_calls_after_an_old_block_see_the_time_of_the_next(
    ledger: EmbeddedLedger, contract: Any, sender: Sender, clock: Clock
) -> None:
    old = ledger.head
    clock.now += 50
    sender.send()
    clock.now += 50
    call = Call(
        to=bytes.fromhex(contract.address[2:]), data=bytes.fromhex(contract.encode_abi("now", ())[2:])
    )
    assert int.from_bytes(ledger.execute(call, old).output, "big") == 1_700_000_050


def test_each_block_has_fresh_randomness(ledger: EmbeddedLedger, sender: Sender) -> None:
    assert len({sender.send().header.mix_hash for _ in range(5)}) == 5


# Admission


def test_anybody_transacts_without_funds(ledger: EmbeddedLedger, sender: Sender) -> None:
    assert ledger.balance(sender.address) == 0
    assert sender.succeeded()
    assert ledger.head.base_fee_per_gas == 0


def test_the_base_fee_stays_zero_under_full_load(ledger: EmbeddedLedger, sender: Sender) -> None:
    for _ in range(3):
        burnt = sender.send(
            to=None, data=b"\xfe", gas=TRANSACTION_GAS_LIMIT
        )  # an invalid opcode burns it all
        assert burnt.receipt.gas_used == TRANSACTION_GAS_LIMIT
    assert ledger.head.base_fee_per_gas == 0
    assert sender.succeeded()


@pytest.mark.parametrize(
    "fields",
    [
        {"maxFeePerGas": None, "maxPriorityFeePerGas": None, "gasPrice": 0},
        {"maxFeePerGas": None, "maxPriorityFeePerGas": None, "gasPrice": 0, "accessList": []},
        {"accessList": [{"address": "0x" + "22" * 20, "storageKeys": ["0x" + "00" * 32]}]},
    ],
    ids=["legacy", "type 1", "type 2"],
)
def test_the_three_usual_kinds_are_mined(sender: Sender, fields: dict[str, Any]) -> None:
    assert sender.succeeded(**fields)


def test_the_same_bytes_again_are_the_same_transaction(ledger: EmbeddedLedger, sender: Sender) -> None:
    raw = sender.signed()
    assert ledger.send_raw_transaction(raw) == ledger.send_raw_transaction(raw)
    assert ledger.head.block_number == 1


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"nonce": 1}, "nonce too high"),
        ({"chainId": 1}, "chain id 1"),
        ({"gas": TRANSACTION_GAS_LIMIT + 1}, "gas limit"),
        ({"value": 1}, "refused"),
        ({"maxFeePerGas": 1}, "refused"),
        (
            {"chainId": None, "maxFeePerGas": None, "maxPriorityFeePerGas": None, "gasPrice": 0},
            "chain id None",
        ),
    ],
)
def test_unacceptable_transactions_leave_no_trace(
    ledger: EmbeddedLedger, sender: Sender, fields: dict[str, Any], words: str
) -> None:
    with pytest.raises(InvalidInput, match=words):
        ledger.send_raw_transaction(sender.signed(**fields))
    assert ledger.head.block_number == 0
    assert sender.succeeded()


def test_a_used_nonce_is_too_low(ledger: EmbeddedLedger, sender: Sender) -> None:
    sender.send()
    with pytest.raises(InvalidInput, match="nonce too low"):
        ledger.send_raw_transaction(sender.signed(nonce=0, value=0, gas=50_000))


@pytest.mark.parametrize(
    "raw",
    [b"", b"\x00", b"\x02", b"\x02\xc0", b"\xc0", b"\x03" + b"\xc0" * 9, b"\x04\xc0", b"\xff" * 50, bytes(9)],
)
def test_bytes_that_are_no_transaction(ledger: EmbeddedLedger, raw: bytes) -> None:
    with pytest.raises(InvalidEncoding):
        ledger.send_raw_transaction(raw)


def test_flipped_bits_never_act_for_the_signer(ledger: EmbeddedLedger, sender: Sender) -> None:
    raw = sender.signed()
    for position in range(0, len(raw), 7):
        changed = bytearray(raw)
        changed[position] ^= 1
        try:
            mined = ledger.transaction(ledger.send_raw_transaction(bytes(changed)))
        except (InvalidEncoding, InvalidInput):
            continue
        assert mined is not None
        assert mined.transaction.sender != sender.address
    assert ledger.nonce(sender.address) == 0


def test_gas_below_the_intrinsic_cost(ledger: EmbeddedLedger, sender: Sender) -> None:
    with pytest.raises((InvalidInput, InvalidEncoding)):
        ledger.send_raw_transaction(sender.signed(gas=20_999))
    assert ledger.head.block_number == 0


def test_calldata_has_a_cap(ledger: EmbeddedLedger, sender: Sender) -> None:
    with pytest.raises(InvalidEncoding, match="131072"):
        ledger.send_raw_transaction(sender.signed(data=bytes(MAX_TRANSACTION_BYTES), gas=20_000_000))
    assert sender.succeeded(data=bytes(MAX_TRANSACTION_BYTES - 200), gas=20_000_000)


# Execution


def test_a_reverted_transaction_is_mined_and_changes_nothing(
    ledger: EmbeddedLedger, sender: Sender, contract: Any
) -> None:
    assert not sender.succeeded(**encoded(contract, "store", 1, 0))
    assert ledger.block_logs(ledger.head.block_number) == ()
    assert sender.succeeded(**encoded(contract, "store", 1, 2))


def test_gas_is_estimated_closely(ledger: EmbeddedLedger, sender: Sender, contract: Any) -> None:
    address = bytes.fromhex(contract.address[2:])
    for name, arguments in (("store", (1, 2)), ("store_many", (50,)), ("burn", (3_000_000,))):
        fields = encoded(contract, name, *arguments)
        call = Call(sender=sender.address, to=address, data=bytes.fromhex(fields["data"][2:]))
        gas, outcome = ledger.estimate_gas(call)
        assert outcome.error is None
        assert ledger.execute(replace(call, gas=gas * 19 // 20)).error is not None
        assert sender.succeeded(**fields, gas=gas)


def test_calls_leave_no_trace(ledger: EmbeddedLedger, sender: Sender, contract: Any) -> None:
    root, nonce = ledger.head.state_root, ledger.nonce(sender.address)
    address = bytes.fromhex(contract.address[2:])
    data = bytes.fromhex(contract.encode_abi("store", (1, 2))[2:])
    assert ledger.execute(Call(sender=sender.address, to=address, data=data)).error is None
    assert (ledger.head.state_root, ledger.nonce(sender.address)) == (root, nonce)
    assert ledger.storage(address, 0) == 0
    assert sender.succeeded()
    assert ledger.head.state_root != root  # only the nonce, and not by the call


def test_reading_goes_on_while_transactions_are_mined(
    ledger: EmbeddedLedger, sender: Sender, contract: Any
) -> None:
    """Threads share the ledger without seeing a half-written block."""
    address = bytes.fromhex(contract.address[2:])
    call = Call(to=address, data=bytes.fromhex(contract.encode_abi("value_of", (1,))[2:]))
    seen: list[int] = []
    stop = threading.Event()

    def read() -> None:
        while not stop.is_set():
            seen.append(int.from_bytes(ledger.execute(call).output, "big"))

    reader = threading.Thread(target=read)
    reader.start()
    try:
        for amount in range(1, 20):
            assert sender.succeeded(**encoded(contract, "store", 1, amount))
    finally:
        stop.set()
        reader.join()
    assert seen == sorted(seen)


# Logs


@pytest.fixture
def busy(ledger: EmbeddedLedger, sender: Sender, contract: Any) -> bytes:
    """Address of a contract after blocks with one event, several, a reverted one, and no transaction."""
    for number in range(6):
        sender.send(**encoded(contract, "store", number, 1))
        sender.send(**encoded(contract, "store_many", number))
        sender.send(**encoded(contract, "store", 0, 0))
        ledger.mine()
    return bytes.fromhex(contract.address[2:])


STORED = int.from_bytes(Web3.keccak(text="Stored(uint256,uint256)"), "big")
SIGNATURES = st.sampled_from([None, frozenset({STORED}), frozenset({STORED + 1})])
KEYS = st.none() | st.frozensets(st.integers(0, 6), min_size=1)
TOPICS = (
    st.tuples() | st.tuples(SIGNATURES) | st.tuples(SIGNATURES, KEYS) | st.tuples(SIGNATURES, KEYS, st.none())
)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    first=st.integers(-1, 30),
    last=st.integers(-1, 30),
    ours=st.sampled_from([None, True, False]),
    topics=TOPICS,
)
def test_log_queries_equal_a_plain_filter(
    ledger: EmbeddedLedger, busy: bytes, first: int, last: int, ours: bool | None, topics: tuple[Any, ...]
) -> None:
    addresses = None if ours is None else frozenset({busy if ours else RECEIVER})
    everything = [
        entry for number in range(ledger.head.block_number + 1) for entry in ledger.block_logs(number)
    ]
    assert len(everything) == 6 + sum(range(6))
    expected = [
        entry
        for entry in everything
        if first <= entry.block_number <= last
        and (addresses is None or entry.address in addresses)
        and len(entry.topics) >= len(topics)
        and all(wanted is None or entry.topics[i] in wanted for i, wanted in enumerate(topics))
    ]
    assert ledger.logs(first, last, LogFilter(addresses, topics)) == expected
