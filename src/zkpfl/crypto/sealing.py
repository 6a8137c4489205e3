"""Encryption at rest and to a recipient; every ciphertext commits to its key (docs/spec.md §10).

::

    seal     salt[32] ‖ commitment[32] ‖ chunk_0 ‖ … ‖ chunk_last
             k ‖ commitment = HKDF-SHA256(key, salt, info = "zkpfl/v1/seal" ‖ context)
             chunk_i        = AES-256-GCM(k, nonce = u88be(i) ‖ u8(i is last), 64 KiB of plaintext)
    seal_to  HPKE(recipient, c, info = "zkpfl/v1/seal-to" ‖ context) ‖ seal(c, plaintext, context),  c fresh

The salt makes ``k`` single use, so a counter is a safe nonce. The counter and the last flag refuse chunks
that are reordered, dropped or added. AES-GCM alone lets one ciphertext open under two keys to two
plaintexts; the commitment, which is a hash of the key, does not.
"""

from __future__ import annotations

import hmac
import os
from io import BytesIO
from typing import Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from zkpfl.errors import CorruptContent, InvalidEncoding, InvalidParameter

KEY_BYTES = 32
CHUNK_BYTES = 64 * 1024

_SALT_BYTES = 32
_COMMITMENT_BYTES = 32
_HEADER_BYTES = _SALT_BYTES + _COMMITMENT_BYTES
_TAG_BYTES = 16
_SEALED_CHUNK_BYTES = CHUNK_BYTES + _TAG_BYTES
_WRAPPED_KEY_BYTES = KEY_BYTES + KEY_BYTES + _TAG_BYTES
_FIELD_PRIME = 2**255 - 19

_SEAL_DOMAIN = b"zkpfl/v1/seal"
_SEAL_TO_DOMAIN = b"zkpfl/v1/seal-to"
_DERIVE_DOMAIN = b"zkpfl/v1/derive"

_HPKE = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)


class EncryptionKey:
    """An X25519 private key. Secret: printing it shows nothing."""

    __slots__ = ("_private",)

    def __init__(self, private: X25519PrivateKey) -> None:
        self._private = private

    @classmethod
    def from_bytes(cls, secret: bytes) -> Self:
        """Load from bytes[32], any value; secret.

        Raises
        ------
        InvalidParameter
            Not 32 bytes.
        """
        return cls(X25519PrivateKey.from_private_bytes(_require_key(secret, "secret")))

    def to_bytes(self) -> bytes:
        """Return the private key, bytes[32]; secret."""
        return self._private.private_bytes_raw()

    @property
    def public(self) -> bytes:
        """The public key, bytes[32]."""
        return self._private.public_key().public_bytes_raw()

    def __repr__(self) -> str:
        return "EncryptionKey(…)"


def generate_encryption_key() -> EncryptionKey:
    """Draw a fresh X25519 key from the operating system's randomness."""
    return EncryptionKey(X25519PrivateKey.generate())


def require_public_key(public: bytes) -> bytes:
    """Check a public key that came from a peer and return it.

    Parameters
    ----------
    public
        bytes[32], little-endian u coordinate. Public.

    Raises
    ------
    InvalidEncoding
        Wrong length, not below 2^255 − 19 (a second spelling), or of low order (anyone could decrypt).
    """
    _parse_public_key(public)
    return public


def seal(key: bytes, plaintext: bytes, *, context: bytes) -> bytes:
    """Encrypt under a key; see the module for the format.

    Parameters
    ----------
    key
        bytes[32]; secret. May seal any number of plaintexts.
    plaintext
        Any length; secret.
    context
        What the plaintext is and where it belongs. Public; opening needs the same bytes.

    Returns
    -------
    bytes
        ``64 + len(plaintext) + 16·max(1, ceil(len / 64 KiB))`` bytes.

    Raises
    ------
    InvalidParameter
        The key is not 32 bytes.
    """
    return _seal_after(b"", key, plaintext, context)


def open_sealed(key: bytes, blob: bytes | memoryview, *, context: bytes) -> bytes:
    """Decrypt what ``seal`` made with the same key and context; all of it or nothing.

    Parameters
    ----------
    key
        bytes[32]; secret.
    blob
        From a peer or storage; not trusted.
    context
        The bytes given to ``seal``.

    Raises
    ------
    CorruptContent
        Another key or context, or a blob that was changed, cut, extended or reordered.
    InvalidParameter
        The key is not 32 bytes.
    """
    view = memoryview(blob)
    if len(view) < _HEADER_BYTES + _TAG_BYTES:
        raise CorruptContent("too short for a sealed blob", field="blob")
    salt = bytes(view[:_SALT_BYTES])
    cipher, commitment = _content_cipher(_require_key(key, "key"), salt, context)
    if not hmac.compare_digest(commitment, view[_SALT_BYTES:_HEADER_BYTES]):
        raise CorruptContent("sealed under another key or context, or changed", field="blob")
    return _open_chunks(cipher, view[_HEADER_BYTES:])


def seal_to(public: bytes, plaintext: bytes, *, context: bytes) -> bytes:
    """Encrypt to the holder of a private key; see the module for the format.

    Parameters
    ----------
    public
        bytes[32], the recipient's public key.
    plaintext
        Any length; secret.
    context
        What the plaintext is and where it belongs. Public; opening needs the same bytes.

    Returns
    -------
    bytes
        80 bytes more than ``seal`` gives.

    Raises
    ------
    InvalidEncoding
        The public key is malformed or of low order.
    """
    content_key = os.urandom(KEY_BYTES)
    wrapped = _HPKE.encrypt(content_key, _parse_public_key(public), info=_SEAL_TO_DOMAIN + context)
    return _seal_after(wrapped, content_key, plaintext, context)


def open_from(private: EncryptionKey, blob: bytes, *, context: bytes) -> bytes:
    """Decrypt what ``seal_to`` made for this key with the same context; all of it or nothing.

    Raises
    ------
    CorruptContent
        For another recipient or context, or a blob that was changed, cut, extended or reordered.
    """
    wrapped, sealed = blob[:_WRAPPED_KEY_BYTES], memoryview(blob)[_WRAPPED_KEY_BYTES:]
    try:
        content_key = _HPKE.decrypt(wrapped, private._private, info=_SEAL_TO_DOMAIN + context)
    except (InvalidTag, ValueError):
        raise CorruptContent("sealed to another key or context, or changed", field="blob") from None
    return open_sealed(content_key, sealed, context=context)


def derive_key(secret: bytes, *, purpose: str, context: bytes = b"") -> bytes:
    """``HKDF-SHA256(secret, info = "zkpfl/v1/derive" ‖ u8(len(purpose)) ‖ purpose ‖ context)``.

    Parameters
    ----------
    secret
        bytes[≥ 32], uniform; secret.
    purpose
        1 to 255 ASCII characters: what the key is for. One purpose, one use.
    context
        Where the key is used. Public.

    Returns
    -------
    bytes
        bytes[32]; secret, and independent of every other purpose and context.

    Raises
    ------
    InvalidParameter
        Short secret; empty, long or non-ASCII purpose.
    """
    if len(secret) < KEY_BYTES:
        raise InvalidParameter(f"must be at least {KEY_BYTES} bytes", field="secret")
    if not 1 <= len(purpose) <= 255 or not purpose.isascii():
        raise InvalidParameter("must be 1 to 255 ASCII characters", field="purpose")
    label = bytes((len(purpose),)) + purpose.encode()
    return HKDF(hashes.SHA256(), KEY_BYTES, None, _DERIVE_DOMAIN + label + context).derive(secret)


def member_key(job_key: bytes) -> EncryptionKey:
    """Key that all members of a job share: who knows the job key opens what is sealed to its public half."""
    return EncryptionKey.from_bytes(derive_key(job_key, purpose="member-encryption"))


def _require_key(key: bytes, field: str) -> bytes:
    if not isinstance(key, bytes) or len(key) != KEY_BYTES:
        raise InvalidParameter(f"must be {KEY_BYTES} bytes", field=field)
    return key


def _content_cipher(key: bytes, salt: bytes, context: bytes) -> tuple[AESGCM, bytes]:
    derived = HKDF(hashes.SHA256(), KEY_BYTES + _COMMITMENT_BYTES, salt, _SEAL_DOMAIN + context).derive(key)
    return AESGCM(derived[:KEY_BYTES]), derived[KEY_BYTES:]


def _nonce(index: int, *, last: bool) -> bytes:
    return index.to_bytes(11, "big") + bytes((last,))


def _seal_after(prefix: bytes, key: bytes, plaintext: bytes, context: bytes) -> bytes:
    salt = os.urandom(_SALT_BYTES)
    cipher, commitment = _content_cipher(_require_key(key, "key"), salt, context)
    view = memoryview(plaintext)
    last = max(0, -(-len(view) // CHUNK_BYTES) - 1)
    sealed = BytesIO()  # joining chunks would hold all of them twice
    sealed.write(prefix + salt + commitment)
    for i in range(last + 1):
        chunk = view[i * CHUNK_BYTES : (i + 1) * CHUNK_BYTES]
        sealed.write(cipher.encrypt(_nonce(i, last=i == last), chunk, None))
    return sealed.getvalue()


def _open_chunks(cipher: AESGCM, body: memoryview) -> bytes:
    last, plaintext = -(-len(body) // _SEALED_CHUNK_BYTES) - 1, BytesIO()
    try:
        for i, start in enumerate(range(0, len(body), _SEALED_CHUNK_BYTES)):
            chunk = body[start : start + _SEALED_CHUNK_BYTES]
            plaintext.write(cipher.decrypt(_nonce(i, last=i == last), chunk, None))
    except InvalidTag:
        raise CorruptContent("changed, cut or extended", field="blob") from None
    return plaintext.getvalue()


def _parse_public_key(public: bytes) -> X25519PublicKey:
    if len(public) != KEY_BYTES or int.from_bytes(public, "little") >= _FIELD_PRIME:
        raise InvalidEncoding("must be 32 bytes, little-endian, below 2^255 − 19", field="public")
    point = X25519PublicKey.from_public_bytes(public)
    try:
        X25519PrivateKey.generate().exchange(point)
    except ValueError:
        raise InvalidEncoding("is of low order", field="public") from None
    return point
