"""From a float32 update to small integers and packed scalars, and back from their sum (docs/spec.md §3).

What all members must compute alike (rotating back, scaling, packing) gives the same bytes on every machine:
float32 and float64 operations in a fixed order, without fused multiply-add.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from zkpfl import _core
from zkpfl.crypto.keystream import stream
from zkpfl.crypto.scalars import Scalars, check_scalars
from zkpfl.errors import InvalidEncoding, InvalidInput, InvalidParameter, InvalidUpdate
from zkpfl.params import FixedPoint, Layout, columns_for

FloatVector: TypeAlias = NDArray[np.float32]
"""Array of shape (d,), float32."""

MAX_ATTEMPTS = 64
"""Most roundings of a vector to meet the norm bound; one passes with probability at least 1 − e^-1/2."""

INTEGER_BITS = 48
"""Exact integers lie in ``[-2^47, 2^47)``."""

_CHUNK = 1 << 14


def clip(update: FloatVector, clip_norm: float) -> FloatVector:
    """Scale an update down to L2 norm ``clip_norm``: ``Δ·min(1, C/‖Δ‖)``.

    Parameters
    ----------
    update
        Δ, shape (d,), float32. Secret.
    clip_norm
        C, finite and positive.

    Returns
    -------
    FloatVector
        A new array. Norm and factor are float64, each product is rounded once to float32.

    Raises
    ------
    InvalidUpdate
        If a value is not finite.
    """
    values = _check_shape(update, "update")
    if not (math.isfinite(clip_norm) and clip_norm > 0):
        raise InvalidParameter(f"must be positive and finite, got {clip_norm}", field="clip_norm")
    norm = math.sqrt(_require_finite(values, "update"))
    if norm <= clip_norm:
        return values.copy()
    return _core.scale(values, clip_norm / norm)


def rotate(v: FloatVector, seed: bytes) -> FloatVector:
    """Spread the energy of ``v`` over all coordinates: signs and Walsh–Hadamard blocks (docs/spec.md §3.1).

    Parameters
    ----------
    v
        Shape (d,), float32.
    seed
        32 bytes, public.

    Returns
    -------
    FloatVector
        A new array of the same norm, up to rounding.
    """
    out = _check_floats(v, "v").copy()
    _rotate_in_place(out, seed)
    return out


def unrotate(v: FloatVector, seed: bytes) -> FloatVector:
    """Undo :func:`rotate`, passes and signs in reverse: the same bytes for every member."""
    out = _check_floats(v, "v").copy()
    for number, start, length in reversed(_passes(len(out))):
        _core.rotate_block(out, start, length, _signs(seed, number, length), inverse=True)
    return out


def quantize(
    v: FloatVector, fixed_point: FixedPoint, rounding_seed: bytes, *, saturate: bool = False
) -> NDArray[np.int16]:
    """Scale and round stochastically to integers of norm at most B (docs/spec.md §3.2).

    ``y = s·v``, ``x = floor(y) + [u < frac(y)·2^32]``, again with fresh ``u`` until ``‖x‖² ≤ B²``.

    Parameters
    ----------
    v
        Shape (d,), float32, rotated. Secret.
    fixed_point
        Gives s, B and b.
    rounding_seed
        32 bytes, secret and single use.
    saturate
        Cut values outside ``[-2^(b-1), 2^(b-1))`` instead of refusing them.

    Returns
    -------
    ndarray
        int16, shape (d,). Secret.

    Raises
    ------
    InvalidUpdate
        If a value is outside the range, or no attempt meets the norm bound.
    """
    values = _check_floats(v, "v", fixed_point.dimension)
    for attempt in range(MAX_ATTEMPTS):
        integers, squared_norm, outside = _round(values, fixed_point, stream(rounding_seed, attempt))
        if outside and not saturate:
            raise InvalidUpdate(
                f"{outside} of {len(values)} coordinates leave the value range",
                field="update",
                hint="clip the update to the clip norm, rotate it first, or allow saturation",
            )
        if squared_norm <= fixed_point.norm_bound**2:
            return integers
    raise InvalidUpdate(
        f"exceeds the norm bound after {MAX_ATTEMPTS} roundings", field="update", hint="clip the update first"
    )


def encode_update(
    update: FloatVector, fixed_point: FixedPoint, rotation_seed: bytes, rounding_seed: bytes
) -> NDArray[np.int16]:
    """Clip, rotate and quantize an update.

    Parameters
    ----------
    update
        Shape (d,), float32. Secret.
    fixed_point
        Gives C, s, B and b.
    rotation_seed
        32 bytes, public, the same for all trainers of the round.
    rounding_seed
        32 bytes, secret and single use.

    Returns
    -------
    ndarray
        int16, shape (d,), in ``[-2^(b-1), 2^(b-1))``, of norm at most B. Secret.

    Raises
    ------
    InvalidUpdate
        If the update is not finite, or (with probability below 2^-40) a rotated coordinate leaves the range.
    """
    values = clip(_check_shape(update, "update", fixed_point.dimension), fixed_point.clip_norm)
    _rotate_in_place(values, rotation_seed)
    return quantize(values, fixed_point, rounding_seed)


def decode_mean(
    total: NDArray[np.int64], fixed_point: FixedPoint, rotation_seed: bytes, count: int
) -> FloatVector:
    """Mean update of ``count`` trainers from the exact integer sum: ``(X / s) / count``, rotated back.

    Parameters
    ----------
    total
        X, int64, shape (d,).
    fixed_point
        Gives s.
    rotation_seed
        32 bytes, as for :func:`encode_update`.
    count
        |I|, how many submissions were added.

    Returns
    -------
    FloatVector
        Float64 divisions, rounded once to float32 before the rotation: the same bytes for every member.
    """
    sums = _check_integers(total, "total")
    if len(sums) != fixed_point.dimension or count < 1:
        raise InvalidParameter(
            f"expected {fixed_point.dimension} sums of at least one trainer, got {len(sums)} of {count}",
            field="total",
        )
    return unrotate(_core.mean(sums, fixed_point.scale, count), rotation_seed)


def integer_layout(
    count: int, value_bits: int = 12, *, max_trainers: int = 256, columns: int | None = None
) -> Layout:
    """Layout of ``count`` exact integers as digits to the base ``2^value_bits`` (docs/spec.md §3.3).

    ``d = count·ceil(48/b)`` and ``B = ceil(√d)·2^(b-1)``.
    """
    dimension = count * _digits(value_bits)
    return Layout(
        dimension=dimension,
        norm_bound=(math.isqrt(max(dimension, 1) - 1) + 1) << (value_bits - 1),
        value_bits=value_bits,
        max_trainers=max_trainers,
        columns=columns_for(dimension) if columns is None else columns,
    )


def encode_integers(values: NDArray[np.int64], value_bits: int) -> NDArray[np.int16]:
    """Write integers as balanced digits in ``[-2^(b-1), 2^(b-1))``, least significant first.

    Parameters
    ----------
    values
        int64, shape (n,), in ``[-2^47, 2^47)``. Secret.
    value_bits
        b.

    Returns
    -------
    ndarray
        int16, shape (n·ceil(48/b),).

    Raises
    ------
    InvalidInput
        If a value is out of range or carries out of its last digit.
    """
    rest = _check_integers(values, "values").copy()
    if np.any(rest < -(1 << (INTEGER_BITS - 1))) or np.any(rest >= 1 << (INTEGER_BITS - 1)):
        raise InvalidInput(f"must be integers of {INTEGER_BITS} bits", field="values")
    half, digits = 1 << (value_bits - 1), np.empty((len(rest), _digits(value_bits)), dtype=np.int16)
    for place in range(digits.shape[1]):
        low = ((rest + half) & (2 * half - 1)) - half
        digits[:, place] = low
        rest = (rest - low) >> value_bits
    if np.any(rest):
        raise InvalidInput("too large for balanced digits", field="values", hint="scale the values down")
    return digits.ravel()


def decode_integers(total: NDArray[np.int64], value_bits: int) -> NDArray[np.int64]:
    """Integers whose digits, or sums of digits, are ``total``: ``Σ_k 2^(b·k)·total[n, k]``.

    Parameters
    ----------
    total
        int64, shape (n·ceil(48/b),).
    value_bits
        b.

    Returns
    -------
    ndarray
        int64, shape (n,), exact.

    Raises
    ------
    InvalidEncoding
        If a result does not fit in 64 bits: some submission was not made of digits.
    """
    count = _digits(value_bits)
    sums = _check_integers(total, "total")
    if len(sums) % count:
        raise InvalidParameter(f"must hold {count} digits for each integer", field="total")
    weights = [1 << (value_bits * place) for place in range(count)]
    exact = [
        sum(weight * digit for weight, digit in zip(weights, row, strict=True))
        for row in sums.reshape(-1, count).tolist()
    ]
    if any(not -(1 << 63) <= value < 1 << 63 for value in exact):
        raise InvalidEncoding("a sum of digits exceeds 64 bits", field="total")
    return np.array(exact, dtype=np.int64)


def pack(values: NDArray[np.int16] | NDArray[np.int64], layout: Layout) -> Scalars:
    """Pack lane rows: ``P[p, c] = Σ_l 2^(w·l)·x[pL + l, c]`` mod r.

    Parameters
    ----------
    values
        int16 or int64, shape (d,). Secret.
    layout
        Gives d, N, L and w.

    Returns
    -------
    Scalars
        Shape (P, N, 4), zero padded. Secret.

    Raises
    ------
    InvalidUpdate
        If a value does not fit in a lane, ``[-2^(w-1), 2^(w-1))``.
    """
    if values.dtype not in (np.int16, np.int64) or values.shape != (layout.dimension,):
        wanted, actual = f"int16 or int64 of shape ({layout.dimension},)", f"{values.dtype} of {values.shape}"
        raise InvalidParameter(f"must be {wanted}, got {actual}", field="values")
    contiguous = values if values.flags.c_contiguous else values.copy()
    return _core.pack(contiguous, layout.columns, layout.lanes, layout.lane_width)


def unpack_sum(packed: Scalars, layout: Layout) -> NDArray[np.int64]:
    """Decode a sum of up to ``n_max`` packed vectors of norm at most B each, exactly.

    Parameters
    ----------
    packed
        Shape (P, N, 4).
    layout
        Gives d, L and w.

    Returns
    -------
    ndarray
        int64, shape (d,), each in ``[-2^(w-1), 2^(w-1))``; padding is not looked at.

    Raises
    ------
    InvalidEncoding
        If a scalar does not fit in its lanes.
    """
    rows = check_scalars(packed, (layout.packed_rows, layout.columns), field="packed")
    return _core.unpack_sum(rows, layout.dimension, layout.lanes, layout.lane_width)


def _passes(dimension: int) -> list[tuple[int, int, int]]:
    """Number, start and length of each pass: two overlapping blocks cover any length without padding."""
    size = 1 << (dimension.bit_length() - 1)
    first = (0, 0, size)
    return [first] if size == dimension else [first, (1, dimension - size, size)]


def _round(
    values: FloatVector, fixed_point: FixedPoint, words: Callable[[int], bytes]
) -> tuple[NDArray[np.int16], int, int]:
    """Integers, their squared norm and how many are outside; in chunks, so that words stay in the cache."""
    out, limit = np.empty(len(values), dtype=np.int16), 1 << (fixed_point.value_bits - 1)
    squared_norm = outside = 0
    for start in range(0, len(values), _CHUNK):
        chunk = slice(start, start + _CHUNK)
        part, scale = values[chunk], fixed_point.scale
        added, beyond = _core.round_stochastic(out[chunk], part, scale, words(4 * len(part)), limit)
        squared_norm, outside = squared_norm + added, outside + beyond
    return out, squared_norm, outside


def _rotate_in_place(v: FloatVector, seed: bytes) -> None:
    for number, start, length in _passes(len(v)):
        _core.rotate_block(v, start, length, _signs(seed, number, length), inverse=False)


def _signs(seed: bytes, number: int, length: int) -> bytes:
    return stream(seed, number)(-(-length // 8))


def _digits(value_bits: int) -> int:
    if not 8 <= value_bits <= 16:
        raise InvalidParameter(f"must be 8 to 16, got {value_bits}", field="value_bits")
    return -(-INTEGER_BITS // value_bits)


def _check_floats(v: FloatVector, field: str, dimension: int | None = None) -> FloatVector:
    values = _check_shape(v, field, dimension)
    _require_finite(values, field)
    return values


def _check_shape(v: FloatVector, field: str, dimension: int | None = None) -> FloatVector:
    if v.dtype != np.float32 or v.ndim != 1 or not len(v) or dimension not in (None, len(v)):
        length = "d" if dimension is None else dimension
        raise InvalidParameter(
            f"must be float32 of shape ({length},), got {v.dtype} of shape {v.shape}", field=field
        )
    return np.ascontiguousarray(v)


def _require_finite(values: FloatVector, field: str) -> float:
    """‖v‖², which is finite if every value is: squares of float32 do not overflow float64."""
    squared_norm = _core.squared_norm(values)
    if not math.isfinite(squared_norm):
        raise InvalidUpdate("must be finite", field=field, hint="lower the learning rate")
    return squared_norm


def _check_integers(values: NDArray[np.int64], field: str) -> NDArray[np.int64]:
    if values.dtype != np.int64 or values.ndim != 1:
        raise InvalidParameter(
            f"must be int64 of one axis, got {values.dtype} of shape {values.shape}", field=field
        )
    return np.ascontiguousarray(values)
