"""JSON from strangers: one spelling of each value, no duplicate keys, no NaN, bounded size and depth."""

from __future__ import annotations

import json
from typing import Any, NoReturn

from zkpfl.errors import InvalidBundle


def dump(value: Any) -> bytes:
    """Encode as canonical JSON: sorted keys, no blanks, ASCII; NaN and infinities raise ``ValueError``."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False).encode("ascii")


def parse(data: bytes, *, field: str, max_size_bytes: int) -> dict[str, Any]:
    """Decode a JSON object.

    Parameters
    ----------
    data
        Untrusted bytes, at most ``max_size_bytes``.
    field
        What the bytes are, for the error.
    max_size_bytes
        Longest accepted input.

    Returns
    -------
    dict
        The object; its values are still unchecked.

    Raises
    ------
    InvalidBundle
        Too long, not UTF-8, not JSON, too deep, a key twice, NaN or infinity, or not an object.
    """
    if len(data) > max_size_bytes:
        raise InvalidBundle(f"{len(data)} bytes, at most {max_size_bytes} are accepted", field=field)
    try:
        value = json.loads(data.decode(), object_pairs_hook=_unique, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise InvalidBundle(f"not acceptable JSON: {error}", field=field) from error
    if not isinstance(value, dict):
        raise InvalidBundle("must be a JSON object", field=field)
    return value


def require_keys(value: object, expected: set[str], *, field: str) -> dict[str, Any]:
    """Return ``value`` if it is an object with exactly the keys ``expected``, else raise."""
    if not isinstance(value, dict):
        raise InvalidBundle("must be an object", field=field)
    if missing := expected - value.keys():
        raise InvalidBundle(f"misses {sorted(missing)}", field=field)
    if unknown := value.keys() - expected:
        raise InvalidBundle(f"has unknown keys {sorted(unknown)}", field=field)
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ValueError("an object has a key twice")
    return result


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number")
