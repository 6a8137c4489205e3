"""A Kubo daemon elsewhere, by its RPC over HTTP (``/api/v0``), in front of which blocks are kept in a folder.

The daemon is trusted with nothing: it is asked for single blocks, which are checked as they arrive, and what
has arrived stays in the folder.
"""

from __future__ import annotations

import json
import queue
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import urllib3

from zkpfl.errors import InvalidParameter, NotFound, StorageError, Unavailable
from zkpfl.storage import dag
from zkpfl.storage.blocks import BlockFolder
from zkpfl.storage.cid import Codec, ContentId
from zkpfl.storage.local import TIMEOUT_S, LocalStore
from zkpfl.storage.remote import Remote

_CODECS = {Codec.RAW: "raw", Codec.DAG_PB: "dag-pb"}
_WORKERS = 8
_CONNECT_S = 5.0
_WRITE_S = 30.0
_LEAVE_S = 1.0
_SLACK_S = 2.0
"""How much later than asked the daemon may answer."""

_MAX_ANSWER_BYTES = 64 * 1024
_REMOVED_AT_ONCE = 50


class KuboRpcStore(LocalStore):
    """A ``Store`` at a Kubo daemon, with a folder of what was stored or read here.

    Parameters
    ----------
    root
        The folder, made if missing; any number of processes may use it.
    url
        Of the daemon's RPC, such as ``http://127.0.0.1:5001``. Whoever reaches it controls the daemon: keep
        it on loopback, or behind a proxy with TLS and authorization.
    authorization
        Value of the HTTP header of that name, or None. Secret.
    timeout_s
        How long a read waits for the daemon unless it says so itself, in seconds.

    Raises
    ------
    InvalidParameter
        The URL is not one.
    """

    def __init__(
        self, root: Path, url: str, *, authorization: str | None = None, timeout_s: float = TIMEOUT_S
    ) -> None:
        remote = KuboRpcRemote(RpcClient(url, authorization), BlockFolder(root))
        super().__init__(root, remote, timeout_s=timeout_s)


class RpcClient:
    """Calls of the RPC, each with a deadline and a bound on its answer; threads may share it."""

    def __init__(self, url: str, authorization: str | None = None) -> None:
        self.url = require_url(url)
        headers = {} if authorization is None else {"Authorization": authorization}
        self._pool = urllib3.PoolManager(maxsize=_WORKERS + 1, headers=headers, retries=False)

    def call(
        self,
        command: str,
        arguments: Sequence[tuple[str, str]],
        deadline: float,
        *,
        block: bytes | None = None,
        max_size_bytes: int = _MAX_ANSWER_BYTES,
    ) -> bytes:
        """Return the body of a successful answer.

        Raises
        ------
        StorageError
            The daemon could not do it, in its own words.
        Unavailable
            It cannot be reached, answers too late or too much, or does not let us in.
        """
        left_s = max(0.001, deadline - time.monotonic())
        query = urlencode([*arguments, ("timeout", f"{left_s:.3f}s")])
        timeout = urllib3.Timeout(connect=min(_CONNECT_S, left_s), read=left_s + _SLACK_S)
        fields = None if block is None else {"data": ("block", block, "application/octet-stream")}
        try:
            response = self._pool.request(
                "POST",
                f"{self.url}/api/v0/{command}?{query}",
                fields=fields,
                timeout=timeout,
                preload_content=False,
                redirect=False,
            )
            try:
                body = self._read(response, max_size_bytes, deadline + _SLACK_S)
            finally:
                response.close()
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise self._unavailable(f"{command}: {type(error).__name__}") from error
        if response.status == 500:
            raise StorageError(f"{command}: {_message(body)}", field="store")
        if response.status != 200:
            hint = "Kubo's RPC answers POST at /api/v0; ZKPFL_KUBO_AUTHORIZATION is sent if set"
            raise self._unavailable(f"{command}: HTTP status {response.status}", hint)
        return body

    def close(self) -> None:
        """Close idle connections."""
        self._pool.clear()

    def _read(self, response: urllib3.BaseHTTPResponse, max_size_bytes: int, deadline: float) -> bytes:
        body = bytearray()
        while piece := response.read1(64 * 1024):
            body += piece
            if len(body) > max_size_bytes:
                raise self._unavailable(f"answers more than {max_size_bytes} bytes")
            if time.monotonic() > deadline:
                raise self._unavailable("answers too slowly")
        return bytes(body)

    def _unavailable(self, text: str, hint: str | None = None) -> Unavailable:
        return Unavailable(text, party=f"Kubo at {self.url}", field="store", hint=hint)


class KuboRpcRemote(Remote):
    """Blocks at a daemon; those that will be asked for are fetched by some threads, into ``folder``."""

    def __init__(self, client: RpcClient, folder: BlockFolder) -> None:
        self._client = client
        self._folder = folder
        self._lock = threading.Lock()
        self._coming: dict[ContentId, Future[None]] = {}
        self._queue: queue.SimpleQueue[tuple[ContentId, float, Future[None]] | None] = queue.SimpleQueue()
        self._workers: list[threading.Thread] = []
        self._closed = False

    def want(self, cids: Sequence[ContentId], deadline: float) -> None:
        """Have the threads fetch blocks."""
        with self._lock:
            for cid in cids:
                if cid not in self._coming:
                    self._coming[cid] = Future()
                    self._queue.put((cid, deadline, self._coming[cid]))
            while len(self._workers) < min(_WORKERS, len(self._coming)):
                # Daemons: they must not keep a process that is done from ending.
                self._workers.append(threading.Thread(target=self._work, name="kubo-rpc", daemon=True))
                self._workers[-1].start()

    def fetch(self, cid: ContentId, deadline: float) -> None:
        """Ask the daemon for a block, unless a thread is doing so."""
        self._require_open()
        with self._lock:
            coming = self._coming.get(cid)
            if coming is not None and coming.cancel():
                del self._coming[cid]
                coming = None
        if coming is not None:
            try:
                coming.result(max(0.0, deadline - time.monotonic()))
                return
            except FutureTimeoutError:
                raise _late(cid) from None
            except NotFound:
                pass  # by the deadline of whoever wanted it first
        self._bring(cid, deadline)

    def publish(self, cid: ContentId, block: bytes) -> None:
        """Put a block at the daemon, which must name it as we do; it has it when this returns."""
        self._require_open()
        options = [("cid-codec", _CODECS[cid.codec]), ("mhtype", "sha2-256"), ("pin", "false")]
        answer = self._client.call("block/put", options, time.monotonic() + _WRITE_S, block=block)
        if _member(answer, "Key") != str(cid):
            raise StorageError(
                f"the daemon does not name {cid} so", field="store", hint="is it a Kubo daemon?"
            )

    def pin(self, cid: ContentId, deadline: float) -> None:
        """Pin content at the daemon, recursively."""
        self._require_open()
        self._client.call("pin/add", [("arg", str(cid)), ("recursive", "true")], deadline)

    def unpin(self, cid: ContentId) -> None:
        """Let the daemon's pin go; one that is not there is none."""
        self._require_open()
        try:
            self._client.call("pin/rm", [("arg", str(cid))], time.monotonic() + _WRITE_S)
        except StorageError as error:
            if "not pinned" not in error.message:
                raise

    def forget(self, cids: Sequence[ContentId]) -> None:
        """Remove blocks at the daemon too, but for those that somebody has pinned there."""
        self._require_open()
        for start in range(0, len(cids), _REMOVED_AT_ONCE):
            arguments = [("arg", str(cid)) for cid in cids[start : start + _REMOVED_AT_ONCE]]
            options = [("force", "true"), ("quiet", "true")]
            self._client.call("block/rm", [*arguments, *options], time.monotonic() + _WRITE_S)

    def close(self) -> None:
        """End the threads; one that waits for the daemon ends when that has answered."""
        with self._lock:
            self._closed = True
            workers, self._workers = self._workers, []
        for _ in workers:
            self._queue.put(None)
        deadline = time.monotonic() + _LEAVE_S
        for worker in workers:
            worker.join(max(0.0, deadline - time.monotonic()))
        self._client.close()

    def _work(self) -> None:
        while (job := self._queue.get()) is not None:
            cid, deadline, future = job
            if future.set_running_or_notify_cancel():
                self._carry_out(cid, deadline, future)

    def _carry_out(self, cid: ContentId, deadline: float, future: Future[None]) -> None:
        try:
            self._bring(cid, deadline)
            future.set_result(None)
        except Exception as error:  # whoever waits gets it
            future.set_exception(error)
        finally:
            with self._lock:
                self._coming.pop(cid, None)

    def _bring(self, cid: ContentId, deadline: float) -> None:
        """Get a block into the folder."""
        if self._closed or time.monotonic() >= deadline:
            raise _late(cid)
        try:
            block = self._client.call(
                "block/get", [("arg", str(cid))], deadline, max_size_bytes=dag.LEAF_BYTES + 1
            )
        except StorageError as error:
            raise NotFound(f"{cid}: {error.message}", field="cid", hint="try again later") from error
        self._folder.accept(cid, block)

    def _require_open(self) -> None:
        if self._closed:
            raise Unavailable("the store is closed", party=f"Kubo at {self._client.url}")


def require_url(url: str) -> str:
    """Return the URL of an RPC without a slash at its end; raises `InvalidParameter` if it is not one."""
    try:
        parts = urlsplit(url)
        shaped = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        shaped = False
    if not shaped or parts.username is not None or not _is_plain(url):
        hint = "such as http://127.0.0.1:5001; credentials come from ZKPFL_KUBO_AUTHORIZATION"
        raise InvalidParameter("is not the URL of a Kubo RPC", field="store url", hint=hint)
    return url.rstrip("/")


def _is_plain(url: str) -> bool:
    return url.isascii() and url.isprintable() and not set(" ?#") & set(url)


def _late(cid: ContentId) -> NotFound:
    return NotFound(f"{cid}: the daemon did not deliver it in time", field="cid", hint="try again later")


def _message(body: bytes) -> str:
    """What the daemon says went wrong, fit for a line of text."""
    text = _member(body, "Message") or body.decode(errors="replace")
    return "".join(character for character in text if character.isprintable())[:200]


def _member(body: bytes, name: str) -> str:
    try:
        answer: Any = json.loads(body)
    except (ValueError, RecursionError):
        return ""
    return str(answer.get(name, "")) if isinstance(answer, Mapping) else ""
