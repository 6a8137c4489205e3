"""``zkpfl model``: bundles for `job submit --model`, from the owner's own module or by layers alone."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from zkpfl.cli.options import Json
from zkpfl.cli.output import Output
from zkpfl.errors import InvalidParameter

if TYPE_CHECKING:
    from zkpfl.learning.recipe import Recipe

app = typer.Typer(help="Make and show model bundles.")

RecipeValues = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="NAME=VALUE",
        help="A value of the training recipe, such as learning_rate=0.05, optimizer=adam, local_epochs=2, "
        "batch_size=32, clip_norm=1, statistics=true, target=0.8, or tolerance=10 of a regression. "
        "May be repeated; docs/guides/models.md lists all.",
    ),
]
Features = Annotated[
    str | None,
    typer.Option(metavar="NAME,…", help="Names of the input columns; x0, x1, … if not given."),
]
Classes = Annotated[
    str | None,
    typer.Option(metavar="NAME,…", help="Names of the classes; 0, 1, … if not given. A regression has none."),
]
TestSet = Annotated[
    str | None,
    typer.Option(metavar="SOURCE", help="Records that measure accuracy: csv:FILE:LABEL, npz:FILE or m:f."),
]
OutFile = Annotated[Path, typer.Option("--out", metavar="FILE", help="The bundle; must not exist yet.")]
Epsilon = Annotated[float, typer.Option(min=0.01, max=1000, help="Privacy budget of a record or trainer.")]
Delta = Annotated[float, typer.Option(min=1e-12, max=0.1, help="Its δ.")]
Rounds = Annotated[int, typer.Option(min=1, max=1000, help="Training rounds that the budget lasts for.")]
HeldRecords = Annotated[
    int, typer.Option("--records", min=1, help="Records from which on a trainer can stay for all rounds.")
]
GradNorm = Annotated[float, typer.Option("--max-grad-norm", help="To which a record's gradient is clipped.")]
NoiseQuorum = Annotated[
    int | None,
    typer.Option(
        min=2,
        max=10,
        help="Protect each trainer as a whole: of how many zk-nodes every sum has noise, at least. "
        "Without, trainers protect each of their records.",
    ),
]
Colluding = Annotated[
    int,
    typer.Option(
        min=1, max=4, help="With --noise-quorum: how many zk-nodes may collude, threshold less one."
    ),
]
NoPrivacy = Annotated[bool, typer.Option("--no-privacy", help="Train without differential privacy.")]
Range = Annotated[
    str | None,
    typer.Option(
        "--ranges",
        metavar="LOW:HIGH[,…]",
        help="Of all features, or of each, known without looking at data: scales them to [−1, 1].",
    ),
]
Outputs = Annotated[
    int,
    typer.Option(
        min=1,
        help="Classes; 1 for a regression, or for two classes with --set loss=binary_cross_entropy.",
    ),
]
LabelRange = Annotated[
    str | None,
    typer.Option(
        metavar="LOW:HIGH",
        help="Of the labels of a regression, known without looking at data: scales them to [−1, 1].",
    ),
]
Seed = Annotated[int, typer.Option(min=0, help="Of the initial weights.")]


@dataclass(frozen=True)
class Budget:
    """Privacy under a recipe: ε and δ for so many rounds.

    Of each record, of trainers with so many; or, with a noise quorum, of each trainer.
    """

    epsilon: float
    delta: float
    rounds: int
    records: int
    max_grad_norm: float
    noise_quorum: int | None
    colluding: int

    @classmethod
    def of(cls, no_privacy: bool, *terms: Any) -> Budget | None:
        """What the options ask for."""
        return None if no_privacy else cls(*terms)

    @property
    def defaults(self) -> dict[str, str]:
        """Values of a recipe that suit it: noise of zk-nodes leaves nothing for fine integers to tell."""
        return {} if self.noise_quorum is None else {"value_bits": "8"}

    def applied(self, recipe: Recipe) -> Recipe:
        """The recipe with the least noise that keeps the budget."""
        if self.noise_quorum is None:
            return self._of_records(recipe)
        from zkpfl.privacy.client_level import ClientPrivacy

        privacy = ClientPrivacy.planned(
            rounds=self.rounds,
            epsilon=self.epsilon,
            delta=self.delta,
            noise_quorum=self.noise_quorum,
            colluding=self.colluding,
        )
        return replace(recipe, privacy=privacy)

    def _of_records(self, recipe: Recipe) -> Recipe:
        """Epochs and batches give the steps."""
        from zkpfl.privacy.record_level import RecordPrivacy

        batch = min(recipe.batch_size, self.records)
        privacy = RecordPrivacy.planned(
            rounds=self.rounds,
            epsilon=self.epsilon,
            delta=self.delta,
            max_grad_norm=self.max_grad_norm,
            batch=batch,
            local_steps=-(-recipe.local_epochs * self.records // batch),
            least_records=self.records,
        )
        return replace(recipe, privacy=privacy)


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
    ranges: Range = None,
    label_range: LabelRange = None,
    epsilon: Epsilon = 5.0,
    delta: Delta = 1e-3,
    rounds: Rounds = 10,
    records: HeldRecords = 500,
    max_grad_norm: GradNorm = 1.0,
    noise_quorum: NoiseQuorum = None,
    colluding: Colluding = 1,
    no_privacy: NoPrivacy = False,
    json: Json = False,
) -> None:
    """Turn your own PyTorch module into a bundle: a graph of allowed operators, weights and a recipe."""
    from zkpfl.learning.export import load_module

    terms = (epsilon, delta, rounds, records, max_grad_norm, noise_quorum, colluding)
    budget = Budget.of(no_privacy, *terms)
    _write(
        load_module(factory),
        _inputs(example),
        out,
        features,
        classes,
        set_,
        test_set,
        ranges,
        label_range,
        budget,
        Output(json),
    )


@app.command("mlp")
def mlp(
    inputs: Annotated[int, typer.Option(min=1, help="Inputs of a record.")],
    outputs: Outputs,
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
    ranges: Range = None,
    label_range: LabelRange = None,
    epsilon: Epsilon = 5.0,
    delta: Delta = 1e-3,
    rounds: Rounds = 10,
    records: HeldRecords = 500,
    max_grad_norm: GradNorm = 1.0,
    noise_quorum: NoiseQuorum = None,
    colluding: Colluding = 1,
    no_privacy: NoPrivacy = False,
    json: Json = False,
) -> None:
    """Make a multilayer perceptron."""
    from zkpfl.learning import architectures

    widths = _numbers(hidden, "hidden", separator=",") if hidden else ()
    terms = (epsilon, delta, rounds, records, max_grad_norm, noise_quorum, colluding)
    budget = Budget.of(no_privacy, *terms)
    module = architectures.mlp(inputs, widths, outputs, activation=activation, dropout=dropout, seed=seed)
    _write(module, inputs, out, features, classes, set_, test_set, ranges, label_range, budget, Output(json))


@app.command("cnn")
def cnn(
    image: Annotated[str, typer.Option(metavar="CxHxW", help="Channels, height and width, such as 1x28x28.")],
    outputs: Outputs,
    out: OutFile,
    channels: Annotated[str, typer.Option(metavar="N,…", help="Widths of the convolutions.")] = "16,32",
    activation: Annotated[str, typer.Option(help="relu, tanh, gelu or silu.")] = "relu",
    norm: Annotated[str, typer.Option(help="group, batch or none.")] = "group",
    seed: Seed = 0,
    features: Features = None,
    classes: Classes = None,
    set_: RecipeValues = None,
    test_set: TestSet = None,
    ranges: Range = None,
    label_range: LabelRange = None,
    epsilon: Epsilon = 5.0,
    delta: Delta = 1e-3,
    rounds: Rounds = 10,
    records: HeldRecords = 500,
    max_grad_norm: GradNorm = 1.0,
    noise_quorum: NoiseQuorum = None,
    colluding: Colluding = 1,
    no_privacy: NoPrivacy = False,
    json: Json = False,
) -> None:
    """Make a convolutional network for images."""
    from zkpfl.learning import architectures

    shape = _numbers(image, "image", separator="x")
    terms = (epsilon, delta, rounds, records, max_grad_norm, noise_quorum, colluding)
    budget = Budget.of(no_privacy, *terms)
    if len(shape) != 3:
        raise InvalidParameter(f"{image!r} is not CxHxW", field="image", hint="such as 1x28x28")
    widths = _numbers(channels, "channels", separator=",")
    module = architectures.cnn(shape, widths, outputs, activation=activation, norm=norm, seed=seed)
    inputs = shape[0] * shape[1] * shape[2]
    _write(module, inputs, out, features, classes, set_, test_set, ranges, label_range, budget, Output(json))


@app.command("show")
def show(file: Annotated[Path, typer.Argument(metavar="FILE", help="A bundle.")], json: Json = False) -> None:
    """Show what is in a bundle, after all the checks that a trainer makes."""
    from zkpfl.cli.sources import read_bundle
    from zkpfl.learning.summary import summarize_bundle

    Output(json).result(summarize_bundle(read_bundle(file)))


def _write(
    module: Any,
    inputs: int,
    out: Path,
    features: str | None,
    classes: str | None,
    values: list[str] | None,
    test_set: str | None,
    ranges: str | None,
    label_range: str | None,
    budget: Budget | None,
    output: Output,
) -> None:
    from zkpfl.cli.sources import data_source
    from zkpfl.learning.export import bundle_of, count_outputs
    from zkpfl.learning.recipe import Recipe
    from zkpfl.learning.summary import summarize_bundle

    if out.exists():
        raise InvalidParameter(f"{out} exists already", field="out", hint="choose another file")
    names = _names(features, "x", inputs, "features")
    given = (budget.defaults if budget else {}) | dict(_assignment(text) for text in values or [])
    outputs = count_outputs(module, inputs, tokens="vocabulary" in given)
    if outputs == 1:
        given.setdefault("loss", "mse")
    labels = _class_names(classes, outputs, given.get("loss"))
    limits = None if label_range is None else _pair(label_range, "label-range")
    recipe = Recipe.from_values(names, labels, given, _ranges(ranges, inputs), limits)
    if budget is not None:
        recipe = budget.applied(recipe)
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


def _ranges(text: str | None, inputs: int) -> tuple[tuple[float, float], ...] | None:
    if text is None:
        return None
    checked = tuple(_pair(part, "ranges") for part in text.split(","))
    if len(checked) not in (1, inputs):
        raise InvalidParameter(f"{len(checked)} for {inputs} features", field="ranges")
    return checked if len(checked) == inputs else checked * inputs


def _pair(text: str, field: str) -> tuple[float, float]:
    try:
        low, high = (float(end) for end in text.split(":"))
    except ValueError as error:
        raise InvalidParameter(f"{text!r} is not LOW:HIGH", field=field) from error
    return low, high


def _class_names(given: str | None, outputs: int, loss: str | None) -> tuple[str, ...]:
    """A class for each output; two for one logit, and none in a regression."""
    if loss == "mse":
        return _names(given, "", 0, "classes")
    return _names(given, "", 2 if loss == "binary_cross_entropy" else outputs, "classes")


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
