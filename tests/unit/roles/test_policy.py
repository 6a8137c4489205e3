"""A trainer's policy: how small a sum may be, and who could open it."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from zkpfl.errors import InvalidParameter, NotAuthorized
from zkpfl.ledger.records import Durations, Job, JobStatus, JobTerms, Phase
from zkpfl.privacy.record_level import RecordPrivacy
from zkpfl.roles.policy import JoinPolicy
from zkpfl.roles.privacy_budget import require_budget

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


PRIVACY = RecordPrivacy(5.0, 1e-3, 1.0, 2.0, batch=20, local_steps=1, least_records=100)


def test_a_private_job_within_the_policy_is_joined() -> None:
    JoinPolicy().require_privacy(job(), PRIVACY)
    JoinPolicy(most_epsilon=5.0, most_delta=1e-3).require_privacy(job(), PRIVACY)


@pytest.mark.parametrize("policy", [JoinPolicy(most_epsilon=4.99), JoinPolicy(most_delta=9e-4)])
def test_a_job_that_asks_for_more_of_a_record_is_refused(policy: JoinPolicy) -> None:
    with pytest.raises(NotAuthorized, match="asks for ε = 5") as caught:
        policy.require_privacy(job(), PRIVACY)
    assert caught.value.field == "privacy"


def test_a_job_without_privacy_needs_an_unlimited_policy() -> None:
    JoinPolicy(most_epsilon=math.inf).require_privacy(job(), None)
    with pytest.raises(NotAuthorized, match="not private"):
        JoinPolicy(most_epsilon=1000.0).require_privacy(job(), None)


def test_a_job_whose_rounds_pass_its_own_budget_is_refused() -> None:
    long = replace(job(), terms=replace(job().terms, training_rounds=1000))
    with pytest.raises(NotAuthorized, match="1000 rounds cost"):
        JoinPolicy().require_privacy(long, PRIVACY)


def test_an_owner_is_told_how_many_rounds_are_within_its_budget() -> None:
    most = PRIVACY.most_rounds(100)
    require_budget(PRIVACY, most)
    require_budget(None, 10**6)
    with pytest.raises(InvalidParameter, match=f"at most {most} rounds") as caught:
        require_budget(PRIVACY, most + 1)
    assert caught.value.field == "rounds"
