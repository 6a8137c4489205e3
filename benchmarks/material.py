"""Input of the benchmarks: random, and the same at every run."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from zkpfl.crypto.encoding import encode_update
from zkpfl.crypto.generators import Generators, generators
from zkpfl.crypto.points import G1Array
from zkpfl.crypto.scalars import Scalars, random_scalars
from zkpfl.params import FixedPoint, Layout, columns_for

CLIP_NORM = 1.0


def fixed_point(dimension: int, value_bits: int = 12) -> FixedPoint:
    """The encoding that a job of this size has by default."""
    return FixedPoint(dimension, CLIP_NORM, value_bits)


def layout(dimension: int, value_bits: int = 12, columns: int | None = None) -> Layout:
    """The layout that a job of this size has by default, or with other columns."""
    return Layout(
        dimension,
        fixed_point(dimension, value_bits).norm_bound,
        value_bits=value_bits,
        columns=columns or columns_for(dimension),
    )


def update(dimension: int, seed: int = 0) -> NDArray[np.float32]:
    """Normal numbers, float32 [d]."""
    return np.random.default_rng(seed).standard_normal(dimension, dtype=np.float32)


def integers(dimension: int, value_bits: int, seed: int = 0) -> NDArray[np.int16]:
    """Integers over the whole range of ``value_bits``, int16 [d]: the hardest to commit to."""
    half = 1 << (value_bits - 1)
    return np.random.default_rng(seed).integers(-half, half, dimension, dtype=np.int16)


def encoded(dimension: int, value_bits: int, seed: int = 0) -> NDArray[np.int16]:
    """An update as a trainer encodes it, int16 [d]."""
    return encode_update(update(dimension, seed), fixed_point(dimension, value_bits), bytes(32), bytes(32))


def scalars(*shape: int, seed: int = 0) -> Scalars:
    """Uniform scalars."""
    return random_scalars(shape, np.random.default_rng(seed).bytes)


def points(count: int) -> G1Array:
    """Points nobody knows a relation between, repeated after 4096."""
    made = gens(min(count, 4096)).G
    return G1Array.concatenate([made] * -(-count // len(made)))[:count]


def gens(columns: int) -> Generators:
    """Generators, made once a process."""
    return generators(columns)
