"""Points from peers: decoding with the check of the subgroup; sums with public weights."""

from __future__ import annotations

from pytest_benchmark.fixture import BenchmarkFixture

from benchmarks import material
from benchmarks.figures import Figure, Task
from benchmarks.peers import arkworks
from benchmarks.peers.native import Blst
from benchmarks.running import run_figure
from zkpfl.crypto.points import POINT_BYTES, G1Array, decode_points, msm
from zkpfl.crypto.scalars import random_short, to_int

ARKWORKS_POINTS = 256


def decode(dimension: int) -> Task:
    """As many points as a submission to a committee with threshold 2 has."""
    layout = material.layout(dimension)
    count = layout.lane_rows + layout.packed_rows
    points = material.points(count)
    wire = points.encode()

    def check(decoded: G1Array) -> None:
        assert decoded == points

    return Task(
        work=count,
        run=lambda: decode_points(wire, count),
        check=check,
        peers={
            "blst point by point": Blst("decode", wire).peer(count, b""),
            "arkworks point by point": arkworks.decoding(wire[: POINT_BYTES * ARKWORKS_POINTS]),
        },
    )


def short_sum(dimension: int) -> Task:
    """The weighted sum of row commitments in a check of shares: 128-bit weights."""
    points = material.points(material.layout(dimension).lane_rows)
    weights = random_short(len(points))
    blst = Blst("scalars", points.encode(), 1, weights.tobytes())
    _, expected = blst.run()

    def check(total: G1Array) -> None:
        assert total.encode() == expected

    return Task(
        work=len(points),
        run=lambda: msm(points, weights),
        check=check,
        peers={
            "blst, 255 bits": blst.peer(len(points), expected),
            "arkworks": arkworks.commitments(points, [to_int(weights)], expected),
        },
    )


FIGURES = (
    Figure("decode points", "point", decode),
    Figure("decode points, two threads", "point", decode, threads=2),
    Figure("sum of points with 128-bit weights", "point", short_sum),
)


def test_points(benchmark: BenchmarkFixture, figure: Figure) -> None:
    run_figure(benchmark, figure)
