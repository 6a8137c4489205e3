"""Commitments to small integers: lane rows."""

from __future__ import annotations

from functools import partial

import numpy as np
from numpy.typing import NDArray
from pytest_benchmark.fixture import BenchmarkFixture

from benchmarks import material
from benchmarks.figures import Figure, Task
from benchmarks.peers import arkworks
from benchmarks.peers.native import Blst, arithmetic_floor
from benchmarks.running import run_figure
from zkpfl.crypto.commitments import commit_lanes
from zkpfl.crypto.points import POINT_BYTES, G1Array

BLST_ROWS = 64
ARKWORKS_ROWS = 4


def commit(dimension: int, value_bits: int) -> Task:
    """Integers over the whole range of their bits: the hardest."""
    return _commit(material.integers(dimension, value_bits), value_bits)


def commit_update(dimension: int, value_bits: int) -> Task:
    """An encoded update: most integers are much smaller than the range."""
    return _commit(material.encoded(dimension, value_bits), value_bits)


def _commit(values: NDArray[np.int16], value_bits: int) -> Task:
    """Under zero blindings, so that the peers compute the same points."""
    layout = material.layout(len(values), value_bits)
    gens = material.gens(layout.columns)
    blindings = np.zeros((layout.lane_rows, 4), dtype=np.uint64)
    rows = values.reshape(-1, layout.columns)[:BLST_ROWS]
    blst = Blst("values", gens.G.encode(), len(rows), rows.tobytes())
    _, expected = blst.run()

    def check(points: G1Array) -> None:
        assert points[: len(rows)].encode() == expected

    few = rows[:ARKWORKS_ROWS].tolist()
    return Task(
        work=len(values),
        run=lambda: commit_lanes(values, blindings, layout, gens),
        check=check,
        peers={
            "arithmetic floor": arithmetic_floor(layout.columns, value_bits, len(values)),
            "blst row by row": blst.peer(rows.size, expected),
            "arkworks row by row": arkworks.commitments(gens.G, few, expected[: POINT_BYTES * len(few)]),
        },
    )


FIGURES = (
    Figure("commit 16-bit values", "value", partial(commit, value_bits=16)),
    Figure("commit 12-bit values", "value", partial(commit, value_bits=12)),
    Figure("commit 8-bit values", "value", partial(commit, value_bits=8)),
    Figure("commit a 12-bit update", "value", partial(commit_update, value_bits=12)),
    Figure("commit 12-bit values, two threads", "value", partial(commit, value_bits=12), threads=2),
)


def test_commit(benchmark: BenchmarkFixture, figure: Figure) -> None:
    run_figure(benchmark, figure)
