"""The sampler against its exact distribution, two oracles, and itself with a table that knows less."""

import math
import random
from fractions import Fraction

import numpy as np
import pytest
from opendp.domains import atom_domain, vector_domain
from opendp.measurements import make_gaussian
from opendp.metrics import l2_distance
from opendp.mod import enable_features
from scipy.stats import chi2, ks_2samp
from tests.reference import discrete_gaussian as reference

from zkpfl.crypto.discrete_gaussian import _decide, _draw, sample_discrete_gaussian
from zkpfl.crypto.gaussian_table import InversionTable, cumulative, exp_bounds, inversion_table
from zkpfl.crypto.keystream import stream
from zkpfl.errors import InvalidParameter

SEED = bytes(range(32))


def p_value(samples: np.ndarray, sigma: float) -> float:
    """Of a chi-square test on cells of at least 50 expected samples; both signs are told apart."""
    weights = np.exp(-np.square(np.arange(-int(12 * sigma) - 9, int(12 * sigma) + 10) / sigma) / 2)
    if sigma <= 20:  # the reference's own exact figures
        half = np.array(reference.probabilities(sigma))
        weights = np.concatenate([half[:0:-1] / 2, half[:1], half[1:] / 2])
    reach = len(weights) // 2
    counts = np.bincount(samples + reach, minlength=len(weights))
    expected = weights / weights.sum() * len(samples)
    cell = (np.cumsum(expected) / max(50, len(samples) / 400)).astype(int)
    seen, wanted = np.bincount(cell, counts), np.bincount(cell, expected)
    keep = wanted >= 20
    assert keep.sum() >= 3
    statistic = float((np.square(seen - wanted)[keep] / wanted[keep]).sum())
    return float(chi2.sf(statistic, int(keep.sum()) - 1))


@pytest.mark.parametrize("sigma", [0.5, 0.75, 1.0, 2.5, 10.0, 20.0, 137.25, 1000.0, 10000.0])
def test_samples_have_the_exact_distribution(sigma: float) -> None:
    assert p_value(sample_discrete_gaussian(sigma, 400_000, SEED), sigma) > 1e-4


def test_the_test_would_see_another_sigma() -> None:
    assert p_value(sample_discrete_gaussian(10.0, 400_000, SEED), 10.2) < 1e-6


@pytest.mark.parametrize("sigma", [0.5, 3.0, 40.0])
def test_samples_are_those_of_a_rejection_sampler(sigma: float) -> None:
    rng = random.Random(5)  # noqa: S311
    oracle = [reference.sample_by_rejection(Fraction(sigma), rng) for _ in range(4000)]
    ours = sample_discrete_gaussian(sigma, 4000, SEED)
    assert ks_2samp(oracle, ours).pvalue > 1e-3


@pytest.mark.parametrize("sigma", [1.0, 50.0])
def test_samples_are_those_of_opendp(sigma: float) -> None:
    enable_features("contrib")
    space = vector_domain(atom_domain(T="i64")), l2_distance(T="f64")
    oracle = make_gaussian(*space, scale=sigma)([0] * 20_000)
    assert ks_2samp(oracle, sample_discrete_gaussian(sigma, 20_000, SEED)).pvalue > 1e-3


@pytest.mark.parametrize("sigma", [0.5, 0.8, 4.0, 33.3])
def test_a_table_that_knows_less_gives_the_same_samples(sigma: float) -> None:
    table = inversion_table(sigma)
    expected = sample_discrete_gaussian(sigma, 3000, SEED)
    for slack in (1 << 52, 1 << 57):
        low = [max(0, int(bound) - slack) for bound in table.bounds]
        vague = InversionTable.enclosing(low, 2 * slack + 1)
        assert np.array_equal(_draw(vague, sigma, 3000, SEED), expected)
    short = InversionTable.enclosing([int(table.bounds[0])], 1)
    assert np.array_equal(_draw(short, sigma, 3000, SEED), expected)


def test_words_at_an_entry_and_in_the_tail_are_decided() -> None:
    bound = int(inversion_table(4.0).bounds[3])
    assert {_decide(4.0, bound, stream(bytes([i]) * 32, 0)) for i in range(16)} == {3, 4}
    assert {_decide(4.0, bound + (1 << 63), stream(bytes([i]) * 32, 0)) for i in range(16)} == {-3, -4}
    tail = _decide(4.0, (1 << 63) - 1, stream(SEED, 0))
    assert 36 <= tail <= 45


@pytest.mark.parametrize("sigma", [0.5, 1.7, 25.0])
def test_the_bounds_enclose_what_the_reference_computes(sigma: float) -> None:
    for bits in (63, 127):
        enclosed = cumulative(sigma, bits)
        exact = reference.distribution(sigma, 60)
        for low, high, value in zip(enclosed.lower, enclosed.upper, exact, strict=False):
            assert low - 1 <= value * 2**bits <= high + 1
            assert high - low <= 1


def test_exponentials_are_enclosed() -> None:
    for x in (Fraction(1, 10**9), Fraction(1, 3), Fraction(1), Fraction(2)):
        low, high = exp_bounds(x, 160)
        assert low <= math.exp(-x) * 2**160 * (1 + 1e-15)
        assert high >= math.exp(-x) * 2**160 * (1 - 1e-15)
        assert 0 < high - low < 300


def test_chunks_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = sample_discrete_gaussian(3.0, 1000, SEED)
    monkeypatch.setattr("zkpfl.crypto.discrete_gaussian._CHUNK", 96)
    assert np.array_equal(sample_discrete_gaussian(3.0, 1000, SEED), expected)
    assert np.array_equal(sample_discrete_gaussian(3.0, 70, SEED), expected[:70])
    assert sample_discrete_gaussian(3.0, 0, SEED).shape == (0,)


def test_the_largest_sigma() -> None:
    samples = sample_discrete_gaussian(65536.0, 100_000, SEED)
    assert abs(samples.std() / 65536 - 1) < 0.02
    assert abs(samples.mean()) < 1000


@pytest.mark.parametrize("sigma", [0.0, 0.49, -1.0, 65537.0, math.nan, math.inf])
def test_sigma_has_a_range(sigma: float) -> None:
    with pytest.raises(InvalidParameter, match="sigma"):
        sample_discrete_gaussian(sigma, 1, SEED)


def test_count_and_seed_have_ranges() -> None:
    with pytest.raises(InvalidParameter, match="count"):
        sample_discrete_gaussian(1.0, -1, SEED)
    with pytest.raises(InvalidParameter, match="seed"):
        sample_discrete_gaussian(1.0, 1, bytes(31))
