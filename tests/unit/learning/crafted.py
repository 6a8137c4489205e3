"""Graphs that no exporter makes: a linear model, and calls after it."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from zkpfl.learning import tensors

X, FLOORDIV, SIZE = {"node": 0}, "aten.floordiv.int", "aten.sym_size.int"
RESHAPE = "aten.reshape.default"
LINEAR = ("aten.linear.default", {"input": X, "weight": {"node": 1}})


def weights(inputs: int = 3) -> bytes:
    """The weights of every graph here."""
    return tensors.pack({"w": np.ones((2, inputs), np.float32)})


def graph(*calls: tuple[str, dict[str, Any]], output: int = 2, inputs: int = 3) -> bytes:
    """A linear model of so many features, and calls after it, the first of which is node 3."""
    nodes: list[dict[str, Any]] = [{"op": "input"}, {"op": "parameter", "name": "w"}]
    nodes += [{"op": op, "args": arguments} for op, arguments in (LINEAR, *calls)]
    body = {"format": "zkpfl.graph.v1", "inputs": inputs, "outputs": 2, "output": output, "nodes": nodes}
    return json.dumps(body).encode()


def only_even_batches(inputs: int = 3) -> bytes:
    """Pairs of records, as a graph may join them: it works for an even number of records only."""
    return graph(
        (SIZE, {"self": X, "dim": 0}),
        (FLOORDIV, {"a": {"node": 3}, "b": 2}),
        (RESHAPE, {"self": {"node": 2}, "shape": [{"node": 4}, 2, 2]}),
        (RESHAPE, {"self": {"node": 5}, "shape": [{"node": 3}, 2]}),
        output=6,
        inputs=inputs,
    )
