"""Common statistics of features, from sums that no holder reveals (the secure-sum round).

A holder's contribution is ``(n, Σx_1 … Σx_f, Σx_1² … Σx_f²)``, in fixed point with 20 fraction bits so that
the sum over holders is exact. From there on integer arithmetic, correctly rounded divisions and roots make
all members standardise alike.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zkpfl.errors import BadSum, InvalidData, InvalidParameter

FRACTION_BITS = 20
"""One unit of the fixed point is 2^-20."""

MAX_MAGNITUDE_BITS = 47
"""A contribution stays below 2^47 in absolute value (docs/spec.md §3.3)."""


def local_statistics(features: NDArray[np.number]) -> NDArray[np.float64]:
    """Count, sums and sums of squares of one holder's records.

    Parameters
    ----------
    features
        ``[n, f]``, finite, secret.

    Returns
    -------
    ndarray
        float64 ``[2f + 1]``, secret.

    Raises
    ------
    InvalidData
        Not two-dimensional, empty, or not finite.
    """
    x = np.asarray(features, dtype=np.float64)
    if x.ndim != 2 or not x.size:
        raise InvalidData(f"must be [n, f] with n, f ≥ 1, got {list(x.shape)}", field="features")
    if not np.isfinite(x).all():
        raise InvalidData("hold a value that is not finite", field="features")
    return np.concatenate([[float(len(x))], x.sum(axis=0), np.square(x).sum(axis=0)])


def to_fixed(statistics: NDArray[np.float64]) -> NDArray[np.int64]:
    """Round to multiples of 2^-20 (ties to even).

    Parameters
    ----------
    statistics
        float64 ``[2f + 1]`` of :func:`local_statistics`, secret.

    Returns
    -------
    ndarray
        int64 ``[2f + 1]``, each below 2^47 in absolute value, secret.

    Raises
    ------
    InvalidData
        A sum is too large: 2^27 or more before scaling.
    """
    scaled = np.rint(np.ldexp(statistics, FRACTION_BITS))
    if not (np.abs(scaled) < 2.0**MAX_MAGNITUDE_BITS).all():
        limit = MAX_MAGNITUDE_BITS - FRACTION_BITS
        hint = "rescale the columns with the largest values"
        raise InvalidData(f"sums of squares must stay below 2^{limit}", field="features", hint=hint)
    return scaled.astype(np.int64)


@dataclass(frozen=True, eq=False)
class Standardizer:
    """``(x − mean) / std`` for each feature.

    Parameters
    ----------
    count
        Records of all holders together.
    mean, std
        float64 ``[f]``; a feature whose variance is below the resolution of the fixed point has std 1.
    """

    count: int
    mean: NDArray[np.float64]
    std: NDArray[np.float64]

    @classmethod
    def from_sums(cls, sums: NDArray[np.int64]) -> Standardizer:
        """Mean and population standard deviation over all holders.

        Parameters
        ----------
        sums
            int64 ``[2f + 1]``, the sum of all contributions.

        Raises
        ------
        InvalidParameter
            Another type or length.
        BadSum
            A count that is not a positive whole number, or sums that no data has.
        """
        if not isinstance(sums, np.ndarray) or sums.dtype != np.int64 or sums.ndim != 1:
            raise InvalidParameter("must be int64 [2f + 1]", field="sums")
        if len(sums) < 3 or len(sums) % 2 == 0:
            raise InvalidParameter(f"must have an odd length of 3 or more, got {len(sums)}", field="sums")
        count, fraction = divmod(int(sums[0]), 1 << FRACTION_BITS)
        if count < 1 or fraction:
            raise BadSum("the count is not a positive whole number", party="accepted set", field="sums")
        features = len(sums) // 2
        pairs = [
            _moments(count, int(first), int(second))
            for first, second in zip(sums[1 : features + 1], sums[features + 1 :], strict=True)
        ]
        mean, std = np.array(pairs, dtype=np.float64).T
        return cls(count, mean, std)

    def describe(self, names: Sequence[str]) -> dict[str, Any]:
        """Count, and mean and standard deviation by the name of each feature, for people and JSON."""
        moments = zip(names, self.mean.tolist(), self.std.tolist(), strict=True)
        return {
            "count": self.count,
            "features": {name: {"mean": mean, "std": std} for name, mean, std in moments},
        }

    def apply(self, features: NDArray[np.number]) -> NDArray[np.float32]:
        """Standardise ``[n, f]`` to float32 ``[n, f]``; raises ``InvalidData`` for another shape."""
        x = np.asarray(features, dtype=np.float64)
        if x.ndim != 2 or x.shape[1] != len(self.mean):
            raise InvalidData(f"must be [n, {len(self.mean)}], got {list(x.shape)}", field="features")
        return ((x - self.mean) / self.std).astype(np.float32)


def _moments(count: int, total: int, squares: int) -> tuple[float, float]:
    """Mean and standard deviation from the fixed-point sums of x and x²; exact until the divisions."""
    unit = 1 << FRACTION_BITS
    mean = total / (count * unit)
    # At most one holder for each record rounds both sums by half a unit.
    resolution = (1 + 2 * abs(mean)) / (2 * unit)
    variance = (squares * count * unit - total * total) / (count * unit) ** 2
    if variance < -resolution:
        text = "a sum of squares is smaller than the sum allows"
        raise BadSum(text, party="accepted set", field="sums")
    return mean, math.sqrt(variance) if variance > resolution else 1.0
