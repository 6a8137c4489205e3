from dataclasses import replace

import numpy as np

from zkpfl.learning.averaging import common_standardizer, simulate
from zkpfl.learning.heart_disease import (
    FEATURE_RANGES,
    FEATURES,
    HOSPITALS,
    PRIVATE_ROUNDS,
    ROUNDS,
    TARGET_ACCURACY,
    heart_disease,
    heart_disease_bundle,
    pooled_test,
)
from zkpfl.learning.scaling import scale_features

SIZES = {"cleveland": 303, "hungary": 261, "switzerland": 46, "va_long_beach": 130}


def rows(records):
    return [
        (*features, label)
        for features, label in zip(records.features.tolist(), records.labels.tolist(), strict=True)
    ]


def test_every_record_is_in_one_part():
    splits = heart_disease(0)
    assert {split.name: len(split.train) + len(split.test) for split in splits} == SIZES
    assert tuple(split.name for split in splits) == HOSPITALS
    everything = sorted(row for s in splits for part in (s.train, s.test) for row in rows(part))
    assert len(everything) == 740
    assert everything == sorted(
        row for s in heart_disease(9) for part in (s.train, s.test) for row in rows(part)
    )


def test_split_is_stratified():
    for split in heart_disease(3):
        for label in (0, 1):
            train, test = (int((part.labels == label).sum()) for part in (split.train, split.test))
            assert train == round(0.66 * (train + test))


def test_split_follows_the_seed():
    one, same, other = heart_disease(1), heart_disease(1), heart_disease(2)
    assert rows(one[0].train) == rows(same[0].train)
    assert rows(one[0].train) != rows(other[0].train)


def test_columns_are_plausible():
    records = pooled_test(heart_disease(0))
    column = dict(zip(FEATURES, records.features.T, strict=True))
    assert 20 < column["age"].min() < column["age"].max() < 90
    assert 60 <= column["thalach"].min() < column["thalach"].max() <= 205
    flags = ("sex", "fbs", "exang", "restecg_stt", "restecg_lvh", "cp_typical_angina")
    assert all(set(column[name]) == {0.0, 1.0} for name in flags)
    assert 0.4 < records.labels.mean() < 0.65


def test_common_statistics_standardise_the_pooled_training_records():
    trainers = [split.train for split in heart_disease(0)]
    pooled = common_standardizer(trainers).apply(np.concatenate([t.features for t in trainers]))
    np.testing.assert_allclose(pooled.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(pooled.std(axis=0), 1, atol=1e-5)


def final_accuracy(seed):
    trainers = [split.train for split in heart_disease(seed)]
    history = simulate(
        heart_disease_bundle(seed, private=False), trainers, rounds=ROUNDS, seed=seed, target=TARGET_ACCURACY
    )
    return history[-1].score.accuracy


def test_plain_averaging_reaches_the_accuracy_asked_for():
    final_accuracies = [final_accuracy(seed) for seed in range(5)]
    assert final_accuracies[0] >= TARGET_ACCURACY
    assert min(final_accuracies) >= 0.77
    assert np.mean(final_accuracies) >= 0.79


def test_private_averaging_is_within_budget_and_still_useful():
    bundle = heart_disease_bundle(0)
    assert bundle.recipe.privacy.within(PRIVATE_ROUNDS)
    assert not bundle.recipe.privacy.within(PRIVATE_ROUNDS + 2)
    accuracies = []
    for seed in range(3):
        trainers = [split.train for split in heart_disease(seed)]
        own = replace(bundle, test_set=pooled_test(heart_disease(seed)))
        accuracies.append(simulate(own, trainers, rounds=PRIVATE_ROUNDS, seed=seed)[-1].score.accuracy)
    assert np.mean(accuracies) >= 0.77


def test_public_ranges_fit_what_was_measured():
    features = np.concatenate([split.train.features for split in heart_disease(0)])
    assert np.abs(scale_features(features, FEATURE_RANGES)).max() == 1
    low, high = np.array(FEATURE_RANGES).T
    outside = (features != 0) & ((features < low) | (features > high))  # 0 stands for what was not measured
    assert outside.any(axis=1).mean() < 0.05
