"""What the terms of both levels of privacy have in common: how they are written, read and checked."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any, Self

from zkpfl.errors import InvalidParameter

MAX_ROUNDS = 1 << 16


@dataclass(frozen=True)
class PrivacyTerms:
    """Terms of a recipe or job manifest; the fields are those of the level."""

    @classmethod
    def from_dict(cls, value: object, field: str = "privacy") -> Self:
        """Check what :meth:`to_dict` gave; raises `InvalidParameter` naming the field."""
        names = {item.name for item in fields(cls)}
        if not isinstance(value, dict) or value.keys() != names:
            raise InvalidParameter(f"must be an object with the keys {sorted(names)}", field=field)
        try:
            return cls(**value)
        except InvalidParameter as error:
            raise InvalidParameter(error.message, field=f"{field}.{error.field}") from error

    def to_dict(self) -> dict[str, Any]:
        """All fields by name, as in recipes and job manifests."""
        return asdict(self)

    def _check_integer(self, field: str, low: int, high: int) -> None:
        value = getattr(self, field)
        if type(value) is not int or not low <= value <= high:
            raise InvalidParameter(f"must be an integer from {low} to {high}, got {value!r}", field=field)


def check_rounds(rounds: int, least: int) -> None:
    """Raise `InvalidParameter` unless a number of rounds is from ``least`` to `MAX_ROUNDS`."""
    if type(rounds) is not int or not least <= rounds <= MAX_ROUNDS:
        text = f"must be an integer from {least} to {MAX_ROUNDS}, got {rounds!r}"
        raise InvalidParameter(text, field="rounds")
