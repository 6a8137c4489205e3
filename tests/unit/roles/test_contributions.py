"""Contributions in whole jobs: proved, checked by all, attested, paid, audited (docs/spec.md §9.5)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from tests.unit.roles.small_job import JOB_KEY, SmallJob

from zkpfl.crypto.encoding import decode_mean
from zkpfl.errors import InvalidEncoding
from zkpfl.learning.bundle import Bundle
from zkpfl.learning.heart_disease import heart_disease_bundle
from zkpfl.ledger.events import Rewarded
from zkpfl.ledger.factors import percents
from zkpfl.ledger.records import AccountRole, Round, RoundKind
from zkpfl.ledger.rules import ONE
from zkpfl.protocol.contributions import round_direction
from zkpfl.protocol.manifests import ContributionManifest
from zkpfl.protocol.plan import RoundPlan
from zkpfl.protocol.trainer import PreparedSubmission, prepare_submission
from zkpfl.roles.auditor import audit
from zkpfl.roles.contribution import Contributions, _Own
from zkpfl.roles.events import RoleEvent
from zkpfl.roles.job_storage import JobStore
from zkpfl.roles.layouts import fixed_point
from zkpfl.roles.member import Member

CheatWithManifest = Callable[["ContributingJob", ContributionManifest], ContributionManifest]


@pytest.fixture(scope="module")
def private() -> Bundle:
    return heart_disease_bundle(0, epsilon=8.0, rounds=3)


class Cheater(Contributions):
    """Sends another manifest than the one that it has made."""

    def __init__(self, job: ContributingJob, *rest: object) -> None:
        super().__init__(*rest)  # type: ignore[arg-type]
        self.job = job

    def _prove(self, job: object, round_: Round, member: Member, own: _Own) -> None:
        direction = member.direction(job, round_)  # type: ignore[arg-type]
        assert direction is not None
        honest = ContributionManifest(
            self._ledger.account, direction.contribution(own.witness.values), bytes(1632)
        )
        digest = self._store.put(self.job.cheat(self.job, honest).to_bytes()).digest
        self._ledger.contribute(self.job.job_id, round_.number, digest)


class ContributingJob(SmallJob):
    """Three hospitals that take part in contributions with the code of a trainer's process.

    Parameters
    ----------
    cheat
        What trainer 2 makes of its manifest.
    """

    trainer_count = 3
    cheat: CheatWithManifest

    def __init__(
        self, folder: Path, bundle: Bundle, cheat: CheatWithManifest | None = None, rounds: int = 1
    ) -> None:
        self.events: list[tuple[int, RoleEvent]] = []
        self.wholes: dict[int, int] = {}
        super().__init__(folder, rounds, bundle)
        self.parts = [self._part(trainer) for trainer in range(self.trainer_count)]
        if cheat is not None:
            self.cheat = cheat
            self.parts[2] = self._part(2, cheater=True)

    def _part(self, trainer: int, *, cheater: bool = False) -> Contributions:
        store = JobStore(self.store, f"trainer-{trainer}")
        ledger = self.trainers[trainer].ledger

        def report(event: RoleEvent) -> None:
            self.events.append((trainer, event))

        if cheater:
            return Cheater(self, ledger, self.reader, store, report)
        return Contributions(ledger, self.reader, store, report)

    def make_submission(self, plan: RoundPlan, kind: RoundKind, trainer: int) -> PreparedSubmission:
        submission = super().make_submission(plan, kind, trainer)
        self.parts[trainer].remember(self.reader.round(plan.context.round), submission)
        return submission

    def before_score(self, trainer: int, round_: Round) -> None:
        self.parts[trainer].contribute(self.reader.job(), round_, self.member)

    def before_reveal(self, trainer: int, round_: Round) -> None:
        direction = self.member.direction(self.reader.job(), round_)
        assert direction is not None
        self.wholes[round_.number] = direction.squared_norm
        self.parts[trainer].attest(self.reader.job(), round_, self.member)

    def kinds(self, trainer: int) -> list[str]:
        return [event.kind for number, event in self.events if number == trainer]

    def faults(self, trainer: int) -> list[tuple[object, object]]:
        found = [event.fields for number, event in self.events if number == trainer and event.kind == "fault"]
        return [(fields["party"], fields["text"]) for fields in found]

    def whole(self, number: int) -> int:
        return self.wholes[number]

    def paid(self, number: int) -> dict[int, int]:
        trainers = self.reader.job().trainers
        return {
            trainers.index(event.account): event.accuracy_factor
            for event in self.treasury.events(self.job_id)
            if isinstance(event, Rewarded) and event.role is AccountRole.TRAINER and event.round == number
        }

    def manifest(self, number: int, trainer: int) -> ContributionManifest:
        digest = self.treasury.contributions(self.job_id, number)[trainer]
        return ContributionManifest.from_bytes(self.reader.content_by_digest(digest))


def test_honest_trainers_are_paid_by_what_they_contribute(tmp_path: Path, private: Bundle) -> None:
    """In the first round they go the same way; later, near the optimum, nobody goes the way of the others."""
    job = ContributingJob(tmp_path / "job", private, rounds=3)
    factors = []
    for number in (1, 2, 3):
        job.play_round()
        values = {i: job.manifest(number, i).value for i in job.treasury.contributions(job.job_id, number)}
        assert all(value > 0 for value in values.values())
        factors.append(percents(values, job.reader.stakes(0b111), job.whole(number)))
        assert job.treasury.factors(job.job_id, number) == factors[-1]
        earned = {i: factors[-1].get(i, 100) * ONE // 100 for i in range(3)}
        assert job.paid(number) == earned
    assert len(set(factors[0].values())) > 1
    assert [job.faults(trainer) for trainer in range(3)] == [[], [], []]
    attested = [kind for kind in job.kinds(0) if kind == "factors_attested"]
    assert len(attested) == sum(map(bool, factors))
    job.run()
    report = audit(tmp_path / "job", job_key=JOB_KEY)
    assert report.ok, report.failures
    names = [check.name for check in report.checks]
    assert names.count("factors") == len(attested)
    assert names.count("contribution") == sum(event.kind == "contributed" for _, event in job.events)
    assert audit(tmp_path / "job").ok  # without the key the payouts are recomputed all the same


def higher(_job: ContributingJob, honest: ContributionManifest) -> ContributionManifest:
    return replace(honest, value=10 * abs(honest.value) + 1)


def copied(job: ContributingJob, honest: ContributionManifest) -> ContributionManifest:
    first = job.manifest(job.reader.job().current_round, 0)
    return replace(honest, value=first.value, proof=first.proof)


def anothers(job: ContributingJob, honest: ContributionManifest) -> ContributionManifest:
    return job.manifest(job.reader.job().current_round, 0)


def absurd(_job: ContributingJob, honest: ContributionManifest) -> ContributionManifest:
    return replace(honest, value=10**77)


@pytest.mark.parametrize("cheat", [higher, copied, anothers, absurd])
def test_a_false_contribution_earns_the_lowest_factor_and_is_named(
    tmp_path: Path, private: Bundle, cheat: CheatWithManifest
) -> None:
    job = ContributingJob(tmp_path / "job", private, cheat)
    job.play_round()
    assert job.paid(1)[2] == ONE * 8 // 10
    assert job.faults(0) == [
        ("trainer 2", "trainer 2, contribution: the proof of its contribution does not hold")
    ]
    job.run()
    report = audit(tmp_path / "job", job_key=JOB_KEY)
    assert report.ok, report.failures
    (remark,) = [check for check in report.checks if check.name == "contribution" and check.detail]
    assert "trainer 2" in remark.place


def test_what_is_not_in_storage_counts_for_nothing(tmp_path: Path, private: Bundle) -> None:
    job = ContributingJob(tmp_path / "job", private)
    ledger, part = job.trainers[2].ledger, job.parts[2]
    part.contribute = lambda _job, round_, _member: ledger.contribute(  # type: ignore[method-assign]
        job.job_id, round_.number, b"\x07" * 32
    )
    job.play_round()
    assert job.paid(1)[2] == ONE * 8 // 10
    assert [party for party, _ in job.faults(0)] == ["trainer 2"]
    job.close()


def test_who_was_started_again_has_no_proof_and_the_job_goes_on(tmp_path: Path, private: Bundle) -> None:
    job = ContributingJob(tmp_path / "job", private)
    plan_and_more = job.play_to_aggregate()
    job.parts[1] = job._part(1)  # its memory is gone
    job._aggregate(plan_and_more[0], plan_and_more[2])
    job._score(1)
    assert 1 not in job.treasury.contributions(job.job_id, 1)
    assert job.paid(1)[1] == ONE * 8 // 10
    assert "factors_attested" in job.kinds(1)
    job.close()


def test_one_who_lies_about_factors_is_outvoted(tmp_path: Path, private: Bundle) -> None:
    job = ContributingJob(tmp_path / "job", private)
    ledger = job.trainers[2].ledger
    job.parts[2].attest = lambda _job, round_, _member: ledger.attest_factors(  # type: ignore[method-assign]
        job.job_id, round_.number, {0: 80, 1: 80, 2: 125}
    )
    job.play_round()
    decided = job.treasury.factors(job.job_id, 1)
    assert decided != {0: 80, 1: 80, 2: 125}
    assert decided == percents(
        {i: job.manifest(1, i).value for i in job.treasury.contributions(job.job_id, 1)},
        job.reader.stakes(0b111),
        job.whole(1),
    )
    job.close()


def test_an_audit_finds_a_majority_that_lies(tmp_path: Path, private: Bundle) -> None:
    job = ContributingJob(tmp_path / "job", private)
    for trainer in (1, 2):
        ledger = job.trainers[trainer].ledger
        job.parts[trainer].attest = lambda _job, round_, _member, ledger=ledger: ledger.attest_factors(  # type: ignore[method-assign,misc]
            job.job_id, round_.number, {0: 80, 1: 125, 2: 124}
        )
    job.run()
    (failure,) = audit(tmp_path / "job", job_key=JOB_KEY).failures
    assert (failure.name, failure.place) == ("factors", "job 1, round 1")
    assert "125" in failure.detail


def test_a_majority_that_says_nothing_leaves_all_factors_at_one(tmp_path: Path, private: Bundle) -> None:
    job = ContributingJob(tmp_path / "job", private)
    for trainer in (1, 2):
        job.parts[trainer].attest = lambda *_: None  # type: ignore[method-assign]
    job.play_round()
    assert set(job.paid(1).values()) == {ONE}
    job.close()


def test_a_trainer_that_repeats_the_last_public_update_contributes_nothing(
    tmp_path: Path, private: Bundle
) -> None:
    class Replaying(ContributingJob):
        contributed: int | None = None

        def prepare(self, plan: RoundPlan, kind: RoundKind, trainer: int) -> PreparedSubmission:
            if trainer != 2 or self.member.training_rounds == 0:
                return super().prepare(plan, kind, trainer)
            last = self.last.updates[0] if self.last.updates else None
            assert last is None
            total = decode_mean(self.last.total, fixed_point(self.bundle), self.last_seed, self.trainer_count)
            (repeated,) = round_direction(plan, self.last.total, [total], fixed_point(self.bundle)).updates
            return prepare_submission(plan, self.trainers[trainer].identity.account, repeated)

        def before_score(self, trainer: int, round_: Round) -> None:
            direction = self.member.direction(self.reader.job(), round_)
            assert direction is not None
            self.last, self.last_seed = direction, self.reader.plan(self.reader.job(), round_).rotation_seed
            own = self.parts[trainer]._own
            assert own is not None
            if trainer == 2:
                self.contributed = direction.contribution(own.witness.values)
            super().before_score(trainer, round_)

    job = Replaying(tmp_path / "job", private, rounds=2)
    job.play_round()
    assert job.contributed
    job.play_round()
    assert job.contributed == 0
    assert 2 not in job.treasury.contributions(job.job_id, 2)
    job.close()


def test_jobs_without_private_records_reveal_nothing(tmp_path: Path) -> None:
    job = ContributingJob(tmp_path / "job", heart_disease_bundle(0, private=False))
    job.play_round()
    job.play_round()
    assert job.treasury.contributions(job.job_id, 2) == {}
    assert set(job.paid(2).values()) == {ONE}
    assert job.events == []
    job.close()


# ---- the manifest --------------------------------------------------------------------------------

MANIFEST = ContributionManifest(bytes(range(20)), -(10**60), b"proof")


@pytest.mark.parametrize("value", [0, 7, -(10**60), 10**78 - 1])
def test_manifests_come_back(value: int) -> None:
    manifest = replace(MANIFEST, value=value)
    assert ContributionManifest.from_bytes(manifest.to_bytes()) == manifest


@pytest.mark.parametrize(
    "value", [b"7", b'"-0"', b'"07"', b'"+7"', b'"1e3"', b'" 7"', b'""', b'"' + b"9" * 79 + b'"']
)
def test_values_have_one_spelling(value: bytes) -> None:
    data = MANIFEST.to_bytes().replace(b'"-1' + b"0" * 60 + b'"', value)
    assert data != MANIFEST.to_bytes()
    with pytest.raises(InvalidEncoding, match="value"):
        ContributionManifest.from_bytes(data)
