"""The embedded ledger: a durable in-process EVM that mines each transaction the moment it arrives.

Gas is free (base fee zero for ever, see `evm`), there is no mempool and there are no reorganisations, so the
latest block is final. A block holds at most one transaction.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from eth.abc import BlockHeaderAPI, ComputationAPI, ReceiptAPI, SignedTransactionAPI
from eth.constants import CREATE_CONTRACT_ADDRESS
from eth.db.atomic import AtomicDB
from eth.exceptions import HeaderNotFound, Revert, TransactionNotFound
from eth.vm.spoof import SpoofTransaction
from eth_bloom.bloom import BloomFilter
from eth_utils.exceptions import ValidationError

from zkpfl.errors import InvalidEncoding, InvalidInput, InvalidParameter
from zkpfl.ledger.evm import BLOCK_GAS_LIMIT, TRANSACTION_GAS_LIMIT, LedgerVM, chain_class
from zkpfl.ledger.journal import Journal

MAX_TRANSACTION_BYTES = 128 * 1024
"""Most bytes of a signed transaction, the limit of public nodes."""

_HEAD_KEY = b"v1:canonical_head_hash"
_CHAIN_ID_KEY = b"zkpfl:chain_id"
_CALL_STIPEND = 2300


@dataclass(frozen=True)
class Call:
    """A message to execute without a signature: ``eth_call`` and ``eth_estimateGas``.

    Parameters
    ----------
    sender, to
        20-byte addresses; ``to`` is empty for a contract creation. The sender needs funds only for ``value``.
    data
        Calldata or init code.
    value
        Wei.
    gas
        Gas limit, at most `TRANSACTION_GAS_LIMIT`.
    """

    sender: bytes = bytes(20)
    to: bytes = CREATE_CONTRACT_ADDRESS
    data: bytes = b""
    value: int = 0
    gas: int = TRANSACTION_GAS_LIMIT


@dataclass(frozen=True)
class Outcome:
    """What executing a `Call` gave.

    Parameters
    ----------
    output
        Return data; the revert data where ``error`` is "execution reverted".
    gas_needed
        Gas charged before refunds.
    error
        None on success, "execution reverted", or the name of another EVM error.
    """

    output: bytes
    gas_needed: int
    error: str | None


@dataclass(frozen=True)
class Mined:
    """A transaction, its receipt and the block that holds it, alone."""

    transaction: Any  # SignedTransactionAPI, which lacks half of what every such object has
    receipt: ReceiptAPI
    header: BlockHeaderAPI


@dataclass(frozen=True)
class LogEntry:
    """An event log: ``topics`` are 256-bit integers; ``log_index`` counts within the block."""

    address: bytes
    topics: tuple[int, ...]
    data: bytes
    block_number: int
    block_hash: bytes
    transaction_hash: bytes
    log_index: int


class EmbeddedLedger:
    """An EVM chain in one file, for one process at a time; every method may be called from any thread.

    Parameters
    ----------
    path
        The chain's database file; created where it does not exist, in an existing directory.
    chain_id
        EIP-155 chain id, 1 to 2^53 − 1; must be the one with which the file was created.
    alloc
        Wei of each 20-byte address in the genesis block; only used on creation. Nobody needs any to transact.
    clock
        Seconds since the epoch; tests inject their own.

    Raises
    ------
    Unavailable
        Another process has the file open, or it cannot be opened.
    InvalidParameter
        ``chain_id`` is out of range or not the file's.
    """

    def __init__(
        self,
        path: Path,
        chain_id: int,
        *,
        alloc: Mapping[bytes, int] | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        if not 1 <= chain_id < 1 << 53:
            raise InvalidParameter(f"must be 1 to 2^53 − 1, got {chain_id}", field="chain_id")
        self.chain_id = chain_id
        self._clock = clock
        self._advanced_s = 0
        self._lock = threading.RLock()
        self._journal = Journal(path)
        try:
            # Any: py-evm wants NewTypes for each kind of bytes and int, which only obscure the calls.
            self._chain: Any = self._open(alloc or {})
        except BaseException:
            self._journal.close()
            raise
        self._head: BlockHeaderAPI = self._chain.get_canonical_head()
        # Blocks never change, and every process asks for the same recent ones.
        self._bloom = lru_cache(maxsize=65536)(self._read_bloom)
        self._logs_of = lru_cache(maxsize=4096)(self._read_logs)

    def _open(self, alloc: Mapping[bytes, int]) -> Any:
        cls, database = chain_class(self.chain_id), AtomicDB(self._journal)
        if self._journal.exists(_HEAD_KEY):
            stored = int.from_bytes(self._journal[_CHAIN_ID_KEY], "big")
            if stored != self.chain_id:
                raise InvalidParameter(
                    f"the file holds chain {stored}, not {self.chain_id}", field="chain_id"
                )
            return cls(database)
        state = {
            address: {"balance": wei, "nonce": 0, "code": b"", "storage": {}}
            for address, wei in alloc.items()
        }
        genesis = {
            "difficulty": 0,
            "gas_limit": BLOCK_GAS_LIMIT,
            "base_fee_per_gas": 0,
            "timestamp": int(self._clock()),
        }
        chain = cls.from_genesis(database, genesis, state)
        self._journal[_CHAIN_ID_KEY] = self.chain_id.to_bytes(8, "big")
        self._journal.commit()
        return chain

    def close(self) -> None:
        """Release the file. Everything acknowledged is already on disk."""
        with self._lock:
            self._journal.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # The chain's clock and head

    @property
    def head(self) -> BlockHeaderAPI:
        """Header of the latest block; costs nothing."""
        return self._head

    def now(self) -> int:
        """Return the timestamp of a block mined now: max(wall clock, latest block), seconds."""
        return max(int(self._clock()) + self._advanced_s, int(self._head.timestamp))

    def advance_time(self, seconds: int) -> None:
        """Move the chain clock ahead of the wall clock until this object is closed (tests only)."""
        if seconds < 0:
            raise InvalidParameter(f"must not be negative, got {seconds}", field="seconds")
        with self._lock:
            self._advanced_s += seconds

    def header(self, number: int) -> BlockHeaderAPI | None:
        """Return the header of block ``number``, or None."""
        if not 0 <= number <= self._head.block_number:
            return None
        with self._lock:
            found: BlockHeaderAPI = self._chain.get_canonical_block_header_by_number(number)
        return found

    def header_by_hash(self, block_hash: bytes) -> BlockHeaderAPI | None:
        """Return the header with this 32-byte hash, or None."""
        try:
            with self._lock:
                found: BlockHeaderAPI = self._chain.get_block_header_by_hash(block_hash)
        except HeaderNotFound:
            return None
        return found

    # Transactions

    def send_raw_transaction(self, raw: bytes) -> bytes:
        """Mine a signed transaction; it is on disk, with its receipt, when this returns.

        Parameters
        ----------
        raw
            Encoded transaction, legacy with a chain id (EIP-155) or of type 1 or 2; at most
            `MAX_TRANSACTION_BYTES`.

        Returns
        -------
        bytes
            The transaction's hash. Sending the same bytes again only returns it again.

        Raises
        ------
        InvalidEncoding
            The bytes are not such a transaction.
        InvalidInput
            Refused: chain id, nonce, gas limit, funds. (One that *reverts* is mined, with status 0.)
        Unavailable
            The disk failed; the transaction was not mined.
        """
        transaction = self._decode(raw)
        with self._lock:
            if self.transaction(transaction.hash) is None:
                self._admit(transaction)
                self._mine([transaction])
        return bytes(transaction.hash)

    def mine(self) -> None:
        """Mine an empty block."""
        with self._lock:
            self._mine([])

    def _decode(self, raw: bytes) -> Any:
        if not 0 < len(raw) <= MAX_TRANSACTION_BYTES:
            raise InvalidEncoding(
                f"must be 1 to {MAX_TRANSACTION_BYTES} bytes, got {len(raw)}", field="transaction"
            )
        if raw[0] < 0xC0 and raw[0] not in (1, 2):
            raise InvalidEncoding(f"type {raw[0]} is not accepted, only 0, 1 and 2", field="transaction")
        try:
            transaction = self._chain.get_vm_class(self._head).get_transaction_builder().decode(raw)
            transaction.validate()
            transaction.check_signature_validity()
        except Exception as error:  # rlp, py-evm and the curve library raise a dozen unrelated types
            raise InvalidEncoding(f"not a signed transaction: {error}", field="transaction") from error
        return transaction

    def _admit(self, transaction: SignedTransactionAPI) -> None:
        if transaction.chain_id != self.chain_id:
            raise InvalidInput(
                f"chain id {transaction.chain_id}, this chain is {self.chain_id}", field="transaction"
            )
        if transaction.gas > TRANSACTION_GAS_LIMIT:
            raise InvalidInput(
                f"gas limit {transaction.gas} exceeds {TRANSACTION_GAS_LIMIT}", field="transaction"
            )
        expected = self.nonce(transaction.sender)
        if transaction.nonce != expected:
            relation = "low" if transaction.nonce < expected else "high"
            raise InvalidInput(
                f"nonce too {relation}: got {transaction.nonce}, expected {expected}", field="transaction"
            )

    def _mine(self, transactions: Sequence[SignedTransactionAPI]) -> None:
        vm = self._vm(self._head)
        try:
            header, receipts, _ = vm.apply_all_transactions(transactions, vm.get_header())
            filled = vm.set_block_transactions_and_withdrawals(vm.get_block(), header, transactions, receipts)
            block = vm.mine_block(filled).block
            self._chain.chaindb.persist_block(block)
            self._journal.commit()
        except ValidationError as error:
            self._journal.rollback()
            raise InvalidInput(f"refused: {error}", field="transaction") from error
        except BaseException:
            self._journal.rollback()
            raise
        self._head = block.header

    def _vm(self, parent: BlockHeaderAPI) -> Any:
        """VM about to build the block after ``parent``, in that block's own time where it exists already."""
        child = self.header(parent.block_number + 1)
        header = self._chain.create_header_from_parent(
            parent,
            gas_limit=BLOCK_GAS_LIMIT,
            timestamp=child.timestamp if child else self.now(),
            mix_hash=child.mix_hash if child else os.urandom(32),
        )
        return self._chain.get_vm(header)

    def transaction(self, transaction_hash: bytes) -> Mined | None:
        """Return a mined transaction with receipt and block, or None."""
        with self._lock:
            try:
                number, index = self._chain.get_canonical_transaction_index(transaction_hash)
            except TransactionNotFound:
                return None
            return Mined(
                transaction=self._chain.get_canonical_transaction_by_index(number, index),
                receipt=self._chain.get_transaction_receipt_by_index(number, index),
                header=self._chain.get_canonical_block_header_by_number(number),
            )

    def transaction_hashes(self, header: BlockHeaderAPI) -> tuple[bytes, ...]:
        """Return the hashes of a block's transactions: none or one."""
        with self._lock:
            return tuple(self._chain.chaindb.get_block_transaction_hashes(header))

    # State

    def balance(self, address: bytes, at: BlockHeaderAPI | None = None) -> int:
        """Return the wei of an address after block ``at`` (default: the latest)."""
        with self._lock:
            return int(self._chain.get_vm(at or self._head).state.get_balance(address))

    def nonce(self, address: bytes, at: BlockHeaderAPI | None = None) -> int:
        """Return the number of transactions that an address has sent up to block ``at``."""
        with self._lock:
            return int(self._chain.get_vm(at or self._head).state.get_nonce(address))

    def code(self, address: bytes, at: BlockHeaderAPI | None = None) -> bytes:
        """Return the code of a contract, empty for other accounts."""
        with self._lock:
            return bytes(self._chain.get_vm(at or self._head).state.get_code(address))

    def storage(self, address: bytes, slot: int, at: BlockHeaderAPI | None = None) -> int:
        """Return a contract's 256-bit storage slot."""
        with self._lock:
            return int(self._chain.get_vm(at or self._head).state.get_storage(address, slot))

    # Execution without a transaction

    def execute(self, call: Call, at: BlockHeaderAPI | None = None) -> Outcome:
        """Execute a call as if it were the first transaction after block ``at``, and forget its effects.

        After the latest block that is a transaction of now: contract deadlines are judged by the present.
        After an earlier one it repeats what the next block's transaction met, so a failure can be explained.

        Raises
        ------
        InvalidInput
            The gas does not cover the calldata, or the sender lacks ``value``.
        """
        if call.gas > TRANSACTION_GAS_LIMIT:
            raise InvalidInput(f"gas {call.gas} exceeds {TRANSACTION_GAS_LIMIT}", field="gas")
        with self._lock:
            vm = self._vm(at or self._head)
            unsigned = vm.create_unsigned_transaction(
                nonce=vm.state.get_nonce(call.sender),
                gas_price=0,
                gas=call.gas,
                to=call.to,
                value=call.value,
                data=call.data,
            )
            transaction = SpoofTransaction(unsigned, from_=call.sender)
            try:
                computation = vm.state.apply_transaction(transaction)
            except ValidationError as error:
                raise InvalidInput(f"refused: {error}", field="call") from error
            return _outcome(computation, call.gas)

    def estimate_gas(self, call: Call, at: BlockHeaderAPI | None = None) -> tuple[int, Outcome]:
        """Return a gas limit within 2 % of the least that suffices, and the outcome with all of ``call.gas``.

        Where the outcome failed the number means nothing. A call may use less gas than it must be
        given (63/64 rule, refunds, ``gasleft`` checks): a limit counts only after the call succeeded with it.
        """
        outcome = self.execute(call, at)
        if outcome.error is not None:
            return 0, outcome
        low, high = outcome.gas_needed - 1, call.gas
        guess = min(high, (outcome.gas_needed + _CALL_STIPEND) * 64 // 63)
        while high - low > high // 50:
            if self._suffices(call, guess, at):
                high = guess
            else:
                low = guess
            guess = (low + high) // 2
        return high, outcome

    def _suffices(self, call: Call, gas: int, at: BlockHeaderAPI | None) -> bool:
        limited = Call(call.sender, call.to, call.data, call.value, gas)
        try:
            return self.execute(limited, at).error is None
        except InvalidInput:
            return False

    # Logs

    def logs(
        self,
        from_block: int,
        to_block: int,
        addresses: frozenset[bytes] | None = None,
        topics: Sequence[frozenset[int] | None] = (),
    ) -> list[LogEntry]:
        """Return the event logs of a range of blocks, both ends included.

        Cost: one header a block, and the receipts of those blocks whose bloom filter matches.

        Parameters
        ----------
        from_block, to_block
            Block numbers; what lies beyond the latest block is empty.
        addresses
            Contracts to include; None for all.
        topics
            For each position the topics to include; None for any.
        """
        found: list[LogEntry] = []
        for number in range(max(from_block, 0), min(to_block, self._head.block_number) + 1):
            if _may_contain(self._bloom(number), addresses, topics):
                entries = self.block_logs(number)
                found.extend(entry for entry in entries if _matches(entry, addresses, topics))
        return found

    def block_logs(self, number: int) -> tuple[LogEntry, ...]:
        """Return all event logs of block ``number``, which must exist."""
        return self._logs_of(number)

    def _read_bloom(self, number: int) -> int:
        with self._lock:
            return int(self._chain.get_canonical_block_header_by_number(number).bloom)

    def _read_logs(self, number: int) -> tuple[LogEntry, ...]:
        if not self._bloom(number):
            return ()
        with self._lock:
            header = self._chain.get_canonical_block_header_by_number(number)
            (transaction_hash,) = self._chain.chaindb.get_block_transaction_hashes(header)
            receipt = self._chain.get_transaction_receipt_by_index(number, 0)
        return tuple(
            LogEntry(
                bytes(log.address),
                tuple(log.topics),
                bytes(log.data),
                number,
                bytes(header.hash),
                bytes(transaction_hash),
                index,
            )
            for index, log in enumerate(receipt.logs)
        )


def _outcome(computation: ComputationAPI, gas: int) -> Outcome:
    used = gas - computation.get_gas_remaining()
    refund = LedgerVM.calculate_net_gas_refund(used, computation.get_gas_refund())
    # EIP-7623 charges a floor for calldata; py-evm reports by how much that exceeds the gas after refunds.
    needed = max(used, used - refund + computation.data_floor_gas)
    error = None
    if computation.is_error:
        reverted = isinstance(computation.error, Revert)
        error = "execution reverted" if reverted else type(computation.error).__name__
    return Outcome(bytes(computation.output), needed, error)


def _may_contain(
    bloom: int, addresses: frozenset[bytes] | None, topics: Sequence[frozenset[int] | None]
) -> bool:
    if not bloom:
        return False
    bits = BloomFilter(bloom)
    if addresses is not None and not any(address in bits for address in addresses):
        return False
    return all(
        wanted is None or any(topic.to_bytes(32, "big") in bits for topic in wanted) for wanted in topics
    )


def _matches(
    entry: LogEntry, addresses: frozenset[bytes] | None, topics: Sequence[frozenset[int] | None]
) -> bool:
    if addresses is not None and entry.address not in addresses:
        return False
    if len(entry.topics) < len(topics):
        return False
    return all(wanted is None or topic in wanted for topic, wanted in zip(entry.topics, topics, strict=False))
