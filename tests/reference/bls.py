"""BLS signatures in G1 with keys in G2, by py_ecc (docs/spec.md §6)."""

from __future__ import annotations

import hashlib

from py_ecc.bls.hash_to_curve import hash_to_G1
from py_ecc.bls.point_compression import compress_G1, compress_G2, decompress_G1, decompress_G2
from py_ecc.bls.typing import G1Compressed, G2Compressed
from py_ecc.optimized_bls12_381 import FQ, FQ2, G2, Z1, Z2, add, curve_order, multiply, normalize, pairing
from py_ecc.optimized_bls12_381 import is_inf as is_infinity
from py_ecc.typing import Optimized_Point3D

from tests.reference.group import BadPoint
from tests.reference.hashing import keccak

SIGNATURE_DST = b"BLS_SIG_BLS12381G1_XMD:SHA-256_SSWU_RO_POP_"
POSSESSION_DST = b"BLS_POP_BLS12381G1_XMD:SHA-256_SSWU_RO_POP_"

G1Point = Optimized_Point3D[FQ]
G2Point = Optimized_Point3D[FQ2]


def public_key(secret: int) -> bytes:
    return encode_key(multiply(G2, secret))


def encode_key(point: G2Point) -> bytes:
    return b"".join(part.to_bytes(48, "big") for part in compress_G2(point))


def decode_key(data: bytes) -> G2Point:
    z1, z2 = int.from_bytes(data[:48], "big"), int.from_bytes(data[48:], "big")
    try:
        point = decompress_G2(G2Compressed((z1, z2)))
    except ValueError as error:
        raise BadPoint(str(error)) from error
    if is_infinity(point) or not is_infinity(multiply(point, curve_order)):
        raise BadPoint("infinity or not in the subgroup")
    return point


def decode_signature(data: bytes) -> G1Point:
    try:
        point = decompress_G1(G1Compressed(int.from_bytes(data, "big")))
    except ValueError as error:
        raise BadPoint(str(error)) from error
    if is_infinity(point) or not is_infinity(multiply(point, curve_order)):
        raise BadPoint("infinity or not in the subgroup")
    return point


def encode_signature(point: G1Point) -> bytes:
    return int(compress_G1(point)).to_bytes(48, "big")


def sign(secret: int, message: bytes, dst: bytes) -> bytes:
    return encode_signature(multiply(hash_to_G1(message, dst, hashlib.sha256), secret))


def verify(key: bytes, message: bytes, dst: bytes, signature: bytes) -> bool:
    """e(σ, g₂) = e(H(m), pk)."""
    left = pairing(G2, decode_signature(signature))
    right = pairing(decode_key(key), hash_to_G1(message, dst, hashlib.sha256))
    return bool(left == right)


def aggregate_signatures(signatures: list[bytes]) -> bytes:
    total = Z1
    for signature in signatures:
        total = add(total, decode_signature(signature))
    return encode_signature(total)


def aggregate_keys(keys: list[bytes]) -> bytes:
    total = Z2
    for key in keys:
        total = add(total, decode_key(key))
    return encode_key(total)


def signature_to_ledger(signature: bytes) -> bytes:
    x, y = normalize(decode_signature(signature))
    return b"".join(int(value).to_bytes(64, "big") for value in (x, y))


def key_to_ledger(key: bytes) -> bytes:
    x, y = normalize(decode_key(key))
    return b"".join(int(value).to_bytes(64, "big") for coordinate in (x, y) for value in coordinate.coeffs)


def possession_digest(chain_id: int, contract: bytes, account: bytes, key: bytes) -> bytes:
    words = [keccak(b"ZKPFL-V1-POSSESSION"), _word(chain_id), bytes(12) + contract, bytes(12) + account]
    return keccak(b"".join([*words, keccak(key_to_ledger(key))]))


def attestation_digest(
    context: bytes, accepted: int, aggregate_root: bytes, valid: int, posts: bytes
) -> bytes:
    chain_id, contract, job, round_ = context[:8], context[8:28], context[28:36], context[36:]
    words = [keccak(b"ZKPFL-V1-ATTESTATION")] + [
        part.rjust(32, b"\0") for part in (chain_id, contract, job, round_)
    ]
    words += [_word(accepted), aggregate_root, _word(valid)]
    return keccak(b"".join([*words, posts]))


def _word(value: int) -> bytes:
    return value.to_bytes(32, "big")
