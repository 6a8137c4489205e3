"""Sealing: what was sealed opens, nothing else does."""

import hashlib
import hmac
import os

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite
from hypothesis import given, settings
from hypothesis import strategies as st

from zkpfl.crypto import sealing
from zkpfl.crypto.sealing import (
    EncryptionKey,
    derive_key,
    generate_encryption_key,
    member_key,
    open_from,
    open_sealed,
    require_public_key,
    seal,
    seal_to,
)
from zkpfl.errors import CorruptContent, InvalidEncoding, InvalidParameter

KEY = bytes(range(32))
CHUNK = sealing.CHUNK_BYTES
SEALED_CHUNK = CHUNK + 16
HEADER = 64
SIZES = [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK, 3 * CHUNK + 5]
PRIVATE = EncryptionKey.from_bytes(bytes(range(32)))
LONG = os.urandom(2 * CHUNK + 100)
LONG_BLOB = seal(KEY, LONG, context=b"long")


def hkdf(secret: bytes, salt: bytes, info: bytes, size: int) -> bytes:
    """RFC 5869, spelled out."""
    extracted = hmac.digest(salt, secret, hashlib.sha256)
    expanded, block = b"", b""
    while len(expanded) < size:
        block = hmac.digest(extracted, block + info + bytes((len(expanded) // 32 + 1,)), hashlib.sha256)
        expanded += block
    return expanded[:size]


def twin_seal(key: bytes, plaintext: bytes, context: bytes, salt: bytes) -> bytes:
    """The format, spelled out a second time."""
    derived = hkdf(key, salt, b"zkpfl/v1/seal" + context, 64)
    pieces = [plaintext[i : i + CHUNK] for i in range(0, len(plaintext), CHUNK)] or [b""]
    blob = salt + derived[32:]
    for i, piece in enumerate(pieces):
        nonce = i.to_bytes(11, "big") + (b"\1" if i == len(pieces) - 1 else b"\0")
        blob += AESGCM(derived[:32]).encrypt(nonce, piece, None)
    return blob


def refused(blob: bytes, *, key: bytes = KEY, context: bytes = b"") -> None:
    with pytest.raises(CorruptContent):
        open_sealed(key, blob, context=context)


@pytest.mark.parametrize("size", SIZES)
def test_sealed_opens(size: int) -> None:
    plaintext = os.urandom(size)
    blob = seal(KEY, plaintext, context=b"ctx")
    assert open_sealed(KEY, blob, context=b"ctx") == plaintext
    assert len(blob) == HEADER + size + 16 * max(1, -(-size // CHUNK))


@pytest.mark.parametrize("size", SIZES)
def test_format_equals_twin(size: int) -> None:
    plaintext, salt = os.urandom(size), os.urandom(32)
    blob = twin_seal(KEY, plaintext, b"ctx", salt)
    assert open_sealed(KEY, blob, context=b"ctx") == plaintext
    sealed = seal(KEY, plaintext, context=b"ctx")
    assert sealed == twin_seal(KEY, plaintext, b"ctx", sealed[:32])


def test_two_seals_share_nothing() -> None:
    first, second = (seal(KEY, bytes(100), context=b"") for _ in range(2))
    assert not [i for i in range(0, len(first) - 8) if first[i : i + 8] == second[i : i + 8]]


def test_every_flipped_bit_is_refused() -> None:
    blob = seal(KEY, b"secret", context=b"")
    for position in range(len(blob)):
        for bit in range(8):
            changed = bytearray(blob)
            changed[position] ^= 1 << bit
            refused(bytes(changed))


def test_every_truncation_and_extension_is_refused() -> None:
    blob = seal(KEY, b"secret", context=b"")
    for size in range(len(blob)):
        refused(blob[:size])
    for size in (1, 15, 16, 17, SEALED_CHUNK):
        refused(blob + bytes(size))
    refused(blob + blob[HEADER:])


@settings(max_examples=200)
@given(st.integers(0, len(LONG_BLOB) - 1), st.integers(1, 255))
def test_changes_anywhere_in_many_chunks_are_refused(position: int, difference: int) -> None:
    changed = bytearray(LONG_BLOB)
    changed[position] ^= difference
    refused(bytes(changed), context=b"long")


@settings(max_examples=100)
@given(st.integers(0, len(LONG_BLOB) - 1))
def test_cuts_anywhere_in_many_chunks_are_refused(size: int) -> None:
    refused(LONG_BLOB[:size], context=b"long")


def test_chunks_cannot_be_dropped_repeated_or_moved() -> None:
    plaintext = os.urandom(3 * CHUNK)
    blob = seal(KEY, plaintext, context=b"")
    header = blob[:HEADER]
    first, second, third = (
        blob[HEADER + i * SEALED_CHUNK : HEADER + (i + 1) * SEALED_CHUNK] for i in range(3)
    )
    assert header + first + second + third == blob
    for chunks in (
        [first, second],
        [first],
        [third],
        [second, third],
        [first, third],
        [second, first, third],
        [first, third, second],
        [first, second, second, third],
        [first, second, third, third],
    ):
        refused(header + b"".join(chunks))


def test_chunks_of_another_blob_are_refused() -> None:
    mine, other = (seal(KEY, bytes(2 * CHUNK), context=b"") for _ in range(2))
    refused(mine[: HEADER + SEALED_CHUNK] + other[HEADER + SEALED_CHUNK :])
    refused(mine[:HEADER] + other[HEADER:])


@given(st.binary(max_size=40), st.binary(max_size=40))
def test_context_and_key_are_bound(context: bytes, other: bytes) -> None:
    blob = seal(KEY, b"secret", context=context)
    assert open_sealed(KEY, blob, context=context) == b"secret"
    if other != context:
        refused(blob, context=other)
    refused(blob, key=bytes(32), context=context)


def test_a_chunk_that_decrypts_is_refused_without_its_key_commitment() -> None:
    """What plain AES-GCM would accept: every tag is right, only the commitment is that of another key."""
    honest = twin_seal(KEY, b"secret", b"", bytes(32))
    other = twin_seal(bytes(32), b"secret", b"", bytes(32))
    assert open_sealed(KEY, honest, context=b"") == b"secret"
    refused(honest[:32] + other[32:64] + honest[64:])


@given(st.binary(max_size=200))
def test_arbitrary_blobs_are_refused(blob: bytes) -> None:
    refused(blob)
    with pytest.raises(CorruptContent):
        open_from(PRIVATE, blob, context=b"")


@pytest.mark.parametrize("key", [b"", bytes(16), bytes(31), bytes(33), "k" * 32])
def test_keys_are_32_bytes(key: bytes) -> None:
    for attempt in (
        lambda: seal(key, b"", context=b""),
        lambda: open_sealed(key, LONG_BLOB, context=b""),
        lambda: EncryptionKey.from_bytes(key),
    ):
        with pytest.raises(InvalidParameter):
            attempt()


@pytest.mark.parametrize("size", SIZES)
def test_sealed_to_a_recipient_opens(size: int) -> None:
    private, plaintext = generate_encryption_key(), os.urandom(size)
    blob = seal_to(private.public, plaintext, context=b"ctx")
    assert open_from(private, blob, context=b"ctx") == plaintext
    assert len(blob) == 80 + HEADER + size + 16 * max(1, -(-size // CHUNK))


def test_sealed_to_format_equals_twin() -> None:
    blob = seal_to(PRIVATE.public, b"secret", context=b"ctx")
    private = X25519PrivateKey.from_private_bytes(PRIVATE.to_bytes())
    suite = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)
    content_key = suite.decrypt(blob[:80], private, info=b"zkpfl/v1/seal-to" + b"ctx")
    assert blob[80:] == twin_seal(content_key, b"secret", b"ctx", blob[80:112])
    wrapped = suite.encrypt(content_key, private.public_key(), info=b"zkpfl/v1/seal-to" + b"other")
    with pytest.raises(CorruptContent):
        open_from(PRIVATE, wrapped + blob[80:], context=b"ctx")


def test_a_wrapped_key_must_have_32_bytes() -> None:
    suite = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)
    public = X25519PrivateKey.from_private_bytes(PRIVATE.to_bytes()).public_key()
    for size in (0, 31, 33):
        wrapped = suite.encrypt(KEY.ljust(33, b"k")[:size], public, info=b"zkpfl/v1/seal-to")
        with pytest.raises(CorruptContent):
            open_from(PRIVATE, wrapped + seal(KEY, b"secret", context=b""), context=b"")


def test_another_recipient_or_context_is_refused() -> None:
    blob = seal_to(PRIVATE.public, b"secret", context=b"ctx")
    for private, context in ((generate_encryption_key(), b"ctx"), (PRIVATE, b"ctx2"), (PRIVATE, b"")):
        with pytest.raises(CorruptContent):
            open_from(private, blob, context=context)


def test_every_change_cut_and_extension_of_a_sealed_message_is_refused() -> None:
    blob = seal_to(PRIVATE.public, b"secret", context=b"")
    changed = [blob[:i] + bytes((blob[i] ^ 1,)) + blob[i + 1 :] for i in range(len(blob))]
    for bad in [*changed, *(blob[:i] for i in range(len(blob))), blob + b"\0"]:
        with pytest.raises(CorruptContent):
            open_from(PRIVATE, bad, context=b"")


def test_wrapped_keys_cannot_be_exchanged() -> None:
    first, second = (seal_to(PRIVATE.public, b"secret", context=b"") for _ in range(2))
    with pytest.raises(CorruptContent):
        open_from(PRIVATE, first[:80] + second[80:], context=b"")


P = 2**255 - 19
LOW_ORDER = [
    0,
    1,
    P - 1,
    325606250916557431795983626356110631294008115727848805560023387167927233504,
    39382357235489614581723060781553021112529911719440698176882885853963445705823,
]


@pytest.mark.parametrize("u", LOW_ORDER)
def test_public_keys_of_low_order_are_refused(u: int) -> None:
    public = u.to_bytes(32, "little")
    with pytest.raises(InvalidEncoding, match="low order"):
        require_public_key(public)
    with pytest.raises(InvalidEncoding, match="low order"):
        seal_to(public, b"secret", context=b"")


@pytest.mark.parametrize("u", [P, P + 1, P + 9, 2**255 - 1, 2**255 + 9, 2**256 - 1])
def test_second_spellings_of_public_keys_are_refused(u: int) -> None:
    with pytest.raises(InvalidEncoding, match="below"):
        require_public_key(u.to_bytes(32, "little"))


@pytest.mark.parametrize("size", [0, 31, 33])
def test_public_keys_are_32_bytes(size: int) -> None:
    with pytest.raises(InvalidEncoding):
        seal_to(b"\x09" * size, b"", context=b"")


def test_public_key_of_rfc_7748() -> None:
    private = bytes.fromhex("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a")
    public = "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a"
    assert EncryptionKey.from_bytes(private).public.hex() == public


def test_keys_round_trip_and_print_nothing() -> None:
    key = generate_encryption_key()
    again = EncryptionKey.from_bytes(key.to_bytes())
    assert (again.to_bytes(), again.public) == (key.to_bytes(), key.public)
    for text in (repr(key), str(key), f"{key}"):
        assert text == "EncryptionKey(…)"


def test_derived_key_is_hkdf() -> None:
    expected = hkdf(KEY, bytes(32), b"zkpfl/v1/derive\x04testctx", 32)
    assert derive_key(KEY, purpose="test", context=b"ctx") == expected


def test_derived_keys_differ_by_secret_purpose_and_context() -> None:
    keys = [
        derive_key(KEY, purpose="a"),
        derive_key(KEY, purpose="ab"),
        derive_key(KEY, purpose="a", context=b"b"),
        derive_key(KEY + b"\0", purpose="a"),
    ]
    assert len(set(keys)) == len(keys)


@pytest.mark.parametrize(
    ("secret", "purpose", "field"),
    [(bytes(31), "a", "secret"), (KEY, "", "purpose"), (KEY, "a" * 256, "purpose"), (KEY, "é", "purpose")],
)
def test_derivation_checks_its_input(secret: bytes, purpose: str, field: str) -> None:
    with pytest.raises(InvalidParameter, match=field):
        derive_key(secret, purpose=purpose)


def test_members_share_a_key_that_depends_on_the_job_key() -> None:
    blob = seal_to(member_key(KEY).public, b"aggregate", context=b"")
    assert open_from(member_key(KEY), blob, context=b"") == b"aggregate"
    assert member_key(bytes(32)).public != member_key(KEY).public
    assert member_key(KEY).to_bytes() != KEY
