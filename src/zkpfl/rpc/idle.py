"""No peer may hold a thread of the server by doing nothing."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

import grpc

T = TypeVar("T")
_LOGGER = logging.getLogger(__name__)


class IdleTimer:
    """Cancels a call whose peer has kept the server waiting for ``timeout_s``, twice that at the latest.

    gRPC's synchronous server waits for the next message, or for room to send one, without any limit. Only the
    peer's time counts: while the handler computes, the timer rests.

    Parameters
    ----------
    context
        The call; the timer's thread ends with it.
    timeout_s
        Seconds, positive.
    """

    def __init__(self, context: grpc.ServicerContext, timeout_s: float) -> None:
        self._context = context
        self._timeout_s = timeout_s
        self._waiting_since: float | None = None
        self._ended = threading.Event()
        if context.add_callback(self._ended.set):
            threading.Thread(target=self._watch, name="zkpfl-rpc-idle", daemon=True).start()

    def requests(self, messages: Iterator[T]) -> Iterator[T]:
        """Yield what the peer sends, timing how long it takes to send it."""
        end = object()
        while True:
            with self._waiting():
                message = next(messages, end)
            if message is end:
                return
            yield message  # type: ignore[misc]

    def responses(self, messages: Iterator[T]) -> Iterator[T]:
        """Yield what the peer is sent, timing how long it takes to accept it."""
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

    def _watch(self) -> None:
        remaining_s = self._timeout_s
        while not self._ended.wait(remaining_s):
            since = self._waiting_since
            remaining_s = self._timeout_s if since is None else since + self._timeout_s - time.monotonic()
            if remaining_s <= 0:
                _LOGGER.warning("%s: idle for %g s, cancelled", self._context.peer(), self._timeout_s)
                self._context.cancel()
                return
