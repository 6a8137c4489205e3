"""Exact samples of the discrete Gaussian N_Z(0, σ²), by inversion (docs/spec.md §8.1).

``P(X = k) = exp(−k²/2σ²) / Σ_j exp(−j²/2σ²)`` for every integer k. A sample is a sign and the magnitude k
with ``P(|X| < k) ≤ U < P(|X| ≤ k)``, U a uniform real number of which only as many bits are drawn as decide
k. So the distribution is the stated one, not one near it: no bit of U is ever rounded away.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from zkpfl import _core
from zkpfl.crypto.gaussian_table import FRACTION_BITS, InversionTable, cumulative, inversion_table
from zkpfl.crypto.keystream import KEY_BYTES, stream
from zkpfl.errors import InvalidParameter

MIN_SIGMA = 0.5
MAX_SIGMA = 65536.0
MAX_SAMPLES = 1 << 32
_WORD_BYTES = 8
_CHUNK = 1 << 20


def sample_discrete_gaussian(sigma: float, count: int, seed: bytes) -> NDArray[np.int64]:
    """Draw ``count`` independent samples of N_Z(0, σ²).

    Sample i takes word i, 64 bits big-endian, of ``stream(seed, 0)``: the sign and the first 63 bits of U.
    Where those leave it open (less than once in 2^43 samples), more bits come from ``stream(seed, i + 1)``.

    Parameters
    ----------
    sigma
        σ, 0.5 to 65536; the exact rational number that the float is.
    count
        Samples, 0 to 2^32.
    seed
        32 uniform bytes, secret, used for this call only.

    Returns
    -------
    ndarray
        int64 ``[count]``, secret.

    Raises
    ------
    InvalidParameter
        σ, count or the length of the seed is out of range.

    Notes
    -----
    A million samples take 20 to 40 ms on two threads, without the GIL, after about 40σ µs for the table of a
    new σ. The time depends on the samples.
    """
    _check(sigma, count, seed)
    return _draw(inversion_table(float(sigma)), float(sigma), count, seed)


def _check(sigma: float, count: int, seed: bytes) -> None:
    if not MIN_SIGMA <= sigma <= MAX_SIGMA:
        raise InvalidParameter(f"must be in [{MIN_SIGMA}, {MAX_SIGMA}], got {sigma}", field="sigma")
    if type(count) is not int or not 0 <= count <= MAX_SAMPLES:
        raise InvalidParameter(f"must be an integer from 0 to 2^32, got {count!r}", field="count")
    if len(seed) != KEY_BYTES:
        raise InvalidParameter(f"must be {KEY_BYTES} bytes, got {len(seed)}", field="seed")


def _draw(table: InversionTable, sigma: float, count: int, seed: bytes) -> NDArray[np.int64]:
    out = np.empty(count, dtype=np.int64)
    words = stream(seed, 0)
    for start in range(0, count, _CHUNK):
        length = min(_CHUNK, count - start)
        bits = words(_WORD_BYTES * length)
        values, undecided = _core.invert(bits, table.bounds, table.slack, table.guide)
        for index in undecided:
            word = int.from_bytes(bits[_WORD_BYTES * index : _WORD_BYTES * (index + 1)], "big")
            values[index] = _decide(sigma, word, stream(seed, start + index + 1))
        out[start : start + length] = values
    return out


def _decide(sigma: float, word: int, more: Callable[[int], bytes]) -> int:
    """Draw bits of U, and compute as many of the distribution, until they decide."""
    negative, fraction = divmod(word, 1 << FRACTION_BITS)
    bits = FRACTION_BITS
    while True:
        fraction = fraction << 64 | int.from_bytes(more(8), "big")
        bits += 64
        enclosed = cumulative(sigma, bits)
        k = bisect_right(enclosed.upper, fraction)
        if k < len(enclosed.lower) and fraction < enclosed.lower[k]:
            return -k if negative else k
