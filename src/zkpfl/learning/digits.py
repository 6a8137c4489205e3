"""Handwritten digits of scikit-learn, spread over n trainers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zkpfl.errors import InvalidData, InvalidParameter
from zkpfl.learning.architectures import mlp
from zkpfl.learning.bundle import Bundle
from zkpfl.learning.export import bundle_of
from zkpfl.learning.recipe import Recipe
from zkpfl.learning.records import Labels, Records, stratified_split
from zkpfl.privacy.record_level import RecordPrivacy

FEATURES = tuple(f"pixel_{row}_{column}" for row in range(8) for column in range(8))
CLASSES = tuple(str(digit) for digit in range(10))
TRAIN_FRACTION = 0.8
ROUNDS = 15
TARGET_ACCURACY = 0.94
PRIVATE_ROUNDS = 10
PRIVATE_TARGET_ACCURACY = 0.90
EPSILON, DELTA = 5.0, 1e-3
"""Budget of an image if nobody asks for another."""
_DRAWS = 100


@dataclass(frozen=True)
class DigitsSplit:
    """Records of each trainer, and one common test set of all classes."""

    trainers: list[Records]
    test: Records


def digits(seed: int, trainers: int, *, partition: str = "iid", alpha: float = 0.5) -> DigitsSplit:
    """Split the 1797 images: 20 % stratified for the common test, the rest over the trainers.

    Parameters
    ----------
    seed
        Of the run, at least 0.
    trainers
        n, 2 to 256.
    partition
        ``iid``: equal parts at random. ``dirichlet``: for each digit the trainers' shares are drawn from a
        symmetric Dirichlet distribution; drawn again until every trainer has a record.
    alpha
        Concentration of the Dirichlet distribution, in [0.01, 1000]; small means unlike trainers.

    Returns
    -------
    DigitsSplit
        64 features in [0, 1].

    Raises
    ------
    InvalidParameter
        Out of range.
    InvalidData
        scikit-learn is not installed, or no Dirichlet draw gives every trainer a record.
    """
    if not 2 <= trainers <= 256:
        raise InvalidParameter(f"must be 2 to 256, got {trainers}", field="trainers")
    if partition not in ("iid", "dirichlet"):
        raise InvalidParameter(f"must be iid or dirichlet, got {partition}", field="partition")
    if not 0.01 <= alpha <= 1000:
        raise InvalidParameter(f"must be in [0.01, 1000], got {alpha}", field="alpha")
    records, generator = _read(), np.random.default_rng(seed)
    train, test = stratified_split(records.labels, TRAIN_FRACTION, generator)
    pool = records.take(train)
    if partition == "iid":
        parts = np.array_split(generator.permutation(len(pool)), trainers)
    else:
        parts = _dirichlet(pool.labels, trainers, alpha, generator)
    return DigitsSplit([pool.take(part) for part in parts], records.take(test))


def digits_recipe() -> Recipe:
    """Recipe without privacy."""
    return Recipe(
        features=FEATURES, classes=CLASSES, clip_norm=2.0, learning_rate=0.2, local_epochs=4, batch_size=16
    )


def private_digits_recipe(epsilon: float, delta: float, rounds: int) -> Recipe:
    """Recipe that keeps each image private: softmax regression, two steps a round.

    A step takes every record of a holder of up to 180 images, and 180 expected ones of a larger.
    """
    privacy = RecordPrivacy.planned(
        rounds=rounds,
        epsilon=epsilon,
        delta=delta,
        max_grad_norm=1.0,
        batch=180,
        local_steps=2,
        least_records=180,
    )
    ranges = ((0, 1),) * len(FEATURES)
    return Recipe(FEATURES, CLASSES, clip_norm=8.0, learning_rate=3.0, feature_ranges=ranges, privacy=privacy)


def digits_bundle(
    seed: int,
    test: Records,
    *,
    private: bool = True,
    epsilon: float = EPSILON,
    delta: float = DELTA,
    rounds: int = PRIVATE_ROUNDS,
) -> Bundle:
    """Model, recipe and the common test set for the run's seed.

    Parameters
    ----------
    seed
        Of the run.
    test
        The common test set.
    private
        Whether images are trained on privately; then with the noise that keeps ``rounds`` rounds within
        ``epsilon`` at ``delta``.
    """
    hidden: tuple[int, ...] = () if private else (32,)
    recipe = private_digits_recipe(epsilon, delta, rounds) if private else digits_recipe()
    return bundle_of(mlp(len(FEATURES), hidden, len(CLASSES), seed=seed), recipe, test)


def _dirichlet(
    labels: Labels, trainers: int, alpha: float, generator: np.random.Generator
) -> list[NDArray[np.int64]]:
    for _ in range(_DRAWS):
        parts: list[list[NDArray[np.int64]]] = [[] for _ in range(trainers)]
        for label in np.unique(labels):
            members = generator.permutation(np.flatnonzero(labels == label))
            shares = generator.dirichlet(np.full(trainers, alpha))
            cuts = np.rint(np.cumsum(shares)[:-1] * len(members)).astype(np.int64)
            for part, piece in zip(parts, np.split(members, cuts), strict=True):
                part.append(piece)
        joined = [np.concatenate(part) for part in parts]
        if min(len(part) for part in joined):
            return joined
    raise InvalidData(
        "some trainer always gets no record", field="alpha", hint="raise alpha or use fewer trainers"
    )


def _read() -> Records:
    try:
        from sklearn.datasets import load_digits  # noqa: PLC0415  (optional dependency)
    except ImportError as error:
        hint = "pip install 'zkpfl[digits]'"
        raise InvalidData("the digits come with scikit-learn", field="data", hint=hint) from error
    data = load_digits()
    return Records.checked(data.data / 16, data.target, inputs=len(FEATURES), classes=len(CLASSES))
