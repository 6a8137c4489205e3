"""Jobs in which the committee brings noise: who submits it, what a round needs (docs/spec.md §8.2, §9)."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.ledger.world import MANIFEST, ROOT, World, refused

from zkpfl.errors import InvalidParameter
from zkpfl.ledger.client import JobStatus, Phase
from zkpfl.ledger.events import RoundFailed
from zkpfl.ledger.reconciliation import discrepancies
from zkpfl.ledger.records import MAX_NODES, AccountRole
from zkpfl.ledger.settlement import explain
from zkpfl.params import FIRST_NOISE


def bring_noise(world: World, job: int, nodes: tuple[int, ...] = (1, 2, 3)) -> None:
    number = world.state(job).current_round
    for node in nodes:
        world.nodes[node - 1].submit(job, number, ROOT, MANIFEST)


def noise_of(*nodes: int) -> int:
    return sum(1 << (FIRST_NOISE + node - 1) for node in nodes)


def to_check(world: World, nodes: tuple[int, ...] = (1, 2, 3), **changes: object) -> int:
    """A job in Check of its first round, with the noise of these nodes."""
    job = world.start(noise_quorum=2, **changes)
    bring_noise(world, job, nodes)
    world.collect(job)
    if world.round(job).phase is Phase.COLLECT:
        world.pass_deadline(job)
    return job


def test_noise_has_its_own_places_and_collect_waits_for_it(world: World) -> None:
    job = world.start(noise_quorum=2)
    world.collect(job)
    assert world.round(job).phase is Phase.COLLECT
    bring_noise(world, job)
    assert world.round(job).phase is Phase.CHECK
    assert world.round(job).submitted == 0b111 | noise_of(1, 2, 3)
    assert sorted(world.admin.submissions(job, 1)) == [0, 1, 2, FIRST_NOISE, FIRST_NOISE + 1, FIRST_NOISE + 2]
    assert [world.state(job).submitter(world.nodes[j].account) for j in range(3)] == [
        FIRST_NOISE + j for j in range(3)
    ]


def test_only_the_committee_brings_noise_and_each_member_once(world: World) -> None:
    job = world.start(noise_quorum=2)
    bring_noise(world, job, (1,))
    with refused("already_submitted"):
        bring_noise(world, job, (1,))
    with refused("not_joined"):
        bring_noise(world, job, (4,))


def test_without_a_noise_quorum_the_committee_submits_nothing(world: World) -> None:
    job = world.start()
    with refused("not_joined"):
        bring_noise(world, job, (1,))
    assert world.state(job).submitter(world.nodes[0].account) is None


def test_too_little_noise_fails_the_round_whatever_the_trainers_did(world: World) -> None:
    job = to_check(world, nodes=(1,))
    assert world.state(job).current_round == 2
    failed = [event for event in world.admin.events(job) if isinstance(event, RoundFailed)]
    assert [event.reason for event in failed] == ["too_few_submissions"]


def test_noise_does_not_count_as_trainers(world: World) -> None:
    job = world.start(noise_quorum=2, quorum=3)
    bring_noise(world, job)
    world.collect(job, [0, 1])
    world.pass_deadline(job)
    assert world.state(job).current_round == 2


def test_too_little_accepted_noise_fails_the_round(world: World) -> None:
    job = to_check(world)
    world.check(job, dict.fromkeys((1, 2, 3), 0b111 | noise_of(2)))
    failed = [event for event in world.admin.events(job) if isinstance(event, RoundFailed)]
    assert [event.reason for event in failed] == ["too_few_accepted"]


def test_accepted_noise_neither_hides_trainers_nor_stands_in_for_them(world: World) -> None:
    job = to_check(world, quorum=2)
    world.check(job, dict.fromkeys((1, 2, 3), 0b1 | noise_of(1, 2, 3)))
    assert world.state(job).failures == 1


def test_who_is_late_with_noise_once_is_not_waited_for(world: World) -> None:
    job = to_check(world, nodes=(1, 3))
    assert world.state(job).absent_trainers == noise_of(2)
    assert world.round(job).phase is Phase.CHECK
    world.check(job)
    assert world.round(job).accepted == 0b111 | noise_of(1, 3)
    assert world.round(job).accepted_trainers == 0b111


def test_noise_is_neither_scored_nor_rewarded(world: World) -> None:
    job = to_check(world, training_rounds=1)
    world.check(job)
    world.aggregate(job)
    world.attest(job)
    with refused("not_accepted"):
        world.nodes[0].score(job, 1, b"c" * 32)
    world.score(job, dict.fromkeys(range(3), 800_000))
    assert world.state(job).status is JobStatus.DONE
    events = world.admin.events(job)
    assert discrepancies(events) == []
    paid = [reward.account for reward in explain(events).rewards if reward.role is AccountRole.TRAINER]
    assert paid == [trainer.account for trainer in world.trainers[:3]]
    assert world.held() == world.promised()


def test_the_committee_cannot_leave_as_trainers_do(world: World) -> None:
    job = world.start(noise_quorum=2)
    before = world.admin.node(world.nodes[0].account)
    with refused("in_committee"):
        world.nodes[0].leave(job)
    assert world.admin.node(world.nodes[0].account) == before


def jobs_served(world: World) -> list[int]:
    """In how many unfinished jobs the stakes of committee and trainers are bound."""
    nodes = [world.admin.node(node.account) for node in world.nodes[:3]]
    trainers = [world.admin.trainer(trainer.account) for trainer in world.trainers[:3]]
    return [record.serving for record in (*nodes, *trainers) if record]


def test_stakes_of_all_are_free_after_the_job(world: World) -> None:
    job = to_check(world, training_rounds=1)
    before = jobs_served(world)
    world.check(job)
    world.aggregate(job)
    world.attest(job)
    world.score(job, dict.fromkeys(range(3), 800_000))
    assert jobs_served(world) == [count - 1 for count in before]


def test_who_joins_later_takes_part_in_the_next_round_only(world: World) -> None:
    job = world.create(max_trainers=4, noise_quorum=2)
    for trainer in world.trainers[:3]:
        trainer.join(job)
    world.pass_deadline(job)
    world.trainers[3].join(job)
    with refused("joined_later"):
        world.trainers[3].submit(job, 1, ROOT, MANIFEST)


@pytest.mark.parametrize(
    ("reason", "changes"),
    [
        ("noise_quorum_out_of_range", {"noise_quorum": 1}),
        ("noise_quorum_out_of_range", {"noise_quorum": 4}),
        ("exact_statistics_with_noise", {"noise_quorum": 2, "statistics": True}),
        ("max_trainers_out_of_range", {"noise_quorum": 2, "max_trainers": 247}),
    ],
)
def test_terms_that_noise_does_not_allow(world: World, reason: str, changes: dict[str, object]) -> None:
    with refused(reason):
        create_unchecked(world, **changes)


def create_unchecked(world: World, **changes: object) -> int:
    """Ask the contract for terms that the client refuses, too."""
    terms = world.terms()
    for name, value in changes.items():
        object.__setattr__(terms, name, value)
    return world.owner.create_job(terms, 3)


@pytest.mark.parametrize(
    "changes", [{"noise_quorum": 1}, {"noise_quorum": MAX_NODES + 1}, {"max_trainers": 247}]
)
def test_the_client_refuses_such_terms_first(world: World, changes: dict[str, object]) -> None:
    terms = world.terms()
    with pytest.raises(InvalidParameter):
        replace(terms, **({"noise_quorum": 2} | changes))  # type: ignore[arg-type]
