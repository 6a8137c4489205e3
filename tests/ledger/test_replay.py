"""Repeating a recorded chain: every byte of its file counts."""

import random
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from tests.ledger.conftest import CHAIN_ID

from zkpfl.crypto.signatures import AccountKey
from zkpfl.errors import InvalidParameter, Unavailable
from zkpfl.ledger.contracts import compiled
from zkpfl.ledger.embedded import EmbeddedLedger
from zkpfl.ledger.in_process import InProcessConnection
from zkpfl.ledger.replay import replay
from zkpfl.ledger.token import Token


def transact(ledger: EmbeddedLedger) -> None:
    """A contract and a few transactions."""
    connection = InProcessConnection(ledger, AccountKey.generate())
    contract = compiled("mpc_token")
    token = Token(connection, connection.deploy(contract.abi, contract.bytecode, 1000))
    for number in range(1, 4):
        token.transfer(bytes([number]) * 20, number)
    ledger.mine()


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """File of a chain that was closed in order."""
    path = tmp_path_factory.mktemp("chain") / "chain.db"
    with EmbeddedLedger(path, CHAIN_ID) as ledger:
        transact(ledger)
    return path


@pytest.fixture
def killed(tmp_path: Path) -> Iterator[Path]:
    """Copy of a chain's files as they are while its process runs: what kill -9 leaves."""
    with EmbeddedLedger(tmp_path / "chain.db", CHAIN_ID) as ledger:
        transact(ledger)
        folder = tmp_path / "killed"
        folder.mkdir()
        for name in ("chain.db", "chain.db-wal"):
            shutil.copy(tmp_path / name, folder / name)
        yield folder / "chain.db"


def test_honest_chain_is_repeated(closed: Path) -> None:
    steps = []
    result = replay(closed, CHAIN_ID, lambda done, total: steps.append((done, total)))
    assert result.differences == ()
    assert (result.blocks, result.transactions, result.compacted) == (6, 4, True)
    assert steps == [(number, 5) for number in range(1, 6)]
    assert result.ledger is not None
    with result.ledger as ledger, EmbeddedLedger(closed, CHAIN_ID) as original:
        assert ledger.head == original.head


def test_chain_without_transactions_is_repeated(tmp_path: Path) -> None:
    EmbeddedLedger(tmp_path / "chain.db", CHAIN_ID).close()
    assert replay(tmp_path / "chain.db", CHAIN_ID).differences == ()


def test_closing_again_changes_no_byte_that_counts(closed: Path, tmp_path: Path) -> None:
    path = Path(shutil.copy(closed, tmp_path / "chain.db"))
    EmbeddedLedger(path, CHAIN_ID).close()
    assert replay(path, CHAIN_ID).differences == ()


def test_killed_chain_is_repeated_from_its_log(killed: Path) -> None:
    result = replay(killed, CHAIN_ID)
    assert result.differences == ()
    assert (result.blocks, result.compacted) == (6, False)
    assert {path.name for path in killed.parent.iterdir()} == {"chain.db", "chain.db-wal"}


def test_wrong_chain_id_is_named(closed: Path) -> None:
    assert [d.place for d in replay(closed, CHAIN_ID + 1).differences] == ["row zkpfl:chain_id"]


def test_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidParameter, match="ledger"):
        replay(tmp_path / "chain.db", CHAIN_ID)


@pytest.mark.parametrize("size", [0, 1, 100, 5000])
def test_truncated_file_is_named(closed: Path, tmp_path: Path, size: int) -> None:
    path = tmp_path / "chain.db"
    path.write_bytes(closed.read_bytes()[:size])
    assert replay(path, CHAIN_ID).differences


@pytest.mark.parametrize("seed", range(4))
def test_flipped_bytes_of_rows_are_found(closed: Path, tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)  # noqa: S311
    for number in range(25):
        path = Path(shutil.copy(closed, tmp_path / f"{number}.db"))
        with closing(sqlite3.connect(path)) as database, database:
            rows = list(database.execute("SELECT k, v FROM kv"))
            row = list(rng.choice(rows))
            old, column = row[0], rng.randrange(2)
            changed = bytearray(row[column])
            changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
            row[column] = bytes(changed)
            database.execute("UPDATE OR REPLACE kv SET k = ?, v = ? WHERE k = ?", (*row, old))
        assert any("row" in difference.place for difference in replay(path, CHAIN_ID).differences), row


@pytest.mark.parametrize("seed", range(4))
def test_flipped_bytes_of_the_file_are_found(closed: Path, tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)  # noqa: S311
    original = closed.read_bytes()
    path = tmp_path / "chain.db"
    header, version = rng.randrange(100), rng.randrange(96, 100)
    for place in [header, version, *(rng.randrange(len(original)) for _ in range(24))]:
        damaged = bytearray(original)
        damaged[place] ^= 1 << rng.randrange(8)
        path.write_bytes(damaged)
        assert replay(path, CHAIN_ID).differences, place


def test_a_schema_that_is_no_text_is_found(closed: Path, tmp_path: Path) -> None:
    path = tmp_path / "chain.db"
    path.write_bytes(closed.read_bytes().replace(b"CREATE TABLE kv", b"CREATE TABLE\xbbkv"))
    assert any("damaged" in difference.detail for difference in replay(path, CHAIN_ID).differences)
    with pytest.raises(Unavailable):
        EmbeddedLedger(path, CHAIN_ID)


@pytest.mark.parametrize("seed", range(4))
def test_flipped_bytes_of_the_log_are_found(killed: Path, seed: int) -> None:
    rng = random.Random(seed)  # noqa: S311
    log = killed.with_name("chain.db-wal")
    original = log.read_bytes()
    for place in [rng.randrange(32), *(rng.randrange(len(original)) for _ in range(9))]:
        damaged = bytearray(original)
        damaged[place] ^= 1 << rng.randrange(8)
        log.write_bytes(damaged)
        assert replay(killed, CHAIN_ID).differences, place
