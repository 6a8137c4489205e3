"""Decimals are exact both ways."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zkpfl.cli.decimals import format_mpc, parse_mpc, parse_ppm
from zkpfl.errors import InvalidParameter


@given(st.integers(0, 10**38 - 1))
def test_amounts_survive_writing_and_reading(amount: int) -> None:
    assert parse_mpc(format_mpc(amount), field="fee") == amount


@given(st.integers(1, 10**30))
def test_a_negative_amount_has_a_sign(amount: int) -> None:
    assert format_mpc(-amount) == f"-{format_mpc(amount)}"


@pytest.mark.parametrize(
    ("text", "amount"),
    [("0", 0), ("500", 500 * 10**18), ("0.25", 25 * 10**16), ("0.000000000000000001", 1), ("1.0", 10**18)],
)
def test_known_amounts(text: str, amount: int) -> None:
    assert parse_mpc(text, field="fee") == amount


@pytest.mark.parametrize(
    "text", ["", "-1", "+1", "1e3", ".5", "1.", "1,5", " 1", "nan", "0x10", "0.0000000000000000001", "٣"]
)
def test_everything_else_is_refused(text: str) -> None:
    with pytest.raises(InvalidParameter) as caught:
        parse_mpc(text, field="fee")
    assert caught.value.field == "fee"


@pytest.mark.parametrize(("text", "ppm"), [("0", 0), ("1", 10**6), ("0.8", 800_000), ("0.999999", 999_999)])
def test_accuracies(text: str, ppm: int) -> None:
    assert parse_ppm(text, field="target") == ppm


@pytest.mark.parametrize("text", ["1.000001", "2", "0.1234567", "80%"])
def test_no_accuracies(text: str) -> None:
    with pytest.raises(InvalidParameter, match="target"):
        parse_ppm(text, field="target")
