"""Scalars on the wire and in arrays."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zkpfl.crypto.scalars import (
    ORDER,
    add_into,
    collect_scalars,
    decode_scalars,
    encode_scalars,
    from_int,
    linear_combination,
    random_scalars,
    random_short,
    sum_scalars,
    to_int,
)
from zkpfl.errors import InvalidEncoding, InvalidParameter, InvalidScalar

INTEGERS = st.lists(st.integers(0, ORDER - 1), min_size=1, max_size=8)


def test_limbs_are_little_endian_and_wire_is_big_endian() -> None:
    scalars = decode_scalars(bytes(23) + bytes.fromhex("010000000000000002"), 1)
    assert scalars.tolist() == [[2, 1, 0, 0]]
    assert scalars.dtype == np.uint64


@given(INTEGERS)
def test_scalars_survive_the_wire(values: list[int]) -> None:
    assert to_int(decode_scalars(encode_scalars(from_int(values)), len(values))) == values


@pytest.mark.parametrize("value", [ORDER, ORDER + 1, 2**255, 2**256 - 1])
def test_non_canonical_scalar_is_named(value: int) -> None:
    data = bytes(64) + value.to_bytes(32, "big")
    with pytest.raises(InvalidScalar, match="scalar 2 "):
        decode_scalars(data, 3)


@pytest.mark.parametrize("size", [0, 31, 33, 96])
def test_wrong_length_is_refused(size: int) -> None:
    with pytest.raises(InvalidEncoding, match="expected 64 bytes"):
        decode_scalars(bytes(size), 2)


def test_from_int_reduces() -> None:
    assert to_int(from_int([-1, ORDER, 3 * ORDER + 5])) == [ORDER - 1, 0, 5]


@given(st.lists(st.tuples(st.integers(0, ORDER - 1), st.just(ORDER - 1)), min_size=1, max_size=9))
def test_sum_scalars_is_arithmetic_mod_r(terms: list[tuple[int, int]]) -> None:
    rows = from_int([x for term in terms for x in term]).reshape(len(terms), 2, 4)
    expected = [sum(term[i] for term in terms) % ORDER for i in range(2)]
    assert to_int(sum_scalars(rows)) == to_int(sum_scalars(list(rows))) == expected


def test_sum_scalars_needs_rows_of_one_shape() -> None:
    with pytest.raises(InvalidParameter, match="one shape"):
        sum_scalars([])
    with pytest.raises(InvalidParameter, match="one shape"):
        sum_scalars([from_int([1]), from_int([1, 2])])


@given(st.lists(st.tuples(*[st.integers(0, ORDER - 1)] * 3), min_size=1, max_size=5))
def test_linear_combination_is_arithmetic_mod_r(terms: list[tuple[int, int, int]]) -> None:
    rows = from_int([x for term in terms for x in term[:2]]).reshape(len(terms), 2, 4)
    coefficients = from_int([term[2] for term in terms])
    expected = [sum(term[i] * term[2] for term in terms) % ORDER for i in range(2)]
    assert to_int(linear_combination(rows, coefficients)) == expected
    assert to_int(linear_combination(list(rows), coefficients)) == expected


@given(st.integers(0, ORDER - 1), st.integers(0, ORDER - 1))
def test_add_into_adds_in_place(a: int, b: int) -> None:
    total = from_int([a, 1])
    add_into(total, from_int([b, 2]))
    assert to_int(total) == [(a + b) % ORDER, 3]


def test_add_into_a_view_would_be_lost_and_is_refused() -> None:
    total = random_scalars((4,))
    with pytest.raises(InvalidParameter, match="contiguous"):
        add_into(total[::2], random_scalars((2,)))
    total.flags.writeable = False
    with pytest.raises(InvalidParameter, match="writable"):
        add_into(total, random_scalars((4,)))


def test_shapes_and_dtypes_are_checked() -> None:
    with pytest.raises(InvalidParameter, match="uint64 of shape"):
        encode_scalars(np.zeros((3, 4), dtype=np.int64))  # type: ignore[arg-type]
    with pytest.raises(InvalidParameter, match="uint64 of shape"):
        encode_scalars(np.zeros((3, 5), dtype=np.uint64))
    with pytest.raises(InvalidParameter, match="one shape"):
        linear_combination([random_scalars((2,)), random_scalars((3,))], random_scalars((2,)))
    with pytest.raises(InvalidParameter, match="one or more"):
        linear_combination([], random_scalars((0,)))
    with pytest.raises(InvalidParameter, match="shape"):
        add_into(random_scalars((2,)), random_scalars((3,)))


def test_non_contiguous_arrays_are_taken_as_they_read() -> None:
    scalars = random_scalars((3, 2))
    assert to_int(scalars[:, 1]) == to_int(scalars)[1::2]


def test_random_scalars_reject_instead_of_reducing() -> None:
    pieces = [b"\xff" * 32, (5).to_bytes(32, "big"), b"\x80" + bytes(30) + b"\x07"]

    def source(size: int) -> bytes:
        return (b"".join(pieces) * size)[:size]

    assert to_int(random_scalars((4,), source)) == [5, 7, 5, 7]


def test_collect_scalars_goes_on_with_the_stream() -> None:
    asked: list[int] = []

    def source(size: int) -> bytes:
        asked.append(size)
        return (
            b"\xff" * size if len(asked) == 1 else b"".join(i.to_bytes(32, "big") for i in range(size // 32))
        )

    assert to_int(collect_scalars(source, 3)) == [0, 1, 2]
    assert len(asked) == 2


def test_random_scalars_differ_and_have_their_shape() -> None:
    scalars = random_scalars((3, 5))
    assert scalars.shape == (3, 5, 4)
    assert len(set(to_int(scalars))) == 15


def test_short_scalars_have_128_bits_and_are_never_zero() -> None:
    values = to_int(random_short(64))
    assert max(values) < 2**128
    assert max(values) > 2**120
    assert to_int(random_short(2, bytes)) == [1, 1]


def test_vectors_may_lie_in_files(tmp_path: Path) -> None:
    """Kernels walk through mapped files as through memory, so vectors may be larger than that."""
    rows = [np.memmap(tmp_path / str(k), dtype=np.uint64, mode="w+", shape=(5000, 4)) for k in range(3)]
    for row in rows:
        row[:] = random_scalars((5000,))
    in_memory = [np.array(row) for row in rows]
    weights = random_scalars((3,))
    assert np.array_equal(sum_scalars(rows), sum_scalars(in_memory))
    assert np.array_equal(linear_combination(rows, weights), linear_combination(in_memory, weights))
    add_into(rows[0], rows[1])
    assert np.array_equal(rows[0], sum_scalars(in_memory[:2]))
