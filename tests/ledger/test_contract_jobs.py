"""Creating, joining, cancelling and failing jobs (docs/spec.md §9.2)."""

from __future__ import annotations

from dataclasses import astuple
from typing import Any

import pytest
from tests.ledger.world import FEE, MANIFEST, PHASE_S, ROOT, World, refused

from zkpfl.errors import InvalidParameter
from zkpfl.ledger.client import MPC, JobStatus, Phase
from zkpfl.ledger.events import (
    Claimed,
    CommitteeDrawn,
    JobCreated,
    JobEnded,
    Joined,
    KeysShared,
    Left,
    RoundStarted,
)


def test_a_job_shows_its_terms(world: World) -> None:
    terms = world.terms(statistics=True)
    before = world.held()
    number = world.owner.create_job(terms, 3, 150 * MPC)
    job = world.state(number)
    assert job.terms == terms
    assert (job.owner, job.coin, job.fee, job.escrow) == (world.owner.account, 0, 150 * MPC, 150 * MPC)
    assert (job.status, job.phase, job.current_round) == (JobStatus.DRAWING, Phase.NONE, 0)
    assert (job.committee, job.join_deadline) == ((), 0)
    assert (job.best, job.checkpoint, job.trainers) == (500_000, None, ())
    assert (job.slices_opened, job.slice_key) == (0, terms.slice_anchor)
    assert world.held() - before == 160 * MPC  # with the draw fee
    (created,) = world.admin.events(number)
    assert isinstance(created, JobCreated)
    assert (created.terms, created.nodes, created.fee) == (terms, 3, 150 * MPC)
    assert (created.worth, created.draw_fee) == (150 * MPC, 10 * MPC)
    world.draw(number)
    drawn = world.state(number)
    assert (drawn.status, len(drawn.committee)) == (JobStatus.RECRUITING, 3)
    assert drawn.phase_deadline == drawn.join_deadline


OUT_OF_RANGE: list[tuple[str, dict[int, Any]]] = [
    ("rounds_out_of_range", {0: 1001}),
    ("rounds_out_of_range", {0: 0}),
    ("target_out_of_range", {2: 1_000_001}),
    ("target_out_of_range", {3: 900_000}),
    ("threshold_out_of_range", {4: 1}),
    ("committee_size", {4: 3}),
    ("quorum_out_of_range", {5: 1}),
    ("quorum_out_of_range", {5: 5}),
    ("max_trainers_out_of_range", {6: 257}),
    ("duration_out_of_range", {7: (PHASE_S, PHASE_S, 0, PHASE_S, PHASE_S, PHASE_S, PHASE_S)}),
    ("duration_out_of_range", {7: (PHASE_S, 30 * 86400 + 1, 1, PHASE_S, PHASE_S, PHASE_S, PHASE_S)}),
    ("deadline_out_of_range", {8: 1}),
    ("deadline_out_of_range", {8: 1 << 60}),
    ("slices_out_of_range", {13: 3}),
    ("records_out_of_range", {14: 1 << 64}),
    ("stake_out_of_range", {16: 1 << 96}),
    ("stake_below_value_at_risk", {16: FEE // 2 - 1}),
    ("stake_below_value_at_risk", {17: FEE // 2 - 1}),
]


@pytest.mark.parametrize(("reason", "changes"), OUT_OF_RANGE)
def test_the_contract_checks_terms_itself(world: World, reason: str, changes: dict[int, Any]) -> None:
    values = [*astuple(world.terms())]
    for index, value in changes.items():
        values[index] = value
    world.owner._approve(0, 2 * FEE)
    with refused(reason):
        world.owner._write(world.owner._functions.create_job(tuple(values), 3, 0, FEE))


@pytest.mark.parametrize("fee", [0, FEE - 1, 1 << 96])
def test_the_contract_checks_the_fee_itself(world: World, fee: int) -> None:
    function = world.owner._functions.create_job(astuple(world.terms()), 3, 0, fee)
    with refused("fee_out_of_range"):
        world.owner.connection.call(function)


def test_an_owner_is_no_trainer_of_its_own_job(world: World) -> None:
    owner = world.trainers[0]
    job = owner.create_job(world.terms(), 3, FEE)
    world.draw(job)
    with refused("own_job"):
        owner.join(job)
    world.trainers[1].join(job)
    owner.cancel_job(job)


def test_joining_is_for_trainers_once_and_in_time(world: World) -> None:
    job = world.create()
    for stranger in (world.party(), world.nodes[0]):
        with refused("not_a_trainer"):
            stranger.join(job)
    world.trainers[0].join(job)
    with refused("already_joined"):
        world.trainers[0].join(job)
    with refused("nothing_to_do"):
        world.admin.advance(job)
    world.wait(PHASE_S)
    with refused("deadline_passed"):
        world.trainers[1].join(job)
    assert world.state(job).trainers == (world.trainers[0].account,)


def test_the_last_place_starts_the_first_round(world: World) -> None:
    job = world.start(trainers=3)
    state = world.state(job)
    assert (state.status, state.phase, state.current_round) == (JobStatus.RUNNING, Phase.COLLECT, 1)
    assert state.phase_deadline == world.round(job).collect_deadline
    kinds = [type(event) for event in world.admin.events(job)]
    assert kinds == [JobCreated, CommitteeDrawn, Joined, Joined, Joined, RoundStarted]
    with refused("full"):
        world.trainers[3].join(job)


def test_recruiting_ends_at_its_deadline_with_the_quorum(world: World) -> None:
    job = world.create()
    for trainer in world.trainers[:2]:
        trainer.join(job)
    world.pass_deadline(job)
    assert world.state(job).phase is Phase.COLLECT


def test_without_the_quorum_the_job_fails_and_refunds(world: World) -> None:
    job = world.create()
    world.trainers[0].join(job)
    world.pass_deadline(job)
    assert world.state(job).status is JobStatus.FAILED
    before = world.owner.token.balance(world.owner.account)
    with refused("challenge_window"):
        world.owner.claim(job)
    world.end(job)
    world.owner.claim(job)
    assert world.owner.token.balance(world.owner.account) - before == FEE
    with refused("nothing_owed"):
        world.owner.claim(job)
    with refused("nothing_to_do"):
        world.admin.advance(job)
    assert [type(event) for event in world.admin.events(job)][-2:] == [JobEnded, Claimed]


def test_the_owner_alone_cancels_and_only_while_recruiting(world: World) -> None:
    job = world.create()
    for stranger in (world.nodes[0], world.trainers[0], world.admin):
        with refused("not_owner"):
            stranger.cancel_job(job)
    with refused("job_not_ended"):
        world.owner.claim(job)
    world.owner.cancel_job(job)
    assert world.state(job).status is JobStatus.CANCELLED
    assert world.admin.owed(job, world.owner.account) == FEE
    with refused("not_recruiting"):
        world.owner.cancel_job(job)
    running = world.start()
    with refused("not_recruiting"):
        world.owner.cancel_job(running)


def test_the_owner_says_where_the_committee_finds_its_shares_of_the_keys(world: World) -> None:
    job = world.owner.create_job(world.terms(), 3)
    with refused("no_committee"):
        world.owner.share_keys(job, MANIFEST)
    world.draw(job)
    assert world.admin.key_shares(job) is None
    with refused("not_owner"):
        world.trainers[0].share_keys(job, MANIFEST)
    world.owner.share_keys(job, MANIFEST)
    assert world.admin.key_shares(job) == MANIFEST
    (shared,) = [event for event in world.admin.events(job) if isinstance(event, KeysShared)]
    assert shared.digest == MANIFEST
    world.owner.cancel_job(job)
    with refused("no_committee"):
        world.owner.share_keys(job, MANIFEST)


def serving(world: World, trainer: bytes) -> int:
    record = world.admin.trainer(trainer)
    assert record is not None
    return record.serving


def test_a_trainer_that_has_never_submitted_may_leave_with_its_stake(world: World) -> None:
    job = world.create(max_trainers=4)
    leaver, *others = world.trainers[:3]
    before = serving(world, leaver.account)
    for trainer in (leaver, *others):
        trainer.join(job)
    assert world.admin.has_trainer(job, leaver.account)
    assert serving(world, leaver.account) == before + 1
    leaver.leave(job)
    assert serving(world, leaver.account) == before
    assert not world.admin.has_trainer(job, leaver.account)
    assert world.state(job).trainers == (bytes(20), *(trainer.account for trainer in others))
    (left,) = [event for event in world.admin.events(job) if isinstance(event, Left)]
    assert left.trainer == leaver.account
    with refused("not_joined"):
        leaver.leave(job)
    with refused("left_before"):
        leaver.join(job)
    world.wait(PHASE_S)
    world.admin.advance(job)
    world.collect(job, [1, 2])  # nobody waits for who has left
    assert world.state(job).phase is Phase.CHECK
    assert world.round(job).submitted == 0b110
    with refused("has_submitted"):
        others[0].leave(job)
    with refused("not_joined"):
        leaver.submit(job, 1, ROOT, MANIFEST)


def test_who_leaves_a_job_is_freed_once(world: World) -> None:
    job = world.create(max_trainers=4)
    before = [serving(world, trainer.account) for trainer in world.trainers[:2]]
    for trainer in world.trainers[:2]:
        trainer.join(job)
    world.trainers[0].leave(job)
    world.owner.cancel_job(job)
    with refused("job_ended"):
        world.trainers[1].leave(job)
    assert [serving(world, trainer.account) for trainer in world.trainers[:2]] == before


def test_a_trainer_may_leave_while_the_job_runs_until_it_submits(world: World) -> None:
    job = world.start(3)
    world.trainers[2].leave(job)
    world.collect(job, [0, 1])
    assert world.state(job).phase is Phase.CHECK  # its absence was known
    world.wait(PHASE_S)
    world.admin.advance(job)  # too few reports
    assert world.round(job).members == 3
    world.collect(job, [0, 1])
    assert world.state(job).phase is Phase.CHECK


def test_who_joins_a_running_job_takes_part_from_the_next_round_on(world: World) -> None:
    job = world.create(max_trainers=4)
    for trainer in world.trainers[:2]:
        trainer.join(job)
    world.wait(PHASE_S)
    world.admin.advance(job)
    late = world.trainers[2]
    late.join(job)
    assert world.state(job).status is JobStatus.RUNNING
    assert world.round(job).members == 2
    with refused("joined_later"):
        late.submit(job, 1, ROOT, MANIFEST)
    world.collect(job, [0, 1])  # Collect does not wait for it
    assert world.state(job).phase is Phase.CHECK
    world.check(job)
    world.aggregate(job)
    world.attest(job)
    world.score(job, {0: 700_000, 1: 700_000})
    assert world.round(job).number == 2
    assert world.round(job).members == 3
    world.collect(job, [0, 1])
    assert world.state(job).phase is Phase.COLLECT
    world.collect(job, [2])
    assert world.state(job).phase is Phase.CHECK


def test_a_full_job_takes_nobody_even_if_a_seat_is_empty(world: World) -> None:
    job = world.start(3)
    world.trainers[2].leave(job)
    with refused("full"):
        world.trainers[3].join(job)


def test_a_job_that_does_not_exist_refuses_everything(world: World) -> None:
    job = world.admin.job_count() + 1
    with refused("unknown_job"):
        world.trainers[0].join(job)
    with refused("unknown_job"):
        world.admin.advance(job)
    with refused("not_owner"):
        world.owner.cancel_job(job)
    with refused("job_not_ended"):
        world.owner.claim(job)
    with refused("not_joined"):
        world.trainers[0].submit(job, 1, MANIFEST, MANIFEST)
    with refused("unknown_job"):
        world.admin._write(world.admin._functions.attest(job, 1, MANIFEST, 3, 3, bytes(128), b""))
    with pytest.raises(InvalidParameter, match="there is no job"):
        world.admin.job(job)
