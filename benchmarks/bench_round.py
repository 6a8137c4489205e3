"""A round: time a role and stage, bytes a message, peak memory.

``python -m benchmarks.bench_round --json`` runs sizes up to 2^24 parameters and 200 trainers, each in
a process of its own; ``--columns`` compares lengths of a row at 2^20 instead, ``--proofs`` the norm proofs
of a round of ten trainers at 2^20 with its commitments, with one thread and with two.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from benchmarks.figures import threads
from benchmarks.proof_share import ProofShare
from benchmarks.simulation import Costs, Round

TRAINERS = (5, 10, 20, 50, 200)
LOG2_DIMENSIONS = (16, 18, 20, 22, 24)
FEW_TRAINERS, SMALL = 5, 16
COLUMNS, COLUMNS_AT = (512, 1024, 2048, 4096), 20
PROOFS_AT, PROOFS_TRAINERS, PROOFS_RUNS = 20, 10, 2


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


def by_threads(log2_dimension: int = PROOFS_AT, trainers: int = PROOFS_TRAINERS) -> list[ProofShare]:
    """What norm proofs cost beside commitments, with one thread and with two."""
    return [
        ProofShare(count, _alone(partial(_run_proofs, log2_dimension, trainers, count))) for count in (1, 2)
    ]


def _run_all(cases: Sequence[tuple[int, int, int | None]]) -> list[Costs]:
    return [_alone(partial(_run, *case)) for case in cases]


def _alone(run: partial[Costs]) -> Costs:
    # A process each: what one case leaves in the allocator would hide the memory of the next.
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(run)


def table(costs: Sequence[Costs]) -> str:
    """A text table, one line for each case, stage and message."""
    lines = []
    for cost in costs:
        lines.append(f"d = {cost.dimension}, N = {cost.columns}, {cost.trainers} trainers")
        for name, stage in cost.stages.items():
            lines.append(f"  {name:<47}{1e3 * stage.seconds:>10.1f} ms{stage.memory / 2**20:>10.1f} MiB")
            lines += [f"    {part:<45}{1e3 * seconds:>10.1f} ms" for part, seconds in stage.parts.items()]
        lines += [f"  {name:<47}{size:>10} bytes" for name, size in cost.messages.items()]
        lines.append(f"  {'zk-node: kept of all trainers but the first':<47}{cost.kept:>10} bytes")
    return "\n".join(lines)


def _run(log2_dimension: int, trainers: int, columns: int | None) -> Costs:
    return Round(1 << log2_dimension, trainers, columns).run()


def _run_proofs(log2_dimension: int, trainers: int, count: int) -> Costs:
    with threads(count):
        simulated = Round(1 << log2_dimension, trainers, peaks=False)
        for _ in range(PROOFS_RUNS):
            costs = simulated.run()
        return costs


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bench_round", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--columns", action="store_true", help="by the length of a row")
    parser.add_argument("--proofs", action="store_true", help="norm proofs beside commitments")
    options = parser.parse_args()
    if options.proofs:
        shares = by_threads()
        text = "\n".join(share.table() for share in shares)
        rows = [share.as_json() for share in shares]
    else:
        costs = by_columns() if options.columns else sweep()
        text, rows = table(costs), [asdict(cost) for cost in costs]
    print(json.dumps(rows, indent=1) if options.json else text)


if __name__ == "__main__":
    main()
