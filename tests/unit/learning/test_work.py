"""What a graph would cost is known, and refused if it is too much, before anything is computed."""

from __future__ import annotations

import json
import time
from typing import Any

import numpy as np
import pytest
import torch
from tests.unit.learning.crafted import FLOORDIV, SIZE, X, graph, only_even_batches, weights
from tests.unit.learning.families import CLASSES, FAMILIES, INPUTS, family
from torch import nn

from zkpfl.errors import InvalidBundle
from zkpfl.learning import tensors
from zkpfl.learning.evaluation import evaluate
from zkpfl.learning.export import export_graph
from zkpfl.learning.graph import EVALUATION_BATCH, GraphModule
from zkpfl.learning.recipe import Recipe
from zkpfl.learning.records import Records
from zkpfl.learning.training import train_locally
from zkpfl.learning.weights import flatten
from zkpfl.learning.work import ELEMENT, TIME_STEP, Meter, tensors_in

ZEROS = "aten.zeros.default"
WEIGHTS = weights()


def lstm(steps: int) -> bytes:
    """One layer of width 1 over so many steps."""
    call = {"input": {"node": 3}, "hx": [{"node": 4}] * 2, "params": [{"node": 5}] * 2, "num_layers": 1}
    flags = {"has_biases": False, "dropout": 0.0, "train": True, "bidirectional": False, "batch_first": True}
    zeros = [(ZEROS, {"size": size}) for size in ([1, steps, 1], [1, 1, 1], [4, 1])]
    return graph(*zeros, ("aten.lstm.input", {**call, **flags}))


SUM = ("aten.sum.dim_IntList", {"self": {"node": 3}, "dim": [0, 1]})
WINDOWS = {"self": {"node": 3}, "kernel_size": [200, 200], "stride": [1, 1]}
IMAGE, SQUARE = (ZEROS, {"size": [1, 1, 600, 600]}), (ZEROS, {"size": [8192, 8192]})
STRETCH = {"self": {"node": 3}, "output_size": [8192, 1]}

BAD_WORK = {
    "bad_many_sums_of_one_tensor": graph((ZEROS, {"size": [1 << 14, 1 << 13]}), *[SUM] * 200),
    "bad_windows": graph(IMAGE, ("aten.avg_pool2d.default", WINDOWS)),
    "bad_windows_of_maxima": graph(IMAGE, ("aten.max_pool2d.default", {**WINDOWS, "kernel_size": [200]})),
    "bad_adaptive_windows": graph(
        (ZEROS, {"size": [64, 1, 8192]}), *[("aten.adaptive_avg_pool2d.default", STRETCH)] * 100
    ),
    "bad_product": graph(SQUARE, ("aten.matmul.default", {"self": {"node": 3}, "other": {"node": 3}})),
    "bad_long_sequence": lstm(1 << 24),
    "bad_shape_larger_for_fewer_records": graph(
        (SIZE, {"self": X, "dim": 0}),
        (FLOORDIV, {"a": 1 << 24, "b": {"node": 3}}),
        (ZEROS, {"size": [{"node": 4}, 4]}),
        *[("aten.sum.dim_IntList", {"self": {"node": 5}, "dim": [0, 1]})] * 40,
    ),
}


@pytest.mark.parametrize("case", BAD_WORK)
def test_what_takes_too_long_is_refused_at_once(case: str) -> None:
    began = time.monotonic()
    with pytest.raises(InvalidBundle, match="operations") as caught:
        GraphModule(BAD_WORK[case], WEIGHTS)
    assert caught.value.field == "graph"
    assert time.monotonic() - began < 5


def test_a_long_sequence_is_read_quickly() -> None:
    began = time.monotonic()
    GraphModule(lstm(2000), WEIGHTS)
    assert time.monotonic() - began < 10


@pytest.mark.parametrize("name", [pytest.param(name, id=name) for name in FAMILIES])
def test_no_family_comes_near_the_limits(name: str) -> None:
    GraphModule(*export_graph(family(name), torch.zeros(2, INPUTS))).require_batch(EVALUATION_BATCH * 8)


class Counter(Meter):
    """A meter that never stops and remembers."""

    def __init__(self) -> None:
        super().__init__(1 << 62, 0)
        self.calls: list[tuple[dict[str, Any], Any]] = []

    @property
    def total(self) -> int:
        return (1 << 62) - self._left

    def charge(self, operator: str, arguments: Any, result: Any) -> None:
        self.calls.append((dict(arguments), result))
        super().charge(operator, arguments, result)


@pytest.mark.parametrize(
    ("module", "shape", "products"),
    [
        (nn.Linear(5, 7), (3, 5), 3 * 5 * 7),
        (nn.Sequential(nn.Unflatten(1, (2, 4, 4)), nn.Conv2d(2, 6, 3), nn.Flatten()), (3, 32), 3 * 24 * 18),
        (nn.Sequential(nn.Unflatten(1, (2, 8)), nn.Conv1d(2, 6, 3), nn.Flatten()), (3, 16), 3 * 6 * 6 * 6),
        (
            nn.Sequential(nn.Unflatten(1, (1, 4, 4)), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(4, 1)),
            (3, 16),
            3 * 4 * 4 * ELEMENT + 3 * 4,
        ),
    ],
)
def test_products_are_counted_exactly(module: nn.Module, shape: tuple[int, int], products: int) -> None:
    assert beyond_moving(GraphModule(*export_graph(module, torch.zeros(shape))), shape) == products


def beyond_moving(model: GraphModule, shape: tuple[int, int]) -> int:
    """What is counted beyond the elements that the calls take and give."""
    counted, moved = Counter(), Counter()
    model.graph.run(torch.zeros(shape), model.tensors(), training=False, meter=counted)
    for arguments, result in counted.calls:
        moved.charge("aten.relu.default", arguments, result)
    return counted.total - moved.total


def test_matrix_products_are_counted() -> None:
    weights = tensors.pack({"w": np.ones((2, 3), np.float32)})
    across = ("aten.transpose.int", {"self": {"node": 1}, "dim0": 0, "dim1": 1})
    product = ("aten.matmul.default", {"self": X, "other": {"node": 3}})
    pair = ("aten.unsqueeze.default", {"self": {"node": 4}, "dim": 2})
    batch = ("aten.bmm.default", {"self": {"node": 5}, "mat2": {"node": 6}})
    rows = ("aten.unsqueeze.default", {"self": {"node": 4}, "dim": 1})
    model = GraphModule(graph(across, product, pair, rows, batch), weights)
    assert beyond_moving(model, (5, 3)) == 5 * 2 * 3 + 5 * 2 * 3 + 5 * 2 * 2 * 1


@pytest.mark.parametrize("name", ["lstm", "lstm_bidirectional", "gru"])
def test_recurrent_layers_are_counted_and_have_the_shapes_of_the_kernels(name: str) -> None:
    model = GraphModule(*export_graph(family(name), torch.zeros(2, INPUTS)))
    shapes = []
    for device in ("cpu", "meta"):
        weights = {key: value.to(device) for key, value in model.tensors().items()}
        values = model.graph.run(torch.zeros(5, INPUTS, device=device), weights, training=True)
        shapes.append([tuple(tensor.shape) for tensor in tensors_in(values)])
    assert shapes[0] == shapes[1]
    counted = Counter()
    model.graph.run(torch.zeros(5, INPUTS), model.tensors(), training=True, meter=counted)
    assert counted.total > 6 * 2 * TIME_STEP


RECURRENT = {
    "bad_states": {"hx": [{"node": 5}, {"node": 5}]},
    "bad_one_state": {"hx": [{"node": 4}]},
    "bad_weights": {"params": [{"node": 5}]},
    "bad_biases": {"has_biases": True},
    "bad_layers": {"num_layers": 2},
    "bad_directions": {"bidirectional": True},
    "bad_order": {"batch_first": False},
}


@pytest.mark.parametrize("case", RECURRENT)
def test_recurrent_shapes_that_do_not_fit_are_refused(case: str) -> None:
    body = json.loads(lstm(7))
    body["nodes"][-1]["args"].update(RECURRENT[case])
    with pytest.raises(InvalidBundle, match="recurrent"):
        GraphModule(json.dumps(body).encode(), WEIGHTS)


def test_a_graph_that_does_not_work_for_all_batches_is_refused_before_it_is_used() -> None:
    model = GraphModule(only_even_batches(), WEIGHTS)
    weights, records = flatten(model), Records(np.zeros((5, 3), np.float32), np.zeros(5, np.int64))
    recipe = Recipe(("a", "b", "c"), ("0", "1"), clip_norm=1.0, learning_rate=0.1)
    with pytest.raises(InvalidBundle, match="does not run"):
        evaluate(model, weights, records, recipe)
    with pytest.raises(InvalidBundle, match="does not run"):
        train_locally(model, weights, records, recipe, seed=0)
    assert evaluate(model, weights, records.take(np.arange(4)), recipe).total == 4


def test_a_single_record_can_be_evaluated_with_batch_norm() -> None:
    model = GraphModule(*export_graph(family("cnn_batch"), torch.zeros(2, INPUTS)))
    rows = np.zeros((EVALUATION_BATCH + 1, INPUTS), np.float32)
    features, classes = tuple(f"x{i}" for i in range(INPUTS)), tuple(str(i) for i in range(CLASSES))
    recipe = Recipe(features, classes, clip_norm=1.0, learning_rate=0.1)
    records = Records(rows, np.zeros(len(rows), np.int64))
    score = evaluate(model, flatten(model), records, recipe)
    assert score.total == EVALUATION_BATCH + 1
