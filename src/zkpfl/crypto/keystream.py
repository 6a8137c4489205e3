"""The key stream of docs/spec.md §2: AES-256 in counter mode, by OpenSSL in constant time."""

from __future__ import annotations

from collections.abc import Callable

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from zkpfl.errors import InvalidParameter

KEY_BYTES = 32
"""Bytes of a key, and of every seed of the protocol."""


def stream(key: bytes, number: int) -> Callable[[int], bytes]:
    """Open ``stream(key, number)``: counter block ``i`` is ``u64be(number) ‖ u64be(i)``.

    Parameters
    ----------
    key
        32 bytes, secret or public as its use demands.
    number
        Which of the key's streams, 0 to 2^64 − 1.

    Returns
    -------
    Callable
        Gives the next so many bytes of the stream at each call.

    Raises
    ------
    InvalidParameter
        If the key has another length.
    """
    if len(key) != KEY_BYTES:
        raise InvalidParameter(f"must be {KEY_BYTES} bytes, got {len(key)}", field="key")
    counter = number.to_bytes(8, "big") + bytes(8)
    encryptor = Cipher(algorithms.AES256(key), modes.CTR(counter)).encryptor()
    return lambda length: encryptor.update(bytes(length))
