"""Contributions and the factors of pay: the contract, its rule and its twin (docs/spec.md §9.5)."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.ledger.world import CHECKPOINT, PHASE_S, STAKE, World, refused
from web3 import Web3

from zkpfl.errors import InvalidParameter
from zkpfl.ledger.client import LedgerClient, Phase
from zkpfl.ledger.contracts import compiled
from zkpfl.ledger.events import FactorsAttested, Rewarded
from zkpfl.ledger.factors import (
    accuracy_factor,
    decided_factors,
    packed_factors,
    percents,
    unpacked_factors,
)
from zkpfl.ledger.reconciliation import discrepancies
from zkpfl.ledger.records import AccountRole
from zkpfl.ledger.rules import ONE
from zkpfl.ledger.settlement import explain

DIGEST = b"\x07" * 32
FACTORS = {0: 80, 1: 100, 2: 125}


def to_reveal(world: World, **changes: object) -> int:
    """A job in Reveal of its first round; the three trainers have committed."""
    job = world.to_score(**changes)
    for index in range(3):
        world.commit(job, index, 600_000)
        world.pending.setdefault(job, []).append((index, CHECKPOINT, 600_000))
    assert world.round(job).phase is Phase.REVEAL
    return job


def paid(world: World, job: int) -> dict[int, int]:
    """Accuracy factors by number of the trainer, as the contract used them."""
    trainers = world.state(job).trainers
    return {
        trainers.index(event.account): event.accuracy_factor
        for event in world.admin.events(job)
        if isinstance(event, Rewarded) and event.role is AccountRole.TRAINER
    }


def raw(client: LedgerClient, job: int, words: list[int], round_: int = 1) -> None:
    """Attest words that the client would not let pass."""
    contract = client.connection.contract(compiled("contributions").abi, client.parts["contributions"])
    ledger = Web3.to_checksum_address(client.contract)
    client.connection.transact(contract.functions.attest_factors(ledger, job, round_, words))


# ---- contributing --------------------------------------------------------------------------------


def test_a_trainer_of_the_accepted_set_contributes_once_and_in_score_only(world: World) -> None:
    job = world.to_attest()
    with refused("wrong_phase"):
        world.trainers[0].contribute(job, 1, DIGEST)
    world.attest(job)
    with refused("empty_digest"):
        world.trainers[0].contribute(job, 1, bytes(32))
    world.trainers[0].contribute(job, 1, DIGEST)
    with refused("already_contributed"):
        world.trainers[0].contribute(job, 1, DIGEST)
    world.trainers[2].contribute(job, 1, b"\x08" * 32)
    for stranger in (world.trainers[3], world.nodes[0], world.owner):
        with refused("not_joined"):
            stranger.contribute(job, 1, DIGEST)
    with refused("wrong_phase"):
        world.trainers[1].contribute(job, 2, DIGEST)
    assert world.admin.contributions(job, 1) == {0: DIGEST, 2: b"\x08" * 32}
    world.wait(PHASE_S)
    with refused("deadline_passed"):
        world.trainers[1].contribute(job, 1, DIGEST)


def test_who_is_not_accepted_neither_contributes_nor_attests(world: World) -> None:
    job = world.to_check()
    world.check(job, {1: 0b011, 2: 0b011, 3: 0b011})
    world.aggregate(job)
    world.attest(job)
    with refused("not_accepted"):
        world.trainers[2].contribute(job, 1, DIGEST)
    for index in range(2):
        world.commit(job, index, 600_000)
    with refused("not_accepted"):
        world.trainers[2].attest_factors(job, 1, {0: 100, 1: 100})
    with refused("factor_of_nobody"):
        world.trainers[0].attest_factors(job, 1, {0: 100, 1: 100, 2: 100})


# ---- attesting -----------------------------------------------------------------------------------


def test_more_than_half_of_the_stake_decides(world: World) -> None:
    job = to_reveal(world)
    world.trainers[0].attest_factors(job, 1, FACTORS)
    assert world.admin.factors(job, 1) == {}
    with refused("already_attested"):
        world.trainers[0].attest_factors(job, 1, FACTORS)
    world.trainers[1].attest_factors(job, 1, dict.fromkeys(range(3), 100))
    assert world.admin.factors(job, 1) == {}
    world.trainers[2].attest_factors(job, 1, FACTORS)
    assert world.admin.factors(job, 1) == FACTORS
    world.reveal(job)
    assert paid(world, job) == {0: ONE * 8 // 10, 1: ONE, 2: ONE * 5 // 4}
    events = world.admin.events(job)
    assert discrepancies(events) == []
    rewards = [r for r in explain(events).rounds[0].rewards if r.role is AccountRole.TRAINER]
    assert [reward.accuracy_factor for reward in rewards] == [ONE * 8 // 10, ONE, ONE * 5 // 4]
    assert rewards[0].amount < rewards[1].amount < rewards[2].amount


def test_exactly_half_of_the_stake_does_not_decide(world: World) -> None:
    rich = world.register_trainer(2 * STAKE)
    trainers = world.trainers
    world.trainers = [rich, *trainers[:2]]
    job = to_reveal(world)
    rich.attest_factors(job, 1, FACTORS)  # 2 of 4
    assert world.admin.factors(job, 1) == {}
    world.trainers[1].attest_factors(job, 1, FACTORS)
    assert world.admin.factors(job, 1) == FACTORS
    world.reveal(job)
    assert discrepancies(world.admin.events(job)) == []
    world.trainers = trainers


def test_without_a_majority_all_factors_are_one(world: World) -> None:
    job = to_reveal(world)
    for index, factors in enumerate((FACTORS, {0: 125, 1: 80, 2: 80}, {0: 80, 1: 80, 2: 125})):
        world.trainers[index].attest_factors(job, 1, factors)
    world.reveal(job)
    assert set(paid(world, job).values()) == {ONE}
    assert discrepancies(world.admin.events(job)) == []


def test_attesting_is_for_reveal_and_in_time(world: World) -> None:
    job = world.to_score()
    with refused("wrong_phase"):
        world.trainers[0].attest_factors(job, 1, FACTORS)
    for index in range(3):
        world.commit(job, index, 600_000)
    for stranger in (world.trainers[3], world.nodes[0], world.owner):
        with refused("not_joined"):
            stranger.attest_factors(job, 1, FACTORS)
    world.wait(PHASE_S)
    with refused("deadline_passed"):
        world.trainers[0].attest_factors(job, 1, FACTORS)


@pytest.mark.parametrize("bad", [1, 79, 126, 255])
def test_a_factor_out_of_range_is_refused_twice(world: World, bad: int) -> None:
    job = to_reveal(world)
    with pytest.raises(InvalidParameter, match="80 to 125"):
        world.trainers[0].attest_factors(job, 1, {**FACTORS, 1: bad})
    words = [80 | bad << 8 | 125 << 16, *[0] * 7]
    with refused("factor_out_of_range"):
        raw(world.trainers[0], job, words)


def test_every_trainer_of_the_set_has_a_factor_and_nobody_else(world: World) -> None:
    job = to_reveal(world)
    with refused("factor_out_of_range"):
        world.trainers[0].attest_factors(job, 1, {0: 100, 2: 100})
    with refused("factor_of_nobody"):
        world.trainers[0].attest_factors(job, 1, {**FACTORS, 3: 100})
    with refused("factor_of_nobody"):
        raw(world.trainers[0], job, [*packed_factors(FACTORS)[:7], 100 << 248])  # a place of noise


def test_what_is_said_is_logged_with_the_stake_behind_it(world: World) -> None:
    job = to_reveal(world)
    world.trainers[0].attest_factors(job, 1, FACTORS)
    said = [event for event in world.admin.events(job) if isinstance(event, FactorsAttested)]
    assert [(event.trainer, event.stake) for event in said] == [(world.trainers[0].account, STAKE)]
    assert unpacked_factors(said[0].factors) == FACTORS


def test_ledgers_do_not_hear_each_other(world: World) -> None:
    """Whoever asks for a list names the ledger, and a list is kept by the ledger that its calls name."""
    job = to_reveal(world)
    for index in range(2):
        world.trainers[index].attest_factors(job, 1, FACTORS)
    contract = world.admin.connection.contract(
        compiled("contributions").abi, world.admin.parts["contributions"]
    )
    other = Web3.to_checksum_address(world.admin.bank)
    assert contract.functions.factors(other, job, 1).call() == [0] * 8
    assert world.admin.factors(job, 1) == FACTORS


def test_a_round_that_nobody_scores_has_no_factors(world: World) -> None:
    job = world.to_score()
    for index in range(3):
        world.trainers[index].contribute(job, 1, DIGEST)
    world.pass_deadline(job)
    assert set(paid(world, job).values()) == {ONE}
    assert discrepancies(world.admin.events(job)) == []


# ---- the rule ------------------------------------------------------------------------------------

STAKES = {0: 10, 1: 10, 2: 10, 4: 30}


@pytest.mark.parametrize(
    ("contributions", "expected"),
    [
        ({}, {}),
        ({0: 0, 1: -5}, {}),
        ({3: 7}, {}),
        ({0: 5}, {0: 100, 1: 80, 2: 80, 4: 80}),
        ({0: 1, 1: 2, 2: 3}, {0: 90, 1: 100, 2: 110, 4: 80}),
        ({0: 1, 1: 2, 2: 3, 4: 4}, {0: 86, 1: 93, 2: 100, 4: 106}),
        ({0: 1, 1: -2, 2: 10**60, 4: 4}, {0: 85, 1: 80, 2: 125, 4: 100}),
    ],
)
def test_percentages_by_hand(contributions: Mapping[int, int], expected: Mapping[int, int]) -> None:
    assert percents(contributions, STAKES, whole=0) == expected


def test_what_is_less_than_a_tenth_of_an_even_share_counts_as_nothing() -> None:
    assert percents({0: 9, 1: 400}, STAKES, whole=400) == {0: 80, 1: 100, 2: 80, 4: 80}
    assert percents({0: 10, 1: 400}, STAKES, whole=400) == {0: 100, 1: 125, 2: 80, 4: 80}
    assert percents({0: 9}, STAKES, whole=400) == {}


@given(
    st.dictionaries(st.integers(0, 245), st.integers(-(10**40), 10**40)),
    st.dictionaries(st.integers(0, 245), st.integers(1, 10**24), min_size=1),
    st.integers(1, 10**20),
    st.integers(0, 10**41),
)
def test_percentages_are_in_range_and_have_no_unit(
    contributions: dict[int, int], stakes: dict[int, int], unit: int, whole: int
) -> None:
    found = percents(contributions, stakes, whole)
    assert found == percents({i: unit * value for i, value in contributions.items()}, stakes, unit * whole)
    assert found.keys() in (stakes.keys(), set())
    assert all(80 <= percent <= 125 for percent in found.values())
    assert unpacked_factors(packed_factors(found)) == found


def test_factors_are_exact() -> None:
    assert [accuracy_factor(percent) for percent in (0, 80, 100, 125)] == [
        ONE,
        8 * ONE // 10,
        ONE,
        5 * ONE // 4,
    ]


@given(
    st.lists(st.tuples(st.sampled_from([80, 100, 125]), st.integers(1, 10)), min_size=1), st.integers(0, 9)
)
def test_at_most_one_list_is_decided(votes: list[tuple[int, int]], silent: int) -> None:
    total = silent + sum(stake for _, stake in votes)
    found = decided_factors(((packed_factors({0: percent}), stake) for percent, stake in votes), total)
    support = {p: sum(stake for percent, stake in votes if percent == p) for p in (80, 100, 125)}
    assert list(found.values()) == [p for p, stake in support.items() if 2 * stake > total]
