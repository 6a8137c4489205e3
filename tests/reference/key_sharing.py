"""Sharing of a key, from the text of docs/spec.md §10 and nothing else."""

from __future__ import annotations

import hashlib
import hmac

R = 0x73EDA753299D7D483339D80809A1D80553BDA402FFFE5BFEFFFFFFFF00000001


def hkdf(hash_name: str, secret: bytes, info: bytes, length: int) -> bytes:
    """RFC 5869 without a salt."""
    size = hashlib.new(hash_name).digest_size
    pseudorandom = hmac.new(bytes(size), secret, hash_name).digest()
    out = block = b""
    counter = 1
    while len(out) < length:
        block = hmac.new(pseudorandom, block + info + bytes([counter]), hash_name).digest()
        out += block
        counter += 1
    return out[:length]


def pad_of(y: int) -> bytes:
    info = b"zkpfl/v1/derive" + bytes([len("key-mask")]) + b"key-mask"
    return hkdf("sha256", y.to_bytes(32, "big"), info, 32)


def share(key: bytes, size: int, threshold: int, seed: bytes) -> tuple[bytes, list[bytes]]:
    """Mask and shares of nodes 1 to ``size``."""
    wide = hkdf("sha512", seed, b"zkpfl/v1/key-polynomial", 64 * threshold)
    a = [int.from_bytes(wide[64 * k : 64 * (k + 1)], "big") % R for k in range(threshold)]
    shares = [sum(a[k] * j**k for k in range(threshold)) % R for j in range(1, size + 1)]
    mask = bytes(x ^ p for x, p in zip(key, pad_of(a[0]), strict=True))
    return mask, [value.to_bytes(32, "big") for value in shares]


def recover(mask: bytes, shares: dict[int, bytes]) -> bytes:
    """The key from the shares of exactly t nodes."""
    if any(int.from_bytes(own, "big") >= R for own in shares.values()):
        raise ValueError("not canonical")
    y = 0
    for j, own in shares.items():
        weight = 1
        for i in shares:
            if i != j:
                weight = weight * i * pow(i - j, R - 2, R) % R
        y = (y + weight * int.from_bytes(own, "big")) % R
    return bytes(x ^ p for x, p in zip(mask, pad_of(y), strict=True))


def key_digest(key: bytes) -> bytes:
    return hashlib.sha256(b"zkpfl/v1/key" + key).digest()


def share_digest(node: int, share: bytes) -> bytes:
    return hashlib.sha256(b"zkpfl/v1/key-share" + bytes([node]) + share).digest()
