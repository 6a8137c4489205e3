"""An attack on DP-SGD: what two steps tell about a planted record stays below what the accountant says.

The attacker plants a canary, the only record with its feature, and looks at the weights of that feature. From
how often it is right over 300 trials with the canary and 300 with a null record in its place follows a lower
bound of ε (Clopper and Pearson's, 99 %). A mechanism that is less private than it says shows here.
"""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from tests.unit.privacy.attack import attack
from torch.nn.functional import cross_entropy

from zkpfl.learning import private_training
from zkpfl.learning.export import export_graph, mlp
from zkpfl.learning.graph import GraphModule
from zkpfl.learning.private_training import take_private_steps
from zkpfl.learning.records import Records
from zkpfl.learning.weights import assign, flatten
from zkpfl.privacy.record_level import RecordPrivacy

STEPS, RECORDS, CANARY = 2, 20, 3
PRIVACY = RecordPrivacy(
    epsilon=4.0, delta=1e-3, max_grad_norm=1.0, noise_multiplier=1.0, batch=10, local_steps=STEPS,
    least_records=RECORDS,
)  # fmt: skip


def scores(trials: range, planted: bool) -> np.ndarray:
    """The attacker's score of each trial: how far the canary's weights moved towards its class."""
    model = GraphModule(*export_graph(mlp(CANARY + 1, (), 2, seed=0), torch.zeros(2, CANARY + 1)))
    generator = np.random.default_rng(0)
    features = generator.normal(size=(RECORDS, CANARY + 1)).astype(np.float32)
    features[:, CANARY] = 0
    features[0] = 0
    features[0, CANARY] = 100 if planted else 0
    records = Records(features, generator.integers(0, 2, RECORDS))
    records.labels[0] = 1
    start = np.zeros_like(flatten(model))
    found = []
    for trial in trials:
        assign(model, start)
        optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
        key = bytes([planted]) + trial.to_bytes(31, "big")
        take_private_steps(model, optimizer, records, PRIVACY, key, torch.device("cpu"), cross_entropy)
        weight = model.tensors()["0.weight"].detach().numpy()
        found.append(float(weight[1, CANARY] - weight[0, CANARY]))
    return np.array(found)


def test_an_attacker_learns_no_more_than_the_accountant_says() -> None:
    stated = PRIVACY.spent(1, RECORDS)
    assert 2 < stated < 4
    assert 0.1 < attack(scores, PRIVACY.delta) < stated


@pytest.fixture
def no_noise(monkeypatch: pytest.MonkeyPatch) -> Callable[..., np.ndarray]:
    def nothing(_sigma: float, count: int, _seed: bytes) -> np.ndarray:
        return np.zeros(count, dtype=np.int64)

    monkeypatch.setattr(private_training, "sample_discrete_gaussian", nothing)
    return nothing


@pytest.mark.usefixtures("no_noise")
def test_without_noise_the_attack_refutes_the_accountant(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(private_training, "_poisson_sample", lambda records, *_: np.arange(records))
    assert attack(scores, PRIVACY.delta) > PRIVACY.spent(1, RECORDS)
