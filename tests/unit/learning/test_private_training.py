"""DP-SGD: what a step computes, what a record can change, and what an attacker sees of one."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from zkpfl.crypto.discrete_gaussian import sample_discrete_gaussian
from zkpfl.crypto.sealing import derive_key
from zkpfl.errors import InvalidBundle, InvalidParameter
from zkpfl.learning.evaluation import evaluate
from zkpfl.learning.export import bundle_of, export_graph, mlp
from zkpfl.learning.graph import GraphModule
from zkpfl.learning.private_training import _poisson_sample, clip_to_lattice, require_separable
from zkpfl.learning.recipe import Recipe
from zkpfl.learning.records import Records
from zkpfl.learning.scaling import scale_features, scaled
from zkpfl.learning.training import local_noise_key, train_locally
from zkpfl.learning.weights import flatten
from zkpfl.privacy.record_level import RecordPrivacy

PRIVACY = RecordPrivacy(
    epsilon=5.0,
    delta=1e-3,
    max_grad_norm=0.5,
    noise_multiplier=1.0,
    batch=40,
    local_steps=1,
    least_records=40,
)
KEY = bytes(range(32))


@pytest.fixture
def private(recipe):
    return replace(recipe, privacy=PRIVACY, learning_rate=0.1)


@pytest.fixture
def linear(private, records):
    return bundle_of(mlp(3, (), 2), private, records)


def test_a_step_is_the_noisy_mean_of_clipped_gradients(linear, records):
    few = records.take(np.arange(40))
    model = linear.model()
    before = flatten(model)
    update = train_locally(model, before, few, linear.recipe, seed=0, noise_key=KEY)
    lattice = PRIVACY.lattice(8)
    total = np.zeros(8)
    for x, y in zip(torch.from_numpy(few.features), torch.from_numpy(few.labels), strict=True):
        model = linear.model()
        cross_entropy(model(x[None]), y[None]).backward()
        gradient = np.concatenate([p.grad.numpy().ravel() for p in model.parameters()]).astype(float)
        factor = min(1, 0.5 / np.linalg.norm(gradient))
        total += np.rint(lattice.scale * factor * gradient)
    seed = derive_key(KEY, purpose="record-noise", context=bytes(4))
    total += sample_discrete_gaussian(lattice.sigma, 8, seed)
    np.testing.assert_allclose(update, -0.1 * total / (lattice.scale * 40), atol=2e-5)


def test_the_noise_is_as_large_as_stated(linear, records):
    few = records.take(np.arange(40))  # all of them are in every step, so only the noise differs
    updates = [
        train_locally(
            linear.model(), flatten(linear.model()), few, linear.recipe, seed=0, noise_key=bytes([i]) * 32
        )
        for i in range(200)
    ]
    assert np.std(updates, axis=0).mean() == pytest.approx(0.1 * 0.5 / 40, rel=0.1)


def test_keys_decide_the_noise_and_none_is_fresh(linear, records):
    def update(key):
        model = linear.model()
        return train_locally(model, flatten(model), records, linear.recipe, seed=3, noise_key=key).tobytes()

    assert update(KEY) == update(KEY)
    assert len({update(KEY), update(bytes(32)), update(None), update(None)}) == 4
    assert len({local_noise_key(s, r, t) for s in range(2) for r in range(2) for t in range(2)}) == 8


def test_private_training_learns(records, recipe):
    privacy = replace(PRIVACY, local_steps=40, max_grad_norm=1.0)
    recipe = replace(recipe, privacy=privacy, learning_rate=1.0)
    bundle = bundle_of(mlp(3, (), 2), recipe, records)
    start = flatten(bundle.model())
    update = train_locally(bundle.model(), start, records, recipe, seed=0, noise_key=KEY)
    assert evaluate(bundle.model(), start + update, records, recipe).accuracy > 0.85


@pytest.mark.parametrize("row", [[1e30, -1e30], [math.nan, 1.0], [math.inf, 0.0], [3e-9, 0.0], [0.0, 0.0]])
def test_no_record_moves_the_sum_by_more_than_the_sensitivity(row):
    lattice = PRIVACY.lattice(2)
    (clipped,) = clip_to_lattice(np.array([row]), 0.5, lattice)
    assert np.square(clipped).sum() <= lattice.sensitivity**2
    if not np.isfinite(row).all():
        assert not clipped.any()


def test_many_random_rows_keep_the_sensitivity():
    generator = np.random.default_rng(0)
    for dimension in (1, 10, 100_000):
        lattice = PRIVACY.lattice(dimension)
        rows = generator.normal(size=(20, dimension)) * 10.0 ** generator.integers(-9, 9, size=(20, 1))
        clipped = clip_to_lattice(rows, 0.5, lattice)
        norms = np.sqrt(np.square(clipped.astype(float)).sum(axis=1))
        assert norms.max() <= lattice.sensitivity
        assert norms.max() > 0.8 * lattice.sensitivity  # nobody was put out for rounding


def test_a_lattice_that_promises_too_little_puts_records_out():
    lattice = replace(PRIVACY.lattice(4), sensitivity=10)
    assert not clip_to_lattice(np.ones((3, 4)), 0.5, lattice).any()


def test_samples_take_each_record_by_itself():
    rate = replace(PRIVACY, batch=30)
    taken = np.zeros(100)
    sizes = []
    for step in range(400):
        chosen = _poisson_sample(100, rate, KEY, step)
        taken[chosen] += 1
        sizes.append(len(chosen))
    assert abs(taken.mean() / 400 - 0.3) < 0.01
    assert taken.std() < 3 * math.sqrt(400 * 0.3 * 0.7)
    assert np.std(sizes) == pytest.approx(math.sqrt(100 * 0.3 * 0.7), rel=0.15)
    assert len(_poisson_sample(30, rate, KEY, 0)) == len(_poisson_sample(7, rate, KEY, 0)) + 23 == 30


def test_batch_norm_is_refused(conv_net):
    recipe = Recipe(tuple(f"p{i}" for i in range(64)), tuple("0123456789"), 1.0, 0.1, privacy=PRIVACY)
    with pytest.raises(InvalidBundle, match="batch norm") as error:
        bundle_of(conv_net, recipe)
    assert "group norm" in error.value.hint


def test_convolution_dropout_and_layer_norm_train_record_by_record():
    body = nn.Sequential(
        nn.Unflatten(1, (1, 8, 8)), nn.Conv2d(1, 4, 3, padding=1), nn.GroupNorm(2, 4), nn.ReLU(),
        nn.MaxPool2d(2), nn.Flatten(), nn.Linear(64, 10), nn.LayerNorm(10), nn.Dropout(0.5),
    )  # fmt: skip
    model = GraphModule(*export_graph(body, torch.zeros(2, 64)))
    recipe = Recipe(tuple(f"p{i}" for i in range(64)), tuple("0123456789"), 1.0, 0.1, privacy=PRIVACY)
    require_separable(model, recipe)
    generator = np.random.default_rng(0)
    records = Records(generator.normal(size=(33, 64)).astype(np.float32), generator.integers(0, 10, 33))
    assert np.isfinite(train_locally(model, flatten(model), records, recipe, seed=0)).all()


def test_noise_that_does_not_fit_the_model_is_refused(recipe):
    noisy = replace(recipe, privacy=replace(PRIVACY, noise_multiplier=100.0))
    with pytest.raises(InvalidBundle, match=r"recipe\.privacy\.noise_multiplier"):
        bundle_of(mlp(3, (6000,), 2), noisy)


def test_records_of_one_and_none_in_a_sample(linear, records):
    one = train_locally(
        linear.model(), flatten(linear.model()), records.take(np.arange(1)), linear.recipe, seed=0
    )
    rare = replace(linear.recipe, privacy=replace(PRIVACY, batch=1, least_records=1))
    many = Records(np.tile(records.features, (9, 1)), np.tile(records.labels, 9))
    keys = [
        key for key in range(64) if not len(_poisson_sample(len(many), rare.privacy, bytes([key]) * 32, 0))
    ]
    none = train_locally(
        linear.model(), flatten(linear.model()), many, rare, seed=0, noise_key=bytes([keys[0]]) * 32
    )
    assert one.any()
    assert none.any()


def test_ranges_scale_to_one_and_cut_what_is_outside():
    features = np.array([[0, 10], [5, 20], [10, 30], [99, -99]], dtype=np.float32)
    expected = [[-1, -1], [0, 0], [1, 1], [1, -1]]
    np.testing.assert_allclose(scale_features(features, ((0, 10), (10, 30))), expected)
    records = Records(features, np.zeros(4, dtype=np.int64))
    assert scaled(records, None) is records


@pytest.mark.parametrize(
    "ranges",
    [(), ((0.0, 1.0),), ((0.0, 1.0),) * 4, ((1.0, 0.0),) * 3, ((0.0, 0.0),) * 3, ((0.0,),) * 3,
     (1.0, 2.0, 3.0), ((0.0, math.inf),) * 3, (("0", "1"),) * 3, [(0.0, 1.0)] * 3],
)  # fmt: skip
def test_bad_ranges_are_refused(recipe, ranges):
    with pytest.raises(InvalidParameter, match="feature_ranges"):
        replace(recipe, feature_ranges=ranges)


def test_a_private_recipe_goes_there_and_back_and_has_no_statistics(private):
    ranged = replace(private, feature_ranges=((0, 1),) * 3)
    assert Recipe.from_json(ranged.to_json()) == ranged
    for change in ({"privacy": None, "feature_ranges": ranged.feature_ranges}, {"feature_ranges": None}):
        with pytest.raises(InvalidParameter):
            replace(ranged, statistics=True, **change)
    for old, new in ((b'"epsilon":5.0', b'"epsilon":0.0'), (b'"batch":40,', b""), (b"5.0", b"5")):
        with pytest.raises(InvalidBundle, match="recipe"):
            Recipe.from_json(ranged.to_json().replace(old, new))
