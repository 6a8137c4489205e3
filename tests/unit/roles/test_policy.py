"""A trainer's policy: how small a sum may be, and who could open it."""

from __future__ import annotations

import pytest

from zkpfl.errors import NotAuthorized
from zkpfl.ledger.records import Durations, Job, JobStatus, JobTerms, Phase
from zkpfl.roles.policy import JoinPolicy

NODES = tuple(bytes([number]) * 20 for number in range(1, 6))


def job(quorum: int = 3, threshold: int = 2, committee: tuple[bytes, ...] = NODES[:3]) -> Job:
    terms = JobTerms(
        1, False, 900_000, 500_000, threshold, quorum, 9, Durations(*[1] * 7), 10, bytes(32), bytes(32),
        0, 1, 0, 0, bytes(32), 1, 1,
    )  # fmt: skip
    return Job(
        1, bytes(20), terms, 1, 0, committee, (), JobStatus.RECRUITING, 1, 0, 5, 0, False, 0, 0, 0, 0, 0,
        bytes(32), None, 0, 0, 0, Phase.NONE, 5,
    )  # fmt: skip


def test_by_default_any_job_will_do() -> None:
    JoinPolicy().require(job(quorum=2))


def test_a_job_with_small_sums_is_refused() -> None:
    JoinPolicy(smallest_set=3).require(job(quorum=3))
    with pytest.raises(NotAuthorized) as caught:
        JoinPolicy(smallest_set=4).require(job(quorum=3))
    assert caught.value.field == "quorum"


def test_as_many_strangers_as_cannot_open_a_sum_are_let_in() -> None:
    JoinPolicy(known_nodes=frozenset(NODES[:2])).require(job())
    with pytest.raises(NotAuthorized, match="0x0202") as caught:
        JoinPolicy(known_nodes=frozenset(NODES[:1])).require(job())
    assert caught.value.field == "committee"
    JoinPolicy(known_nodes=frozenset(NODES[:3])).require(job(threshold=3, committee=NODES))
    with pytest.raises(NotAuthorized):
        JoinPolicy(known_nodes=frozenset(NODES[:2])).require(job(threshold=3, committee=NODES))
