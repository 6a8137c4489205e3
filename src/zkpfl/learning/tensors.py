"""Named arrays as safetensors, written byte for byte alike everywhere and read strictly."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, deserialize

from zkpfl.errors import InvalidBundle

MAX_ELEMENTS = 1 << 26
"""Most elements in one file: the largest model of the protocol."""

MAX_HEADER_BYTES = 1 << 20

NAME = re.compile(r"[A-Za-z0-9_.]{1,200}", re.ASCII)
"""What a tensor may be called: module paths as torch writes them."""

_DTYPES: dict[str, np.dtype[Any]] = {"F32": np.dtype("<f4"), "I64": np.dtype("<i8")}
_CODES = {dtype: code for code, dtype in _DTYPES.items()}


def pack(arrays: Mapping[str, NDArray[np.generic]]) -> bytes:
    """Write arrays as safetensors.

    The bytes are a function of names and values alone, whatever the version of the safetensors library:
    hashes of checkpoints depend on it. Wide types come first, then names in order, so that all is aligned.

    Parameters
    ----------
    arrays
        float32 or int64 arrays by name.

    Returns
    -------
    bytes
        A safetensors file.
    """
    header: dict[str, object] = {}
    parts: list[bytes] = []
    end = 0
    for name in sorted(arrays, key=lambda name: (-arrays[name].dtype.itemsize, name)):
        array = arrays[name]
        data = array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes()
        start, end = end, end + len(data)
        code = _CODES[array.dtype.newbyteorder("<")]
        header[name] = {"dtype": code, "shape": list(array.shape), "data_offsets": [start, end]}
        parts.append(data)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return b"".join([len(text).to_bytes(8, "little"), text, *parts])


def unpack(data: bytes, *, field: str) -> dict[str, NDArray[np.generic]]:
    """Read safetensors that :func:`pack` could have written, in the order of their names.

    Parameters
    ----------
    data
        Untrusted bytes.
    field
        What the bytes are, for the error.

    Returns
    -------
    dict
        Writable float32 (finite) and int64 arrays by name, sorted by name.

    Raises
    ------
    InvalidBundle
        Malformed, too large, another dtype, a bad name, or a value that is not finite.
    """
    _check_size(data, field)
    try:
        entries = deserialize(data)  # type: ignore[no-untyped-call]
    except SafetensorError as error:
        raise InvalidBundle(f"not safetensors: {error}", field=field) from error
    return {name: _array(name, entry, field) for name, entry in sorted(entries)}


def _check_size(data: bytes, field: str) -> None:
    if len(data) > 8 + MAX_HEADER_BYTES + 8 * MAX_ELEMENTS:
        raise InvalidBundle("too large", field=field)
    if int.from_bytes(data[:8], "little") > MAX_HEADER_BYTES:
        raise InvalidBundle(f"header longer than {MAX_HEADER_BYTES} bytes", field=field)


def _array(name: str, entry: Mapping[str, Any], field: str) -> NDArray[np.generic]:
    if not NAME.fullmatch(name):
        raise InvalidBundle(f"the name {name[:80]!a} does not match {NAME.pattern}", field=field)
    where = f"{field}.{name}"
    dtype = _DTYPES.get(str(entry["dtype"]))
    if dtype is None:
        raise InvalidBundle(f"has type {entry['dtype']}", field=where, hint="store float32 or int64")
    shape, data = entry["shape"], entry["data"]
    if math.prod(shape) > MAX_ELEMENTS:
        raise InvalidBundle(f"more than {MAX_ELEMENTS} elements", field=where)
    array: NDArray[np.generic] = np.frombuffer(data, dtype).reshape(shape).copy()
    if dtype.kind == "f" and not np.isfinite(array).all():
        raise InvalidBundle("holds values that are not finite", field=where)
    return array
