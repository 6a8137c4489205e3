"""What client-level privacy costs in accuracy: ``python -m benchmarks.client_privacy``.

Federated averaging of 50 trainers of digits as in the protocol, but in the open: updates are clipped,
rotated, rounded to integers and summed with the discrete Gaussian noise of five zk-nodes. Beside it the same
with float64 updates and continuous noise of the same variance, as one trusted server would add it.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from zkpfl.crypto.discrete_gaussian import sample_discrete_gaussian
from zkpfl.crypto.encoding import clip, decode_mean, encode_update
from zkpfl.crypto.merkle import keccak256
from zkpfl.learning.architectures import mlp
from zkpfl.learning.bundle import Bundle
from zkpfl.learning.digits import DigitsSplit, digits
from zkpfl.learning.evaluation import evaluate
from zkpfl.learning.export import bundle_of
from zkpfl.learning.recipe import Recipe
from zkpfl.learning.training import local_seed, train_locally
from zkpfl.learning.weights import Vector, flatten, server_step
from zkpfl.params import FixedPoint
from zkpfl.privacy.client_level import ClientPrivacy

TRAINERS, NODES, COLLUDING, DELTA = 50, 5, 1, 1e-4
DRAWS = 4
"""Runs for each seed of split and model: the noise moves the accuracy more than the seed does."""

BUDGETS: tuple[float | None, ...] = (4.0, 8.0, None)
ROUNDS = {4.0: 4, 8.0: 4, None: 20}

Mean = Callable[[Sequence[Vector], int], Vector]
"""Mean update from the trainers' updates, in a round."""


@dataclass(frozen=True)
class Row:
    """Accuracy on the test set after the last round, over seeds and draws of noise."""

    epsilon: float | None
    noise_multiplier: float
    rounds: int
    distributed: NDArray[np.float64]
    central: NDArray[np.float64]


def bundle_for(split: DigitsSplit, epsilon: float | None, seed: int, rounds: int) -> Bundle:
    """Softmax regression: every weight more is one more coordinate of noise."""
    privacy = None
    if epsilon is not None:
        privacy = ClientPrivacy.planned(
            rounds=rounds, epsilon=epsilon, delta=DELTA, noise_quorum=NODES, colluding=COLLUDING
        )
    recipe = Recipe(
        features=tuple(f"pixel_{index}" for index in range(64)),
        classes=tuple(map(str, range(10))),
        clip_norm=2.0,
        learning_rate=0.5,
        local_epochs=20,
        batch_size=32,
        value_bits=8,
        feature_ranges=((0.0, 1.0),) * 64,
        privacy=privacy,
    )
    return bundle_of(mlp(64, (), 10, seed=seed), recipe, split.test)


def distributed(bundle: Bundle, fixed_point: FixedPoint, run: str) -> Mean:
    """Integers and discrete noise, as trainers and zk-nodes make them."""

    def mean(updates: Sequence[Vector], number: int) -> Vector:
        rotation = keccak256(f"rotation {run} {number}".encode())
        total = np.zeros(fixed_point.dimension, dtype=np.int64)
        for index, update in enumerate(updates):
            rounding = keccak256(f"rounding {run} {number} {index}".encode())
            total += encode_update(update, fixed_point, rotation, rounding)
        if isinstance(bundle.recipe.privacy, ClientPrivacy):
            sigma = bundle.recipe.privacy.node_sigma(fixed_point.norm_bound)
            for node in range(NODES):
                noise_seed = keccak256(f"noise {run} {number} {node}".encode())
                total += sample_discrete_gaussian(sigma, fixed_point.dimension, noise_seed)
        return decode_mean(total, fixed_point, rotation, len(updates))

    return mean


def central(bundle: Bundle, fixed_point: FixedPoint, run: str) -> Mean:
    """Float64 and continuous noise of the same variance."""

    def mean(updates: Sequence[Vector], number: int) -> Vector:
        clipped = np.mean([np.float64(clip(update, fixed_point.clip_norm)) for update in updates], axis=0)
        if isinstance(bundle.recipe.privacy, ClientPrivacy):
            sigma = bundle.recipe.privacy.node_sigma(fixed_point.norm_bound) * np.sqrt(NODES)
            generator = np.random.default_rng([*run.encode(), number])
            noise = generator.normal(scale=sigma / fixed_point.scale, size=len(clipped))
            clipped = clipped + noise / len(updates)
        return np.float32(clipped)  # type: ignore[return-value]

    return mean


def train(split: DigitsSplit, bundle: Bundle, mean: Mean, *, rounds: int, seed: int) -> float:
    """Accuracy after the last round."""
    model = bundle.model()
    weights, low, high = flatten(model), -1.0, 1.0
    scaled = [replace(records, features=records.features * (high - low) + low) for records in split.trainers]
    for number in range(1, rounds + 1):
        updates = [
            train_locally(model, weights, records, bundle.recipe, seed=local_seed(seed, number, index))
            for index, records in enumerate(scaled)
        ]
        weights = server_step(weights, mean(updates, number), 1.0)
    test = replace(split.test, features=split.test.features * (high - low) + low)
    return evaluate(model, weights, test, bundle.recipe).accuracy


def measure(epsilon: float | None, seeds: int, rounds: int) -> Row:
    """Train twice a seed."""
    found: dict[str, list[float]] = {"distributed": [], "central": []}
    multiplier = 0.0
    for seed in range(seeds):
        split = digits(seed, TRAINERS)
        bundle = bundle_for(split, epsilon, seed, rounds)
        if isinstance(bundle.recipe.privacy, ClientPrivacy):
            multiplier = bundle.recipe.privacy.noise_multiplier
        fixed_point = FixedPoint(
            len(flatten(bundle.model())), bundle.recipe.clip_norm, bundle.recipe.value_bits
        )
        for draw in range(1 if epsilon is None else DRAWS):
            for name, kind in (("distributed", distributed), ("central", central)):
                mean = kind(bundle, fixed_point, f"{seed} {draw}")
                found[name].append(train(split, bundle, mean, rounds=rounds, seed=seed))
    both = {name: np.array(values) for name, values in found.items()}
    return Row(epsilon, multiplier, rounds, **both)


def mean_and_error(accuracies: NDArray[np.float64]) -> str:
    """Mean, its standard error, and the deviation of single runs."""
    error = accuracies.std(ddof=1) / np.sqrt(len(accuracies))
    return f"{accuracies.mean():.3f} ± {error:.3f} (runs: {accuracies.std(ddof=1):.3f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    seeds = parser.parse_args().seeds
    print(
        "| ε at δ = 10^-4 | noise multiplier | rounds | accuracy | central, float64 |\n|---|---|---|---|---|"
    )
    for epsilon in BUDGETS:
        row = measure(epsilon, seeds, ROUNDS[epsilon])
        budget = "none" if epsilon is None else f"{epsilon:g}"
        both = " | ".join(mean_and_error(each) for each in (row.distributed, row.central))
        print(f"| {budget} | {row.noise_multiplier:.2f} | {row.rounds} | {both} |", flush=True)


if __name__ == "__main__":
    main()
