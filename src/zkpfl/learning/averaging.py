"""Plain federated averaging in float32: what the protocol computes, without any cryptography.

The demo prints its accuracy beside that of the verified run; recipes are tuned with it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from zkpfl.crypto.encoding import clip
from zkpfl.errors import InvalidData
from zkpfl.learning.bundle import Bundle
from zkpfl.learning.evaluation import Score, evaluate
from zkpfl.learning.records import Records
from zkpfl.learning.scaling import scaled
from zkpfl.learning.statistics import Standardizer, local_statistics, to_fixed
from zkpfl.learning.training import local_noise_key, local_seed, train_locally
from zkpfl.learning.weights import Vector, flatten, server_step


@dataclass(frozen=True)
class Round:
    """One round of plain averaging: the score after it, and the largest update norm before clipping."""

    score: Score
    largest_norm: float


def common_standardizer(trainers: Sequence[Records]) -> Standardizer:
    """Statistics over all trainers' features, by the same fixed-point sums as the secure-sum round."""
    return Standardizer.from_sums(np.sum([to_fixed(local_statistics(t.features)) for t in trainers], axis=0))


def simulate(
    bundle: Bundle,
    trainers: Sequence[Records],
    *,
    rounds: int,
    seed: int,
    target: float | None = None,
    factors: Mapping[int, float] | None = None,
) -> list[Round]:
    """Train by federated averaging with the unweighted mean of the clipped updates.

    Parameters
    ----------
    bundle
        With a test set.
    trainers
        Records of each trainer, as they are: standardised here if the recipe says so.
    rounds
        Most rounds.
    seed
        Of the run; each trainer's training is seeded by :func:`zkpfl.learning.training.local_seed`.
    target
        Accuracy in [0, 1] that ends the run early; None for all rounds.
    factors
        By what trainers, by index, multiply their clipped updates; 0 leaves one out of the mean.

    Returns
    -------
    list of Round
        One for each round that ran.

    Raises
    ------
    InvalidData
        The bundle has no test set, or records do not fit it.
    """
    if bundle.test_set is None:
        raise InvalidData("the bundle has none", field="test_set")
    test, data = bundle.test_set, list(trainers)
    if bundle.recipe.statistics:
        standardizer = common_standardizer(data)
        test, *data = (Records(standardizer.apply(r.features), r.labels) for r in (test, *data))
    test, *data = (scaled(r, bundle.recipe.feature_ranges) for r in (test, *data))
    model = bundle.model()
    weights, history = flatten(model), list[Round]()
    for number in range(1, rounds + 1):
        updates = [
            train_locally(
                model,
                weights,
                records,
                bundle.recipe,
                seed=local_seed(seed, number, index),
                noise_key=local_noise_key(seed, number, index),
            )
            for index, records in enumerate(data)
        ]
        weights = server_step(
            weights,
            _mean(updates, bundle.recipe.clip_norm, factors or {}),
            bundle.recipe.server_learning_rate,
        )
        score = evaluate(model, weights, test, bundle.recipe)
        history.append(Round(score, max(float(np.linalg.norm(update)) for update in updates)))
        if target is not None and score.accuracy >= target:
            break
    return history


def _mean(updates: Sequence[Vector], clip_norm: float, factors: Mapping[int, float]) -> Vector:
    of_all = [(clip(update, clip_norm), factors.get(index)) for index, update in enumerate(updates)]
    parts = [part if by is None else part * np.float32(by) for part, by in of_all if by != 0]
    mean: Vector = np.mean(parts, axis=0, dtype=np.float32)
    return mean
