"""Account addresses as people write them."""

from __future__ import annotations

from zkpfl.errors import InvalidParameter

ADDRESS_BYTES = 20


def parse_address(text: str, *, field: str) -> bytes:
    """Return the 20 bytes of a hexadecimal address, with or without ``0x``; a checksum is not required.

    Raises
    ------
    InvalidParameter
        Not an address.
    """
    try:
        address = bytes.fromhex(text.strip().removeprefix("0x"))
    except ValueError:
        address = b""
    if len(address) != ADDRESS_BYTES:
        raise InvalidParameter(
            f"{text!r} is not an address", field=field, hint="40 hexadecimal digits after 0x"
        )
    return address


def parse_addresses(text: str, *, field: str) -> tuple[bytes, ...]:
    """Return the addresses of a list with commas."""
    return tuple(parse_address(part, field=field) for part in text.split(","))


def format_address(address: bytes) -> str:
    """Write an address in full, with its EIP-55 checksum."""
    from eth_utils.address import to_checksum_address

    return str(to_checksum_address(address))


def short_address(address: str) -> str:
    """Shorten a written address for a table."""
    return f"{address[:6]}…{address[-4:]}" if len(address) > 12 else address
