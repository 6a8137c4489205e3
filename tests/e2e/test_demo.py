"""The demo as a newcomer runs it, and again with a zk-node or a trainer killed: the same model."""

from __future__ import annotations

import base64
import json
import os
import signal
import statistics
import subprocess
import sys
import threading
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(600)]

HOSPITALS = {"cleveland", "hungary", "switzerland", "va_long_beach"}


def run_demo(folder: Path, *arguments: str, killed: dict[str, str] | None = None) -> dict[str, Any]:
    """Run a demo; ``killed`` maps an event of its stream to the key file of the process to kill -9 then."""
    command = [sys.executable, "-m", "zkpfl", "demo", "--json", "--data-dir", str(folder), *arguments]
    waiting = dict(killed or {})
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        drain = threading.Thread(target=process.stderr.read)
        drain.start()
        lines = []
        for line in process.stdout:
            lines.append(line)
            event = json.loads(line)
            key_file = waiting.pop(f"{event.get('event')} {event.get('round')}", None)
            if key_file:
                os.kill(pid_of(folder / "keys" / key_file), signal.SIGKILL)
        drain.join()
    assert process.returncode == 0, lines[-3:]
    assert not waiting, "the moment to kill did not come"
    result: dict[str, Any] = json.loads(lines[-1])
    return result


def run_open_demo(folder: Path, *arguments: str, killed: dict[str, str] | None = None) -> dict[str, Any]:
    """Without privacy: what the model then is does not hang on noise."""
    return run_demo(folder, "--no-privacy", *arguments, killed=killed)


def pid_of(key_file: Path) -> int:
    """The process that was started with a key file."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                arguments = (entry / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if os.fsencode(key_file) in arguments:
                return int(entry.name)
    raise AssertionError(f"no process uses {key_file}")


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return run_demo(tmp_path_factory.mktemp("demo") / "data", "--no-privacy")


def test_demo_reaches_its_target_and_everything_was_checked(undisturbed: dict[str, Any]) -> None:
    result = undisturbed
    assert result["status"] == "done"
    assert result["verified"] is True
    assert result["conserved"] is True
    assert result["accuracy"] >= 0.77
    assert abs(result["model_accuracy"] - result["baseline_accuracy"]) <= 0.01
    assert result["rounds"] <= 30
    assert set(result["rewards"]) == HOSPITALS
    assert {"job", "target", "wall_s", "data_dir"} <= set(result)


def test_no_file_of_a_demo_but_the_key_files_holds_a_secret(undisturbed: dict[str, Any]) -> None:
    """Neither ledger, storage and memory of nodes, nor what any of nine processes said or logged."""
    folder = Path(undisturbed["data_dir"])
    secrets = dict(held_secrets(folder / "keys"))
    assert len(secrets) == 8 * 2 + 3 + 1  # account and encryption keys, BLS keys of zk-nodes, the job key
    weights = (folder / "model.safetensors").read_bytes()
    secrets["weights"] = weights[-64:]
    rest = [path for path in folder.rglob("*") if path.is_file() and "keys" not in path.parts]
    contents = {path: path.read_bytes() for path in rest if path.name != "model.safetensors"}
    assert {path.parts[len(folder.parts)] for path in contents} >= {"ledger", "logs", "store", "node-1"}
    found = [
        (name, str(path))
        for (name, secret), (path, content) in product(secrets.items(), contents.items())
        for spelling in (secret, secret.hex().encode(), base64.b64encode(secret)[:-4])
        if spelling in content
    ]
    assert not found


def held_secrets(keys: Path) -> Iterator[tuple[str, bytes]]:
    """Every secret that a key file holds, by name of the file and member."""
    for path in sorted(keys.iterdir()):
        for member, value in json.loads(path.read_text()).items():
            if member != "format" and value is not None:
                yield f"{path.name}: {member}", bytes.fromhex(value.removeprefix("0x"))


def test_accuracy_on_average_over_five_seeds(undisturbed: dict[str, Any], tmp_path: Path) -> None:
    results = [undisturbed] + [
        run_open_demo(tmp_path / str(seed), "--seed", str(seed)) for seed in range(1, 5)
    ]
    for result in results:
        assert result["verified"] is True
        assert abs(result["model_accuracy"] - result["baseline_accuracy"]) <= 0.01
    assert statistics.mean(result["model_accuracy"] for result in results) >= 0.785


def test_digits_of_eight_trainers(tmp_path: Path) -> None:
    result = run_open_demo(tmp_path / "data", "--data", "digits", "--trainers", "8")
    assert result["verified"] is True
    assert result["accuracy"] >= 0.93
    assert len(result["rewards"]) == 8


def test_a_private_demo_stays_within_its_budget(tmp_path: Path) -> None:
    result = run_demo(tmp_path / "data", "--epsilon", "5", "--target", "0.95", "--rounds", "4")
    assert result["status"] == "done"
    assert result["verified"] is True
    assert result["rounds"] == 4
    assert 4.5 < result["epsilon"] <= result["epsilon_budget"] == 5.0
    assert result["delta"] == 1e-3
    assert result["model_accuracy"] >= 0.7
    assert abs(result["model_accuracy"] - result["baseline_accuracy"]) <= 0.05


def test_killing_a_node_changes_nothing_in_the_model(undisturbed: dict[str, Any], tmp_path: Path) -> None:
    result = run_open_demo(tmp_path / "data", killed={"submitted 2": "node-2.json"})
    assert result["status"] == "done"
    assert result["verified"] is True
    assert result["conserved"] is True
    assert result["checkpoint"] == undisturbed["checkpoint"]


def test_killing_a_trainer_leaves_a_job_that_completes(tmp_path: Path) -> None:
    result = run_open_demo(tmp_path / "data", "--rounds", "2", killed={"scored 2": "hungary.json"})
    assert result["status"] == "done"
    assert result["rounds"] == 2
    assert result["verified"] is True
    assert result["conserved"] is True
