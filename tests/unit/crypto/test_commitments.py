"""Commitments against sums written out."""

from __future__ import annotations

import numpy as np
import pytest

from zkpfl.crypto.commitments import (
    combine_packed,
    commit_lanes,
    commit_rows,
    packed_blindings,
    packed_commitments,
)
from zkpfl.crypto.encoding import pack
from zkpfl.crypto.generators import generators
from zkpfl.crypto.points import G1Array, msm
from zkpfl.crypto.scalars import ORDER, from_int, random_scalars, random_short, to_int
from zkpfl.errors import InvalidParameter
from zkpfl.params import Layout

GENS = generators(256)
LAYOUT = Layout(dimension=2600, norm_bound=2**18)


def test_lane_commitments_are_the_specified_sums() -> None:
    values = np.random.default_rng(0).integers(-(2**15), 2**15, 2600).astype(np.int16)
    values[:2] = -(2**15), 2**15 - 1
    blindings = random_scalars((LAYOUT.lane_rows,))
    commitments = commit_lanes(values, blindings, LAYOUT, GENS)
    assert len(commitments) == 11
    padded = np.pad(values, (0, 11 * 256 - 2600)).reshape(11, 256).tolist()
    basis = G1Array.concatenate([GENS.G, GENS.H])
    for row in (0, 4, 10):
        assert commitments[row] == msm(basis, from_int([*padded[row], to_int(blindings)[row]]))


def test_row_commitments_are_the_specified_sums() -> None:
    rows = random_scalars((3, 257))
    basis = G1Array.concatenate([GENS.G, GENS.H])
    commitments = commit_rows(rows, GENS)
    assert len(commitments) == 3
    for row in range(3):
        assert commitments[row] == msm(basis, rows[row])
    assert len(commit_rows(rows[:0], GENS)) == 0


def test_zero_without_blinding_is_infinity() -> None:
    zero = commit_lanes(np.zeros(2600, np.int16), from_int([0] * 11), LAYOUT, GENS)
    assert zero.encode() == (b"\xc0" + bytes(47)) * 11


def test_commitments_to_packed_rows_follow_from_those_to_lane_rows() -> None:
    values = np.random.default_rng(1).integers(-2048, 2048, 2600).astype(np.int16)
    blindings = random_scalars((LAYOUT.lane_rows,))
    derived = packed_commitments(commit_lanes(values, blindings, LAYOUT, GENS), LAYOUT)
    sigma = packed_blindings(blindings, LAYOUT)
    assert sigma.shape == (LAYOUT.packed_rows, 4)
    direct = commit_rows(np.concatenate([pack(values, LAYOUT), sigma[:, np.newaxis]], axis=1), GENS)
    assert derived == direct


def test_packed_commitments_combine_without_being_made() -> None:
    lanes, weights = GENS.G[: LAYOUT.lane_rows], random_short(LAYOUT.packed_rows)
    packed = packed_commitments(lanes, LAYOUT)
    assert combine_packed(lanes, weights, LAYOUT) == msm(packed, weights)


def test_packed_blindings_are_weighted_sums() -> None:
    blindings = random_scalars((11,))
    rho = to_int(blindings)
    width, lanes = LAYOUT.lane_width, LAYOUT.lanes
    expected = [
        sum(value << (width * lane) for lane, value in enumerate(rho[start : start + lanes])) % ORDER
        for start in range(0, 11, lanes)
    ]
    assert to_int(packed_blindings(blindings, LAYOUT)) == expected


def test_a_different_blinding_gives_a_different_commitment() -> None:
    values = np.ones(2600, np.int16)
    first = commit_lanes(values, random_scalars((11,)), LAYOUT, GENS)
    assert first != commit_lanes(values, random_scalars((11,)), LAYOUT, GENS)


def test_arguments_are_checked() -> None:
    values, blindings = np.zeros(2600, np.int16), random_scalars((11,))
    with pytest.raises(InvalidParameter, match="values"):
        commit_lanes(values[:-1], blindings, LAYOUT, GENS)
    with pytest.raises(InvalidParameter, match="values"):
        commit_lanes(values.astype(np.int32), blindings, LAYOUT, GENS)  # type: ignore[arg-type]
    with pytest.raises(InvalidParameter, match="blindings"):
        commit_lanes(values, blindings[:-1], LAYOUT, GENS)
    with pytest.raises(InvalidParameter, match="gens"):
        commit_lanes(values, blindings, LAYOUT, generators(512))
    with pytest.raises(InvalidParameter, match="rows"):
        commit_rows(random_scalars((3, 256)), GENS)
    with pytest.raises(InvalidParameter, match="lanes"):
        packed_commitments(GENS.G[:10], LAYOUT)
    with pytest.raises(InvalidParameter, match="lanes"):
        combine_packed(GENS.G[:10], random_short(LAYOUT.packed_rows), LAYOUT)
    with pytest.raises(InvalidParameter, match="weights"):
        combine_packed(GENS.G[:11], random_short(LAYOUT.packed_rows + 1), LAYOUT)
