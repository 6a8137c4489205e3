"""``zkpfl privacy``: how much noise a budget needs, and what it does to the model."""

from __future__ import annotations

import math
from collections.abc import Iterable
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from zkpfl.cli.options import Json
from zkpfl.cli.output import Output
from zkpfl.errors import InvalidParameter

if TYPE_CHECKING:
    from rich.console import Console

    from zkpfl.privacy.client_level import ClientPrivacy
    from zkpfl.privacy.record_level import RecordPrivacy


class Level(StrEnum):
    """What is protected: each record of a trainer, or each trainer."""

    RECORD = "record"
    CLIENT = "client"


app = typer.Typer(help="Plan differential privacy.")


@app.callback()
def privacy() -> None:
    """Plan differential privacy."""


@app.command("plan")
def plan(
    epsilon: Annotated[float, typer.Option(min=1e-3, max=100, help="Budget of a record or trainer.")],
    delta: Annotated[float, typer.Option(min=1e-12, max=0.1, help="Its delta.")],
    rounds: Annotated[int, typer.Option(min=1, max=65536, help="Training rounds.")],
    level: Annotated[
        Level, typer.Option(help="record: trainers add noise to gradients; client: zk-nodes, to sums.")
    ] = Level.RECORD,
    trainers: Annotated[int, typer.Option(min=1, max=256, help="Trainers in a sum.")] = 10,
    records: Annotated[
        int,
        typer.Option(min=1, max=1 << 31, help="Fewest records with which a trainer stays to the end."),
    ] = 1000,
    batch: Annotated[
        int | None, typer.Option(min=1, max=1 << 16, help="Records in a step; a tenth of them by default.")
    ] = None,
    local_steps: Annotated[int, typer.Option(min=1, max=1000, help="Steps of a round.")] = 1,
    max_grad_norm: Annotated[float, typer.Option(help="Norm to which a record's gradient is clipped.")] = 1.0,
    dimension: Annotated[int, typer.Option(min=1, max=1 << 26, help="Weights of the model.")] = 1000,
    nodes: Annotated[int, typer.Option(min=2, max=10, help="zk-nodes of the committee. Client level.")] = 3,
    threshold: Annotated[
        int, typer.Option(min=2, max=5, help="How many of them could open an update. Client level.")
    ] = 2,
    noise_quorum: Annotated[
        int | None,
        typer.Option(
            min=2, max=10, help="Of how many a sum has noise at least; all by default. Client level."
        ),
    ] = None,
    value_bits: Annotated[
        int, typer.Option(min=8, max=16, help="Bits of a coordinate of an update. Client level.")
    ] = 8,
    json: Json = False,
) -> None:
    """Choose the noise of a recipe, and show how far it moves the mean of all trainers."""
    from zkpfl.privacy.client_level import ClientPrivacy
    from zkpfl.privacy.record_level import RecordPrivacy

    if level is Level.CLIENT:
        plan = ClientPrivacy.planned(
            rounds=rounds,
            epsilon=epsilon,
            delta=delta,
            noise_quorum=nodes if noise_quorum is None else noise_quorum,
            colluding=threshold - 1,
        )
        fields = client_distortion(plan, rounds, trainers, nodes, dimension, value_bits)
        Output(json).result(fields, lambda console: _render_client(console, fields))
        return
    size = batch or max(1, math.ceil(records / 10))
    if size > records:
        text = f"{size} records in a step, a trainer has {records}"
        raise InvalidParameter(text, field="batch", hint="take at most as many as --records")
    privacy = RecordPrivacy.planned(
        rounds=rounds,
        epsilon=epsilon,
        delta=delta,
        max_grad_norm=max_grad_norm,
        batch=size,
        local_steps=local_steps,
        least_records=records,
    )
    fields = distortion(privacy, rounds, trainers, dimension)
    Output(json).result(fields, lambda console: _render(console, fields))


def distortion(privacy: RecordPrivacy, rounds: int, trainers: int, dimension: int) -> dict[str, Any]:
    """What the noise of a plan does to the mean gradient of one step over all trainers.

    A trainer's step carries noise of standard deviation ``σ/(s·β)`` in each coordinate (docs/spec.md §8.1),
    the mean over n trainers ``1/√n`` of it. Its L2 norm, √d times that, is compared with the most that a
    gradient can measure, the clip norm.
    """
    lattice = privacy.lattice(dimension)
    coordinate = lattice.sigma / (lattice.scale * privacy.batch) / math.sqrt(trainers)
    norm = coordinate * math.sqrt(dimension)
    return {
        "privacy": privacy.to_dict(),
        "epsilon_after": privacy.epsilon_after(rounds),
        "most_rounds": privacy.most_rounds(privacy.least_records),
        "sample_rate": privacy.sample_rate(privacy.least_records),
        "lattice_sensitivity": lattice.sensitivity,
        "lattice_sigma": lattice.sigma,
        "noise_per_coordinate": coordinate,
        "noise_norm": norm,
        "noise_to_clip_norm": norm / privacy.max_grad_norm,
    }


def client_distortion(
    privacy: ClientPrivacy, rounds: int, trainers: int, nodes: int, dimension: int, value_bits: int
) -> dict[str, Any]:
    """What the noise of a plan does to the mean update of n trainers when all m zk-nodes bring theirs.

    On the integers a coordinate of the sum has noise of standard deviation ``√m·σ_node`` (docs/spec.md §8.2),
    the mean update ``1/(s·n)`` of it, s being the scale. Its L2 norm, √d times that, is compared with what an
    update can measure at most, the clip norm: all results are in units of it.
    """
    from zkpfl.params import FixedPoint

    if privacy.noise_quorum > nodes:
        text = f"noise of {privacy.noise_quorum} zk-nodes, the committee has {nodes}"
        raise InvalidParameter(text, field="noise_quorum", hint="take at most as many as --nodes")
    scale = FixedPoint(dimension, 1.0, value_bits)
    sigma = privacy.node_sigma(scale.norm_bound)
    coordinate = math.sqrt(nodes) * sigma / (scale.scale * trainers)
    return {
        "privacy": privacy.to_dict(),
        "epsilon_after": privacy.epsilon_after(rounds),
        "most_rounds": privacy.most_rounds(),
        "norm_bound": scale.norm_bound,
        "noise_bound": privacy.noise_bound(dimension, scale.norm_bound),
        "node_sigma": sigma,
        "noise_per_coordinate": coordinate,
        "noise_to_clip_norm": coordinate * math.sqrt(dimension),
    }


def _render_client(console: Console, fields: dict[str, Any]) -> None:
    stated = fields["privacy"]
    lines = (
        ("noise multiplier", f"{stated['noise_multiplier']:g}"),
        ("spent by a trainer", f"ε = {fields['epsilon_after']:.4f} of {stated['epsilon']:g}"),
        ("rounds within the budget", str(fields["most_rounds"])),
        ("noise of each zk-node", f"σ = {fields['node_sigma']:.1f}, norm at most {fields['noise_bound']}"),
        ("noise in the mean update", f"{fields['noise_per_coordinate']:.3g} clip norms in each coordinate"),
        ("its norm", f"{fields['noise_to_clip_norm']:.2f} times the clip norm"),
    )
    _print_lines(console, lines)
    if fields["noise_to_clip_norm"] > 1:
        console.print("more noise than signal: expect to need more trainers, fewer rounds or fewer weights")


def _render(console: Console, fields: dict[str, Any]) -> None:
    stated = fields["privacy"]
    lines = (
        ("noise multiplier", f"{stated['noise_multiplier']:g}"),
        ("a record is in a step", f"with probability {fields['sample_rate']:.4f}"),
        ("spent after all rounds", f"ε = {fields['epsilon_after']:.4f} of {stated['epsilon']:g}"),
        ("rounds within the budget", str(fields["most_rounds"])),
        ("lattice", f"sensitivity {fields['lattice_sensitivity']}, σ = {fields['lattice_sigma']:.1f}"),
        ("noise in the mean gradient", f"{fields['noise_per_coordinate']:.3g} in each coordinate"),
        ("its norm", f"{fields['noise_norm']:.3g}: {fields['noise_to_clip_norm']:.2f} times the clip norm"),
    )
    _print_lines(console, lines)
    if fields["noise_to_clip_norm"] > 1:
        console.print("more noise than signal: expect to need more records, more trainers or fewer weights")


def _print_lines(console: Console, lines: Iterable[tuple[str, str]]) -> None:
    for name, value in lines:
        console.print(f"[bold]{name:<27}[/bold]{value}", soft_wrap=True)
