"""What privacy costs in accuracy: ``python -m benchmarks.privacy_accuracy``.

Federated averaging as in the protocol, but in the open: the same recipes, sampling, noise and clipping, five
seeds of data split, model and noise. Without privacy it is the recipe of ``--no-privacy``.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from zkpfl.learning import digits, heart_disease
from zkpfl.learning.averaging import simulate
from zkpfl.learning.bundle import Bundle
from zkpfl.learning.records import Records

DELTA = 1e-3
HEART_BUDGETS: tuple[float | None, ...] = (1.0, 5.0, 10.0, None)
DIGITS_BUDGETS: tuple[float | None, ...] = (1.0, 4.0, 8.0, None)
HOLDERS = 8


@dataclass(frozen=True)
class Row:
    """Accuracy on the whole test set after the last round, over seeds."""

    data: str
    epsilon: float | None
    noise_multiplier: float | None
    rounds: int
    mean: float
    deviation: float


def heart(seed: int, epsilon: float | None) -> tuple[Bundle, Sequence[Records], int]:
    """Four hospitals."""
    trainers = [split.train for split in heart_disease.heart_disease(seed)]
    if epsilon is None:
        return heart_disease.heart_disease_bundle(seed, private=False), trainers, heart_disease.ROUNDS
    bundle = heart_disease.heart_disease_bundle(seed, epsilon=epsilon, delta=DELTA)
    return bundle, trainers, heart_disease.PRIVATE_ROUNDS


def images(seed: int, epsilon: float | None) -> tuple[Bundle, Sequence[Records], int]:
    """Eight holders of digits, alike."""
    split = digits.digits(seed, HOLDERS)
    if epsilon is None:
        return digits.digits_bundle(seed, split.test, private=False), split.trainers, digits.ROUNDS
    bundle = digits.digits_bundle(seed, split.test, epsilon=epsilon, delta=DELTA)
    return bundle, split.trainers, digits.PRIVATE_ROUNDS


def measure(data: str, epsilon: float | None, seeds: int) -> Row:
    """Train once a seed."""
    accuracies: list[float] = []
    for seed in range(seeds):
        bundle, trainers, rounds = (heart if data == "heart" else images)(seed, epsilon)
        privacy = bundle.recipe.privacy
        assert privacy is None or privacy.within(rounds)
        accuracies.append(simulate(bundle, trainers, rounds=rounds, seed=seed)[-1].score.accuracy)
    noise = None if privacy is None else privacy.noise_multiplier
    return Row(data, epsilon, noise, rounds, float(np.mean(accuracies)), float(np.std(accuracies)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    seeds = parser.parse_args().seeds
    print("| data | ε at δ = 10^-3 | noise multiplier | rounds | accuracy |\n|---|---|---|---|---|")
    for data, budgets in (("heart", HEART_BUDGETS), ("digits, 8 trainers", DIGITS_BUDGETS)):
        for epsilon in budgets:
            row = measure(data, epsilon, seeds)
            budget = "none" if epsilon is None else f"{epsilon:g}"
            noise = "–" if row.noise_multiplier is None else f"{row.noise_multiplier:.2f}"
            accuracy = f"{row.mean:.3f} ± {row.deviation:.3f}"
            print(f"| {data} | {budget} | {noise} | {row.rounds} | {accuracy} |", flush=True)


if __name__ == "__main__":
    main()
