"""Children are heard, and end."""

import json
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from zkpfl.cli import children
from zkpfl.cli.children import Child, Crew
from zkpfl.errors import DeadlineExceeded, Unavailable

SCRIPT = """
import json, signal, sys
mode = sys.argv[1]
if mode == "deaf":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("not JSON", flush=True)
print("to the log", file=sys.stderr, flush=True)
print(json.dumps({"event": "ready", "mode": mode}), flush=True)
if mode == "fails":
    print(json.dumps({"error": {"code": "invalid_data", "message": "no records"}}), flush=True)
    sys.exit(4)
sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Children run a small script in place of the command line."""
    path = tmp_path / "interpreter"
    (tmp_path / "child.py").write_text(SCRIPT)
    path.write_text(f'#!/bin/sh\nshift 2\nexec "{sys.executable}" "{tmp_path}/child.py" "$@"\n')
    path.chmod(0o700)
    monkeypatch.setattr(children.sys, "executable", str(path))
    monkeypatch.setattr(children, "STOP_GRACE_S", 0.2)


def test_events_reach_the_listener_and_the_log(tmp_path: Path) -> None:
    heard: list[tuple[str, dict[str, Any]]] = []
    with Crew(tmp_path / "logs", lambda child, event: heard.append((child.name, event))) as crew:
        child = crew.start("node-1", ["waits"])
        event = child.wait_for("ready", 20, threading.Event())
        assert event == {"event": "ready", "mode": "waits"}
        assert child.alive
    assert not child.alive
    assert heard == [("node-1", event)]
    logged = json.loads((tmp_path / "logs" / "node-1.jsonl").read_text())
    assert logged.pop("time") > 0
    assert logged == event
    assert (tmp_path / "logs" / "node-1.log").read_text() == "to the log\n"


def test_one_that_does_not_listen_is_killed(tmp_path: Path) -> None:
    with Crew(tmp_path / "logs", lambda _child, _event: None) as crew:
        child = crew.start("node-1", ["deaf"])
        child.wait_for("ready", 20, threading.Event())
    assert not child.alive


def test_one_that_ends_says_why(tmp_path: Path) -> None:
    with Crew(tmp_path / "logs", lambda _child, _event: None) as crew:
        child = crew.start("owner", ["fails"])
        with pytest.raises(Unavailable, match="owner: ended: no records"):
            child.wait_for("job_created", 20, threading.Event())
        assert child.wait(20)


def test_patience_ends(tmp_path: Path) -> None:
    with Crew(tmp_path / "logs", lambda _child, _event: None) as crew:
        child = crew.start("owner", ["waits"])
        with pytest.raises(DeadlineExceeded, match="owner"):
            child.wait_for("job_created", 0.1, threading.Event())
        stop = threading.Event()
        stop.set()
        with pytest.raises(Unavailable, match="stopped"):
            child.wait_for("job_created", 20, stop)


def test_the_folder_is_made_and_the_environment_asks_for_one_thread(tmp_path: Path) -> None:
    environment = children._environment()
    assert environment["OMP_NUM_THREADS"] == environment["ZKPFL_NUM_THREADS"] == "1"
    with Crew(tmp_path / "a" / "b", lambda _child, _event: None):
        assert (tmp_path / "a" / "b").is_dir()


def test_children_are_in_sessions_of_their_own(tmp_path: Path) -> None:
    with Crew(tmp_path / "logs", lambda _child, _event: None) as crew:
        child = Child("x", ["waits"], tmp_path / "logs", lambda _child, _event: None)
        assert isinstance(crew, Crew)
        session = int(Path(f"/proc/{child.pid}/stat").read_text().rsplit(")", 1)[1].split()[3])
        assert session == child.pid
        child.kill(0)
        assert not child.alive
