"""Points: the door for bytes, and arithmetic against py_ecc."""

from __future__ import annotations

import pytest
from py_ecc.bls.point_compression import compress_G1
from py_ecc.optimized_bls12_381 import G1, Z1, add, field_modulus, multiply

from zkpfl.crypto.points import G1Array, combine_arrays, decode_points, msm, sum_arrays
from zkpfl.crypto.scalars import ORDER, from_int, random_scalars, to_int
from zkpfl.errors import InvalidEncoding, InvalidParameter, InvalidPoint

INFINITY = b"\xc0" + bytes(47)


def compressed(factor: int) -> bytes:
    return compress_G1(multiply(G1, factor % ORDER)).to_bytes(48, "big")


def points(*factors: int) -> G1Array:
    return G1Array.decode(b"".join(compressed(factor) for factor in factors))


def x_of_a_point_outside_the_subgroup() -> int:
    for x in range(1, 100):
        square = (x**3 + 4) % field_modulus
        if pow(square, (field_modulus - 1) // 2, field_modulus) == 1:
            return x
    raise AssertionError("unreachable")


def test_encoding_is_the_standard_one() -> None:
    data = b"".join(map(compressed, (1, 2, ORDER - 1))) + INFINITY
    assert G1Array.decode(data).encode() == data
    assert len(decode_points(data, 4)) == 4


@pytest.mark.parametrize("size", [0, 47, 49, 144])
def test_wrong_length_is_refused(size: int) -> None:
    with pytest.raises(InvalidEncoding, match="expected 96 bytes"):
        decode_points(bytes(size), 2)


def test_leftover_bytes_are_refused() -> None:
    with pytest.raises(InvalidEncoding, match="48 bytes"):
        G1Array.decode(compressed(1) + b"\x00")


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        (bytes([compressed(1)[0] & 0x7F]) + compressed(1)[1:], "canonical"),
        (b"\xe0" + bytes(47), "canonical"),
        (b"\xc0" + bytes(46) + b"\x01", "canonical"),
        (bytes(48), "canonical"),
        ((field_modulus | 1 << 383).to_bytes(48, "big"), "canonical"),
        (b"\x9a" + b"\xff" * 47, "canonical"),
        (b"\x80" + bytes(47), "subgroup"),
        ((x_of_a_point_outside_the_subgroup() | 1 << 383).to_bytes(48, "big"), "subgroup"),
        ((1 | 1 << 383).to_bytes(48, "big"), "curve"),
    ],
    ids=["flag", "sign-of-infinity", "infinity-rest", "zeros", "x=p", "x>p", "x=0", "subgroup", "curve"],
)
def test_bad_point_is_named(bad: bytes, why: str) -> None:
    with pytest.raises(InvalidPoint, match=f"point 3 .*{why}"):
        G1Array.decode(compressed(1) * 3 + bad + INFINITY)


def test_first_of_several_bad_points_is_named() -> None:
    with pytest.raises(InvalidPoint, match="point 17 "):
        G1Array.decode(compressed(1) * 17 + bytes(48) + compressed(2) * 40 + bytes(48))


def test_arrays_behave_like_sequences() -> None:
    array = points(1, 2, 3, 4)
    assert array[1:3] == points(2, 3)
    assert array[::2] == points(1, 3)
    assert array[-1] == points(4)
    assert array != points(1, 2, 3, 5)
    assert array != array[:3]
    assert G1Array.concatenate([array[:1], array[3:]]) == points(1, 4)
    assert len(array[4:]) == 0
    assert repr(array) == "G1Array(4 points)"
    with pytest.raises(IndexError):
        array[4]


def test_addition_covers_doubling_cancelling_and_infinity() -> None:
    left = points(1, 5, 5, 0, 0)
    right = points(2, 5, ORDER - 5, 7, 0)
    assert left + right == points(3, 10, 0, 7, 0)
    assert sum_arrays([left, right, left]) == points(4, 15, 5, 7, 0)
    with pytest.raises(InvalidParameter, match="one length"):
        sum_arrays([left, right[:2]])
    with pytest.raises(InvalidParameter, match="one or more"):
        sum_arrays([])


def test_msm_agrees_with_py_ecc() -> None:
    factors = [1, 2, 2, ORDER - 2, 0, 77]
    scalars = random_scalars((6,))
    expected = Z1
    for factor, scalar in zip(factors, to_int(scalars), strict=True):
        expected = add(expected, multiply(G1, factor * scalar % ORDER))
    assert msm(points(*factors), scalars).encode() == compress_G1(expected).to_bytes(48, "big")


@pytest.mark.parametrize("count", [0, 1, 2, 31, 32, 33, 300])
def test_msm_of_any_length(count: int) -> None:
    array = G1Array.decode(compressed(3) * count)
    scalars = random_scalars((count,))
    assert msm(array, scalars) == msm(points(3), from_int([sum(to_int(scalars))]))


def test_msm_wants_one_scalar_a_point() -> None:
    with pytest.raises(InvalidParameter, match="scalars"):
        msm(points(1, 2), random_scalars((3,)))


def test_combine_arrays_takes_small_negative_and_large_coefficients() -> None:
    arrays = [points(1, 0, 5), points(2, 3, 5)]
    for a, b in [(1, 0), (0, 0), (3, -2), (-1, 1), (2**200 + 1, -(2**254))]:
        expected = points(*(a * x + b * y for x, y in [(1, 2), (0, 3), (5, 5)]))
        assert combine_arrays(arrays, from_int([a, b])) == expected
    with pytest.raises(InvalidParameter, match="coefficients"):
        combine_arrays(arrays, from_int([1]))
