"""The aggregation proof: its time hardly depends on the model."""

from __future__ import annotations

from pytest_benchmark.fixture import BenchmarkFixture

from benchmarks import material
from benchmarks.figures import Figure, Task
from benchmarks.running import run_figure
from zkpfl.crypto.commitments import commit_rows
from zkpfl.crypto.generators import Generators
from zkpfl.crypto.points import G1Array
from zkpfl.crypto.proofs.aggregation import Statement, Witness, prove, verify
from zkpfl.crypto.proofs.folding import proof_bytes
from zkpfl.crypto.transcript import Context


def proving(dimension: int) -> Task:
    """One proof by a zk-node."""
    statement, witness, gens = _case(dimension)

    def check(proof: bytes) -> None:
        assert len(proof) == proof_bytes(gens.columns)
        assert verify(statement, proof, gens)

    return Task(1, lambda: prove(statement, witness, gens), check)


def verifying(dimension: int) -> Task:
    """One verification by anybody; a proof of something else must not pass."""
    statement, witness, gens = _case(dimension)
    proof = prove(statement, witness, gens)
    assert not verify(_statement(statement.F, node=2), proof, gens)

    def check(valid: bool) -> None:
        assert valid

    return Task(1, lambda: verify(statement, proof, gens), check)


def _case(dimension: int) -> tuple[Statement, Witness, Generators]:
    layout = material.layout(dimension)
    gens = material.gens(layout.columns)
    rows = material.scalars(layout.packed_rows, layout.columns + 1)
    return _statement(commit_rows(rows, gens), node=1), Witness(rows), gens


def _statement(sums: G1Array, node: int) -> Statement:
    context = Context(1, bytes(20), job=1, round=1)
    return Statement(
        context=context,
        node=node,
        node_address=bytes(20),
        accepted=0b11,
        commitment_roots=(bytes(32), bytes(32)),
        aggregate_root=bytes(32),
        share_root=bytes(32),
        blob_hash=bytes(32),
        F=sums,
    )


FIGURES = (
    Figure("prove an aggregate", "proof", proving),
    Figure("verify an aggregate", "proof", verifying),
    Figure("prove an aggregate, two threads", "proof", proving, threads=2),
)


def test_aggregation(benchmark: BenchmarkFixture, figure: Figure) -> None:
    run_figure(benchmark, figure)
