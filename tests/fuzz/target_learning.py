"""What an owner uploads and trainers run: tensors, recipes, graphs and the bundle around them."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import torch

from tests.fuzz.registry import Reader, fuzz_target
from zkpfl import strict_json
from zkpfl.errors import InvalidBundle
from zkpfl.learning import tensors
from zkpfl.learning.bundle import Bundle
from zkpfl.learning.graph import FORMAT, GraphModule
from zkpfl.learning.recipe import Recipe
from zkpfl.learning.weights import checkpoint_bytes, checkpoint_weights

torch.set_num_threads(1)

RECIPE = Recipe(features=("a", "b"), classes=("no", "yes"), clip_norm=1.0, learning_rate=0.1)

LINEAR = ("aten.linear.default", {"input": {"node": 0}, "weight": {"node": 1}, "bias": {"node": 2}})

# Tensors by which a graph can be tried: one for each shape that layers of two features want.
WEIGHTS = tensors.pack(
    {"w": np.ones((2, 2), np.float32), "b": np.ones(2, np.float32), "c": np.ones((2, 1, 2), np.float32)}
)


def graph(*calls: tuple[str, dict[str, Any]]) -> bytes:
    """A graph of two features: the input, the tensors, and these calls after them."""
    sources = [{"op": "input"}, *({"op": "parameter", "name": name} for name in "wbc")]
    nodes = [*sources, *({"op": op, "args": arguments} for op, arguments in calls)]
    return strict_json.dump(
        {"format": FORMAT, "inputs": 2, "outputs": 2, "output": len(nodes) - 1, "nodes": nodes}
    )


TOKENS = strict_json.dump(
    {
        "format": FORMAT,
        "inputs": 2,
        "outputs": 2,
        "output": 3,
        "nodes": [
            {"op": "input", "vocabulary": 2},
            {"op": "parameter", "name": "w"},
            {"op": "aten.embedding.default", "args": {"weight": {"node": 1}, "indices": {"node": 0}}},
            {"op": "aten.mean.dim", "args": {"self": {"node": 2}, "dim": [1]}},
        ],
    }
)
"""A graph that looks up two tokens."""


@fuzz_target("tensors")
def safetensors(data: bytes) -> None:
    try:
        arrays = tensors.unpack(data, field="fuzz")
    except InvalidBundle:
        return
    again = tensors.unpack(tensors.pack(arrays), field="fuzz")
    assert again.keys() == arrays.keys()
    for name, array in arrays.items():
        np.testing.assert_array_equal(again[name], array)


@fuzz_target("json")
def recipes(data: bytes) -> None:
    try:
        recipe = Recipe.from_json(data)
    except InvalidBundle:
        return
    assert recipe.to_json() == data


@fuzz_target("graphs")
def graphs(data: bytes) -> None:
    """JSON of a graph over tensors w, b and c, which it may name."""
    named = [name for name in (b'"w"', b'"b"', b'"c"') if name in data]
    try:
        model = GraphModule(data, _weights(tuple(named)))
    except InvalidBundle:
        return
    with torch.no_grad():
        assert model(model.example(3)).shape == (3, model.outputs)


@cache
def _weights(names: tuple[bytes, ...]) -> bytes:
    arrays = tensors.unpack(WEIGHTS, field="fuzz")
    return tensors.pack({name: array for name, array in arrays.items() if f'"{name}"'.encode() in names})


@cache
def _model() -> GraphModule:
    return _bundle().model()


@cache
def _bundle() -> Bundle:
    return Bundle(graph(LINEAR), WEIGHTS, RECIPE)


@fuzz_target("bundles")
def bundles(data: bytes) -> None:
    """Any bytes, or a true container changed."""
    reader = Reader(data)
    container = reader.damage(_bundle().to_bytes()) if reader.byte() & 1 else reader.rest()
    try:
        bundle = Bundle.from_bytes(container)
    except InvalidBundle:
        return
    assert bundle.to_bytes() == container


@fuzz_target("tensors")
def checkpoints(data: bytes) -> None:
    model = _model()
    reader = Reader(data)
    checkpoint = (
        reader.damage(checkpoint_bytes(model, np.zeros(10, np.float32)))
        if reader.byte() & 1
        else reader.rest()
    )
    try:
        weights = checkpoint_weights(model, checkpoint)
    except InvalidBundle:
        return
    assert checkpoint_bytes(model, weights) == checkpoint
