"""The plots of docs/plots: speed against peers, cost against model size and against trainers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("svg")
mpl.rcParams["svg.hashsalt"] = "zkpfl"  # the same input gives the same file
mpl.rcParams["svg.fonttype"] = "none"

from matplotlib import pyplot  # noqa: E402
from matplotlib.axes import Axes  # noqa: E402

from benchmarks.figures import Measurement  # noqa: E402
from benchmarks.simulation import Costs  # noqa: E402

FOLDER = Path(__file__).parents[1] / "docs" / "plots"


def draw_peers(measurements: Sequence[Measurement]) -> None:
    """Bars: how many times faster than each peer, on a logarithmic scale."""
    rows = [
        (f"{measurement.name} / {peer}", ratio)
        for measurement in measurements
        for peer, ratio in measurement.ratios.items()
    ]

    def draw(axes: Axes) -> None:
        names, ratios = zip(*reversed(rows), strict=True)
        bars = axes.barh(names, ratios, color=["tab:blue" if ratio >= 1 else "tab:gray" for ratio in ratios])
        axes.axvline(1, color="black", linewidth=0.8)
        axes.set_xscale("log")
        axes.set_xlabel("times faster")
        axes.bar_label(bars, fmt="%.2g", padding=2)

    _save("peers", draw, (9, 1 + 0.24 * len(rows)))


def draw_costs(costs: Sequence[Costs], by: str) -> None:
    """Lines: seconds of each stage against ``dimension`` or ``trainers``, both axes logarithmic."""

    def draw(axes: Axes) -> None:
        for stage in costs[0].stages:
            xs = [getattr(cost, by) for cost in costs]
            axes.plot(xs, [_total(cost, stage) for cost in costs], marker="o", label=stage)
        axes.set_xscale("log", base=2)
        axes.set_yscale("log")
        axes.set_xlabel({"dimension": "parameters", "trainers": "trainers"}[by])
        axes.set_ylabel("seconds a round")
        axes.grid(visible=True, alpha=0.3)
        axes.legend(fontsize="x-small", loc="center left", bbox_to_anchor=(1, 0.5))

    _save(by, draw, (9, 5))


def _total(cost: Costs, stage: str) -> float:
    """Seconds a round: a zk-node works for every trainer, other parties once."""
    seconds = cost.stages[stage].seconds
    return seconds * cost.trainers if stage.endswith("a trainer") else seconds


def _save(name: str, draw: Callable[[Axes], None], size: tuple[float, float]) -> None:
    figure, axes = pyplot.subplots(figsize=size, layout="constrained")
    draw(axes)
    FOLDER.mkdir(parents=True, exist_ok=True)
    metadata: Mapping[str, Any] = {"Date": None}
    figure.savefig(FOLDER / f"{name}.svg", metadata=dict(metadata))
    pyplot.close(figure)
