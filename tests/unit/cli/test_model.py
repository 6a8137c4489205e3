"""`zkpfl model`: bundles from a factory or from layers, and what they hold."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from zkpfl.cli.app import run
from zkpfl.learning.bundle import Bundle
from zkpfl.privacy.client_level import ClientPrivacy

FACTORY = """
from torch import nn

def make():
    return nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 3))
"""


def result(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    return dict(json.loads(capsys.readouterr().out.splitlines()[-1]))


def test_a_module_of_ones_own_becomes_a_bundle_with_its_recipe_and_test_set(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("my_factory.py").write_text(FACTORY)
    np.savez("test.npz", features=np.zeros((5, 4)), labels=np.array([0, 1, 2, 0, 1]))
    options = ["--set", "optimizer=adam", "--set", "local_epochs=2", "--test-set", "npz:test.npz"]
    names = ["--features", "age,sex,pulse,weight", "--classes", "no,maybe,yes"]
    command = ["model", "export", "my_factory:make", "--example", "4", "--out", "my.bundle"]
    assert run([*command, *names, *options, "--json"]) == 0
    made = result(capsys)
    assert (made["parameters"], made["test_records"], made["optimizer"]) == (4 * 8 + 8 + 8 * 3 + 3, 5, "adam")
    bundle = Bundle.from_bytes(Path("my.bundle").read_bytes())
    assert bundle.recipe.features == ("age", "sex", "pulse", "weight")
    assert bundle.recipe.classes == ("no", "maybe", "yes")
    assert run(["model", "show", "my.bundle", "--json"]) == 0
    assert result(capsys) == {name: value for name, value in made.items() if name != "bundle"}
    assert run([*command, "--json"]) == 4
    assert "exists already" in result(capsys)["error"]["message"]


def test_layers_make_a_bundle(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for kind, options, parameters in (
        ("mlp", ["--inputs", "13", "--hidden", "32,16", "--outputs", "2"], 1010),
        ("mlp", ["--inputs", "13", "--outputs", "2"], 28),
        ("cnn", ["--image", "1x28x28", "--channels", "8,16", "--outputs", "10"], 1466),
    ):
        out = tmp_path / f"{kind}-{parameters}.bundle"
        assert run(["model", kind, *options, "--out", str(out), "--json"]) == 0
        assert result(capsys)["parameters"] == parameters
        assert Bundle.from_bytes(out.read_bytes()).recipe.learning_rate == 0.05


def test_a_model_of_which_zk_nodes_bring_the_noise(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "noisy.bundle"
    words = "--inputs 64 --outputs 10 --noise-quorum 3 --epsilon 4 --delta 1e-4 --rounds 4"
    assert run(["model", "mlp", *words.split(), "--out", str(out), "--json"]) == 0
    capsys.readouterr()
    recipe = Bundle.from_bytes(out.read_bytes()).recipe
    assert isinstance(recipe.privacy, ClientPrivacy)
    assert (recipe.privacy.noise_quorum, recipe.privacy.colluding, recipe.value_bits) == (3, 1, 8)
    assert recipe.privacy.within(4)
    assert not recipe.privacy.within(6)
    wide = [*words.split(), "--set", "value_bits=10", "--out", str(tmp_path / "wide.bundle"), "--json"]
    assert run(["model", "mlp", *wide]) == 0
    assert (
        run(["model", "mlp", *words.split(), "--colluding", "3", "--out", str(tmp_path / "no.bundle")]) == 4
    )
    assert "colluding" in capsys.readouterr().err


def test_a_model_trains_privately_unless_its_owner_says_otherwise(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["model", "mlp", "--inputs", "3", "--outputs", "2", "--json", "--out"]
    budget = ["--epsilon", "2", "--delta", "1e-4", "--rounds", "4", "--records", "100", "--ranges", "0:1"]
    assert run([*command, str(tmp_path / "a"), "--set", "batch_size=50", *budget]) == 0
    made = result(capsys)
    privacy = Bundle.from_bytes((tmp_path / "a").read_bytes()).recipe.privacy
    assert privacy is not None
    assert made["privacy"] == privacy.to_dict()
    assert (privacy.batch, privacy.local_steps, privacy.least_records) == (50, 2, 100)
    assert privacy.within(4)
    assert not privacy.within(6)
    assert made["feature_ranges"] == [[0.0, 1.0]] * 3
    assert run([*command, str(tmp_path / "b"), "--ranges", "0:1,2:3,-1:1", "--no-privacy"]) == 0
    made = result(capsys)
    assert (made["privacy"], made["feature_ranges"]) == (None, [[0.0, 1.0], [2.0, 3.0], [-1.0, 1.0]])


def test_one_output_is_a_regression(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["model", "mlp", "--inputs", "3", "--outputs", "1", "--no-privacy", "--json", "--out"]
    numbers = ["--set", "tolerance=20", "--set", "target=0.75", "--label-range", "60:200"]
    np.savez(tmp_path / "test.npz", features=np.zeros((5, 3)), labels=np.linspace(90, 120, 5))
    test_set = ["--test-set", f"npz:{tmp_path / 'test.npz'}"]
    assert run([*command, str(tmp_path / "a"), *numbers, *test_set]) == 0
    made = result(capsys)
    stated = [made[name] for name in ("task", "loss", "metric", "tolerance", "label_range", "target")]
    assert stated == ["regression", "mse", "within_tolerance", 20.0, [60.0, 200.0], 0.75]
    assert (made["outputs"], made["classes"], made["test_records"]) == (1, [], 5)
    assert run(["model", "show", str(tmp_path / "a"), "--json"]) == 0
    assert result(capsys) == {name: value for name, value in made.items() if name != "bundle"}
    assert run([*command, str(tmp_path / "b"), "--set", "loss=binary_cross_entropy"]) == 0
    made = result(capsys)
    assert (made["outputs"], made["classes"], made["metric"]) == (1, ["0", "1"], "accuracy")


def test_an_example_may_be_an_array_of_records(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.save(tmp_path / "records.npy", np.zeros((3, 6)))
    command = ["model", "export", "tests.unit.cli.test_model:factory", "--out", str(tmp_path / "a"), "--json"]
    assert run([*command, "--example", str(tmp_path / "records.npy")]) == 0
    assert result(capsys)["inputs"] == 6


def test_a_module_may_take_tokens(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["model", "export", "tests.unit.learning.test_embedding:Bag", "--out", str(tmp_path / "a")]
    assert run([*command, "--example", "6", "--set", "vocabulary=11", "--json"]) == 0
    made = result(capsys)
    assert (made["vocabulary"], made["operators"]["aten.embedding.default"]) == (11, 1)
    assert made["privacy"] is not None


def factory() -> object:
    from zkpfl.learning.architectures import mlp  # noqa: PLC0415

    return mlp(6, (), 2)


@pytest.mark.parametrize(
    ("options", "field"),
    [
        (["mlp", "--inputs", "3", "--outputs", "2", "--hidden", "4,x"], "hidden"),
        (["mlp", "--inputs", "3", "--outputs", "2", "--activation", "step"], "activation"),
        (["mlp", "--inputs", "3", "--outputs", "2", "--set", "speed=1"], "speed"),
        (["mlp", "--inputs", "3", "--outputs", "2", "--set", "speed"], "set"),
        (["mlp", "--inputs", "3", "--outputs", "2", "--set", "batch_size=0"], "batch_size"),
        (["mlp", "--inputs", "3", "--outputs", "2", "--features", "a,b"], "features"),
        (["mlp", "--inputs", "3", "--outputs", "2", "--classes", "a"], "classes"),
        (["mlp", "--inputs", "3", "--outputs", "2", "--ranges", "0:1,0:1"], "ranges"),
        (["mlp", "--inputs", "3", "--outputs", "2", "--ranges", "low:high"], "ranges"),
        (["mlp", "--inputs", "3", "--outputs", "2", "--ranges", "1:0"], "feature_ranges"),
        (["mlp", "--inputs", "3", "--outputs", "2", "--set", "privacy=none"], "privacy"),
        (["mlp", "--inputs", "3", "--outputs", "2", "--set", "statistics=true"], "statistics"),
        (["mlp", "--inputs", "3", "--outputs", "1"], "tolerance"),
        (["mlp", "--inputs", "3", "--outputs", "1", "--set", "tolerance=1", "--classes", "a"], "classes"),
        (["mlp", "--inputs", "3", "--outputs", "1", "--set", "tolerance=-1"], "tolerance"),
        (["mlp", "--inputs", "3", "--outputs", "2", "--set", "tolerance=1"], "tolerance"),
        (["mlp", "--inputs", "3", "--outputs", "2", "--set", "target=2"], "target"),
        (["mlp", "--inputs", "3", "--outputs", "2", "--label-range", "0:1"], "label_range"),
        (["mlp", "--inputs", "3", "--outputs", "1", "--label-range", "0-1"], "label-range"),
        (["mlp", "--inputs", "3", "--outputs", "2", "--set", "vocabulary=9"], "example"),
        (["cnn", "--image", "1x8x8", "--outputs", "2", "--norm", "batch"], "graph"),
        (["cnn", "--image", "28x28", "--outputs", "2"], "image"),
        (["cnn", "--image", "1xax28", "--outputs", "2"], "image"),
        (["cnn", "--image", "1x2x2", "--outputs", "2"], "channels"),
        (["export", "no_module:make", "--example", "3"], "factory"),
        (["export", "math:pi", "--example", "3"], "factory"),
        (["export", "tests.unit.cli.test_model:factory", "--example", "3"], "example"),
        (["export", "tests.unit.cli.test_model:factory", "--example", "none.npy"], "example"),
    ],
)
def test_what_cannot_be_is_named_and_writes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], field: str
) -> None:
    out = tmp_path / "new.bundle"
    assert run(["model", *options, "--out", str(out), "--json"]) == 4
    assert result(capsys)["error"]["field"] == field
    assert not out.exists()


def test_what_is_no_bundle_is_not_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "x").write_bytes(b"not a bundle")
    assert run(["model", "show", str(tmp_path / "x"), "--json"]) == 4
    assert result(capsys)["error"]["code"] == "invalid_bundle"
