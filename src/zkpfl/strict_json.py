"""JSON from strangers: one spelling of each value, no duplicate keys, no NaN, bounded size and depth."""

from __future__ import annotations

import json
import math
import re
from typing import Any

from zkpfl.errors import InvalidEncoding, ZkpflError

MAX_NESTING = 32
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"')


def dump(value: Any) -> bytes:
    """Encode as canonical JSON: sorted keys, no blanks, ASCII; NaN and infinities raise ``ValueError``."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False).encode("ascii")


def parse(
    data: bytes, *, field: str, max_size_bytes: int, error: type[ZkpflError] = InvalidEncoding
) -> dict[str, Any]:
    """Decode a JSON object.

    Parameters
    ----------
    data
        Untrusted bytes, at most ``max_size_bytes``.
    field
        What the bytes are, for the error.
    max_size_bytes
        Longest accepted input.
    error
        The class to raise.

    Returns
    -------
    dict
        The object; its values are still unchecked.

    Raises
    ------
    ZkpflError
        Of class ``error``: too long, not UTF-8, not JSON, too deep, a key twice, NaN or infinity, or not an
        object.
    """
    if len(data) > max_size_bytes:
        raise error(f"{len(data)} bytes, at most {max_size_bytes} are accepted", field=field)
    # Libraries raise Python's recursion limit so far that the parser itself would overflow the stack.
    if _nesting(data) > MAX_NESTING:
        raise error(f"nested more than {MAX_NESTING} deep", field=field)
    try:
        value = decode_finite(data.decode(), object_pairs_hook=_unique)
    except (ValueError, RecursionError) as cause:
        raise error(f"not acceptable JSON: {cause}", field=field) from cause
    if not isinstance(value, dict):
        raise error("must be a JSON object", field=field)
    return value


def decode_finite(text: str, **hooks: Any) -> Any:
    """Decode JSON as ``json.loads`` does, but raise ``ValueError`` for numbers that no JSON can hold.

    Besides NaN and Infinity these are numbers beyond float64, such as 1e999, which Python reads as infinity.
    """
    return json.loads(text, parse_constant=_finite, parse_float=_finite, **hooks)


def require_keys(
    value: object, expected: set[str], *, field: str, error: type[ZkpflError] = InvalidEncoding
) -> dict[str, Any]:
    """Return ``value`` if it is an object with exactly the keys ``expected``; else raise ``error``."""
    if not isinstance(value, dict):
        raise error("must be an object", field=field)
    if missing := expected - value.keys():
        raise error(f"misses {sorted(missing)}", field=field)
    if unknown := value.keys() - expected:
        raise error(f"has unknown keys {sorted(unknown)}", field=field)
    return value


def _nesting(data: bytes) -> int:
    depth = deepest = 0
    for byte in _STRING.sub(b"", data):
        depth += (byte in b"[{") - (byte in b"]}")
        deepest = max(deepest, depth)
    return deepest


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ValueError("an object has a key twice")
    return result


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text[:80]} is not a finite number")
    return value
