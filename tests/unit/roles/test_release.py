"""A zk-node's duty releases only for what the finalised ledger says and what it has checked itself."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.unit.roles.small_job import SmallJob

from zkpfl.crypto.bls import BlsSecretKey
from zkpfl.errors import Equivocation
from zkpfl.ledger.client import LedgerClient
from zkpfl.ledger.records import Job, Phase, Round, RoundKind, Submission
from zkpfl.roles.job_reader import JobReader
from zkpfl.roles.node_duty import NodeDuty


class Ledger(LedgerClient):
    """A ledger that may answer differently where it is asked about finalised blocks, or about the latest."""

    def __init__(self, honest: LedgerClient) -> None:
        super().__init__(honest.connection, honest.contract)
        self.finalized: set[str] = set()
        self.swapped: dict[bool, bool] = {True: False, False: False}
        self.other_roots = False
        self.exchanged: Submission | None = None

    def job(self, job: int, *, finalized: bool = False) -> Job:
        self._note("job", finalized)
        answer = super().job(job, finalized=finalized)
        return replace(answer, trainers=answer.trainers[::-1]) if self.swapped[finalized] else answer

    def round(self, job: int, number: int, *, finalized: bool = False) -> Round:
        self._note("round", finalized)
        return super().round(job, number, finalized=finalized)

    def submissions(self, job: int, round: int, *, finalized: bool = False) -> dict[int, Submission]:  # noqa: A002
        self._note("submissions", finalized)
        answer = super().submissions(job, round, finalized=finalized)
        if finalized and self.other_roots:
            answer[0] = replace(answer[0], commitment_root=bytes(32))
        return answer if self.exchanged is None else {**answer, 0: self.exchanged}

    def _note(self, what: str, finalized: bool) -> None:
        if finalized:
            self.finalized.add(what)


class Scene:
    """A job in Aggregate, and the first node's process, which may be started again."""

    def __init__(self, job: SmallJob) -> None:
        self.job = job
        self.job.play_to_aggregate()
        self.node = job.nodes[0]
        self.ledger = Ledger(self.node.ledger)
        self.started()

    def started(self) -> NodeDuty:
        """The node as it comes back from a crash."""
        identity = self.node.identity
        assert identity.bls is not None
        reader = JobReader(self.ledger, self.job.store, self.job.job_id)
        self.duty = NodeDuty(
            self.ledger,
            self.job.store,
            reader,
            identity,
            BlsSecretKey.from_bytes(identity.bls),
            self.job.journals[0],
            1,
            lambda event: None,
        )
        return self.duty

    def delivered(self) -> bool:
        return bool(self.job.reader.round(self.job.reader.job().current_round).delivered & 1)


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    job = SmallJob(tmp_path)
    yield Scene(job)
    job.close()


def test_a_release_reads_job_round_and_submissions_of_a_finalised_block(scene: Scene) -> None:
    assert scene.job.reader.job().phase is Phase.AGGREGATE
    scene.duty.step()
    assert scene.delivered()
    assert scene.ledger.finalized == {"job", "round", "submissions"}


def test_nothing_is_released_where_the_finalised_ledger_lists_other_trainers(scene: Scene) -> None:
    scene.ledger.swapped[False] = True
    with pytest.raises(Equivocation, match="trainers"):
        scene.duty.step()
    assert not scene.delivered()
    scene.ledger.swapped[False] = False  # the latest block was not the last word: begin anew
    scene.duty.step()
    assert scene.delivered()


def test_nothing_is_released_for_submissions_that_were_not_checked(scene: Scene) -> None:
    scene.ledger.other_roots = True
    with pytest.raises(Equivocation, match="submissions"):
        scene.duty.step()
    assert not scene.delivered()


def test_a_ledger_that_answers_differently_the_second_time_gets_nothing(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The node dies between its record and its post; then the ledger has another submission of trainer 0."""

    class Died(Exception):
        pass

    def die(*_arguments: object) -> None:
        raise Died

    with monkeypatch.context() as patch, pytest.raises(Died):
        patch.setattr(Ledger, "post_aggregate", die)
        scene.duty.step()
    plan = scene.duty._round_state(scene.ledger.job(scene.job.job_id)).plan
    other = scene.job.prepare(plan, RoundKind.STATISTICS, 0)
    manifest = scene.job.store_submission(other)

    duty = scene.started()
    scene.ledger.exchanged = Submission(other.commitment_root, manifest, time=0)
    with pytest.raises(Equivocation, match="for which an aggregate share was released"):
        duty.step()
    assert not scene.delivered()

    scene.ledger.exchanged = None
    scene.started().step()
    assert scene.delivered(), "for the recorded set it goes on"
