"""Records: checked features and labels, of a trainer or of a test set."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from zkpfl.errors import InvalidData


@dataclass(frozen=True, eq=False, repr=False)
class Records:
    """Labelled records; a trainer's are secret and never printed.

    Parameters
    ----------
    features
        float32 ``[n, f]``, finite, ``n ≥ 1``, ``f ≥ 1``.
    labels
        int64 ``[n]``, from 0 on.
    """

    features: NDArray[np.float32]
    labels: NDArray[np.int64]

    @classmethod
    def checked(cls, features: ArrayLike, labels: ArrayLike, *, inputs: int, classes: int) -> Records:
        """Convert and check arrays of any numeric type.

        Parameters
        ----------
        features
            ``[n, inputs]``, finite in float32.
        labels
            ``[n]``, whole numbers in ``[0, classes)``.
        inputs, classes
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
        with np.errstate(over="ignore"):
            single = x.astype(np.float32)
        bad = np.flatnonzero(~np.isfinite(single).all(axis=1))
        if len(bad):
            hint = "fill in or leave out missing values"
            raise InvalidData(
                f"record {bad[0]} holds a value that is not finite", field="features", hint=hint
            )
        wrong = np.flatnonzero(~((y >= 0) & (y < classes) & (y == np.floor(y))))
        if len(wrong):
            message = f"record {wrong[0]} has a label that is not a whole number in [0, {classes})"
            raise InvalidData(message, field="labels")
        return cls(single, y.astype(np.int64))

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


def stratified_split(
    labels: NDArray[np.int64], fraction: float, generator: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Split indices so that each label gives the same fraction to the first part.

    Parameters
    ----------
    labels
        int64 ``[n]``.
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
