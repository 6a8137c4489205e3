"""Rewards by hand, by `explain` and by the contract agree to the unit (docs/spec.md §9.5)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.ledger.world import AGGREGATE, CHECKPOINT, EXACT, FEE, MANIFEST, PHASE_S, ROOT, STAKE, World

from zkpfl.errors import InvalidParameter
from zkpfl.ledger.client import MPC, Durations, JobStatus, JobTerms, RoundKind
from zkpfl.ledger.events import (
    AcceptedSetFixed,
    AggregatePosted,
    Attested,
    Contributed,
    Event,
    FactorsAttested,
    JobCreated,
    JobEnded,
    Joined,
    Reported,
    Rewarded,
    RoundClosed,
    RoundFailed,
    RoundStarted,
    Scored,
    Slashed,
    Submitted,
)
from zkpfl.ledger.reconciliation import discrepancies
from zkpfl.ledger.records import AccountRole
from zkpfl.ledger.rules import ONE, FeeSplit, lower_bound, time_factor, weight
from zkpfl.ledger.settlement import explain


def terms(**changes: object) -> JobTerms:
    made = JobTerms(
        training_rounds=2,
        statistics=True,
        target=900_000,
        baseline=500_000,
        threshold=2,
        quorum=2,
        max_trainers=4,
        durations=Durations(*[PHASE_S] * 7),
        deadline=10**9,
        manifest=MANIFEST,
        member_key=b"k" * 32,
        statistics_layout=0,
        training_layout=0,
        slices=2,
        slice_records=EXACT,
        slice_anchor=bytes(32),
        node_stake=STAKE,
        trainer_stake=STAKE,
    )
    return replace(made, **changes)  # type: ignore[arg-type]


# By hand


def test_a_fee_is_a_fifth_for_nodes_and_two_halves() -> None:
    assert FeeSplit.of(100 * MPC, terms()) == FeeSplit(20 * MPC, 40 * MPC, 40 * MPC, 3)
    assert FeeSplit.of(101, terms()) == FeeSplit(20, 41, 40, 3)
    assert FeeSplit.of(101, terms(training_rounds=0, slices=0)) == FeeSplit(20, 81, 0, 1)
    assert FeeSplit.of(101, terms(slice_records=99)) == FeeSplit(20, 81, 0, 3)
    assert FeeSplit.of(101, terms(slice_records=100)) == FeeSplit(20, 41, 40, 3)


def test_improvement_pays_up_to_the_target_and_never_twice() -> None:
    split = FeeSplit.of(100 * MPC, terms())
    assert split.improvement_pot(terms(), 500_000, 600_000) == 10 * MPC
    assert split.improvement_pot(terms(), 600_000, 1_000_000) == 30 * MPC
    assert split.improvement_pot(terms(), 600_000, 600_000) == 0
    assert split.improvement_pot(terms(), 600_000, 550_000) == 0


def test_the_lower_bound_is_two_standard_errors_below() -> None:
    assert lower_bound(800_000, 400) == 760_000  # √(0.8 · 0.2 / 400) = 0.02
    assert lower_bound(500_000, 100) == 400_000
    assert lower_bound(10_000, 100) == 0
    assert lower_bound(900_000, 99) == 0
    assert lower_bound(1_000_000, 100) == 1_000_000


SPLITS = st.lists(st.integers(500, 5000), min_size=2, max_size=5)


@given(
    whole=SPLITS,
    others=st.lists(st.tuples(st.integers(500, 5000), st.integers(90, 110)), min_size=1, max_size=6),
    time=st.integers(90, 110),
    accuracy=st.integers(80, 125),
    pot=st.integers(0, 10**24),
)
def test_splitting_one_trainer_into_several_never_pays_more(
    whole: list[int], others: list[tuple[int, int]], time: int, accuracy: int, pot: int
) -> None:
    """Whatever the factors and however the stake is divided; in whole MPC and in base units alike."""
    for unit in (1, MPC):
        factors = time * ONE // 100, accuracy * ONE // 100
        rest = sum(weight(stake * unit, factor * ONE // 100, ONE) for stake, factor in others)
        one = weight(sum(whole) * unit, *factors)
        parts = [weight(stake * unit, *factors) for stake in whole]
        together = pot * one // (rest + one)
        assert sum(pot * part // (rest + sum(parts)) for part in parts) <= together


def test_improvement_is_paid_once_it_is_significant(world: World) -> None:
    job = world.to_score(slice_records=400, fee=123 * MPC)
    world.score(job, dict.fromkeys(range(3), 800_000))
    assert world.state(job).best == 760_000
    world.collect(job)
    world.check(job)
    world.aggregate(job)
    world.attest(job)
    world.score(job, dict.fromkeys(range(3), 795_000))  # not surely better than what has been paid for
    events = world.admin.events(job)
    assert discrepancies(events) == []
    first, second = explain(events).rounds
    split = explain(events).split
    assert {r.improvement_pot for r in first.rewards if r.stake} == {split.improvement * 260 // 400}
    assert {r.improvement_pot for r in second.rewards} == {0}
    assert (first.bound, second.bound) == (760_000, lower_bound(795_000, 400))


def test_rewards_go_by_the_stake_at_joining(world: World) -> None:
    rich = world.register_trainer(3 * STAKE)
    job = world.create(max_trainers=3)
    for trainer in (*world.trainers[:2], rich):
        trainer.join(job)
    for trainer in (*world.trainers[:2], rich):
        trainer.submit(job, 1, ROOT, MANIFEST)
    world.check(job)
    world.aggregate(job)
    world.attest(job)
    world.pass_deadline(job)
    rewards = {r.account: r for r in explain(world.admin.events(job)).rounds[0].rewards}
    assert rewards[rich.account].weight > 2.5 * rewards[world.trainers[0].account].weight
    assert discrepancies(world.admin.events(job)) == []


def test_the_time_factor_falls_from_eleven_to_nine_tenths() -> None:
    assert time_factor(1000, 1000, 1100) == 11 * ONE // 10
    assert abs(time_factor(1050, 1000, 1100) - ONE) < ONE // 65535
    assert time_factor(1100, 1000, 1100) == 9 * ONE // 10


@given(opened=st.integers(0, 10**10), length=st.integers(1, 10**7), data=st.data())
def test_the_time_factor_is_in_range_and_never_rises(opened: int, length: int, data: st.DataObject) -> None:
    first = data.draw(st.integers(0, length))
    second = data.draw(st.integers(first, length))
    early, late = (time_factor(opened + t, opened, opened + length) for t in (first, second))
    assert 9 * ONE // 10 <= late <= early <= 11 * ONE // 10


# A job played on the contract


@pytest.fixture(scope="module")
def played(world: World) -> list[Event]:
    """Statistics, a failed round, and two scored ones; a slash, an invalid post, late submitters, a claim."""
    job = world.start(statistics=True, fee=123 * MPC + 7)
    world.collect(job)
    world.check(job)
    world.aggregate(job, [1, 2])
    world.pass_deadline(job)
    world.attest(job)
    world.pass_deadline(job)  # nobody submits: a round fails
    world.collect(job, [0])
    world.wait(PHASE_S // 3)
    world.collect(job, [1, 2])
    world.check(job, {1: 0b011, 2: 0b111, 3: 0b011})
    world.aggregate(job)
    world.attest(job, valid=0b101, signers=(1, 3))
    world.score(job, {0: 612_345, 1: 700_001})
    world.collect(job)
    world.check(job)
    world.aggregate(job)
    world.attest(job)
    for index, accuracy in enumerate((950_000, 950_000, 999_999)):
        checkpoint = CHECKPOINT if index == 2 else ROOT
        world.trainers[index].contribute(job, world.state(job).current_round, MANIFEST)
        world.commit(job, index, accuracy, checkpoint)
        world.pending.setdefault(job, []).append((index, checkpoint, accuracy))
    for index, factors in enumerate(({0: 90, 1: 110, 2: 80}, {0: 90, 1: 110, 2: 80}, {0: 80, 1: 80, 2: 125})):
        world.trainers[index].attest_factors(job, world.state(job).current_round, factors)
    world.reveal(job)
    assert world.state(job).status is JobStatus.DONE
    world.end(job)
    world.trainers[0].claim(job)
    return world.admin.events(job)


def test_the_contract_pays_what_explain_computes(world: World, played: list[Event]) -> None:
    settlement = explain(played)
    assert discrepancies(played) == []
    claimed = world.trainers[0].account
    for party in (world.owner, *world.nodes, *world.trainers):
        expected = 0 if party.account == claimed else settlement.owed(party.account)
        assert world.admin.owed(settlement.job, party.account) == expected
    assert [result.closed for result in settlement.rounds] == [True, False, True, True]
    assert [result.kind for result in settlement.rounds] == [RoundKind.STATISTICS] * 1 + [
        RoundKind.TRAINING
    ] * 3
    assert settlement.rounds[1].failure == "too_few_submissions"
    assert [slash.node for slash in settlement.slashes] == [world.nodes[2].account]


def test_the_terms_of_a_reward_have_names(world: World, played: list[Event]) -> None:
    settlement = explain(played)
    split, third = settlement.split, settlement.rounds[2]
    assert (third.accuracy, third.checkpoint) == (612_345, CHECKPOINT)
    nodes = [reward for reward in third.rewards if reward.role is AccountRole.NODE]
    assert [reward.account for reward in nodes] == [world.nodes[0].account, world.nodes[2].account]
    assert {reward.amount for reward in nodes} == {split.nodes // 3 // 2}
    trainers = [reward for reward in third.rewards if reward.role is AccountRole.TRAINER]
    assert [reward.account for reward in trainers] == [trainer.account for trainer in world.trainers[:2]]
    assert {reward.flat_pot for reward in trainers} == {split.flat // 3}
    assert {reward.improvement_pot for reward in trainers} == {split.improvement * 112_345 // 400_000}
    assert trainers[0].time_factor > trainers[1].time_factor
    assert sum(reward.weight for reward in trainers) == trainers[0].total_weight
    assert settlement.best == 950_000


def test_fee_and_slashes_are_rewards_and_refund(played: list[Event]) -> None:
    settlement = explain(played)
    rewarded = sum(reward.amount for reward in settlement.rewards)
    assert settlement.refund is not None
    assert settlement.fee == rewarded + settlement.refund
    assert settlement.owed(settlement.owner) == settlement.refund + sum(s.amount for s in settlement.slashes)


Change = Callable[[Event], Event]
TAMPERED: list[tuple[type[Event], Change, str]] = [
    (Rewarded, lambda e: replace(e, amount=e.amount + 1), "reward of"),  # type: ignore[attr-defined,call-arg]
    (Slashed, lambda e: replace(e, amount=e.amount - 1), "slash of"),  # type: ignore[attr-defined,call-arg]
    (Slashed, lambda e: replace(e, node=b"\x07" * 20), "slash of"),  # type: ignore[call-arg]
    (AcceptedSetFixed, lambda e: replace(e, accepted=0b11), "accepted set"),  # type: ignore[call-arg]
    (RoundClosed, lambda e: replace(e, accuracy=1), "checkpoint and accuracy"),  # type: ignore[call-arg]
    (JobEnded, lambda e: replace(e, refund=0), "refund"),  # type: ignore[call-arg]
    (JobEnded, lambda e: replace(e, status=JobStatus.FAILED), "ended as failed"),  # type: ignore[call-arg]
    (Submitted, lambda e: replace(e, time=e.time + 9), "reward of"),  # type: ignore[attr-defined,call-arg]
    (Reported, lambda e: replace(e, accepted=0b11), "accepted set"),  # type: ignore[call-arg]
    (Attested, lambda e: replace(e, valid=0b10), "reward of"),  # type: ignore[call-arg]
    (FactorsAttested, lambda e: replace(e, factors=(80, *e.factors[1:])), "reward of"),  # type: ignore[attr-defined,call-arg]
]


@pytest.mark.parametrize(("kind", "change", "place"), TAMPERED)
def test_a_changed_event_is_found(played: list[Event], kind: type[Event], change: Change, place: str) -> None:
    index = next(i for i, event in enumerate(played) if isinstance(event, kind))
    changed = [*played[:index], change(played[index]), *played[index + 1 :]]
    assert any(place in line for line in discrepancies(changed))


@pytest.mark.parametrize("kind", [Rewarded, Slashed, AcceptedSetFixed, FactorsAttested])
def test_a_missing_event_is_found(played: list[Event], kind: type[Event]) -> None:
    index = next(i for i, event in enumerate(played) if isinstance(event, kind))
    assert discrepancies([*played[:index], *played[index + 1 :]])


def test_events_of_no_job_are_refused(played: list[Event]) -> None:
    for events in ([], [event for event in played if not isinstance(event, JobCreated)], played + played[:1]):
        with pytest.raises(InvalidParameter):
            explain(events)


def test_every_kind_of_event_occurs(played: list[Event]) -> None:
    kinds = {
        Joined,
        RoundStarted,
        AggregatePosted,
        RoundFailed,
        Contributed,
        Scored,
        *(kind for kind, _, _ in TAMPERED),
    }
    assert kinds <= {type(event) for event in played}
    attested = [event for event in played if isinstance(event, Attested)]
    assert {event.aggregate_root for event in attested} == {AGGREGATE}


def test_an_unfinished_job_is_explained_so_far(world: World) -> None:
    job = world.to_score()
    settlement = explain(world.admin.events(job))
    assert (settlement.status, settlement.refund, settlement.escrow) == (None, None, FEE)
    assert settlement.owed(world.owner.account) == 0
    assert discrepancies(world.admin.events(job)) == []
