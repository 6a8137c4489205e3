"""Heart disease at four hospitals: the demo's data, model and recipe (credit: datasets/CREDITS.md)."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from importlib import resources

import numpy as np

from zkpfl.learning.architectures import mlp
from zkpfl.learning.bundle import Bundle
from zkpfl.learning.export import bundle_of
from zkpfl.learning.recipe import Recipe
from zkpfl.learning.records import Records, stratified_split
from zkpfl.privacy.record_level import RecordPrivacy

HOSPITALS = ("cleveland", "hungary", "switzerland", "va_long_beach")
FEATURES = (
    "age", "sex", "cp_typical_angina", "cp_atypical_angina", "cp_non_anginal", "trestbps", "chol", "fbs",
    "restecg_stt", "restecg_lvh", "thalach", "exang", "oldpeak",
)  # fmt: skip
CLASSES = ("healthy", "disease")
TRAIN_FRACTION = 0.66
ROUNDS = 12
TARGET_ACCURACY = 0.80
FEATURE_RANGES = (
    (20, 90), (0, 1), (0, 1), (0, 1), (0, 1), (80, 200), (100, 400), (0, 1), (0, 1), (0, 1),
    (60, 200), (0, 1), (-2, 6),
)  # fmt: skip
"""What cardiologists expect, not what these records hold: private training looks at no statistic of them."""

PRIVATE_ROUNDS = 10
EPSILON, DELTA = 5.0, 1e-3
"""Budget of a patient if nobody asks for another."""


@dataclass(frozen=True)
class HospitalSplit:
    """One hospital's records, split into train and test."""

    name: str
    train: Records
    test: Records


def heart_disease(seed: int) -> list[HospitalSplit]:
    """Split the 740 records of each of the four hospitals, 66 % for training, stratified by label.

    Parameters
    ----------
    seed
        Of the run, at least 0.

    Returns
    -------
    list of HospitalSplit
        In the order of ``HOSPITALS``; 13 features, not standardised.
    """
    hospitals, records = _read()
    splits = []
    for index, name in enumerate(HOSPITALS):
        own = records.take(np.flatnonzero(hospitals == name))
        train, test = stratified_split(own.labels, TRAIN_FRACTION, np.random.default_rng([seed, index]))
        splits.append(HospitalSplit(name, own.take(train), own.take(test)))
    return splits


def pooled_test(splits: list[HospitalSplit]) -> Records:
    """Test records of all hospitals together."""
    return Records.concatenate([split.test for split in splits])


def heart_disease_recipe() -> Recipe:
    """Recipe without privacy: a small network on standardised features."""
    return Recipe(
        features=FEATURES,
        classes=CLASSES,
        clip_norm=0.4,
        learning_rate=0.05,
        local_epochs=2,
        batch_size=16,
        statistics=True,
    )


def private_heart_disease_recipe(epsilon: float, delta: float, rounds: int) -> Recipe:
    """Recipe that keeps each patient's record private: logistic regression, four steps a round.

    A step takes every record of a hospital with up to 200 patients, and 200 expected ones of a larger.
    """
    privacy = RecordPrivacy.planned(
        rounds=rounds,
        epsilon=epsilon,
        delta=delta,
        max_grad_norm=1.0,
        batch=200,
        local_steps=4,
        least_records=200,
    )
    ranges = FEATURE_RANGES
    return Recipe(FEATURES, CLASSES, clip_norm=4.0, learning_rate=3.0, feature_ranges=ranges, privacy=privacy)


def heart_disease_bundle(
    seed: int,
    *,
    private: bool = True,
    epsilon: float = EPSILON,
    delta: float = DELTA,
    rounds: int = PRIVATE_ROUNDS,
) -> Bundle:
    """Model, recipe and pooled test set for the run's seed.

    Parameters
    ----------
    seed
        Of the run.
    private
        Whether records are trained on privately; then with the noise that keeps ``rounds`` rounds within
        ``epsilon`` at ``delta``.
    """
    hidden: tuple[int, ...] = () if private else (16,)
    recipe = private_heart_disease_recipe(epsilon, delta, rounds) if private else heart_disease_recipe()
    module = mlp(len(FEATURES), hidden, len(CLASSES), seed=seed)
    return bundle_of(module, recipe, pooled_test(heart_disease(seed)))


def _read() -> tuple[np.ndarray[tuple[int], np.dtype[np.str_]], Records]:
    text = resources.files("zkpfl.learning").joinpath("datasets/heart_disease.csv").read_text("utf-8")
    rows = list(csv.DictReader(text.splitlines()))
    features = [[float(row[name]) for name in FEATURES] for row in rows]
    labels = [int(row["disease"]) for row in rows]
    records = Records.checked(features, labels, inputs=len(FEATURES), classes=len(CLASSES))
    return np.array([row["hospital"] for row in rows]), records
