"""The release journal: one accepted set a round, across restarts and a kill."""

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from zkpfl.crypto.transcript import Context
from zkpfl.errors import Equivocation
from zkpfl.roles.journal import SqliteReleaseJournal

CONTEXT = Context(chain_id=1, contract=b"\x01" * 20, job=2, round=3)

RECORD_AND_WAIT = """
import sys, time
from pathlib import Path
from zkpfl.crypto.transcript import Context
from zkpfl.roles.journal import SqliteReleaseJournal
SqliteReleaseJournal(Path(sys.argv[1])).record(Context(1, b"\\x01" * 20, 2, 3), b"\\x01" * 32)
print("recorded", flush=True)
time.sleep(60)
"""


def test_same_set_again_is_confirmed_and_another_is_refused(tmp_path: Path) -> None:
    journal = SqliteReleaseJournal(tmp_path / "released.db")
    journal.record(CONTEXT, b"\x01" * 32)
    journal.record(CONTEXT, b"\x01" * 32)
    with pytest.raises(Equivocation, match="job 2, round 3"):
        journal.record(CONTEXT, b"\x02" * 32)
    journal.record(Context(1, b"\x01" * 20, 2, 4), b"\x02" * 32)
    journal.record(Context(1, b"\x02" * 20, 2, 3), b"\x02" * 32)
    journal.close()


def test_memory_outlives_kill_9(tmp_path: Path) -> None:
    path = tmp_path / "released.db"
    with subprocess.Popen(
        [sys.executable, "-c", RECORD_AND_WAIT, str(path)], stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "recorded\n"
        os.kill(child.pid, signal.SIGKILL)
    journal = SqliteReleaseJournal(path)
    with pytest.raises(Equivocation):
        journal.record(CONTEXT, b"\x02" * 32)
    journal.close()


def test_two_processes_share_one_memory(tmp_path: Path) -> None:
    first, second = (SqliteReleaseJournal(tmp_path / "released.db") for _ in range(2))
    first.record(CONTEXT, b"\x01" * 32)
    with pytest.raises(Equivocation):
        second.record(CONTEXT, b"\x02" * 32)
    first.close()
    second.close()


def test_file_is_private(tmp_path: Path) -> None:
    SqliteReleaseJournal(tmp_path / "node" / "released.db").close()
    assert stat.S_IMODE((tmp_path / "node" / "released.db").stat().st_mode) == 0o600
