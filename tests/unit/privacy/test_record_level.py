"""Budgets of records, and the lattice."""

import math
from dataclasses import replace
from typing import Any

import pytest

from zkpfl.errors import InvalidParameter
from zkpfl.privacy.accounting import dp_sgd_epsilon
from zkpfl.privacy.record_level import RecordPrivacy

TERMS: dict[str, Any] = {
    "epsilon": 3.0,
    "delta": 1e-3,
    "max_grad_norm": 1.0,
    "batch": 20,
    "local_steps": 4,
    "least_records": 100,
}
PRIVACY = RecordPrivacy(**TERMS, noise_multiplier=2.0)


def test_a_plan_is_within_its_budget_and_no_less_noise_is() -> None:
    plan = RecordPrivacy.planned(rounds=10, **TERMS)
    assert plan.within(10)
    assert not plan.within(13)
    assert not replace(plan, noise_multiplier=plan.noise_multiplier - 0.01).within(10)
    assert plan.epsilon_after(10) == plan.spent(10, 100) <= 3


def test_fewer_records_spend_more() -> None:
    assert PRIVACY.spent(5, 50) > PRIVACY.spent(5, 100) > PRIVACY.spent(5, 1000) > 0
    assert PRIVACY.sample_rate(100) == 0.2
    assert PRIVACY.sample_rate(7) == 1.0
    assert PRIVACY.spent(0, 7) == 0


def test_most_rounds_are_the_most() -> None:
    for records in (20, 60, 100):
        rounds = PRIVACY.most_rounds(records)
        assert PRIVACY.spent(rounds, records) <= 3 < PRIVACY.spent(rounds + 1, records)
    assert replace(PRIVACY, epsilon=0.01).most_rounds(20) == 0


def test_the_accountant_is_told_less_noise_than_there_is() -> None:
    told = PRIVACY._accounted_noise
    assert 1.9999 < told < 2
    assert PRIVACY.spent(3, 100) == dp_sgd_epsilon(told, 0.2, 12, 1e-3)


@pytest.mark.parametrize("noise", [0.3, 1.0, 7.7])
@pytest.mark.parametrize("dimension", [1, 650, 1 << 20])
def test_the_lattice_keeps_rounded_gradients_within_its_sensitivity(noise: float, dimension: int) -> None:
    lattice = replace(PRIVACY, noise_multiplier=noise, max_grad_norm=0.7).lattice(dimension)
    assert lattice.scale * 0.7 + math.sqrt(dimension) / 2 < lattice.sensitivity
    assert lattice.scale * 0.7 > lattice.sensitivity * 7 / 8 - 1
    assert lattice.sigma == noise * lattice.sensitivity <= 65536
    assert lattice.sigma > 8000


def test_too_many_parameters_for_so_much_noise() -> None:
    with pytest.raises(InvalidParameter, match="noise_multiplier"):
        replace(PRIVACY, noise_multiplier=100.0).lattice(1 << 20)


def test_dictionaries_go_there_and_back() -> None:
    assert RecordPrivacy.from_dict(PRIVACY.to_dict()) == PRIVACY
    for value in (None, [], {}, PRIVACY.to_dict() | {"more": 1}, {"epsilon": 1.0}):
        with pytest.raises(InvalidParameter, match="privacy"):
            RecordPrivacy.from_dict(value)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("epsilon", 0), ("epsilon", math.nan), ("epsilon", "1"), ("epsilon", True), ("epsilon", 101),
        ("delta", 0), ("delta", 0.2), ("max_grad_norm", 0), ("noise_multiplier", 0.29),
        ("noise_multiplier", 101), ("batch", 0), ("batch", 1.0), ("local_steps", 1001), ("least_records", 19),
    ],
)  # fmt: skip
def test_every_field_has_a_range(field: str, value: Any) -> None:
    with pytest.raises(InvalidParameter, match=field):
        replace(PRIVACY, **{field: value})


def test_rounds_and_records_have_ranges() -> None:
    with pytest.raises(InvalidParameter, match="rounds"):
        PRIVACY.spent(-1, 10)
    with pytest.raises(InvalidParameter, match="records"):
        PRIVACY.spent(1, 0)
    with pytest.raises(InvalidParameter, match="rounds"):
        RecordPrivacy.planned(rounds=0, **TERMS)
