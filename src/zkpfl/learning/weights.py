"""The weights of a model as one vector, the server step, and checkpoints (docs/spec.md §3 and §6).

All parameters and buffers count: batch norm's running statistics are averaged and clipped like weights. The
order is that of the sorted tensor names, each tensor row-major.
"""

from __future__ import annotations

import hashlib
from itertools import accumulate, pairwise

import numpy as np
import torch
from numpy.typing import NDArray

from zkpfl.errors import InvalidBundle, InvalidParameter
from zkpfl.learning import tensors
from zkpfl.learning.graph import GraphModule

Vector = NDArray[np.float32]


def dimension(model: GraphModule) -> int:
    """d, the length of the flattened weights."""
    return sum(tensor.numel() for tensor in model.tensors().values())


def flatten(model: GraphModule) -> Vector:
    """Copy of the weights as float32 ``[d]``."""
    parts = [tensor.detach().cpu().numpy().reshape(-1) for tensor in model.tensors().values()]
    return np.concatenate([np.empty(0, np.float32), *parts])


def assign(model: GraphModule, weights: Vector) -> None:
    """Set the weights of ``model`` from float32 ``[d]``; inverse of :func:`flatten`.

    Raises
    ------
    InvalidParameter
        Another type or length, or not finite.
    """
    targets = model.tensors()
    _check_vector(weights, dimension(model), "weights")
    with torch.no_grad():
        for tensor, part in zip(targets.values(), _split(model, weights), strict=True):
            tensor.copy_(torch.from_numpy(part.copy()))


def server_step(weights: Vector, mean_update: Vector, learning_rate: float) -> Vector:
    """New weights ``w + η·Δ``, the same bytes for every member.

    For each coordinate one float32 product and one float32 sum, correctly rounded (IEEE 754), never fused.

    Parameters
    ----------
    weights
        w, float32 ``[d]``.
    mean_update
        Δ, float32 ``[d]``: the decoded aggregate divided by the number of trainers.
    learning_rate
        η, rounded to float32; in (0, 10].

    Returns
    -------
    ndarray
        float32 ``[d]``.

    Raises
    ------
    InvalidParameter
        Types or lengths differ, a value is not finite, or the result is not.
    """
    _check_vector(weights, len(weights), "weights")
    _check_vector(mean_update, len(weights), "mean_update")
    if not 0 < learning_rate <= 10:
        raise InvalidParameter(f"must be in (0, 10], got {learning_rate}", field="learning_rate")
    with np.errstate(over="ignore"):
        scaled = np.multiply(mean_update, np.float32(learning_rate), dtype=np.float32)
        result = np.add(weights, scaled, dtype=np.float32)
    _check_vector(result, len(weights), "result")
    return result


def checkpoint_bytes(model: GraphModule, weights: Vector) -> bytes:
    """Checkpoint: safetensors of the named tensors, the same bytes for every member.

    Parameters
    ----------
    model
        Gives names and shapes; its own weights do not matter.
    weights
        float32 ``[d]``, confidential to the job's members.

    Raises
    ------
    InvalidParameter
        Another type or length, or not finite.
    """
    _check_vector(weights, dimension(model), "weights")
    shapes = [tuple(tensor.shape) for tensor in model.tensors().values()]
    parts = [part.reshape(shape) for part, shape in zip(_split(model, weights), shapes, strict=True)]
    return tensors.pack(dict(zip(model.tensors(), parts, strict=True)))


def checkpoint_weights(model: GraphModule, data: bytes) -> Vector:
    """Weights float32 ``[d]`` of an untrusted checkpoint; inverse of :func:`checkpoint_bytes`.

    Raises
    ------
    InvalidBundle
        Malformed, not finite, not canonical, or not the tensors of ``model``.
    """
    arrays = tensors.unpack(data, field="checkpoint")
    if {n: a.shape for n, a in arrays.items()} != {n: tuple(t.shape) for n, t in model.tensors().items()}:
        raise InvalidBundle("does not hold the tensors of the model", field="checkpoint")
    if any(array.dtype != np.float32 for array in arrays.values()) or tensors.pack(arrays) != data:
        raise InvalidBundle("not canonical", field="checkpoint")
    parts = [array.astype(np.float32).reshape(-1) for array in arrays.values()]
    return np.concatenate([np.empty(0, np.float32), *parts])


def checkpoint_hash(checkpoint: bytes) -> bytes:
    """SHA-256 of a checkpoint, 32 bytes."""
    return hashlib.sha256(checkpoint).digest()


def _split(model: GraphModule, weights: Vector) -> list[Vector]:
    sizes = [tensor.numel() for tensor in model.tensors().values()]
    shapes = [tensor.shape for tensor in model.tensors().values()]
    bounds = pairwise(accumulate(sizes, initial=0))
    return [weights[a:b].reshape(shape) for (a, b), shape in zip(bounds, shapes, strict=True)]


def _check_vector(vector: Vector, length: int, field: str) -> None:
    if not isinstance(vector, np.ndarray) or vector.dtype != np.float32 or vector.shape != (length,):
        raise InvalidParameter(f"must be float32 [{length}]", field=field)
    if not np.isfinite(vector).all():
        raise InvalidParameter("is not finite", field=field)
