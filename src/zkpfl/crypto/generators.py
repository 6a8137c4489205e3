"""Generators of the commitments: hashed to the curve, so that nobody knows a relation (docs/spec.md §4)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from zkpfl import _core
from zkpfl.crypto.points import G1Array
from zkpfl.errors import InvalidParameter

MAX_COLUMNS = 16384
"""Most columns of a row."""

DOMAIN = b"ZKPFL-V1-GENERATORS"
"""Domain separation tag of RFC 9380, suite ``BLS12381G1_XMD:SHA-256_SSWU_RO_``."""


@dataclass(frozen=True)
class Generators:
    """The points that commitments are made of.

    Parameters
    ----------
    columns
        N, the length of a row.
    G
        N points, ``G_c = H2C("G" ‖ u32be(c))``.
    H
        One point, for blindings.
    U
        One point, for inner products.
    """

    columns: int
    G: G1Array
    H: G1Array
    U: G1Array


@lru_cache(maxsize=8)
def generators(columns: int) -> Generators:
    """Return the generators for rows of ``columns`` scalars.

    Made once a process: about 75 µs a column on one thread, spread over all threads, without the GIL.

    Parameters
    ----------
    columns
        N, 1 to 16384.

    Raises
    ------
    InvalidParameter
        If ``columns`` is out of range.
    """
    if not 1 <= columns <= MAX_COLUMNS:
        raise InvalidParameter(f"must be 1 to {MAX_COLUMNS}, got {columns}", field="columns")
    messages = [b"G" + column.to_bytes(4, "big") for column in range(columns)]
    points = _core.hash_to_g1([*messages, b"H", b"U"], DOMAIN)
    return Generators(
        columns, points[:columns], points[columns : columns + 1], points[columns + 1 : columns + 2]
    )
