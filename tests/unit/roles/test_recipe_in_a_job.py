"""What the recipe says besides training: the target of the terms, and a regression that anyone can audit."""

from dataclasses import replace
from pathlib import Path

import pytest
from tests.heart_rate import heart_rate, heart_rate_bundle
from tests.unit.roles.small_job import JOB_KEY, TRAINERS, SmallJob

from zkpfl.errors import WrongContext
from zkpfl.learning.bundle import Bundle
from zkpfl.learning.heart_disease import heart_disease_bundle
from zkpfl.roles import model_owner
from zkpfl.roles.auditor import audit


def with_target(target: float) -> Bundle:
    made = heart_disease_bundle(0, private=False)
    return replace(made, recipe=replace(made.recipe, target=target))


def test_the_order_s_target_is_sealed(tmp_path: Path) -> None:
    job = SmallJob(tmp_path / "job", bundle=with_target(0.123456))
    assert job.member.bundle.recipe.target_ppm == job.reader.job().terms.target != 123_456
    job.close()


def test_a_bundle_that_states_another_target_than_the_terms_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model_owner, "_with_target", lambda bundle, _: bundle)
    with pytest.raises(WrongContext, match="another target"):
        SmallJob(tmp_path / "job", bundle=with_target(0.123456))


def test_an_audit_finds_the_accuracy_of_a_regression(tmp_path: Path) -> None:
    trainers = [split.train for split in heart_rate(0)[:TRAINERS]]
    job = SmallJob(tmp_path / "job", bundle=heart_rate_bundle(0), records=trainers)
    job.run()
    report = audit(tmp_path / "job", job_key=JOB_KEY)
    assert not report.failures
    assert any(check.name == "score" for check in report.checks)
