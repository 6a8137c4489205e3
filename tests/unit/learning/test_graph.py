import copy
import functools
import json
import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.learning.families import INPUTS, family
from torch import nn

from zkpfl.errors import InvalidBundle, InvalidParameter
from zkpfl.learning import tensors
from zkpfl.learning.architectures import mlp
from zkpfl.learning.export import export_graph
from zkpfl.learning.graph import MAX_GRAPH_BYTES, MAX_NODES, GraphModule

INPUT = {"op": "input"}
WEIGHT = {"op": "parameter", "name": "w"}
LINEAR = {"op": "aten.linear.default", "args": {"input": {"node": 0}, "weight": {"node": 1}}}
WEIGHTS = tensors.pack({"w": np.ones((2, 3), np.float32)})


def encode(*nodes, **changes):
    body = {
        "format": "zkpfl.graph.v1",
        "inputs": 3,
        "outputs": 2,
        "output": len(nodes) - 1,
        "nodes": list(nodes),
    }
    return json.dumps({**body, **changes}).encode()


def call(op, **args):
    return {"op": op, "args": args}


class Mixed(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear, self.norm = nn.Linear(6, 4), nn.LayerNorm(4)
        self.register_buffer("shift", torch.arange(4.0))

    def forward(self, x):
        y = self.linear(x.view(x.size(0), -1)) * 2.0 + 1
        return torch.softmax(torch.cat([y, self.norm(y) - self.shift], 1), 1) / 3


@pytest.mark.parametrize("module", [mlp(6, (5, 4), 3, activation="gelu"), mlp(6, (), 2), Mixed()])
def test_interpreter_equals_the_module(module):
    x = torch.randn(7, 6, generator=torch.Generator().manual_seed(0))
    model = GraphModule(*export_graph(module, x))
    for rows in (1, 2, 7):
        torch.testing.assert_close(model(x[:rows]), module(x[:rows]), rtol=0, atol=0)


def test_training_mode_switches_dropout_and_batch_norm(conv_net):
    x = torch.randn(6, 64, generator=torch.Generator().manual_seed(0))
    model = GraphModule(*export_graph(conv_net, x))
    model.eval(), conv_net.eval()
    torch.testing.assert_close(model(x), conv_net(x), rtol=0, atol=0)
    model.train(), conv_net.train()
    outputs = []
    for module in (model, conv_net):
        torch.manual_seed(3)
        outputs.append(module(x))
    torch.testing.assert_close(*outputs, rtol=0, atol=0)
    assert (outputs[0] == 0).any()
    running = {name: tensor for name, tensor in model.tensors().items() if "running" in name}
    for name, tensor in running.items():
        torch.testing.assert_close(tensor, conv_net.state_dict()[name], rtol=0, atol=0)
    assert "body.2.num_batches_tracked" not in model.tensors()


def test_negative_running_variance_stays_finite_in_eval(conv_net):
    model = GraphModule(*export_graph(conv_net, torch.zeros(2, 64))).eval()
    model.tensors()["body.2.running_var"].fill_(-0.5)
    assert model(torch.ones(3, 64)).isfinite().all()


def test_gradients_reach_every_parameter(conv_net):
    model = GraphModule(*export_graph(conv_net, torch.zeros(2, 64)))
    model(torch.randn(6, 64)).square().sum().backward()
    assert [p.grad is not None for p in model.parameters()] == [True] * 6


def test_tensors_come_in_the_order_of_their_names(conv_net):
    model = GraphModule(*export_graph(conv_net, torch.zeros(2, 64)))
    assert list(model.tensors()) == sorted(model.tensors())
    assert len(model.tensors()) == 8


def test_export_leaves_the_module_alone(conv_net):
    before = copy.deepcopy(conv_net.state_dict())
    export_graph(conv_net.train(), torch.zeros(2, 64))
    assert conv_net.training
    assert all(torch.equal(before[name], tensor) for name, tensor in conv_net.state_dict().items())


class Forbidden(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(3, 2)

    def forward(self, x):
        return torch.cumsum(self.linear(x), 1)


class Tied(Forbidden):
    def __init__(self):
        super().__init__()
        self.other = nn.Linear(3, 2)
        self.other.weight = self.linear.weight

    def forward(self, x):
        return self.linear(x) + self.other(x)


@pytest.mark.parametrize(
    ("module", "example", "field"),
    [
        (Forbidden(), torch.zeros(2, 3), "module"),
        (Tied(), torch.zeros(2, 3), "module"),
        (nn.Linear(3, 2).double(), torch.zeros(2, 3), "module"),
        (nn.BatchNorm1d(3, track_running_stats=False), torch.zeros(2, 3), "module"),
        (nn.Linear(3, 2), torch.zeros(1, 3), "example"),
        (nn.Linear(3, 2), torch.zeros(2, 3, dtype=torch.float64), "example"),
    ],
)
def test_export_refuses(module, example, field):
    with pytest.raises(InvalidBundle) as error:
        export_graph(module, example)
    assert error.value.field.startswith((field, "graph"))


@pytest.mark.parametrize("bad", [{"hidden": (0,)}, {"activation": "exec"}, {"dropout": 1.0}])
def test_mlp_refuses(bad):
    with pytest.raises(InvalidParameter) as error:
        mlp(**{"inputs": 3, "hidden": (4,), "outputs": 2, **bad})
    assert error.value.field in bad


def test_mlp_depends_on_its_seed_only():
    torch.manual_seed(5)
    state = torch.get_rng_state()
    one, same, other = (mlp(3, (4,), 2, seed=seed)[0].weight for seed in (1, 1, 2))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    assert torch.equal(state, torch.get_rng_state())


def test_smallest_graph_is_accepted():
    model = GraphModule(encode(INPUT, WEIGHT, LINEAR), WEIGHTS)
    assert torch.equal(model(torch.ones(1, 3)), torch.full((1, 2), 3.0))


X = {"node": 0}
SOFTMAX, RELU, MUL = "aten.softmax.int", "aten.relu.default", "aten.mul.Tensor"
CONV, POOL, RESHAPE = "aten.conv2d.default", "aten.max_pool2d.default", "aten.reshape.default"
CODE = "aten.from_file.default"
NORM = {
    "input": X, "weight": None, "bias": None, "running_mean": {"node": 1}, "running_var": {"node": 1},
    "training": True, "momentum": 0.1, "eps": 1e-5, "cudnn_enabled": False,
}  # fmt: skip

LSTM = {
    "input": X, "hx": [X, X], "params": [X, X], "has_biases": False, "num_layers": 1, "dropout": 0.0,
    "train": True, "bidirectional": False, "batch_first": True,
}  # fmt: skip
CHUNK = call("aten.chunk.default", self=X, chunks=3, dim=1)
LENGTH = call("aten.sym_size.int", self=X, dim=1)
NOTHING = call("aten.sub.int", a={"node": 2}, b={"node": 2})

BAD_GRAPHS = {
    "bad_json": (b"{", "graph"),
    "bad_utf8": (b"\xff", "graph"),
    "bad_top": (b"[]", "graph"),
    "bad_depth": (b"[" * 100_000, "graph"),
    "bad_size": (b" " * (MAX_GRAPH_BYTES + 1), "graph"),
    "bad_duplicate_key": (b'{"format":1,"format":1}', "graph"),
    "bad_nan": (encode(INPUT, WEIGHT, LINEAR, inputs=float("nan")), "graph"),
    "bad_format": (encode(INPUT, WEIGHT, LINEAR, format="zkpfl.graph.v2"), "graph.format"),
    "bad_unknown_key": (encode(INPUT, WEIGHT, LINEAR, code="x"), "graph"),
    "bad_missing_key": (b'{"format":"zkpfl.graph.v1"}', "graph"),
    "bad_inputs_zero": (encode(INPUT, WEIGHT, LINEAR, inputs=0), "graph.inputs"),
    "bad_inputs_bool": (encode(INPUT, WEIGHT, LINEAR, inputs=True), "graph.inputs"),
    "bad_outputs_huge": (encode(INPUT, WEIGHT, LINEAR, outputs=1 << 40), "graph.outputs"),
    "bad_output_index": (encode(INPUT, WEIGHT, LINEAR, output=3), "graph.output"),
    "bad_output_shape": (encode(INPUT, WEIGHT, LINEAR, output=0), "graph.output"),
    "bad_nodes": (encode(INPUT, WEIGHT, LINEAR, nodes={}), "graph.nodes"),
    "bad_no_nodes": (encode(INPUT, nodes=[]), "graph.nodes"),
    "bad_node_count": (encode(*[INPUT] * (MAX_NODES + 1)), "graph.nodes"),
    "bad_two_inputs": (encode(INPUT, WEIGHT, LINEAR, INPUT, output=2), "graph.nodes"),
    "bad_no_input": (encode(WEIGHT), "graph.nodes"),
    "bad_name_twice": (encode(INPUT, WEIGHT, WEIGHT, LINEAR), "graph.nodes"),
    "bad_parameter_and_buffer": (encode(INPUT, WEIGHT, {"op": "buffer", "name": "w"}), "graph.nodes"),
    "bad_node_type": (encode(INPUT, 7), "graph.nodes[1].op"),
    "bad_operator": (encode(INPUT, call("os.system", command="true")), "graph.nodes[1].op"),
    "bad_operator_unlisted": (encode(INPUT, call(CODE, filename="/etc/x")), "graph.nodes[1].op"),
    "bad_operator_type": (encode(INPUT, {"op": ["input"]}), "graph.nodes[1].op"),
    "bad_name": (encode(INPUT, {"op": "parameter", "name": "../w"}), "graph.nodes[1].name"),
    "bad_name_type": (encode(INPUT, {"op": "parameter", "name": 1}), "graph.nodes[1].name"),
    "bad_input_extra": (encode({"op": "input", "name": "x"}), "graph.nodes[0]"),
    "bad_call_extra": (encode(INPUT, {**LINEAR, "kwargs": {}}), "graph.nodes[1]"),
    "bad_args_list": (encode(INPUT, {"op": RELU, "args": []}), "graph.nodes[1].args"),
    "bad_argument_missing": (encode(INPUT, call(RELU)), "graph.nodes[1]"),
    "bad_argument_unknown": (encode(INPUT, call(RELU, self=X, out=1)), "graph.nodes[1]"),
    "bad_axis": (encode(INPUT, WEIGHT, call(SOFTMAX, self=X, dim=5), outputs=3), "graph"),
    "bad_probability": (
        encode(INPUT, WEIGHT, call("aten.dropout.default", input=X, p=2.0, train=False)),
        "graph",
    ),
    "bad_no_gradient": (encode(INPUT, WEIGHT, call(RELU, self=X), outputs=3), "graph.output"),
    "bad_shapes": (encode(INPUT, WEIGHT, call("aten.matmul.default", self=X, other={"node": 1})), "graph"),
    "bad_item_index": (encode(INPUT, WEIGHT, CHUNK, call("item", of={"node": 2}, index=3)), "graph"),
    "bad_item_negative": (
        encode(INPUT, WEIGHT, CHUNK, call("item", of={"node": 2}, index=-1)),
        "graph.nodes[3].args.index",
    ),
    "bad_item_extra": (
        encode(INPUT, WEIGHT, CHUNK, call("item", of={"node": 2}, index=0, default=X)),
        "graph.nodes[3].args",
    ),
    "bad_several_as_one": (
        encode(INPUT, WEIGHT, CHUNK, call(RELU, self={"node": 2})),
        "graph.nodes[3].args.self",
    ),
    "bad_several_as_output": (encode(INPUT, WEIGHT, CHUNK), "graph.output"),
    "bad_division": (
        encode(INPUT, WEIGHT, LENGTH, NOTHING, call("aten.floordiv.int", a={"node": 2}, b={"node": 3})),
        "graph",
    ),
    "bad_lstm_weights": (encode(INPUT, WEIGHT, call("aten.lstm.input", **LSTM)), "graph"),
    "bad_zeros_huge": (
        encode(INPUT, WEIGHT, LINEAR, call("aten.zeros.default", size=[1 << 26, 1 << 26]), output=2),
        "graph",
    ),
    "bad_expansion": (
        encode(INPUT, WEIGHT, LINEAR, call("aten.expand.default", self=X, size=[1 << 26, -1, 3]), output=2),
        "graph",
    ),
    "bad_integer_output": (encode(INPUT, WEIGHT, call("aten.sym_size.int", self=X, dim=0)), "graph.output"),
}


@pytest.mark.parametrize("case", BAD_GRAPHS)
def test_bad_graph_is_refused(case):
    graph, field = BAD_GRAPHS[case]
    with pytest.raises(InvalidBundle) as error:
        GraphModule(graph, WEIGHTS)
    assert error.value.field == field


BAD_ARGUMENTS = {
    "bad_reference_forward": (RELU, {"self": {"node": 2}}, "self"),
    "bad_reference_negative": (RELU, {"self": {"node": -1}}, "self"),
    "bad_reference_bool": (RELU, {"self": {"node": False}}, "self"),
    "bad_reference_extra": (RELU, {"self": {"node": 0, "x": 0}}, "self"),
    "bad_tensor_number": (RELU, {"self": 1.0}, "self"),
    "bad_tensor_null": (RELU, {"self": None}, "self"),
    "bad_tensor_list": ("aten.cat.default", {"tensors": [X, 1]}, "tensors"),
    "bad_scalar_huge": (MUL, {"self": X, "other": 1e300}, "other"),
    "bad_scalar_bool": (MUL, {"self": X, "other": True}, "other"),
    "bad_dtype": (SOFTMAX, {"self": X, "dim": 1, "dtype": 7}, "dtype"),
    "bad_integer_huge": (SOFTMAX, {"self": X, "dim": 1 << 27}, "dim"),
    "bad_integer_float": (SOFTMAX, {"self": X, "dim": 1.0}, "dim"),
    "bad_integer_tensor": (SOFTMAX, {"self": X, "dim": X}, "dim"),
    "bad_groups_zero": (CONV, {"input": X, "weight": {"node": 1}, "groups": 0}, "groups"),
    "bad_stride_zero": (POOL, {"self": X, "kernel_size": [1, 1], "stride": [0, 0]}, "stride"),
    "bad_padding_negative": (POOL, {"self": X, "kernel_size": [1, 1], "padding": [-1]}, "padding"),
    "bad_window": (POOL, {"self": X, "kernel_size": [1 << 26, 1 << 26]}, "kernel_size"),
    "bad_list_long": (RESHAPE, {"self": X, "shape": [1] * 65}, "shape"),
    "bad_list_scalar": (RESHAPE, {"self": X, "shape": 1}, "shape"),
    "bad_word": ("aten.gelu.default", {"self": X, "approximate": "exec"}, "approximate"),
    "bad_bool": ("aten.dropout.default", {"input": X, "p": 0.5, "train": 1}, "train"),
    "bad_stride_computed": (POOL, {"self": X, "kernel_size": [1, 1], "stride": [X]}, "stride"),
    "bad_item_of_a_tensor": ("item", {"of": X, "index": 0}, "of"),
    "bad_chunks_zero": ("aten.chunk.default", {"self": X, "chunks": 0}, "chunks"),
    "bad_chunks_many": ("aten.chunk.default", {"self": X, "chunks": 65}, "chunks"),
    "bad_layers": ("aten.lstm.input", {**LSTM, "num_layers": 9}, "num_layers"),
    "bad_states": ("aten.lstm.input", {**LSTM, "hx": X}, "hx"),
    "bad_zeros_dtype": ("aten.zeros.default", {"size": [2], "dtype": 4}, "dtype"),
    "bad_running_mean_parameter": ("aten.batch_norm.default", NORM, "running_mean"),
    "bad_running_mean_null": ("aten.batch_norm.default", {**NORM, "running_mean": None}, "running_mean"),
}


@pytest.mark.parametrize("case", BAD_ARGUMENTS)
def test_bad_argument_is_refused(case):
    operator, arguments, name = BAD_ARGUMENTS[case]
    with pytest.raises(InvalidBundle) as error:
        GraphModule(encode(INPUT, WEIGHT, call(operator, **arguments)), WEIGHTS)
    assert error.value.field == f"graph.nodes[2].args.{name}"


JSON_VALUES = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False)
    | st.text(max_size=3)
)
JSON_VALUES |= st.builds(lambda node: {"node": node}, st.integers(-1, 20)) | st.lists(
    st.integers(-2, 9), max_size=3
)


def places(value, path=()):
    """Every position inside a JSON value."""
    yield path
    if isinstance(value, (dict, list)):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from places(item, (*path, key))


@pytest.fixture(scope="module", params=["cnn_batch", "lstm", "gru", "transformer"])
def exported(request):
    graph, weights = export_graph(family(request.param), torch.zeros(2, INPUTS))
    return json.loads(graph), weights


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_any_changed_value_is_refused_or_gives_a_model_that_runs(exported, data):
    graph, weights = copy.deepcopy(exported[0]), exported[1]
    *path, last = data.draw(st.sampled_from(list(places(graph))[1:]))
    parent = functools.reduce(lambda value, key: value[key], path, graph)
    parent[last] = data.draw(JSON_VALUES)
    with warnings.catch_warnings(action="ignore"):
        try:
            model = GraphModule(json.dumps(graph).encode(), weights)
        except InvalidBundle as error:
            assert error.field.startswith(("graph", "weights"))
        else:
            assert model(torch.zeros(3, model.inputs)).shape == (3, model.outputs)


def test_memory_bomb_is_refused_without_allocating():
    doubling = [call("aten.cat.default", tensors=[{"node": i}, {"node": i}], dim=1) for i in range(1, 60)]
    graph = encode(WEIGHT, INPUT, *doubling)
    with pytest.raises(InvalidBundle):
        GraphModule(graph, WEIGHTS)


def test_attention_whose_scores_no_result_shows_is_refused_without_allocating():
    rows = call("aten.zeros.default", size=[1, 1, 1 << 15, 2])
    attention = call(
        "aten.scaled_dot_product_attention.default", query={"node": 3}, key={"node": 3}, value={"node": 3}
    )
    with pytest.raises(InvalidBundle, match="scores"):
        GraphModule(encode(INPUT, WEIGHT, LINEAR, rows, attention, output=2), WEIGHTS)


def test_large_batch_is_refused_where_records_are_compared():
    product = [
        call("aten.transpose.int", self={"node": 0}, dim0=0, dim1=1),
        call("aten.matmul.default", self={"node": 0}, other={"node": 3}),
    ]
    model = GraphModule(encode(INPUT, WEIGHT, LINEAR, *product, output=2), WEIGHTS)
    with pytest.raises(InvalidBundle):
        model.require_batch(1 << 15)


@pytest.mark.parametrize(
    ("weights", "field"),
    [
        (tensors.pack({}), "weights"),
        (tensors.pack({"w": np.ones((2, 3), np.float32), "x": np.ones(1, np.float32)}), "weights"),
        (tensors.pack({"w": np.ones((2, 3), np.int64)}), "weights.w"),
        (tensors.pack({"w": np.full((2, 3), np.nan, np.float32)}), "weights.w"),
        (tensors.pack({"w": np.ones((2, 4), np.float32)}), "graph"),
        (b"", "weights"),
    ],
)
def test_bad_weights_are_refused(weights, field):
    with pytest.raises(InvalidBundle) as error:
        GraphModule(encode(INPUT, WEIGHT, LINEAR), weights)
    assert error.value.field == field
