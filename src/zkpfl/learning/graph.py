"""A model as data: the interpreter of a JSON graph of allow-listed operators (docs/spec.md §10).

Format ``zkpfl.graph.v1``::

    {"format": "zkpfl.graph.v1", "inputs": f, "outputs": c, "output": i,
     "nodes": [{"op": "input"}, {"op": "parameter", "name": "0.weight"}, {"op": "buffer", "name": ...},
               {"op": "aten.linear.default", "args": {"input": {"node": 0}, "weight": {"node": 1}}}, ...]}

A node refers only to nodes before it. The input is float32 ``[batch, f]``, the output float32 ``[batch, c]``.
An input ``{"op": "input", "vocabulary": v}`` is int64 ``[batch, f]`` instead: token ids in [0, v), which only
embeddings read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from zkpfl import strict_json
from zkpfl.errors import InvalidBundle
from zkpfl.learning import tensors
from zkpfl.learning.operators import (
    ALLOWED,
    ITEM,
    MODE_ARGUMENT,
    OPERATORS,
    TOKENS,
    Reference,
    check_arguments,
    result_kind,
)
from zkpfl.learning.recipe import MAX_CLASSES, MAX_FEATURES, MAX_VOCABULARY
from zkpfl.learning.recurrent import GATES, empty_result
from zkpfl.learning.work import MAX_TRIAL_WORK, MAX_WORK, Meter, tensors_in

FORMAT = "zkpfl.graph.v1"
MAX_GRAPH_BYTES = 1 << 20
MAX_NODES = 4096
MAX_ACTIVATIONS = 1 << 28
"""Most elements that all nodes together may produce for one batch (1 GiB of float32)."""

EVALUATION_BATCH = 256
"""Records evaluated at once; every graph is tried on the meta device with this batch when it is read."""

TRIAL_RECORDS = 2
BOTH_MODES = (False, True)
"""Evaluation and training."""

_TORCH_REFUSALS = (RuntimeError, ValueError, TypeError, IndexError, NotImplementedError, ArithmeticError)


@dataclass(frozen=True)
class Node:
    """One checked step: a source (``input``, ``parameter``, ``buffer`` with ``name``) or an operator call.

    An ``input`` with a ``vocabulary`` is of token ids.
    """

    op: str
    name: str = ""
    arguments: Mapping[str, Any] | None = None
    vocabulary: int | None = None

    @property
    def kind(self) -> str:
        """What it gives to later nodes; see `check_arguments`."""
        if self.arguments is not None:
            return result_kind(self.op)
        return self.op if self.vocabulary is None else TOKENS


@dataclass(frozen=True)
class Graph:
    """A checked graph: every reference points backwards, every argument fits its operator's schema."""

    inputs: int
    outputs: int
    output: int
    nodes: tuple[Node, ...]

    @classmethod
    def parse(cls, data: bytes) -> Graph:
        """Decode and check; raises ``InvalidBundle`` naming the place."""
        body = strict_json.parse(data, field="graph", error=InvalidBundle, max_size_bytes=MAX_GRAPH_BYTES)
        strict_json.require_keys(
            body, {"format", "inputs", "outputs", "output", "nodes"}, field="graph", error=InvalidBundle
        )
        if body["format"] != FORMAT:
            raise InvalidBundle(f"must be {FORMAT!r}", field="graph.format")
        nodes = _parse_nodes(body["nodes"])
        return cls(
            inputs=_integer(body["inputs"], 1, MAX_FEATURES, "graph.inputs"),
            outputs=_integer(body["outputs"], 1, MAX_CLASSES, "graph.outputs"),
            output=_integer(body["output"], 0, len(nodes) - 1, "graph.output"),
            nodes=nodes,
        )

    @property
    def vocabulary(self) -> int | None:
        """v of token ids in [0, v); None if features are numbers."""
        return next(node.vocabulary for node in self.nodes if node.op == "input")

    def names(self, op: str) -> list[str]:
        """Names of all ``parameter`` or ``buffer`` nodes, in the order of the graph."""
        return [node.name for node in self.nodes if node.op == op]

    def run(
        self, features: Tensor, weights: Mapping[str, Tensor], *, training: bool, meter: Meter | None = None
    ) -> list[Any]:
        """Value of every node, for a batch ``features`` and the tensors by name; a meter may stop it."""
        values: list[Any] = []
        for node in self.nodes:
            if node.op == "input":
                values.append(features)
            elif node.arguments is None:
                values.append(weights[node.name])
            else:
                values.append(_call(node, values, features, training, meter))
        return values


class GraphModule(nn.Module):
    """A trainable module made of an untrusted graph and untrusted weights.

    ``model.train()`` and ``model.eval()`` switch dropout and batch norm as in the original module.

    Parameters
    ----------
    graph
        JSON in the format of this module, at most 1 MiB.
    weights
        safetensors, float32, finite; exactly the tensors that the graph names.

    Raises
    ------
    InvalidBundle
        Naming the place. The graph has been tried on the meta device, which allocates and computes nothing,
        then on two records: shapes fit, the output is ``[batch, outputs]``, and a batch of
        ``EVALUATION_BATCH`` stays within ``MAX_ACTIVATIONS`` and ``MAX_WORK``.
    """

    def __init__(self, graph: bytes, weights: bytes) -> None:
        super().__init__()
        self.graph = Graph.parse(graph)
        self._batches: set[tuple[int, bool]] = set()
        self._register(weights)
        self.require_batch(EVALUATION_BATCH)
        self.require_trial(TRIAL_RECORDS)
        self._try_two_records()

    def _register(self, weights: bytes) -> None:
        arrays = tensors.unpack(weights, field="weights")
        parameters, buffers = set(self.graph.names("parameter")), set(self.graph.names("buffer"))
        if sorted(parameters | buffers) != list(arrays):
            raise InvalidBundle("must hold each tensor of the graph once and no other", field="weights")
        for name, array in arrays.items():
            tensor = torch.from_numpy(array)
            if tensor.dtype != torch.float32:
                raise InvalidBundle("must be float32", field=f"weights.{name}")
            if name in parameters:
                self.register_parameter(_attribute(name), nn.Parameter(tensor))
            else:
                self.register_buffer(_attribute(name), tensor)
        self._names = tuple(arrays)

    @property
    def inputs(self) -> int:
        """Number of features f."""
        return self.graph.inputs

    @property
    def outputs(self) -> int:
        """Number of outputs c."""
        return self.graph.outputs

    def tensors(self) -> dict[str, Tensor]:
        """Parameters and buffers by name, in the order of their names: the order of the flattened vector."""
        return {name: getattr(self, _attribute(name)) for name in self._names}

    def forward(self, features: Tensor) -> Tensor:
        """Outputs float32 ``[batch, outputs]`` of features ``[batch, inputs]``, as in :meth:`example`."""
        values = self.graph.run(features, self.tensors(), training=self.training)
        result: Tensor = values[self.graph.output]
        return result

    def example(self, size: int, *, device: str = "cpu") -> Tensor:
        """Features ``[size, inputs]`` as the model takes them: zeros, or the last token everywhere."""
        vocabulary, shape = self.graph.vocabulary, (size, self.inputs)
        if vocabulary is None:
            return torch.zeros(shape, device=device)
        return torch.full(shape, vocabulary - 1, dtype=torch.int64, device=device)

    def require_batch(self, size: int, *, modes: tuple[bool, ...] = BOTH_MODES) -> None:
        """Raise ``InvalidBundle`` unless the graph works, and fits in memory and time, for ``size`` records.

        Shapes may depend on the batch in any way, so every size must be asked for before it is used: in
        training (True), in evaluation (False), or in both.
        """
        for training in modes:
            if (size, training) not in self._batches:
                self._try_shapes(size, training, MAX_WORK)
                self._batches.add((size, training))

    def require_trial(self, size: int) -> None:
        """Raise ``InvalidBundle`` unless ``size`` records take so little that they may be tried at once."""
        for training in BOTH_MODES:
            self._try_shapes(size, training, MAX_TRIAL_WORK)

    def _try_shapes(self, size: int, training: bool, limit: int) -> None:
        weights = {name: torch.empty_like(tensor, device="meta") for name, tensor in self.tensors().items()}
        self._try(self.example(size, device="meta"), weights, training, limit)

    def _try_two_records(self) -> None:
        """The meta device accepts some calls that the real kernels refuse, such as a token out of range."""
        copies = {name: tensor.clone() for name, tensor in self.tensors().items()}
        features = self.example(TRIAL_RECORDS)
        for training in BOTH_MODES:
            if not self._try(features, copies, training).requires_grad:
                raise InvalidBundle("depends on no parameter", field="graph.output")

    def _try(
        self, features: Tensor, weights: Mapping[str, Tensor], training: bool, limit: int | None = None
    ) -> Tensor:
        meter = None if limit is None else Meter(limit, len(features))
        try:
            with torch.random.fork_rng(devices=[]):
                values = self.graph.run(features, weights, training=training, meter=meter)
        except _TORCH_REFUSALS as error:
            raise InvalidBundle(f"does not run: {error}", field="graph") from error
        made = [value for value in tensors_in(values) if value is not features]
        if any(value.dtype != torch.float32 for value in made):
            raise InvalidBundle("every value must be float32", field="graph")
        if sum(value.numel() for value in made) > MAX_ACTIVATIONS:
            raise InvalidBundle(
                f"a batch of {len(features)} needs more than {MAX_ACTIVATIONS} elements", field="graph"
            )
        result = values[self.graph.output]
        if not isinstance(result, Tensor) or result.shape != (len(features), self.outputs):
            raise InvalidBundle(f"the output is not [batch, {self.outputs}]", field="graph.output")
        return result


def _attribute(name: str) -> str:
    # Torch forbids dots; names hold no slash, so that none collides with an attribute of nn.Module.
    return "tensor/" + name.replace(".", "/")


def _integer(value: object, low: int, high: int, field: str) -> int:
    if type(value) is not int or not low <= value <= high:
        raise InvalidBundle(f"must be an integer from {low} to {high}", field=field)
    return value


def _parse_nodes(items: object) -> tuple[Node, ...]:
    if not isinstance(items, list) or not 1 <= len(items) <= MAX_NODES:
        raise InvalidBundle(f"must be a list of 1 to {MAX_NODES} nodes", field="graph.nodes")
    nodes: list[Node] = []
    kinds: list[str] = []
    for index, item in enumerate(items):
        node = _parse_node(item, kinds, f"graph.nodes[{index}]")
        nodes.append(node)
        kinds.append(node.kind)
    names = [node.name for node in nodes if node.name]
    if len(set(names)) != len(names) or sum(node.op == "input" for node in nodes) != 1:
        raise InvalidBundle("one input is needed, and each tensor only once", field="graph.nodes")
    return tuple(nodes)


def _parse_node(item: object, kinds: list[str], field: str) -> Node:
    op = item.get("op") if isinstance(item, dict) else None
    if op == "input":
        return _parse_input(item, field)
    if op in ("parameter", "buffer"):
        name = strict_json.require_keys(item, {"op", "name"}, field=field, error=InvalidBundle)["name"]
        if not isinstance(name, str) or not tensors.NAME.fullmatch(name):
            raise InvalidBundle(f"must match {tensors.NAME.pattern}", field=f"{field}.name")
        return Node(op, name=name)
    if not isinstance(op, str) or op not in OPERATORS:
        raise InvalidBundle("is not an allowed operator", field=f"{field}.op", hint="see docs/operators.md")
    arguments = strict_json.require_keys(item, {"op", "args"}, field=field, error=InvalidBundle)["args"]
    if not isinstance(arguments, dict):
        raise InvalidBundle("must be an object", field=f"{field}.args")
    return Node(op, arguments=check_arguments(op, arguments, kinds, field=field))


def _parse_input(item: Any, field: str) -> Node:
    optional = item.keys() & {"vocabulary"}
    strict_json.require_keys(item, {"op", *optional}, field=field, error=InvalidBundle)
    if not optional:
        return Node("input")
    limits = (1, MAX_VOCABULARY, f"{field}.vocabulary")
    return Node("input", vocabulary=_integer(item["vocabulary"], *limits))


def _call(node: Node, values: list[Any], features: Tensor, training: bool, meter: Meter | None) -> Any:
    assert node.arguments is not None  # noqa: S101  (only operator nodes come here)
    arguments = {name: _resolve(value, values) for name, value in node.arguments.items()}
    if node.op == ITEM:
        return arguments["of"][arguments["index"]]
    if node.op == "aten.zeros.default":
        # On the device of the features, and under vmap one for each record, as states of a GRU must be.
        return features.new_zeros(arguments["size"], dtype=torch.float32)
    if node.op == "aten.scaled_dot_product_attention.default":
        _require_small_attention(arguments["query"], arguments["key"])
    if node.op in MODE_ARGUMENT:
        arguments[MODE_ARGUMENT[node.op]] = training
    if node.op == "aten.batch_norm.default" and not training:
        # Running variances are averaged and rounded like weights: a small one may come out below zero.
        arguments["running_var"] = arguments["running_var"].clamp_min(0)
    if node.op in GATES and features.is_meta:
        result: Any = empty_result(node.op, arguments, "graph")
    else:
        operator: Callable[..., Any] = ALLOWED[node.op]
        result = operator(**arguments)
    if meter is not None:
        meter.charge(node.op, arguments, result)
    return result


def _require_small_attention(query: Tensor, key: Tensor) -> None:
    """Some kernels hold the whole matrix of scores, which no result shows."""
    if key.ndim < 2 or query.shape[:-1].numel() * key.shape[-2] > MAX_ACTIVATIONS:
        raise InvalidBundle(f"attention needs more than {MAX_ACTIVATIONS} scores", field="graph")


def _resolve(value: Any, values: list[Any]) -> Any:
    if isinstance(value, Reference):
        return values[value.node]
    if isinstance(value, list):
        return [_resolve(item, values) for item in value]
    return value
