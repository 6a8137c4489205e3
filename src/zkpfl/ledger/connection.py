"""The one way from a process to an EVM node, embedded or any other, through web3."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from functools import cached_property, partial
from typing import Any, Self

import rlp
from eth_account import Account
from eth_account.datastructures import SignedTransaction
from eth_account.signers.local import LocalAccount
from eth_typing import ChecksumAddress
from web3 import Web3
from web3.contract import Contract
from web3.contract.contract import ContractConstructor, ContractEvent, ContractFunction
from web3.exceptions import BlockNotFound
from web3.types import BlockIdentifier, EventData, TxParams, TxReceipt, Wei

from zkpfl.crypto.merkle import keccak256
from zkpfl.crypto.signatures import AccountKey
from zkpfl.errors import DeadlineExceeded, InvalidParameter, LedgerError, NotAuthorized, TransactionFailed
from zkpfl.ledger.node import Node
from zkpfl.ledger.pending import PendingTransaction

_LOG_BLOCKS = 5000  # public nodes refuse wider ranges
_LAST_PARTY_GAS = 500_000  # whoever turns out to be last in a phase ends it for all
_MOST_GAS = 1 << 24  # EIP-7825
_GAS_ATTEMPTS = 3
_SEND_ATTEMPTS = 5
_MOST_CONFIRMATIONS = 64
_NONCE_TAKEN = ("nonce too low", "replacement transaction underpriced")


class Connection:
    """A node, and optionally the account that signs for this process; may be shared by threads.

    Connection losses are retried with exponential backoff until ``timeout_s``. A transaction that the node
    drops is sent again, one that its fees keep from being mined is replaced by itself with higher ones: all
    under one nonce, so it cannot be executed twice.

    Parameters
    ----------
    url
        JSON-RPC over HTTP or HTTPS. It may hold an access key, so errors name its host only.
    account
        Key that signs transactions; None to only read.
    chain_id
        Expected EIP-155 chain id; None to take the node's.
    timeout_s
        Longest wait for the node to answer, and for a transaction to be mined, in seconds.
    stop
        Once set, nothing is waited for any more.
    confirmations
        Blocks that must follow the one that holds a transaction of this account before it counts: a chain may
        still reorganise the last few away. One that vanishes is sent again.

    Raises
    ------
    Unavailable
        The node does not answer in time.
    InvalidParameter
        The URL is not HTTP, or the node serves another chain.
    """

    def __init__(
        self,
        url: str,
        account: AccountKey | None = None,
        *,
        chain_id: int | None = None,
        timeout_s: float = 60.0,
        stop: threading.Event | None = None,
        confirmations: int = 0,
    ) -> None:
        if not 0 <= confirmations <= _MOST_CONFIRMATIONS:
            text = f"must be 0 to {_MOST_CONFIRMATIONS} blocks, got {confirmations}"
            raise InvalidParameter(text, field="confirmations")
        self._confirmations = confirmations
        self._node = Node(url, timeout_s, stop)
        self._ask = self._node.ask
        self._web3 = self._node.web3
        self._signer: LocalAccount | None = None if account is None else Account.from_key(account.to_bytes())
        self._send_lock = threading.Lock()
        self._next_nonce = 0
        try:
            self.chain_id = self._checked_chain_id(chain_id)
        except BaseException:
            self.close()
            raise

    def _checked_chain_id(self, expected: int | None) -> int:
        served = int(self._ask(lambda: self._web3.eth.chain_id))
        if expected is not None and served != expected:
            raise InvalidParameter(f"the node serves chain {served}, not {expected}", field="chain_id")
        return served

    def close(self) -> None:
        """Close the sockets."""
        self._node.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Connection(host={self._node.host!r}, address={self.address!r})"

    @property
    def address(self) -> str | None:
        """Checksummed address of the account, or None."""
        return None if self._signer is None else str(self._signer.address)

    # Reading

    def contract(self, abi: Sequence[Any], address: bytes) -> Contract:
        """Return a web3 contract to take functions and events from.

        Parameters
        ----------
        abi
            The contract's ABI.
        address
            bytes[20].
        """
        return self._web3.eth.contract(address=_checksummed(address), abi=abi)

    def call(self, function: ContractFunction, at: BlockIdentifier = "latest") -> Any:
        """Run a contract function without a transaction and return its decoded result.

        Raises
        ------
        TransactionFailed
            The contract refused; ``reason`` says why.
        LedgerError
            There is no such contract.
        """
        # Without a sender, so that all parties ask in the same words and the node may answer from memory.
        return self._ask(lambda: function.call(block_identifier=at))

    def logs(
        self,
        event: type[ContractEvent] | ContractEvent,
        from_block: int,
        to_block: int,
        argument_filters: Mapping[str, Any] | None = None,
    ) -> list[EventData]:
        """Return the decoded events of a range of blocks, both ends included, in chain order."""
        found: list[EventData] = []
        filters = dict(argument_filters) if argument_filters else None
        for first in range(from_block, to_block + 1, _LOG_BLOCKS):
            last = min(first + _LOG_BLOCKS - 1, to_block)
            found += self._ask(
                partial(event.get_logs, argument_filters=filters, from_block=first, to_block=last)
            )
        return found

    def code(self, address: bytes) -> bytes:
        """Return the code of a contract, bytes[20]; empty where there is none."""
        return bytes(self._ask(lambda: self._web3.eth.get_code(_checksummed(address))))

    def block_number(self) -> int:
        """Return the number of the latest block: one small request, cheap enough to poll."""
        return int(self._ask(lambda: self._web3.eth.block_number))

    def finalized_block(self) -> int:
        """Return the number of the latest block that can no longer be reorganised away."""

        def read() -> int:
            try:
                return int(self._web3.eth.get_block("finalized")["number"])
            except BlockNotFound:
                return 0  # a young chain that has not finalised anything

        return self._ask(read)

    def finality_lag_s(self) -> int:
        """Return by how many seconds the last finalised block is older than the latest one, as of now.

        0 where every block is final at once. On a chain that finalises in epochs it grows and falls within
        each; a young chain that has not finalised anything counts from its first block.
        """
        final = self.finalized_block()
        times = [self._ask(partial(self._web3.eth.get_block, at))["timestamp"] for at in (final, "latest")]
        return max(0, int(times[1]) - int(times[0]))

    def timestamp(self) -> int:
        """Return the chain time that a transaction sent now would meet, in seconds since the epoch."""
        return int(self._ask(lambda: self._web3.eth.get_block("pending"))["timestamp"])

    def balance(self, address: bytes) -> int:
        """Return the wei of an address (bytes[20])."""
        account = _checksummed(address)
        return int(self._ask(lambda: self._web3.eth.get_balance(account)))

    # Writing

    def transact(self, function: ContractFunction | ContractConstructor, value: int = 0) -> TxReceipt:
        """Sign and send a contract call, wait until it is mined, and return its receipt.

        Parameters
        ----------
        function
            The function with its arguments.
        value
            Wei to send along.

        Raises
        ------
        TransactionFailed
            The contract refused, before sending or in the block; ``reason`` says why.
        NotAuthorized
            This connection has no account.
        DeadlineExceeded
            Sent, but not mined in time: it may still be mined.
        LedgerError
            The node refused the transaction, for want of funds for instance.
        """
        request = self._request(function, value)
        for _ in range(_GAS_ATTEMPTS):
            fees = self._fees()
            request["gas"] = self._gas_limit(request, free=fees["maxFeePerGas"] == 0)
            receipt = self._mined(self._send(request, fees))
            if receipt["status"] == 1:
                return receipt
            if receipt["gasUsed"] < request["gas"]:
                break
        raise self._failure(request, receipt)

    def deploy(self, abi: Sequence[Any], bytecode: bytes, *arguments: Any) -> bytes:
        """Create a contract and return its address, bytes[20]; raises as `transact`."""
        factory = self._web3.eth.contract(abi=abi, bytecode=bytecode)
        receipt = self.transact(factory.constructor(*arguments))
        address = receipt["contractAddress"]
        if address is None:
            raise LedgerError("the node reports no address for the new contract", party="ledger")
        return Web3.to_bytes(hexstr=address)

    def next_contract(self, after: int = 0) -> bytes:
        """Return the address (bytes[20]) of a contract that this account creates after so many others."""
        address = self._required_signer().address
        nonce = max(self._next_nonce, self._pending_nonce(address)) + after
        return keccak256(rlp.encode([_account_bytes(address), nonce]))[12:]

    @cached_property
    def _is_embedded(self) -> bool:
        return str(self._ask(lambda: self._web3.client_version)).startswith("zkpfl/")

    def _required_signer(self) -> LocalAccount:
        if self._signer is None:
            raise NotAuthorized("this connection has no account to sign with", field="account")
        return self._signer

    def _request(self, function: ContractFunction | ContractConstructor, value: int) -> TxParams:
        """Encode the call; every field is given, so that web3 does not ask the node for the missing ones."""
        if value < 0:
            raise InvalidParameter(f"must not be negative, got {value}", field="value")
        fields: TxParams = {
            "from": self._required_signer().address,
            "chainId": self.chain_id,
            "value": Wei(value),
            "gas": 0,
            "maxFeePerGas": Wei(0),
            "maxPriorityFeePerGas": Wei(0),
        }
        return self._ask(lambda: function.build_transaction(fields))

    def _gas_limit(self, request: TxParams, *, free: bool) -> int:
        """Estimate against the pending block, whose time is now, and add what may change before mining.

        Where gas is free, the most that a transaction may have is as good, and one execution tells a refusal:
        an estimate takes several. The embedded ledger explains a failure afterwards just as well, so there
        the one execution is that of the transaction itself.
        """
        if free and self._is_embedded:
            return _MOST_GAS
        asked = self._message(request)
        if "to" in asked and free:
            asked["gas"] = _MOST_GAS
            self._ask(lambda: self._web3.eth.call(asked, "pending"))
            return _MOST_GAS
        estimate = int(self._ask(lambda: self._web3.eth.estimate_gas(asked, "pending")))
        return estimate * 5 // 4 + _LAST_PARTY_GAS

    def _message(self, request: TxParams) -> TxParams:
        message: TxParams = {"from": request["from"], "value": request["value"], "data": request["data"]}
        if request.get("to"):
            message["to"] = request["to"]
        return message

    def _fees(self) -> TxParams:
        """Offer twice the base fee and the usual tip; a chain whose base fee is zero is free."""
        base = self._base_fee()
        tip = self._ask(lambda: self._web3.eth.max_priority_fee) if base else Wei(0)
        return {"maxFeePerGas": Wei(2 * base + tip), "maxPriorityFeePerGas": tip}

    def _base_fee(self) -> int:
        return int(self._ask(lambda: self._web3.eth.get_block("latest"))["baseFeePerGas"])

    def _send(self, request: TxParams, fees: TxParams) -> PendingTransaction:
        """Sign with the next free nonce and hand to the node, one transaction at a time."""
        signer = self._required_signer()
        with self._send_lock:
            for _attempt in range(_SEND_ATTEMPTS):
                nonce = max(self._next_nonce, self._pending_nonce(signer.address))
                complete: dict[str, Any] = {**request, **fees, "nonce": nonce}
                signed = signer.sign_transaction(complete)
                pending = PendingTransaction(
                    self._node, signer, complete, signed, self._fees, self._confirmations
                )
                if self._accepted(signed, pending):
                    self._next_nonce = nonce + 1
                    return pending
        raise LedgerError(
            "other transactions keep taking this account's nonces",
            party="ledger",
            field="account",
            hint="give each process an account of its own",
        )

    def _accepted(self, signed: SignedTransaction, pending: PendingTransaction) -> bool:
        """Hand a signed transaction to the node; False where another one has its nonce."""
        try:
            self._ask(partial(self._web3.eth.send_raw_transaction, signed.raw_transaction))
        except LedgerError as error:
            self._next_nonce = 0
            if pending.known(signed.hash):
                return True  # an earlier try arrived though its answer was lost
            if not any(words in error.message.lower() for words in _NONCE_TAKEN):
                raise
            return False
        return True

    def _pending_nonce(self, address: ChecksumAddress) -> int:
        return int(self._ask(lambda: self._web3.eth.get_transaction_count(address, "pending")))

    def _mined(self, pending: PendingTransaction) -> TxReceipt:
        try:
            return pending.wait()
        except (LedgerError, DeadlineExceeded):
            self._next_nonce = 0
            raise

    def _failure(self, request: TxParams, receipt: TxReceipt) -> TransactionFailed:
        """Repeat a failed transaction on the state before its block to learn the contract's reason."""
        message = self._message(request)
        message["gas"] = request["gas"]
        try:
            self._ask(lambda: self._web3.eth.call(message, receipt["blockNumber"] - 1))
        except TransactionFailed as failure:
            return failure
        except LedgerError as error:
            return TransactionFailed(f"the transaction failed: {error.message}", party="ledger")
        return TransactionFailed("the transaction failed, but no longer does when repeated", party="ledger")


def _account_bytes(address: str) -> bytes:
    return bytes.fromhex(address.removeprefix("0x"))


def _checksummed(address: bytes) -> ChecksumAddress:
    if len(address) != 20:
        raise InvalidParameter(f"must be 20 bytes, got {len(address)}", field="address")
    return Web3.to_checksum_address(address)
