"""Real IPFS: Kubo in a child process, in a private network (optional dependency ``zkpfl[kubo]``).

Kubo's library adds files in another layout than ours and takes no blocks, so blocks pass through its block
store, a folder of files named by multihash: what is put is written there, then Kubo is asked for it, which
shows that it serves it; what is read and not there Kubo is asked for, block by block, and gets by Bitswap.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from pathlib import Path

from zkpfl.errors import NotFound, Unavailable
from zkpfl.storage.blocks import BlockFolder, by_multihash
from zkpfl.storage.cid import ContentId
from zkpfl.storage.kubo_process import Asked, KuboProcess, KuboSettings
from zkpfl.storage.local import TIMEOUT_S, LocalStore
from zkpfl.storage.remote import Remote

SERVE_S = 2.0
"""How long Kubo may take to find a block of its own folder."""

_MAX_UNSETTLED = 64
_MAX_REMEMBERED = 4096
_MAX_OVERDUE = 64
"""Calls of the library that have passed their deadline and still hold a thread each: then it is restarted."""


class KuboStore(LocalStore):
    """A ``Store`` whose folder is a Kubo node's, which reads from and serves other nodes of its network.

    Parameters
    ----------
    root
        Kubo's repository, made if missing; one process at a time. It holds the node's private key.
    settings
        Swarm key and addresses.
    timeout_s
        How long a read waits for other nodes unless it says so itself, in seconds.

    Raises
    ------
    InvalidParameter
        The optional dependency is not installed.
    Unavailable
        The node does not start, or another process uses the folder.
    """

    def __init__(self, root: Path, settings: KuboSettings, *, timeout_s: float = TIMEOUT_S) -> None:
        self.process = KuboProcess(root, settings)
        try:
            remote = KuboRemote(self.process, BlockFolder(root, by_multihash))
            super().__init__(root, remote, layout=by_multihash, timeout_s=timeout_s)
        except BaseException:
            self.process.close()
            raise


class KuboRemote(Remote):
    """The nodes that a `KuboProcess` is connected with; its blocks arrive in ``folder``.

    As a library Kubo collects no garbage, so nothing is pinned in Kubo itself.
    """

    def __init__(self, process: KuboProcess, folder: BlockFolder) -> None:
        self._process = process
        self._folder = folder
        self._lock = threading.Lock()
        self._asked: dict[bytes, tuple[Asked, float]] = {}
        self._unsettled: list[ContentId] = []

    def want(self, cids: Sequence[ContentId], deadline: float) -> None:
        """Ask Kubo for blocks."""
        for cid in cids:
            self._ask(cid, deadline)

    def fetch(self, cid: ContentId, deadline: float) -> None:
        """Wait until Kubo has put a block into the folder, and check it."""
        while True:
            asked = self._ask(cid, deadline)
            ended = asked.wait(deadline)
            if asked.code == 0:
                self._folder.accept(cid, self._folder.read(cid))
                return
            if not ended:
                self._shed()
                raise NotFound(f"{cid}: no node delivered it in time", field="cid", hint="try again later")
            if not asked.lost:
                raise NotFound(f"{cid}: Kubo cannot get it (code {asked.code})", field="cid")
            if time.monotonic() >= deadline:
                raise Unavailable("ended again and again", party="Kubo", field="store")

    def publish(self, cid: ContentId, block: bytes) -> None:  # noqa: ARG002 (it lies in Kubo's folder)
        """Remember to see that Kubo serves a block."""
        with self._lock:
            self._unsettled.append(cid)
            full = len(self._unsettled) >= _MAX_UNSETTLED
        if full:
            self.settle(time.monotonic() + SERVE_S)

    def settle(self, deadline: float) -> None:
        """See that Kubo finds what was put into its folder.

        It remembers which blocks it did not have when somebody asked, and would not look again: then it is
        started anew.
        """
        with self._lock:
            cids, self._unsettled = self._unsettled, []
        for _attempt in range(2):
            until = min(deadline, time.monotonic() + SERVE_S)
            cids = [cid for cid in cids if not self._serves(cid, until)]
            if not cids:
                return
            self._process.restart()
            deadline = max(deadline, time.monotonic() + SERVE_S)
        raise Unavailable(f"does not serve {cids[0]}, which was stored", party="Kubo", field="store")

    def forget(self, cids: Sequence[ContentId]) -> None:  # noqa: ARG002
        """Start Kubo anew: it would offer blocks that it remembers."""
        self._process.restart()

    def close(self) -> None:
        """End the process."""
        self._process.close()

    def _serves(self, cid: ContentId, deadline: float) -> bool:
        while True:
            asked = self._ask(cid, deadline)
            asked.wait(deadline)
            if not asked.lost or time.monotonic() >= deadline:
                return asked.code == 0

    def _ask(self, cid: ContentId, deadline: float) -> Asked:
        """Ask for a block, unless that is being done; the deadline is that of whoever waits longest.

        As a raw block, whatever it is: Kubo would fetch all that a node links to, however much that is.
        """
        with self._lock:
            if len(self._asked) > _MAX_REMEMBERED:
                self._drop_ended()
            asked, until = self._asked.get(cid.digest, (None, deadline))
            if asked is None or asked.ended:
                asked = self._process.ask("fetch", str(ContentId.from_digest(cid.digest)))
            self._asked[cid.digest] = (asked, max(until, deadline))
            return asked

    def _shed(self) -> None:
        """Forget what has ended; restart a process in which too many calls hang that nobody waits for."""
        now = time.monotonic()
        with self._lock:
            self._drop_ended()
            overdue = sum(until <= now for _, until in self._asked.values())
        if overdue >= _MAX_OVERDUE:
            self._process.restart()

    def _drop_ended(self) -> None:
        self._asked = {digest: it for digest, it in self._asked.items() if not it[0].ended}
