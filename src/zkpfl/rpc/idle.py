"""No peer may hold a thread of the server by doing nothing.

gRPC's synchronous server waits in a thread for the next message, even the only one of a unary call, or for
room to send one, without any limit. So every method is guarded here, before it sees a message.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import grpc
from google.protobuf.message import DecodeError

T = TypeVar("T")
_LOGGER = logging.getLogger(__name__)


class IdleGuard:
    """Server interceptor that cancels calls whose peer has kept the server waiting for ``timeout_s``.

    Only the peer's time counts: while the handler computes, the clock rests. To gRPC every method becomes one
    that streams its requests, which on the wire is the same; so the wait for the one message of a unary call
    is the guard's.

    Parameters
    ----------
    timeout_s
        Seconds, positive; a call may live a quarter longer.
    """

    def __init__(self, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._calls: set[_Call] = set()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="zkpfl-rpc-idle", daemon=True)

    def start(self) -> None:
        """Begin to watch; once."""
        self._thread.start()

    def stop(self) -> None:
        """End watching. May be called again."""
        self._stopped.set()
        self._thread.join()

    def intercept_service(
        self, proceed: Callable[[grpc.HandlerCallDetails], Any], details: grpc.HandlerCallDetails
    ) -> grpc.RpcMethodHandler | None:
        """Guard the method that the call is for; gRPC refuses the call if there is none."""
        method = proceed(details)
        if method is None:
            return None
        if method.response_streaming:
            return grpc.stream_stream_rpc_method_handler(
                self._streamed(method), response_serializer=method.response_serializer
            )
        return grpc.stream_unary_rpc_method_handler(
            self._single(method), response_serializer=method.response_serializer
        )

    def _single(
        self, method: grpc.RpcMethodHandler
    ) -> Callable[[Iterator[bytes], grpc.ServicerContext], Any]:
        behavior = method.stream_unary if method.request_streaming else method.unary_unary

        def answer(messages: Iterator[bytes], context: grpc.ServicerContext) -> Any:
            call = self._guarded(context)
            return behavior(_argument(method, call.requests(messages), context), context)

        return answer

    def _streamed(
        self, method: grpc.RpcMethodHandler
    ) -> Callable[[Iterator[bytes], grpc.ServicerContext], Iterator[Any]]:
        behavior = method.stream_stream if method.request_streaming else method.unary_stream

        def answer(messages: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[Any]:
            call = self._guarded(context)
            argument = _argument(method, call.requests(messages), context)
            yield from call.responses(behavior(argument, context))

        return answer

    def _guarded(self, context: grpc.ServicerContext) -> _Call:
        call = _Call(context)
        self._calls.add(call)
        if not context.add_callback(lambda: self._calls.discard(call)):
            self._calls.discard(call)
        return call

    def _watch(self) -> None:
        while not self._stopped.wait(self._timeout_s / 4):
            for call in self._calls.copy():  # one bytecode: other threads add and discard
                if call.idle_s() >= self._timeout_s:
                    _LOGGER.warning("%s: idle for %g s, cancelled", call.context.peer(), self._timeout_s)
                    call.context.cancel()


class _Call:
    """Since when a call has been waiting for its peer."""

    def __init__(self, context: grpc.ServicerContext) -> None:
        self.context = context
        self._waiting_since: float | None = None

    def idle_s(self) -> float:
        since = self._waiting_since
        return 0.0 if since is None else time.monotonic() - since

    def requests(self, messages: Iterator[T]) -> Iterator[T]:
        end = object()
        while True:
            with self._waiting():
                message = next(messages, end)
            if message is end:
                return
            yield message  # type: ignore[misc]

    def responses(self, messages: Iterator[T]) -> Iterator[T]:
        for message in messages:
            with self._waiting():
                yield message

    @contextmanager
    def _waiting(self) -> Iterator[None]:
        self._waiting_since = time.monotonic()
        try:
            yield
        finally:
            self._waiting_since = None


def _argument(method: grpc.RpcMethodHandler, messages: Iterator[bytes], context: grpc.ServicerContext) -> Any:
    """What the method expects: its requests, or the only one."""
    requests = _decoded(method, messages, context)
    if method.request_streaming:
        return requests
    for request in requests:
        return request
    context.abort(grpc.StatusCode.INVALID_ARGUMENT, "a request is missing")
    raise AssertionError("abort raises")


def _decoded(
    method: grpc.RpcMethodHandler, messages: Iterator[bytes], context: grpc.ServicerContext
) -> Iterator[Any]:
    for message in messages:
        try:
            request = method.request_deserializer(message) if method.request_deserializer else message
        except DecodeError:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "bytes that do not decode")
        yield request
