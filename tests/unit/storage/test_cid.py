"""Content ids: published names, one spelling, strict parsing."""

import base64
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zkpfl.errors import InvalidEncoding, InvalidParameter
from zkpfl.storage.cid import Codec, ContentId

HELLO = "bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e"
cids = st.builds(ContentId, st.sampled_from(Codec), st.binary(min_size=32, max_size=32))


def test_published_name() -> None:
    cid = ContentId.of_block(b"hello world")
    assert str(cid) == HELLO
    assert cid.names(b"hello world")
    assert not cid.names(b"hello World")


@given(cids)
def test_text_and_bytes_round_trip(cid: ContentId) -> None:
    assert ContentId.parse(str(cid)) == cid
    assert ContentId.from_bytes(cid.to_bytes()) == cid


@given(st.binary(max_size=300))
def test_ledger_digest_names_the_block(block: bytes) -> None:
    digest = hashlib.sha256(block).digest()
    cid = ContentId.from_digest(digest)
    assert cid == ContentId.of_block(block)
    assert cid.digest == digest
    assert cid.to_bytes() == b"\x01\x55\x12\x20" + digest


def _as_text(encoded: bytes) -> str:
    return "b" + base64.b32encode(encoded).decode().lower().rstrip("=")


@pytest.mark.parametrize(
    "text",
    [
        "",
        HELLO[:-1],
        HELLO + "a",
        HELLO.upper(),
        "z" + HELLO[1:],
        HELLO[:-1] + "f",  # the last character has two bits to spare
        HELLO[:10] + "1" + HELLO[11:],
        HELLO[:10] + "=" + HELLO[11:],
        HELLO[:10] + "é" + HELLO[11:],
        HELLO[:10] + "İ" + HELLO[11:],
        " " + HELLO[1:],
        "QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWnPbdG",
    ],
)
def test_other_spellings_are_refused(text: str) -> None:
    with pytest.raises(InvalidEncoding):
        ContentId.parse(text)


@pytest.mark.parametrize("header", ["02551220", "00551220", "01711220", "01551320", "0155121f", "01551b20"])
def test_other_versions_codecs_and_hashes_are_refused(header: str) -> None:
    encoded = bytes.fromhex(header) + bytes(32)
    with pytest.raises(InvalidEncoding):
        ContentId.from_bytes(encoded)
    with pytest.raises(InvalidEncoding):
        ContentId.parse(_as_text(encoded))


@pytest.mark.parametrize("size", [0, 35, 37])
def test_wrong_length_is_refused(size: int) -> None:
    with pytest.raises(InvalidEncoding):
        ContentId.from_bytes((b"\x01\x55\x12\x20" + bytes(40))[:size])


@given(st.text(max_size=70))
def test_arbitrary_text_never_raises_anything_else(text: str) -> None:
    with pytest.raises(InvalidEncoding):
        ContentId.parse(text)


@pytest.mark.parametrize("digest", [b"", bytes(31), bytes(33), "a" * 32])
def test_digest_must_be_32_bytes(digest: bytes) -> None:
    with pytest.raises(InvalidParameter, match="digest"):
        ContentId.from_digest(digest)
