"""A zk-node's check of shares against commitments."""

from __future__ import annotations

from pytest_benchmark.fixture import BenchmarkFixture

from benchmarks import material
from benchmarks.figures import Figure, Peer, Task, timed
from benchmarks.running import run_figure
from zkpfl.crypto.commitments import commit_rows
from zkpfl.crypto.points import G1Array
from zkpfl.crypto.sharing import ShareCheck, combine_share
from zkpfl.params import Committee

TRAINERS = 10


def share_check(dimension: int) -> Task:
    """Ten good shares in one batch, with their lanes; the peer commits to every row of one instead."""
    layout = material.layout(dimension)
    gens = material.gens(layout.columns)
    share = material.scalars(layout.packed_rows, layout.columns + 1)
    commitments = commit_rows(share, gens)
    submission = G1Array.concatenate([material.points(layout.lane_rows), commitments])

    def run() -> bool:
        check = ShareCheck(gens)
        for trainer in range(TRAINERS):
            check.add(trainer, combine_share(share, submission, layout, Committee(3, 2), 1))
        return not check.faulty()

    def check(all_good: bool) -> None:
        assert all_good

    def same(points: G1Array) -> None:
        assert points == commitments

    row_by_row = Peer(share.size // 4, timed(lambda: commit_rows(share, gens), same))
    return Task(TRAINERS * share.size // 4, run, check, {"commit row by row": row_by_row})


FIGURES = (
    Figure("check shares", "element", share_check),
    Figure("check shares, two threads", "element", share_check, threads=2),
)


def test_share_check(benchmark: BenchmarkFixture, figure: Figure) -> None:
    run_figure(benchmark, figure)
