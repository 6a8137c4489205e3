"""Messages between a trainer and its training process: a JSON header, then the parts that it measures.

::

    u32be(length of header) ‖ header ‖ part_0 ‖ part_1 ‖ …        header["sizes"] = bytes of each part
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import IO, Any

from zkpfl.errors import InvalidEncoding

MAX_HEADER_BYTES = 64 * 1024
MAX_PART_BYTES = 1 << 34

Frame = tuple[dict[str, Any], list[bytes]]


def write_frame(stream: IO[bytes], header: Mapping[str, Any], parts: Sequence[bytes | memoryview]) -> None:
    """Write one message; raises `BrokenPipeError` if nobody reads."""
    sizes = [len(part) for part in parts]
    encoded = json.dumps({**header, "sizes": sizes}).encode()
    stream.write(len(encoded).to_bytes(4, "big") + encoded)
    for part in parts:
        stream.write(part)
    stream.flush()


def read_frame(stream: IO[bytes]) -> Frame:
    """Read one message.

    Raises
    ------
    EOFError
        The stream ended before it, or within it.
    InvalidEncoding
        It is none.
    """
    size = int.from_bytes(_exactly(stream, 4), "big")
    if size > MAX_HEADER_BYTES:
        raise InvalidEncoding("header too long", field="header")
    try:
        header = json.loads(_exactly(stream, size))
        sizes = header.pop("sizes")
        valid = all(type(size) is int and 0 <= size <= MAX_PART_BYTES for size in sizes)
    except (ValueError, TypeError, AttributeError, KeyError) as error:
        raise InvalidEncoding("not a header", field="header") from error
    if not valid:
        raise InvalidEncoding("not sizes", field="header.sizes")
    return header, [_exactly(stream, size) for size in sizes]


def _exactly(stream: IO[bytes], size: int) -> bytes:
    data = stream.read(size)
    if len(data) != size:
        raise EOFError
    return data
