import sys

import numpy as np
import pytest

from zkpfl.errors import InvalidData, InvalidParameter
from zkpfl.learning.averaging import simulate
from zkpfl.learning.digits import PRIVATE_ROUNDS, ROUNDS, digits, digits_bundle


@pytest.mark.parametrize("partition", ["iid", "dirichlet"])
def test_partition_gives_every_record_once(partition):
    split = digits(0, 8, partition=partition)
    assert len(split.trainers) == 8
    assert min(len(trainer) for trainer in split.trainers) >= 1
    assert sum(len(trainer) for trainer in split.trainers) + len(split.test) == 1797
    assert set(split.test.labels) == set(range(10))
    assert 0 <= split.test.features.min() < split.test.features.max() <= 1


def test_partition_follows_the_seed():
    one, same, other = (digits(seed, 4, partition="dirichlet").trainers[0] for seed in (1, 1, 2))
    np.testing.assert_array_equal(one.features, same.features)
    assert len(one) != len(other) or not np.array_equal(one.features, other.features)


def test_iid_parts_are_equal_and_dirichlet_parts_are_not():
    equal = [len(trainer) for trainer in digits(0, 8).trainers]
    unequal = [len(trainer) for trainer in digits(0, 8, partition="dirichlet", alpha=0.2).trainers]
    assert max(equal) - min(equal) <= 1
    assert max(unequal) - min(unequal) > 50


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"trainers": 1}, "trainers"),
        ({"trainers": 257}, "trainers"),
        ({"trainers": 4, "partition": "zipf"}, "partition"),
        ({"trainers": 4, "partition": "dirichlet", "alpha": 0.0}, "alpha"),
        ({"trainers": 4, "alpha": float("nan")}, "alpha"),
    ],
)
def test_bad_arguments_are_refused(arguments, field):
    with pytest.raises(InvalidParameter) as error:
        digits(0, **arguments)
    assert error.value.field == field


def test_impossible_dirichlet_is_refused():
    with pytest.raises(InvalidData) as error:
        digits(0, 200, partition="dirichlet", alpha=0.01)
    assert error.value.field == "alpha"


def test_missing_scikit_learn_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(InvalidData, match="scikit-learn"):
        digits(0, 4)


def test_plain_averaging_of_eight_trainers_learns_the_digits():
    split = digits(0, 8)
    history = simulate(digits_bundle(0, split.test, private=False), split.trainers, rounds=ROUNDS, seed=0)
    assert history[-1].score.accuracy >= 0.94


def test_private_averaging_of_eight_trainers_learns_the_digits():
    split = digits(0, 8)
    bundle = digits_bundle(0, split.test)
    assert bundle.recipe.privacy.within(PRIVATE_ROUNDS)
    history = simulate(bundle, split.trainers, rounds=PRIVATE_ROUNDS, seed=0)
    assert history[-1].score.accuracy >= 0.88
