"""Bundles of an owner who means harm, as whole files, each with the place at which it must be refused.

A small linear model of three features and two classes, with one thing wrong. Files are made here, so that
what would be huge is a few lines; `python -m tests.fuzz.seeds` gives those that are small to the fuzzer.
"""

from __future__ import annotations

import gzip
import io
import json
import struct
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from zkpfl.learning import tensors
from zkpfl.learning.bundle import MAGIC, MAX_TENSOR_BYTES
from zkpfl.learning.graph import MAX_GRAPH_BYTES, MAX_NODES
from zkpfl.learning.recipe import MAX_VOCABULARY, Recipe
from zkpfl.learning.tensors import MAX_HEADER_BYTES

Json = dict[str, Any]

RECIPE: Json = json.loads(Recipe(("a", "b", "c"), ("no", "yes"), clip_norm=1.0, learning_rate=0.1).to_json())
GRAPH: Json = {
    "format": "zkpfl.graph.v1",
    "inputs": 3,
    "outputs": 2,
    "output": 2,
    "nodes": [
        {"op": "input"},
        {"op": "parameter", "name": "w"},
        {"op": "aten.linear.default", "args": {"input": {"node": 0}, "weight": {"node": 1}}},
    ],
}
PRIVACY: Json = {
    "batch": 1, "delta": 0.1, "epsilon": 1.0, "least_records": 1, "local_steps": 1, "max_grad_norm": 1.0,
    "noise_multiplier": 1.0,
}  # fmt: skip
WEIGHTS = tensors.pack({"w": np.ones((2, 3), np.float32)})
TEST_SET = tensors.pack({"features": np.zeros((4, 3), np.float32), "labels": np.array([0, 1, 0, 1])})


@dataclass(frozen=True)
class Hostile:
    """A file, and what the refusal must say.

    Parameters
    ----------
    make
        Gives the bytes.
    field
        Of the error.
    text
        Part of its message; alternatives with ``|`` between them.
    """

    make: Callable[[], bytes]
    field: str
    text: str


def container(
    graph: bytes | None = None,
    weights: bytes = WEIGHTS,
    recipe: bytes | None = None,
    test_set: bytes = TEST_SET,
) -> bytes:
    """A container of these sections, whatever they are; those that are not given are good."""
    parts = (graph or compact(GRAPH), weights, recipe or compact(RECIPE), test_set)
    return b"".join([MAGIC, *(len(part).to_bytes(8, "big") + part for part in parts)])


def compact(body: Json) -> bytes:
    """Canonical JSON, but for what no JSON has."""
    return json.dumps(body, sort_keys=True, separators=(",", ":")).encode()


def graph(*nodes: Any, **changes: Any) -> bytes:
    """A container of the linear graph with nodes after it and fields changed; the last node is its output."""
    every = [*GRAPH["nodes"], *nodes]
    body = {**GRAPH, "nodes": every, "output": len(every) - 1, **changes}
    return container(compact({name: value for name, value in body.items() if value is not ...}))


def call(op: str, **arguments: Any) -> Json:
    return {"op": op, "args": arguments}


def node(index: int) -> Json:
    return {"node": index}


def safetensors(header: Json | bytes, data: bytes = b"", *, size: int | None = None) -> bytes:
    """A container whose weights are this file; ``size`` is what it says of the length of its header."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return container(weights=struct.pack("<Q", len(text) if size is None else size) + text + data)


def tensor(start: int, end: int, shape: tuple[int, ...] = (2, 3), dtype: str = "F32") -> Json:
    return {"dtype": dtype, "shape": list(shape), "data_offsets": [start, end]}


def weights(**arrays: np.ndarray) -> bytes:
    return container(weights=tensors.pack(arrays))


def value(number: float) -> bytes:
    return weights(w=np.array([[1, 2, 3], [4, 5, number]], np.float32))


def recipe(**changes: Any) -> bytes:
    return container(recipe=compact({**RECIPE, **changes}))


def test_set(**arrays: np.ndarray) -> bytes:
    return container(test_set=tensors.pack(arrays))


def zipped(size: int = 1 << 24) -> bytes:
    """A few kilobytes that a careless reader would make 16 MiB of."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("w.npy", bytes(size))
    return file.getvalue()


ZEROS, ONES = np.zeros((4, 3), np.float32), np.ones((2, 3), np.float32)
LABELS = np.array([0, 1, 0, 1])
BIG = 1 << 26
SIX = bytes(24)
DUPLICATE = b'{"format":"zkpfl.graph.v1","format":"zkpfl.graph.v1"}'
NORM: Json = {
    "input": node(2),
    "weight": None,
    "bias": None,
    "training": True,
    "momentum": 0.1,
    "eps": 0.1,
    "cudnn_enabled": False,
}
SAME: Json = {"running_mean": node(1), "running_var": node(1)}


def _containers() -> Iterator[tuple[str, Hostile]]:
    good = container()
    for name, data in (
        ("empty_file", b""),
        ("zip_bomb", zipped()),
        ("gzip_bomb", gzip.compress(bytes(1 << 24), mtime=0)),
        ("pickle", b"\x80\x04cos\nsystem\n(S'true'\ntR."),
        ("another_version", b"ZKPFLB02" + good[8:]),
    ):
        yield name, Hostile(lambda data=data: data, "magic", "not a bundle")
    yield (
        "graph_that_claims_2^63_bytes",
        Hostile(lambda: MAGIC + (1 << 63).to_bytes(8, "big") + bytes(64), "graph", "at most"),
    )
    yield (
        "weights_that_claim_all_that_is_allowed",
        Hostile(
            lambda: MAGIC + _sized(compact(GRAPH)) + MAX_TENSOR_BYTES.to_bytes(8, "big"),
            "weights",
            "truncated",
        ),
    )
    yield "cut_short", Hostile(lambda: good[:-1], "test_set", "truncated")
    yield "bytes_after_the_end", Hostile(lambda: good + b"#!/bin/sh", "container", "left over")
    yield (
        "sections_swapped",
        Hostile(lambda: container(compact(RECIPE), recipe=compact(GRAPH)), "recipe", "misses"),
    )
    yield "no_graph", Hostile(lambda: MAGIC + bytes(32), "recipe", "not acceptable JSON")


def _sized(part: bytes) -> bytes:
    return len(part).to_bytes(8, "big") + part


def _graph_texts() -> Iterator[tuple[str, Hostile]]:
    deep = b'{"nodes":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    for name, text, message in (
        ("graph_not_text", b"\xff\xfe{}", "not acceptable JSON"),
        ("graph_gzipped", gzip.compress(compact(GRAPH), mtime=0), "not acceptable JSON"),
        ("graph_nested_100000_deep", deep, "nested"),
        ("graph_a_list", b"[]", "object"),
        ("graph_key_twice", DUPLICATE, "not acceptable JSON"),
        ("graph_nan", b'{"inputs":NaN}', "not acceptable JSON"),
        ("graph_infinite", b'{"inputs":1e999}', "not acceptable JSON"),
        ("graph_number_of_5000_digits", b'{"inputs":' + b"9" * 5000 + b"}", "not acceptable JSON"),
        ("graph_too_long", b" " * (MAX_GRAPH_BYTES + 1), "at most"),
        ("graph_with_more_keys", compact({**GRAPH, "hook": "os.system"}), "unknown keys"),
    ):
        yield name, Hostile(lambda text=text: container(text), "graph", message)
    for name, changes, field in (
        ("graph_of_another_format", {"format": "torch.export"}, "graph.format"),
        ("inputs_a_number_with_a_point", {"inputs": 3.0}, "graph.inputs"),
        ("inputs_more_than_any_recipe_has", {"inputs": 1 << 40}, "graph.inputs"),
        ("outputs_none", {"outputs": 0}, "graph.outputs"),
        ("outputs_true", {"outputs": True}, "graph.outputs"),
        ("output_before_the_first_node", {"output": -1}, "graph.output"),
        ("output_after_the_last_node", {"output": 3}, "graph.output"),
        ("output_the_input", {"output": 0}, "graph.output"),
        ("nodes_an_object", {"nodes": {}}, "graph.nodes"),
        ("nodes_none", {"nodes": []}, "graph.nodes"),
        ("nodes_more_than_allowed", {"nodes": [{"op": "input"}] * (MAX_NODES + 1)}, "graph.nodes"),
        ("two_inputs", {"nodes": [*GRAPH["nodes"], {"op": "input"}]}, "graph.nodes"),
        ("a_tensor_twice", {"nodes": [*GRAPH["nodes"], GRAPH["nodes"][1]]}, "graph.nodes"),
    ):
        yield name, Hostile(lambda changes=changes: graph(**changes), field, "")


def _nodes() -> Iterator[tuple[str, Hostile]]:
    """Nodes after the linear layer; the first is node 3."""
    for op in (
        "os.system", "__import__", "aten.relu_.default", "aten.set_.source_Tensor", "aten.from_file.default",
        "aten.relu", "aten.linear.out", "prim.data_ptr", "aten.rand.default", "", "item ", "aten.to.dtype",
    ):  # fmt: skip
        name = f"unknown_operator_{op or 'empty'}"
        yield (
            name,
            Hostile(lambda op=op: graph(call(op, self=node(2))), "graph.nodes[3].op", "not an allowed"),
        )
    for name, item, field in (
        ("node_a_text", "input", ".op"),
        ("operator_a_list", {"op": ["aten.relu.default"], "args": {}}, ".op"),
        ("node_with_code", {"op": "input", "code": "import os"}, ""),
        ("arguments_a_list", {"op": "aten.relu.default", "args": [node(2)]}, ".args"),
        ("node_without_arguments", {"op": "aten.relu.default"}, ""),
        ("cycle_of_one", call("aten.relu.default", self=node(3)), ".args.self"),
        ("cycle_of_two", call("aten.relu.default", self=node(4)), ".args.self"),
        ("reference_backwards_of_all", call("aten.relu.default", self=node(-1)), ".args.self"),
        ("reference_by_true", call("aten.relu.default", self={"node": True}), ".args.self"),
        ("reference_by_text", call("aten.relu.default", self={"node": "2"}), ".args.self"),
        ("reference_with_more", call("aten.relu.default", self={"node": 2, "grad": 1}), ".args.self"),
        ("number_for_a_tensor", call("aten.relu.default", self=3), ".args.self"),
        ("tensor_for_a_number", call("aten.elu.default", self=node(2), alpha=node(2)), ".args.alpha"),
        ("text_for_a_number", call("aten.elu.default", self=node(2), alpha="1"), ".args.alpha"),
        ("argument_missing", call("aten.softmax.int", self=node(2)), ""),
        ("argument_unknown", call("aten.relu.default", self=node(2), out=node(1)), ""),
        ("another_type", call("aten.softmax.int", self=node(2), dim=1, dtype=7), ".args.dtype"),
        ("another_device", call("aten.zeros.default", size=[2, 2], device="cuda"), ".args.device"),
        ("integer_too_large", call("aten.select.int", self=node(2), dim=0, index=1 << 62), ".args.index"),
        ("number_too_large", call("aten.mul.Tensor", self=node(2), other=1e300), ".args.other"),
        ("list_too_long", call("aten.permute.default", self=node(2), dims=[0] * 65), ".args.dims"),
        ("groups_none", call("aten.group_norm.default", input=node(2), num_groups=0), ".args.num_groups"),
        ("kernel_257", call("aten.max_pool1d.default", self=node(2), kernel_size=[257]), ".args.kernel_size"),
        ("item_of_a_tensor", call("item", of=node(2), index=0), ".args.of"),
        ("item_beyond_any_list", call("item", of=node(2), index=64), ".args.of"),
        ("statistics_trained", call("aten.batch_norm.default", **NORM, **SAME), ".args.running_mean"),
        ("vocabulary_too_large", {"op": "input", "vocabulary": MAX_VOCABULARY + 1}, ".vocabulary"),
        ("no_tokens", call("aten.embedding.default", weight=node(1), indices=node(0)), ".args.indices"),
    ):  # fmt: skip
        yield name, Hostile(lambda item=item: graph(item), f"graph.nodes[3]{field}", "")
    for path in ("../../etc/passwd", "/etc/passwd", "a/b", "a\\b", "", "w\0", "ẃ", "w" * 201, "~", "a:b"):
        item = {"op": "buffer", "name": path}
        yield (
            f"path_{path[:20]!a}",
            Hostile(lambda item=item: graph(item), "graph.nodes[3].name", "must match"),
        )


def _shapes() -> Iterator[tuple[str, Hostile]]:
    """Graphs that fit every schema, and would take all memory or all time, or fail in a kernel."""
    square = call("aten.expand.default", self=node(3), size=[1 << 20, 1 << 20])
    row = call("aten.select.int", self=node(2), dim=1, index=0)
    doubled = [call("aten.cat.default", tensors=[node(2 + i)] * 64, dim=1) for i in range(5)]
    batch = call("aten.sym_size.int", self=node(2), dim=0)
    squares = [call("aten.mul.int", a=node(3 + i), b=node(3 + i)) for i in range(12)]
    beyond = call("aten.zeros.default", size=[node(15)])
    wide = [
        call("aten.zeros.default", size=[1 << 13, 1 << 13]),
        call("aten.matmul.default", self=node(3), other=node(3)),
    ]
    image = [
        call("aten.zeros.default", size=[1, 1, 4096, 4096]),
        call("aten.max_pool2d.default", self=node(3), kernel_size=[256], stride=[1], padding=[128]),
    ]
    for name, nodes, text in (
        ("zeros_of_2^52", [call("aten.zeros.default", size=[BIG, BIG])], "operations|elements"),
        ("zeros_of_2^78", [call("aten.zeros.default", size=[BIG, BIG, BIG])], "does not run"),
        ("zeros_of_less_than_nothing", [call("aten.zeros.default", size=[-1])], "does not run"),
        ("row_expanded_to_2^40", [row, square], "does not run|needs more"),
        ("64_times_as_wide_each_time", doubled, "needs more"),
        ("product_too_long", wide, "operations"),
        ("windows_too_many", image, "operations"),
        ("division_by_zero", [call("aten.floordiv.int", a=3, b=0)], "does not run"),
        ("axis_out_of_range", [call("aten.softmax.int", self=node(2), dim=9)], "does not run"),
        ("shapes_do_not_fit", [call("aten.matmul.default", self=node(2), other=node(2))], "does not run"),
    ):  # fmt: skip
        yield name, Hostile(lambda nodes=nodes: graph(*nodes), "graph", text)
    for name, nodes, text in (
        ("result_without_records", [call("aten.sum.dim_IntList", self=node(2), dim=[0])], "not [batch, 2]"),
        ("result_too_wide", [call("aten.cat.default", tensors=[node(2)] * 2, dim=1)], "not [batch, 2]"),
        ("result_of_the_batch_to_the_4096th", [batch, *squares, beyond], "not [batch, 2]"),
        ("result_a_list", [call("aten.chunk.default", self=node(2), chunks=2)], "not [batch, 2]"),
        ("result_an_integer", [call("aten.sym_size.int", self=node(2), dim=0)], "not [batch, 2]"),
        ("nothing_to_train", [call("aten.slice.Tensor", self=node(0), dim=1, end=2)], "no parameter"),
    ):  # fmt: skip
        yield name, Hostile(lambda nodes=nodes: graph(*nodes), "graph.output", text)


def _weights() -> Iterator[tuple[str, Hostile]]:
    huge = tensor(0, 24, (1 << 62, 1 << 62))
    two = {"w": tensor(0, 24), "v": tensor(12, 36)}
    for name, make in (
        ("header_longer_than_the_file", lambda: safetensors(b"{}", size=1000)),
        ("header_cut_short", lambda: container(weights=b"\1\0")),
        ("header_no_json", lambda: safetensors(b"PK\3\4" + zipped())),
        ("header_nested_deep", lambda: safetensors(b"[" * 10_000 + b"]" * 10_000)),
        ("header_a_list", lambda: safetensors(b"[]")),
        ("tensors_overlap", lambda: safetensors(two, bytes(36))),
        ("tensors_with_a_hole", lambda: safetensors({"w": tensor(8, 32)}, bytes(32))),
        ("tensor_beyond_the_file", lambda: safetensors({"w": tensor(0, 24)}, bytes(20))),
        ("tensor_backwards", lambda: safetensors({"w": tensor(24, 0)}, SIX)),
        ("tensor_before_the_file", lambda: safetensors({"w": tensor(-24, 0)}, SIX)),
        ("tensor_larger_than_its_bytes", lambda: safetensors({"w": tensor(0, 24, (2, 4))}, SIX)),
        ("tensor_of_2^124_elements", lambda: safetensors({"w": huge}, SIX)),
        ("tensor_of_a_negative_size", lambda: safetensors({"w": tensor(0, 24, (-2, -3))}, SIX)),
        ("bytes_after_the_last_tensor", lambda: safetensors({"w": tensor(0, 24)}, bytes(40))),
        ("type_unknown", lambda: safetensors({"w": tensor(0, 24, dtype="OBJ")}, SIX)),
    ):  # fmt: skip
        yield name, Hostile(make, "weights", "not safetensors")
    one = compact(tensor(0, 24))
    for name, header in (
        ("header_a_tensor_twice", b'{"w":' + one + b',"w":' + one + b"}"),
        ("header_with_metadata", b'{"__metadata__":{"path":"/etc/passwd"},"w":' + one + b"}"),
        ("header_not_aligned", b'{"w":' + one + b"}"),
    ):
        yield name, Hostile(lambda header=header: safetensors(header, SIX), "weights", "not canonical")
    yield "header_of_2^63_bytes", Hostile(lambda: safetensors(b"{}", size=(1 << 63) - 1), "weights", "header")
    yield (
        "header_too_long",
        Hostile(lambda: safetensors(b" " * (MAX_HEADER_BYTES + 1)), "weights", "header longer"),
    )
    for path in ("../w", "/dev/mem", "w\0", "", "w" * 201):
        name = f"weights_path_{path[:8]!a}"
        yield name, Hostile(lambda path=path: safetensors({path: tensor(0, 24)}, SIX), "weights", "match")
    for dtype, size in (("F64", 48), ("F16", 12), ("BF16", 12), ("U8", 6), ("BOOL", 6), ("I32", 24)):
        yield (
            f"type_{dtype}",
            Hostile(
                lambda dtype=dtype, size=size: safetensors({"w": tensor(0, size, dtype=dtype)}, bytes(size)),
                "weights.w",
                "has type",
            ),
        )
    yield "type_int64", Hostile(lambda: weights(w=np.ones((2, 3), np.int64)), "weights.w", "must be float32")
    for name, number in (("nan", np.nan), ("infinity", np.inf), ("minus_infinity", -np.inf)):
        yield f"weight_{name}", Hostile(lambda number=number: value(number), "weights.w", "not finite")
    yield "no_weights", Hostile(weights, "weights", "each tensor")
    yield "a_weight_missing", Hostile(lambda: weights(v=ONES), "weights", "each tensor")
    yield "a_weight_more", Hostile(lambda: weights(w=ONES, v=ONES), "weights", "each tensor")
    for shape in ((3, 2), (6,), (2, 3, 1), (0, 3), ()):
        array, empty = np.ones(shape, np.float32), shape == (0, 3)
        yield (
            f"weight_of_shape_{shape}",
            Hostile(
                lambda array=array: weights(w=array),
                "graph.output" if empty else "graph",
                "not [batch, 2]" if empty else "does not run",
            ),
        )


def _recipes() -> Iterator[tuple[str, Hostile]]:
    for name, text, message in (
        ("recipe_key_twice", b'{"loss":"mse","loss":"mse"}', "not acceptable JSON"),
        ("recipe_not_canonical", compact(RECIPE).replace(b":", b": ", 1), "not canonical"),
        ("recipe_number_spelt_otherwise", compact(RECIPE).replace(b"0.1", b"1e-1"), "not canonical"),
        ("recipe_empty", b"{}", "misses"),
        ("recipe_with_code", compact({**RECIPE, "callback": "os.system"}), "unknown keys"),
    ):
        yield name, Hostile(lambda text=text: container(recipe=text), "recipe", message)
    for field, values in (
        ("learning_rate", (0, -1.0, 1e9, "0.1", None)),
        ("clip_norm", (0.0, 1e7)),
        ("batch_size", (0, 1 << 20, 1.5)),
        ("local_epochs", (0, 10**9)),
        ("momentum", (1.0,)),
        ("weight_decay", (-0.1,)),
        ("server_learning_rate", (11.0,)),
        ("value_bits", (7, 17, 64)),
        ("optimizer", ("lbfgs", "__import__('os')")),
        ("task", ("regression", 1)),
        ("loss", ("hinge", None)),
        ("metric", ("within_tolerance",)),
        ("tolerance", (1.0,)),
        ("label_range", ([0.0, 1.0],)),
        ("target", (2.0, "1", 0.1234567)),
        ("vocabulary", (0, -5, 1 << 40)),
        ("statistics", (1,)),
        ("features", ([], ["a", "a", "b"], ["a", "b", "\n"], [["a"], "b", "c"], "abc")),
        ("classes", (["only"], ["no", "no"], [1, 2])),
        ("feature_ranges", ([[0.0, 1.0]], [[1.0, 0.0]] * 3, [[0.0, 1e300]] * 3, "all")),
    ):
        for number, bad in enumerate(values):
            name = f"recipe_{field}_{number}"
            yield name, Hostile(lambda field=field, bad=bad: recipe(**{field: bad}), f"recipe.{field}", "")
    for field, bad in (("epsilon", 1e6), ("delta", 0.0), ("noise_multiplier", 0.0), ("local_steps", 0)):
        stated = {**PRIVACY, field: bad}
        name = f"privacy_{field}"
        yield name, Hostile(lambda stated=stated: recipe(privacy=stated), f"recipe.privacy.{field}", "")
    for name, changes, field in (
        ("more_classes_than_outputs", {"classes": ["a", "b", "c"]}, "graph"),
        ("fewer_features_than_inputs", {"features": ["a", "b"]}, "graph"),
        ("one_logit_for_two_outputs", {"loss": "binary_cross_entropy"}, "graph"),
        ("a_regression_of_two_outputs", {"classes": [], "loss": "mse", "task": "regression",
            "metric": "within_tolerance", "tolerance": 1.0}, "graph"),
        ("tokens_for_numbers", {"vocabulary": 5}, "graph.vocabulary"),
    ):  # fmt: skip
        yield (
            name,
            Hostile(
                lambda changes=changes: container(recipe=compact({**RECIPE, **changes}), test_set=b""),
                field,
                "the recipe says",
            ),
        )


def _test_sets() -> Iterator[tuple[str, Hostile]]:
    for name, arrays, field in (
        ("label_of_no_class", {"features": ZEROS, "labels": LABELS + 1}, "test_set.labels"),
        ("label_below_0", {"features": ZEROS, "labels": LABELS - 1}, "test_set.labels"),
        ("labels_numbers_in_a_classification", {"features": ZEROS, "labels": ZEROS[:, 0]}, "test_set"),
        ("features_tokens_for_numbers", {"features": ZEROS.astype(np.int64), "labels": LABELS}, "test_set"),
        ("feature_nan", {"features": ZEROS + np.float32(np.nan), "labels": LABELS}, "test_set.features"),
        ("features_too_few", {"features": ZEROS[:, :2], "labels": LABELS}, "test_set.features"),
        ("records_none", {"features": ZEROS[:0], "labels": LABELS[:0]}, "test_set.features"),
        ("labels_too_few", {"features": ZEROS, "labels": LABELS[:3]}, "test_set.labels"),
        ("labels_missing", {"features": ZEROS}, "test_set"),
        ("records_with_more", {"features": ZEROS, "labels": LABELS, "w": ZEROS}, "test_set"),
    ):
        yield name, Hostile(lambda arrays=arrays: test_set(**arrays), field, "")
    yield (
        "records_spelt_otherwise",
        Hostile(lambda: container(test_set=_with_metadata(TEST_SET)), "test_set", "not canonical"),
    )


def _with_metadata(data: bytes) -> bytes:
    size = int.from_bytes(data[:8], "little")
    header = {"__metadata__": {"path": "/etc/passwd"}, **json.loads(data[8 : 8 + size])}
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data[8 + size :]


HOSTILE: dict[str, Hostile] = {
    name: hostile
    for group in (_containers, _graph_texts, _nodes, _shapes, _weights, _recipes, _test_sets)
    for name, hostile in group()
}
