"""The privacy of a trainer's whole part in a job, by noise that the zk-nodes bring (docs/spec.md §8.2)."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

from zkpfl.errors import InvalidParameter
from zkpfl.privacy.accounting import MAX_NOISE, MIN_NOISE, distributed_gaussian_rho, zcdp_epsilon
from zkpfl.privacy.terms import MAX_ROUNDS, PrivacyTerms, check_rounds

MAX_EPSILON = 40.0
MIN_DELTA, MAX_DELTA = 2.0**-40, 0.1
MAX_NODES = 10
MIN_SIGMA, MAX_SIGMA = 8.0, 65536.0
"""σ of one zk-node on the integers: below, sums of its noise are not alike; above, none can be drawn."""

TAIL_BITS = 128
"""The noise of a zk-node exceeds its norm bound with probability at most 2^-TAIL_BITS."""

TAIL_DELTA = 2.0**-50
"""What that adds to δ: at most ``rounds·nodes·e^ε·2^-TAIL_BITS``, for every budget that is allowed here."""

_NOISE_PRECISION = 1000
_MOST_DIMENSION = 1 << 26


@dataclass(frozen=True)
class ClientPrivacy(PrivacyTerms):
    """What a trainer's part in a job may reveal, and the noise of zk-nodes that keeps it so.

    Adjacency is zero-out: a trainer's update, or 0 in its place. That changes a sum by at most the norm
    bound B of the job's layout, the sensitivity.

    Parameters
    ----------
    epsilon, delta
        Budget of a trainer for the whole job: ε in (0, 40], δ in [2^-40, 0.1].
    noise_multiplier
        z, standard deviation over B of the noise that surely is in a sum, in [0.3, 100].
    noise_quorum
        q, of how many zk-nodes a sum has noise at least, 2 to 10.
    colluding
        c, how many of these may tell their noise to whoever looks: t − 1, at least 1 and below q.

    Raises
    ------
    InvalidParameter
        A field has the wrong type or is out of range.
    """

    epsilon: float
    delta: float
    noise_multiplier: float
    noise_quorum: int
    colluding: int

    def __post_init__(self) -> None:
        self._check_number("epsilon", 0.001, MAX_EPSILON)
        self._check_number("delta", MIN_DELTA, MAX_DELTA)
        self._check_number("noise_multiplier", MIN_NOISE, MAX_NOISE)
        self._check_integer("noise_quorum", 2, MAX_NODES)
        self._check_integer("colluding", 1, self.noise_quorum - 1)

    @classmethod
    def planned(cls, *, rounds: int, **terms: Any) -> ClientPrivacy:
        """The smallest noise, in steps of 0.001, with which so many rounds stay within the budget.

        Parameters
        ----------
        rounds
            Training rounds of the job, 1 to 65536.
        terms
            All other fields.

        Raises
        ------
        InvalidParameter
            Out of range, or no noise multiplier up to 100 is enough.
        """
        plan = cls(**terms, noise_multiplier=MAX_NOISE)
        check_rounds(rounds, 1)
        if not plan.within(rounds):
            hint = "allow a larger epsilon or fewer rounds"
            text = f"{plan.epsilon:g} needs more noise than {MAX_NOISE:g} times the norm bound"
            raise InvalidParameter(text, field="epsilon", hint=hint)
        low, high = round(MIN_NOISE * _NOISE_PRECISION), round(MAX_NOISE * _NOISE_PRECISION)
        while low < high:
            middle = (low + high) // 2
            enough = replace(plan, noise_multiplier=middle / _NOISE_PRECISION).within(rounds)
            low, high = (low, middle) if enough else (middle + 1, high)
        return replace(plan, noise_multiplier=low / _NOISE_PRECISION)

    @property
    def honest(self) -> int:
        """p = q − c: of so many zk-nodes the noise is in every sum, and known to nobody else."""
        return self.noise_quorum - self.colluding

    @property
    def rho(self) -> float:
        """ρ of zero-concentrated privacy that one sum costs: ½/z², and a little as the noise is a sum."""
        sensitivity = MIN_SIGMA * math.sqrt(self.honest) / self.noise_multiplier
        return distributed_gaussian_rho(sensitivity, MIN_SIGMA, self.honest, _MOST_DIMENSION)

    def epsilon_after(self, rounds: int) -> float:
        """ε at δ that so many sums cost a trainer which is in all of them."""
        check_rounds(rounds, 0)
        return zcdp_epsilon(rounds * self.rho, self.delta - TAIL_DELTA)

    def within(self, rounds: int) -> bool:
        """Whether so many rounds stay within the budget."""
        return rounds <= MAX_ROUNDS and self.epsilon_after(rounds) <= self.epsilon

    def most_rounds(self) -> int:
        """Most rounds that stay within the budget, up to 65536."""
        low, high = 0, MAX_ROUNDS + 1
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if self.within(middle) else (low, middle)
        return low

    def node_sigma(self, norm_bound: int) -> float:
        """σ_node = z·B/√p: standard deviation of the discrete Gaussian noise of each zk-node, a coordinate.

        Parameters
        ----------
        norm_bound
            B, positive.

        Raises
        ------
        InvalidParameter
            It is not in [8, 65536]: with so large a bound there is no sampler for so much noise.
        """
        sigma = self.noise_multiplier * norm_bound / math.sqrt(self.honest)
        if not MIN_SIGMA <= sigma <= MAX_SIGMA:
            text = (
                f"under the norm bound {norm_bound} the noise of a zk-node has σ = {sigma:g}, which must be"
            )
            hint = "choose fewer value_bits, a larger noise quorum, fewer rounds or a larger epsilon"
            raise InvalidParameter(f"{text} 8 to 65536", field="noise_multiplier", hint=hint)
        return sigma

    def noise_bound(self, dimension: int, norm_bound: int) -> int:
        """B_noise = ⌈σ_node·√(d + 2√(d·τ) + 2τ)⌉, τ = 128·ln 2: exceeded with probability at most 2^-128.

        Parameters
        ----------
        dimension
            d, coordinates of the noise, 1 to 2^26.
        norm_bound
            B, positive.

        Raises
        ------
        InvalidParameter
            As `node_sigma` does, or d is out of range.

        Notes
        -----
        Discrete Gaussian noise is subgaussian with its own σ (Canonne, Kamath and Steinke, arXiv 2004.00010);
        the bound is that of Hsu, Kakade and Zhang (arXiv 1110.2842) for subgaussian vectors.
        """
        if not 1 <= dimension <= _MOST_DIMENSION:
            raise InvalidParameter(f"must be 1 to 2^26, got {dimension}", field="dimension")
        tail = TAIL_BITS * math.log(2)
        squared = dimension + 2 * math.sqrt(dimension * tail) + 2 * tail
        return math.ceil(self.node_sigma(norm_bound) * math.sqrt(squared))

    def _check_number(self, field: str, low: float, high: float) -> None:
        value = getattr(self, field)
        if type(value) not in (int, float) or not low <= value <= high:
            raise InvalidParameter(f"must be a number from {low:g} to {high:g}, got {value!r}", field=field)
        object.__setattr__(self, field, float(value))
