"""Rotation, rounding and exact integers (docs/spec.md §3.1 to §3.3)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tests.reference.hashing import keccak, stream

F32 = NDArray[np.float32]


def rotation_seed(context: bytes) -> bytes:
    return keccak(b"ZKPFL-V1-ROTATION" + context)


def _hadamard(v: F32) -> F32:
    v, distance = v.copy(), 1
    while distance < len(v):
        blocks = v.reshape(-1, 2, distance)
        a, b = blocks[:, 0].copy(), blocks[:, 1].copy()
        blocks[:, 0], blocks[:, 1] = a + b, a - b
        distance *= 2
    return v * np.float32(1 / math.sqrt(len(v)))


def _signs(seed: bytes, number: int, length: int) -> F32:
    data = stream(seed, number, -(-length // 8))
    bits = [data[k // 8] >> (k % 8) & 1 for k in range(length)]
    return np.array([-1 if bit else 1 for bit in bits], dtype=np.float32)


def _passes(d: int) -> list[tuple[int, slice]]:
    block = 1 << (d.bit_length() - 1)
    return [(0, slice(0, block))] + ([(1, slice(d - block, d))] if block < d else [])


def rotate(v: F32, seed: bytes) -> F32:
    out = v.copy()
    for number, window in _passes(len(v)):
        out[window] = _hadamard(out[window] * _signs(seed, number, len(out[window])))
    return out


def unrotate(v: F32, seed: bytes) -> F32:
    out = v.copy()
    for number, window in reversed(_passes(len(v))):
        out[window] = _hadamard(out[window]) * _signs(seed, number, len(out[window]))
    return out


def scale(d: int, b: int, clip_norm: float) -> float:
    root = math.sqrt(1 << (d.bit_length() - 1))
    headroom = min(root, math.sqrt(2 * math.log(2 * d * 2.0**40)))
    return (2 ** (b - 1) - 2) * root / (headroom * clip_norm)


def norm_bound(d: int, b: int, clip_norm: float) -> int:
    sc = scale(d, b, clip_norm) * clip_norm
    return math.ceil(min(sc + math.sqrt(d), math.sqrt(sc**2 + d / 4 + sc + math.sqrt(d) / 2)))


def round_vector(v: F32, b: int, clip_norm: float, seed: bytes) -> list[int]:
    s, d = scale(len(v), b, clip_norm), len(v)
    for attempt in range(64):
        words = np.frombuffer(stream(seed, attempt, 4 * d), dtype=">u4")
        x = [_round(s * float(value), int(u)) for value, u in zip(v, words, strict=True)]
        if sum(value * value for value in x) <= norm_bound(d, b, clip_norm) ** 2:
            break
    else:
        raise OverflowError("no attempt stayed inside the norm bound")
    if any(not -(2 ** (b - 1)) <= value < 2 ** (b - 1) for value in x):
        raise OverflowError("outside the value range")
    return x


def _round(y: float, u: int) -> int:
    floor = math.floor(y)
    return floor + (u < (y - floor) * 2**32)


def mean_update(total: Sequence[int], b: int, clip_norm: float, seed: bytes, count: int) -> F32:
    mean = np.array(total, dtype=np.float64) / scale(len(total), b, clip_norm) / count
    return unrotate(mean.astype(np.float32), seed)


def digits(value: int, b: int) -> list[int]:
    """ceil(48/b) balanced digits, least significant first."""
    out = []
    for _ in range(-(-48 // b)):
        digit = (value + 2 ** (b - 1)) % 2**b - 2 ** (b - 1)
        out.append(digit)
        value = (value - digit) >> b
    if value:
        raise OverflowError("carry out of the last digit")
    return out


def from_digits(total: Sequence[int], b: int) -> list[int]:
    count = -(-48 // b)
    return [
        sum(digit << (b * k) for k, digit in enumerate(total[i : i + count]))
        for i in range(0, len(total), count)
    ]
