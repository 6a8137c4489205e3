"""The privacy of a trainer's records: budget, noise and the lattice that it lies on (docs/spec.md §8.1)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from zkpfl.errors import InvalidParameter
from zkpfl.privacy.accounting import MAX_NOISE, MIN_NOISE, dp_sgd_epsilon, dp_sgd_noise
from zkpfl.privacy.terms import MAX_ROUNDS, PrivacyTerms, check_rounds

MAX_EPSILON = 100.0
_SIGMA_FROM, _SIGMA_TO = 1 << 13, 1 << 16
_UNITS_PER_COORDINATE = 32
_SLACK = 1 - 2.0**-20
"""Keeps what floating point adds to a norm below the integer bound."""

_SMOOTHING = 3.0
"""η of docs/notes/discrete-gaussian.md: so much narrower is the real noise that ours is a processing of."""


@dataclass(frozen=True)
class GradientLattice:
    """Integers on which gradients are summed and noise is drawn.

    Parameters
    ----------
    sensitivity
        Δ, integer L2 norm that no record's contribution exceeds, rounding included.
    sigma
        σ of the discrete Gaussian noise, in units of the lattice.
    scale
        s, units for each unit of a clipped gradient.
    """

    sensitivity: int
    sigma: float
    scale: float


@dataclass(frozen=True)
class RecordPrivacy(PrivacyTerms):
    """DP-SGD of a job: what a record's part in it may reveal, and the noise that keeps it so.

    Parameters
    ----------
    epsilon, delta
        Budget of a trainer's record for the whole job: ε in (0, 100], δ in (0, 0.1].
    max_grad_norm
        C_g, L2 norm to which the gradient of one record is clipped, in (0, 1e6].
    noise_multiplier
        z, noise over sensitivity, in [0.3, 100].
    batch
        β, records expected in one step, 1 to 65536.
    local_steps
        T, steps of one round, 1 to 1000.
    least_records
        A trainer with so many records can take part in all rounds of the job; at least ``batch``.

    Raises
    ------
    InvalidParameter
        A field has the wrong type or is out of range.
    """

    epsilon: float
    delta: float
    max_grad_norm: float
    noise_multiplier: float
    batch: int
    local_steps: int
    least_records: int

    def __post_init__(self) -> None:
        self._check_number("epsilon", 0, MAX_EPSILON)
        self._check_number("delta", 0, 0.1)
        self._check_number("max_grad_norm", 0, 1e6)
        self._check_number("noise_multiplier", 0, MAX_NOISE)
        if self.noise_multiplier < MIN_NOISE:
            raise _invalid("noise_multiplier", f"must be at least {MIN_NOISE}")
        self._check_integer("batch", 1, 1 << 16)
        self._check_integer("local_steps", 1, 1000)
        self._check_integer("least_records", self.batch, 1 << 31)

    @classmethod
    def planned(cls, *, rounds: int, **terms: Any) -> RecordPrivacy:
        """The smallest noise with which so many rounds stay within the budget.

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
        trial = cls(**terms, noise_multiplier=MAX_NOISE)
        check_rounds(rounds, 1)
        rate, steps = trial.sample_rate(trial.least_records), rounds * trial.local_steps
        # What the accountant is told is a little less than the noise, and the difference shrinks with it.
        noise = dp_sgd_noise(trial.epsilon, rate, steps, trial.delta)
        while not (plan := cls(**terms, noise_multiplier=noise)).within(rounds):
            noise = round(noise + 0.001, 3)
        return plan

    def sample_rate(self, records: int) -> float:
        """q = min(1, β/n): probability with which each of n records is in a step."""
        if type(records) is not int or records < 1:
            raise _invalid("records", f"must be a positive integer, got {records!r}")
        return min(1.0, self.batch / records)

    def spent(self, rounds: int, records: int) -> float:
        """ε at δ that so many rounds cost each record of a trainer with ``records`` records."""
        check_rounds(rounds, 0)
        steps = rounds * self.local_steps
        return dp_sgd_epsilon(self._accounted_noise, self.sample_rate(records), steps, self.delta)

    def epsilon_after(self, rounds: int) -> float:
        """ε after so many rounds for a trainer with ``least_records`` records: what a job states."""
        return self.spent(rounds, self.least_records)

    def within(self, rounds: int) -> bool:
        """Whether so many rounds stay within the budget of a trainer with ``least_records`` records."""
        return self.epsilon_after(rounds) <= self.epsilon

    def most_rounds(self, records: int | None = None) -> int:
        """Most rounds, up to 65536, within the budget of a trainer with ``records``, or ``least_records``."""
        records = self.least_records if records is None else records
        low, high = 0, 1
        while high < MAX_ROUNDS and self.spent(high, records) <= self.epsilon:
            low, high = high, min(MAX_ROUNDS, 4 * high)
        if high == MAX_ROUNDS and self.spent(high, records) <= self.epsilon:
            return MAX_ROUNDS
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if self.spent(middle, records) <= self.epsilon else (low, middle)
        return low

    def lattice(self, dimension: int) -> GradientLattice:
        """Lattice for gradients of d coordinates: ``Δ = ⌊max(2^13, min(2^16, 32·z·√d))/z⌋``.

        A gradient of norm at most C_g is scaled so that rounding to nearest keeps its norm within Δ; what
        that costs is a part of √d/(2Δ) of the signal, at most an eighth.

        Raises
        ------
        InvalidParameter
            The model has too many parameters for so much noise: Δ < 4·√d.
        """
        noise, root = self.noise_multiplier, math.sqrt(dimension)
        sigma = max(_SIGMA_FROM, min(_SIGMA_TO, _UNITS_PER_COORDINATE * noise * root))
        sensitivity = math.floor(sigma / noise)
        if sensitivity < 4 * root:
            hint = "lower noise_multiplier: allow a larger epsilon, more records or fewer steps"
            text = f"a model of {dimension} parameters does not fit the lattice under so much noise"
            raise InvalidParameter(text, field="noise_multiplier", hint=hint)
        scale = _SLACK * (sensitivity - root / 2) / self.max_grad_norm
        return GradientLattice(sensitivity, noise * sensitivity, scale)

    @property
    def _accounted_noise(self) -> float:
        """√(z² − η²/Δ²) for the smallest Δ that a lattice with this noise may have."""
        smallest = math.floor(_SIGMA_FROM / self.noise_multiplier)
        return math.sqrt(self.noise_multiplier**2 - (_SMOOTHING / smallest) ** 2)

    def _check_number(self, field: str, low: float, high: float) -> None:
        value = getattr(self, field)
        if type(value) not in (int, float) or not low < value <= high:
            raise _invalid(field, f"must be a number in ({low}, {high}], got {value!r}")
        object.__setattr__(self, field, float(value))


def _invalid(field: str, message: str) -> InvalidParameter:
    return InvalidParameter(message, field=field)
