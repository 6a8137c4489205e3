"""A job under client-level privacy: its zk-nodes bring noise, and an auditor follows (docs/spec.md §8.2)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.unit.roles.small_job import JOB_KEY, TRAINERS, SmallJob

from zkpfl.errors import InvalidBundle, InvalidParameter, JobFailed, NotAuthorized
from zkpfl.learning.bundle import Bundle
from zkpfl.learning.heart_disease import heart_disease_bundle
from zkpfl.ledger.records import Phase, RoundKind
from zkpfl.params import FIRST_NOISE
from zkpfl.privacy.client_level import ClientPrivacy
from zkpfl.protocol.plan import members_of
from zkpfl.roles import key_custody, model_owner, noise
from zkpfl.roles.auditor import audit
from zkpfl.roles.events import RoleEvent
from zkpfl.roles.job_storage import JobStore, job_label
from zkpfl.roles.noise import NoiseDuty

ROUNDS = 2


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    """Noise of two zk-nodes for two rounds, however much: with two trainers nothing is learned under it."""
    private = heart_disease_bundle(0, epsilon=3.0, rounds=ROUNDS)
    privacy = ClientPrivacy.planned(rounds=ROUNDS, epsilon=8.0, delta=1e-4, noise_quorum=2, colluding=1)
    return replace(private, recipe=replace(private.recipe, privacy=privacy, value_bits=8))


class NoisyJob(SmallJob):
    """Every zk-node brings noise, and finds that of the others in storage."""

    def __init__(self, folder: Path, bundle: Bundle, rounds: int = ROUNDS) -> None:
        self.events: list[RoleEvent] = []
        super().__init__(folder, rounds, bundle)

    def duty(self, node: int) -> NoiseDuty:
        party = self.nodes[node - 1]
        store = JobStore(self.store, job_label(party.ledger, self.job_id))
        return NoiseDuty(party.ledger, store, self.reader, party.identity, node, self.events.append)

    def _submit(self, plan, kind: RoundKind, nodes, trainer: int) -> None:  # type: ignore[no-untyped-def]
        if trainer == 0:
            self.bring_noise(plan, nodes)
        super()._submit(plan, kind, nodes, trainer)

    def bring_noise(self, plan, nodes) -> None:  # type: ignore[no-untyped-def]
        for number in (1, 2, 3):
            self.duty(number).step(self.reader.job())
        for place, submission in self.reader.submissions(plan.context.round).items():
            manifest = self.reader.submission(plan, place, submission.manifest)
            points = self.reader.commitments(plan, place, manifest)
            for node in nodes:
                signed, blob = self.reader.share(plan, place, manifest, submission.commitment_root, node.node)
                node.receive_share(signed, points, blob)


def test_a_whole_job_with_noise_and_its_audit(tmp_path: Path, bundle: Bundle) -> None:
    job = NoisyJob(tmp_path / "job", bundle)
    job.play_round()
    round_ = job.reader.round(1)
    assert list(members_of(round_.accepted)) == [0, 1, FIRST_NOISE, FIRST_NOISE + 1, FIRST_NOISE + 2]
    privacy = bundle.recipe.privacy
    assert privacy is not None
    assert job.reader.epsilon_after(1) == privacy.epsilon_after(1)
    job.run()
    report = audit(tmp_path / "job", job_key=JOB_KEY)
    assert report.ok, report.failures
    (check,) = [check for check in report.checks if check.name == "privacy_budget"]
    assert "of 8 at δ = 0.0001, 2 rounds, of a trainer" in check.detail
    assert [event.kind for event in job.events] == ["noise_submitted"] * 3 * ROUNDS


def test_the_sum_is_that_of_the_updates_with_noise_of_the_stated_size(tmp_path: Path, bundle: Bundle) -> None:
    job = NoisyJob(tmp_path / "job", bundle)
    plan, kind, nodes = job.play_to_aggregate()
    exact = sum(np.int64(job._values(plan, kind, trainer)) for trainer in range(TRAINERS))
    job._aggregate(plan, nodes)
    round_ = job.reader.round(plan.context.round)
    total = job.reader.total(plan, round_, job.member._member_key, lambda fault: None)
    noise_of_all = total - exact
    privacy = bundle.recipe.privacy
    assert isinstance(privacy, ClientPrivacy)
    sigma = np.sqrt(3) * privacy.node_sigma(
        plan.layout.norm_bound
    )  # q = 2 is asked for, all three brought it
    assert 0.5 * sigma < np.std(noise_of_all) < 1.7 * sigma
    job.close()


def test_a_zk_node_brings_its_noise_once(tmp_path: Path, bundle: Bundle) -> None:
    job = NoisyJob(tmp_path / "job", bundle)
    first = job.duty(1)
    first.step(job.reader.job())
    first.step(job.reader.job())
    job.duty(1).step(job.reader.job())  # started again
    assert [event.kind for event in job.events] == ["noise_submitted"]
    job.close()


def test_noise_above_its_bound_is_withheld(
    tmp_path: Path, bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = NoisyJob(tmp_path / "job", bundle)
    bound = job.reader.manifest.training.noise_bound  # type: ignore[union-attr]
    beyond = lambda sigma, count, seed: np.array([bound + 1] + [0] * (count - 1))  # noqa: E731
    monkeypatch.setattr(noise, "sample_discrete_gaussian", beyond)
    job.duty(1).step(job.reader.job())
    assert [event.kind for event in job.events] == ["noise_withheld"]
    assert job.reader.submissions(1) == {}
    job.close()


def test_zk_nodes_bring_no_noise_once_a_budget_is_spent(
    tmp_path: Path, bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model_owner, "require_budget", lambda *_: None)
    job = NoisyJob(tmp_path / "job", bundle, rounds=ROUNDS + 1)
    for _ in range(ROUNDS):
        job.play_round()
    assert job.reader.round(ROUNDS + 1).phase is Phase.COLLECT
    job.events.clear()
    job.duty(2).step(job.reader.job())
    (event,) = job.events
    assert (event.kind, event.round) == ("budget_spent", ROUNDS + 1)
    assert job.reader.submissions(ROUNDS + 1) == {}
    job.close()


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"colluding": 2, "noise_quorum": 3}, "privacy.colluding"),
        ({"noise_quorum": 4}, "privacy.noise_quorum"),
    ],
)
def test_an_owner_asks_for_noise_that_its_committee_can_bring(
    tmp_path: Path, bundle: Bundle, change: dict[str, int], field: str
) -> None:
    privacy = replace(bundle.recipe.privacy, **change)  # type: ignore[type-var]
    with pytest.raises(InvalidParameter) as caught:
        NoisyJob(tmp_path / "job", replace(bundle, recipe=replace(bundle.recipe, privacy=privacy)))
    assert caught.value.field == field


def without_room(stated: Callable[..., object]) -> Callable[..., object]:
    """A layout that forgets the noise: its lanes could overflow."""
    return lambda bundle, trainers, nodes: replace(
        stated(bundle, trainers, nodes),
        noise_parties=0,
        noise_bound=0,  # type: ignore[type-var]
    )


@pytest.mark.parametrize(
    ("name", "false"),
    [
        ("training_layout", without_room(model_owner.training_layout)),
        ("noise_quorum", lambda privacy: 0),
        ("noise_quorum", lambda privacy: 3),
    ],
)
def test_a_job_whose_terms_do_not_bring_the_stated_noise_is_not_joined(
    tmp_path: Path, bundle: Bundle, monkeypatch: pytest.MonkeyPatch, name: str, false: Callable[..., object]
) -> None:
    monkeypatch.setattr(model_owner, name, false)
    monkeypatch.setattr(
        NoisyJob, "_admit_trainers", lambda self: self.reader.require_servable(self.reader.job())
    )
    with pytest.raises(JobFailed, match="do not have the noise") as caught:
        NoisyJob(tmp_path / "job", bundle)
    assert caught.value.field == "noise_quorum"


def test_a_bundle_whose_noise_cannot_be_drawn_is_refused(bundle: Bundle) -> None:
    privacy = replace(bundle.recipe.privacy, noise_multiplier=100.0)  # type: ignore[type-var]
    with pytest.raises(InvalidBundle, match=r"recipe\.privacy\.noise_multiplier"):
        replace(bundle, recipe=replace(bundle.recipe, privacy=privacy, value_bits=16))


def test_a_zk_node_that_brings_noise_gets_no_job_key(tmp_path: Path, bundle: Bundle) -> None:
    job = NoisyJob(tmp_path / "job", bundle)
    first, second = job.nodes[:2]
    custodian = key_custody.KeyCustodian(first.ledger, job.store, job.reader, first.identity.encryption, 1)
    with pytest.raises(NotAuthorized):
        custodian.release(second.identity.account.address, key_custody.JOB_KEY)
    job.close()
