"""What is in a bundle, in plain values for people and programs."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from typing import Any

from zkpfl.learning.bundle import Bundle
from zkpfl.learning.weights import dimension

_SHOWN_NAMES = 8


def summarize_bundle(bundle: Bundle) -> dict[str, Any]:
    """Describe model, recipe and test set of a bundle.

    Returns
    -------
    dict
        ``inputs``, ``outputs``, ``parameters`` (d, with buffers), ``nodes``, ``operators`` (how often each is
        called), ``tensors`` (shape by name), ``test_records``, and the fields of the recipe.
    """
    model = bundle.model()
    calls = Counter(node.op for node in model.graph.nodes if node.arguments is not None)
    recipe = asdict(bundle.recipe)
    for name in ("features", "classes"):
        recipe[name] = _shortened(recipe[name])
    return {
        "inputs": model.inputs,
        "outputs": model.outputs,
        "parameters": dimension(model),
        "nodes": len(model.graph.nodes),
        "operators": dict(sorted(calls.items())),
        "tensors": {name: list(tensor.shape) for name, tensor in model.tensors().items()},
        "test_records": bundle.test_records,
        **recipe,
    }


def _shortened(names: tuple[str, ...]) -> list[str]:
    """All names, or the first and last of many."""
    if len(names) <= _SHOWN_NAMES:
        return list(names)
    half = _SHOWN_NAMES // 2
    return [*names[:half], f"… {len(names) - _SHOWN_NAMES} more …", *names[-half:]]
