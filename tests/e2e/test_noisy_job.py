"""A job under client-level privacy over real gRPC and a real ledger: zk-nodes bring the noise."""

from dataclasses import replace

import pytest

from tests.e2e.live_network import LiveNetwork
from tests.e2e.test_faults import FAST
from zkpfl.learning.bundle import Bundle
from zkpfl.learning.heart_disease import HospitalSplit, heart_disease_bundle
from zkpfl.ledger.records import JobStatus, Phase
from zkpfl.params import FIRST_NOISE
from zkpfl.privacy.client_level import ClientPrivacy

ROUNDS = 3


@pytest.fixture(scope="module")
def noisy_bundle() -> Bundle:
    """Noise for three rounds. Three hospitals learn nothing under it, which is not what is tested here."""
    privacy = ClientPrivacy.planned(rounds=ROUNDS, epsilon=8.0, delta=1e-4, noise_quorum=2, colluding=1)
    bundle = heart_disease_bundle(0)
    return replace(bundle, recipe=replace(bundle.recipe, privacy=privacy, value_bits=8))


def noise_in(accepted: int) -> int:
    return (accepted >> FIRST_NOISE).bit_count()


def test_a_job_goes_on_with_the_noise_of_a_quorum_of_its_nodes(
    network: LiveNetwork, noisy_bundle: Bundle, hospitals: list[HospitalSplit]
) -> None:
    job_id = network.start_owner(noisy_bundle, training_rounds=ROUNDS, max_trainers=3, durations=FAST)
    for hospital in hospitals[:3]:
        network.start_trainer(job_id, hospital.train)
    network.wait_until(lambda: network.treasury.job(job_id).current_round >= 2, 60)
    network.wait_until(lambda: network.treasury.job(job_id).phase >= Phase.CHECK, 60)
    network.nodes[0].kill()

    result = network.finish()

    assert result.job.status is JobStatus.DONE
    assert result.checkpoint is not None
    rounds = [network.treasury.round(job_id, number) for number in range(1, result.job.current_round + 1)]
    closed = [round_ for round_ in rounds if round_.phase is Phase.CLOSED]
    assert len(closed) == ROUNDS
    assert noise_in(closed[0].accepted) == 3
    assert all(noise_in(round_.accepted) >= 2 for round_ in closed)
    assert noise_in(closed[-1].accepted) == 2  # of those who live
    assert all(round_.accepted_trainers.bit_count() == 3 for round_ in closed)
    assert network.nodes[1].recorder.of("noise_submitted")
    privacy = noisy_bundle.recipe.privacy
    assert privacy is not None
    ended = network.owner.recorder.of("round_ended")  # type: ignore[union-attr]
    assert ended[-1].fields["epsilon"] == privacy.epsilon_after(len(closed))
    assert {event.fields["accepted"] for event in ended} == {3}
