"""Reading the file of an embedded chain as evidence: from a copy, trusting nothing in it (auditing)."""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from zkpfl.errors import InvalidParameter, Unavailable
from zkpfl.ledger.journal import APPLICATION_AT, TABLE, compact, mark_compacted

_SIDE_FILES = ("-wal", "-journal")
_WAL_HEADER_BYTES, _FRAME_HEADER_BYTES = 32, 24

# Places in the header of a SQLite file (https://sqlite.org/fileformat2.html)
_HEADER_BYTES = 100
_FORMATS = slice(18, 20)
_CHANGES, _CHANGES_AGAIN = slice(24, 28), slice(92, 96)
_FREE = (_FORMATS, _CHANGES, _CHANGES_AGAIN)
"""What the rows do not decide, and so stands there twice: the journal mode, how often it was written."""


@dataclass(frozen=True)
class Difference:
    """Where a recorded chain is not what its transactions give."""

    place: str
    detail: str


def row_name(key: object) -> str:
    """Name a row: keys of lookups are text, all others hashes."""
    if not isinstance(key, bytes):
        return f"row {key!r}"[:80]
    text = key.decode(errors="replace")
    return f"row {text}" if len(key) != 32 and text.isprintable() and text.isascii() else f"row 0x{key.hex()}"


def read_rows(path: Path) -> tuple[dict[bytes, bytes], list[Difference]]:
    """Read all rows of a chain file that can be read, and what is wrong with the file as a database.

    Raises
    ------
    InvalidParameter
        There is no such file.
    Unavailable
        It cannot be copied.
    """
    if not path.is_file():
        raise InvalidParameter(f"there is no file {path}", field="ledger")
    with tempfile.TemporaryDirectory(prefix="zkpfl-audit-") as folder:
        copy = Path(folder) / "chain"
        try:
            shutil.copyfile(path, copy)
            for suffix in _SIDE_FILES:
                if (side := path.with_name(path.name + suffix)).is_file():
                    shutil.copyfile(side, copy.with_name(copy.name + suffix))
        except OSError as error:
            raise Unavailable(f"cannot copy {path.name}: {error}", field="ledger") from error
        return _read_database(copy, path.name)


def is_compacted(path: Path) -> bool:
    """Tell whether the ledger closed this file in order, so that `byte_differences` can judge all of it."""
    log = path.with_name(path.name + "-wal")
    if log.is_file() and log.stat().st_size:
        return False
    with path.open("rb") as file:
        return file.read(_HEADER_BYTES)[APPLICATION_AT] != bytes(4)


def byte_differences(path: Path, rows: Mapping[bytes, bytes]) -> Iterator[Difference]:
    """Compare a compacted file byte by byte with the one that these rows give.

    Parameters
    ----------
    path
        The file.
    rows
        What it should hold.
    """
    recorded, expected = bytearray(path.read_bytes()), bytearray(_file_of(rows))
    counters_agree = recorded[_CHANGES] == recorded[_CHANGES_AGAIN]
    formats = bytes(recorded[_FORMATS])
    if not counters_agree or formats not in (b"\1\1", b"\2\2"):
        yield Difference(f"{path.name}: byte {_FORMATS.start}", "the file's header is damaged")
    for free in _FREE:
        recorded[free] = expected[free]
    if len(recorded) != len(expected):
        yield Difference(path.name, f"has {len(recorded)} bytes, the rows give {len(expected)}")
    wrong = next(
        (i for i, pair in enumerate(zip(recorded, expected, strict=False)) if pair[0] != pair[1]), None
    )
    if wrong is not None:
        yield Difference(f"{path.name}: byte {wrong}", "is not what the rows give")


def _file_of(rows: Mapping[bytes, bytes]) -> bytes:
    with tempfile.TemporaryDirectory(prefix="zkpfl-audit-") as folder:
        path = Path(folder) / "chain"
        with closing(sqlite3.connect(path, isolation_level=None)) as database:
            database.execute("PRAGMA synchronous = OFF")
            database.execute("BEGIN")
            database.execute(TABLE)
            database.executemany("INSERT INTO kv VALUES (?, ?)", sorted(rows.items()))
            database.execute("COMMIT")
            compact(database)
        mark_compacted(path)
        return path.read_bytes()


def _read_database(copy: Path, name: str) -> tuple[dict[bytes, bytes], list[Difference]]:
    rows: dict[bytes, bytes] = {}
    differences: list[Difference] = []
    log = copy.with_name(copy.name + "-wal")
    commits = _logged_commits(log.read_bytes()) if log.is_file() else []
    try:
        with closing(sqlite3.connect(copy)) as database:
            database.text_factory = bytes
            differences += _structure_differences(database, name)
            for key, value in database.execute("SELECT k, v FROM kv"):
                if type(key) is bytes and type(value) is bytes and key not in rows:
                    rows[key] = value
            differences += _log_differences(database, commits, f"{name}-wal")
    except (sqlite3.Error, UnicodeDecodeError) as error:  # SQLite quotes what it finds in a damaged schema
        differences.append(Difference(f"{name}: after row {len(rows)}", f"the database is damaged: {error}"))
    return rows, differences


def _structure_differences(database: sqlite3.Connection, name: str) -> Iterator[Difference]:
    schema = list(database.execute("SELECT type, name, tbl_name, CAST(sql AS BLOB) FROM sqlite_master"))
    if schema != [(b"table", b"kv", b"kv", TABLE.encode())]:
        yield Difference(f"{name}: schema", "is not the one table of a chain")
    for (text,) in database.execute("PRAGMA integrity_check"):
        if text != b"ok":
            yield Difference(f"{name}: structure", bytes(text).decode(errors="replace"))
    # typeof: a damaged type code turns bytes into text, which Python would show as the same bytes
    wrong = "SELECT k FROM kv WHERE typeof(k) != 'blob' OR typeof(v) != 'blob'"
    for (key,) in database.execute(wrong):
        yield Difference(f"{name}: {row_name(key)}", "is not a row of bytes")


def _logged_commits(log: bytes) -> list[int]:
    """Frames of a write-ahead log that end a transaction, or that are damaged for sure; numbered from 1.

    SQLite stops reading at the first damaged frame without a word, and the chain would seem shorter than it
    is. Frames of earlier uses of the log have another value in *both* salts.
    """
    page_bytes = int.from_bytes(log[8:12], "big")
    salts = log[16:20], log[20:24]
    if not page_bytes:
        return []
    starts = range(_WAL_HEADER_BYTES, len(log), _FRAME_HEADER_BYTES + page_bytes)
    commits = []
    for number, start in enumerate(starts, start=1):
        matches = (log[start + 8 : start + 12] == salts[0]) + (log[start + 12 : start + 16] == salts[1])
        if matches == 1 or (matches == 2 and any(log[start + 4 : start + 8])):
            commits.append(number)
    return commits


def _log_differences(database: sqlite3.Connection, commits: list[int], name: str) -> Iterator[Difference]:
    if commits:
        _, valid, _ = database.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        if lost := [frame for frame in commits if frame > valid]:
            yield Difference(f"{name}: frame {valid + 1} to {lost[-1]}", "is damaged: transactions are lost")
