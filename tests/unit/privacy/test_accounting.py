"""Accounting against closed forms, other accountants and its own laws."""

import math

import dp_accounting
import pytest
from dp_accounting import rdp
from scipy.stats import norm

from zkpfl.errors import InvalidParameter
from zkpfl.privacy.accounting import distributed_gaussian_rho, dp_sgd_epsilon, dp_sgd_noise, zcdp_epsilon


def gaussian_delta(epsilon: float, noise: float) -> float:
    """Balle and Wang (arXiv 1805.06530), theorem 8."""
    half = 1 / (2 * noise)
    return float(norm.cdf(half - epsilon * noise) - math.exp(epsilon) * norm.cdf(-half - epsilon * noise))


@pytest.mark.parametrize(("noise", "steps"), [(1.0, 1), (4.0, 10), (2.0, 3)])
def test_without_sampling_it_is_the_gaussian_mechanism(noise: float, steps: int) -> None:
    epsilon = dp_sgd_epsilon(noise, 1.0, steps, 1e-5)
    assert gaussian_delta(epsilon, noise / math.sqrt(steps)) <= 1e-5
    assert gaussian_delta(epsilon - 0.01, noise / math.sqrt(steps)) > 1e-5


@pytest.mark.parametrize(("noise", "rate", "steps"), [(1.0, 0.1, 40), (2.5, 0.5, 100), (0.7, 0.01, 500)])
def test_renyi_accounting_is_looser_but_near(noise: float, rate: float, steps: int) -> None:
    accountant = rdp.RdpAccountant()
    sampled = dp_accounting.PoissonSampledDpEvent(rate, dp_accounting.GaussianDpEvent(noise))
    accountant.compose(dp_accounting.SelfComposedDpEvent(sampled, steps))
    ours, theirs = dp_sgd_epsilon(noise, rate, steps, 1e-5), accountant.get_epsilon(1e-5)
    assert 0.6 * theirs < ours < theirs


def test_more_is_never_cheaper() -> None:
    base = dp_sgd_epsilon(1.0, 0.1, 20, 1e-3)
    assert dp_sgd_epsilon(1.1, 0.1, 20, 1e-3) < base
    assert dp_sgd_epsilon(1.0, 0.2, 20, 1e-3) > base
    assert dp_sgd_epsilon(1.0, 0.1, 21, 1e-3) > base
    assert dp_sgd_epsilon(1.0, 0.1, 20, 1e-4) > base
    assert dp_sgd_epsilon(1.0, 0.1, 0, 1e-3) == 0


@pytest.mark.parametrize("arguments", [(0.3, 1.0, 10**6), (0.3, 0.5, 10**6), (0.29, 0.01, 10**6)])
def test_strangers_cannot_make_the_accountant_fill_the_memory(arguments: tuple[float, float, int]) -> None:
    assert dp_sgd_epsilon(*arguments, 1e-12) == math.inf


@pytest.mark.parametrize("epsilon", [0.5, 3.0])
def test_the_noise_is_the_smallest_that_is_enough(epsilon: float) -> None:
    noise = dp_sgd_noise(epsilon, 0.2, 30, 1e-3)
    assert dp_sgd_epsilon(noise, 0.2, 30, 1e-3) <= epsilon < dp_sgd_epsilon(noise - 0.001, 0.2, 30, 1e-3)
    assert dp_sgd_noise(1000.0, 0.2, 1, 1e-3) == 0.3


def test_no_noise_is_enough_for_everything() -> None:
    with pytest.raises(InvalidParameter, match="needs more noise"):
        dp_sgd_noise(0.001, 1.0, 1000, 1e-5)


def test_distributed_noise_costs_little_more_than_central_noise() -> None:
    central = 100**2 / (2 * 10 * 50**2)
    assert central * (1 - 1e-9) < distributed_gaussian_rho(100, 50, 10, 1 << 20) < central * (1 + 1e-9)
    assert distributed_gaussian_rho(100, 50, 1, 1) == pytest.approx(2.0)
    assert distributed_gaussian_rho(100, 2, 10, 1 << 20) > 100**2 / (2 * 10 * 2**2)
    tau = 10 * math.exp(-2 * math.pi**2 * 4 / 2)
    ratio = 1 / (math.sqrt(2) * 2)
    assert distributed_gaussian_rho(1, 2, 2, 1) == pytest.approx(
        min(ratio**2 + 2 * tau, (ratio + tau) ** 2) / 2
    )


def test_concentrated_privacy_converts_no_worse_than_the_simple_formula() -> None:
    for rho in (0.01, 0.5, 3.0):
        simple = rho + 2 * math.sqrt(rho * math.log(1e5))
        assert 0.5 * simple < zcdp_epsilon(rho, 1e-5) <= simple + 1e-3
        exact = 1 / math.sqrt(2 * rho)  # a Gaussian mechanism is that concentrated, and never costs more
        assert gaussian_delta(zcdp_epsilon(rho, 1e-5), exact) <= 1e-5
    assert zcdp_epsilon(0.0, 1e-5) == 0


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ((0.2, 0.1, 1, 1e-5), "noise_multiplier"),
        ((math.nan, 0.1, 1, 1e-5), "noise_multiplier"),
        ((1.0, 0.0, 1, 1e-5), "sample_rate"),
        ((1.0, 1.1, 1, 1e-5), "sample_rate"),
        ((1.0, 0.1, -1, 1e-5), "steps"),
        ((1.0, 0.1, 1.5, 1e-5), "steps"),
        ((1.0, 0.1, 1, 0.0), "delta"),
        ((1.0, 0.1, 1, 0.2), "delta"),
    ],
)
def test_dp_sgd_has_ranges(arguments: tuple[float, float, int, float], field: str) -> None:
    with pytest.raises(InvalidParameter, match=field):
        dp_sgd_epsilon(*arguments)


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ((0.0, 2.0, 1, 1), "sensitivity"),
        ((1.0, 1.99, 1, 1), "sigma"),
        ((1.0, 2.0, 0, 1), "parties"),
        ((1.0, 2.0, 1, 0), "dimension"),
    ],
)
def test_distributed_noise_has_ranges(arguments: tuple[float, float, int, int], field: str) -> None:
    with pytest.raises(InvalidParameter, match=field):
        distributed_gaussian_rho(*arguments)


def test_the_other_functions_have_ranges() -> None:
    with pytest.raises(InvalidParameter, match="epsilon"):
        dp_sgd_noise(math.inf, 0.1, 1, 1e-5)
    with pytest.raises(InvalidParameter, match="rho"):
        zcdp_epsilon(-1.0, 1e-5)
