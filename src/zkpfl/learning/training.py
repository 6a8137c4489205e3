"""Local training on one trainer's records."""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from zkpfl.crypto.keystream import KEY_BYTES
from zkpfl.crypto.merkle import keccak256
from zkpfl.errors import InvalidParameter, InvalidUpdate
from zkpfl.learning.graph import GraphModule
from zkpfl.learning.objective import Loss, loss_of, training_labels
from zkpfl.learning.private_training import take_private_steps
from zkpfl.learning.recipe import Recipe
from zkpfl.learning.records import Records
from zkpfl.learning.weights import Vector, assign, flatten
from zkpfl.privacy.record_level import RecordPrivacy


def local_seed(seed: int, round_number: int, trainer: int) -> int:
    """Seed of one trainer in one round: 63 bits of SHA-256 over run seed, round and index of the trainer.

    It orders records and drops activations, nothing secret: sharing and blinding have their own randomness.
    """
    text = f"zkpfl local training {seed} {round_number} {trainer}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def local_noise_key(seed: int, round_number: int, trainer: int) -> bytes:
    """Noise key of a reproducible run; whoever knows the run's seed knows the noise (docs/spec.md §8.1)."""
    return keccak256(f"ZKPFL-V1-RECORD-NOISE {seed} {round_number} {trainer}".encode())


def train_locally(
    model: GraphModule,
    global_weights: Vector,
    records: Records,
    recipe: Recipe,
    *,
    seed: int,
    noise_key: bytes | None = None,
    device: str = "cpu",
    threads: int = 1,
) -> Vector:
    """Train from the global weights and return ``Δ = w_local − w_global``, not yet clipped.

    The same arguments give the same update on the same machine, if a noise key is among them. With
    privacy of records this is DP-SGD (docs/spec.md §8.1).

    Parameters
    ----------
    model
        Its weights are overwritten; it ends on the CPU.
    global_weights
        float32 ``[d]``.
    records
        Standardised features, and labels in their own unit, of the trainer; secret.
    recipe
        Loss, optimizer, epochs and batch size.
    seed
        63 bits; see :func:`local_seed`.
    noise_key
        32 bytes, secret: what private training samples and adds; None draws them from the operating system.
    device
        ``cpu`` or ``cuda``.
    threads
        Of torch on the CPU; with more than one, sums may be ordered differently on another machine.

    Returns
    -------
    ndarray
        float32 ``[d]``, secret.

    Raises
    ------
    InvalidParameter
        The device is missing, or the weights do not fit the model.
    InvalidData
        The records do not fit the model.
    InvalidUpdate
        The training diverged.
    InvalidBundle
        See :func:`require_trainable`.
    """
    target = _device(device)
    records = recipe.checked(records.features, records.labels)
    records = Records(records.features, training_labels(records.labels, recipe))
    require_trainable(model, len(records), recipe)
    with _reproducible(seed, threads, target):
        assign(model.to(target), global_weights)
        if isinstance(recipe.privacy, RecordPrivacy):
            key = secrets.token_bytes(KEY_BYTES) if noise_key is None else noise_key
            optimizer = _optimizer(model, recipe)
            take_private_steps(model, optimizer, records, recipe.privacy, key, target, loss_of(recipe))
        else:
            _optimize(model, records, recipe, seed, target)
    update = flatten(model.cpu()) - global_weights
    if not torch.from_numpy(update).isfinite().all():
        raise _diverged("update")
    return update


def _optimize(model: GraphModule, records: Records, recipe: Recipe, seed: int, device: torch.device) -> None:
    features = torch.from_numpy(records.features).to(device)
    labels = torch.from_numpy(records.labels).to(device)
    order = torch.Generator().manual_seed(seed)
    # Batches of nearly equal size: a last batch of one record would break batch norm.
    batches = _batches(len(records), recipe)
    optimizer, loss = _optimizer(model, recipe), loss_of(recipe)
    model.train()
    for _ in range(recipe.local_epochs):
        for indices in torch.randperm(len(records), generator=order).tensor_split(batches):
            chosen = indices.to(device)
            _step(model, optimizer, loss, features[chosen], labels[chosen])


def _batches(records: int, recipe: Recipe) -> int:
    return -(-records // recipe.batch_size)


def require_trainable(model: GraphModule, records: int, recipe: Recipe) -> None:
    """Raise ``InvalidBundle`` unless the graph works for the batches that so many records make."""
    if isinstance(recipe.privacy, RecordPrivacy):
        return  # one record at a time: tried when the bundle was read
    batches = _batches(records, recipe)
    for size in {records // batches, -(-records // batches)}:
        model.require_batch(size, modes=(True,))


def _step(
    model: GraphModule, optimizer: torch.optim.Optimizer, loss: Loss, features: Tensor, labels: Tensor
) -> None:
    optimizer.zero_grad()
    value = loss(model(features), labels)
    if not value.isfinite():
        raise _diverged("loss")
    value.backward()  # type: ignore[no-untyped-call]
    optimizer.step()


def _optimizer(model: GraphModule, recipe: Recipe) -> torch.optim.Optimizer:
    parameters = list(model.parameters())
    if recipe.optimizer == "adam":
        return torch.optim.Adam(parameters, lr=recipe.learning_rate, weight_decay=recipe.weight_decay)
    return torch.optim.SGD(
        parameters, lr=recipe.learning_rate, momentum=recipe.momentum, weight_decay=recipe.weight_decay
    )


def _device(name: str) -> torch.device:
    if name not in ("cpu", "cuda"):
        raise InvalidParameter(f"must be cpu or cuda, got {name}", field="device")
    if name == "cuda" and not torch.cuda.is_available():
        raise InvalidParameter("this machine has no CUDA device", field="device", hint="use cpu")
    return torch.device(name)


@contextmanager
def _reproducible(seed: int, threads: int, device: torch.device) -> Iterator[None]:
    if device.type == "cuda":
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS is deterministic only with it
    before = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    with torch.random.fork_rng(devices=None if device.type == "cuda" else []):
        torch.manual_seed(seed)
        torch.set_num_threads(threads)
        torch.use_deterministic_algorithms(True)
        try:
            yield
        finally:
            torch.set_num_threads(before[0])
            torch.use_deterministic_algorithms(before[1])


def _diverged(field: str) -> InvalidUpdate:
    hint = "lower learning_rate in the recipe, or standardise the features"
    return InvalidUpdate("local training diverged", party="trainer", field=field, hint=hint)
