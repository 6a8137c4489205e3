"""A round: time a role and stage, bytes a message, peak memory.

``python -m benchmarks.bench_round --json`` runs sizes up to 2^24 parameters and 200 trainers, each in
a process of its own; ``--columns`` compares lengths of a row at 2^20 instead.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from benchmarks.simulation import Costs, Round

TRAINERS = (5, 10, 20, 50, 200)
LOG2_DIMENSIONS = (16, 18, 20, 22, 24)
FEW_TRAINERS, SMALL = 5, 16
COLUMNS, COLUMNS_AT = (512, 1024, 2048, 4096), 20


@pytest.mark.parametrize("trainers", [2, 5])
def test_round(benchmark: BenchmarkFixture, trainers: int) -> None:
    costs = benchmark.pedantic(lambda: Round(1 << 14, trainers).run(), rounds=2)  # type: ignore[no-untyped-call]
    benchmark.extra_info.update(asdict(costs))


def sweep() -> list[Costs]:
    """Costs by size at few trainers, and by trainers at a small size."""
    cases = [(size, FEW_TRAINERS) for size in LOG2_DIMENSIONS]
    cases += [(SMALL, count) for count in TRAINERS if (SMALL, count) not in cases]
    return _run_all([(*case, None) for case in cases])


def by_columns() -> list[Costs]:
    """Costs of a large model by the length of a row."""
    return _run_all([(COLUMNS_AT, FEW_TRAINERS, columns) for columns in COLUMNS])


def _run_all(cases: Sequence[tuple[int, int, int | None]]) -> list[Costs]:
    # A process each: what one case leaves in the allocator would hide the memory of the next.
    with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        return pool.starmap(_run, cases, chunksize=1)


def table(costs: Sequence[Costs]) -> str:
    """A text table, one line for each case, stage and message."""
    lines = []
    for cost in costs:
        lines.append(f"d = {cost.dimension}, N = {cost.columns}, {cost.trainers} trainers")
        for name, stage in cost.stages.items():
            lines.append(f"  {name:<47}{1e3 * stage.seconds:>10.1f} ms{stage.memory / 2**20:>10.1f} MiB")
        lines += [f"  {name:<47}{size:>10} bytes" for name, size in cost.messages.items()]
        lines.append(f"  {'zk-node: kept of all trainers but the first':<47}{cost.kept:>10} bytes")
    return "\n".join(lines)


def _run(log2_dimension: int, trainers: int, columns: int | None) -> Costs:
    return Round(1 << log2_dimension, trainers, columns).run()


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bench_round", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--columns", action="store_true", help="by the length of a row")
    options = parser.parse_args()
    costs = by_columns() if options.columns else sweep()
    rows: list[dict[str, Any]] = [asdict(cost) for cost in costs]
    print(json.dumps(rows, indent=1) if options.json else table(costs))


if __name__ == "__main__":
    main()
