"""A connection to a chain in this process, without a socket: audits read a repeated chain through it."""

from __future__ import annotations

import threading
from typing import Any

import requests
from eth_account import Account
from web3 import Web3
from web3.providers.base import BaseProvider
from web3.types import RPCEndpoint, RPCResponse

from zkpfl.crypto.signatures import AccountKey
from zkpfl.ledger.connection import Connection
from zkpfl.ledger.embedded import EmbeddedLedger
from zkpfl.ledger.node import Node
from zkpfl.ledger.rpc_methods import EthMethods, RpcError

_TIMEOUT_S = 1.0


class InProcessConnection(Connection):
    """What `Connection` is, for an `EmbeddedLedger` of this process.

    Parameters
    ----------
    ledger
        The chain.
    account
        Key that signs transactions; None to only read.
    """

    def __init__(self, ledger: EmbeddedLedger, account: AccountKey | None = None) -> None:
        self._node = _InProcessNode(ledger)
        self._ask = self._node.ask
        self._web3 = self._node.web3
        self._signer = None if account is None else Account.from_key(account.to_bytes())
        self._send_lock = threading.Lock()
        self._next_nonce = 0
        self._confirmations = 0
        self.chain_id = ledger.chain_id


class _InProcessNode(Node):
    """A node that is a Python object."""

    def __init__(self, ledger: EmbeddedLedger) -> None:
        self.host = "in-process"
        self.timeout_s = _TIMEOUT_S
        self.stop = threading.Event()
        self._session = requests.Session()
        self.web3 = Web3(_Provider(EthMethods(ledger)))


class _Provider(BaseProvider):
    """Hands JSON-RPC requests to the methods that the server would call."""

    def __init__(self, methods: EthMethods) -> None:
        super().__init__()
        self._methods = methods

    def make_request(self, method: RPCEndpoint, params: Any) -> RPCResponse:
        try:
            return {"jsonrpc": "2.0", "id": 0, "result": self._methods.dispatch(method, params)}
        except RpcError as error:
            failure: dict[str, Any] = {"code": error.code, "message": error.message}
            if error.data is not None:
                failure["data"] = error.data
            return {"jsonrpc": "2.0", "id": 0, "error": failure}  # type: ignore[typeddict-item]

    def is_connected(self, show_traceback: bool = False) -> bool:  # noqa: ARG002  web3's signature
        return True
