"""Amounts and accuracies as people write them: exact decimals, never floating point."""

from __future__ import annotations

import re

from zkpfl.errors import InvalidParameter

MPC_PLACES = 18
PPM_PLACES = 6

_DECIMAL = re.compile(r"([0-9]{1,20})(?:\.([0-9]{1,18}))?")


def parse_mpc(text: str, *, field: str) -> int:
    """Return the base units (10**-18 MPC) of a decimal such as ``500`` or ``0.25``.

    Raises
    ------
    InvalidParameter
        Not a plain non-negative decimal with at most 18 places.
    """
    return _parse(text, MPC_PLACES, field, "an amount of MPC", "500 or 0.25")


def format_mpc(amount: int) -> str:
    """Write base units as the shortest exact decimal: the inverse of `parse_mpc`, and a sign if negative."""
    sign = "-" if amount < 0 else ""
    whole, fraction = divmod(abs(amount), 10**MPC_PLACES)
    places = f"{fraction:0{MPC_PLACES}d}".rstrip("0")
    return f"{sign}{whole}.{places}" if places else f"{sign}{whole}"


def parse_ppm(text: str, *, field: str) -> int:
    """Return the parts per million of an accuracy from 0 to 1, such as ``0.8``.

    Raises
    ------
    InvalidParameter
        Not a plain decimal from 0 to 1 with at most six places.
    """
    parts = _parse(text, PPM_PLACES, field, "an accuracy from 0 to 1", "0.8")
    if parts > 10**PPM_PLACES:
        raise InvalidParameter(f"{text} is above 1", field=field, hint="an accuracy is from 0 to 1")
    return parts


def _parse(text: str, places: int, field: str, expected: str, example: str) -> int:
    match = _DECIMAL.fullmatch(text)
    if match is None or len(match[2] or "") > places:
        hint = f"write a decimal with at most {places} places, such as {example}"
        raise InvalidParameter(f"{text!r} is not {expected}", field=field, hint=hint)
    whole, fraction = match.groups(default="")
    return int(whole) * int(10**places) + int(fraction.ljust(places, "0"))
