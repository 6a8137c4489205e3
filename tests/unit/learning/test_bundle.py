from dataclasses import replace

import numpy as np
import pytest

from zkpfl.errors import InvalidBundle
from zkpfl.learning.bundle import MAGIC, Bundle
from zkpfl.learning.records import Records
from zkpfl.learning.weights import flatten


def test_round_trip(bundle):
    data = bundle.to_bytes()
    restored = Bundle.from_bytes(data)
    assert restored.to_bytes() == data
    assert restored.recipe == bundle.recipe
    np.testing.assert_array_equal(restored.test_set.features, bundle.test_set.features)
    np.testing.assert_array_equal(flatten(restored.model()), flatten(bundle.model()))


def test_test_set_is_optional(bundle):
    without = Bundle(bundle.graph, bundle.weights, bundle.recipe)
    assert Bundle.from_bytes(without.to_bytes()).test_set is None


def test_every_truncation_and_an_extension_are_refused(bundle):
    data = bundle.to_bytes()
    for size in [*range(0, 60), *range(60, len(data), 37)]:
        with pytest.raises(InvalidBundle):
            Bundle.from_bytes(data[:size])
    with pytest.raises(InvalidBundle, match="left over"):
        Bundle.from_bytes(data + b"\0")


def test_huge_length_is_refused_before_memory_is_spent():
    with pytest.raises(InvalidBundle) as error:
        Bundle.from_bytes(MAGIC + b"\xff" * 8)
    assert error.value.field == "graph"


def test_another_format_is_refused(bundle):
    with pytest.raises(InvalidBundle) as error:
        Bundle.from_bytes(b"ZKPFLB02" + bundle.to_bytes()[8:])
    assert error.value.field == "magic"


def test_recipe_must_fit_the_graph(bundle):
    for change in ({"features": ("a", "b")}, {"classes": ("a", "b", "c")}):
        with pytest.raises(InvalidBundle) as error:
            Bundle(bundle.graph, bundle.weights, replace(bundle.recipe, **change))
        assert error.value.field == "graph"


@pytest.mark.parametrize(
    ("features", "labels", "field"),
    [
        (np.zeros((2, 2), np.float32), np.zeros(2, np.int64), "test_set.features"),
        (np.zeros((2, 3), np.float64), np.zeros(2, np.int64), "test_set"),
        (np.zeros((2, 3), np.float32), np.array([0, 2]), "test_set.labels"),
        (np.zeros((2, 3), np.float32), np.array([-1, 0]), "test_set.labels"),
        (np.full((2, 3), np.nan, np.float32), np.zeros(2, np.int64), "test_set.features"),
        (np.zeros((0, 3), np.float32), np.zeros(0, np.int64), "test_set.features"),
    ],
)
def test_bad_test_set_is_refused(bundle, features, labels, field):
    with pytest.raises(InvalidBundle) as error:
        Bundle(bundle.graph, bundle.weights, bundle.recipe, Records(features, labels))
    assert error.value.field == field


def test_repr_shows_no_content(bundle):
    assert repr(bundle).startswith("Bundle(")
    assert "aten" not in repr(bundle)
