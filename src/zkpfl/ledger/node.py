"""Asking an EVM node over JSON-RPC: patience with lost connections, and errors in this package's terms."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar
from urllib.parse import urlsplit

import requests
from eth_abi.abi import decode
from eth_abi.exceptions import DecodingError
from web3 import HTTPProvider, Web3
from web3.exceptions import BadFunctionCallOutput, ContractLogicError, Web3Exception, Web3RPCError
from web3.middleware import ExtraDataToPOAMiddleware
from web3.types import RPCEndpoint

from zkpfl.errors import InvalidParameter, LedgerError, TransactionFailed, Unavailable

_T = TypeVar("_T")

FIRST_PAUSE_S = 0.02
LONGEST_PAUSE_S = 1.0

_REQUEST_TIMEOUT_S = 30.0
_LOOPBACK = ("127.0.0.1", "::1", "localhost")
_ERROR_SELECTOR = bytes.fromhex("08c379a0")  # Error(string)
_PANIC_SELECTOR = bytes.fromhex("4e487b71")  # Panic(uint256)


class Node:
    """A web3 client of one node that retries lost connections; may be shared by threads.

    Parameters
    ----------
    url
        JSON-RPC over HTTP or HTTPS. It may hold an access key, so errors name its host only.
    timeout_s
        How long to go on asking a node that does not answer, in seconds.
    stop
        Once set, a node that does not answer is not asked again.

    Raises
    ------
    InvalidParameter
        The URL is not HTTP, or the time is not positive.
    """

    def __init__(self, url: str, timeout_s: float, stop: threading.Event | None = None) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise InvalidParameter("must start with http:// or https://", field="url")
        if not timeout_s > 0:
            raise InvalidParameter(f"must be positive, got {timeout_s}", field="timeout_s")
        self.host = parts.hostname
        self.timeout_s = timeout_s
        self.stop = stop or threading.Event()
        self._session = requests.Session()
        # A proxy of the environment is for the outside; asking for it also costs a quarter of each request.
        self._session.trust_env = self.host not in _LOOPBACK
        provider = HTTPProvider(
            url,
            session=self._session,
            request_kwargs={"timeout": _REQUEST_TIMEOUT_S},
            exception_retry_configuration=None,
            cache_allowed_requests=True,
            cacheable_requests={RPCEndpoint("eth_chainId")},  # web3 asks for it around each transaction
        )
        self.web3 = Web3(provider)
        self.web3.middleware_onion.inject(ExtraDataToPOAMiddleware, layer=0)

    def close(self) -> None:
        """Close the sockets."""
        self._session.close()

    def ask(self, operation: Callable[[], _T]) -> _T:
        """Run requests, again after each connection loss until the deadline or the stop.

        Raises
        ------
        Unavailable
            The node did not answer in time, or refuses this client.
        TransactionFailed
            The contract refused; ``reason`` says why.
        LedgerError
            The node refused the request.
        """
        deadline = time.monotonic() + self.timeout_s
        pause = FIRST_PAUSE_S
        while True:
            try:
                return operation()
            except (requests.RequestException, OSError) as error:
                if _is_final(error) or self.stop.is_set() or time.monotonic() + pause > deadline:
                    # Not chained: the text of a request error holds the whole URL, access key included.
                    raise Unavailable(
                        f"no answer: {type(error).__name__}", party=f"ledger node {self.host}", field="url"
                    ) from None
            except ContractLogicError as error:
                raise _refused(error) from error
            except BadFunctionCallOutput as error:
                raise LedgerError("no such contract at this address", party="ledger") from error
            except Web3RPCError as error:
                raise LedgerError(_rpc_message(error), party=f"ledger node {self.host}") from error
            except json.JSONDecodeError as error:
                raise LedgerError("the answer is not JSON", party=f"ledger node {self.host}") from error
            except Web3Exception as error:
                raise LedgerError(str(error), party=f"ledger node {self.host}") from error
            self.stop.wait(pause)
            pause = min(2 * pause, LONGEST_PAUSE_S)


def _is_final(error: Exception) -> bool:
    """Tell whether asking again is pointless: HTTP 4xx refuses this client, except 429, "slow down"."""
    response = getattr(error, "response", None)
    return response is not None and 400 <= response.status_code < 500 and response.status_code != 429


def _rpc_message(error: Web3RPCError) -> str:
    """The node's own words, without web3's."""
    answer: Any = (error.rpc_response or {}).get("error")
    if isinstance(answer, dict) and isinstance(answer.get("message"), str):
        return str(answer["message"])
    return error.message


def _refused(error: ContractLogicError) -> TransactionFailed:
    reason = _reason(error.data)
    return TransactionFailed(
        f"the contract refused: {reason}" if reason else "the contract refused without a reason",
        reason=reason,
        party="ledger",
    )


def _reason(data: Any) -> str:
    """Decode revert data, which every engine gives alike; their messages differ."""
    try:
        raw = bytes.fromhex(data.removeprefix("0x"))
        if raw.startswith(_ERROR_SELECTOR):
            return str(decode(["string"], raw[4:])[0])
    except (AttributeError, ValueError, OverflowError, DecodingError):
        return ""
    if raw.startswith(_PANIC_SELECTOR):
        return f"panic_0x{raw[-1]:02x}"
    return f"custom_error_0x{raw[:4].hex()}" if raw else ""
