"""Records: checked features and labels, of a trainer or of a test set."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from zkpfl.errors import InvalidData

Features: TypeAlias = NDArray[np.float32 | np.int64]
"""``[n, f]``: float32, finite, or token ids, int64."""

Labels: TypeAlias = NDArray[np.int64 | np.float32]
"""``[n]``: int64, numbers of classes, or float32, finite, of a regression."""


@dataclass(frozen=True, eq=False, repr=False)
class Records:
    """Labelled records; a trainer's are secret and never printed.

    Parameters
    ----------
    features
        float32 ``[n, f]``, finite, or int64 ``[n, f]``, token ids from 0 on; ``n ≥ 1``, ``f ≥ 1``.
    labels
        int64 ``[n]``, from 0 on; of a regression float32 ``[n]``, finite.
    """

    features: Features
    labels: Labels

    @classmethod
    def checked(
        cls,
        features: ArrayLike,
        labels: ArrayLike,
        *,
        inputs: int,
        classes: int | None,
        vocabulary: int | None = None,
    ) -> Records:
        """Convert and check arrays of any numeric type; :meth:`.Recipe.checked` knows what to ask for.

        Parameters
        ----------
        features
            ``[n, inputs]``, finite in float32; with a vocabulary whole numbers in ``[0, vocabulary)``.
        labels
            ``[n]``, whole numbers in ``[0, classes)``; without classes finite in float32.
        inputs, classes, vocabulary
            What the recipe expects.

        Raises
        ------
        InvalidData
            Empty, not numeric, of another shape, not finite, or a label out of range; values are not shown.
        """
        x, y = _numeric(features, "features"), _numeric(labels, "labels")
        if x.ndim != 2 or x.shape[1] != inputs:
            raise InvalidData(f"must be [n, {inputs}], got {list(x.shape)}", field="features")
        if y.shape != (len(x),):
            raise InvalidData(f"must be [{len(x)}] like the features, got {list(y.shape)}", field="labels")
        if not len(x):
            raise InvalidData("there are no records", field="features")
        return cls(
            _finite(x, "features") if vocabulary is None else _whole(x, vocabulary, "features"),
            _finite(y, "labels") if classes is None else _whole(y, classes, "labels"),
        )

    def __len__(self) -> int:
        return len(self.labels)

    def __repr__(self) -> str:
        return f"Records({len(self)} × {self.features.shape[1]})"

    def take(self, indices: NDArray[np.int64]) -> Records:
        """Select records by index."""
        return Records(self.features[indices], self.labels[indices])

    @classmethod
    def concatenate(cls, parts: list[Records]) -> Records:
        """Pool records of several holders, in order."""
        return cls(np.concatenate([p.features for p in parts]), np.concatenate([p.labels for p in parts]))


def _numeric(values: ArrayLike, field: str) -> NDArray[Any]:
    try:
        array = np.asarray(values)
    except ValueError as error:
        raise InvalidData("rows differ in length", field=field) from error
    if array.dtype.kind not in "iufb":
        raise InvalidData(f"must be numeric, got {array.dtype}", field=field)
    return array


def _finite(values: NDArray[Any], field: str) -> NDArray[np.float32]:
    with np.errstate(over="ignore"):
        single = values.astype(np.float32)
    bad = np.flatnonzero(~np.isfinite(single).reshape(len(single), -1).all(axis=1))
    if len(bad):
        hint = "fill in or leave out missing values"
        raise InvalidData(f"record {bad[0]} holds a value that is not finite", field=field, hint=hint)
    return single


def _whole(values: NDArray[Any], limit: int, field: str) -> NDArray[np.int64]:
    inside = (values >= 0) & (values < limit) & (values == np.floor(values))
    wrong = np.flatnonzero(~inside.reshape(len(values), -1).all(axis=1))
    if len(wrong):
        noun = "label" if field == "labels" else "feature"
        text = f"record {wrong[0]} has a {noun} that is not a whole number in [0, {limit})"
        raise InvalidData(text, field=field)
    return values.astype(np.int64)


def stratified_split(
    labels: Labels, fraction: float, generator: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Split indices so that each label gives the same fraction to the first part.

    Parameters
    ----------
    labels
        int64 ``[n]``, numbers of classes.
    fraction
        Share of the first part, in (0, 1); of k records with one label it gets ``round(fraction·k)``.
    generator
        Draws the split.

    Returns
    -------
    tuple
        Two sorted int64 index arrays, disjoint, together all of ``0…n-1``.
    """
    first: list[NDArray[np.int64]] = []
    for label in np.unique(labels):
        members = generator.permutation(np.flatnonzero(labels == label))
        first.append(members[: round(fraction * len(members))])
    chosen = np.sort(np.concatenate(first)).astype(np.int64)
    return chosen, np.setdiff1d(np.arange(len(labels), dtype=np.int64), chosen)
