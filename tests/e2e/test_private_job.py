"""A private job over real gRPC and a real ledger: contributions are paid, a budget stops a trainer."""

from dataclasses import replace

import pytest

from tests.e2e.live_network import LiveNetwork
from zkpfl.learning.bundle import Bundle
from zkpfl.learning.heart_disease import HospitalSplit, heart_disease_bundle
from zkpfl.ledger.records import JobStatus
from zkpfl.privacy.record_level import RecordPrivacy


@pytest.fixture(scope="module")
def private_bundle() -> Bundle:
    """Two rounds for a hospital of 50 patients; one of 31 has spent its budget after one."""
    privacy = RecordPrivacy.planned(
        rounds=2, epsilon=3.0, delta=1e-3, max_grad_norm=1.0, batch=20, local_steps=1, least_records=50
    )
    assert privacy.most_rounds(31) == 1
    bundle = heart_disease_bundle(0)
    return replace(bundle, recipe=replace(bundle.recipe, privacy=privacy))


def test_a_small_hospital_stops_at_its_own_budget(
    network: LiveNetwork, private_bundle: Bundle, hospitals: list[HospitalSplit]
) -> None:
    job_id = network.start_owner(private_bundle, training_rounds=2, max_trainers=3)
    for hospital in hospitals[:3]:
        network.start_trainer(job_id, hospital.train)

    result = network.finish()

    assert result.job.status is JobStatus.DONE
    assert result.checkpoint is not None
    privacy = private_bundle.recipe.privacy
    assert privacy is not None
    accepted = {number: network.treasury.round(job_id, number).accepted for number in (1, 2)}
    assert accepted == {1: 0b111, 2: 0b011}
    factors = network.treasury.factors(job_id, 1)
    assert factors.keys() == {0, 1, 2}
    assert len(set(factors.values())) > 1
    for number, thread in enumerate(network.trainers):
        (attested,) = [event for event in thread.recorder.of("factors_attested") if event.round == 1]
        assert attested.fields["own_percent"] == factors[number]
    (spent,) = network.trainers[2].recorder.of("budget_spent")
    assert (spent.round, spent.fields["epsilon"]) == (2, privacy.spent(1, 31))
    for thread in network.trainers[:2]:
        assert not thread.recorder.of("budget_spent")
    ended = network.owner.recorder.of("round_ended")
    assert [event.fields["epsilon"] for event in ended] == [privacy.epsilon_after(r) for r in (1, 2)]
    assert {event.fields["delta"] for event in ended} == {1e-3}
