"""Every figure, its peers and the ratios, from one run: ``python -m benchmarks.report --json``.

``--rounds`` adds whole rounds by model size and by trainers; ``--plots`` draws all of it to docs/plots. What
others published comes last, in a section of its own: nothing of it was measured in this run.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks import (
    bench_aggregation,
    bench_commit,
    bench_contribution_proof,
    bench_discrete_gaussian,
    bench_encode,
    bench_field,
    bench_merkle,
    bench_norm_proof,
    bench_points,
    bench_round,
    bench_rows,
    bench_share_check,
    bench_submission,
    published,
)
from benchmarks.figures import Figure, Measurement, measure
from benchmarks.simulation import Costs

FIGURES: tuple[Figure, ...] = (
    *bench_commit.FIGURES,
    *bench_rows.FIGURES,
    *bench_points.FIGURES,
    *bench_field.FIGURES,
    *bench_encode.FIGURES,
    *bench_share_check.FIGURES,
    *bench_aggregation.FIGURES,
    *bench_norm_proof.FIGURES,
    *bench_contribution_proof.FIGURES,
    *bench_submission.FIGURES,
    *bench_merkle.FIGURES,
    *bench_discrete_gaussian.FIGURES,
)


def machine() -> dict[str, Any]:
    """What it was measured on."""
    info = Path("/proc/cpuinfo")
    names = [line.split(":")[1].strip() for line in info.read_text().splitlines() if "model name" in line]
    return {
        "processor": names[0] if names else platform.processor(),
        "cores": os.cpu_count(),
        "vector path": "off" if os.environ.get("ZKPFL_NO_VECTOR") else "as the processor has it",
        "python": platform.python_version(),
    }


def measurements(dimension: int, repeats: int, only: str) -> Iterator[Measurement]:
    """Measure the figures whose name contains ``only``."""
    for figure in FIGURES:
        if only in figure.name:
            yield measure(figure, dimension, repeats)


def as_json(measured: Sequence[Measurement], rounds: Sequence[Costs], dimension: int) -> str:
    """Everything as one JSON object."""
    figures = [asdict(measurement) | {"ratios": measurement.ratios} for measurement in measured]
    report = {
        "machine": machine(),
        "dimension": dimension,
        "figures": figures,
        "rounds": [asdict(cost) for cost in rounds],
        "published": published.as_json(),
    }
    return json.dumps(report, indent=1, ensure_ascii=False)


def as_text(measured: Sequence[Measurement]) -> str:
    """A line for each figure, and one for each of its peers."""
    lines = []
    for measurement in measured:
        lines.append(f"{measurement.name:<51}{_time(measurement.nanoseconds)} per {measurement.unit}")
        for peer, ratio in measurement.ratios.items():
            lines.append(f"    {peer:<47}{_time(measurement.peers[peer])}   ×{ratio:.2f}")
    return "\n".join(lines)


def _time(nanoseconds: float) -> str:
    units = (("ms", 1e6), ("µs", 1e3), ("ns", 1.0))
    name, scale = next((unit for unit in units if nanoseconds >= unit[1]), units[-1])
    return f"{nanoseconds / scale:>9.3g} {name}"


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.report", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--log2-dimension", type=int, default=20, help="parameters of the model, as a power")
    parser.add_argument(
        "--repeats", type=int, default=3, help="runs of each figure, of which the best counts"
    )
    parser.add_argument("--only", default="", help="figures whose name contains this")
    parser.add_argument("--rounds", action="store_true", help="whole rounds too")
    parser.add_argument("--plots", action="store_true", help="draw docs/plots/*.svg")
    options = parser.parse_args()
    dimension = 1 << options.log2_dimension
    measured = list(measurements(dimension, options.repeats, options.only))
    rounds = bench_round.sweep() if options.rounds else []
    if options.json:
        print(as_json(measured, rounds, dimension))
    else:
        print(as_text(measured), bench_round.table(rounds), published.table(), sep="\n")
    if options.plots:
        _draw(measured, rounds)


def _draw(measured: Sequence[Measurement], rounds: Sequence[Costs]) -> None:
    from benchmarks import plots  # noqa: PLC0415  (needs the extra `bench`)

    plots.draw_peers(measured)
    few = [cost for cost in rounds if cost.trainers == bench_round.FEW_TRAINERS]
    small = [cost for cost in rounds if cost.dimension == 1 << bench_round.SMALL]
    if rounds:
        plots.draw_costs(few, "dimension")
        plots.draw_costs(sorted(small, key=lambda cost: cost.trainers), "trainers")


if __name__ == "__main__":
    main()
