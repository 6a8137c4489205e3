"""The contribution proof: what a trainer pays to make one, and everybody to check those of a round.

The sum is that of ten trainers, measured without two public updates of earlier rounds, as in the middle of
a job. Who checks has the lane commitments and the sum already: decoded, and hashed once a round.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray
from pytest_benchmark.fixture import BenchmarkFixture

from benchmarks import material
from benchmarks.figures import Figure, Task
from benchmarks.running import run_figure
from zkpfl.crypto.commitments import commit_lanes
from zkpfl.crypto.generators import Generators
from zkpfl.crypto.points import G1Array
from zkpfl.crypto.proofs.contribution import (
    Direction,
    Statement,
    Witness,
    proof_bytes,
    prove,
    verify,
    verify_batch,
)
from zkpfl.crypto.transcript import Context

TRAINERS, PUBLIC = 10, 2
CONTEXT = Context(1, bytes(20), job=1, round=3)


def proving(dimension: int) -> Task:
    """One proof by a trainer, whose generators have their tables from earlier rounds."""
    statement, witness, gens = _case(dimension)
    for _ in range(10):
        prove(statement, witness, gens)

    def check(proof: bytes) -> None:
        assert len(proof) == proof_bytes(len(statement.commitments), gens.columns)
        assert verify(statement, proof, gens)

    return Task(1, lambda: prove(statement, witness, gens), check)


def verifying(dimension: int) -> Task:
    """One verification; a proof of something else must not pass."""
    statement, witness, gens = _case(dimension)
    proof = prove(statement, witness, gens)
    assert not verify(_statement(dimension, statement.commitments, trainer=1), proof, gens)

    def check(valid: bool) -> None:
        assert valid

    return Task(1, lambda: verify(statement, proof, gens), check)


def verifying_batch(dimension: int) -> Task:
    """The proofs of a round; a wrong one among others is found."""
    statement, witness, gens = _case(dimension)
    statements = [_statement(dimension, statement.commitments, trainer) for trainer in range(TRAINERS)]
    proofs = [prove(each, witness, gens) for each in statements]
    assert verify_batch(statements[:2], [proofs[0], proofs[2]], gens) == (1,)

    def check(failing: tuple[int, ...]) -> None:
        assert failing == ()

    return Task(TRAINERS, lambda: verify_batch(statements, proofs, gens), check)


def directing(dimension: int) -> Task:
    """What is public of a round, made once by everybody who proves or checks: inner products and hashes."""
    total, public = _round(dimension)
    bound = material.layout(dimension).norm_bound

    def run() -> Direction:
        direction = Direction.of(total, public, bound)
        _ = direction.digests
        return direction

    def check(direction: Direction) -> None:
        assert direction.denominator > 1
        assert direction.contribution(public[0]) == 0

    return Task(1, run, check)


@cache
def _case(dimension: int) -> tuple[Statement, Witness, Generators]:
    layout = material.layout(dimension)
    gens = material.gens(layout.columns)
    values, blindings = material.encoded(dimension, 12, PUBLIC), material.scalars(layout.lane_rows)
    points = commit_lanes(values, blindings, layout, gens)
    return _statement(dimension, points), Witness(values, blindings), gens


def _statement(dimension: int, points: G1Array, trainer: int = 0) -> Statement:
    address = trainer.to_bytes(20, "big")
    direction, value = _direction(dimension)
    return Statement.of(CONTEXT, address, bytes(32), material.layout(dimension), points, direction, value)


@cache
def _direction(dimension: int) -> tuple[Direction, int]:
    """The direction, and what the first of the ten contributes."""
    direction = Direction.of(*_round(dimension), material.layout(dimension).norm_bound)
    return direction, direction.contribution(material.encoded(dimension, 12, PUBLIC))


@cache
def _round(dimension: int) -> tuple[NDArray[np.int64], list[NDArray[np.int16]]]:
    """The sum of ten updates, int64 [d], and the public ones."""
    updates = [material.encoded(dimension, 12, seed) for seed in range(PUBLIC + TRAINERS)]
    return np.sum(updates[PUBLIC:], axis=0, dtype=np.int64), updates[:PUBLIC]


FIGURES = (
    Figure("prove a contribution", "proof", proving),
    Figure("verify a contribution", "proof", verifying),
    Figure("verify contributions in a batch of 10", "proof", verifying_batch),
    Figure("measure along what contributions count", "round", directing),
    Figure("prove a contribution, two threads", "proof", proving, threads=2),
    Figure("verify a contribution, two threads", "proof", verifying, threads=2),
    Figure("verify contributions in a batch of 10, two threads", "proof", verifying_batch, threads=2),
)


def test_contribution_proof(benchmark: BenchmarkFixture, figure: Figure) -> None:
    run_figure(benchmark, figure)
