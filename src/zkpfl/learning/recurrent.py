"""Shapes of recurrent layers, found without running them: on the meta device they take a step at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from zkpfl.errors import InvalidBundle

Arguments = Mapping[str, Any]

GATES = {"aten.lstm.input": 4, "aten.gru.input": 3}
"""Recurrent operators, and how many gates stand above each other in their weights."""


def empty_result(operator: str, arguments: Arguments, field: str) -> tuple[Tensor, ...]:
    """What the operator returns, without values: the states, then the last of each kind.

    Parameters
    ----------
    operator
        A key of ``GATES``.
    arguments
        Of the call, by name; input ``[batch, steps, width]``, or ``[steps, batch, width]`` unless
        ``batch_first``.
    field
        Where the call stands, for the error.

    Raises
    ------
    InvalidBundle
        A shape does not fit; then the kernel would refuse it, too.
    """
    rows = arguments["input"]
    states = list(arguments["hx"]) if operator == "aten.lstm.input" else [arguments["hx"]]
    if rows.ndim != 3 or len(states) != (2 if operator == "aten.lstm.input" else 1):
        raise InvalidBundle("a recurrent layer takes [batch, steps, width] and its states", field=field)
    steps, batch = (rows.shape[1], rows.shape[0]) if arguments["batch_first"] else rows.shape[:2]
    directions = 1 + arguments["bidirectional"]
    hidden = states[0].shape[-1] if states[0].ndim else 0
    wanted = (arguments["num_layers"] * directions, batch, hidden)
    if min(steps, batch, hidden) < 1 or any(tuple(state.shape) != wanted for state in states):
        raise InvalidBundle(f"states of a recurrent layer are not {list(wanted)}", field=field)
    expected = list(_weight_shapes(GATES[operator], rows.shape[-1], hidden, arguments))
    if [tuple(weight.shape) for weight in arguments["params"]] != expected:
        raise InvalidBundle("weights of a recurrent layer do not fit it", field=field)
    output = torch.empty((*rows.shape[:2], directions * hidden), device=rows.device)
    return (output, *(torch.empty_like(state) for state in states))


def time_steps(arguments: Arguments) -> int:
    """Steps that are taken one after the other, over all layers and directions."""
    shape = arguments["input"].shape
    length = shape[1] if arguments["batch_first"] else shape[0]
    return int(length * arguments["num_layers"] * (1 + arguments["bidirectional"]))


def _weight_shapes(gates: int, width: int, hidden: int, arguments: Arguments) -> Iterator[tuple[int, ...]]:
    """In the order of the operator: for each layer and direction of input, of state, and both biases."""
    directions = 1 + arguments["bidirectional"]
    for layer in range(arguments["num_layers"]):
        for _ in range(directions):
            yield (gates * hidden, directions * hidden if layer else width)
            yield (gates * hidden, hidden)
            if arguments["has_biases"]:
                yield (gates * hidden,)
                yield (gates * hidden,)
