"""Inputs of the vectors, derived from names, and the shape of a case."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.reference.group import encode_scalar
from tests.reference.hashing import keccak, stream

Case = tuple[str, dict[str, Any], Any]
"""Name, input, and either the output or what :func:`refused` returns."""


class Refused:
    """The product must raise exactly this class of zkpfl.errors."""

    def __init__(self, error: str) -> None:
        self.error = error


def refused(error: str, attempt: Callable[[], object]) -> Refused:
    """Make sure that the reference refuses too."""
    try:
        attempt()
    except (ValueError, OverflowError):
        return Refused(error)
    raise AssertionError(f"the reference accepted what must raise {error}")


def secret(name: str) -> bytes:
    """32 bytes that stand for a secret."""
    return keccak(b"vector " + name.encode())


def words(name: str, count: int) -> NDArray[np.int64]:
    """Integers from 0 to 2^32 − 1."""
    return np.frombuffer(stream(secret(name), 0, 4 * count), dtype=">u4").astype(np.int64)


def floats(name: str, count: int) -> NDArray[np.float32]:
    """Floats between −1 and 1."""
    return (words(name, count) / 2.0**31 - 1).astype(np.float32)


def scalars(row: Sequence[int]) -> str:
    return b"".join(encode_scalar(value) for value in row).hex()
