"""Noise: exact samples of the discrete Gaussian."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from opendp.domains import atom_domain, vector_domain
from opendp.measurements import make_gaussian
from opendp.metrics import l2_distance
from opendp.mod import enable_features
from pytest_benchmark.fixture import BenchmarkFixture

from benchmarks.figures import Figure, Peer, Task, timed
from benchmarks.running import run_figure
from zkpfl.crypto.discrete_gaussian import sample_discrete_gaussian

SEED = bytes(range(32))
OPENDP_SAMPLES = 5000


def sampling(sigma: float, dimension: int) -> Task:
    """A sample a parameter; OpenDP's sampler is exact too, NumPy's table of doubles is not."""
    sample_discrete_gaussian(sigma, 1, SEED)  # the table is made once for a job
    tolerance = 6 * sigma / np.sqrt(2 * OPENDP_SAMPLES)

    def check(samples: Any) -> None:
        assert abs(np.std(samples) - sigma) < tolerance

    numpy = timed(_inverting(sigma, dimension), check)
    opendp = timed(partial(_opendp(sigma), [0] * OPENDP_SAMPLES), check)
    peers = {"OpenDP": Peer(OPENDP_SAMPLES, opendp), "NumPy, rounded table": Peer(dimension, numpy)}
    return Task(dimension, lambda: sample_discrete_gaussian(sigma, dimension, SEED), check, peers)


def _inverting(sigma: float, count: int) -> Callable[[], Any]:
    reach = int(12 * sigma) + 12
    sums = np.cumsum(np.exp(-np.square(np.arange(-reach, reach + 1) / sigma) / 2))
    generator = np.random.default_rng(1)
    return lambda: np.searchsorted(sums / sums[-1], generator.random(count)) - reach


def _opendp(sigma: float) -> Callable[[list[int]], Any]:
    enable_features("contrib")
    space = vector_domain(atom_domain(T="i64")), l2_distance(T="f64")
    return make_gaussian(*space, scale=sigma)


FIGURES = (
    Figure("noise, sigma 100", "sample", partial(sampling, 100.0)),
    Figure("noise, sigma 8192", "sample", partial(sampling, 8192.0)),
    Figure("noise, sigma 8192, two threads", "sample", partial(sampling, 8192.0), threads=2),
    Figure("noise, sigma 65536, two threads", "sample", partial(sampling, 65536.0), threads=2),
)


def test_discrete_gaussian(benchmark: BenchmarkFixture, figure: Figure) -> None:
    run_figure(benchmark, figure)
