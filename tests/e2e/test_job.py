"""A whole job: real ledger, gRPC, storage and data."""

import numpy as np

from tests.e2e.live_network import STAKE, LiveNetwork
from zkpfl.learning.averaging import simulate
from zkpfl.learning.bundle import Bundle
from zkpfl.learning.heart_disease import HospitalSplit
from zkpfl.learning.training_worker import TrainingLimits
from zkpfl.learning.weights import checkpoint_weights, flatten
from zkpfl.ledger.records import MPC, JobStatus


def test_job_of_four_hospitals(
    network_on_each_chain: LiveNetwork, bundle: Bundle, hospitals: list[HospitalSplit]
) -> None:
    network = network_on_each_chain
    job_id = network.start_owner(bundle, training_rounds=2)
    for hospital in hospitals:
        network.start_trainer(job_id, hospital.train, limits=TrainingLimits())

    result = network.finish()

    job = result.job
    assert job.status is JobStatus.DONE
    assert (job.trained, job.failures, job.statistics_done) == (2, 0, True)
    assert result.checkpoint is not None
    ended = network.owner.recorder.of("round_ended")
    assert [(event.round, event.fields["kind"]) for event in ended] == [
        (1, "statistics"), (2, "training"), (3, "training"),
    ]  # fmt: skip
    for thread in [*network.nodes, *network.trainers]:
        assert not thread.recorder.of("fault"), thread.recorder.of("fault")

    # The verified model is the one of plain federated averaging, up to the rounding of the encoding.
    model = bundle.model()
    weights = checkpoint_weights(model, result.checkpoint)
    plain = simulate(bundle, [hospital.train for hospital in hospitals], rounds=2, seed=0)
    last = network.treasury.round(job_id, job.current_round)
    assert last.accuracy is not None
    assert abs(last.accuracy / 1e6 - plain[-1].score.accuracy) <= 0.02
    assert not np.array_equal(weights, flatten(model))

    # Money: everyone has been paid, nothing is left over but the stakes.
    stakes = 7 * STAKE
    assert network.treasury.token.balance(network.treasury.contract) - stakes <= 100 * MPC


def test_job_for_statistics_alone(
    network: LiveNetwork, bundle: Bundle, hospitals: list[HospitalSplit]
) -> None:
    """Secure statistics are a job without training rounds: exact sums, nobody's records leave."""
    job_id = network.start_owner(bundle, training_rounds=0, max_trainers=3)
    for hospital in hospitals[:3]:
        network.start_trainer(job_id, hospital.train)

    result = network.finish()

    assert result.job.status is JobStatus.DONE
    assert result.statistics is not None
    pooled = np.concatenate([hospital.train.features for hospital in hospitals[:3]]).astype(np.float64)
    assert result.statistics["count"] == len(pooled)
    for name, column in zip(bundle.recipe.features, pooled.T, strict=True):
        moments = result.statistics["features"][name]
        np.testing.assert_allclose(
            [moments["mean"], moments["std"]], [column.mean(), column.std()], atol=1e-4
        )
