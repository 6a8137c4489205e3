"""``zkpfl model``: bundles for `job submit --model`, from the owner's own module or by layers alone."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from zkpfl.cli.options import Json
from zkpfl.cli.output import Output
from zkpfl.errors import InvalidParameter

app = typer.Typer(help="Make and show model bundles.")

RecipeValues = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="NAME=VALUE",
        help="A value of the training recipe, such as learning_rate=0.05, optimizer=adam, local_epochs=2, "
        "batch_size=32, clip_norm=1 or statistics=true. May be repeated; docs/guides/models.md lists all.",
    ),
]
Features = Annotated[
    str | None,
    typer.Option(metavar="NAME,…", help="Names of the input columns; x0, x1, … if not given."),
]
Classes = Annotated[
    str | None, typer.Option(metavar="NAME,…", help="Names of the classes; 0, 1, … if not given.")
]
TestSet = Annotated[
    str | None,
    typer.Option(metavar="SOURCE", help="Records that measure accuracy: csv:FILE:LABEL, npz:FILE or m:f."),
]
OutFile = Annotated[Path, typer.Option("--out", metavar="FILE", help="The bundle; must not exist yet.")]
Seed = Annotated[int, typer.Option(min=0, help="Of the initial weights.")]


@app.callback()
def model() -> None:
    """Make and show model bundles."""


@app.command("export")
def export(
    factory: Annotated[
        str, typer.Argument(metavar="MODULE:FACTORY", help="Your function; returns a module.")
    ],
    example: Annotated[
        str,
        typer.Option(metavar="INPUTS|FILE.npy", help="How many inputs a record has, or an array of records."),
    ],
    out: OutFile,
    features: Features = None,
    classes: Classes = None,
    set_: RecipeValues = None,
    test_set: TestSet = None,
    json: Json = False,
) -> None:
    """Turn your own PyTorch module into a bundle: a graph of allowed operators, weights and a recipe."""
    from zkpfl.learning.export import load_module

    _write(load_module(factory), _inputs(example), out, features, classes, set_, test_set, Output(json))


@app.command("mlp")
def mlp(
    inputs: Annotated[int, typer.Option(min=1, help="Inputs of a record.")],
    outputs: Annotated[int, typer.Option(min=2, help="Classes.")],
    out: OutFile,
    hidden: Annotated[
        str, typer.Option(metavar="N,…", help="Widths of the hidden layers; none: logistic regression.")
    ] = "",
    activation: Annotated[str, typer.Option(help="relu, tanh, gelu or silu.")] = "relu",
    dropout: Annotated[float, typer.Option(min=0, max=0.99, help="Share of hidden values dropped.")] = 0.0,
    seed: Seed = 0,
    features: Features = None,
    classes: Classes = None,
    set_: RecipeValues = None,
    test_set: TestSet = None,
    json: Json = False,
) -> None:
    """Make a multilayer perceptron."""
    from zkpfl.learning import architectures

    widths = _numbers(hidden, "hidden", separator=",") if hidden else ()
    module = architectures.mlp(inputs, widths, outputs, activation=activation, dropout=dropout, seed=seed)
    _write(module, inputs, out, features, classes, set_, test_set, Output(json))


@app.command("cnn")
def cnn(
    image: Annotated[str, typer.Option(metavar="CxHxW", help="Channels, height and width, such as 1x28x28.")],
    outputs: Annotated[int, typer.Option(min=2, help="Classes.")],
    out: OutFile,
    channels: Annotated[str, typer.Option(metavar="N,…", help="Widths of the convolutions.")] = "16,32",
    activation: Annotated[str, typer.Option(help="relu, tanh, gelu or silu.")] = "relu",
    norm: Annotated[str, typer.Option(help="group, batch or none.")] = "group",
    seed: Seed = 0,
    features: Features = None,
    classes: Classes = None,
    set_: RecipeValues = None,
    test_set: TestSet = None,
    json: Json = False,
) -> None:
    """Make a convolutional network for images."""
    from zkpfl.learning import architectures

    shape = _numbers(image, "image", separator="x")
    if len(shape) != 3:
        raise InvalidParameter(f"{image!r} is not CxHxW", field="image", hint="such as 1x28x28")
    widths = _numbers(channels, "channels", separator=",")
    module = architectures.cnn(shape, widths, outputs, activation=activation, norm=norm, seed=seed)
    inputs = shape[0] * shape[1] * shape[2]
    _write(module, inputs, out, features, classes, set_, test_set, Output(json))


@app.command("show")
def show(file: Annotated[Path, typer.Argument(metavar="FILE", help="A bundle.")], json: Json = False) -> None:
    """Show what is in a bundle, after all the checks that a trainer makes."""
    from zkpfl.cli.sources import model_source
    from zkpfl.learning.summary import summarize_bundle

    Output(json).result(summarize_bundle(model_source(str(file), 0).bundle))


def _write(
    module: Any,
    inputs: int,
    out: Path,
    features: str | None,
    classes: str | None,
    values: list[str] | None,
    test_set: str | None,
    output: Output,
) -> None:
    from zkpfl.cli.sources import data_source
    from zkpfl.learning.export import bundle_of, count_outputs
    from zkpfl.learning.recipe import Recipe
    from zkpfl.learning.summary import summarize_bundle

    if out.exists():
        raise InvalidParameter(f"{out} exists already", field="out", hint="choose another file")
    names = _names(features, "x", inputs, "features")
    labels = _names(classes, "", count_outputs(module, inputs), "classes")
    recipe = Recipe.from_values(names, labels, dict(_assignment(text) for text in values or []))
    records = None if test_set is None else data_source(test_set, 0).load(recipe)
    bundle = bundle_of(module, recipe, records)
    out.write_bytes(bundle.to_bytes())
    output.result({"bundle": str(out), **summarize_bundle(bundle)})


def _inputs(example: str) -> int:
    if example.isdecimal():
        return int(example)
    import numpy as np

    try:
        records = np.load(example, allow_pickle=False)
    except (OSError, ValueError) as error:
        text = f"{example!r} is neither a number nor an array file: {type(error).__name__}"
        raise InvalidParameter(text, field="example", hint="give 13, or records.npy") from error
    if getattr(records, "ndim", 0) != 2:
        raise InvalidParameter("must hold records [n, inputs]", field="example")
    return int(records.shape[1])


def _names(given: str | None, prefix: str, count: int, field: str) -> tuple[str, ...]:
    if given is None:
        return tuple(f"{prefix}{number}" for number in range(count))
    names = tuple(name.strip() for name in given.split(","))
    if len(names) != count:
        raise InvalidParameter(f"{len(names)} names for the model's {count}", field=field)
    return names


def _numbers(text: str, field: str, *, separator: str) -> tuple[int, ...]:
    parts = text.split(separator)
    if not all(part.strip().isdecimal() for part in parts):
        raise InvalidParameter(f"{text!r} is not numbers with {separator!r} between them", field=field)
    return tuple(int(part) for part in parts)


def _assignment(text: str) -> tuple[str, str]:
    name, separator, value = text.partition("=")
    if not separator or not name.isidentifier():
        raise InvalidParameter(f"{text!r} is not NAME=VALUE", field="set")
    return name, value
