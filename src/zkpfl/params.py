"""Frozen parameters of a job; every cross-field check happens when one is made (docs/spec.md §2)."""

from __future__ import annotations

import math
from dataclasses import dataclass

from zkpfl.errors import InvalidParameter

SCALAR_BITS = 254
"""Bits of a packed scalar that lanes may use: the largest whole number of bits below the order r."""

FAILURE_BITS = 40
"""An honest update leaves the value range with probability at most 2^-FAILURE_BITS."""


PUBLIC_UPDATES = 2
"""Mean updates of earlier rounds whose repetition contributes nothing (docs/spec.md §9.5)."""

FIRST_NOISE = 246
"""Place, in a set of trainers, of the noise that zk-node 1 brings; that of node j is j − 1 further."""


def _require(condition: bool, field: str, message: str, hint: str | None = None) -> None:
    if not condition:
        raise InvalidParameter(message, field=field, hint=hint)


@dataclass(frozen=True)
class Committee:
    """Size and threshold of the zk-node committee.

    Parameters
    ----------
    size
        m, the number of zk-nodes, 2 to 10.
    threshold
        t, how many aggregate shares reconstruct; t - 1 zk-nodes learn nothing. ``t >= 2``, ``m >= 2t - 1``.
    """

    size: int = 3
    threshold: int = 2

    def __post_init__(self) -> None:
        _require(self.threshold >= 2, "threshold", f"must be at least 2, got {self.threshold}")
        _require(
            2 * self.threshold - 1 <= self.size <= 10,
            "size",
            f"must be between 2·threshold − 1 = {2 * self.threshold - 1} and 10, got {self.size}",
        )


@dataclass(frozen=True)
class Layout:
    """How an integer vector is laid out in lane rows and packed rows (docs/spec.md §3).

    Parameters
    ----------
    dimension
        d, the number of coordinates, 1 to 2^26.
    norm_bound
        B, the largest integer L2 norm of one submission.
    value_bits
        b; honest coordinates lie in ``[-2^(b-1), 2^(b-1))``, 8 to 16.
    max_trainers
        n_max, most submissions in one sum, 2 to 256.
    columns
        N, the length of a row: a power of two, 256 to 16384.
    noise_parties
        m, zk-nodes that each add a submission of noise, 0 to 10; with them at most 246 trainers.
    noise_bound
        B_noise, the largest integer L2 norm of the noise of one of them; 0 without.
    """

    dimension: int
    norm_bound: int
    value_bits: int = 12
    max_trainers: int = 256
    columns: int = 256
    noise_parties: int = 0
    noise_bound: int = 0

    def __post_init__(self) -> None:
        _require(1 <= self.dimension <= 1 << 26, "dimension", f"must be 1 to 2^26, got {self.dimension}")
        _require(8 <= self.value_bits <= 16, "value_bits", f"must be 8 to 16, got {self.value_bits}")
        _require(2 <= self.max_trainers <= 256, "max_trainers", f"must be 2 to 256, got {self.max_trainers}")
        _require(
            256 <= self.columns <= 16384 and self.columns & (self.columns - 1) == 0,
            "columns",
            f"must be a power of two from 256 to 16384, got {self.columns}",
        )
        _require(
            1 <= self.norm_bound < 1 << 31, "norm_bound", f"must be 1 to 2^31 − 1, got {self.norm_bound}"
        )
        _require(0 <= self.noise_parties <= 10, "noise_parties", f"must be 0 to 10, got {self.noise_parties}")
        _require(
            0 <= self.noise_bound < 1 << 31 and (self.noise_bound > 0) == (self.noise_parties > 0),
            "noise_bound",
            f"must be 1 to 2^31 − 1 where zk-nodes bring noise, else 0, got {self.noise_bound}",
        )
        _require(
            self.noise_parties == 0 or self.max_trainers <= FIRST_NOISE,
            "max_trainers",
            f"must be at most {FIRST_NOISE} where zk-nodes bring noise, got {self.max_trainers}",
        )

    @property
    def lane_width(self) -> int:
        """w = 1 + ceil(log2(n_max·B + m·B_noise + 1)): even hostile submissions in their bounds decode."""
        most = self.max_trainers * self.norm_bound + self.noise_parties * self.noise_bound
        return 1 + most.bit_length()

    @property
    def lanes(self) -> int:
        """L = floor(254 / w) lanes in one packed scalar."""
        return SCALAR_BITS // self.lane_width

    @property
    def lane_rows(self) -> int:
        """ceil(d / N): the last row is padded with zeros."""
        return -(-self.dimension // self.columns)

    @property
    def packed_rows(self) -> int:
        """ceil(lane_rows / L): the last packed row may have fewer lanes."""
        return -(-self.lane_rows // self.lanes)

    @property
    def shape(self) -> int:
        """What a contract must know to judge a row: ``N ‖ R ‖ L ‖ w``, 32 bits each (docs/spec.md §9.2)."""
        return self.columns << 96 | self.lane_rows << 64 | self.lanes << 32 | self.lane_width


@dataclass(frozen=True)
class FixedPoint:
    """Scale from float32 to integers such that an honest update of norm ``clip_norm`` fits (docs/spec.md §3).

    Parameters
    ----------
    dimension
        d, the length of the update.
    clip_norm
        C, the L2 norm to which an update is clipped; finite and positive.
    value_bits
        b, bits of one coordinate.
    """

    dimension: int
    clip_norm: float
    value_bits: int = 12

    def __post_init__(self) -> None:
        _require(self.dimension >= 1, "dimension", f"must be at least 1, got {self.dimension}")
        _require(8 <= self.value_bits <= 16, "value_bits", f"must be 8 to 16, got {self.value_bits}")
        _require(
            math.isfinite(self.clip_norm) and self.clip_norm > 0,
            "clip_norm",
            f"must be positive and finite, got {self.clip_norm}",
        )

    @property
    def rotation_size(self) -> int:
        """K, the largest power of two that is at most d: the length of a Walsh–Hadamard block."""
        return 1 << (self.dimension.bit_length() - 1)

    @property
    def headroom(self) -> float:
        """h = min(√K, √(2·ln(2d·2^40))): an update exceeds ``h·C/√K`` with probability below 2^-40."""
        bound = math.sqrt(2 * (math.log(2 * self.dimension) + FAILURE_BITS * math.log(2)))
        return min(math.sqrt(self.rotation_size), bound)

    @property
    def scale(self) -> float:
        """s, integer units per unit of the update: ``(2^(b-1) − 2)·√K / (h·C)``."""
        return (
            ((1 << (self.value_bits - 1)) - 2)
            * math.sqrt(self.rotation_size)
            / (self.headroom * self.clip_norm)
        )

    @property
    def norm_bound(self) -> int:
        """B: the scaled norm plus what stochastic rounding may add (Kairouz–Liu–Steinke, β = e^-1/2)."""
        scaled, d = self.scale * self.clip_norm, self.dimension
        worst = scaled + math.sqrt(d)
        likely = math.sqrt(scaled**2 + d / 4 + scaled + math.sqrt(d) / 2)
        return math.ceil(min(worst, likely))


def columns_for(dimension: int) -> int:
    """Row length N for a dimension: near 2·√d, from 256 to 4096, by measurement of whole rounds.

    Longer rows make fewer points to send, decode and check, a larger proof of the sum, and larger tables.
    """
    return min(4096, max(256, 2 << ((dimension - 1).bit_length() // 2)))
