"""Checks at the door of the ledger: each returns the value, or raises `InvalidParameter` naming the field."""

from __future__ import annotations

from zkpfl.errors import InvalidParameter

ADDRESS_BYTES = 20


def checked_bytes(value: bytes, size: int, field: str) -> bytes:
    """Check bytes of exactly ``size``."""
    if not isinstance(value, bytes) or len(value) != size:
        raise InvalidParameter(f"must be {size} bytes", field=field)
    return value


def checked_address(value: bytes, field: str) -> bytes:
    """Check an address, bytes[20]."""
    return checked_bytes(value, ADDRESS_BYTES, field)


def checked_amount(value: int, field: str) -> int:
    """Check an amount in base units, 0 to 2^96 − 1."""
    if not 0 <= value < 1 << 96:
        raise InvalidParameter(f"must be 0 to 2^96 − 1 base units, got {value}", field=field)
    return value


def checked_job(value: int) -> int:
    """Check the number of a job, 1 to 2^64 − 1."""
    if not 0 < value < 1 << 64:
        raise InvalidParameter(f"must be 1 to 2^64 − 1, got {value}", field="job")
    return value


def checked_round(value: int) -> int:
    """Check the number of a round, 1 to 2^32 − 1."""
    if not 0 < value < 1 << 32:
        raise InvalidParameter(f"must be 1 to 2^32 − 1, got {value}", field="round")
    return value


def checked_bitmap(value: int, bits: int, field: str) -> int:
    """Check a set of at most ``bits`` parties."""
    if not 0 <= value < 1 << bits:
        raise InvalidParameter(f"must be a bitmap of at most {bits} bits", field=field)
    return value
