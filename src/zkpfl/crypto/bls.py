"""BLS signatures of the zk-nodes: signatures in G1, public keys in G2 (docs/spec.md §6).

The proof-of-possession scheme of draft-irtf-cfrg-bls-signature: all sign one message, each key is registered
with a proof of possession, so sums of keys and of signatures can be checked by one pairing equation. Every
point is checked on decoding; infinity is refused everywhere.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Self

from zkpfl import _core
from zkpfl.crypto.merkle import keccak256
from zkpfl.crypto.transcript import Context
from zkpfl.errors import InvalidEncoding, InvalidParameter, InvalidScalar

SECRET_BYTES = 32
SIGNATURE_BYTES = 48
PUBLIC_KEY_BYTES = 96
LEDGER_SIGNATURE_BYTES = 128
LEDGER_KEY_BYTES = 256
DIGEST_BYTES = 32

SIGNATURE_DST = "BLS_SIG_BLS12381G1_XMD:SHA-256_SSWU_RO_POP_"
POSSESSION_DST = "BLS_POP_BLS12381G1_XMD:SHA-256_SSWU_RO_POP_"
ATTESTATION_TAG = keccak256(b"ZKPFL-V1-ATTESTATION")
POSSESSION_TAG = keccak256(b"ZKPFL-V1-POSSESSION")


class BlsPublicKey:
    """A point of G2 other than infinity, checked when it is made.

    Parameters
    ----------
    encoded
        96 bytes compressed.

    Raises
    ------
    InvalidEncoding, InvalidPoint
        Wrong length; not canonical, not on the curve, not in the subgroup, or infinity.
    """

    __slots__ = ("_encoded", "_ledger")

    def __init__(self, encoded: bytes) -> None:
        self._encoded = bytes(encoded)
        self._ledger = _core.bls_public_key_to_ledger(self._encoded)

    @classmethod
    def from_ledger(cls, encoded: bytes) -> Self:
        """Decode the 256 bytes of the EIP-2537 encoding; raises as the constructor does."""
        return cls(_core.bls_public_key_from_ledger(bytes(encoded)))

    def to_bytes(self) -> bytes:
        """96 bytes, compressed."""
        return self._encoded

    def to_ledger(self) -> bytes:
        """256 bytes, uncompressed in the EIP-2537 encoding."""
        return self._ledger

    def verify(self, digest: bytes, signature: bytes) -> bool:
        """Whether ``signature`` (48 bytes) is this key's over ``digest`` (32 bytes).

        Raises
        ------
        InvalidEncoding, InvalidPoint
            The signature does not decode.
        """
        return _core.bls_verify(self._encoded, _require_digest(digest), SIGNATURE_DST, signature)

    def verify_possession(self, digest: bytes, proof: bytes) -> bool:
        """Whether ``proof`` shows possession of the secret key for ``digest``; raises as :meth:`verify`."""
        return _core.bls_verify(self._encoded, _require_digest(digest), POSSESSION_DST, proof)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, BlsPublicKey) and self._encoded == other._encoded

    def __hash__(self) -> int:
        return hash(self._encoded)

    def __repr__(self) -> str:
        return f"BlsPublicKey({self._encoded.hex()[:16]}…)"


class BlsSecretKey:
    """A secret scalar, 1 to r − 1. Prints nothing; signing is constant time.

    Parameters
    ----------
    secret
        32 bytes big-endian. Secret.

    Raises
    ------
    InvalidEncoding, InvalidScalar
        Not 32 bytes; zero, or not below r.
    """

    __slots__ = ("_secret", "public")

    def __init__(self, secret: bytes) -> None:
        self._secret = bytes(secret)
        try:
            self.public = BlsPublicKey(_core.bls_public_key(self._secret))
        except InvalidScalar as error:
            raise InvalidScalar("must be from 1 to r − 1", field="BLS secret key") from error

    @classmethod
    def generate(cls) -> Self:
        """Draw a key from the operating system's randomness (KeyGen of the draft)."""
        return cls.from_seed(os.urandom(SECRET_BYTES))

    @classmethod
    def from_seed(cls, seed: bytes) -> Self:
        """The key that a seed of 32 uniform bytes gives (KeyGen of the draft). Secret."""
        return cls(_core.bls_generate(seed))

    @classmethod
    def from_bytes(cls, secret: bytes) -> Self:
        """Inverse of :meth:`to_bytes`; raises as the constructor does."""
        return cls(secret)

    def to_bytes(self) -> bytes:
        """32 bytes big-endian, for a key file only. Secret."""
        return self._secret

    def sign(self, digest: bytes) -> bytes:
        """Signature over a 32-byte digest, 48 bytes compressed."""
        return _core.bls_sign(self._secret, _require_digest(digest), SIGNATURE_DST)

    def prove_possession(self, digest: bytes) -> bytes:
        """Proof of possession over a 32-byte digest, 48 bytes; its domain keeps it from being a signature."""
        return _core.bls_sign(self._secret, _require_digest(digest), POSSESSION_DST)

    def __repr__(self) -> str:
        return "BlsSecretKey(…)"


def aggregate_signatures(signatures: Sequence[bytes]) -> bytes:
    """Sum of signatures, 48 bytes; an :class:`InvalidPoint` names the one that does not decode."""
    _require_items(signatures, SIGNATURE_BYTES, "signatures")
    return _core.bls_aggregate_signatures(b"".join(signatures))


def aggregate_public_keys(keys: Sequence[BlsPublicKey]) -> BlsPublicKey:
    """Sum of one or more distinct keys; safe only for keys whose possession has been proved."""
    if not keys or len(set(keys)) != len(keys):
        raise InvalidParameter("must be one or more distinct keys", field="keys")
    return BlsPublicKey(_core.bls_aggregate_public_keys(b"".join(key.to_bytes() for key in keys)))


def verify_aggregate(keys: Sequence[BlsPublicKey], digest: bytes, signature: bytes) -> bool:
    """Whether ``signature`` is the sum of the ``keys``' signatures over a digest; raises as ``verify``."""
    return aggregate_public_keys(keys).verify(digest, signature)


def signature_to_ledger(signature: bytes) -> bytes:
    """Signature or proof of possession in the EIP-2537 encoding, 128 bytes; raises if it does not decode."""
    return _core.bls_signature_to_ledger(signature)


def signature_from_ledger(encoded: bytes) -> bytes:
    """Signature or proof of possession, 48 bytes, from its EIP-2537 encoding; raises if it is malformed."""
    return _core.bls_signature_from_ledger(bytes(encoded))


def possession_digest(chain_id: int, contract: bytes, account: bytes, public_key: BlsPublicKey) -> bytes:
    """Digest that a proof of possession signs, 32 bytes.

    ``keccak(abi.encode(keccak("ZKPFL-V1-POSSESSION"), chain id, contract, account, keccak(public key)))``,
    the public key in its ledger encoding (docs/spec.md §6).

    Parameters
    ----------
    chain_id
        Chain of the contract, below 2^64.
    contract, account
        Addresses, 20 bytes: of the ledger and of the zk-node.
    public_key
        The key being registered.
    """
    key_hash = keccak256(public_key.to_ledger())
    words = _integer(chain_id, 64, "chain_id") + _address(contract, "contract") + _address(account, "account")
    return keccak256(POSSESSION_TAG + words + key_hash)


def attestation_digest(
    context: Context,
    accepted: int,
    aggregate_root: bytes,
    valid: int,
    posts: bytes,
) -> bytes:
    """Digest that zk-nodes sign over the posts whose proofs they have verified, 32 bytes.

    ``keccak(abi.encode(keccak("ZKPFL-V1-ATTESTATION"), chain id, contract, job, round, I, aggregate root,
    valid, posts))`` (docs/spec.md §6).

    Parameters
    ----------
    context
        Chain, contract, job and round.
    accepted
        I, the accepted trainers as a 256-bit bitmap.
    aggregate_root
        Merkle root of the summed commitments, 32 bytes.
    valid
        Bitmap of the nodes whose posted proof verified, bit j − 1 for node j.
    posts
        The ledger's hash of everything that was posted, 32 bytes.
    """
    return keccak256(
        ATTESTATION_TAG
        + _integer(context.chain_id, 64, "chain_id")
        + _address(context.contract, "contract")
        + _integer(context.job, 64, "job")
        + _integer(context.round, 32, "round")
        + _integer(accepted, 256, "accepted")
        + _require_digest(aggregate_root)
        + _integer(valid, 256, "valid")
        + _require_digest(posts)
    )


def _integer(value: int, bits: int, field: str) -> bytes:
    if not 0 <= value < 1 << bits:
        raise InvalidParameter(f"must be from 0 to 2^{bits} − 1", field=field)
    return value.to_bytes(32, "big")


def _address(value: bytes, field: str) -> bytes:
    if len(value) != 20:
        raise InvalidParameter("must be an address of 20 bytes", field=field)
    return value.rjust(32, b"\0")


def _require_digest(digest: bytes) -> bytes:
    if len(digest) != DIGEST_BYTES:
        raise InvalidParameter(f"must be {DIGEST_BYTES} bytes, got {len(digest)}", field="digest")
    return digest


def _require_items(items: Sequence[bytes], size: int, field: str) -> None:
    if not items:
        raise InvalidParameter("must not be empty", field=field)
    for index, item in enumerate(items):
        if len(item) != size:
            raise InvalidEncoding(f"item {index} must be {size} bytes, got {len(item)}", field=field)
