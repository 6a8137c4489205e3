"""The BLS12-381 operations of EIP-2537, bytes to bytes exactly as the EIP defines them.

A field element is 64 bytes big-endian below p, a G1 point 128 bytes, a G2 point 256 bytes, zeros being
infinity. Additions accept points outside the prime-order subgroup, the other operations refuse them; scalars
of an MSM may be any 256-bit value. Everything is public and the time depends on it. The GIL is released.

Each function raises :class:`InvalidEncoding` for a wrong length or a field element not below p and
:class:`InvalidPoint` for a point that is not on the curve or not in the subgroup.
"""

from __future__ import annotations

from zkpfl import _core
from zkpfl.crypto.points import POINT_BYTES as COMPRESSED_BYTES
from zkpfl.crypto.points import G1Array

POINT_BYTES = 128
"""Bytes of a point of G1 in the encoding of EIP-2537."""

_COMPRESSED_INFINITY = b"\xc0" + bytes(COMPRESSED_BYTES - 1)


def encode_points(points: G1Array) -> bytes:
    """Points in affine coordinates, 128 bytes each."""
    data = points.encode()
    return b"".join(
        _encode_point(data[start : start + COMPRESSED_BYTES])
        for start in range(0, len(data), COMPRESSED_BYTES)
    )


def _encode_point(compressed: bytes) -> bytes:
    if compressed == _COMPRESSED_INFINITY:
        return bytes(POINT_BYTES)
    return _core.bls_signature_to_ledger(compressed)  # signatures are points of G1 other than infinity


def g1_add(data: bytes) -> bytes:
    """``P + Q`` from 256 bytes."""
    return _core.eip2537_g1_add(data)


def g1_msm(data: bytes) -> bytes:
    """``Σ s_i·P_i`` from items of a point and a 32-byte scalar, at least one."""
    return _core.eip2537_g1_msm(data)


def g2_add(data: bytes) -> bytes:
    """``P + Q`` in G2 from 512 bytes."""
    return _core.eip2537_g2_add(data)


def g2_msm(data: bytes) -> bytes:
    """``Σ s_i·P_i`` in G2 from items of a point and a 32-byte scalar, at least one."""
    return _core.eip2537_g2_msm(data)


def pairing_check(data: bytes) -> bytes:
    """Whether ``Π e(P_i, Q_i) = 1``, as 32 bytes 0 or 1, from items of a G1 and a G2 point."""
    return _core.eip2537_pairing_check(data)


def map_fp_to_g1(data: bytes) -> bytes:
    """Point of the subgroup for a field element of 64 bytes."""
    return _core.eip2537_map_fp_to_g1(data)


def map_fp2_to_g2(data: bytes) -> bytes:
    """Point of the subgroup for a field element of 128 bytes (c0, c1)."""
    return _core.eip2537_map_fp2_to_g2(data)
