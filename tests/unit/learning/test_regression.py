"""Labels that are numbers, and two classes on one logit: losses, metric, data, privacy and bundles."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from tests.heart_rate import RECIPE, heart_rate, heart_rate_bundle
from torch.nn.functional import binary_cross_entropy_with_logits, mse_loss

from zkpfl.errors import InvalidBundle, InvalidData, InvalidParameter
from zkpfl.learning.architectures import mlp
from zkpfl.learning.averaging import simulate
from zkpfl.learning.bundle import Bundle, pack_records, unpack_records
from zkpfl.learning.evaluation import evaluate
from zkpfl.learning.export import bundle_of
from zkpfl.learning.objective import count_right, loss_of, training_labels
from zkpfl.learning.private_training import _per_record, require_separable
from zkpfl.learning.recipe import Recipe
from zkpfl.learning.records import Records
from zkpfl.learning.slices import split
from zkpfl.learning.training import train_locally
from zkpfl.learning.training_worker import TrainingLimits, TrainingWorker
from zkpfl.learning.user_data import load_records
from zkpfl.learning.weights import flatten
from zkpfl.privacy.record_level import RecordPrivacy

NUMBERS = Recipe(
    ("a", "b", "c"), (), clip_norm=10.0, learning_rate=0.1, local_epochs=20,
    task="regression", loss="mse", metric="within_tolerance", tolerance=0.5,
)  # fmt: skip
LOGIT = Recipe(
    ("a", "b", "c"), ("no", "yes"), clip_norm=10.0, learning_rate=0.5, local_epochs=60,
    loss="binary_cross_entropy",
)  # fmt: skip
PRIVACY = RecordPrivacy(5.0, 1e-3, 1.0, 1.0, batch=64, local_steps=60, least_records=64)


@pytest.fixture
def measured() -> Records:
    """Labels from 20 to 60 or so: 40 + 5·(a − 2·b), with a little noise."""
    generator = np.random.default_rng(2)
    features = generator.normal(size=(80, 3)).astype(np.float32)
    labels = 40 + 5 * (features[:, 0] - 2 * features[:, 1]) + generator.normal(scale=0.1, size=80)
    return NUMBERS.checked(features, labels)


def test_right_is_what_is_within_the_tolerance() -> None:
    outputs = torch.tensor([[1.0], [1.5], [1.75], [float("nan")], [-1.0]])
    labels = torch.tensor([1.0, 1.0, 1.0, 1.0, 1.0])
    assert count_right(outputs, labels, NUMBERS) == 2
    scaled = replace(NUMBERS, label_range=(0.0, 200.0), tolerance=25.0)
    predicted = torch.tensor([[0.0], [0.25], [0.375], [1.0]])  # 100, 125, 137.5 and 200
    assert count_right(predicted, torch.full((4,), 100.0), scaled) == 2
    np.testing.assert_array_equal(
        training_labels(np.array([0, 50, 100, 300], np.float32), scaled), [-1, -0.5, 0, 1]
    )
    logits = torch.tensor([[-0.1], [0.0], [0.1], [3.0]])
    assert count_right(logits, torch.tensor([0, 0, 0, 1]), LOGIT) == 3


def test_losses_are_those_of_torch() -> None:
    outputs, labels = torch.tensor([[0.5], [2.0]]), torch.tensor([1.0, 0.0])
    assert loss_of(NUMBERS)(outputs, labels) == mse_loss(outputs[:, 0], labels)
    expected = binary_cross_entropy_with_logits(outputs[:, 0], labels, reduction="sum")
    assert loss_of(LOGIT, reduction="sum")(outputs, labels.long()) == expected


def test_a_regression_learns_and_its_share_is_that_of_its_predictions(measured: Records) -> None:
    recipe = replace(NUMBERS, label_range=(0.0, 80.0))
    bundle = bundle_of(mlp(3, (), 1), recipe, measured)
    model = bundle.model()
    start = flatten(model)
    trained = start + train_locally(model, start, measured, recipe, seed=1)
    before, after = (evaluate(model, weights, measured, recipe) for weights in (start, trained))
    assert (after.loss, before.accuracy) < (0.01 * before.loss, 0.2)
    assert after.accuracy == 1.0
    with torch.inference_mode():
        predicted = 40 * (model(torch.from_numpy(measured.features))[:, 0].double().numpy() + 1)
    assert after.correct == (abs(predicted - measured.labels) <= 0.5).sum()


def test_labels_need_no_range(measured: Records) -> None:
    plain = Records(measured.features, ((measured.labels - 40) / 10).astype(np.float32))
    model = bundle_of(mlp(3, (), 1), NUMBERS).model()
    start = flatten(model)
    trained = start + train_locally(model, start, plain, NUMBERS, seed=1)
    assert evaluate(model, trained, plain, NUMBERS).accuracy == 1.0


def test_one_logit_learns_two_classes(records: Records) -> None:
    model = bundle_of(mlp(3, (), 1), LOGIT, records).model()
    start = flatten(model)
    trained = start + train_locally(model, start, records, LOGIT, seed=1)
    assert evaluate(model, trained, records, LOGIT).accuracy > 0.9


@pytest.mark.parametrize("one", [False, True], ids=["numbers", "logit"])
def test_private_gradients_of_single_records(measured: Records, records: Records, one: bool) -> None:
    recipe, data = (LOGIT, records) if one else (replace(NUMBERS, label_range=(0.0, 80.0)), measured)
    model, loss = bundle_of(mlp(3, (4,), 1), recipe, data).model().train(), loss_of(recipe)
    x, y = torch.from_numpy(data.features), torch.from_numpy(training_labels(data.labels, recipe))
    single = _per_record(model, loss)(x, y)
    for index in range(0, len(data), 10):
        model.zero_grad()
        loss(model(x[index : index + 1]), y[index : index + 1]).backward()
        whole = torch.cat([tensor.grad.reshape(-1) for tensor in model.parameters()])
        torch.testing.assert_close(single[index], whole, rtol=1e-4, atol=1e-6)
    require_separable(model, recipe)


def test_private_regression_learns(measured: Records) -> None:
    recipe = replace(NUMBERS, label_range=(0.0, 80.0), privacy=PRIVACY, learning_rate=0.3, tolerance=5.0)
    model = bundle_of(mlp(3, (), 1), recipe, measured).model()
    start = flatten(model)
    trained = start + train_locally(model, start, measured, recipe, seed=0, noise_key=bytes(32))
    assert evaluate(model, trained, measured, recipe).accuracy > 0.75


def test_a_bundle_and_its_slices_keep_numbers(measured: Records) -> None:
    bundle = bundle_of(mlp(3, (4,), 1), NUMBERS, measured)
    restored = Bundle.from_bytes(bundle.to_bytes())
    assert restored.recipe == NUMBERS
    assert restored.test_set.labels.dtype == np.float32
    for part in split(measured, 3):
        again = unpack_records(pack_records(part), NUMBERS)
        np.testing.assert_array_equal(again.labels, part.labels)


@pytest.mark.parametrize("labels", [np.zeros(2, np.int64), np.array([0, np.inf], np.float32)])
def test_other_labels_are_refused(labels: np.ndarray) -> None:
    with pytest.raises(InvalidBundle, match="test_set"):
        bundle_of(mlp(3, (), 1), NUMBERS, Records(np.zeros((2, 3), np.float32), labels))


def test_the_outputs_must_be_those_of_the_loss() -> None:
    for recipe, outputs in ((NUMBERS, 2), (LOGIT, 2), (replace(LOGIT, loss="cross_entropy"), 1)):
        with pytest.raises(InvalidBundle) as caught:
            bundle_of(mlp(3, (), outputs), recipe)
        assert caught.value.field == "graph"


def test_the_training_process_takes_numbers(measured: Records) -> None:
    bundle = bundle_of(mlp(3, (), 1), NUMBERS)
    worker = TrainingWorker(TrainingLimits())
    try:
        start = flatten(bundle.model())
        wanted = {"seed": 3, "noise_key": None, "device": "cpu"}
        update = worker.train(bundle, start, measured, timeout_s=120, **wanted)
    finally:
        worker.close()
    np.testing.assert_array_equal(update, train_locally(bundle.model(), start, measured, NUMBERS, seed=3))


def test_a_trainers_files_hold_numbers(tmp_path) -> None:
    (tmp_path / "x.csv").write_text("a,b,c,rate\n1,2,3,-4.5\n1,2,3,1e2\n")
    read = load_records(str(tmp_path / "x.csv"), NUMBERS, label="rate")
    assert (read.labels.tolist(), read.labels.dtype) == ([-4.5, 100.0], np.float32)
    np.savez(tmp_path / "x.npz", features=np.ones((2, 3)), labels=np.array([0.25, -1]))
    assert load_records(str(tmp_path / "x.npz"), NUMBERS).labels.tolist() == [0.25, -1.0]
    (tmp_path / "y.csv").write_text("a,b,c,rate\n1,2,3,high\n")
    with pytest.raises(InvalidData, match="line 2") as caught:
        load_records(str(tmp_path / "y.csv"), NUMBERS, label="rate")
    assert caught.value.field == "rate"
    (tmp_path / "z.csv").write_text("a,b,c,rate\n1,2,3,nan\n")
    with pytest.raises(InvalidData) as caught:
        load_records(str(tmp_path / "z.csv"), NUMBERS, label="rate")
    assert caught.value.field == "labels"


@pytest.mark.parametrize(
    ("recipe", "change"),
    [
        (NUMBERS, {"classes": ("no", "yes")}),
        (NUMBERS, {"tolerance": None}),
        (NUMBERS, {"tolerance": 0.0}),
        (NUMBERS, {"tolerance": float("nan")}),
        (NUMBERS, {"label_range": (1.0, 0.0)}),
        (NUMBERS, {"label_range": (0.0, float("inf"))}),
        (NUMBERS, {"label_range": [0.0, 1.0]}),
        (NUMBERS, {"label_range": (0.0,)}),
        (NUMBERS, {"metric": "accuracy"}),
        (NUMBERS, {"task": "classification"}),
        (LOGIT, {"classes": ("a", "b", "c")}),
        (LOGIT, {"tolerance": 1.0}),
        (LOGIT, {"label_range": (0.0, 1.0)}),
        (LOGIT, {"metric": "within_tolerance"}),
        (LOGIT, {"target": 1.5}),
        (LOGIT, {"target": 0.8000001}),
        (LOGIT, {"target": True}),
        (LOGIT, {"vocabulary": 0}),
        (LOGIT, {"vocabulary": 5.0}),
        (replace(LOGIT, statistics=True), {"vocabulary": 5}),
        (replace(LOGIT, feature_ranges=((0.0, 1.0),) * 3), {"vocabulary": 5}),
    ],
)
def test_a_recipe_that_contradicts_itself_is_refused(recipe: Recipe, change: dict[str, object]) -> None:
    with pytest.raises(InvalidParameter) as caught:
        replace(recipe, **change)
    assert caught.value.field in change


def test_recipes_go_round_and_targets_are_parts_per_million() -> None:
    for recipe in (RECIPE, LOGIT, replace(NUMBERS, target=0.123457, label_range=(-1, 1))):
        assert Recipe.from_json(recipe.to_json()) == recipe
    assert [replace(LOGIT, target=target).target_ppm for target in (None, 0, 0.29, 1)] == [
        None, 0, 290_000, 1_000_000,
    ]  # fmt: skip


def test_words_give_task_and_metric_by_the_loss() -> None:
    words = {"loss": "mse", "tolerance": "2.5", "target": "0.75"}
    made = Recipe.from_values(("a",), (), words, label_range=(0, 9))
    assert (made.task, made.metric, made.tolerance, made.target, made.label_range) == (
        "regression", "within_tolerance", 2.5, 0.75, (0.0, 9.0),
    )  # fmt: skip
    with pytest.raises(InvalidParameter) as caught:
        Recipe.from_values(("a",), (), {"loss": "mse", "tolerance": "much"})
    assert caught.value.field == "tolerance"


def test_heart_rates_at_four_hospitals_are_learnt_by_averaging() -> None:
    bundle = heart_rate_bundle(0)
    history = simulate(bundle, [split.train for split in heart_rate(0)], rounds=12, seed=0)
    assert history[-1].score.loss < 0.65 * history[0].score.loss
    assert history[-1].score.accuracy > 0.5
