"""The JSON-RPC methods of the embedded ledger: parameters in, JSON out (ethereum/execution-apis)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from eth.abc import BlockHeaderAPI

from zkpfl.errors import ZkpflError
from zkpfl.ledger.calls import Outcome
from zkpfl.ledger.embedded import EmbeddedLedger
from zkpfl.ledger.rpc_json import (
    address_of,
    byte_string,
    call_of,
    fixed_bytes,
    header_json,
    hexed,
    log_filter,
    log_json,
    quantity,
    receipt_json,
    transaction_json,
    word,
)

INVALID_PARAMS = -32602
METHOD_NOT_FOUND = -32601
SERVER_ERROR = -32000
EXECUTION_REVERTED = 3

_TAGS = frozenset({"latest", "pending", "safe", "finalized"})
_MAX_FEE_HISTORY = 1024


class RpcError(Exception):
    """An error that the caller sees, as JSON-RPC code, message and optional data."""

    def __init__(self, code: int, message: str, data: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.data = data


class EthMethods:
    """``eth_*``, ``net_version`` and ``web3_clientVersion`` over an `EmbeddedLedger`.

    Parameters
    ----------
    ledger
        The chain to serve.
    time_travel
        Also serve ``evm_increaseTime`` and ``evm_mine``, as test nodes do. Never where the ledger holds
        value: whoever moves the clock closes deadlines.
    """

    def __init__(self, ledger: EmbeddedLedger, *, time_travel: bool = False) -> None:
        self._ledger = ledger
        self._methods: dict[str, Callable[..., Any]] = {
            "web3_clientVersion": lambda: "zkpfl/embedded",
            "net_version": lambda: str(ledger.chain_id),
            "eth_chainId": lambda: hex(ledger.chain_id),
            "eth_blockNumber": lambda: hex(ledger.head.block_number),
            "eth_syncing": lambda: False,
            "eth_accounts": list,
            "eth_gasPrice": lambda: "0x0",
            "eth_maxPriorityFeePerGas": lambda: "0x0",
            "eth_feeHistory": self._fee_history,
            "eth_getBlockByNumber": self._block_by_number,
            "eth_getBlockByHash": self._block_by_hash,
            "eth_getBalance": self._balance,
            "eth_getCode": self._code,
            "eth_getStorageAt": self._storage,
            "eth_getTransactionCount": self._nonce,
            "eth_call": self._call,
            "eth_estimateGas": self._estimate_gas,
            "eth_sendRawTransaction": self._send,
            "eth_getTransactionByHash": self._transaction,
            "eth_getTransactionReceipt": self._receipt,
            "eth_getLogs": self._logs,
        }
        if time_travel:
            self._methods |= {"evm_increaseTime": self._increase_time, "evm_mine": self._mine}

    def dispatch(self, method: str, params: Sequence[Any]) -> Any:
        """Run one method and return its JSON result.

        Raises
        ------
        RpcError
            Unknown method, bad parameters, refused transaction, reverted call.
        """
        handler = self._methods.get(method)
        if handler is None:
            raise RpcError(METHOD_NOT_FOUND, f"the method {method[:64]} does not exist")
        try:
            return handler(*params)
        except ZkpflError as error:
            raise RpcError(SERVER_ERROR, error.message) from error
        except (TypeError, ValueError, KeyError, AttributeError, OverflowError) as error:
            raise RpcError(INVALID_PARAMS, f"invalid parameters of {method}: {error}") from error

    def _header(self, block: Any = "latest") -> BlockHeaderAPI:
        head = self._ledger.head
        if isinstance(block, dict):
            found = self._ledger.header_by_hash(fixed_bytes(block["blockHash"], 32))
        elif block in _TAGS:
            found = head
        else:
            found = self._ledger.header(0 if block == "earliest" else quantity(block))
        if found is None:
            raise RpcError(SERVER_ERROR, "block not found")
        return found

    def _block_by_number(self, block: Any, full: bool = False) -> dict[str, Any] | None:
        try:
            header = self._header(block)
        except RpcError:
            return None
        answer = self._block(header, full)
        if block == "pending":  # only what callers want of it: the time that a transaction of now would meet
            answer |= {"number": hex(header.block_number + 1), "timestamp": hex(self._ledger.now())}
            answer |= {"hash": None, "parentHash": hexed(header.hash), "transactions": []}
        return answer

    def _block_by_hash(self, block_hash: Any, full: bool = False) -> dict[str, Any] | None:
        header = self._ledger.header_by_hash(fixed_bytes(block_hash, 32))
        return None if header is None else self._block(header, full)

    def _block(self, header: BlockHeaderAPI, full: bool) -> dict[str, Any]:
        hashes = self._ledger.transaction_hashes(header)
        found = [self._transaction(hexed(h)) for h in hashes] if full else [hexed(h) for h in hashes]
        return {**header_json(header), "transactions": found, "uncles": [], "withdrawals": []}

    def _balance(self, address: Any, block: Any = "latest") -> str:
        return hex(self._ledger.balance(address_of(address), self._header(block)))

    def _code(self, address: Any, block: Any = "latest") -> str:
        return hexed(self._ledger.code(address_of(address), self._header(block)))

    def _storage(self, address: Any, slot: Any, block: Any = "latest") -> str:
        return word(self._ledger.storage(address_of(address), quantity(slot), self._header(block)))

    def _nonce(self, address: Any, block: Any = "latest") -> str:
        return hex(self._ledger.nonce(address_of(address), self._header(block)))

    def _call(self, request: Any, block: Any = "latest") -> str:
        outcome = self._ledger.execute(call_of(request), self._header(block))
        _raise_failure(outcome)
        return hexed(outcome.output)

    def _estimate_gas(self, request: Any, block: Any = "latest") -> str:
        gas, outcome = self._ledger.estimate_gas(call_of(request), self._header(block))
        _raise_failure(outcome)
        return hex(gas)

    def _send(self, raw: Any) -> str:
        return hexed(self._ledger.send_raw_transaction(byte_string(raw)))

    def _transaction(self, transaction_hash: Any) -> dict[str, Any] | None:
        mined = self._ledger.transaction(fixed_bytes(transaction_hash, 32))
        return None if mined is None else transaction_json(mined, self._ledger.chain_id)

    def _receipt(self, transaction_hash: Any) -> dict[str, Any] | None:
        mined = self._ledger.transaction(fixed_bytes(transaction_hash, 32))
        if mined is None:
            return None
        entries = self._ledger.block_logs(mined.header.block_number)
        return receipt_json(mined, [log_json(entry) for entry in entries])

    def _logs(self, criteria: Any) -> list[dict[str, Any]]:
        if "blockHash" in criteria:
            first = last = int(self._header({"blockHash": criteria["blockHash"]}).block_number)
        else:
            first = self._bound(criteria.get("fromBlock") or "latest")
            last = self._bound(criteria.get("toBlock") or "latest")
        entries = self._ledger.logs(first, last, log_filter(criteria))
        return [log_json(entry) for entry in entries]

    def _bound(self, block: Any) -> int:
        known = block in _TAGS or block == "earliest"
        return int(self._header(block).block_number) if known else quantity(block)

    def _fee_history(self, count: Any, newest: Any = "latest", percentiles: Any = ()) -> dict[str, Any]:
        last = self._header(newest).block_number
        first = max(0, last + 1 - min(quantity(count), _MAX_FEE_HISTORY))
        headers = [self._header(hex(number)) for number in range(first, last + 1)]
        answer: dict[str, Any] = {
            "oldestBlock": hex(first),
            "baseFeePerGas": ["0x0"] * (len(headers) + 1),
            "gasUsedRatio": [header.gas_used / header.gas_limit for header in headers],
        }
        if percentiles:
            answer["reward"] = [["0x0"] * len(percentiles) for _ in headers]
        return answer

    def _increase_time(self, seconds: Any) -> str:
        step = seconds if isinstance(seconds, int) else quantity(seconds)
        self._ledger.advance_time(step)
        return hex(step)

    def _mine(self, *_options: Any) -> str:
        self._ledger.mine()
        return "0x0"


def _raise_failure(outcome: Outcome) -> None:
    if outcome.error == "execution reverted":
        raise RpcError(EXECUTION_REVERTED, outcome.error, hexed(outcome.output))
    if outcome.error is not None:
        raise RpcError(SERVER_ERROR, f"execution failed: {outcome.error}")
