"""Commitments to rows of full-width scalars: seeded shares and masks."""

from __future__ import annotations

from pytest_benchmark.fixture import BenchmarkFixture

from benchmarks import material
from benchmarks.figures import Figure, Task
from benchmarks.peers import arkworks
from benchmarks.peers.native import Blst
from benchmarks.running import run_figure
from zkpfl.crypto.commitments import commit_rows
from zkpfl.crypto.points import POINT_BYTES, G1Array
from zkpfl.crypto.scalars import to_int

BLST_ROWS = 8


def rows(dimension: int) -> Task:
    """As many rows as the seeded share of a model has."""
    layout = material.layout(dimension)
    gens = material.gens(layout.columns)
    values = material.scalars(layout.packed_rows, layout.columns + 1)
    bases, some = G1Array.concatenate([gens.G, gens.H]), values[:BLST_ROWS]
    row_by_row = Blst("scalars", bases.encode(), len(some), some.tobytes())
    one_sum = Blst("one", bases.encode(), len(some), some.tobytes())
    (_, expected), (_, total) = row_by_row.run(), one_sum.run()
    scalars = some.size // 4

    def check(points: G1Array) -> None:
        assert points[: len(some)].encode() == expected

    return Task(
        work=values.size // 4,
        run=lambda: commit_rows(values, gens),
        check=check,
        peers={
            "blst row by row": row_by_row.peer(scalars, expected),
            "blst one big sum": one_sum.peer(scalars, total),
            "arkworks row by row": arkworks.commitments(bases, [to_int(some[0])], expected[:POINT_BYTES]),
        },
    )


FIGURES = (
    Figure("commit full-width scalars", "scalar", rows),
    Figure("commit full-width scalars, two threads", "scalar", rows, threads=2),
)


def test_rows(benchmark: BenchmarkFixture, figure: Figure) -> None:
    run_figure(benchmark, figure)
