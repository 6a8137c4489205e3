"""The noise of the zk-nodes does to the mean update what one trusted server's would (docs/spec.md §8.2)."""

import numpy as np
from scipy.stats import kstest

from zkpfl.crypto.discrete_gaussian import sample_discrete_gaussian
from zkpfl.crypto.encoding import clip, decode_mean, encode_update
from zkpfl.params import FixedPoint
from zkpfl.privacy.client_level import ClientPrivacy

TRAINERS, NODES = 20, 5
SCALE = FixedPoint(dimension=5000, clip_norm=2.0, value_bits=8)
PRIVACY = ClientPrivacy(4.0, 1e-4, 2.0, noise_quorum=4, colluding=1)
ROTATION = b"r" * 32


def test_the_mean_update_is_the_plain_one_and_gaussian_noise_of_the_stated_size() -> None:
    generator = np.random.default_rng(1)
    updates = [generator.normal(size=SCALE.dimension).astype(np.float32) * size for size in range(TRAINERS)]
    total = np.zeros(SCALE.dimension, dtype=np.int64)
    for index, update in enumerate(updates):
        total += encode_update(update, SCALE, ROTATION, bytes([index]) * 32)
    sigma = PRIVACY.node_sigma(SCALE.norm_bound)
    for node in range(NODES):
        total += sample_discrete_gaussian(sigma, SCALE.dimension, bytes([100 + node]) * 32)
    plain = np.mean([np.float64(clip(update, SCALE.clip_norm)) for update in updates], axis=0)
    noise = decode_mean(total, SCALE, ROTATION, TRAINERS) - plain
    central = np.sqrt(NODES) * sigma / SCALE.scale / TRAINERS
    rounding = np.sqrt(TRAINERS / 4) / SCALE.scale / TRAINERS  # of stochastic rounding, at most
    assert rounding < central / 50
    assert kstest(noise / central, "norm").pvalue > 0.001
    assert kstest(noise / central * 0.9, "norm").pvalue < 0.001  # the test sees a tenth
