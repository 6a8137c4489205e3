"""JSON forms of the embedded ledger's data, both ways (docs: ethereum/execution-apis)."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from eth.constants import CREATE_CONTRACT_ADDRESS
from eth_utils.address import to_checksum_address
from web3.types import Nonce
from web3.utils import get_create_address

from zkpfl.ledger.calls import Call
from zkpfl.ledger.embedded import Mined
from zkpfl.ledger.evm import TRANSACTION_GAS_LIMIT
from zkpfl.ledger.logs import LogEntry, LogFilter

_checksummed = lru_cache(maxsize=4096)(to_checksum_address)  # a hash each, and the same few addresses


def quantity(value: Any) -> int:
    """Parse a 0x integer below 2^256."""
    if not isinstance(value, str) or not value.startswith("0x"):
        raise ValueError(f"{str(value)[:80]!r} is not a 0x quantity")
    number = int(value, 16)
    if number >> 256:
        raise ValueError("a quantity has at most 256 bits")
    return number


def byte_string(value: Any) -> bytes:
    """Parse a 0x byte string of any length."""
    if not isinstance(value, str) or not value.startswith("0x"):
        raise ValueError("bytes must be a 0x string")
    return bytes.fromhex(value[2:])


def fixed_bytes(value: Any, length: int) -> bytes:
    """Parse a 0x byte string of ``length`` bytes."""
    data = byte_string(value)
    if len(data) != length:
        raise ValueError(f"must be {length} bytes, got {len(data)}")
    return data


def address_of(value: Any) -> bytes:
    """Parse a 20-byte address."""
    return fixed_bytes(value, 20)


def call_of(request: Any) -> Call:
    """Parse the transaction object of ``eth_call`` and ``eth_estimateGas``."""
    data = request.get("input") or request.get("data") or "0x"
    gas = request.get("gas")
    return Call(
        sender=address_of(request.get("from") or "0x" + bytes(20).hex()),
        to=address_of(request["to"]) if request.get("to") else CREATE_CONTRACT_ADDRESS,
        data=byte_string(data),
        value=quantity(request.get("value") or "0x0"),
        gas=TRANSACTION_GAS_LIMIT if gas is None else min(quantity(gas), TRANSACTION_GAS_LIMIT),
    )


def log_filter(criteria: Any) -> LogFilter:
    """Parse the ``address`` and ``topics`` of ``eth_getLogs``."""
    topics = tuple(_topic_choices(position) for position in criteria.get("topics") or [])
    return LogFilter(_address_choices(criteria.get("address")), topics)


def _address_choices(value: Any) -> frozenset[bytes] | None:
    if value is None:
        return None
    return frozenset(address_of(item) for item in ([value] if isinstance(value, str) else value))


def _topic_choices(value: Any) -> frozenset[int] | None:
    if value is None:
        return None
    items = [value] if isinstance(value, str) else value
    return frozenset(int.from_bytes(fixed_bytes(item, 32), "big") for item in items) or None


def hexed(data: bytes) -> str:
    """Format bytes."""
    return "0x" + bytes(data).hex()


def word(value: int) -> str:
    """Format a 256-bit integer as 32 bytes."""
    return f"0x{value:064x}"


def header_json(header: Any) -> dict[str, Any]:
    """Format a block without its transactions."""
    return {
        "number": hex(header.block_number),
        "hash": hexed(header.hash),
        "parentHash": hexed(header.parent_hash),
        "nonce": hexed(header.nonce),
        "sha3Uncles": hexed(header.uncles_hash),
        "logsBloom": f"0x{header.bloom:0512x}",
        "transactionsRoot": hexed(header.transaction_root),
        "stateRoot": hexed(header.state_root),
        "receiptsRoot": hexed(header.receipt_root),
        "miner": _checksummed(header.coinbase),
        "difficulty": "0x0",
        "totalDifficulty": "0x0",
        "extraData": hexed(header.extra_data),
        "size": "0x0",
        "gasLimit": hex(header.gas_limit),
        "gasUsed": hex(header.gas_used),
        "timestamp": hex(header.timestamp),
        "mixHash": hexed(header.mix_hash),
        "baseFeePerGas": hex(header.base_fee_per_gas),
        "withdrawalsRoot": hexed(header.withdrawals_root),
        "blobGasUsed": hex(header.blob_gas_used),
        "excessBlobGas": hex(header.excess_blob_gas),
        "parentBeaconBlockRoot": hexed(header.parent_beacon_block_root),
        "requestsHash": hexed(header.requests_hash),
    }


def _position_json(mined: Mined) -> dict[str, Any]:
    return {
        "blockHash": hexed(mined.header.hash),
        "blockNumber": hex(mined.header.block_number),
        "transactionIndex": "0x0",
        "from": _checksummed(mined.transaction.sender),
        "to": _checksummed(mined.transaction.to) if mined.transaction.to else None,
        "type": hex(_type_of(mined)),
    }


def _type_of(mined: Mined) -> int:
    return getattr(mined.transaction, "type_id", None) or 0


def transaction_json(mined: Mined, chain_id: int) -> dict[str, Any]:
    """Format a mined transaction."""
    transaction = mined.transaction
    answer = {
        **_position_json(mined),
        "hash": hexed(transaction.hash),
        "chainId": hex(chain_id),
        "nonce": hex(transaction.nonce),
        "gas": hex(transaction.gas),
        "gasPrice": hex(_effective_gas_price(mined)),
        "value": hex(transaction.value),
        "input": hexed(transaction.data),
        "v": hex(transaction.y_parity if _type_of(mined) else transaction.v),
        "r": hex(transaction.r),
        "s": hex(transaction.s),
    }
    if _type_of(mined):
        answer["accessList"] = [
            {"address": _checksummed(address), "storageKeys": [word(slot) for slot in slots]}
            for address, slots in transaction.access_list
        ]
    if _type_of(mined) == 2:
        answer["maxFeePerGas"] = hex(transaction.max_fee_per_gas)
        answer["maxPriorityFeePerGas"] = hex(transaction.max_priority_fee_per_gas)
    return answer


def _effective_gas_price(mined: Mined) -> int:
    base = mined.header.base_fee_per_gas or 0
    transaction = mined.transaction
    return int(min(transaction.max_fee_per_gas, base + transaction.max_priority_fee_per_gas))


def receipt_json(mined: Mined, logs: list[dict[str, Any]]) -> dict[str, Any]:
    """Format a receipt with its formatted logs."""
    created = None
    if not mined.transaction.to:
        created = get_create_address(_checksummed(mined.transaction.sender), Nonce(mined.transaction.nonce))
    return {
        **_position_json(mined),
        "transactionHash": hexed(mined.transaction.hash),
        "status": hex(int.from_bytes(mined.receipt.state_root, "big")),
        "gasUsed": hex(mined.receipt.gas_used),
        "cumulativeGasUsed": hex(mined.receipt.gas_used),
        "effectiveGasPrice": hex(_effective_gas_price(mined)),
        "contractAddress": created,
        "logs": logs,
        "logsBloom": f"0x{mined.receipt.bloom:0512x}",
    }


def log_json(entry: LogEntry) -> dict[str, Any]:
    """Format an event log."""
    return {
        "address": _checksummed(entry.address),
        "topics": [word(topic) for topic in entry.topics],
        "data": hexed(entry.data),
        "blockNumber": hex(entry.block_number),
        "blockHash": hexed(entry.block_hash),
        "transactionHash": hexed(entry.transaction_hash),
        "transactionIndex": "0x0",
        "logIndex": hex(entry.log_index),
        "removed": False,
    }
