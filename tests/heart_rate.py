"""A regression on real data: the highest heart rate that a patient reaches, at four hospitals."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from zkpfl.learning.architectures import mlp
from zkpfl.learning.bundle import Bundle
from zkpfl.learning.export import bundle_of
from zkpfl.learning.heart_disease import FEATURES, HospitalSplit, heart_disease
from zkpfl.learning.recipe import Recipe
from zkpfl.learning.records import Records

LABEL = "thalach"
_COLUMN = FEATURES.index(LABEL)
COLUMNS = tuple(name for name in FEATURES if name != LABEL)

RECIPE = Recipe(
    features=COLUMNS,
    classes=(),
    clip_norm=0.4,
    learning_rate=0.05,
    local_epochs=2,
    batch_size=16,
    statistics=True,
    task="regression",
    loss="mse",
    metric="within_tolerance",
    tolerance=20.0,
    label_range=(60.0, 200.0),
)
"""Right is what is at most 20 beats a minute off."""


def heart_rate(seed: int) -> list[HospitalSplit]:
    """The hospitals' records with the heart rate as their label, split as for heart disease."""
    return [
        replace(split, train=_labelled(split.train), test=_labelled(split.test))
        for split in heart_disease(seed)
    ]


def heart_rate_bundle(seed: int, recipe: Recipe = RECIPE) -> Bundle:
    """A small network with the pooled test set."""
    test = Records.concatenate([split.test for split in heart_rate(seed)])
    return bundle_of(mlp(len(COLUMNS), (16,), 1, seed=seed), recipe, test)


def _labelled(records: Records) -> Records:
    features = np.delete(records.features, _COLUMN, axis=1)
    return RECIPE.checked(features, records.features[:, _COLUMN])
