"""``zkpfl privacy``: how much noise a budget needs, and what it does to the model."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Any

import typer

from zkpfl.cli.options import Json
from zkpfl.cli.output import Output
from zkpfl.errors import InvalidParameter

if TYPE_CHECKING:
    from rich.console import Console

    from zkpfl.privacy.record_level import RecordPrivacy

app = typer.Typer(help="Plan differential privacy.")


@app.callback()
def privacy() -> None:
    """Plan differential privacy."""


@app.command("plan")
def plan(
    epsilon: Annotated[float, typer.Option(min=1e-3, max=100, help="Budget of a record.")],
    delta: Annotated[float, typer.Option(min=1e-12, max=0.1, help="Its delta.")],
    rounds: Annotated[int, typer.Option(min=1, max=65536, help="Training rounds.")],
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
    json: Json = False,
) -> None:
    """Choose the noise of a recipe, and show how far it moves the mean gradient of all trainers."""
    from zkpfl.privacy.record_level import RecordPrivacy

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
    for name, value in lines:
        console.print(f"[bold]{name:<27}[/bold]{value}", soft_wrap=True)
    if fields["noise_to_clip_norm"] > 1:
        console.print("more noise than signal: expect to need more records, more trainers or fewer weights")
