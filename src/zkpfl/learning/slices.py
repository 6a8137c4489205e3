"""The owner's test set in slices that are opened one by one (docs/spec.md §9.5, §10).

A slice is sealed under a key that follows from the job key and the slice's own key, which the ledger makes
public in the round in which the slice is opened: outsiders lack the one, members before that round the other.
"""

from __future__ import annotations

import numpy as np

from zkpfl.crypto.sealing import derive_key, open_sealed, seal
from zkpfl.learning.bundle import pack_records, unpack_records
from zkpfl.learning.recipe import Recipe
from zkpfl.learning.records import Records

MIN_RECORDS = 100
"""Slices of fewer say nothing that would be paid for."""

MAX_SLICE_BYTES = 1 << 30
_SHUFFLE_SEED = 0


def slice_count(records: int, rounds: int) -> int:
    """How many slices a test set is good for: at most one a training round, of `MIN_RECORDS` if it can."""
    return min(rounds, max(1, records // MIN_RECORDS)) if records else 0


def split(test_set: Records, count: int) -> list[Records]:
    """Split a test set at random into ``count`` slices of equally many records; a few may be left over.

    The order is the same for every owner: nobody who could make use of it knows the records.
    """
    order = np.random.default_rng(_SHUFFLE_SEED).permutation(len(test_set.labels))
    size = len(order) // count
    parts = [np.sort(order[size * i : size * (i + 1)]) for i in range(count)]
    return [Records(test_set.features[part], test_set.labels[part]) for part in parts]


def seal_slice(records: Records, number: int, slice_key: bytes, job_key: bytes) -> bytes:
    """Seal slice ``number``, from 1; both keys are 32 bytes. Secret."""
    return seal(_content_key(job_key, slice_key), pack_records(records), context=_context(number))


def open_slice(blob: bytes, number: int, slice_key: bytes, job_key: bytes, recipe: Recipe) -> Records:
    """Open a sealed slice.

    Raises
    ------
    CorruptContent
        Sealed under other keys or as another slice, or changed.
    InvalidBundle
        Its records are malformed, or do not fit the recipe.
    """
    data = open_sealed(_content_key(job_key, slice_key), blob, context=_context(number))
    return unpack_records(data, recipe)


def _content_key(job_key: bytes, slice_key: bytes) -> bytes:
    return derive_key(job_key, purpose="test-slice", context=slice_key)


def _context(number: int) -> bytes:
    return b"test-slice" + number.to_bytes(4, "big")
