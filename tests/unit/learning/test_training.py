from dataclasses import replace

import numpy as np
import pytest
import torch

from zkpfl.errors import InvalidData, InvalidParameter, InvalidUpdate
from zkpfl.learning.evaluation import Score, evaluate
from zkpfl.learning.export import export_graph
from zkpfl.learning.graph import GraphModule
from zkpfl.learning.records import Records
from zkpfl.learning.training import local_seed, train_locally
from zkpfl.learning.weights import flatten


@pytest.fixture
def model(bundle):
    return bundle.model()


@pytest.fixture
def start(model):
    return flatten(model)


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_training_learns(model, start, records, recipe, optimizer):
    recipe = replace(recipe, optimizer=optimizer, local_epochs=60, learning_rate=0.05, batch_size=8)
    before = evaluate(model, start, records, recipe)
    update = train_locally(model, start, records, recipe, seed=1)
    after = evaluate(model, start + update, records, recipe)
    assert update.dtype == np.float32
    assert after.loss < before.loss
    assert after.accuracy > 0.9


def test_same_seed_same_update(bundle, start, records, recipe):
    first = train_locally(bundle.model(), start, records, recipe, seed=5)
    torch.manual_seed(99)
    again = train_locally(bundle.model(), start, records, recipe, seed=5)
    other = train_locally(bundle.model(), start, records, recipe, seed=6)
    assert first.tobytes() == again.tobytes()
    assert first.tobytes() != other.tobytes()


def test_global_torch_state_is_left_alone(model, start, records, recipe):
    torch.manual_seed(7)
    before = torch.get_rng_state(), torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    train_locally(model, start, records, recipe, seed=1)
    assert torch.equal(before[0], torch.get_rng_state())
    assert before[1:] == (torch.get_num_threads(), torch.are_deterministic_algorithms_enabled())


def test_batch_norm_trains_when_one_record_is_left_over(conv_net, recipe):
    pixels, digits = tuple(f"p{i}" for i in range(64)), tuple("0123456789")
    recipe = replace(recipe, features=pixels, classes=digits, batch_size=32)
    model = GraphModule(*export_graph(conv_net, torch.zeros(2, 64)))
    generator = np.random.default_rng(0)
    records = Records(generator.normal(size=(33, 64)).astype(np.float32), generator.integers(0, 10, 33))
    update = train_locally(model, flatten(model), records, recipe, seed=0)
    assert np.isfinite(update).all()
    assert update.any()


def test_divergence_names_the_trainer(model, start, records, recipe):
    recipe = replace(recipe, learning_rate=100.0, momentum=0.99, local_epochs=500)
    scaled = Records(records.features * np.float32(1e18), records.labels)
    with pytest.raises(InvalidUpdate) as error:
        train_locally(model, start, scaled, recipe, seed=0)
    assert error.value.party == "trainer"
    assert error.value.field in ("loss", "update")


def test_bad_arguments_are_refused(model, start, records, recipe):
    with pytest.raises(InvalidParameter) as error:
        train_locally(model, start, records, recipe, seed=0, device="tpu")
    assert error.value.field == "device"
    with pytest.raises(InvalidParameter):
        train_locally(model, start[1:], records, recipe, seed=0)
    with pytest.raises(InvalidData):
        train_locally(model, start, Records(records.features[:, :2], records.labels), recipe, seed=0)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a CUDA device")
def test_missing_cuda_is_refused(model, start, records, recipe):
    with pytest.raises(InvalidParameter, match="CUDA"):
        train_locally(model, start, records, recipe, seed=0, device="cuda")


def test_local_seed_is_stable_and_distinct():
    seeds = {local_seed(s, r, t) for s in range(3) for r in range(3) for t in range(3)}
    assert len(seeds) == 27
    assert all(0 <= seed < 1 << 63 for seed in seeds)


def test_evaluate_counts_over_several_batches(model, start, records, recipe):
    many = Records(np.tile(records.features, (9, 1)), np.tile(records.labels, 9))
    one = evaluate(model, start, records, recipe)
    nine = evaluate(model, start, many, recipe)
    assert (nine.correct, nine.total) == (9 * one.correct, 9 * 67)
    assert nine.loss == pytest.approx(one.loss)
    assert nine.accuracy == one.accuracy
    other = Records(records.features, 1 - records.labels)
    assert evaluate(model, start, other, recipe).correct == 67 - one.correct


def test_evaluate_refuses_what_does_not_fit(model, start, records, recipe):
    with pytest.raises(InvalidData):
        evaluate(model, start, Records(records.features, records.labels + 1), recipe)
    with pytest.raises(InvalidData):
        evaluate(model, start, Records(records.features[:0], records.labels[:0]), recipe)


def test_score_accuracy():
    assert Score(correct=3, total=4, loss=0.5).accuracy == 0.75
