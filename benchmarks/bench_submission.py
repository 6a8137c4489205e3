"""All that a trainer computes for one submission, but for training: what it may do before, and after."""

from __future__ import annotations

from pytest_benchmark.fixture import BenchmarkFixture

from benchmarks import material
from benchmarks.figures import Figure, Task
from benchmarks.running import run_figure
from benchmarks.simulation import Round
from zkpfl.crypto.encoding import encode_update
from zkpfl.protocol.trainer import PreparedSubmission, SeededShares, prepare_submission

TRAINERS = 2
SPARE = 3
"""Runs before the first check, which makes the seeded shares of another run: they are single use."""


def submitting(dimension: int) -> Task:
    """Encode, commit, share, seal and prove the norm: all that must wait for the model."""
    return _task(dimension, spare=SPARE)


def submitting_at_once(dimension: int) -> Task:
    """The same, and the seeded shares, which can be made while the model trains."""
    return _task(dimension, spare=0)


def _task(dimension: int, *, spare: int) -> Task:
    simulated = Round(dimension, TRAINERS)
    plan, account = simulated.plan, simulated.accounts[0]
    fixed_point, update = material.fixed_point(dimension), material.update(dimension)
    seeded = [SeededShares(plan) for _ in range(spare)]

    def run() -> PreparedSubmission:
        integers = encode_update(update, fixed_point, plan.rotation_seed, bytes(32))
        return prepare_submission(plan, account, integers, seeded.pop() if spare else None)

    def check(sent: PreparedSubmission) -> None:
        simulated.require_accepted(0, sent)
        if spare:
            seeded.append(SeededShares(plan))

    return Task(1, run, check)


FIGURES = (
    Figure("submit: encode, commit, share, seal, prove", "submission", submitting),
    Figure("submit, seeded shares included", "submission", submitting_at_once),
    Figure("submit, two threads", "submission", submitting, threads=2),
    Figure("submit, seeded shares included, two threads", "submission", submitting_at_once, threads=2),
)


def test_submission(benchmark: BenchmarkFixture, figure: Figure) -> None:
    run_figure(benchmark, figure)
