"""Planning privacy at the command line."""

import json
import math

import pytest

from zkpfl.cli.app import run
from zkpfl.cli.privacy import distortion
from zkpfl.privacy.client_level import ClientPrivacy
from zkpfl.privacy.record_level import RecordPrivacy


def test_a_plan_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    words = "--epsilon 3 --delta 1e-5 --rounds 20 --trainers 100 --records 200 --batch 40 --json"
    assert run(["privacy", "plan", *words.split()]) == 0
    plan = json.loads(capsys.readouterr().out)
    privacy = RecordPrivacy.from_dict(plan["privacy"])
    assert privacy.within(20)
    assert plan["most_rounds"] == privacy.most_rounds(200) >= 20
    assert plan["epsilon_after"] == privacy.epsilon_after(20) <= 3
    assert plan["noise_per_coordinate"] == pytest.approx(privacy.noise_multiplier / 40 / 10, rel=0.01)
    assert plan["noise_norm"] == pytest.approx(plan["noise_per_coordinate"] * math.sqrt(1000))


def test_a_plan_for_people_says_when_noise_drowns_the_signal(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--epsilon", "1", "--delta", "1e-5", "--rounds", "5", "--records", "20", "--trainers", "2"]
    assert run(["privacy", "plan", *words]) == 0
    shown = capsys.readouterr().out
    assert "noise multiplier" in shown
    assert "more noise than signal" in shown


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (
            ["--epsilon", "0.001", "--delta", "1e-9", "--rounds", "60000", "--records", "3"],
            "needs more noise",
        ),
        (["--epsilon", "1", "--delta", "1e-5", "--rounds", "1", "--records", "3", "--batch", "4"], "batch"),
        (["--epsilon", "0", "--delta", "1e-5", "--rounds", "1"], "epsilon"),
        (["--epsilon", "1", "--delta", "0.5", "--rounds", "1"], "delta"),
    ],
)
def test_what_cannot_be_planned(options: list[str], text: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["privacy", "plan", *options]) == 4
    assert text in capsys.readouterr().err


CLIENT = ["privacy", "plan", "--level", "client", "--epsilon", "4", "--delta", "1e-4", "--rounds", "5"]


def test_a_plan_of_noise_that_zk_nodes_bring(capsys: pytest.CaptureFixture[str]) -> None:
    words = "--trainers 50 --nodes 5 --noise-quorum 4 --dimension 650 --json"
    assert run([*CLIENT, *words.split()]) == 0
    plan = json.loads(capsys.readouterr().out)
    privacy = ClientPrivacy.from_dict(plan["privacy"])
    assert (privacy.noise_quorum, privacy.colluding) == (4, 1)
    assert plan["epsilon_after"] == privacy.epsilon_after(5) <= 4
    assert plan["node_sigma"] == privacy.node_sigma(plan["norm_bound"])
    # √5 nodes of which √3 are counted on, over 50 trainers; the norm bound is nearly the scaled clip norm
    expected = math.sqrt(5 / 3) * privacy.noise_multiplier / 50
    assert plan["noise_per_coordinate"] == pytest.approx(expected, rel=0.02)
    assert plan["noise_to_clip_norm"] == pytest.approx(plan["noise_per_coordinate"] * math.sqrt(650))


def test_such_a_plan_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*CLIENT, "--trainers", "3"]) == 0
    shown = capsys.readouterr().out
    assert "spent by a trainer" in shown
    assert "more noise than signal" in shown


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (["--noise-quorum", "4"], "committee has 3"),
        (["--noise-quorum", "2", "--threshold", "3"], "colluding"),
        (["--epsilon", "41"], "epsilon"),
        (["--value-bits", "16", "--dimension", "10000000"], "noise_multiplier"),
    ],
)
def test_noise_that_no_committee_brings(
    options: list[str], text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([*CLIENT, *options]) == 4
    assert text in capsys.readouterr().err


def test_twice_the_trainers_halve_the_variance() -> None:
    privacy = RecordPrivacy(5.0, 1e-3, 1.0, 2.0, batch=20, local_steps=1, least_records=100)
    one, two = distortion(privacy, 1, 1, 100), distortion(privacy, 1, 2, 100)
    assert one["noise_norm"] == pytest.approx(two["noise_norm"] * math.sqrt(2))
