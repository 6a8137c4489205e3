"""An attack on client-level privacy: what sums tell about one trainer stays below what the accountant says.

The attacker knows all other updates, the noise of the zk-nodes that collude with it, and that the trainer it
looks for always sends the same update, as large as it may be: it projects what is left of the sums on that.
"""

from dataclasses import replace

import numpy as np
import pytest
from tests.unit.privacy.attack import attack

from zkpfl.crypto.discrete_gaussian import sample_discrete_gaussian
from zkpfl.crypto.encoding import encode_update
from zkpfl.crypto.merkle import keccak256
from zkpfl.params import FixedPoint
from zkpfl.privacy.client_level import ClientPrivacy

SCALE = FixedPoint(dimension=650, clip_norm=1.0, value_bits=8)
PRIVACY = ClientPrivacy(8.0, 1e-3, 2.0, noise_quorum=4, colluding=2)
ROUNDS = 2


def scores(
    trials: range, planted: bool, *, privacy: ClientPrivacy = PRIVACY, noisy: bool = True
) -> np.ndarray:
    update = np.random.default_rng(0).normal(size=SCALE.dimension).astype(np.float32)  # clipped to norm 1
    found = []
    for trial in trials:
        score = 0.0
        for number in range(ROUNDS):
            key = f"{planted} {trial} {number}"
            integers = encode_update(update, SCALE, b"r" * 32, keccak256(f"rounding {key}".encode()))
            total = integers.astype(np.int64) * planted
            for node in range(privacy.honest if noisy else 0):
                seed = keccak256(f"noise {key} {node}".encode())
                total += sample_discrete_gaussian(privacy.node_sigma(SCALE.norm_bound), SCALE.dimension, seed)
            score += float(total @ integers) / float(np.linalg.norm(integers))
        found.append(score)
    return np.array(found)


def test_an_attacker_learns_no_more_about_a_trainer_than_the_accountant_says() -> None:
    stated = PRIVACY.epsilon_after(ROUNDS)
    assert 2 < stated < 4
    assert 0.1 < attack(scores, PRIVACY.delta) < stated


def test_without_noise_the_attack_refutes_the_accountant() -> None:
    silent = attack(lambda trials, planted: scores(trials, planted, noisy=False), PRIVACY.delta)
    assert silent > PRIVACY.epsilon_after(ROUNDS)


@pytest.mark.parametrize("noise_multiplier", [0.3, 0.5])
def test_less_noise_than_is_stated_is_noticed(noise_multiplier: float) -> None:
    weaker = replace(PRIVACY, noise_multiplier=noise_multiplier)
    found = attack(lambda trials, planted: scores(trials, planted, privacy=weaker), PRIVACY.delta)
    assert found > PRIVACY.epsilon_after(ROUNDS)
