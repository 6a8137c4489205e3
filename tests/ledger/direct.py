"""The contract on a bare EVM state, without chain, network or signatures: thousands of calls in seconds."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from eth._utils.address import generate_contract_address
from eth.db.atomic import AtomicDB
from eth.vm.spoof import SpoofTransaction
from eth_abi.abi import decode
from hexbytes import HexBytes
from tests.ledger.conftest import CHAIN_ID
from vyper.compiler import compile_code
from vyper.compiler.settings import OptimizationLevel, Settings
from web3 import Web3
from web3.types import LogReceipt

import zkpfl.ledger
from zkpfl.crypto.merkle import keccak256
from zkpfl.ledger.client import PARTS
from zkpfl.ledger.contracts import compiled
from zkpfl.ledger.events import BANK_EVENTS, CONTRIBUTION_EVENTS, JOB_EVENTS, Event, event_from
from zkpfl.ledger.evm import BLOCK_GAS_LIMIT, TRANSACTION_GAS_LIMIT, chain_class
from zkpfl.ledger.records import DeploymentTerms

PROBE = """

@external
@view
def probe_promised(accounts: DynArray[address, 32], jobs: uint256, coin: uint256) -> uint256:
    total: uint256 = self.burnt[coin]
    for account: address in accounts:
        if self.account[account].coin == coin:
            total += self.account[account].stake
    for job: uint256 in range(1, jobs + 1, bound=100):
        if self.coin_of[job] == coin:
            total += self.pool[job]
        for account: address in accounts:
            total += self.owed[job][account][coin]
    return total
"""
BANK_CALLS = frozenset(
    {"register_node", "register_trainer", "unstake", "withdraw_stake", "claim", "probe_promised"}
)


COIN_DECIMALS, FEED_DECIMALS, COIN_PRICE, MAX_AGE_S = 6, 8, 250_000_000, 10**9
"""Coin 1: a unit is worth 2.5 MPC."""

AMOUNTS = ("unbonding_s", "challenge_s", "min_node_stake", "min_trainer_stake", "min_fee", "draw_fee")
"""Arguments of the bank's constructor, in its order."""


class Refused(Exception):
    """The contract refused; ``args[0]`` is the reason."""


@cache
def coin(name: str) -> tuple[list[Any], bytes]:
    """ABI and code of a contract of ``tokens/``: ``coin`` or ``feed``."""
    made = compile_code(
        (Path(__file__).parent / "tokens" / f"{name}.vy").read_text(), output_formats=["abi", "bytecode"]
    )
    return made["abi"], bytes.fromhex(made["bytecode"].removeprefix("0x"))


def probe_contract() -> tuple[list[Any], bytes]:
    """The bank with `PROBE` appended."""
    source = (Path(zkpfl.ledger.__file__).parent / "bank.vy").read_text() + PROBE
    options = Settings(evm_version="prague", optimize=OptimizationLevel.CODESIZE)
    made = compile_code(source, output_formats=["abi", "bytecode"], settings=options)
    return made["abi"], bytes.fromhex(made["bytecode"].removeprefix("0x"))


class DirectLedger:
    """Coins, bank, ledger and what they rely on, deployed by ``admin``.

    Parameters
    ----------
    admin
        Holds all coins at first.
    terms
        Of the deployment.
    bank
        ABI and code of the bank; by default the package's.
    """

    def __init__(
        self, admin: bytes, terms: DeploymentTerms, bank: tuple[list[Any], bytes] | None = None
    ) -> None:
        self._database = AtomicDB()
        genesis = {"difficulty": 0, "gas_limit": BLOCK_GAS_LIMIT, "base_fee_per_gas": 0, "timestamp": 10**9}
        chain = chain_class(CHAIN_ID).from_genesis(self._database, genesis, {})
        self._state = chain.get_vm().state
        self._builder = chain.get_vm()
        self.time = 10**9 + 1
        self.calls = 0
        self.gas: dict[str, int] = {}
        self.logs: list[tuple[str, bytes, tuple[int, ...], bytes]] = []
        self._web3 = Web3()
        token = compiled("mpc_token")
        self.token = self._deploy(admin, token.abi, token.bytecode, 10**30)
        parts = [compiled(name) for name in PARTS]
        self.rules, self.verifier, self.judge, self.contributions = (
            self._deploy(admin, p.abi, p.bytecode) for p in parts
        )
        own = compiled("bank")
        abi, code = bank or (own.abi, own.bytecode)
        nobody = Web3.to_checksum_address(bytes(20))
        made = self._deploy(admin, *coin("coin"), COIN_DECIMALS, 10**30)
        self.coin = self._web3.eth.contract(address=made.address, abi=token.abi)
        self.feed = self._deploy(admin, *coin("feed"), FEED_DECIMALS, COIN_PRICE)
        coins = [(self.token.address, nobody, 0), (self.coin.address, self.feed.address, MAX_AGE_S)]
        # the bank comes first and is told where the ledger will be
        ledger = generate_contract_address(admin, self._state.get_nonce(admin) + 1)
        amounts = [getattr(terms, name) for name in AMOUNTS]
        self.bank = self._deploy(
            admin, abi, code, Web3.to_checksum_address(ledger), self.verifier.address, coins, *amounts
        )
        own = compiled("zkpfl")
        parts = [
            part.address for part in (self.bank, self.rules, self.verifier, self.judge, self.contributions)
        ]
        self.ledger = self._deploy(admin, own.abi, own.bytecode, *parts, terms.draw_delay)
        self.address = Web3.to_bytes(hexstr=self.ledger.address)
        self.bank_address = Web3.to_bytes(hexstr=self.bank.address)

    def _deploy(self, sender: bytes, abi: list[Any], code: bytes, *arguments: Any) -> Any:
        factory = self._web3.eth.contract(abi=abi, bytecode=code)
        data = Web3.to_bytes(hexstr=factory.constructor(*arguments).data_in_transaction)
        computation = self._run(sender, b"", data)
        return self._web3.eth.contract(
            address=Web3.to_checksum_address(computation.msg.storage_address), abi=abi
        )

    def _run(self, sender: bytes, to: bytes, data: bytes, gas: int = TRANSACTION_GAS_LIMIT) -> Any:
        context = self._state.execution_context
        context._timestamp = self.time
        context._block_number = self.calls + 1
        context._prev_hashes = (keccak256(n.to_bytes(8, "big")) for n in range(self.calls, -1, -1))
        unsigned = self._builder.create_unsigned_transaction(
            nonce=self._state.get_nonce(sender),
            gas_price=0,
            gas=gas,
            to=to,
            value=0,
            data=data,
        )
        computation = self._state.apply_transaction(SpoofTransaction(unsigned, from_=sender))
        self._state.lock_changes()  # the end of a transaction: what it had read is cold again
        self.calls += 1
        if computation.is_error:
            output = bytes(computation.output)
            assert output[:4].hex() == "08c379a0", f"{computation.error!r}"
            raise Refused(decode(["string"], output[4:])[0])
        return computation

    def call(
        self,
        sender: bytes,
        name: str,
        *arguments: Any,
        contract: Any = None,
        gas: int = TRANSACTION_GAS_LIMIT,
    ) -> Any:
        """Run a function as a transaction and return its one result; raises `Refused`."""
        target = contract or (self.bank if name in BANK_CALLS else self.ledger)
        function = target.functions[name](*arguments)
        computation = self._run(
            sender,
            Web3.to_bytes(hexstr=target.address),
            Web3.to_bytes(hexstr=function._encode_transaction_data()),
            gas,
        )
        self.gas[name] = max(self.gas.get(name, 0), computation.get_gas_used())
        for address, topics, data in computation.get_log_entries():
            self.logs.append((name, address, topics, data))
        outputs = [_type_of(output) for output in function.abi["outputs"]]
        values = decode(outputs, bytes(computation.output))
        return values[0] if len(values) == 1 else values

    def code(self, account: bytes) -> bytes:
        return bytes(self._state.get_code(account))

    def balance(self, account: bytes, coin: int = 0) -> int:
        token = self.coin if coin else self.token
        return int(self.call(account, "balanceOf", Web3.to_checksum_address(account), contract=token))

    def events(self, job: int) -> list[Event]:
        """The events of a job, decoded as the client does."""
        decoders: dict[int, tuple[type[Event], Callable[[LogReceipt], Any]]] = {}
        for kind in JOB_EVENTS:
            bank_or_ledger = self.bank if kind in BANK_EVENTS else self.ledger
            contract = self.contributions if kind in CONTRIBUTION_EVENTS else bank_or_ledger
            event = contract.events[kind.__name__]()
            decoders[int(event.topic, 16)] = (kind, event.process_log)
        found = []
        own = int.from_bytes(self.address, "big")
        for index, (_, address, topics, data) in enumerate(self.logs):
            of_job = topics[1:2] == (job,)
            if address == Web3.to_bytes(hexstr=self.contributions.address):
                of_job = topics[1:3] == (own, job)
            elif address not in (self.address, self.bank_address):
                of_job = False
            if of_job and topics[0] in decoders:
                kind, process = decoders[topics[0]]
                values = process(_receipt(address, topics, data, index))["args"]
                found.append(event_from(kind, 0, index, values))
        return found

    def posted(self, job: int, number: int) -> list[Any]:
        """The events of what was posted in a round, in order."""
        event = self.ledger.events.AggregatePosted()
        return [
            event.process_log(_receipt(address, topics, data, 0))
            for _, address, topics, data in self.logs
            if address == self.address and topics[:3] == (int(event.topic, 16), job, number)
        ]

    def last_case(self) -> Any:
        """The case that was opened last, as the judge takes it back."""
        judge = Web3.to_bytes(hexstr=self.judge.address)
        event = self.judge.events.CaseOpened()
        topics, data = next(
            (topics, data)
            for _, address, topics, data in reversed(self.logs)
            if address == judge and topics[0] == int(event.topic, 16)
        )
        return tuple(event.process_log(_receipt(judge, topics, data, 0))["args"]["case"].values())

    def snapshot(self) -> tuple[bytes, int, int]:
        root = self._state.make_state_root()
        self._state.persist()
        return root, self.time, len(self.logs)

    def revert(self, snapshot: tuple[bytes, int, int]) -> None:
        root, self.time, logs = snapshot
        self._state = type(self._state)(self._database, self._state.execution_context, root)
        del self.logs[logs:]


def _type_of(output: dict[str, Any]) -> str:
    if output["type"].startswith("tuple"):
        members = ",".join(_type_of(component) for component in output["components"])
        return f"({members}){output['type'].removeprefix('tuple')}"
    return str(output["type"])


def _receipt(address: bytes, topics: tuple[int, ...], data: bytes, index: int) -> LogReceipt:
    return {
        "address": Web3.to_checksum_address(address),
        "topics": [HexBytes(topic.to_bytes(32, "big")) for topic in topics],
        "data": HexBytes(data),
        "blockNumber": 0,
        "blockHash": HexBytes(bytes(32)),
        "transactionHash": HexBytes(bytes(32)),
        "transactionIndex": 0,
        "logIndex": index,
        "removed": False,
    }  # type: ignore[typeddict-item]
