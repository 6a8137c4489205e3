"""Owner side: turn the owner's own module into a graph and weights (the only use of torch.export)."""

from __future__ import annotations

import copy
import importlib
import operator
import sys
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from zkpfl import strict_json
from zkpfl.errors import InvalidBundle, InvalidParameter
from zkpfl.learning import tensors
from zkpfl.learning.architectures import mlp
from zkpfl.learning.bundle import Bundle
from zkpfl.learning.graph import FORMAT, GraphModule
from zkpfl.learning.operators import ALLOWED, ITEM, MAX_INTEGER
from zkpfl.learning.recipe import Recipe
from zkpfl.learning.records import Records

_MAX_EXPORT_BATCH = 1 << 16

_INTEGER_OPERATORS = {
    operator.add: "aten.add.int",
    operator.sub: "aten.sub.int",
    operator.mul: "aten.mul.int",
    operator.floordiv: "aten.floordiv.int",
}
"""How torch.export writes arithmetic with sizes, and what the graph calls it."""

_PLACEMENT = {"layout", "device", "pin_memory"}
"""Arguments of where a new tensor lies: the interpreter decides that."""


def export_graph(module: nn.Module, example: Tensor, vocabulary: int | None = None) -> tuple[bytes, bytes]:
    """Convert a module to a graph and weights.

    Parameters
    ----------
    module
        The owner's own module: torch.export runs its code. It is copied, not changed.
    example
        float32 ``[batch, features]``, at least two records; only the shape matters. With a vocabulary int64.
    vocabulary
        v, if the module takes token ids in [0, v).

    Returns
    -------
    graph : bytes
        JSON of :mod:`zkpfl.learning.graph`.
    weights : bytes
        safetensors of the parameters and buffers that the graph uses.

    Raises
    ------
    InvalidBundle
        The module cannot be exported, uses an operator that is not allowed, shares a tensor under two names,
        or holds tensors other than float32.
    """
    dtype = torch.float32 if vocabulary is None else torch.int64
    if example.ndim != 2 or len(example) < 2 or example.dtype != dtype:
        text = f"must be {str(dtype)[6:]} [batch, features] with two records or more"
        raise InvalidBundle(text, field="example")
    module = copy.deepcopy(module).cpu().eval()
    _refuse_tied(module)
    try:
        batch = torch.export.Dim("batch", max=_MAX_EXPORT_BATCH)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's, of how recurrent layers keep their weights
            program = torch.export.export(module, (example.cpu(),), dynamic_shapes=({0: batch},))
    except Exception as error:  # whatever the owner's module raises under tracing
        raise InvalidBundle(f"torch.export refused it: {error}", field="module") from error
    nodes, names, output = _convert(program, vocabulary)
    stored = {**program.state_dict, **program.constants}
    arrays = {name: stored[name].detach().contiguous().numpy() for name in names}
    if wrong := [name for name, array in arrays.items() if array.dtype != "float32"]:
        raise InvalidBundle(f"{wrong} are not float32", field="module", hint="call module.float()")
    outputs = module(example.cpu()).shape[-1]
    body = {
        "format": FORMAT,
        "inputs": example.shape[1],
        "outputs": outputs,
        "output": output,
        "nodes": nodes,
    }
    graph, weights = strict_json.dump(body), tensors.pack(arrays)
    GraphModule(graph, weights)
    return graph, weights


def load_module(source: str) -> nn.Module:
    """Call the owner's own ``module:factory``, found from the current folder too; it returns a module.

    The module is imported and runs: this is code of the owner, named by the owner.

    Raises
    ------
    InvalidParameter
        No such module or factory, or it does not return a torch module.
    """
    name, _, factory = source.partition(":")
    sys.path.insert(0, str(Path.cwd()))
    try:
        function = getattr(importlib.import_module(name), factory)
    except (ImportError, AttributeError, ValueError) as error:
        text = f"cannot import {source}: {type(error).__name__}"
        raise InvalidParameter(text, field="factory", hint="give module:function") from error
    finally:
        sys.path.pop(0)
    made = function() if callable(function) else None
    if not isinstance(made, nn.Module):
        raise InvalidParameter(f"{source} does not return a torch module", field="factory")
    return made


def count_outputs(module: nn.Module, inputs: int, *, tokens: bool = False) -> int:
    """How many outputs a module has for records of so many inputs; ``InvalidBundle`` if it has none."""
    try:
        with torch.inference_mode():
            result = copy.deepcopy(module).cpu().eval()(_example(inputs, tokens=tokens))
    except Exception as error:  # whatever the owner's module raises
        raise InvalidBundle(f"does not take {inputs} inputs: {error}", field="example") from error
    if not isinstance(result, Tensor) or result.ndim != 2 or len(result) != 2:
        raise InvalidBundle("its output is not [batch, outputs]", field="module")
    return int(result.shape[1])


def statistics_bundle(columns: tuple[str, ...]) -> Bundle:
    """Bundle of a job for common statistics alone: the least model over the columns, which nobody trains.

    Raises
    ------
    InvalidParameter
        No columns, or names that a recipe does not take.
    """
    recipe = Recipe(features=columns, classes=("0", "1"), clip_norm=1.0, learning_rate=0.1, statistics=True)
    return bundle_of(mlp(len(columns), (), 2), recipe)


def _refuse_tied(module: nn.Module) -> None:
    seen: dict[int, str] = {}
    for name, parameter in module.named_parameters(remove_duplicate=False):
        if id(parameter) in seen:
            raise InvalidBundle(f"{seen[id(parameter)]} and {name} are one tensor", field="module")
        seen[id(parameter)] = name


def _convert(program: Any, vocabulary: int | None) -> tuple[list[dict[str, Any]], list[str], int]:
    signature = program.graph_signature
    parameters: dict[str, str] = signature.inputs_to_parameters
    buffers: dict[str, str] = {**signature.inputs_to_buffers, **signature.inputs_to_lifted_tensor_constants}
    nodes: list[dict[str, Any]] = []
    names: list[str] = []
    index: dict[str, int] = {}
    output = -1
    for node in program.graph.nodes:
        if node.op == "output":
            (result,) = node.args[0]
            output = index[result.name]
            continue
        if node.op == "placeholder" and not node.users:
            continue  # such as batch norm's counter
        if node.name in parameters or node.name in buffers:
            names.append(parameters.get(node.name) or buffers[node.name])
            entry: dict[str, Any] = {
                "op": "parameter" if node.name in parameters else "buffer",
                "name": names[-1],
            }
        elif node.op == "placeholder":
            entry = {"op": "input"} if vocabulary is None else {"op": "input", "vocabulary": vocabulary}
        else:
            entry = {"op": _operator(node), "args": _arguments(node, index)}
        index[node.name] = len(nodes)
        nodes.append(entry)
    return nodes, names, output


def _operator(node: torch.fx.Node) -> str:
    if node.target is operator.getitem:
        return ITEM
    target: Any = node.target
    name = _INTEGER_OPERATORS.get(target) or str(target)
    if node.op != "call_function" or name not in ALLOWED:
        raise InvalidBundle(
            f"operator {name} is not allowed", field="module", hint="docs/operators.md lists the allowed ones"
        )
    return name


def _arguments(node: torch.fx.Node, index: dict[str, int]) -> dict[str, Any]:
    name = _operator(node)
    if name == ITEM:
        names = ["of", "index"]
    else:
        names = [argument.name for argument in ALLOWED[name]._schema.arguments]
    given: dict[str, Any] = {**dict(zip(names, node.args, strict=False)), **node.kwargs}
    if isinstance(given.get("end"), int) and given["end"] > MAX_INTEGER:
        del given["end"]  # torch's way of saying: to the end
    if given.get("dtype") is torch.float32:
        del given["dtype"]  # the only one there is
    return {key: _encode(value, index) for key, value in given.items() if key not in _PLACEMENT}


def _encode(value: Any, index: dict[str, int]) -> Any:
    if isinstance(value, torch.fx.Node):
        return {"node": index[value.name]}
    if isinstance(value, (list, tuple)):
        return [_encode(item, index) for item in value]
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise InvalidBundle(f"an operator has an argument of type {type(value).__name__}", field="module")


def bundle_of(module: nn.Module, recipe: Recipe, test_set: Records | None = None) -> Bundle:
    """Bundle of the owner's module, recipe and test set; raises ``InvalidBundle`` if they do not fit."""
    vocabulary = recipe.vocabulary
    example = _example(len(recipe.features), tokens=vocabulary is not None)
    return Bundle(*export_graph(module, example, vocabulary), recipe, test_set)


def _example(inputs: int, *, tokens: bool) -> Tensor:
    return torch.zeros(2, inputs, dtype=torch.int64 if tokens else torch.float32)
