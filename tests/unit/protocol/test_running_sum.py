"""A sum that moves between sets of trainers."""

import operator

import numpy as np
import pytest

from zkpfl.errors import StorageError
from zkpfl.protocol.plan import members_of
from zkpfl.protocol.running_sum import RunningSum

TERMS = {trainer: 10**trainer for trainer in range(8)}


def running_sum() -> RunningSum[int]:
    return RunningSum(TERMS.__getitem__, operator.add, operator.sub)


def test_sum_over_any_set_after_any_other() -> None:
    moving, rng = running_sum(), np.random.default_rng(1)
    for members in rng.integers(1, 1 << len(TERMS), 100).tolist():
        assert moving.over(members) == sum(TERMS[trainer] for trainer in members_of(members))


def test_included_terms_are_not_read_again() -> None:
    moving = RunningSum[int](lambda trainer: pytest.fail(f"read {trainer}"), operator.add, operator.sub)
    moving.include(3, 30)
    moving.include(5, 50)
    assert moving.over(0b101000) == 80
    moving.exclude(3, 30)
    assert moving.over(0b100000) == 50


def test_excluded_term_can_come_back_as_another() -> None:
    moving = running_sum()
    moving.include(2, 7)
    moving.exclude(2, 7)
    moving.include(2, 9)
    assert moving.over(0b100) == 9


def test_failed_read_leaves_a_sum_that_is_right() -> None:
    lost = {1}

    def read(trainer: int) -> int:
        if trainer in lost:
            raise StorageError("lost")
        return TERMS[trainer]

    moving = RunningSum(read, operator.add, operator.sub)
    with pytest.raises(StorageError):
        moving.over(0b1111)
    assert moving.over(0b1101) == TERMS[0] + TERMS[2] + TERMS[3]
    lost.clear()
    assert moving.over(0b1110) == TERMS[1] + TERMS[2] + TERMS[3]


def test_no_trainers_have_no_sum() -> None:
    with pytest.raises(ValueError, match="no trainers"):
        running_sum().over(0)
