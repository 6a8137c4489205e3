import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from zkpfl.errors import BadSum, InvalidData, InvalidParameter
from zkpfl.learning.statistics import Standardizer, local_statistics, to_fixed

ONE = 1 << 20
TABLES = st.tuples(st.integers(1, 30), st.integers(1, 4)).flatmap(
    lambda shape: arrays(np.float64, shape, elements=st.floats(-1000, 1000, width=32))
)


def sums(*parts):
    return np.sum([to_fixed(local_statistics(part)) for part in parts], axis=0)


def test_known_values():
    x = np.array([[1.0, 2.0], [3.0, 2.0]])
    np.testing.assert_array_equal(local_statistics(x), [2, 4, 4, 10, 8])
    np.testing.assert_array_equal(to_fixed(local_statistics(x)), np.array([2, 4, 4, 10, 8]) * ONE)
    standardizer = Standardizer.from_sums(sums(x))
    np.testing.assert_array_equal(standardizer.mean, [2, 2])
    np.testing.assert_array_equal(standardizer.std, [1, 1])
    np.testing.assert_array_equal(standardizer.apply(x), np.array([[-1, 0], [1, 0]], np.float32))


@given(TABLES)
def test_equals_numpy_within_the_resolution(x):
    standardizer = Standardizer.from_sums(sums(x))
    np.testing.assert_allclose(standardizer.mean, x.mean(axis=0), atol=2**-20)
    variance, tolerance = x.var(axis=0), 2.0**-19 * (1 + 2 * np.abs(x).max(axis=0))
    constant = standardizer.std == 1.0
    assert np.all(
        (np.abs(standardizer.std**2 - variance) <= tolerance) | (constant & (variance <= tolerance))
    )


@given(TABLES, st.integers(1, 29))
def test_integer_tables_split_over_holders_give_the_same_standardizer(x, cut):
    x = np.rint(x)
    whole, parts = Standardizer.from_sums(sums(x)), [part for part in np.split(x, [cut]) if len(part)]
    split = Standardizer.from_sums(sums(*parts))
    assert (whole.mean.tobytes(), whole.std.tobytes()) == (split.mean.tobytes(), split.std.tobytes())


def test_rounding_does_not_blow_up_a_constant():
    parts = [np.full((n, 1), 1234.56789) for n in (7, 11, 13)]
    standardizer = Standardizer.from_sums(sums(*parts))
    assert standardizer.std.tolist() == [1.0]
    assert np.abs(standardizer.apply(parts[0])).max() < 1e-5


@pytest.mark.parametrize("bad", [np.zeros(3), np.zeros((0, 2)), np.array([[np.nan]]), np.array([[np.inf]])])
def test_bad_features_are_refused(bad):
    with pytest.raises(InvalidData):
        local_statistics(bad)


def test_too_large_sums_are_refused():
    assert to_fixed(np.array([2.0**27 - 1]))[0] == (2**27 - 1) * ONE
    with pytest.raises(InvalidData):
        to_fixed(np.array([2.0**27]))
    with pytest.raises(InvalidData):
        to_fixed(np.array([np.nan]))


@pytest.mark.parametrize(
    "bad",
    [
        np.array([ONE, 0, 0], np.int32),
        np.array([[ONE, 0, 0]]),
        np.array([ONE]),
        np.array([ONE, 0]),
    ],
)
def test_sums_of_another_shape_are_refused(bad):
    with pytest.raises(InvalidParameter) as error:
        Standardizer.from_sums(bad)
    assert error.value.field == "sums"


@pytest.mark.parametrize(
    "bad",
    [
        np.array([0, 0, 0]),
        np.array([-ONE, 0, 0]),
        np.array([ONE + 1, 0, 0]),
        np.array([ONE, 0, -ONE]),
        np.array([2 * ONE, 4 * ONE, ONE]),
    ],
)
def test_impossible_sums_are_the_fault_of_whoever_gave_them(bad):
    with pytest.raises(BadSum) as error:
        Standardizer.from_sums(bad)
    assert (error.value.party, error.value.field) == ("accepted set", "sums")


def test_apply_refuses_another_width():
    with pytest.raises(InvalidData):
        Standardizer.from_sums(sums(np.ones((2, 2)))).apply(np.ones((2, 3)))
