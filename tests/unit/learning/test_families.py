"""MLP, CNN, LSTM, GRU and Transformer come out of a bundle as they went in, and can be trained."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.unit.learning.families import CLASSES, FAMILIES, INPUTS, family
from torch import nn
from torch.func import functional_call, grad, vmap
from torch.nn.functional import cross_entropy

from zkpfl.errors import InvalidBundle, InvalidParameter
from zkpfl.learning.architectures import cnn
from zkpfl.learning.bundle import Bundle
from zkpfl.learning.export import bundle_of, count_outputs, export_graph, load_module
from zkpfl.learning.graph import GraphModule
from zkpfl.learning.operators import OPERATORS
from zkpfl.learning.private_training import require_separable
from zkpfl.learning.recipe import Recipe
from zkpfl.learning.records import Records
from zkpfl.learning.training import train_locally
from zkpfl.learning.weights import flatten

OPERATORS_PAGE = Path(__file__).parents[3] / "docs" / "operators.md"
NAMES = [pytest.param(name, id=name) for name in FAMILIES]


def records(count: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    features = torch.randn(count, INPUTS, generator=generator)
    return features, features[:, 0].gt(0).long() + features[:, 1].gt(0).long()


def recipe(**changes: object) -> Recipe:
    values = {"clip_norm": 1.0, "learning_rate": 0.1, "batch_size": 16, **changes}
    features, classes = (tuple(f"x{i}" for i in range(INPUTS)), tuple(str(i) for i in range(CLASSES)))
    return Recipe(features=features, classes=classes, **values)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", NAMES)
def test_outputs_and_gradients_are_bit_equal_after_the_round_trip(name: str) -> None:
    module = family(name)
    bundle = Bundle.from_bytes(bundle_of(module, recipe()).to_bytes())
    model, (x, y) = bundle.model(), records(32)
    model.eval(), module.eval()
    for rows in (1, 5, 32):
        assert torch.equal(model(x[:rows]), module(x[:rows]))
    for each in (model, module):
        cross_entropy(each(x), y).backward()
    gradients = {parameter: value.grad for parameter, value in module.named_parameters()}
    for parameter, tensor in model.tensors().items():
        if parameter in gradients:
            assert torch.equal(tensor.grad, gradients[parameter]), parameter


@pytest.mark.parametrize("name", NAMES)
def test_every_family_learns(name: str) -> None:
    bundle = bundle_of(family(name), recipe(local_epochs=40, optimizer="adam", learning_rate=0.01))
    model, (x, y) = bundle.model(), records(128)
    weights = flatten(model)
    before = cross_entropy(model.eval()(x), y)
    data = Records(x.numpy(), y.numpy())
    update = train_locally(model, weights, data, bundle.recipe, seed=1)
    assert np.isfinite(update).all()
    assert cross_entropy(model.eval()(x), y) < 0.7 * before


@pytest.mark.parametrize("name", [name for name in FAMILIES if name != "cnn_batch"])
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_gradients_of_single_records_add_up(name: str) -> None:
    """By vmap over the graph, as record-level privacy needs them; batch norm mixes records and cannot."""
    model, (x, y) = GraphModule(*export_graph(family(name), torch.zeros(2, INPUTS))).eval(), records(9)
    parameters = dict(model.named_parameters())

    def loss(weights: dict[str, torch.Tensor], one: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
        return cross_entropy(functional_call(model, weights, (one[None],)), label[None])

    single = vmap(grad(loss), in_dims=(None, 0, 0), randomness="different")(parameters, x, y)
    whole = torch.autograd.grad(cross_entropy(model(x), y), list(parameters.values()))
    for (parameter, values), expected in zip(single.items(), whole, strict=True):
        torch.testing.assert_close(values.mean(0), expected, rtol=1e-4, atol=1e-6, msg=parameter)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_every_family_but_batch_norm_trains_record_by_record(name: str) -> None:
    model = GraphModule(*export_graph(family(name), torch.zeros(2, INPUTS)))
    if name == "cnn_batch":
        with pytest.raises(InvalidBundle, match="batch norm"):
            require_separable(model, recipe())
    else:
        require_separable(model, recipe())


def test_every_allowed_operator_is_documented_and_no_other() -> None:
    documented = set(re.findall(r"^\| `([^`]+)` \|", OPERATORS_PAGE.read_text(), flags=re.MULTILINE))
    assert documented == OPERATORS


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"channels": ()}, "channels"),
        ({"channels": (8, 0)}, "channels"),
        ({"channels": (8, 8, 8)}, "channels"),
        ({"activation": "step"}, "activation"),
        ({"norm": "layer"}, "norm"),
    ],
)
def test_a_cnn_that_cannot_be_is_refused(arguments: dict[str, object], field: str) -> None:
    with pytest.raises(InvalidParameter) as caught:
        cnn(**{"image": (1, 4, 6), "channels": (8,), "outputs": 3, **arguments})  # type: ignore[arg-type]
    assert caught.value.field == field


class Tied(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.relu_()


def test_an_operator_that_is_not_allowed_is_named() -> None:
    with pytest.raises(InvalidBundle, match=r"aten\.relu_") as caught:
        export_graph(Tied(), torch.zeros(2, 3))
    assert caught.value.hint is not None
    assert "docs/operators.md" in caught.value.hint


def test_a_module_that_does_not_fit_its_example_is_refused() -> None:
    with pytest.raises(InvalidBundle, match="does not take 5 inputs"):
        count_outputs(family("mlp"), 5)
    with pytest.raises(InvalidBundle, match="output"):
        count_outputs(nn.Flatten(0), 5)


@pytest.mark.parametrize("source", ["no_such_module:make", "math:no_such", "math", "math:pi", "os:getcwd"])
def test_a_factory_that_is_none_is_refused(source: str) -> None:
    with pytest.raises(InvalidParameter) as caught:
        load_module(source)
    assert caught.value.field == "factory"


def test_words_of_a_recipe() -> None:
    made = Recipe.from_values(
        ("a",), ("0", "1"), {"optimizer": "adam", "statistics": "true", "local_epochs": "3"}
    )
    assert (made.optimizer, made.statistics, made.local_epochs, made.clip_norm) == ("adam", True, 3, 1.0)
    for values in ({"features": "b"}, {"speed": "1"}, {"local_epochs": "many"}, {"statistics": "maybe"}):
        with pytest.raises(InvalidParameter) as caught:
            Recipe.from_values(("a",), ("0", "1"), values)
        assert caught.value.field == next(iter(values))
