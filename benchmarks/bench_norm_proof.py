"""The norm proof: what a trainer pays to make one, and a zk-node to check one, alone and among others."""

from __future__ import annotations

from functools import cache

from pytest_benchmark.fixture import BenchmarkFixture

from benchmarks import material
from benchmarks.figures import Figure, Task
from benchmarks.running import run_figure
from zkpfl.crypto.commitments import commit_lanes
from zkpfl.crypto.generators import Generators
from zkpfl.crypto.points import G1Array, decode_points
from zkpfl.crypto.proofs.norm import Statement, Witness, proof_bytes, prove, verify, verify_batch
from zkpfl.crypto.transcript import Context

BATCH = 32
CONTEXT = Context(1, bytes(20), job=1, round=1)


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
    """One verification, the lane commitments decoded too; a proof of something else must not pass."""
    statement, witness, gens = _case(dimension)
    proof, wire = prove(statement, witness, gens), statement.commitments.encode()
    assert not verify(_statement(dimension, statement.commitments, trainer=1), proof, gens)

    def run() -> bool:
        points = decode_points(wire, len(statement.commitments))
        return verify(_statement(dimension, points), proof, gens)

    def check(valid: bool) -> None:
        assert valid

    return Task(1, run, check)


def verifying_batch(dimension: int) -> Task:
    """Proofs of as many trainers, their lane commitments decoded together; the last is wrong in the check."""
    statement, witness, gens = _case(dimension)
    statements = [_statement(dimension, statement.commitments, trainer) for trainer in range(BATCH)]
    proofs = [prove(each, witness, gens) for each in statements]
    rows = len(statement.commitments)
    wire = statement.commitments.encode() * BATCH

    def run() -> tuple[int, ...]:
        points = decode_points(wire, BATCH * rows)
        decoded = [
            _statement(dimension, points[trainer * rows : (trainer + 1) * rows], trainer)
            for trainer in range(BATCH)
        ]
        return verify_batch(decoded, proofs, gens)

    def check(failing: tuple[int, ...]) -> None:
        assert failing == ()

    assert verify_batch(statements[:2], [proofs[0], proofs[2]], gens) == (1,)
    return Task(BATCH, run, check)


@cache
def _case(dimension: int) -> tuple[Statement, Witness, Generators]:
    layout = material.layout(dimension)
    gens = material.gens(layout.columns)
    values, blindings = material.encoded(dimension, 12), material.scalars(layout.lane_rows)
    points = commit_lanes(values, blindings, layout, gens)
    return _statement(dimension, points), Witness(values, blindings), gens


def _statement(dimension: int, points: G1Array, trainer: int = 0) -> Statement:
    address = trainer.to_bytes(20, "big")
    return Statement.of(CONTEXT, address, bytes(32), material.layout(dimension), points)


FIGURES = (
    Figure("prove a norm", "proof", proving),
    Figure("verify a norm", "proof", verifying),
    Figure("verify norms in a batch of 32", "proof", verifying_batch),
    Figure("prove a norm, two threads", "proof", proving, threads=2),
    Figure("verify a norm, two threads", "proof", verifying, threads=2),
    Figure("verify norms in a batch of 32, two threads", "proof", verifying_batch, threads=2),
)


def test_norm_proof(benchmark: BenchmarkFixture, figure: Figure) -> None:
    run_figure(benchmark, figure)
