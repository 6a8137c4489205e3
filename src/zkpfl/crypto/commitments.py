"""Pedersen commitments to rows, and their derivation for packed rows (docs/spec.md §4).

They hide perfectly and bind as long as discrete logarithms are hard; they add up as their openings do.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from zkpfl import _core
from zkpfl.crypto.generators import Generators
from zkpfl.crypto.points import G1Array
from zkpfl.crypto.scalars import Scalars, check_scalars
from zkpfl.errors import InvalidParameter
from zkpfl.params import Layout


def commit_lanes(
    values: NDArray[np.int16] | NDArray[np.int64], blindings: Scalars, layout: Layout, gens: Generators
) -> G1Array:
    """Commit to lane rows: ``C_λ = Σ_c x[λ, c]·G_c + ρ_λ·H``.

    Parameters
    ----------
    values
        int16 or int64, shape (d,). Secret; zero padded to R rows of N.
    blindings
        ρ, shape (R, 4), uniform, single use. Secret.
    layout
        Gives d, N and R.
    gens
        Generators for N columns.

    Returns
    -------
    G1Array
        R points.

    Raises
    ------
    InvalidParameter
        If a shape or dtype differs.

    Notes
    -----
    Runs on all threads without the GIL; int64 takes several times as long.
    The memory access of Pippenger's buckets depends on the values: other
    code on the same core that watches the caches could learn about them.
    """
    if values.dtype not in (np.int16, np.int64) or values.shape != (layout.dimension,):
        wanted = f"int16 or int64 of shape ({layout.dimension},)"
        raise InvalidParameter(
            f"must be {wanted}, got {values.dtype} of shape {values.shape}", field="values"
        )
    _check_columns(layout.columns, gens)
    factors = check_scalars(blindings, (layout.lane_rows,), field="blindings")
    if values.dtype == np.int64:
        return commit_rows(np.concatenate([_wide_rows(values, layout), factors[:, np.newaxis]], axis=1), gens)
    return _core.commit_lanes(np.ascontiguousarray(values), factors, gens.G, gens.H)


def commit_rows(rows: Scalars, gens: Generators) -> G1Array:
    """Commit to rows of full-width scalars: ``Σ_(c<N) s[p, c]·G_c + s[p, N]·H``.

    Parameters
    ----------
    rows
        Shape (P, N + 1, 4); the last column is the blinding. Secret.
    gens
        Generators for N columns.

    Returns
    -------
    G1Array
        P points.
    """
    shares = check_scalars(rows, (None, gens.columns + 1), field="rows")
    return _core.commit_rows(shares, gens.G, gens.H)


def packed_commitments(lanes: G1Array, layout: Layout) -> G1Array:
    """Commitments to packed rows, derived from those to lane rows: ``D_p = Σ_l 2^(w·l)·C_(pL+l)``.

    Raises
    ------
    InvalidParameter
        If there are not R lane commitments.
    """
    _check_lanes(lanes, layout)
    return _core.pack_points(lanes, layout.lanes, layout.lane_width)


def combine_packed(lanes: G1Array, weights: Scalars, layout: Layout) -> G1Array:
    """Combination of the commitments to packed rows: ``Σ_p weights[p]·D_p``, without making the ``D_p``.

    Parameters
    ----------
    lanes
        R lane commitments.
    weights
        Shape (P, 4). Short ones, such as 128 bits, are cheap; the time depends on them.

    Returns
    -------
    G1Array
        One point. Half the time of `packed_commitments` and an MSM over them.
    """
    _check_lanes(lanes, layout)
    factors = check_scalars(weights, (layout.packed_rows,), field="weights")
    return _core.packed_msm(lanes, factors, layout.lanes, layout.lane_width)


def packed_blindings(blindings: Scalars, layout: Layout) -> Scalars:
    """Blindings of packed rows: ``σ_p = Σ_l 2^(w·l)·ρ_(pL+l)``; shapes (R, 4) and (P, 4). Secret."""
    factors = check_scalars(blindings, (layout.lane_rows,), field="blindings")
    return _core.pack_scalars(factors, layout.lanes, layout.lane_width)


def _wide_rows(values: NDArray[Any], layout: Layout) -> Scalars:
    """Lane rows of values of more than 16 bits as scalars, shape (R, N, 4). Secret."""
    return _core.pack(np.ascontiguousarray(values), layout.columns, 1, layout.lane_width)


def _check_lanes(lanes: G1Array, layout: Layout) -> None:
    if len(lanes) != layout.lane_rows:
        raise InvalidParameter(f"must be {layout.lane_rows} points, got {len(lanes)}", field="lanes")


def _check_columns(columns: int, gens: Generators) -> None:
    if gens.columns != columns:
        raise InvalidParameter(f"has {gens.columns} columns, the layout has {columns}", field="gens")
