"""Points of G1 in arrays that only decoding and arithmetic can make (docs/spec.md §2, §4)."""

from __future__ import annotations

from collections.abc import Sequence

from zkpfl import _core
from zkpfl._core import G1Array
from zkpfl.crypto.scalars import Scalars, check_scalars
from zkpfl.errors import InvalidEncoding, InvalidParameter

__all__ = ["POINT_BYTES", "G1Array", "combine_arrays", "decode_points", "msm", "sum_arrays"]

POINT_BYTES = 48
"""Bytes of a compressed point."""


def decode_points(data: bytes, count: int) -> G1Array:
    """Decode exactly ``count`` compressed points: canonical, on the curve, in the subgroup; infinity is one.

    Parameters
    ----------
    data
        Untrusted bytes, ``48·count`` of them.
    count
        How many points to expect.

    Raises
    ------
    InvalidEncoding
        If the length is wrong.
    InvalidPoint
        If a point is refused; the message names its index.
    """
    if len(data) != POINT_BYTES * count:
        raise InvalidEncoding(
            f"expected {POINT_BYTES * count} bytes for {count} points, got {len(data)}", field="points"
        )
    return G1Array.decode(bytes(data))


def msm(points: G1Array, scalars: Scalars) -> G1Array:
    """Multi-scalar multiplication ``Σ_i scalars[i]·points[i]`` of variable points.

    Parameters
    ----------
    points
        n points; n = 0 gives infinity.
    scalars
        Shape (n, 4). Their bit length, and through the caches their values, show in the running time.

    Returns
    -------
    G1Array
        One point.
    """
    return _core.msm(points, check_scalars(scalars, (len(points),), field="scalars"))


def sum_arrays(arrays: Sequence[G1Array]) -> G1Array:
    """Elementwise sum of one or more arrays of the same length."""
    return _core.sum_arrays(_same_length(arrays))


def combine_arrays(arrays: Sequence[G1Array], coefficients: Scalars) -> G1Array:
    """Elementwise ``Σ_k coefficients[k]·arrays[k][p]``.

    Parameters
    ----------
    arrays
        k ≥ 1 arrays of the same length.
    coefficients
        Shape (k, 4), public: the running time depends on them. Small absolute values are cheap.
    """
    factors = check_scalars(coefficients, (len(arrays),), field="coefficients")
    return _core.combine_arrays(_same_length(arrays), factors)


def _same_length(arrays: Sequence[G1Array]) -> list[G1Array]:
    if not arrays or any(len(array) != len(arrays[0]) for array in arrays):
        raise InvalidParameter("must be one or more arrays of points of one length", field="arrays")
    return list(arrays)
