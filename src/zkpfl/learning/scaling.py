"""Features scaled by ranges that everybody knows: no statistic of private data (docs/spec.md §8.1)."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from zkpfl.learning.records import Records

Ranges: TypeAlias = tuple[tuple[float, float], ...]
"""``(low, high)`` of each feature, finite, low below high."""


def scale_features(features: NDArray[np.float32], ranges: Ranges) -> NDArray[np.float32]:
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
