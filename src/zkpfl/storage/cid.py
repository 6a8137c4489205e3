"""Content ids: IPFS CID version 1, SHA-256, in base32 (docs/spec.md §2).

::

    cid = 0x01 ‖ codec ‖ 0x12 0x20 ‖ SHA-256(block)          36 bytes, 59 characters as text
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from dataclasses import dataclass
from enum import IntEnum
from typing import Self

from zkpfl.errors import InvalidEncoding, InvalidParameter

DIGEST_BYTES = 32
CID_BYTES = 36
CID_CHARS = 59
_SHA2_256 = b"\x12\x20"


class Codec(IntEnum):
    """What the named block is: bytes of the content itself, or a node that links to them."""

    RAW = 0x55
    DAG_PB = 0x70


@dataclass(frozen=True, order=True)
class ContentId:
    """The name of content: equal bytes have equal names, and no two different contents share one.

    Parameters
    ----------
    codec
        ``Codec.RAW`` for content of at most 256 KiB, ``Codec.DAG_PB`` for the root of anything larger.
    digest
        bytes[32], SHA-256 of the block. Public.

    Raises
    ------
    InvalidParameter
        The digest is not 32 bytes or the codec is not one of the two.
    """

    codec: Codec
    digest: bytes

    def __post_init__(self) -> None:
        if not isinstance(self.codec, Codec):
            raise InvalidParameter("must be a Codec", field="codec")
        if not isinstance(self.digest, bytes) or len(self.digest) != DIGEST_BYTES:
            raise InvalidParameter(f"must be {DIGEST_BYTES} bytes", field="digest")

    @classmethod
    def from_digest(cls, digest: bytes) -> Self:
        """Name of one raw block, from the 32-byte digest that the ledger stores."""
        return cls(Codec.RAW, digest)

    @classmethod
    def of_block(cls, block: bytes, codec: Codec = Codec.RAW) -> Self:
        """Name of a block: its SHA-256 under ``codec``."""
        return cls(codec, hashlib.sha256(block).digest())

    @classmethod
    def from_bytes(cls, encoded: bytes) -> Self:
        """Decode the 36-byte binary form.

        Raises
        ------
        InvalidEncoding
            Wrong length, version, codec or hash function.
        """
        if len(encoded) != CID_BYTES or encoded[0] != 1 or encoded[2:4] != _SHA2_256:
            raise InvalidEncoding("not a version 1 content id with SHA-256", field="cid")
        try:
            codec = Codec(encoded[1])
        except ValueError:
            raise InvalidEncoding(f"unsupported codec 0x{encoded[1]:02x}", field="cid") from None
        return cls(codec, bytes(encoded[4:]))

    @classmethod
    def parse(cls, text: str) -> Self:
        """Decode the text form: ``b`` and lower-case base32 without padding, the only spelling accepted.

        Raises
        ------
        InvalidEncoding
            Another base, version, codec or hash function; or a second spelling of the same bytes.
        """
        if len(text) != CID_CHARS or not text.isascii() or text[0] != "b":
            raise InvalidEncoding(f"must be {CID_CHARS} characters that start with b", field="cid")
        try:
            encoded = base64.b32decode(text[1:].upper() + "======")
        except binascii.Error:
            raise InvalidEncoding("not base32", field="cid") from None
        cid = cls.from_bytes(encoded)
        if str(cid) != text:
            raise InvalidEncoding("not the canonical spelling", field="cid")
        return cid

    def to_bytes(self) -> bytes:
        """Encode as bytes[36]."""
        return bytes((1, self.codec)) + _SHA2_256 + self.digest

    def __str__(self) -> str:
        return "b" + base64.b32encode(self.to_bytes()).decode().lower().rstrip("=")

    def names(self, block: bytes) -> bool:
        """Whether ``block`` hashes to this name."""
        return hashlib.sha256(block).digest() == self.digest
