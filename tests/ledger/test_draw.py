"""Committees drawn by stake from the hash of a later block (docs/spec.md §9.2)."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import chisquare
from tests.ledger.conftest import rpc
from tests.ledger.world import FEE, STAKE, World, refused

from zkpfl.crypto.merkle import keccak256
from zkpfl.ledger.client import DeploymentTerms, JobStatus, deploy
from zkpfl.ledger.events import CommitteeDrawn, JobEnded
from zkpfl.ledger.rules import draw


def weights(world: World, least: int = STAKE) -> list[int]:
    """Worth of each listed zk-node's stake, 0 where it is below ``least``."""
    records = [world.admin.node(account) for account in world.admin.nodes()]
    return [record.stake if record and record.stake >= least else 0 for record in records]


def drawn(world: World, job: int) -> CommitteeDrawn:
    (event,) = (event for event in world.admin.events(job) if isinstance(event, CommitteeDrawn))
    return event


def test_the_committee_is_the_one_that_anyone_can_compute(world: World) -> None:
    listed, weighed = world.admin.nodes(), weights(world)
    job = world.create(nodes=5)
    event, state = drawn(world, job), world.state(job)
    assert event.committee == state.committee == tuple(listed[i] for i in draw(event.seed, weighed, 5))
    assert len(set(state.committee)) == 5
    block = world.admin.connection._web3.eth.get_block(state.draw_block)
    contract = world.admin.contract.rjust(32, b"\0")
    assert event.seed == keccak256(bytes(block["hash"]) + contract + job.to_bytes(32, "big"))


def test_chances_go_by_stake_without_repetition() -> None:
    """Ten thousand first members, and all second members given the first, against the exact chances."""
    stakes = [500, 1000, 2500, 0, 6000]
    seats = np.array([draw(k.to_bytes(32, "big"), stakes, 2) for k in range(10_000)])
    assert not (seats == 3).any()
    assert (seats[:, 0] != seats[:, 1]).all()
    first = np.bincount(seats[:, 0], minlength=5)[[0, 1, 2, 4]]
    assert chisquare(first, 10_000 * np.array([500, 1000, 2500, 6000]) / 10_000).pvalue > 1e-4
    second = np.bincount(seats[seats[:, 0] == 4, 1], minlength=5)[[0, 1, 2]]
    assert chisquare(second, second.sum() * np.array([500, 1000, 2500]) / 4000).pvalue > 1e-4


def test_who_has_too_little_at_stake_is_not_drawn(world: World) -> None:
    poor = world.register_node(stake=STAKE)
    everyone = len(world.nodes) + 1
    enough = world.create(everyone)
    assert poor.account in world.state(enough).committee
    world.owner.cancel_job(enough)
    job = world.owner.create_job(world.terms(node_stake=2 * STAKE), everyone, FEE)
    world.admin.advance(job)
    assert world.state(job).status is JobStatus.FAILED  # without the poor one they are too few
    poor.unstake()


def test_a_job_that_finds_too_few_fails_and_refunds(world: World) -> None:
    job = world.owner.create_job(world.terms(node_stake=1000 * STAKE), 3, FEE)
    world.admin.advance(job)
    assert world.state(job).status is JobStatus.FAILED
    assert world.admin.owed(job, world.owner.account) == FEE  # the draw fee is gone
    assert isinstance(world.admin.events(job)[-1], JobEnded)


def test_nobody_joins_or_grants_before_the_draw_and_nobody_draws_twice(world: World) -> None:
    job = world.owner.create_job(world.terms(), 3, FEE)
    with refused("not_recruiting"):
        world.trainers[0].join(job)
    world.admin.advance(job)
    with refused("nothing_to_do"):
        world.admin.advance(job)


def test_an_owner_may_leave_before_the_draw_and_loses_the_draw_fee(world: World) -> None:
    burnt = world.burnt()
    job = world.owner.create_job(world.terms(), 3, FEE)
    world.owner.cancel_job(job)
    assert world.state(job).status is JobStatus.CANCELLED
    assert world.admin.owed(job, world.owner.account) == FEE
    assert world.burnt() - burnt == world.admin.draw_fee
    with refused("nothing_to_do"):
        world.admin.advance(job)


@pytest.fixture
def late(engine: str) -> World:
    """A ledger whose draws wait for two more blocks."""
    made = World(engine, nodes=0, trainers=0)
    made.admin = deploy(made.connect(), DeploymentTerms(draw_delay=2))
    made.owner = made.party()
    for _ in range(3):
        made.register_node()
    return made


def test_a_draw_waits_for_its_block_and_not_for_ever(late: World) -> None:
    jobs = [late.owner.create_job(late.terms(), 3, FEE) for _ in range(2)]
    state = late.state(jobs[1])
    assert state.draw_block == late.admin.block_number() + 2
    with refused("nothing_to_do"):
        late.admin.advance(jobs[1])
    while late.admin.block_number() < state.draw_block:
        late.admin.token.transfer(late.owner.account, 1)
    late.admin.advance(jobs[1])
    assert len(late.state(jobs[1]).committee) == 3
    while late.admin.block_number() <= late.state(jobs[0]).draw_block + 256:
        rpc(late.url, "evm_mine")
    late.admin.advance(jobs[0])  # its hash can be read no longer: it fails, and nobody gets another committee
    assert late.state(jobs[0]).status is JobStatus.FAILED
    assert late.admin.owed(jobs[0], late.owner.account) == FEE
    late.close()
