"""An owner's module and CSV files, by commands alone: exported, submitted, trained, fetched, audited."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

from tests.e2e.commands import read_until, result_of, starting
from tests.heart_rate import COLUMNS, LABEL, RECIPE, heart_rate
from zkpfl.cli.app import run
from zkpfl.learning.averaging import simulate
from zkpfl.learning.bundle import Bundle
from zkpfl.learning.records import Records
from zkpfl.roles.identity import Identity

pytestmark = pytest.mark.e2e

FACTORY = """
import torch
from torch import nn

class Rate(nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden, self.out = nn.Linear(12, 16), nn.Linear(16, 1)

    def forward(self, x):
        return self.out(torch.tanh(self.hidden(x)))

def make():
    torch.manual_seed(3)
    return Rate()
"""
NODES, TRAINERS, ROUNDS = 3, 2, 2


def write_csv(path: Path, records: Records) -> None:
    """The columns in another order than the recipe's, one that it does not name, and the label."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["patient", *reversed(COLUMNS), LABEL])
        for number, (row, label) in enumerate(zip(records.features, records.labels, strict=True)):
            writer.writerow([number, *map(repr, row[::-1].tolist()), repr(float(label))])


def call(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    assert run([*arguments, "--json"]) == 0
    return dict(json.loads(capsys.readouterr().out.splitlines()[-1]))


def export(folder: Path, capsys: pytest.CaptureFixture[str]) -> Bundle:
    """Export the module with a recipe that states its target."""
    words = {
        "tolerance": "20", "target": "0.99", "statistics": "true", "clip_norm": "0.4", "local_epochs": "2",
        "batch_size": "16",
    }  # fmt: skip
    settings = [word for name, value in words.items() for word in ("--set", f"{name}={value}")]
    made = call(
        capsys, "model", "export", "my_rate_model:make", "--example", str(len(COLUMNS)), *settings,
        "--features", ",".join(COLUMNS), "--label-range", "60:200", "--no-privacy",
        "--test-set", f"csv:{folder / 'test.csv'}:{LABEL}", "--out", str(folder / "rate.bundle"),
    )  # fmt: skip
    shown = call(capsys, "model", "show", str(folder / "rate.bundle"))
    assert shown == {name: value for name, value in made.items() if name != "bundle"}
    assert (shown["task"], shown["metric"], shown["target"]) == ("regression", "within_tolerance", 0.99)
    return Bundle.from_bytes((folder / "rate.bundle").read_bytes())


def test_a_module_of_ones_own_from_export_to_audit(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("my_rate_model.py").write_text(FACTORY)
    hospitals = heart_rate(0)[:TRAINERS]
    trainers = [hospital.train for hospital in hospitals]
    write_csv(Path("test.csv"), Records.concatenate([hospital.test for hospital in hospitals]))
    bundle = export(tmp_path, capsys)
    assert (bundle.recipe.features, bundle.recipe.loss) == (RECIPE.features, "mse")

    names = [
        "deployer",
        "owner",
        *(f"node-{i}" for i in range(NODES)),
        *(f"own-{i}" for i in range(TRAINERS)),
    ]
    keys = {name: tmp_path / f"{name}.json" for name in names}
    for name, path in keys.items():
        call(capsys, "keys", "new", str(path), *(["--node"] if name.startswith("node") else []))
    network = tmp_path / "network.json"

    def who(name: str) -> list[str]:
        return ["--network", str(network), "--identity", str(keys[name])]

    with starting() as start:
        url = read_until(start("ledger", "serve", "--data-dir", str(tmp_path / "ledger")), "serving")["url"]
        addresses = {name: Identity.load(path).account.address for name, path in keys.items()}
        grants = [
            f"--fund=0x{address.hex()}=1000" for name, address in addresses.items() if name != "deployer"
        ]
        call(
            capsys, "ledger", "deploy", "--url", url, *who("deployer"), "--store", str(tmp_path / "store"),
            "--challenge", "1", *grants,
        )  # fmt: skip
        for name in names[2 : 2 + NODES]:
            read_until(start("node", "serve", *who(name), "--data-dir", str(tmp_path / name)), "ready")
        owner = start(
            "job", "submit", *who("owner"), "--model", "rate.bundle", "--no-privacy", "--job-key", "job.key",
            "--rounds", str(ROUNDS), "--baseline", "0.1", "--max-trainers", str(TRAINERS), "--wait", "60",
            "--phases", "120,30,15,15,15,30,15",
        )  # fmt: skip
        assert result_of(owner, 120)["job"] == 1
        running = []
        for number, records in enumerate(trainers):
            write_csv(Path(f"own-{number}.csv"), records)
            options = ["--data", f"csv:own-{number}.csv:{LABEL}", "--most-epsilon", "inf", "--seed", "0"]
            running.append(
                start("trainer", "run", *who(f"own-{number}"), "--job", "1", *options, "--wait", "60")
            )
        for process in running:
            assert result_of(process, 240)["status"] == "done"
        taken = call(
            capsys,
            "job",
            "result",
            "1",
            "--network",
            str(network),
            "--job-key",
            "job.key",
            "--out",
            "rate.model",
        )
        assert (taken["target"], taken["rounds"]) == (0.99, ROUNDS)

    tensors = load_file("rate.model")
    assert {name: value.shape for name, value in tensors.items()} == {
        "hidden.weight": (16, 12), "hidden.bias": (16,), "out.weight": (1, 16), "out.bias": (1,),
    }  # fmt: skip
    assert all(np.isfinite(value).all() for value in tensors.values())
    plain = simulate(bundle, trainers, rounds=ROUNDS, seed=0)
    assert abs(taken["accuracy"] - plain[-1].score.accuracy) <= 0.1
    assert call(capsys, "verify", "--data-dir", str(tmp_path), "--job-key", "job.key")["verified"] is True
