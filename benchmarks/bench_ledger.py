"""The embedded ledger: a job of ten trainers and twenty rounds, and the same after a thousand other jobs."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from zkpfl.ledger.embedded import EmbeddedLedger
from zkpfl.ledger.gas import CHAIN_ID, NOW, Stage
from zkpfl.ledger.records import JobStatus, Phase

NODES, THRESHOLD, TRAINERS, ROUNDS = 3, 2, 10, 20
JOBS = 1000


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedLedger]:
    path = tmp_path_factory.mktemp("chain") / "chain.db"
    with EmbeddedLedger(path, CHAIN_ID, clock=lambda: NOW) as made:
        yield made


@pytest.fixture(scope="module")
def stage(chain: EmbeddedLedger) -> Stage:
    return Stage(chain, NODES, THRESHOLD, TRAINERS)


def test_twenty_rounds_of_ten_trainers(stage: Stage, benchmark: BenchmarkFixture) -> None:
    """All that owner, trainers and zk-nodes write and read on the ledger, in one process."""
    job = stage.create(ROUNDS)
    benchmark.extra_info["rounds"] = ROUNDS
    benchmark.pedantic(lambda: [stage.play(job, number) for number in range(1, ROUNDS + 1)], rounds=1)  # type: ignore[no-untyped-call]
    assert stage.owner.job(job).status is JobStatus.DONE


@pytest.mark.parametrize("jobs", [0, JOBS])
def test_a_round_after_other_jobs(stage: Stage, benchmark: BenchmarkFixture, jobs: int) -> None:
    """A round, and what a job's events take to read: history is to slow down neither."""
    while stage.owner.job_count() < jobs:
        other = stage.owner.create_job(stage.terms(1), NODES)
        stage.owner.advance(other)
        stage.owner.cancel_job(other)
    job = stage.create(ROUNDS)
    numbers = iter(range(1, ROUNDS + 1))
    benchmark.extra_info["jobs"] = stage.owner.job_count()

    def play() -> None:
        stage.play(job, next(numbers))
        assert stage.owner.events(job)

    benchmark.pedantic(play, rounds=5)  # type: ignore[no-untyped-call]
    assert stage.owner.job(job).phase is Phase.COLLECT
