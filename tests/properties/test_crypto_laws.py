"""Laws of the crypto room, on random inputs."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from zkpfl.crypto.commitments import commit_lanes, commit_rows, packed_commitments
from zkpfl.crypto.encoding import (
    clip,
    decode_integers,
    encode_integers,
    encode_update,
    integer_layout,
    pack,
    rotate,
    unpack_sum,
    unrotate,
)
from zkpfl.crypto.generators import generators
from zkpfl.crypto.scalars import (
    ORDER,
    Scalars,
    add_into,
    encode_scalars,
    from_int,
    linear_combination,
    to_int,
)
from zkpfl.crypto.sharing import check_rows, expand_seed, interpolate_at_zero, lagrange_coefficients, split
from zkpfl.params import Committee, FixedPoint, Layout

GENS = generators(256)
LAYOUT = Layout(dimension=2600, norm_bound=2**18)
COSTLY = settings(max_examples=12, deadline=None)

SEEDS = st.binary(min_size=32, max_size=32)
LANES = arrays(np.int16, LAYOUT.dimension, elements=st.integers(-(2**14), 2**14 - 1))
FLOATS = st.floats(-1e3, 1e3, width=32)


BLINDINGS = st.lists(st.integers(0, ORDER - 1), min_size=11, max_size=11).map(from_int)
COMMITTEES = st.sampled_from([Committee(3, 2), Committee(5, 3), Committee(7, 4), Committee(10, 2)])


@COSTLY
@given(LANES, LANES, BLINDINGS, BLINDINGS)
def test_commitments_add_up(a: NDArray[np.int16], b: NDArray[np.int16], rho: Scalars, tau: Scalars) -> None:
    both = rho.copy()
    add_into(both, tau)
    left = commit_lanes(a, rho, LAYOUT, GENS) + commit_lanes(b, tau, LAYOUT, GENS)
    assert left == commit_lanes((a + b).astype(np.int16), both, LAYOUT, GENS)
    total = packed_commitments(left, LAYOUT)
    assert total == packed_commitments(commit_lanes(a, rho, LAYOUT, GENS), LAYOUT) + packed_commitments(
        commit_lanes(b, tau, LAYOUT, GENS), LAYOUT
    )


@COSTLY
@given(SEEDS, COMMITTEES, st.data())
def test_any_threshold_of_shares_reconstructs(seed: bytes, committee: Committee, data: st.DataObject) -> None:
    secret = expand_seed(seed, 2, 5)
    seeds = [bytes([i]) * 32 for i in range(committee.threshold - 1)]
    shares = {i + 1: expand_seed(key, 2, 5) for i, key in enumerate(seeds)} | split(secret, seeds, committee)
    nodes = data.draw(st.permutations(sorted(shares)))[: committee.threshold]
    assert np.array_equal(interpolate_at_zero({node: shares[node] for node in nodes}), secret)


@COSTLY
@given(SEEDS, SEEDS, COMMITTEES, st.data())
def test_fewer_shares_fit_every_secret(
    seed: bytes, other: bytes, committee: Committee, data: st.DataObject
) -> None:
    """For t − 1 shares and any other secret there is a polynomial that explains both."""
    secret, claimed = expand_seed(seed, 1, 3), expand_seed(other, 1, 3)
    seeds = [bytes([i]) * 32 for i in range(committee.threshold - 1)]
    shares = {i + 1: expand_seed(key, 1, 3) for i, key in enumerate(seeds)} | split(secret, seeds, committee)
    nodes = data.draw(st.permutations(sorted(shares)))
    seen, unseen = nodes[: committee.threshold - 1], nodes[committee.threshold - 1]
    # One share of the unseen node makes the claimed secret true; without it, each secret is as likely.
    abscissae = [0, *seen]
    known = [claimed, *(shares[node] for node in seen)]
    needed = linear_combination(known, lagrange_coefficients(abscissae, unseen))
    explained = {node: shares[node] for node in seen} | {unseen: needed}
    assert np.array_equal(interpolate_at_zero(explained), claimed)


@COSTLY
@given(st.integers(1, 3000), st.integers(1, 2**31 - 1), st.integers(2, 256), st.data())
def test_packed_sums_of_extreme_vectors_are_exact(
    d: int, bound: int, n_max: int, data: st.DataObject
) -> None:
    """Every trainer may put all of the bound into one coordinate of its choice, with either sign."""
    layout = Layout(d, bound, max_trainers=n_max)
    places = data.draw(st.lists(st.integers(0, d - 1), min_size=1, max_size=4))
    signs = data.draw(st.lists(st.sampled_from([-1, 1]), min_size=len(places), max_size=len(places)))
    submissions = []
    for place, sign in zip(places, signs, strict=True):
        submissions.append(np.zeros(d, dtype=np.int64))
        submissions[-1][place] = sign * bound
    counts = np.diff(np.linspace(0, n_max, len(submissions) + 1).astype(int)).tolist()
    total = linear_combination([pack(x, layout) for x in submissions], from_int(counts))
    expected = sum(count * x for count, x in zip(counts, submissions, strict=True))
    assert np.array_equal(unpack_sum(total, layout), expected)


@COSTLY
@given(st.integers(0, 2), st.integers(0, 256), st.integers(0, 255))
def test_any_flipped_bit_of_a_share_is_found_and_named(row: int, column: int, bit: int) -> None:
    share = expand_seed(bytes(32), 3, 257)
    commitments = commit_rows(share, GENS)
    bad = share.copy()
    value = to_int(bad[row, column])[0] ^ (1 << bit)
    bad[row, column] = from_int([value])[0]
    assert encode_scalars(bad) != encode_scalars(share)
    assert check_rows(bad, commitments) == row


@settings(deadline=None)
@given(st.integers(1, 700).flatmap(lambda d: arrays(np.float32, d, elements=FLOATS)), SEEDS)
def test_rotation_keeps_the_norm_and_inverts(v: NDArray[np.float32], seed: bytes) -> None:
    rotated = rotate(v, seed)
    norm = float(np.linalg.norm(v.astype(np.float64)))
    assert abs(float(np.linalg.norm(rotated.astype(np.float64))) - norm) <= 1e-5 * norm + 1e-30
    assert float(np.abs(unrotate(rotated, seed) - v).max()) <= 1e-5 * norm + 1e-30


@settings(deadline=None)
@given(
    st.integers(1, 700).flatmap(lambda d: arrays(np.float32, d, elements=FLOATS)),
    SEEDS,
    SEEDS,
    st.integers(8, 16),
    st.floats(1e-3, 1e3),
)
def test_encoded_updates_stay_in_bounds_and_near(
    update: NDArray[np.float32], rotation_seed: bytes, rounding_seed: bytes, value_bits: int, clip_norm: float
) -> None:
    fixed_point = FixedPoint(len(update), clip_norm, value_bits)
    x = encode_update(update, fixed_point, rotation_seed, rounding_seed).astype(np.int64)
    assert int(x @ x) <= fixed_point.norm_bound**2
    exact = rotate(clip(update, clip_norm), rotation_seed).astype(np.float64) * fixed_point.scale
    assert float(np.abs(x - exact).max()) < 1


@settings(deadline=None)
@given(arrays(np.int64, (3, 5), elements=st.integers(-(2**46), 2**46)), st.integers(8, 16))
def test_integers_add_up_through_lanes(values: NDArray[np.int64], value_bits: int) -> None:
    layout = integer_layout(5, value_bits, max_trainers=3)
    packed = [pack(encode_integers(row, value_bits), layout) for row in values]
    total = unpack_sum(linear_combination(packed, from_int([1, 1, 1])), layout)
    assert np.array_equal(decode_integers(total, value_bits), values.sum(axis=0))
