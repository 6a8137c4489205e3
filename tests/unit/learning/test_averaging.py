from dataclasses import replace

import numpy as np
import pytest

from zkpfl.crypto.encoding import clip
from zkpfl.errors import InvalidData
from zkpfl.learning.averaging import simulate
from zkpfl.learning.bundle import Bundle
from zkpfl.learning.evaluation import evaluate
from zkpfl.learning.training import local_seed, train_locally
from zkpfl.learning.weights import flatten, server_step


def test_one_round_is_the_unweighted_mean_of_clipped_updates(bundle, records):
    clip_norm = 0.02
    bundle = Bundle(bundle.graph, bundle.weights, replace(bundle.recipe, clip_norm=clip_norm), records)
    parts = [records.take(np.arange(10)), records.take(np.arange(10, 67))]
    model = bundle.model()
    start = flatten(model)
    updates = [
        train_locally(model, start, part, bundle.recipe, seed=local_seed(4, 1, index))
        for index, part in enumerate(parts)
    ]
    norms = [np.linalg.norm(update) for update in updates]
    assert max(norms) > clip_norm
    mean = (clip(updates[0], clip_norm) + clip(updates[1], clip_norm)) / np.float32(2)
    expected = evaluate(model, server_step(start, mean, 1.0), records, bundle.recipe)
    (only,) = simulate(bundle, parts, rounds=1, seed=4)
    assert only.score == expected
    assert only.largest_norm == pytest.approx(max(norms))


def test_target_ends_the_run(bundle, records):
    assert len(simulate(bundle, [records], rounds=4, seed=0, target=0.0)) == 1
    assert len(simulate(bundle, [records], rounds=4, seed=0)) == 4


def test_a_test_set_is_needed(bundle, records):
    with pytest.raises(InvalidData):
        simulate(Bundle(bundle.graph, bundle.weights, bundle.recipe), [records], rounds=1, seed=0)
