"""Job key files: private, never overwritten, strict, and silent about what they hold."""

import json
import stat
from pathlib import Path

import pytest

from zkpfl.errors import InvalidParameter
from zkpfl.roles.job_key import load_job_key, new_job_key_file


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "job.key"


def test_a_key_survives(path: Path) -> None:
    key = new_job_key_file(path)
    assert len(key) == 32
    assert load_job_key(path) == key
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_nothing_is_overwritten(path: Path) -> None:
    key = new_job_key_file(path)
    with pytest.raises(InvalidParameter, match="exists already"):
        new_job_key_file(path)
    assert load_job_key(path) == key


def test_a_missing_key(path: Path) -> None:
    with pytest.raises(InvalidParameter, match="does not exist"):
        load_job_key(path)


def test_a_key_that_others_can_read(path: Path) -> None:
    new_job_key_file(path)
    path.chmod(0o640)
    with pytest.raises(InvalidParameter, match="chmod 600"):
        load_job_key(path)


SECRET = "5e" * 32


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        SECRET,
        json.dumps({"format": "zkpfl-job-key-1", "key": SECRET[2:]}),
        json.dumps({"format": "zkpfl-job-key-2", "key": SECRET}),
        json.dumps({"format": "zkpfl-job-key-1", "key": SECRET, "more": 1}),
        json.dumps({"format": "zkpfl-job-key-1", "key": "zz"}),
        json.dumps({"format": "zkpfl-job-key-1", "key": 5}),
        json.dumps({"format": "zkpfl-job-key-1", "key": SECRET}) + " " * 5000,
        "[" * 4000,
    ],
)
def test_no_job_key(path: Path, text: str) -> None:
    path.touch(0o600)
    path.write_text(text)
    with pytest.raises(InvalidParameter, match="not a zkPFL key file") as caught:
        load_job_key(path)
    assert SECRET[2:] not in str(caught.value)
    assert caught.value.__cause__ is None
