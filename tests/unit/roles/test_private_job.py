"""A private job: what its ledger tells of the budget, and an auditor who counts again."""

from dataclasses import replace
from pathlib import Path

import pytest
from tests.unit.roles.small_job import JOB_KEY, SmallJob

from zkpfl.errors import InvalidParameter, WrongContext
from zkpfl.learning.bundle import Bundle
from zkpfl.learning.heart_disease import heart_disease_bundle
from zkpfl.roles import model_owner
from zkpfl.roles.auditor import audit
from zkpfl.roles.member import Member
from zkpfl.roles.privacy_budget import TrainerBudget, charged_rounds, most_charged


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    """Noise for two rounds."""
    return heart_disease_bundle(0, epsilon=3.0, rounds=2)


def test_each_round_is_charged_and_the_auditor_agrees(tmp_path: Path, bundle: Bundle) -> None:
    job = SmallJob(tmp_path / "job", rounds=2, bundle=bundle)
    privacy = bundle.recipe.privacy
    assert privacy is not None
    assert job.reader.epsilon_after(0) == 0
    job.play_round()
    assert job.reader.epsilon_after(1) == privacy.epsilon_after(1)
    job.play_round()
    assert job.reader.epsilon_after(2) == privacy.epsilon_after(2) <= 3.0
    rounds = [job.reader.round(number) for number in (1, 2)]
    assert charged_rounds(rounds) == {0: 2, 1: 2}
    assert most_charged(rounds) == 2
    job.run()
    report = audit(tmp_path / "job", job_key=JOB_KEY)
    assert report.ok, report.failures
    (check,) = [check for check in report.checks if check.name == "privacy_budget"]
    assert "of 3 at δ = 0.001, 2 rounds" in check.detail


def test_an_owner_does_not_submit_what_passes_its_budget(tmp_path: Path, bundle: Bundle) -> None:
    with pytest.raises(InvalidParameter, match="at most 2 rounds"):
        SmallJob(tmp_path / "job", rounds=3, bundle=bundle)


def test_an_auditor_sees_a_job_that_passes_its_budget(
    tmp_path: Path, bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model_owner, "require_budget", lambda *_: None)
    job = SmallJob(tmp_path / "job", rounds=3, bundle=bundle)
    job.run()
    (failure,) = audit(tmp_path / "job", job_key=JOB_KEY).failures
    assert (failure.name, failure.place) == ("privacy_budget", "job 1, privacy")


def test_a_manifest_that_states_another_privacy_than_the_bundle(
    tmp_path: Path, bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    stated = model_owner.JobManifest
    monkeypatch.setattr(model_owner, "JobManifest", lambda **parts: stated(**parts | {"privacy": None}))
    with pytest.raises(WrongContext, match="another privacy"):
        SmallJob(tmp_path / "job", rounds=1, bundle=bundle)


def test_a_trainer_with_few_records_stops_earlier(bundle: Bundle) -> None:
    assert bundle.recipe.privacy is not None
    privacy = replace(bundle.recipe.privacy, batch=20, epsilon=2.0)
    for records in (20, 60, 200):
        budget = TrainerBudget(privacy, records)
        most = privacy.most_rounds(records)
        assert budget.allows_another(most - 1)
        assert not budget.allows_another(most)
        assert budget.spent(most) <= 2.0


def test_members_scale_by_public_ranges(tmp_path: Path, bundle: Bundle) -> None:
    job = SmallJob(tmp_path / "job", rounds=1, bundle=bundle)
    member: Member = job.member
    scaled = member.standardized(job.hospitals[0])
    assert abs(scaled.features).max() <= 1
    assert member.statistics is None
    job.close()
