"""Features and labels scaled by ranges that all know: no statistic of private data (docs/spec.md §8.1)."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from zkpfl.learning.records import Records

Range: TypeAlias = tuple[float, float]
"""``(low, high)``, finite, low below high."""

Ranges: TypeAlias = tuple[Range, ...]
"""Of each feature."""


def scale_features(features: NDArray[np.float32 | np.int64], ranges: Ranges) -> NDArray[np.float32]:
    """``(min(max(x, low), high) − low)·2/(high − low) − 1``, in float64, rounded once to float32.

    Parameters
    ----------
    features
        float32 ``[n, f]``.
    ranges
        f pairs.

    Returns
    -------
    ndarray
        float32 ``[n, f]``, in [−1, 1].
    """
    low, high = np.array(ranges, dtype=np.float64).T
    inside = np.clip(features.astype(np.float64), low, high)
    result: NDArray[np.float32] = ((inside - low) * (2 / (high - low)) - 1).astype(np.float32)
    return result


def scaled(records: Records, ranges: Ranges | None) -> Records:
    """Records with scaled features; the same records without ranges."""
    return records if ranges is None else Records(scale_features(records.features, ranges), records.labels)


def scale_labels(labels: NDArray[np.float32 | np.int64], limits: Range) -> NDArray[np.float32]:
    """Labels of a regression as a model is trained on them, in [−1, 1]: by the formula of `scale_features`.

    Parameters
    ----------
    labels
        float32 ``[n]``.
    limits
        Known without looking at data.
    """
    return scale_features(labels[:, None], (limits,))[:, 0]


def unscale_outputs(outputs: NDArray[np.float64], limits: Range) -> NDArray[np.float64]:
    """Predictions in the unit of the labels, ``low + (y + 1)·(high − low)/2``, in float64."""
    low, high = limits
    result: NDArray[np.float64] = low + (outputs + 1) * ((high - low) / 2)
    return result
