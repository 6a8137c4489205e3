"""Encoding: clipping, rotation, rounding, exact integers, lane packing."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from zkpfl.crypto.encoding import (
    clip,
    decode_integers,
    decode_mean,
    encode_integers,
    encode_update,
    integer_layout,
    pack,
    quantize,
    rotate,
    unpack_sum,
    unrotate,
)
from zkpfl.crypto.keystream import stream
from zkpfl.crypto.scalars import ORDER, from_int, linear_combination, to_int
from zkpfl.errors import InvalidEncoding, InvalidInput, InvalidParameter, InvalidUpdate
from zkpfl.params import FixedPoint, Layout

SEED = bytes(range(32))


def normal(dimension: int, seed: int = 0) -> NDArray[np.float32]:
    return np.random.default_rng(seed).standard_normal(dimension).astype(np.float32)


def rotate_naive(v: NDArray[np.float32], seed: bytes) -> NDArray[np.float32]:
    """Docs/spec.md §3.1, one operation at a time."""
    out, size = v.copy(), 1 << (len(v).bit_length() - 1)
    for number, start in enumerate([0] if size == len(v) else [0, len(v) - size]):
        bits = np.frombuffer(stream(seed, number)(-(-size // 8)), dtype=np.uint8)
        signs = 1 - 2 * np.unpackbits(bits, bitorder="little")[:size].astype(np.float32)
        block = out[start : start + size] * signs
        distance = 1
        while distance < size:
            pairs = block.reshape(-1, 2, distance)
            block = np.stack([pairs[:, 0] + pairs[:, 1], pairs[:, 0] - pairs[:, 1]], axis=1).reshape(-1)
            distance *= 2
        out[start : start + size] = block * np.float32(1 / math.sqrt(size))
    return out


def test_clip_leaves_small_updates_alone_and_scales_large_ones() -> None:
    small = normal(100) / np.float32(100)
    assert np.array_equal(clip(small, 1.0), small)
    clipped = clip(normal(1000) * np.float32(100), 2.5)
    assert np.linalg.norm(clipped.astype(np.float64)) == pytest.approx(2.5, rel=1e-6)
    assert clipped.dtype == np.float32


@given(arrays(np.float32, 17, elements=st.floats(-1e6, 1e6, width=32)), st.floats(1e-3, 1e3))
def test_clip_bounds_the_norm_and_keeps_the_direction(update: NDArray[np.float32], clip_norm: float) -> None:
    clipped = clip(update, clip_norm)
    norm = np.linalg.norm(update.astype(np.float64))
    assert np.linalg.norm(clipped.astype(np.float64)) <= clip_norm * (1 + 1e-6)
    if norm <= clip_norm:
        np.testing.assert_array_equal(clipped, update)
    else:
        np.testing.assert_allclose(clipped, update * (clip_norm / norm), rtol=1e-5, atol=1e-30)


def test_clip_survives_the_largest_floats() -> None:
    huge = np.full(4, np.finfo(np.float32).max)
    assert clip(huge, 1.0) == pytest.approx([0.5] * 4)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_non_finite_updates_are_errors(bad: float) -> None:
    update = normal(10)
    update[3] = bad
    fixed_point = FixedPoint(10, 1.0)
    for call in (
        lambda: clip(update, 1.0),
        lambda: rotate(update, SEED),
        lambda: encode_update(update, fixed_point, SEED, SEED),
    ):
        with pytest.raises(InvalidUpdate, match="finite"):
            call()


@pytest.mark.parametrize("dimension", [1, 2, 3, 7, 8, 9, 255, 256, 600, 1023])
def test_rotation_is_the_specified_one_to_the_byte(dimension: int) -> None:
    v = normal(dimension)
    assert rotate(v, SEED).tobytes() == rotate_naive(v, SEED).tobytes()


@pytest.mark.parametrize("dimension", [1, 2, 5, 64, 600, 5000])
def test_rotation_is_orthonormal_and_inverts(dimension: int) -> None:
    v, other = normal(dimension), normal(dimension, 1)
    rotated = rotate(v, SEED).astype(np.float64)
    norm = np.linalg.norm(v.astype(np.float64))
    assert np.linalg.norm(rotated) == pytest.approx(norm, rel=1e-5)
    inner = v.astype(np.float64) @ other.astype(np.float64)
    tolerance = 1e-5 * dimension
    assert rotated @ rotate(other, SEED).astype(np.float64) == pytest.approx(inner, abs=tolerance)
    assert unrotate(rotate(v, SEED), SEED) == pytest.approx(v, abs=1e-5)


def test_rotation_does_not_touch_its_input_and_depends_on_the_seed() -> None:
    v = normal(600)
    before = v.copy()
    assert not np.array_equal(rotate(v, SEED), rotate(v, bytes(32)))
    assert np.array_equal(v, before)


def test_rotation_spreads_a_spike() -> None:
    spike = np.zeros(600, dtype=np.float32)
    spike[590] = 1
    assert np.abs(rotate(spike, SEED)).max() < 0.2


def test_quantize_is_floor_plus_coin_in_float64() -> None:
    fixed_point = FixedPoint(500, 1.0)
    v = rotate(clip(normal(500), 1.0), SEED)
    words = np.frombuffer(stream(SEED, 0)(2000), dtype=">u4").astype(np.float64)
    y = fixed_point.scale * v.astype(np.float64)
    expected = np.floor(y) + (words < (y - np.floor(y)) * 2.0**32)
    assert np.array_equal(quantize(v, fixed_point, SEED), expected.astype(np.int16))


def test_rounding_is_unbiased() -> None:
    fixed_point = FixedPoint(64, 1.0)
    v = (normal(64) / np.float32(20)).astype(np.float32)
    total = np.zeros(64)
    for trial in range(2000):
        total += quantize(v, fixed_point, trial.to_bytes(32, "big"))
    error = total / 2000 - fixed_point.scale * v.astype(np.float64)
    # One rounding has a variance of at most 1/4: six standard errors over 64 coordinates.
    assert np.abs(error).max() < 6 * 0.5 / math.sqrt(2000)


@pytest.mark.parametrize("dimension", [1, 2, 100, 600, 4096])
@pytest.mark.parametrize("value_bits", [8, 12, 16])
def test_encoded_updates_meet_range_and_norm(dimension: int, value_bits: int) -> None:
    fixed_point = FixedPoint(dimension, 3.0, value_bits)
    for trial in range(5):
        update = normal(dimension, trial) * np.float32(10)
        x = encode_update(update, fixed_point, SEED, trial.to_bytes(32, "big")).astype(np.int64)
        assert np.abs(x).max() < 1 << (value_bits - 1)
        assert int(x @ x) <= fixed_point.norm_bound**2


def test_rounding_again_takes_fresh_randomness() -> None:
    class Tight(FixedPoint):
        @property
        def norm_bound(self) -> int:
            return 3

    def ones(seed: bytes, attempt: int) -> int:
        return int((np.frombuffer(stream(seed, attempt)(64), dtype=">u4") < 2**31).sum())

    # y = 1/2 everywhere: some of 16 coordinates round up to 1, and only attempts with at most 9 ones pass.
    seed = next(bytes([i]) * 32 for i in range(256) if ones(bytes([i]) * 32, 0) > 9)
    passing = next(attempt for attempt in range(64) if ones(seed, attempt) <= 9)
    fixed_point = Tight(16, 1.0)
    v = np.full(16, 0.5 / fixed_point.scale, dtype=np.float32)
    assert int(quantize(v, fixed_point, seed).sum()) == ones(seed, passing)


def test_values_outside_the_range_are_refused_unless_saturation_is_asked_for() -> None:
    fixed_point = FixedPoint(600, 1.0)
    spike = np.zeros(600, dtype=np.float32)
    spike[0], spike[1] = 1.0, -1.0
    with pytest.raises(InvalidUpdate, match="2 of 600 coordinates"):
        quantize(spike, fixed_point, SEED)
    saturated = quantize(spike, fixed_point, SEED, saturate=True)
    assert saturated[:3].tolist() == [2047, -2048, 0]


def test_a_vector_beyond_the_norm_bound_is_refused() -> None:
    fixed_point = FixedPoint(600, 1.0)
    v = np.full(600, 0.9 * 2047 / fixed_point.scale, dtype=np.float32)
    with pytest.raises(InvalidUpdate, match="norm bound"):
        quantize(v, fixed_point, SEED)


def test_mean_of_equal_updates_is_the_update() -> None:
    fixed_point = FixedPoint(600, 2.0, 16)
    update = clip(normal(600), 2.0)
    total = sum(encode_update(update, fixed_point, SEED, bytes([i]) * 32).astype(np.int64) for i in range(10))
    mean = decode_mean(np.asarray(total), fixed_point, SEED, 10)
    assert mean == pytest.approx(update, abs=4 / fixed_point.scale)
    assert mean.dtype == np.float32


def test_mean_divides_in_float64_and_rounds_once() -> None:
    fixed_point = FixedPoint(256, 0.37)
    total = np.random.default_rng(0).integers(-(2**30), 2**30, 256)
    expected = unrotate(((total / fixed_point.scale) / 3).astype(np.float32), SEED)
    assert decode_mean(total, fixed_point, SEED, 3).tobytes() == expected.tobytes()


def test_arguments_are_checked() -> None:
    fixed_point = FixedPoint(10, 1.0)
    with pytest.raises(InvalidParameter, match=r"float32 of shape \(10,\)"):
        quantize(normal(11), fixed_point, SEED)
    with pytest.raises(InvalidParameter, match="float32"):
        rotate(np.zeros(4), SEED)  # type: ignore[arg-type]
    with pytest.raises(InvalidParameter, match="key"):
        rotate(normal(4), b"short")
    with pytest.raises(InvalidParameter, match="clip_norm"):
        clip(normal(4), 0.0)
    with pytest.raises(InvalidParameter, match="at least one trainer"):
        decode_mean(np.zeros(10, dtype=np.int64), fixed_point, SEED, 0)
    with pytest.raises(InvalidParameter, match="10 sums"):
        decode_mean(np.zeros(9, dtype=np.int64), fixed_point, SEED, 1)


@pytest.mark.parametrize("value_bits", range(8, 17))
def test_integers_become_balanced_digits_and_add_up(value_bits: int) -> None:
    values = np.array([0, 1, -1, 2**46, -(2**46), 2**46 + 12345, -(2**47) + 2**46], dtype=np.int64)
    digits = encode_integers(values, value_bits)
    half = 1 << (value_bits - 1)
    assert digits.dtype == np.int16
    assert digits.min() >= -half
    assert digits.max() < half
    assert np.array_equal(decode_integers(digits.astype(np.int64), value_bits), values)
    assert np.array_equal(decode_integers(256 * digits.astype(np.int64), value_bits), 256 * values)


def test_digits_are_least_significant_first() -> None:
    values = np.array([2047 + 5 * 4096, -2049], dtype=np.int64)
    assert encode_integers(values, 12).tolist() == [2047, 5, 0, 0, 2047, -1, 0, 0]


@pytest.mark.parametrize("value", [2**47, -(2**47) - 1, 2**47 - 1, 2**62, -(2**63)])
def test_integers_out_of_range_or_carrying_out_are_refused(value: int) -> None:
    with pytest.raises(InvalidInput):
        encode_integers(np.array([0, value], dtype=np.int64), 12)


def test_sums_of_digits_beyond_64_bits_are_refused() -> None:
    with pytest.raises(InvalidEncoding, match="64 bits"):
        decode_integers(np.array([0, 0, 0, 2**40], dtype=np.int64), 12)
    with pytest.raises(InvalidParameter, match="4 digits"):
        decode_integers(np.zeros(5, dtype=np.int64), 12)
    with pytest.raises(InvalidParameter, match="value_bits"):
        decode_integers(np.zeros(4, dtype=np.int64), 17)


def test_layout_of_integers_covers_every_digit_vector() -> None:
    layout = integer_layout(27, 12, max_trainers=4)
    assert layout.dimension == 108
    assert layout.norm_bound == 11 * 2048
    assert layout.norm_bound**2 >= 108 * 2048**2
    assert layout.max_trainers == 4
    assert layout.columns == 256


def pack_naive(values: list[int], layout: Layout) -> list[int]:
    packed = [0] * (layout.packed_rows * layout.columns)
    for k, value in enumerate(values):
        row, column = divmod(k, layout.columns)
        p, lane = divmod(row, layout.lanes)
        packed[p * layout.columns + column] += value << (layout.lane_width * lane)
    return [value % ORDER for value in packed]


@pytest.mark.parametrize("dimension", [1, 255, 256, 257, 2304, 2305, 5000])
def test_packing_is_the_specified_one(dimension: int) -> None:
    layout = Layout(dimension, 2**18)
    values = np.random.default_rng(0).integers(-2048, 2048, dimension).astype(np.int16)
    packed = pack(values, layout)
    assert packed.shape == (layout.packed_rows, 256, 4)
    assert to_int(packed) == pack_naive(values.tolist(), layout)
    assert np.array_equal(pack(values.astype(np.int64), layout), packed)
    assert np.array_equal(unpack_sum(packed, layout), values)


def test_packing_takes_views_as_they_read() -> None:
    layout = Layout(300, 2**18)
    values = np.arange(-300, 300, dtype=np.int16)
    assert np.array_equal(unpack_sum(pack(values[::2], layout), layout), values[::2])


def test_hostile_submissions_inside_the_norm_bound_decode_right() -> None:
    """All of the bound in one coordinate, by every trainer: a lane from b and n_max would overflow."""
    fixed_point = FixedPoint(5000, 1.0)
    bound = fixed_point.norm_bound
    layout = Layout(5000, bound)
    naive_width = fixed_point.value_bits + (layout.max_trainers - 1).bit_length()
    assert layout.max_trainers * bound >= 1 << (naive_width - 1)
    for sign in (1, -1):
        values = np.zeros(5000, dtype=np.int64)
        values[[0, 255, 256, 2303, 4999]] = sign * bound
        copies = from_int([layout.max_trainers])
        total = linear_combination([pack(values, layout)], copies)
        assert np.array_equal(unpack_sum(total, layout), layout.max_trainers * values)


def test_values_that_no_lane_holds_are_refused() -> None:
    layout = Layout(300, 100, max_trainers=2)
    values = np.zeros(300, dtype=np.int64)
    values[299] = 1 << (layout.lane_width - 1)
    with pytest.raises(InvalidUpdate, match="coordinate 299"):
        pack(values, layout)


def test_sums_that_do_not_fit_are_refused() -> None:
    layout = Layout(300, 2**18)
    packed = pack(np.zeros(300, dtype=np.int16), layout)
    packed[0, 17] = from_int([1 << (layout.lanes * layout.lane_width)])[0]
    with pytest.raises(InvalidEncoding, match="row 0, column 17"):
        unpack_sum(packed, layout)


def test_packing_checks_shapes() -> None:
    layout = Layout(300, 2**18)
    with pytest.raises(InvalidParameter, match="int16 or int64"):
        pack(np.zeros(300, dtype=np.int32), layout)  # type: ignore[arg-type]
    with pytest.raises(InvalidParameter, match="300"):
        pack(np.zeros(301, dtype=np.int16), layout)
    with pytest.raises(InvalidParameter, match="packed"):
        unpack_sum(pack(np.zeros(300, dtype=np.int16), layout), replace(layout, columns=512))
