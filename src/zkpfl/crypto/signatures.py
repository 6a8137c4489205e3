"""Accounts on secp256k1 and EIP-712 signatures of protocol messages (docs/spec.md §5).

::

    digest    = keccak256(0x19 0x01 ‖ separator ‖ hashStruct(message))
    separator = hashStruct(EIP712Domain(name = "zkPFL", version = "1", chainId, verifyingContract))
    signature = r ‖ s ‖ v          32 + 32 + 1 bytes, s at most n/2, v is 27 or 28

The separator binds every signature to one chain and one contract. Only a low ``s`` is accepted, so nobody
can turn a signature into a second one.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from functools import cached_property
from typing import Self

from coincurve import PrivateKey, PublicKey
from eth_hash.auto import keccak

from zkpfl.errors import BadSignature, InvalidEncoding, InvalidParameter

ADDRESS_BYTES = 20
DIGEST_BYTES = 32
SIGNATURE_BYTES = 65
CURVE_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141

Value = bool | int | bytes | str
Field = tuple[str, str, Value]
"""Name, Solidity type, value. Addresses and ``bytesN`` are bytes of that length."""

_INTEGER = re.compile(r"(u?)int([1-9][0-9]{0,2})")
_FIXED_BYTES = re.compile(r"bytes([1-9]|[12][0-9]|3[0-2])")
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class AccountKey:
    """A secp256k1 private key: an account on the ledger. Secret: printing it shows the address only."""

    __slots__ = ("_address", "_private")

    def __init__(self, private: PrivateKey) -> None:
        self._private = private
        self._address = _address_of(private.public_key)

    @classmethod
    def generate(cls) -> Self:
        """Draw a fresh key from the operating system's randomness."""
        while True:
            secret = os.urandom(32)
            if 0 < int.from_bytes(secret, "big") < CURVE_ORDER:
                return cls.from_bytes(secret)

    @classmethod
    def from_bytes(cls, secret: bytes) -> Self:
        """Load from bytes[32], big-endian, 1 to n − 1; secret.

        Raises
        ------
        InvalidParameter
            Wrong length or out of range.
        """
        if len(secret) != 32 or not 0 < int.from_bytes(secret, "big") < CURVE_ORDER:
            raise InvalidParameter("must be 32 bytes, big-endian, from 1 to n − 1", field="secret")
        return cls(PrivateKey(secret))

    def to_bytes(self) -> bytes:
        """Return the private key, bytes[32]; secret."""
        return bytes(self._private.secret)

    @property
    def address(self) -> bytes:
        """The account's address, bytes[20]."""
        return self._address

    def __repr__(self) -> str:
        return f"AccountKey(0x{self._address.hex()})"


@dataclass(frozen=True)
class Domain:
    """The one place where a signature counts.

    Parameters
    ----------
    chain_id
        uint256 of the chain.
    contract
        bytes[20], address of the contract.

    Raises
    ------
    InvalidParameter
        Wrong length or out of range.
    """

    chain_id: int
    contract: bytes

    def __post_init__(self) -> None:
        _encode_value("chain_id", "uint256", self.chain_id)
        _encode_value("contract", "address", self.contract)

    @cached_property
    def separator(self) -> bytes:
        """EIP-712 domain separator, bytes[32]."""
        return _hash_struct(
            "EIP712Domain",
            (
                ("name", "string", "zkPFL"),
                ("version", "string", "1"),
                ("chainId", "uint256", self.chain_id),
                ("verifyingContract", "address", self.contract),
            ),
        )


def typed_digest(domain: Domain, primary_type: str, fields: tuple[Field, ...]) -> bytes:
    """EIP-712 digest of a flat message.

    Parameters
    ----------
    domain
        Chain and contract.
    primary_type
        Name of the struct.
    fields
        Name, Solidity type and value of each member, in the struct's order. Types: ``address``, ``bool``,
        ``uintN``, ``intN``, ``bytesN``, ``bytes``, ``string``.

    Returns
    -------
    bytes
        bytes[32] to sign.

    Raises
    ------
    InvalidParameter
        A value that does not fit its type, an unknown type, or a malformed or repeated name; names the field.
    """
    return keccak(b"\x19\x01" + domain.separator + _hash_struct(primary_type, fields))


def sign_digest(key: AccountKey, digest: bytes) -> bytes:
    """Sign a digest with the deterministic nonce of RFC 6979.

    Parameters
    ----------
    key
        The signer; secret.
    digest
        bytes[32].

    Returns
    -------
    bytes
        bytes[65], ``r ‖ s ‖ v``.

    Raises
    ------
    InvalidParameter
        The digest is not 32 bytes.
    """
    _require_digest(digest)
    compact = key._private.sign_recoverable(digest, hasher=None)
    return compact[:64] + bytes((27 + compact[64],))


def recover(digest: bytes, signature: bytes) -> bytes:
    """Address whose key made a signature; the caller compares it with the party it expects.

    Parameters
    ----------
    digest
        bytes[32].
    signature
        bytes[65], ``r ‖ s ‖ v``, from a peer.

    Returns
    -------
    bytes
        bytes[20]. A signature over anything else yields some other address.

    Raises
    ------
    InvalidEncoding
        Wrong length, ``v`` not 27 or 28, ``r`` or ``s`` out of range, or ``s`` above n/2.
    BadSignature
        No key can have made it.
    InvalidParameter
        The digest is not 32 bytes.
    """
    _require_digest(digest)
    _require_canonical(signature)
    try:
        public = PublicKey.from_signature_and_message(
            signature[:64] + bytes((signature[64] - 27,)), digest, hasher=None
        )
    except ValueError:
        raise BadSignature("no key can have made it", field="signature") from None
    return _address_of(public)


def _require_digest(digest: bytes) -> None:
    if len(digest) != DIGEST_BYTES:
        raise InvalidParameter(f"must be {DIGEST_BYTES} bytes", field="digest")


def _require_canonical(signature: bytes) -> None:
    if len(signature) != SIGNATURE_BYTES:
        raise InvalidEncoding(f"must be {SIGNATURE_BYTES} bytes, got {len(signature)}", field="signature")
    r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:64], "big")
    if signature[64] not in (27, 28):
        raise InvalidEncoding(f"v must be 27 or 28, got {signature[64]}", field="signature")
    if not (0 < r < CURVE_ORDER and 0 < s <= CURVE_ORDER // 2):
        raise InvalidEncoding("r must be below n, s at most n/2, neither zero", field="signature")


def _address_of(public: PublicKey) -> bytes:
    return keccak(public.format(compressed=False)[1:])[-ADDRESS_BYTES:]


def _hash_struct(primary_type: str, fields: tuple[Field, ...]) -> bytes:
    """``keccak(keccak(type) ‖ encoded values)``."""
    names = [primary_type, *(name for name, _, _ in fields)]
    for name in names:
        if not _IDENTIFIER.fullmatch(name) or names[1:].count(name) > 1:
            raise InvalidParameter("must be an identifier and unique", field=name)
    encoded = b"".join(_encode_value(*field) for field in fields)
    members = ",".join(f"{kind} {name}" for name, kind, _ in fields)
    return keccak(keccak(f"{primary_type}({members})".encode()) + encoded)


def _encode_value(name: str, kind: str, value: Value) -> bytes:
    """One 32-byte word: integers are padded left, fixed bytes right, bytes and strings are hashed."""
    if kind == "bool" and isinstance(value, bool):
        return int(value).to_bytes(32, "big")
    if kind == "string" and isinstance(value, str):
        return keccak(value.encode())
    if isinstance(value, bytes):
        return _encode_bytes(name, kind, value)
    if isinstance(value, int) and not isinstance(value, bool):
        return _encode_integer(name, kind, value)
    raise _mismatch(name, kind)


def _encode_bytes(name: str, kind: str, value: bytes) -> bytes:
    if kind == "bytes":
        return keccak(value)
    if kind == "address" and len(value) == ADDRESS_BYTES:
        return value.rjust(32, b"\0")
    fixed = _FIXED_BYTES.fullmatch(kind)
    if fixed and len(value) == int(fixed[1]):
        return value.ljust(32, b"\0")
    raise _mismatch(name, kind)


def _encode_integer(name: str, kind: str, value: int) -> bytes:
    integer = _INTEGER.fullmatch(kind)
    bits = int(integer[2]) if integer else 0
    if not integer or bits % 8 or bits > 256:
        raise _mismatch(name, kind)
    low, high = (0, 1 << bits) if integer[1] else (-(1 << bits - 1), 1 << bits - 1)
    if not low <= value < high:
        raise _mismatch(name, kind)
    return value.to_bytes(32, "big", signed=value < 0)


def _mismatch(name: str, kind: str) -> InvalidParameter:
    return InvalidParameter(f"not a value of the Solidity type {kind!r}", field=name)
