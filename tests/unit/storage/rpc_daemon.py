"""A small daemon that answers Kubo's RPC over real HTTP, for want of the binary: documented commands only.

It keeps blocks in memory and counts what it is asked; tests make it slow, hostile or forgetful.
"""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from email.parser import BytesParser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from zkpfl.storage import dag
from zkpfl.storage.cid import Codec, ContentId


class RpcDaemon:
    """Serves on loopback while the context lasts."""

    def __init__(self) -> None:
        self.blocks: dict[bytes, bytes] = {}
        self.pins: set[ContentId] = set()
        self.asked: list[tuple[str, str]] = []
        self.headers: list[dict[str, str]] = []
        self.tamper: Callable[[str, bytes], bytes] = lambda _command, body: body
        self.delay_s = 0.0
        self.concurrent = self.most_concurrent = 0
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> RpcDaemon:
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def count(self, command: str) -> Counter[str]:
        """How often a command was asked for, by first argument."""
        return Counter(argument for name, argument in self.asked if name == command)

    def answer(self, command: str, query: dict[str, list[str]], body: bytes) -> bytes:
        """Carry out a command; ``LookupError`` becomes the daemon's error."""
        cids = [ContentId.parse(argument) for argument in query.get("arg", [])]
        return {
            "block/put": self._put,
            "block/get": self._get,
            "block/rm": self._remove,
            "pin/add": self._pin,
            "pin/rm": self._unpin,
        }[command](cids, query, body)

    def _block(self, cid: ContentId) -> bytes:
        return self.blocks[cid.digest]

    def _put(self, _cids: list[ContentId], query: dict[str, list[str]], body: bytes) -> bytes:
        codec = {"raw": Codec.RAW, "dag-pb": Codec.DAG_PB}[query["cid-codec"][0]]
        assert query["mhtype"] == ["sha2-256"]
        cid = ContentId.of_block(body, codec)
        self.blocks[cid.digest] = body
        return json.dumps({"Key": str(cid), "Size": len(body)}).encode()

    def _get(self, cids: list[ContentId], query: dict[str, list[str]], _body: bytes) -> bytes:
        deadline = time.monotonic() + float(query["timeout"][0].removesuffix("s"))
        while cids[0].digest not in self.blocks:  # as if it asked its peers
            if time.monotonic() > deadline:
                raise LookupError("context deadline exceeded")
            time.sleep(0.01)
        return self.blocks[cids[0].digest]

    def _remove(self, cids: list[ContentId], _query: dict[str, list[str]], _body: bytes) -> bytes:
        kept = {cid.digest for pin in self.pins for cid in dag.walk(pin, self._block, max_size_bytes=1 << 40)}
        answers = []
        for cid in cids:
            if cid.digest in kept:
                answers.append({"Hash": str(cid), "Error": "pinned: recursive"})
            else:
                self.blocks.pop(cid.digest, None)
        return b"".join(json.dumps(line).encode() + b"\n" for line in answers)

    def _pin(self, cids: list[ContentId], _query: dict[str, list[str]], _body: bytes) -> bytes:
        for cid in dag.walk(cids[0], self._block, max_size_bytes=1 << 40):
            if cid.digest not in self.blocks:
                raise LookupError("context deadline exceeded")
        self.pins.add(cids[0])
        return json.dumps({"Pins": [str(cids[0])]}).encode()

    def _unpin(self, cids: list[ContentId], _query: dict[str, list[str]], _body: bytes) -> bytes:
        if cids[0] not in self.pins:
            raise LookupError("not pinned or pinned indirectly")
        self.pins.remove(cids[0])
        return json.dumps({"Pins": [str(cids[0])]}).encode()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        daemon = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                parts = urlsplit(self.path)
                command, query = parts.path.removeprefix("/api/v0/"), parse_qs(parts.query)
                body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
                with daemon._lock:
                    daemon.asked.append((command, query.get("arg", [""])[0]))
                    daemon.headers.append(dict(self.headers))
                    daemon.concurrent += 1
                    daemon.most_concurrent = max(daemon.most_concurrent, daemon.concurrent)
                time.sleep(daemon.delay_s)
                try:
                    status, reply = 200, daemon.answer(command, query, self._file(body))
                except LookupError as error:
                    text = {"Message": str(error.args[0]), "Code": 0, "Type": "error"}
                    status, reply = 500, json.dumps(text).encode()
                with daemon._lock:
                    daemon.concurrent -= 1
                self._send(status, daemon.tamper(command, reply))

            def _file(self, body: bytes) -> bytes:
                if not body:
                    return b""
                head = f"Content-Type: {self.headers['Content-Type']}\r\n\r\n".encode()
                (part,) = BytesParser().parsebytes(head + body).get_payload()
                content: Any = part.get_payload(decode=True)  # type: ignore[union-attr]
                return bytes(content)

            def _send(self, status: int, reply: bytes) -> None:
                self.send_response(status)
                self.send_header("Content-Length", str(len(reply)))
                self.end_headers()
                with suppress(ConnectionError):  # the client has heard enough
                    self.wfile.write(reply)

            def log_message(self, *_arguments: object) -> None:
                pass

        return Handler
