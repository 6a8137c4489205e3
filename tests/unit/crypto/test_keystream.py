"""The key stream against AES-256 on its counter blocks."""

from __future__ import annotations

import pytest
from Crypto.Cipher import AES

from zkpfl.crypto.keystream import stream
from zkpfl.errors import InvalidParameter

KEY = bytes(range(32))


@pytest.mark.parametrize("number", [0, 1, 2**64 - 1])
def test_blocks_are_aes_of_number_and_index(number: int) -> None:
    blocks = b"".join(number.to_bytes(8, "big") + index.to_bytes(8, "big") for index in range(20))
    expected = AES.new(KEY, AES.MODE_ECB).encrypt(blocks)
    assert stream(KEY, number)(320) == expected


def test_calls_continue_the_stream() -> None:
    following = stream(KEY, 3)
    assert following(5) + following(0) + following(40) == stream(KEY, 3)(45)


@pytest.mark.parametrize("size", [0, 16, 31, 33])
def test_only_keys_of_32_bytes_are_taken(size: int) -> None:
    with pytest.raises(InvalidParameter, match="32 bytes"):
        stream(bytes(size), 0)
