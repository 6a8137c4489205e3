"""A figure as a pytest-benchmark test."""

from __future__ import annotations

from pytest_benchmark.fixture import BenchmarkFixture

from benchmarks.figures import Figure, threads

DIMENSION = 1 << 16
"""Parameters of the model under pytest; `python -m benchmarks.report` takes any."""


def run_figure(benchmark: BenchmarkFixture, figure: Figure) -> None:
    """Time the kernel and check its result; and every peer's, once."""
    with threads(figure.threads):
        task = figure.prepare(DIMENSION)
        task.check(benchmark.pedantic(task.run, rounds=3))  # type: ignore[no-untyped-call]
        benchmark.extra_info.update(unit=figure.unit, work=task.work)
        for name, peer in task.peers.items():
            benchmark.extra_info[name] = peer.seconds() / peer.work
