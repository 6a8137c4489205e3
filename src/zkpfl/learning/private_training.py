"""DP-SGD: steps on clipped gradients of single records, summed with exact noise (docs/spec.md §8.1).

Each record's gradient is computed by itself, as if it were a batch of one, so that no operator of the graph
can carry anything from one record into another's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.func import grad, vmap

from zkpfl.crypto.discrete_gaussian import sample_discrete_gaussian
from zkpfl.crypto.keystream import stream
from zkpfl.crypto.sealing import derive_key
from zkpfl.errors import InvalidBundle
from zkpfl.learning.graph import GraphModule
from zkpfl.learning.objective import Loss, loss_of
from zkpfl.learning.recipe import Recipe
from zkpfl.learning.records import Records
from zkpfl.privacy.record_level import GradientLattice, RecordPrivacy

_CHUNK_ELEMENTS = 1 << 22
_TORCH_REFUSALS = (RuntimeError, ValueError, TypeError, IndexError, NotImplementedError, OverflowError)

Gradients = Callable[[Tensor, Tensor], Tensor]


def take_private_steps(
    model: GraphModule,
    optimizer: torch.optim.Optimizer,
    records: Records,
    privacy: RecordPrivacy,
    key: bytes,
    device: torch.device,
    loss: Loss,
) -> None:
    """Take the steps of one round, each on a Poisson sample of the records.

    Parameters
    ----------
    model
        In place; on ``device``.
    optimizer
        Of the model's parameters.
    records
        Scaled features, and labels as the loss takes them; secret.
    privacy
        Batch, clip norm, noise and steps.
    key
        32 uniform bytes, secret, for this round of this trainer only: sample and noise follow from it.
    device
        Where gradients are computed; they are summed with noise on the CPU.
    loss
        Of a batch; here of one record at a time.

    Raises
    ------
    InvalidBundle
        The model does not train record by record.
    """
    parameters, gradients = list(model.parameters()), _per_record(model, loss)
    dimension = sum(parameter.numel() for parameter in parameters)
    lattice = privacy.lattice(dimension)
    features, labels = torch.from_numpy(records.features), torch.from_numpy(records.labels)
    model.train()
    for step in range(privacy.local_steps):
        chosen = torch.from_numpy(_poisson_sample(len(records), privacy, key, step))
        total = np.zeros(dimension, dtype=np.int64)
        for x, y in _chunks(features[chosen], labels[chosen], dimension):
            rows = gradients(x.to(device), y.to(device)).cpu().numpy().astype(np.float64)
            total += clip_to_lattice(rows, privacy.max_grad_norm, lattice).sum(axis=0)
        noise_key = derive_key(key, purpose="record-noise", context=step.to_bytes(4, "big"))
        total += sample_discrete_gaussian(lattice.sigma, len(total), noise_key)
        _set_gradients(parameters, total / (lattice.scale * privacy.batch))
        optimizer.step()


def require_separable(model: GraphModule, recipe: Recipe) -> None:
    """Raise `InvalidBundle` unless the model trains record by record for the recipe's loss.

    Raises
    ------
    InvalidBundle
        Batch norm, or an operator that works on whole batches only.
    """
    operators = {node.op for node in model.graph.nodes}
    hint = "use group norm or layer norm, or train without privacy"
    if "aten.batch_norm.default" in operators:
        raise InvalidBundle("batch norm mixes records: it has no private gradient", field="graph", hint=hint)
    model.require_trial(1)
    labels = torch.from_numpy(np.zeros(2, recipe.label_dtype))
    with torch.random.fork_rng(devices=[]):
        _per_record(model, loss_of(recipe))(model.example(2), labels)


def _poisson_sample(records: int, privacy: RecordPrivacy, key: bytes, step: int) -> NDArray[np.int64]:
    """Indices of the records in a step: each by itself with probability ``⌊β·2^64/n⌋/2^64``, or 1."""
    if privacy.sample_rate(records) == 1:
        return np.arange(records, dtype=np.int64)
    threshold = np.uint64((privacy.batch << 64) // records)
    words = stream(derive_key(key, purpose="record-sampling", context=step.to_bytes(4, "big")), 0)
    return np.flatnonzero(np.frombuffer(words(8 * records), dtype=">u8") < threshold)


def _chunks(features: Tensor, labels: Tensor, dimension: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Records in groups whose gradients fit in memory together."""
    size = max(1, _CHUNK_ELEMENTS // dimension)
    for start in range(0, len(labels), size):
        yield features[start : start + size], labels[start : start + size]


def clip_to_lattice(
    rows: NDArray[np.float64], max_grad_norm: float, lattice: GradientLattice
) -> NDArray[np.int64]:
    """``rint(s·min(1, C_g/‖g‖)·g)`` of each row, with integer norm at most Δ, unconditionally.

    Parameters
    ----------
    rows
        float64 ``[m, d]``, secret.
    max_grad_norm
        C_g.
    lattice
        Scale s and sensitivity Δ.

    Returns
    -------
    ndarray
        int64 ``[m, d]``, secret. A row that is not finite, or whose rounded norm is above Δ, is 0.
    """
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        norms = np.sqrt(np.square(rows).sum(axis=1, keepdims=True))
        scaled = np.rint(rows * (lattice.scale * np.minimum(1, max_grad_norm / norms)))
        # Sums of squares of integers below 2^53 are exact.
        good = np.square(scaled).sum(axis=1, keepdims=True) <= lattice.sensitivity**2
    return np.where(good, scaled, 0).astype(np.int64)


def _per_record(model: GraphModule, loss: Loss) -> Gradients:
    """The gradients of the loss of a batch's records, ``[m, d]``, parameters in the order of the model."""
    tensors = {name: tensor.detach() for name, tensor in model.tensors().items()}
    names = model.graph.names("parameter")
    trained = {name: tensors[name] for name in tensors if name in names}

    def of_record(weights: Mapping[str, Tensor], features: Tensor, label: Tensor) -> Tensor:
        values = model.graph.run(features.unsqueeze(0), {**tensors, **weights}, training=True)
        return loss(values[model.graph.output], label.unsqueeze(0))

    each = vmap(grad(of_record), in_dims=(None, 0, 0), randomness="different")

    def gradients(features: Tensor, labels: Tensor) -> Tensor:
        try:
            by_name = each(trained, features, labels)
        except _TORCH_REFUSALS as error:
            raise InvalidBundle(f"does not train record by record: {error}", field="graph") from error
        return torch.cat([by_name[name].reshape(len(labels), -1) for name in trained], dim=1)

    return gradients


def _set_gradients(parameters: list[torch.nn.Parameter], gradient: NDArray[np.float64]) -> None:
    start = 0
    for parameter in parameters:
        part = gradient[start : start + parameter.numel()].astype(np.float32).reshape(parameter.shape)
        parameter.grad = torch.from_numpy(part).to(parameter.device)
        start += parameter.numel()
