"""Durable memory of what this zk-node has released (docs/spec.md §6, "The accepted set")."""

from __future__ import annotations

import os
import sqlite3
import threading
from pathlib import Path

from zkpfl.crypto.transcript import Context
from zkpfl.errors import Equivocation


class SqliteReleaseJournal:
    """One accepted set per round, on disk before anything of it leaves.

    Parameters
    ----------
    path
        SQLite file; created with mode 0600 if missing. A node must never be started with an older copy of it.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
        self._lock = threading.Lock()
        self._database = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._database.executescript(
            """
            PRAGMA journal_mode = WAL;
            PRAGMA synchronous = FULL;
            CREATE TABLE IF NOT EXISTS released (
                context BLOB PRIMARY KEY, accepted_hash BLOB NOT NULL
            ) WITHOUT ROWID;
            """
        )

    def record(self, context: Context, accepted_hash: bytes) -> None:
        """Record a round's accepted set (`RoundPlan.accepted_hash`), or confirm that it is the recorded one.

        Raises
        ------
        Equivocation
            Another set is recorded for this round: two sums that differ by one trainer would reveal it.
        """
        key = context.to_bytes()
        with self._lock:
            self._database.execute("INSERT OR IGNORE INTO released VALUES (?, ?)", (key, accepted_hash))
            (recorded,) = self._database.execute(
                "SELECT accepted_hash FROM released WHERE context = ?", (key,)
            ).fetchone()
        if recorded != accepted_hash:
            raise Equivocation(
                f"the accepted set of job {context.job}, round {context.round} differs from the one "
                "for which an aggregate share was released",
                party="ledger",
                field="accepted",
                hint="nothing was released for the second set; suspect a reorganised or dishonest ledger",
            )

    def close(self) -> None:
        """Close the file; nothing can be recorded after that."""
        self._database.close()
