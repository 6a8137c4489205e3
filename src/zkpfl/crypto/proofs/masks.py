"""The secret randomness of one attempt at a masked proof, in the order of docs/spec.md §7."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, field

from zkpfl.crypto.keystream import stream
from zkpfl.crypto.proofs import folding
from zkpfl.crypto.proofs.committed_update import Witness
from zkpfl.crypto.proofs.shape import CORNERS, SUM_LIMIT, TESTS, Shape
from zkpfl.crypto.scalars import RandomBytes, Scalars, collect_scalars
from zkpfl.crypto.transcript import Transcript

STREAMS = 3
"""Streams of an attempt: of y, of the other columns and the blinding, and of the opening."""

PIECE_BYTES = 9
PIECE_BITS = 65


@dataclass(frozen=True)
class Masks:
    """What hides everything that an attempt sends. Single use.

    Parameters
    ----------
    y
        Integers in ``[−K, 2^64 + K)``, which hide the row sums: 128 in a norm proof, or none.
    columns
        The mask row after y, shape (N − 4 − len(y), 4).
    blinding
        ρ_m, shape (4,).
    cross
        r_1 and r_2, shape (2, 4).
    opening
        Masks of the folding argument.
    """

    y: Sequence[int] = field(repr=False)
    columns: Scalars = field(repr=False)
    blinding: Scalars = field(repr=False)
    cross: Scalars = field(repr=False)
    opening: Scalars = field(repr=False)


def draw(key: bytes, attempt: int, shape: Shape, bound_squared: int = 0) -> Masks:
    """Draw the masks of an attempt from its own three streams under ``key``.

    Parameters
    ----------
    key
        32 bytes, for one statement and witness. Secret.
    attempt
        From 0. Two attempts share nothing.
    shape
        Of the statement.
    bound_squared
        B², which the range of y depends on.
    """
    of_y, of_columns, of_opening = (stream(key, STREAMS * attempt + i) for i in range(STREAMS))
    columns = collect_scalars(of_columns, shape.columns - CORNERS - shape.sums + 1)
    opening = collect_scalars(of_opening, 2 + folding.mask_count(shape.columns))
    y = _integers(of_y, shape.sums, shape.slack(bound_squared))
    return Masks(y, columns[:-1], columns[-1], opening[:2], opening[2:])


def hedged_key(start: Transcript, witness: Witness) -> bytes:
    """Key of the masks, from OS randomness, witness digest and the transcript after the statement."""
    digest = hashlib.sha256(witness.values.tobytes())
    digest.update(witness.blindings.tobytes())
    secret = os.urandom(32) + digest.digest() + start.state
    return hashlib.shake_256(b"zkpfl/v1/masks\0" + secret).digest(32)


def _integers(source: RandomBytes, count: int, slack: int) -> list[int]:
    """Integers in [−K, 2^64 + K), by rejection: pieces of 65 bits, about half of which are kept."""
    result: list[int] = []
    while len(result) < count:
        data = source(PIECE_BYTES * 2 * TESTS)
        pieces = (data[i : i + PIECE_BYTES] for i in range(0, len(data), PIECE_BYTES))
        values = (int.from_bytes(piece, "big") & ((1 << PIECE_BITS) - 1) for piece in pieces)
        result += [value - slack for value in values if value < SUM_LIMIT + 2 * slack]
    return result[:count]
