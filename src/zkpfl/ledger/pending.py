"""A transaction on its way: sent again if a node drops it, paid better if stuck, given up if replaced."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

from eth_account.datastructures import SignedTransaction
from eth_account.signers.local import LocalAccount
from hexbytes import HexBytes
from web3.exceptions import TransactionNotFound
from web3.types import TxParams, TxReceipt

from zkpfl.errors import DeadlineExceeded, LedgerError
from zkpfl.ledger.node import FIRST_PAUSE_S, LONGEST_PAUSE_S, Node

LOOK_AFTER_S = 3.0
"""How often the node is asked whether it still has a transaction that is not mined."""


class PendingTransaction:
    """One nonce of an account, and whatever was signed for it; at most one of these is ever mined.

    Parameters
    ----------
    node
        Where it was sent.
    signer
        The account.
    fields
        The complete transaction, with nonce and fees.
    signed
        The same, signed.
    fees
        What a transaction sent now should offer.
    confirmations
        Blocks that must follow the one that holds it, before it counts as mined.
    """

    def __init__(
        self,
        node: Node,
        signer: LocalAccount,
        fields: dict[str, Any],
        signed: SignedTransaction,
        fees: Callable[[], TxParams],
        confirmations: int = 0,
    ) -> None:
        self._node = node
        self._web3 = node.web3
        self._signer = signer
        self._fields = fields
        self._signed = [signed]
        self._fees = fees
        self._confirmations = confirmations
        self._overtaken = False

    def wait(self) -> TxReceipt:
        """Return the receipt, once one of the signed transactions is mined, and so deep that it stays.

        Raises
        ------
        DeadlineExceeded
            Not mined in time, or this process stops: it may still be mined.
        LedgerError
            Another transaction of the account took its nonce.
        """
        began = looked = time.monotonic()
        pause = FIRST_PAUSE_S
        while (receipt := self._receipt()) is None or not self._deep(receipt):
            now = time.monotonic()
            if now - began > self._node.timeout_s or self._node.stop.is_set():
                raise DeadlineExceeded(
                    f"transaction 0x{bytes(self._signed[-1].hash).hex()} is not mined",
                    party="ledger",
                    field="timeout_s",
                )
            if now - looked > LOOK_AFTER_S:
                self._look_after()
                looked = now
            self._node.stop.wait(pause)
            pause = min(2 * pause, LONGEST_PAUSE_S)
        return receipt

    def _deep(self, receipt: TxReceipt) -> bool:
        """Whether enough blocks follow; the receipt is fresh, for a reorganisation may take it away."""
        if not self._confirmations:
            return True
        latest = int(self._node.ask(lambda: self._web3.eth.block_number))
        return latest >= receipt["blockNumber"] + self._confirmations

    def _receipt(self) -> TxReceipt | None:
        for signed in reversed(self._signed):
            if (receipt := self._receipt_of(signed.hash)) is not None:
                return receipt
        return None

    def _receipt_of(self, transaction_hash: HexBytes) -> TxReceipt | None:
        def read() -> TxReceipt | None:
            try:
                return self._web3.eth.get_transaction_receipt(transaction_hash)
            except TransactionNotFound:
                return None

        return self._node.ask(read)

    def _look_after(self) -> None:
        """Whatever keeps the transaction from being mined, do what helps."""
        account = self._signer.address
        if self._receipt() is not None:
            return  # mined, and waiting for more blocks
        mined = int(self._node.ask(lambda: self._web3.eth.get_transaction_count(account, "latest")))
        if mined > self._fields["nonce"]:
            if self._overtaken:
                text = "another transaction of this account took its nonce"
                hint = "give each process an account of its own"
                raise LedgerError(text, party="ledger", field="account", hint=hint)
            self._overtaken = True  # or its receipt is a moment late: look once more
        elif self._too_cheap():
            self._pay_more()
        elif not self.known(self._signed[-1].hash):
            self._broadcast(self._signed[-1])

    def _too_cheap(self) -> bool:
        """Whether the base fee has risen above what was offered."""
        base = int(self._node.ask(lambda: self._web3.eth.get_block("latest"))["baseFeePerGas"])
        return base > int(self._fields["maxFeePerGas"])

    def _pay_more(self) -> None:
        """Replace the transaction by itself with higher fees; nodes ask for a tenth more of each."""
        fresh, before = self._fees(), self._fields
        for name in ("maxFeePerGas", "maxPriorityFeePerGas"):
            least = -(-int(before[name]) * 9 // 8)
            self._fields = {**self._fields, name: max(int(fresh[name]), least)}
        signed = self._signer.sign_transaction(self._fields)
        self._signed.append(signed)
        self._broadcast(signed)

    def known(self, transaction_hash: HexBytes) -> bool:
        """Tell whether the node has a transaction."""

        def read() -> bool:
            try:
                self._web3.eth.get_transaction(transaction_hash)
            except TransactionNotFound:
                return False
            return True

        return self._node.ask(read)

    def _broadcast(self, signed: SignedTransaction) -> None:
        with suppress(LedgerError):  # it has it by now, or its nonce is gone: the next look tells
            self._node.ask(partial(self._web3.eth.send_raw_transaction, signed.raw_transaction))
