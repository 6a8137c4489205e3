"""A whole job: real ledger, gRPC, storage and data."""

import numpy as np

from tests.e2e.live_network import STAKE, LiveNetwork
from tests.heart_rate import heart_rate, heart_rate_bundle
from zkpfl.learning.averaging import common_standardizer, simulate
from zkpfl.learning.bundle import Bundle
from zkpfl.learning.evaluation import evaluate
from zkpfl.learning.heart_disease import HospitalSplit
from zkpfl.learning.records import Records
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


def test_regression_of_four_hospitals(network: LiveNetwork) -> None:
    """Heart rates: what the ledger calls accuracy is the share of predictions within the tolerance."""
    bundle, trainers = heart_rate_bundle(0), [split.train for split in heart_rate(0)]
    job_id = network.start_owner(bundle, training_rounds=3, baseline_ppm=100_000)
    for records in trainers:
        network.start_trainer(job_id, records, limits=TrainingLimits())

    result = network.finish()

    assert (result.job.status, result.job.trained, result.job.failures) == (JobStatus.DONE, 3, 0)
    for thread in [*network.nodes, *network.trainers]:
        assert not thread.recorder.of("fault"), thread.recorder.of("fault")
    plain = simulate(bundle, trainers, rounds=3, seed=0)
    accuracies = [network.treasury.round(job_id, number).accuracy for number in (2, 3, 4)]
    for accuracy, round_ in zip(accuracies, plain, strict=True):
        assert accuracy is not None
        assert abs(accuracy / 1e6 - round_.score.accuracy) <= 0.1  # of one slice, here of all the test set
    # On the whole test set the verified model is that of plain averaging, up to the rounding of the encoding.
    model, test = bundle.model(), bundle.test_set
    assert test is not None
    assert result.checkpoint is not None
    features = common_standardizer(trainers).apply(test.features)
    weights = checkpoint_weights(model, result.checkpoint)
    score = evaluate(model, weights, Records(features, test.labels), bundle.recipe)
    assert abs(score.accuracy - plain[-1].score.accuracy) <= 0.02
    assert abs(score.loss - plain[-1].score.loss) <= 0.02 * plain[-1].score.loss
