"""Scalars: numbers modulo the order of BLS12-381's groups, in NumPy arrays (docs/spec.md §2).

In memory a scalar is four little-endian uint64 limbs on the last axis, canonical (below the order, not in
Montgomery form); on the wire it is 32 bytes big-endian. Bytes from a peer become scalars only in
:func:`decode_scalars`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from zkpfl import _core
from zkpfl.errors import InvalidEncoding, InvalidParameter

ORDER = 0x73EDA753299D7D483339D80809A1D80553BDA402FFFE5BFEFFFFFFFF00000001
"""r, the prime order of G1 and G2."""

SCALAR_BYTES = 32
"""Bytes of a scalar on the wire."""

Scalars: TypeAlias = NDArray[np.uint64]
"""Array of shape (..., 4), uint64: one scalar for each index of the leading axes."""

RandomBytes: TypeAlias = Callable[[int], bytes]
"""A source of that many secret, uniform bytes."""


def check_scalars(array: Scalars, shape: tuple[int | None, ...], *, field: str) -> Scalars:
    """Check dtype and shape of scalars and make them contiguous.

    Parameters
    ----------
    array
        uint64, shape ``(*shape, 4)``.
    shape
        Lengths of the leading axes, None where any length will do.
    field
        Name of the argument, for the error.

    Returns
    -------
    Scalars
        The array itself, or a contiguous copy.

    Raises
    ------
    InvalidParameter
        If dtype or shape differ.
    """
    wanted = (*shape, 4)
    fits = array.ndim == len(wanted) and all(
        length is None or length == actual for length, actual in zip(wanted, array.shape, strict=True)
    )
    if array.dtype != np.uint64 or not fits:
        text = ", ".join("any" if length is None else str(length) for length in wanted)
        raise InvalidParameter(
            f"must be uint64 of shape ({text}), got {array.dtype} of shape {array.shape}", field=field
        )
    return np.ascontiguousarray(array)


def decode_scalars(data: bytes | memoryview, count: int) -> Scalars:
    """Decode exactly ``count`` scalars of 32 bytes big-endian.

    Parameters
    ----------
    data
        Untrusted bytes, ``32·count`` of them.
    count
        How many scalars to expect.

    Returns
    -------
    Scalars
        Shape (count, 4).

    Raises
    ------
    InvalidEncoding
        If the length is wrong.
    InvalidScalar
        If a scalar is not below the order; the message names its index.
    """
    if len(data) != SCALAR_BYTES * count:
        raise InvalidEncoding(
            f"expected {SCALAR_BYTES * count} bytes for {count} scalars, got {len(data)}", field="scalars"
        )
    return _core.decode_scalars(data)


def encode_scalars(scalars: Scalars) -> bytes:
    """Encode scalars of any leading shape, in row-major order, 32 bytes big-endian each."""
    return _core.encode_scalars(_any_shape(scalars, "scalars"))


def from_int(values: Iterable[int]) -> Scalars:
    """Scalars of Python integers of any sign and size, reduced modulo the order; shape (count, 4)."""
    data = b"".join((value % ORDER).to_bytes(SCALAR_BYTES, "big") for value in values)
    return _core.decode_scalars(data)


def to_int(scalars: Scalars) -> list[int]:
    """Python integers, 0 to r − 1, of scalars in row-major order."""
    data = encode_scalars(scalars)
    return [int.from_bytes(data[i : i + SCALAR_BYTES], "big") for i in range(0, len(data), SCALAR_BYTES)]


def random_scalars(shape: tuple[int, ...], source: RandomBytes = os.urandom) -> Scalars:
    """Draw uniform scalars by rejection: 32 bytes with the top bit cleared, kept if below the order.

    Parameters
    ----------
    shape
        Leading shape.
    source
        Secret randomness; by default the operating system's.

    Returns
    -------
    Scalars
        Shape ``(*shape, 4)``. Secret.
    """
    return collect_scalars(source, int(np.prod(shape, dtype=np.int64))).reshape(*shape, 4)


def collect_scalars(source: RandomBytes, count: int) -> Scalars:
    """Take the first ``count`` scalars that a byte stream yields in pieces of 32 bytes (docs/spec.md §5).

    Parameters
    ----------
    source
        Gives the next bytes of the stream; may be asked for more than is used.
    count
        How many scalars to take.

    Returns
    -------
    Scalars
        Shape (count, 4).
    """
    out = np.empty((count, 4), dtype=np.uint64)
    filled = 0
    while filled < count:
        missing = count - filled
        # One piece in ten is rejected; the surplus makes a second request rare.
        pieces = missing + missing // 8 + 16
        accepted = _core.accept_scalars(source(SCALAR_BYTES * pieces), missing)
        out[filled : filled + len(accepted)] = accepted
        filled += len(accepted)
    return out


def random_short(count: int, source: RandomBytes = os.urandom) -> Scalars:
    """Draw 128-bit scalars other than zero: the secret weights of batched checks; shape (count, 4)."""
    out = np.zeros((count, 4), dtype=np.uint64)
    out[:, :2] = np.frombuffer(source(16 * count), dtype="<u8").reshape(count, 2)
    out[~out.any(axis=1), 0] = 1
    return out


def sum_scalars(rows: Scalars | Sequence[Scalars]) -> Scalars:
    """Compute ``Σ_k rows[k]``, reduced once at the end: as fast as memory can be read.

    Parameters
    ----------
    rows
        Shape (k, ..., 4), or k ≥ 1 arrays of one shape (..., 4).

    Returns
    -------
    Scalars
        Shape (..., 4).

    Raises
    ------
    InvalidParameter
        If there are no rows or their shapes differ.
    """
    return _core.sum_scalars(_same_shape(rows))


def linear_combination(rows: Scalars | Sequence[Scalars], coefficients: Scalars) -> Scalars:
    """Compute ``Σ_k coefficients[k]·rows[k]``.

    Parameters
    ----------
    rows
        Shape (k, ..., 4), or k ≥ 1 arrays of one shape (..., 4).
    coefficients
        Shape (k, 4).

    Returns
    -------
    Scalars
        Shape (..., 4).

    Raises
    ------
    InvalidParameter
        If the shapes do not match.
    """
    arrays = _same_shape(rows)
    factors = check_scalars(coefficients, (len(arrays),), field="coefficients")
    return _core.linear_combination(arrays, factors)


def inner_product(x: Scalars, y: Scalars) -> int:
    """Compute ``Σ_i x[i]·y[i]``; both of shape (n, 4). Constant time."""
    if x.shape != y.shape:
        raise InvalidParameter(f"must have the shape of x, {x.shape}, got {y.shape}", field="y")
    return to_int(_core.inner_product(_any_shape(x, "x"), _any_shape(y, "y")))[0]


def add_into(accumulator: Scalars, scalars: Scalars) -> None:
    """Add elementwise and in place: ``accumulator ← accumulator + scalars`` mod r.

    Raises
    ------
    InvalidParameter
        If the shapes differ, or the accumulator is not contiguous and writable.
    """
    if not (accumulator.flags.c_contiguous and accumulator.flags.writeable):
        raise InvalidParameter("must be contiguous and writable", field="accumulator")
    total = _any_shape(accumulator, "accumulator")
    _core.add_into(total, check_scalars(scalars, total.shape[:-1], field="scalars"))


def _same_shape(rows: Scalars | Sequence[Scalars]) -> list[Scalars]:
    arrays = [_any_shape(row, "rows") for row in rows]
    if not arrays or any(row.shape != arrays[0].shape for row in arrays):
        raise InvalidParameter("must be one or more arrays of one shape", field="rows")
    return arrays


def _any_shape(array: Scalars, field: str) -> Scalars:
    return check_scalars(array, (None,) * (array.ndim - 1), field=field)
