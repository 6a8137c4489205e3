"""Fr and G1 of BLS12-381 in plain integers (docs/spec.md §2, §4)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from functools import cache

from py_ecc.bls.hash_to_curve import hash_to_G1
from py_ecc.optimized_bls12_381 import normalize

P = 0x1A0111EA397FE69A4B1BA7B6434BACD764774B84F38512BF6730D2A0F6B0F6241EABFFFEB153FFFFB9FEFFFFFFFFAAAB
R = 0x73EDA753299D7D483339D80809A1D80553BDA402FFFE5BFEFFFFFFFF00000001
GENERATOR = (
    0x17F1D3A73197D7942695638C4FA9AC0FC3688C4F9774B905A14E3A3F171BAC586C55E83FF97A1AEFFB3AF00ADB22C6BB,
    0x08B3F481E3AAA0F1A09E30ED741D8AE4FCF5E095D5D00AF600DB18CB2C04B3EDD03CC744A2888AE40CAA232946C5E7E1,
)

Point = tuple[int, int] | None
"""Affine coordinates; None is infinity."""
Jacobian = tuple[int, int, int]
INFINITY: Jacobian = (1, 1, 0)


class BadScalar(ValueError):
    pass


class BadPoint(ValueError):
    pass


class BadEncoding(ValueError):
    pass


def encode_scalar(value: int) -> bytes:
    return value.to_bytes(32, "big")


def decode_scalars(data: bytes) -> list[int]:
    if len(data) % 32:
        raise BadEncoding("scalars are 32 bytes")
    values = [int.from_bytes(data[i : i + 32], "big") for i in range(0, len(data), 32)]
    if any(value >= R for value in values):
        raise BadScalar("scalar not below r")
    return values


def jacobian(point: Point) -> Jacobian:
    return INFINITY if point is None else (*point, 1)


def affine(point: Jacobian) -> Point:
    x, y, z = point
    if z == 0:
        return None
    inverse = pow(z, -1, P)
    return x * inverse**2 % P, y * inverse**3 % P


def double(a: Jacobian) -> Jacobian:
    x, y, z = a
    yy = y * y % P
    s, m = 4 * x * yy % P, 3 * x * x % P
    x3 = (m * m - 2 * s) % P
    return x3, (m * (s - x3) - 8 * yy * yy) % P, 2 * y * z % P


def add(a: Jacobian, b: Jacobian) -> Jacobian:
    if a[2] == 0:
        return b
    if b[2] == 0:
        return a
    za, zb = a[2] * a[2] % P, b[2] * b[2] % P
    ua, ub = a[0] * zb % P, b[0] * za % P
    sa, sb = a[1] * zb * b[2] % P, b[1] * za * a[2] % P
    if ua == ub:
        return double(a) if sa == sb else INFINITY
    h, r = ub - ua, sb - sa
    hh = h * h % P
    hhh, v = h * hh % P, ua * hh % P
    x = (r * r - hhh - 2 * v) % P
    return x, (r * (v - x) - sa * hhh) % P, h * a[2] * b[2] % P


def multiply(point: Jacobian, scalar: int) -> Jacobian:
    """Plain double-and-add; negative scalars negate the point. The scalar is not reduced."""
    if scalar < 0:
        return multiply((point[0], -point[1] % P, point[2]), -scalar)
    result = INFINITY
    for bit in bin(scalar)[2:]:
        result = double(result)
        if bit == "1":
            result = add(result, point)
    return result


def plus(a: Point, b: Point) -> Point:
    return affine(add(jacobian(a), jacobian(b)))


def times(scalar: int, point: Point) -> Point:
    return affine(multiply(jacobian(point), scalar))


def combine(scalars: Iterable[int], points: Iterable[Point]) -> Point:
    """Σ s_i·P_i: one double-and-add for all terms together."""
    terms = [_positive(scalar, point) for scalar, point in zip(scalars, points, strict=True)]
    total = INFINITY
    for bit in reversed(range(max((scalar.bit_length() for scalar, _ in terms), default=0))):
        total = double(total)
        for scalar, point in terms:
            if scalar >> bit & 1:
                total = add(total, point)
    return affine(total)


def _positive(scalar: int, point: Point) -> tuple[int, Jacobian]:
    x, y, z = jacobian(point)
    return abs(scalar), (x, y if scalar >= 0 else -y % P, z)


def encode_point(point: Point) -> bytes:
    """48 bytes: flags compressed, infinity, larger y in the top three bits."""
    if point is None:
        return b"\xc0" + bytes(47)
    x, y = point
    flags = 0x80 | (0x20 if y > (P - 1) // 2 else 0)
    data = bytearray(x.to_bytes(48, "big"))
    data[0] |= flags
    return bytes(data)


def encode_points(points: Iterable[Point]) -> bytes:
    return b"".join(encode_point(point) for point in points)


def decode_point(data: bytes) -> Point:
    if len(data) != 48:
        raise BadEncoding("points are 48 bytes")
    compressed, infinite, larger = (data[0] >> 7) & 1, (data[0] >> 6) & 1, (data[0] >> 5) & 1
    x = int.from_bytes(bytes([data[0] & 0x1F]) + data[1:], "big")
    if not compressed:
        raise BadPoint("not compressed")
    if infinite:
        if larger or x:
            raise BadPoint("infinity is not canonical")
        return None
    if x >= P:
        raise BadPoint("coordinate not below p")
    square = (x**3 + 4) % P
    y = pow(square, (P + 1) // 4, P)
    if y * y % P != square:
        raise BadPoint("not on the curve")
    if (y > (P - 1) // 2) != bool(larger):
        y = P - y
    if multiply((x, y, 1), R)[2] != 0:
        raise BadPoint("not in the subgroup")
    return x, y


def decode_points(data: bytes) -> list[Point]:
    if len(data) % 48:
        raise BadEncoding("points are 48 bytes")
    return [decode_point(data[i : i + 48]) for i in range(0, len(data), 48)]


@cache
def hash_to_point(message: bytes, dst: bytes = b"ZKPFL-V1-GENERATORS") -> Point:
    x, y = normalize(hash_to_G1(message, dst, hashlib.sha256))
    return int(x), int(y)


def generators(columns: int) -> list[Point]:
    """G_0 … G_(N−1)."""
    return [hash_to_point(b"G" + c.to_bytes(4, "big")) for c in range(columns)]


def blinding_generator() -> Point:
    return hash_to_point(b"H")


def inner_product_generator() -> Point:
    return hash_to_point(b"U")


def commit(values: Sequence[int], blinding: int) -> Point:
    """Σ_c v_c·G_c + blinding·H."""
    return combine([*values, blinding], [*generators(len(values)), blinding_generator()])
