"""Threshold sharing of a 32-byte key among zk-nodes (docs/spec.md §10).

::

    y = f(0),  f of degree t − 1 over Fr with coefficients from HKDF-SHA512 of a seed
    share of node j = f(j), 32 bytes big-endian
    mask            = key ⊕ derive_key(y, purpose "key-mask")

The mask is public. ``t − 1`` shares say nothing about ``y`` (Shamir), so nothing about the key but by finding
``y``. The mask lets any 32 bytes be shared, also those that are no scalar. All of it happens once a job, in
Python integers.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from zkpfl.crypto.scalars import ORDER
from zkpfl.crypto.sealing import KEY_BYTES, derive_key
from zkpfl.errors import InvalidEncoding, InvalidParameter
from zkpfl.params import Committee

_WIDE_BYTES = 64
"""A uniform number of so many bytes is uniform modulo r but for 2^-257."""

_COEFFICIENTS_DOMAIN = b"zkpfl/v1/key-polynomial"
_KEY_DOMAIN = b"zkpfl/v1/key"
_SHARE_DOMAIN = b"zkpfl/v1/key-share"


@dataclass(frozen=True)
class KeySharing:
    """A key in shares.

    Parameters
    ----------
    mask
        bytes[32]. Public.
    shares
        Of node j: ``shares[j - 1]``, bytes[32]. Secret.
    """

    mask: bytes
    shares: tuple[bytes, ...] = field(repr=False)


def share_key(key: bytes, committee: Committee, seed: bytes) -> KeySharing:
    """Share a key so that ``t`` zk-nodes recover it and ``t − 1`` learn nothing.

    Parameters
    ----------
    key
        bytes[32]. Secret.
    committee
        Gives m and t.
    seed
        bytes[32], uniform and for this key and committee only. Secret. The same seed gives the same shares,
        so an owner that was restarted hands out what it announced.

    Raises
    ------
    InvalidParameter
        Key or seed are not 32 bytes.
    """
    _require_bytes(key, "key")
    coefficients = _coefficients(_require_bytes(seed, "seed"), committee.threshold)
    shares = tuple(
        _evaluate(coefficients, node).to_bytes(KEY_BYTES, "big") for node in range(1, committee.size + 1)
    )
    return KeySharing(_masked(key, coefficients[0]), shares)


def recover_key(
    mask: bytes, shares: Mapping[int, bytes], threshold: int, is_key: Callable[[bytes], bool]
) -> bytes | None:
    """Recover a key from at least ``t`` shares, some of which may be wrong.

    Parameters
    ----------
    mask
        bytes[32].
    shares
        By number of the zk-node, from 1; bytes[32] each. Secret.
    threshold
        t.
    is_key
        Tells the key from other bytes, usually by its digest.

    Returns
    -------
    bytes or None
        bytes[32], secret; None if no ``t`` of the shares give a key.

    Raises
    ------
    InvalidEncoding
        A share is not a canonical scalar.
    """
    values = {node: _parse_share(share) for node, share in shares.items()}
    for nodes in combinations(sorted(values), threshold):
        key = _masked(mask, _interpolate({node: values[node] for node in nodes}))
        if is_key(key):
            return key
    return None


def key_digest(key: bytes) -> bytes:
    """``SHA-256("zkpfl/v1/key" ‖ key)``, bytes[32]: which key was meant, without telling it."""
    return hashlib.sha256(_KEY_DOMAIN + _require_bytes(key, "key")).digest()


def share_digest(node: int, share: bytes) -> bytes:
    """``SHA-256("zkpfl/v1/key-share" ‖ u8(j) ‖ share)``, bytes[32]."""
    return hashlib.sha256(_SHARE_DOMAIN + bytes((node,)) + _require_bytes(share, "share")).digest()


def _coefficients(seed: bytes, count: int) -> list[int]:
    wide = HKDF(hashes.SHA512(), _WIDE_BYTES * count, None, _COEFFICIENTS_DOMAIN).derive(seed)
    parts = (wide[start : start + _WIDE_BYTES] for start in range(0, len(wide), _WIDE_BYTES))
    return [int.from_bytes(part, "big") % ORDER for part in parts]


def _evaluate(coefficients: Sequence[int], at: int) -> int:
    value = 0
    for coefficient in reversed(coefficients):
        value = (value * at + coefficient) % ORDER
    return value


def _interpolate(values: Mapping[int, int]) -> int:
    """``f(0) = Σ_k y_k · Π_(i≠k) x_i / (x_i − x_k)``."""
    total = 0
    for own, value in values.items():
        numerator = denominator = 1
        for other in values:
            if other != own:
                numerator = numerator * other % ORDER
                denominator = denominator * (other - own) % ORDER
        total += value * numerator * pow(denominator, -1, ORDER)
    return total % ORDER


def _masked(key: bytes, y: int) -> bytes:
    pad = derive_key(y.to_bytes(KEY_BYTES, "big"), purpose="key-mask")
    return bytes(a ^ b for a, b in zip(key, pad, strict=True))


def _parse_share(share: bytes) -> int:
    value = int.from_bytes(share, "big")
    if len(share) != KEY_BYTES or value >= ORDER:
        raise InvalidEncoding("must be 32 bytes, big-endian, below r", field="share")
    return value


def _require_bytes(value: bytes, field: str) -> bytes:
    if not isinstance(value, bytes) or len(value) != KEY_BYTES:
        raise InvalidParameter(f"must be {KEY_BYTES} bytes", field=field)
    return value
