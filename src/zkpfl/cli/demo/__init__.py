"""``zkpfl demo``: a whole job on this machine, every party a process of its own."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from zkpfl.cli import exit_codes
from zkpfl.cli.decimals import parse_ppm
from zkpfl.cli.demo.settings import (
    ATTACK_ROUNDS,
    ATTACK_TARGET,
    DEFAULT_TRAINERS,
    Attack,
    DemoData,
    DemoSettings,
    Partition,
)
from zkpfl.cli.demo.stopwatch import Stopwatch
from zkpfl.cli.lifeline import stop_on_signals
from zkpfl.cli.options import Delta, Epsilon, Json, Privacy
from zkpfl.cli.output import Output
from zkpfl.cli.sources import PrivacyOptions

if TYPE_CHECKING:
    from zkpfl.cli.demo.report import DemoReport


def demo(
    data: Annotated[DemoData, typer.Option(help="What the trainers hold.")] = DemoData.HEART,
    trainers: Annotated[
        int | None, typer.Option(help="How many; by default 4 hospitals, or 8 holders of digits.")
    ] = None,
    partition: Annotated[
        Partition, typer.Option(help="How digits are spread over their holders.")
    ] = Partition.IID,
    alpha: Annotated[
        float,
        typer.Option(min=0.01, max=1000, help="Of a Dirichlet partition: small means unlike."),
    ] = 0.5,
    seed: Annotated[int, typer.Option(min=0, help="Of data split, model and training.")] = 0,
    rounds: Annotated[int | None, typer.Option(min=1, max=1000, help="Most training rounds.")] = None,
    target: Annotated[
        str | None, typer.Option(metavar="ACCURACY", help="Accuracy that ends the job.")
    ] = None,
    epsilon: Epsilon = None,
    delta: Delta = None,
    privacy: Privacy = True,
    attack: Annotated[
        Attack | None,
        typer.Option(help="Let one trainer cheat. boost: it scales its updates by 10, and is stopped."),
    ] = None,
    nodes: Annotated[int, typer.Option(help="zk-nodes in the committee.")] = 3,
    threshold: Annotated[int, typer.Option(help="How many of them reconstruct a sum.")] = 2,
    data_dir: Annotated[
        Path | None,
        typer.Option(help="New folder for what the run leaves (./zkpfl-demo/<time>)."),
    ] = None,
    keep: Annotated[
        bool, typer.Option("--keep", help="Leave ledger and zk-nodes running until SIGINT or SIGTERM.")
    ] = False,
    json: Json = False,
) -> None:
    """Run a job from nothing: ledger, zk-nodes, a model owner and trainers, each a process of its own."""
    clock = Stopwatch()
    if target is not None:
        parse_ppm(target, field="target")
    count = DEFAULT_TRAINERS[data.value] if trainers is None else trainers
    if attack is not None:
        rounds, target = rounds or ATTACK_ROUNDS, target or ATTACK_TARGET
    folder = data_dir or Path("zkpfl-demo") / time.strftime("%Y%m%d-%H%M%S")
    settings = DemoSettings(
        data, count, seed, rounds, target, nodes, threshold, folder.absolute(), partition, alpha,
        PrivacyOptions(privacy, epsilon, delta), attack,
    )  # fmt: skip
    stop, output = stop_on_signals(leave_s=0), Output(json)
    from zkpfl.cli.demo.run import run_demo

    report: DemoReport = run_demo(settings, output, stop, clock, keep=keep)
    output.result(report.to_dict(), report.render)
    if not report.good:
        raise typer.Exit(exit_codes.FAILED)
