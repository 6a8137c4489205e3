"""Test slices: opened in time, by their keys, paid once, and nothing gained by keeping them back (§9.5)."""

from __future__ import annotations

import pytest
from tests.ledger.world import CHECKPOINT, FEE, World, refused

from zkpfl.crypto.merkle import keccak256
from zkpfl.ledger.client import JobStatus, Phase
from zkpfl.ledger.events import RoundClosed, SliceOpened
from zkpfl.ledger.reconciliation import discrepancies
from zkpfl.ledger.rules import FeeSplit, slice_due, slice_keys
from zkpfl.ledger.settlement import explain


def to_attest(world: World, job: int) -> None:
    world.collect(job)
    world.check(job)
    world.aggregate(job)


def play(world: World, job: int, accuracy: int) -> None:
    """A round from Collect to its end; opens the slice that is due."""
    to_attest(world, job)
    world.attest(job)
    world.score(job, dict.fromkeys(range(3), accuracy))


def attest_without_slice(world: World, job: int) -> None:
    round_ = world.round(job)
    signature = world.signature(job, round_.delivered, (1, 2))
    world.admin.attest(job, round_.number, b"\x03" * 32, round_.delivered, 0b011, signature)


def test_keys_are_a_chain_that_opens_forwards_only() -> None:
    keys = slice_keys(b"k" * 32, 4)
    assert keys[3] == b"k" * 32
    assert [keccak256(key) for key in keys[1:]] == keys[:3]


@pytest.mark.parametrize(
    ("slices", "rounds", "due"),
    [(1, 5, [0]), (5, 5, [0, 1, 2, 3, 4]), (2, 5, [0, 2]), (3, 7, [0, 2, 4]), (0, 3, [])],
)
def test_slices_are_spread_evenly_from_the_first_round_on(
    world: World, slices: int, rounds: int, due: list[int]
) -> None:
    terms, opened, found = world.terms(training_rounds=rounds, slices=slices), 0, []
    for trained in range(rounds):
        if slice_due(trained, opened, terms):
            found.append(trained)
            opened += 1
    assert found == due


def test_a_slice_opens_after_collect_by_its_key_and_once(world: World) -> None:
    job = world.start(training_rounds=2, slices=2)
    terms = world.state(job).terms
    first, second = (world.slice_key(terms, number) for number in (1, 2))
    with refused("wrong_phase"):  # a trainer could still fit its update to the slice
        world.owner.open_slice(job, 1, first)
    to_attest(world, job)
    with refused("wrong_round"):
        world.owner.open_slice(job, 2, first)
    for wrong in (second, bytes(32)):
        with refused("wrong_key"):
            world.owner.open_slice(job, 1, wrong)
    world.admin.open_slice(job, 1, first)  # by anyone who has the key
    with refused("already_opened"):
        world.owner.open_slice(job, 1, second)
    state = world.state(job)
    assert (state.slices_opened, state.slice_key) == (1, first)
    assert world.round(job).slice_opened
    attest_without_slice(world, job)
    with refused("wrong_phase"):
        world.owner.open_slice(job, 1, second)
    (event,) = (event for event in world.admin.events(job) if isinstance(event, SliceOpened))
    assert (event.round, event.number, event.key) == (1, 1, first)


def test_a_slice_that_is_not_due_stays_closed(world: World) -> None:
    job = world.start(training_rounds=3, slices=1)
    play(world, job, 600_000)
    to_attest(world, job)
    assert world.round(job).phase is Phase.ATTEST
    with refused("not_due"):
        world.owner.open_slice(job, 2, world.slice_key(world.state(job).terms, 1))


def test_a_statistics_round_opens_none(world: World) -> None:
    job = world.start(statistics=True, training_rounds=2)
    to_attest(world, job)
    with refused("not_due"):
        world.owner.open_slice(job, 1, world.slice_key(world.state(job).terms, 1))


def test_only_a_round_with_a_new_slice_pays_for_improvement(world: World) -> None:
    job = world.start(training_rounds=2, slices=1)
    play(world, job, 600_000)
    assert world.state(job).best == 600_000
    play(world, job, 800_000)  # on a slice that has been known for a round: says when to stop, pays nothing
    events = world.admin.events(job)
    first, second = explain(events).rounds
    split = FeeSplit.of(FEE, world.state(job).terms)
    assert {reward.improvement_pot for reward in first.rewards if reward.stake} == {split.improvement // 4}
    assert {reward.improvement_pot for reward in second.rewards} == {0}
    assert [event.improved for event in events if isinstance(event, RoundClosed)] == [True, False]
    assert world.state(job).best == 600_000
    assert discrepancies(events) == []


def test_a_seen_slice_still_stops_the_job(world: World) -> None:
    job = world.start(training_rounds=3, slices=1)
    play(world, job, 600_000)
    play(world, job, 900_000)
    assert world.state(job).status is JobStatus.DONE


def test_an_owner_gains_nothing_by_keeping_slices_back(world: World) -> None:
    """A griefing owner opens none: trainers are paid as if each slice had shown its share of improvement."""
    job = world.start(training_rounds=2, slices=2)
    for _ in range(2):
        to_attest(world, job)
        attest_without_slice(world, job)
        world.score(job, dict.fromkeys(range(3), 0))
    state, events = world.state(job), world.admin.events(job)
    split = FeeSplit.of(FEE, state.terms)
    assert state.status is JobStatus.DONE
    assert state.improvement_paid == split.improvement
    assert explain(events).refund is not None
    assert explain(events).refund < 100  # base units, of rounding
    assert discrepancies(events) == []


def test_what_is_paid_for_improvement_never_exceeds_its_pot(world: World) -> None:
    job = world.start(training_rounds=3, slices=3)
    play(world, job, 850_000)  # seven eighths of the way
    for _ in range(2):  # and two thirds for slices that stay closed
        to_attest(world, job)
        attest_without_slice(world, job)
        world.score(job, dict.fromkeys(range(3), 850_000))
    state = world.state(job)
    assert state.improvement_paid == FeeSplit.of(FEE, state.terms).improvement
    assert discrepancies(world.admin.events(job)) == []


def test_a_failed_round_uses_its_slice_up(world: World) -> None:
    """It has been seen, so it judges nothing that comes later; the owner is not made to pay for that."""
    job = world.start(training_rounds=1, slices=1)
    to_attest(world, job)
    world.open_slice(job)
    world.pass_deadline(job)  # nobody attests: the round fails
    to_attest(world, job)
    assert world.round(job).number == 2
    with refused("not_due"):
        world.owner.open_slice(job, 2, world.slice_key(world.state(job).terms, 1))
    attest_without_slice(world, job)
    world.score(job, dict.fromkeys(range(3), 800_000))
    state = world.state(job)
    assert (state.improvement_paid, state.best, state.status) == (0, 500_000, JobStatus.DONE)
    assert discrepancies(world.admin.events(job)) == []


# Who tries something


def test_a_zk_node_that_reports_nobody_is_outvoted(world: World) -> None:
    """The largest set that t others agree on counts, and the censor earns nothing for it."""
    job = world.to_check(training_rounds=1)
    world.check(job, {1: 0, 2: 0b111, 3: 0b111})
    assert world.round(job).accepted == 0b111
    assert not world.round(job).quorum & 1
    with refused("not_in_quorum"):
        world.nodes[0].post_aggregate(job, 1, b"\1" * 32, b"\2" * 32)
    world.aggregate(job)
    world.attest(job, signers=(2, 3))
    world.score(job, dict.fromkeys(range(3), 600_000))
    assert world.admin.owed(job, world.nodes[0].account) == 0
    assert world.admin.owed(job, world.nodes[1].account) > 0


def test_who_copies_a_commitment_root_gains_nothing(world: World) -> None:
    """A front-runner sends another's root first: both count, but shares under it only its author can sign."""
    job = world.start()
    world.trainers[1].submit(job, 1, b"\7" * 32, b"\2" * 32)
    world.trainers[0].submit(job, 1, b"\7" * 32, b"\2" * 32)
    assert world.round(job).submitted == 0b011
    world.collect(job, [2])
    world.check(job, {1: 0b101, 2: 0b101, 3: 0b101})  # the zk-nodes accept whose shares they have
    assert world.round(job).accepted == 0b101


def test_scores_are_hidden_until_nobody_can_follow_them(world: World) -> None:
    """Who scores last knows no other score: the events before Reveal have commitments only."""
    job = world.to_score()
    for index in range(3):
        world.commit(job, index, 700_000 + index)
    number = world.state(job).current_round
    assert world.admin.revealed_scores(job, number) == {}
    assert len(set(world.admin.score_commitments(job, number).values())) == 3
    world.trainers[2].reveal(job, number, CHECKPOINT, 700_002, b"\6" * 32)
    assert world.admin.revealed_scores(job, number) == {world.trainers[2].account: (CHECKPOINT, 700_002)}
