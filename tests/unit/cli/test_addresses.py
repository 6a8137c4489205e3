"""Addresses as people write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zkpfl.cli.addresses import format_address, parse_address, parse_addresses, short_address
from zkpfl.errors import InvalidParameter


@given(st.lists(st.binary(min_size=20, max_size=20), min_size=1, max_size=10))
def test_addresses_survive_writing_and_reading(addresses: list[bytes]) -> None:
    text = ",".join(map(format_address, addresses))
    assert parse_addresses(text, field="committee") == tuple(addresses)


@pytest.mark.parametrize("text", ["", "0x", "0x12", "12" * 21, "zz" * 20])
def test_no_addresses(text: str) -> None:
    with pytest.raises(InvalidParameter) as caught:
        parse_address(text, field="committee")
    assert caught.value.field == "committee"


def test_short() -> None:
    assert short_address("0x" + "ab" * 20) == "0xabab…abab"
    assert short_address("cleveland") == "cleveland"
