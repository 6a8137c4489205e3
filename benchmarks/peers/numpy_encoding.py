"""The encoding of docs/spec.md §3 in NumPy: the same bytes."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from zkpfl.crypto.keystream import stream
from zkpfl.params import FixedPoint


def clip(update: NDArray[np.float32], clip_norm: float) -> NDArray[np.float32]:
    """Clip to the L2 norm; the norm may differ in its last bit from the sum in order."""
    norm = math.sqrt(float(np.einsum("i,i->", update, update, dtype=np.float64)))
    return (update.astype(np.float64) * min(1.0, clip_norm / norm)).astype(np.float32)


def rotate(v: NDArray[np.float32], seed: bytes) -> NDArray[np.float32]:
    """Signs and Walsh–Hadamard blocks, level by level."""
    out, size = v.copy(), 1 << (len(v).bit_length() - 1)
    for number, start in enumerate([0] if size == len(v) else [0, len(v) - size]):
        bits = np.frombuffer(stream(seed, number)(-(-size // 8)), dtype=np.uint8)
        signs = 1 - 2 * np.unpackbits(bits, bitorder="little")[:size].astype(np.float32)
        out[start : start + size] = _hadamard(out[start : start + size] * signs)
    return out


def quantize(v: NDArray[np.float32], fixed_point: FixedPoint, seed: bytes) -> NDArray[np.int16]:
    """Scale and round stochastically: the first attempt."""
    words = np.frombuffer(stream(seed, 0)(4 * len(v)), dtype=">u4").astype(np.float64)
    y = fixed_point.scale * v.astype(np.float64)
    floor = np.floor(y)
    return (floor + (words < (y - floor) * 2.0**32)).astype(np.int16)


def _hadamard(block: NDArray[np.float32]) -> NDArray[np.float32]:
    distance, size = 1, len(block)
    while distance < size:
        pairs = block.reshape(-1, 2, distance)
        block = np.stack([pairs[:, 0] + pairs[:, 1], pairs[:, 0] - pairs[:, 1]], axis=1).reshape(-1)
        distance *= 2
    return block * np.float32(1 / math.sqrt(size))
