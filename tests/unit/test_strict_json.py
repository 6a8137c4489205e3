"""JSON from strangers is refused before it can do harm."""

import pytest

from zkpfl import strict_json
from zkpfl.errors import InvalidBundle, InvalidEncoding

REFUSED = [
    (b"[" * 100_000, "deep"),
    (b'{"a":' * 40 + b"1" + b"}" * 40, "deep"),
    (b'{"a": 1, "a": 2}', "twice"),
    (b'{"a": NaN}', "NaN"),
    (b'{"a": Infinity}', "Infinity"),
    (b'{"a": -1e999}', "-1e999 is not a finite"),
    (b"[1]", "object"),
    (b"{", "JSON"),
    (b"\xff\xfe", "JSON"),
    (b'{"a": "' + b"x" * 1000 + b'"}', "at most"),
]


@pytest.mark.parametrize(("data", "reason"), REFUSED, ids=[reason for _, reason in REFUSED])
def test_refused(data: bytes, reason: str) -> None:
    limit = 600 if reason == "at most" else 1 << 20
    with pytest.raises(InvalidEncoding, match=reason):
        strict_json.parse(data, field="message", max_size_bytes=limit)


def test_brackets_in_strings_do_not_nest() -> None:
    value = {"name": '[{"' * 100}
    assert strict_json.parse(strict_json.dump(value), field="message", max_size_bytes=10_000) == value


def test_error_class_is_the_callers() -> None:
    with pytest.raises(InvalidBundle, match="recipe"):
        strict_json.parse(b"", field="recipe", max_size_bytes=10, error=InvalidBundle)
    with pytest.raises(InvalidBundle, match=r"misses \['b'\]"):
        strict_json.require_keys({"a": 1}, {"a", "b"}, field="recipe", error=InvalidBundle)
    with pytest.raises(InvalidEncoding, match=r"unknown keys \['c'\]"):
        strict_json.require_keys({"a": 1, "c": 2}, {"a"}, field="recipe")
