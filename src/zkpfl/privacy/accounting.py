"""Epsilon of what zkPFL releases, by dp-accounting (docs/spec.md §8).

The library is imported when a budget is computed, not before: with SciPy it takes a second, and most
processes never need it.
"""

from __future__ import annotations

import math
from functools import lru_cache

from zkpfl.errors import InvalidParameter

DISCRETIZATION = 1e-3
"""Privacy losses are rounded up to multiples of this before they are composed."""

RESOLUTION = 1_000_000
"""Every epsilon is rounded up to a multiple of one over this."""

MIN_NOISE, MAX_NOISE = 0.3, 100.0
MAX_STEPS = 1_000_000
MIN_LATTICE_SIGMA = 2.0
_MOST_DIVERGENCE = 5000.0
_MOST_DIVERGENCE_UNSAMPLED = 400.0  # there ε is above 150
_NOISE_PRECISION = 1000


@lru_cache(maxsize=1024)
def dp_sgd_epsilon(noise_multiplier: float, sample_rate: float, steps: int, delta: float) -> float:
    """ε of DP-SGD under Poisson sampling, at δ, under zero-out of one record.

    ``steps`` compositions of the Poisson-sampled Gaussian mechanism, by its privacy loss distribution,
    rounded up throughout.

    Parameters
    ----------
    noise_multiplier
        z, standard deviation of the noise over the sensitivity, in [0.29, 100].
    sample_rate
        q, probability with which a record is in a step, in (0, 1].
    steps
        0 to 10^6.
    delta
        δ, in (0, 0.1].

    Returns
    -------
    float
        ε, at least 0; infinite where there is so little noise that nobody could want to know: the
        distribution would fill the memory, and strangers choose the arguments.

    Raises
    ------
    InvalidParameter
        Out of range.

    Notes
    -----
    Some 10 to 300 ms, a few seconds at most; the last 1024 answers are remembered.
    """
    _require(MIN_NOISE - 0.01 <= noise_multiplier <= MAX_NOISE, "noise_multiplier", "in [0.3, 100]")
    _require(0 < sample_rate <= 1, "sample_rate", "in (0, 1]")
    _require(type(steps) is int and 0 <= steps <= MAX_STEPS, "steps", "an integer from 0 to 1000000")
    _check_delta(delta)
    if steps == 0:
        return 0.0
    # Rényi divergence of order 2 of all steps; no privacy loss that matters is far above it.
    divergence = steps * math.log1p(sample_rate**2 * math.expm1(noise_multiplier**-2))
    if divergence > (_MOST_DIVERGENCE if sample_rate < 1 else _MOST_DIVERGENCE_UNSAMPLED):
        return math.inf
    import dp_accounting  # noqa: PLC0415
    from dp_accounting import pld  # noqa: PLC0415

    zero_out = dp_accounting.NeighboringRelation.REPLACE_SPECIAL
    accountant = pld.PLDAccountant(zero_out, value_discretization_interval=DISCRETIZATION)
    gaussian = dp_accounting.GaussianDpEvent(noise_multiplier)
    sampled = dp_accounting.PoissonSampledDpEvent(sample_rate, gaussian) if sample_rate < 1 else gaussian
    accountant.compose(dp_accounting.SelfComposedDpEvent(sampled, steps))
    return _round_up(accountant.get_epsilon(delta))


def dp_sgd_noise(epsilon: float, sample_rate: float, steps: int, delta: float) -> float:
    """Smallest multiple of 0.001 of a noise multiplier that stays within ε at δ, by bisection.

    Raises
    ------
    InvalidParameter
        Out of range, or no noise multiplier in [0.3, 100] is enough.
    """
    _require(math.isfinite(epsilon) and epsilon > 0, "epsilon", "positive and finite")
    low, high = round(MIN_NOISE * _NOISE_PRECISION), round(MAX_NOISE * _NOISE_PRECISION)

    def spent(noise: int) -> float:
        return dp_sgd_epsilon(noise / _NOISE_PRECISION, sample_rate, steps, delta)

    if spent(high) > epsilon:
        hint = "allow a larger epsilon, fewer rounds or smaller batches"
        raise InvalidParameter(f"{epsilon} needs more noise than {MAX_NOISE}", field="epsilon", hint=hint)
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if spent(middle) <= epsilon else (middle + 1, high)
    return low / _NOISE_PRECISION


def distributed_gaussian_rho(sensitivity: float, sigma: float, parties: int, dimension: int) -> float:
    """ρ of zero-concentrated privacy of a sum to which n parties each add discrete Gaussian noise.

    Kairouz, Liu and Steinke (arXiv 2102.06387), proposition 14:
    ``τ = 10·Σ_(k=1..n-1) exp(−2π²σ²k/(k+1))``, ``ρ = ½·min{Δ²/(nσ²) + 2τd, (Δ/(√n·σ) + τ√d)²}``.

    Parameters
    ----------
    sensitivity
        Δ, L2 norm by which one contribution changes the integer sum; positive.
    sigma
        σ of each party's noise on the integers, at least 2: below, sums of discrete noise are no longer
        close to discrete noise.
    parties
        n, of whom noise surely comes, 1 to 10^6.
    dimension
        d, 1 to 2^26.

    Raises
    ------
    InvalidParameter
        Out of range.
    """
    _require(math.isfinite(sensitivity) and sensitivity > 0, "sensitivity", "positive and finite")
    _require(math.isfinite(sigma) and sigma >= MIN_LATTICE_SIGMA, "sigma", "at least 2 on the lattice")
    _require(type(parties) is int and 1 <= parties <= 1_000_000, "parties", "an integer from 1 to 1000000")
    _require(type(dimension) is int and 1 <= dimension <= 1 << 26, "dimension", "an integer from 1 to 2^26")
    tau = 10 * math.fsum(math.exp(-2 * (math.pi * sigma) ** 2 * k / (k + 1)) for k in range(1, parties))
    ratio = sensitivity / (math.sqrt(parties) * sigma)
    return min(ratio**2 + 2 * tau * dimension, (ratio + tau * math.sqrt(dimension)) ** 2) / 2


def zcdp_epsilon(rho: float, delta: float) -> float:
    """ε at δ of ρ-zero-concentrated privacy, by the RDP accountant.

    Raises
    ------
    InvalidParameter
        ρ is negative or not finite, or δ is out of range.
    """
    _require(math.isfinite(rho) and rho >= 0, "rho", "at least 0 and finite")
    _check_delta(delta)
    if rho == 0:
        return 0.0
    import dp_accounting  # noqa: PLC0415
    from dp_accounting import rdp  # noqa: PLC0415

    orders = [1 + x / 100 for x in range(1, 1000)] + [float(x) for x in range(11, 2000)]
    accountant = rdp.RdpAccountant(orders, dp_accounting.NeighboringRelation.REPLACE_SPECIAL)
    accountant.compose(dp_accounting.ZCDpEvent(rho))
    return _round_up(accountant.get_epsilon(delta))


def _round_up(epsilon: float) -> float:
    return math.ceil(epsilon * RESOLUTION) / RESOLUTION


def _check_delta(delta: float) -> None:
    _require(0 < delta <= 0.1, "delta", "in (0, 0.1]")


def _require(condition: bool, field: str, range_: str) -> None:
    if not condition:
        raise InvalidParameter(f"must be {range_}", field=field)
