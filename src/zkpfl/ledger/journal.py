"""The embedded chain's database: a SQLite key-value store in which one block is one durable transaction."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

from eth.db.backends.base import BaseDB

from zkpfl.errors import Unavailable

_CACHE_ENTRIES = 200_000

TABLE = "CREATE TABLE kv (k BLOB PRIMARY KEY, v BLOB NOT NULL) WITHOUT ROWID"
COMPACTED = bytes.fromhex("7a6b5046")
"""Application id of a file that was closed in order: its bytes follow from its rows alone."""

WRITER = (3_000_000).to_bytes(4, "big")
"""Stands in such a file for the version of SQLite that wrote it, which the rows do not tell."""

# Places in the header of a SQLite file (https://sqlite.org/fileformat2.html)
APPLICATION_AT = slice(68, 72)
WRITER_AT = slice(96, 100)


def compact(database: sqlite3.Connection) -> None:
    """Lay a chain's database out anew, so that after `mark_compacted` its rows decide all but the counters.

    Pages otherwise keep unused bytes of any content, which nothing that checks rows would ever look at.
    """
    database.execute("VACUUM")
    database.execute("PRAGMA schema_version = 1")


def mark_compacted(path: Path) -> None:
    """Mark a compacted file that no connection has open any more."""
    start = APPLICATION_AT.start
    with path.open("r+b") as file:
        file.seek(start)
        header = bytearray(file.read(WRITER_AT.stop - start))
        header[: len(COMPACTED)], header[-len(WRITER) :] = COMPACTED, WRITER
        file.seek(start)
        file.write(header)  # one write: whoever kills this process finds both or neither


class Journal(BaseDB):
    """Key-value store with one writer; writes stay in memory until `commit` makes them durable together.

    Parameters
    ----------
    path
        The database file; created where it does not exist.

    Raises
    ------
    Unavailable
        The file cannot be opened, or another process has it open.
    """

    def __init__(self, path: Path) -> None:
        self._cache: dict[bytes, bytes] = {}
        self._changes: dict[bytes, bytes | None] = {}
        self._path = path
        try:
            self._db = sqlite3.connect(path, timeout=0, isolation_level=None, check_same_thread=False)
            try:
                self._open()
            except BaseException:
                self._db.close()
                raise
        except (sqlite3.Error, UnicodeDecodeError) as error:  # the latter from a damaged schema
            hint = "stop the other process, or use its URL" if "locked" in str(error) else None
            raise Unavailable(
                f"cannot open the chain in {path.name}: {error}", party="ledger", field="path", hint=hint
            ) from error

    def _open(self) -> None:
        # An exclusive lock is kept from here to close(): two writers would fork the chain.
        self._db.execute("PRAGMA locking_mode=EXCLUSIVE")
        self._db.execute("PRAGMA journal_mode=WAL")
        # FULL: an acknowledged payment survives a power cut, not only a killed process.
        self._db.execute("PRAGMA synchronous=FULL")
        self._db.execute("BEGIN EXCLUSIVE")
        self._db.execute(TABLE.replace("TABLE", "TABLE IF NOT EXISTS", 1))
        self._db.execute("PRAGMA application_id = 0")
        self._db.execute("COMMIT")

    def __getitem__(self, key: bytes) -> bytes:
        key = bytes(key)
        value = self._changes[key] if key in self._changes else self._committed(key)
        if value is None:
            raise KeyError(key)
        return value

    def _committed(self, key: bytes) -> bytes | None:
        if key not in self._cache:
            row = self._db.execute("SELECT v FROM kv WHERE k = ?", (key,)).fetchone()
            if row is None:
                return None
            self._remember(key, row[0])
        return self._cache[key]

    def _remember(self, key: bytes, value: bytes) -> None:
        if len(self._cache) >= _CACHE_ENTRIES:
            self._cache.clear()
        self._cache[key] = value

    def __setitem__(self, key: bytes, value: bytes) -> None:
        self._changes[bytes(key)] = bytes(value)

    def __delitem__(self, key: bytes) -> None:
        self[key]
        self._changes[bytes(key)] = None

    def _exists(self, key: bytes) -> bool:
        try:
            self[key]
        except KeyError:
            return False
        return True

    def commit(self) -> None:
        """Write all changes since the last commit, all or none; they are on disk when this returns.

        Raises
        ------
        Unavailable
            The disk is full or failing; nothing was written.
        """
        written = [(key, value) for key, value in self._changes.items() if value is not None]
        deleted = [(key,) for key, value in self._changes.items() if value is None]
        try:
            with self._db:
                self._db.execute("BEGIN IMMEDIATE")
                self._db.executemany("INSERT OR REPLACE INTO kv VALUES (?, ?)", written)
                self._db.executemany("DELETE FROM kv WHERE k = ?", deleted)
        except sqlite3.Error as error:
            raise Unavailable(f"cannot write the chain: {error}", party="ledger") from error
        self._changes.clear()
        for key, value in written:
            self._remember(key, value)
        for (key,) in deleted:
            self._cache.pop(key, None)

    def rollback(self) -> None:
        """Forget all changes since the last commit."""
        self._changes.clear()

    def close(self) -> None:
        """Release the file, compacted; uncommitted changes are lost."""
        compacted = False
        # A file that cannot be compacted, on a full disk say, is as good a chain.
        with contextlib.suppress(sqlite3.Error):
            compact(self._db)
            compacted = self._path.is_file()  # not a chain in memory
        self._db.close()
        if compacted:
            with contextlib.suppress(OSError):
                mark_compacted(self._path)
