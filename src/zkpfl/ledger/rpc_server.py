"""JSON-RPC 2.0 over HTTP in front of an `EmbeddedLedger`: other processes use it like any EVM node."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

from zkpfl.errors import Unavailable
from zkpfl.ledger.embedded import EmbeddedLedger
from zkpfl.ledger.rpc_methods import EthMethods, RpcError
from zkpfl.strict_json import decode_finite

MAX_BODY_BYTES = 1 << 20
MAX_BATCH = 100
MAX_BRACKETS = 4096

_PARSE_ERROR = -32700
_INVALID_REQUEST = -32600
_INTERNAL_ERROR = -32603

_log = logging.getLogger(__name__)


@asynccontextmanager
async def serve(
    ledger: EmbeddedLedger, host: str = "127.0.0.1", port: int = 0, *, time_travel: bool = False
) -> AsyncIterator[str]:
    """Serve a ledger until the context is left; yields the URL.

    Parameters
    ----------
    ledger
        The chain; the caller closes it, after this context.
    host, port
        Where to listen; port 0 takes a free one. There is no authentication: keep to loopback.
    time_travel
        Serve ``evm_increaseTime`` and ``evm_mine`` too (tests only).

    Raises
    ------
    Unavailable
        The address cannot be listened on.
    """
    methods = EthMethods(ledger, time_travel=time_travel)
    # One thread: the EVM has one state, and the event loop stays free to answer while a transaction runs.
    worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="evm")
    app = web.Application(client_max_size=MAX_BODY_BYTES)
    app.router.add_post("/", _Front(methods, worker).handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=5)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, host, port).start()
        except OSError as error:
            raise Unavailable(
                f"cannot listen on {host}:{port}: {error.strerror}", party="ledger", field="port"
            ) from error
        bound = runner.addresses[0]
        name = f"[{bound[0]}]" if ":" in bound[0] else bound[0]
        yield f"http://{name}:{bound[1]}"
    finally:
        await runner.cleanup()
        worker.shutdown(wait=True)


class _Front:
    """Turns HTTP requests into method calls on the EVM's thread."""

    def __init__(self, methods: EthMethods, worker: ThreadPoolExecutor) -> None:
        self._methods = methods
        self._worker = worker

    async def handle(self, request: web.Request) -> web.Response:
        # Browsers always say where a POST comes from: no web page may drive the ledger of its reader.
        if "Origin" in request.headers or request.content_type != "application/json":
            raise web.HTTPForbidden(text="only application/json from programs, not from web pages")
        try:
            body = _parsed(await request.text())
        except ValueError:
            return web.json_response(_failure(None, _PARSE_ERROR, "not JSON"))
        answer = await asyncio.get_running_loop().run_in_executor(self._worker, self._answer, body)
        if answer is None:
            return web.Response(status=204)
        return web.json_response(answer)

    def _answer(self, body: Any) -> Any:
        if not isinstance(body, list):
            return self._answer_one(body)
        if not 0 < len(body) <= MAX_BATCH:
            return _failure(None, _INVALID_REQUEST, f"a batch has 1 to {MAX_BATCH} requests")
        answers = [answer for answer in map(self._answer_one, body) if answer is not None]
        return answers or None

    def _answer_one(self, request: Any) -> dict[str, Any] | None:
        """Answer one request; None for a notification, which has no id (JSON-RPC 2.0 §4.1)."""
        if not _is_request(request):
            return _failure(None, _INVALID_REQUEST, "not a JSON-RPC 2.0 request with positional parameters")
        answer = self._run(request)
        return answer if "id" in request else None

    def _run(self, request: dict[str, Any]) -> dict[str, Any]:
        number = request.get("id")
        try:
            result = self._methods.dispatch(request["method"], request.get("params") or [])
        except RpcError as error:
            return _failure(number, error.code, error.message, error.data)
        except Exception:
            _log.exception("%s failed", request["method"])
            return _failure(number, _INTERNAL_ERROR, "internal error")
        return {"jsonrpc": "2.0", "id": number, "result": result}


def _parsed(text: str) -> Any:
    # py-evm raises the interpreter's recursion limit to 100000: deep JSON would overflow the real stack.
    if text.count("[") + text.count("{") > MAX_BRACKETS:
        raise ValueError("too many brackets")
    return decode_finite(text)


def _is_request(request: Any) -> bool:
    return (
        isinstance(request, dict)
        and request.get("jsonrpc") == "2.0"
        and isinstance(request.get("method"), str)
        and isinstance(request.get("params") or [], list)
        and isinstance(request.get("id"), str | int | float | None)
    )


def _failure(number: Any, code: int, message: str, data: str | None = None) -> dict[str, Any]:
    error: dict[str, Any] = {"code": code, "message": message}
    if data is not None:
        error["data"] = data
    return {"jsonrpc": "2.0", "id": number, "error": error}
