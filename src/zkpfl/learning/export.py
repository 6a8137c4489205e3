"""Owner side: turn the owner's own module into a graph and weights (the only use of torch.export)."""

from __future__ import annotations

import copy
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from zkpfl import strict_json
from zkpfl.errors import InvalidBundle, InvalidParameter
from zkpfl.learning import tensors
from zkpfl.learning.bundle import Bundle
from zkpfl.learning.graph import FORMAT, GraphModule
from zkpfl.learning.operators import ALLOWED
from zkpfl.learning.recipe import Recipe
from zkpfl.learning.records import Records

_ACTIVATIONS = {"relu": nn.ReLU, "tanh": nn.Tanh, "gelu": nn.GELU, "silu": nn.SiLU}
_MAX_EXPORT_BATCH = 1 << 16


def mlp(
    inputs: int,
    hidden: tuple[int, ...],
    outputs: int,
    *,
    activation: str = "relu",
    dropout: float = 0.0,
    seed: int = 0,
) -> nn.Sequential:
    """Multilayer perceptron with torch's default initialisation drawn from ``seed``.

    Parameters
    ----------
    inputs, outputs
        Numbers of features and of classes, at least 1.
    hidden
        Widths of the hidden layers; empty gives logistic regression.
    activation
        ``relu``, ``tanh``, ``gelu`` or ``silu``.
    dropout
        Probability in [0, 1) of dropping a hidden value in training; 0 leaves the layer out.
    seed
        Of the initial weights; torch's global generator is left alone.

    Raises
    ------
    InvalidParameter
        A width below 1, an unknown activation, or a dropout outside [0, 1).
    """
    if min(inputs, outputs, *hidden) < 1:
        raise InvalidParameter("every width must be at least 1", field="hidden")
    if activation not in _ACTIVATIONS:
        raise InvalidParameter(f"must be one of {sorted(_ACTIVATIONS)}", field="activation")
    if not 0 <= dropout < 1:
        raise InvalidParameter(f"must be in [0, 1), got {dropout}", field="dropout")
    layers: list[nn.Module] = []
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for width, following in pairwise((inputs, *hidden)):
            layers += [nn.Linear(width, following), _ACTIVATIONS[activation]()]
            layers += [nn.Dropout(dropout)] if dropout else []
        layers.append(nn.Linear((inputs, *hidden)[-1], outputs))
    return nn.Sequential(*layers)


def export_graph(module: nn.Module, example: Tensor) -> tuple[bytes, bytes]:
    """Convert a module to a graph and weights.

    Parameters
    ----------
    module
        The owner's own module: torch.export runs its code. It is copied, not changed.
    example
        float32 ``[batch, features]``, at least two records; only the shape matters.

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
    if example.ndim != 2 or len(example) < 2 or example.dtype != torch.float32:
        raise InvalidBundle("must be float32 [batch, features] with two records or more", field="example")
    module = copy.deepcopy(module).cpu().eval()
    _refuse_tied(module)
    try:
        batch = torch.export.Dim("batch", max=_MAX_EXPORT_BATCH)
        program = torch.export.export(module, (example.cpu(),), dynamic_shapes=({0: batch},))
    except Exception as error:  # whatever the owner's module raises under tracing
        raise InvalidBundle(f"torch.export refused it: {error}", field="module") from error
    nodes, names, output = _convert(program)
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


def _convert(program: Any) -> tuple[list[dict[str, Any]], list[str], int]:
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
            entry = {"op": "input"}
        else:
            entry = {"op": _operator(node), "args": _arguments(node, index)}
        index[node.name] = len(nodes)
        nodes.append(entry)
    return nodes, names, output


def _operator(node: torch.fx.Node) -> str:
    name = str(node.target)
    if node.op != "call_function" or name not in ALLOWED:
        raise InvalidBundle(
            f"operator {name} is not allowed", field="module", hint=f"allowed: {sorted(ALLOWED)}"
        )
    return name


def _arguments(node: torch.fx.Node, index: dict[str, int]) -> dict[str, Any]:
    names = [argument.name for argument in ALLOWED[str(node.target)]._schema.arguments]
    given = {**dict(zip(names, node.args, strict=False)), **node.kwargs}
    return {name: _encode(value, index) for name, value in given.items()}


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
    example = torch.zeros(2, len(recipe.features))
    return Bundle(*export_graph(module, example), recipe, test_set)
