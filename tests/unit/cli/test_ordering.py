"""From options to an order."""

import dataclasses
import time
from pathlib import Path

import pytest

from zkpfl.cli.ordering import OrderOptions, order_of, parse_phases, require_time_to_finalise
from zkpfl.cli.sources import ModelSource, PrivacyOptions, model_source
from zkpfl.errors import InvalidParameter
from zkpfl.learning.heart_disease import heart_disease_bundle
from zkpfl.ledger.records import MPC, Durations

OPTIONS = OrderOptions(
    fee="120.5", rounds=None, target=None, baseline="0.5", threshold=2, quorum=3, max_trainers=4,
    phases="60,20,10,10,10,20,15", deadline_s=600, nodes=3, slices=None, coin=0,
)  # fmt: skip


@pytest.fixture(scope="module")
def model() -> ModelSource:
    return model_source("heart", 0)


def test_the_model_says_how_long_and_how_far(model: ModelSource) -> None:
    order = order_of(OPTIONS, model)
    assert (order.training_rounds, order.target_ppm) == (10, 800_000)
    assert order.fee == 120 * MPC + MPC // 2
    assert order.durations == Durations(60, 20, 10, 10, 10, 20, 15)
    assert abs(order.deadline - time.time() - 600) < 5


def test_options_go_first(model: ModelSource) -> None:
    order = order_of(dataclasses.replace(OPTIONS, rounds=0, target="0.7"), model)
    assert (order.training_rounds, order.target_ppm) == (0, 700_000)


def test_a_bundle_file_may_state_its_target(tmp_path: Path) -> None:
    made = heart_disease_bundle(0, private=False)
    stated = dataclasses.replace(made, recipe=dataclasses.replace(made.recipe, target=0.29))
    (tmp_path / "a.bundle").write_bytes(stated.to_bytes())
    source = model_source(str(tmp_path / "a.bundle"), 0, PrivacyOptions(private=False))
    options = dataclasses.replace(OPTIONS, rounds=3)
    assert order_of(options, source).target_ppm == 290_000
    assert order_of(dataclasses.replace(options, target="0.7"), source).target_ppm == 700_000


@pytest.mark.parametrize("field", ["rounds", "target"])
def test_a_bundle_file_says_neither(model: ModelSource, field: str) -> None:
    options = dataclasses.replace(OPTIONS, rounds=3, target="0.7")
    with pytest.raises(InvalidParameter) as caught:
        order_of(dataclasses.replace(options, **{field: None}), ModelSource(model.bundle))
    assert caught.value.field == field


@pytest.mark.parametrize(
    "text", ["", "1,2,3", "1,2,3,4,5,6,7,8", "1,2,3,4,5,6,x", "1,2,3,4,5,6,-7", "1,2,3,4,5,6,0"]
)
def test_no_phases(text: str) -> None:
    with pytest.raises(InvalidParameter):
        parse_phases(text)


def test_the_aggregate_phase_outlasts_finality() -> None:
    durations = parse_phases("60,20,10,20,10,20,10")
    for lag_s in (0, 10):
        require_time_to_finalise(durations, lag_s)
    with pytest.raises(InvalidParameter, match="at least 21 seconds"):
        require_time_to_finalise(durations, 11)
    require_time_to_finalise(parse_phases("60,20,10,1,10,20,10"), 0)  # every block is final at once
