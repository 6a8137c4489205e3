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

from eth.abc import BlockHeaderAPI, ReceiptAPI, SignedTransactionAPI
from eth.db.atomic import AtomicDB
from eth.exceptions import HeaderNotFound, TransactionNotFound
from eth_utils.exceptions import ValidationError

from zkpfl.errors import InvalidEncoding, InvalidInput, InvalidParameter
from zkpfl.ledger.calls import Call, Outcome, execute, least_gas
from zkpfl.ledger.evm import BLOCK_GAS_LIMIT, TRANSACTION_GAS_LIMIT, chain_class
from zkpfl.ledger.journal import Journal
from zkpfl.ledger.logs import ALL_LOGS, LogEntry, LogFilter

MAX_TRANSACTION_BYTES = 128 * 1024
"""Most bytes of a signed transaction, the limit of public nodes."""

_HEAD_KEY = b"v1:canonical_head_hash"
_CHAIN_ID_KEY = b"zkpfl:chain_id"


@dataclass(frozen=True)
class Mined:
    """A transaction, its receipt and the block that holds it, alone."""

    transaction: Any  # SignedTransactionAPI, which lacks half of what every such object has
    receipt: ReceiptAPI
    header: BlockHeaderAPI


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
        # After each block every party asks the contract the same.
        self._outcome = lru_cache(maxsize=256)(self._execute)

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
            raise InvalidEncoding(f"not a valid signed transaction: {error}", field="transaction") from error
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
            The gas exceeds the limit or does not cover the calldata, or the sender lacks ``value``.
        """
        with self._lock:
            return self._outcome(call, bytes((at or self._head).hash), self.now())

    def estimate_gas(self, call: Call, at: BlockHeaderAPI | None = None) -> tuple[int, Outcome]:
        """Return a gas limit that suffices for a call after block ``at``; see `least_gas`."""
        with self._lock:
            return least_gas(lambda limited: self.execute(limited, at), call)

    def _execute(self, call: Call, after: bytes, _now: int) -> Outcome:
        return execute(self._vm(self._chain.get_block_header_by_hash(after)), call)

    # Logs

    def logs(self, from_block: int, to_block: int, wanted: LogFilter = ALL_LOGS) -> list[LogEntry]:
        """Return the event logs of a range of blocks, both ends included, in chain order.

        Cost: one header a block, and the receipt of those blocks whose bloom filter matches.

        Parameters
        ----------
        from_block, to_block
            Block numbers; there is nothing beyond the latest block.
        wanted
            Contracts and topics.
        """
        found: list[LogEntry] = []
        for number in range(max(from_block, 0), min(to_block, self._head.block_number) + 1):
            if wanted.may_match(self._bloom(number)):
                found.extend(entry for entry in self.block_logs(number) if wanted.matches(entry))
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
