"""Client-level privacy: the noise of zk-nodes, its bounds and what it costs (docs/spec.md §8.2)."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zkpfl.crypto.discrete_gaussian import sample_discrete_gaussian
from zkpfl.errors import InvalidParameter
from zkpfl.privacy.accounting import zcdp_epsilon
from zkpfl.privacy.client_level import MAX_NODES, TAIL_BITS, TAIL_DELTA, ClientPrivacy
from zkpfl.privacy.levels import privacy_from_dict
from zkpfl.privacy.record_level import RecordPrivacy

PRIVACY = ClientPrivacy(4.0, 1e-5, 4.0, noise_quorum=3, colluding=1)


def test_a_sum_costs_what_one_gaussian_of_that_multiplier_costs() -> None:
    for honest in (1, 2, 9):
        privacy = replace(PRIVACY, noise_quorum=honest + 1)
        assert privacy.honest == honest
        assert privacy.rho == pytest.approx(1 / (2 * 4.0**2), rel=1e-12)
        assert privacy.epsilon_after(7) == zcdp_epsilon(7 * privacy.rho, 1e-5 - TAIL_DELTA)
    assert PRIVACY.epsilon_after(0) == 0


def test_the_honest_nodes_alone_bring_all_the_noise_that_is_counted_on() -> None:
    for quorum in range(2, MAX_NODES + 1):
        for colluding in range(1, quorum):
            privacy = replace(PRIVACY, noise_quorum=quorum, colluding=colluding)
            assert math.sqrt(privacy.honest) * privacy.node_sigma(500) == pytest.approx(4.0 * 500)


@settings(max_examples=20, deadline=None)
@given(
    epsilon=st.floats(1, 12), rounds=st.integers(1, 200)
)  # below, 200 rounds need more noise than there is
def test_a_plan_is_the_least_noise_within_the_budget(epsilon: float, rounds: int) -> None:
    plan = ClientPrivacy.planned(rounds=rounds, epsilon=epsilon, delta=1e-5, noise_quorum=2, colluding=1)
    assert plan.within(rounds)
    assert plan.most_rounds() >= rounds
    assert not plan.within(plan.most_rounds() + 1)
    if plan.noise_multiplier > 0.3:
        assert not replace(plan, noise_multiplier=plan.noise_multiplier - 0.001).within(rounds)


def test_a_budget_that_needs_too_much_noise() -> None:
    with pytest.raises(InvalidParameter, match="needs more noise") as caught:
        ClientPrivacy.planned(rounds=60_000, epsilon=0.01, delta=1e-9, noise_quorum=2, colluding=1)
    assert caught.value.field == "epsilon"
    assert caught.value.hint


def test_noise_stays_below_its_bound_and_not_far() -> None:
    for dimension in (1, 3, 650, 20_000):
        sigma, bound = PRIVACY.node_sigma(300), PRIVACY.noise_bound(dimension, 300)
        norms = [
            np.linalg.norm(sample_discrete_gaussian(sigma, dimension, bytes([seed]) * 32))
            for seed in range(50)
        ]
        assert max(norms) < bound
        assert bound < 1.6 * max(norms) + 14 * sigma


def test_the_bound_of_one_coordinate_is_that_of_the_tail() -> None:
    """For d = 1 the exact tail of the normal distribution is known: it is far below what the bound is for."""
    sigma, bound = PRIVACY.node_sigma(300), PRIVACY.noise_bound(1, 300)
    assert math.erfc(bound / sigma / math.sqrt(2)) < 2.0**-TAIL_BITS


def test_withheld_noise_costs_less_than_is_set_aside() -> None:
    rounds, nodes, epsilon = 1 << 16, MAX_NODES, 40.0
    assert rounds * nodes * math.exp(epsilon) * 2.0**-TAIL_BITS < TAIL_DELTA


@pytest.mark.parametrize("bound", [0, 1, 10**9])
def test_noise_that_cannot_be_drawn(bound: int) -> None:
    with pytest.raises(InvalidParameter) as caught:
        PRIVACY.node_sigma(bound)
    assert caught.value.field == "noise_multiplier"
    assert caught.value.hint


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("epsilon", 0.0),
        ("epsilon", 40.1),
        ("epsilon", math.nan),
        ("epsilon", "4"),
        ("epsilon", True),
        ("delta", 0.0),
        ("delta", 2.0**-41),
        ("delta", 0.2),
        ("noise_multiplier", 0.29),
        ("noise_multiplier", math.inf),
        ("noise_quorum", 1),
        ("noise_quorum", 11),
        ("noise_quorum", 2.0),
        ("colluding", 0),
        ("colluding", 3),
    ],
)
def test_every_field_has_a_range(field: str, value: Any) -> None:
    with pytest.raises(InvalidParameter) as caught:
        replace(PRIVACY, **{field: value})
    assert caught.value.field == field


def test_rounds_and_dimension_have_ranges() -> None:
    for rounds in (-1, (1 << 16) + 1, 1.0):
        with pytest.raises(InvalidParameter, match="rounds"):
            PRIVACY.epsilon_after(rounds)  # type: ignore[arg-type]
    for dimension in (0, (1 << 26) + 1):
        with pytest.raises(InvalidParameter, match="dimension"):
            PRIVACY.noise_bound(dimension, 300)


def test_both_levels_are_told_apart() -> None:
    record = RecordPrivacy(5.0, 1e-3, 1.0, 2.0, batch=20, local_steps=1, least_records=100)
    for privacy in (PRIVACY, record):
        assert privacy_from_dict(privacy.to_dict()) == privacy
    for wrong in (None, [], {}, PRIVACY.to_dict() | {"batch": 3}, {"noise_quorum": 2}):
        with pytest.raises(InvalidParameter, match="privacy"):
            privacy_from_dict(wrong)
    with pytest.raises(InvalidParameter, match=r"privacy\.delta"):
        privacy_from_dict(PRIVACY.to_dict() | {"delta": 1})
