"""Differential tests against the precompiles of py-evm (py_ecc; a pairing takes a second there)."""

from __future__ import annotations

import random
from collections.abc import Callable
from types import SimpleNamespace

import pytest
from eth.exceptions import VMError
from eth.precompiles import bls12_381 as oracle
from py_ecc.optimized_bls12_381 import G1, G2, multiply, normalize

from zkpfl.crypto import eip2537
from zkpfl.errors import InvalidEncoding, InvalidPoint

P = 0x1A0111EA397FE69A4B1BA7B6434BACD764774B84F38512BF6730D2A0F6B0F6241EABFFFEB153FFFFB9FEFFFFFFFFAAAB
R = 0x73EDA753299D7D483339D80809A1D80553BDA402FFFE5BFEFFFFFFFF00000001
INF1, INF2 = bytes(128), bytes(256)
OPERATIONS: dict[str, tuple[Callable[[bytes], bytes], Callable[[object], object]]] = {
    "g1_add": (eip2537.g1_add, oracle.bls12_g1_add),
    "g1_msm": (eip2537.g1_msm, oracle.bls12_g1_msm),
    "g2_add": (eip2537.g2_add, oracle.bls12_g2_add),
    "g2_msm": (eip2537.g2_msm, oracle.bls12_g2_msm),
    "pairing_check": (eip2537.pairing_check, oracle.bls12_pairing_check),
    "map_fp_to_g1": (eip2537.map_fp_to_g1, oracle.bls12_map_fp_to_g1),
    "map_fp2_to_g2": (eip2537.map_fp2_to_g2, oracle.bls12_map_fp2_to_g2),
}


def fp(value: int) -> bytes:
    return value.to_bytes(64, "big")


def g1(scalar: int) -> bytes:
    x, y = normalize(multiply(G1, scalar % R))
    return fp(int(x)) + fp(int(y))


def g2(scalar: int) -> bytes:
    x, y = normalize(multiply(G2, scalar % R))
    return b"".join(fp(int(part)) for coordinate in (x, y) for part in coordinate.coeffs)


def scalar(value: int) -> bytes:
    return value.to_bytes(32, "big")


def g1_outside_subgroup() -> bytes:
    for x in range(1, 100):
        y = pow(x**3 + 4, (P + 1) // 4, P)
        if y * y % P == (x**3 + 4) % P:
            return fp(x) + fp(y)
    raise AssertionError


def g2_outside_subgroup() -> bytes:
    """A point (c0, a + b·u) of the twist y² = x³ + 4(1 + u), by the complex method for square roots."""
    for c0 in range(1, 200):
        real, imaginary = (c0**3 + 4) % P, 4
        norm = pow(real * real + imaginary * imaginary, (P + 1) // 4, P)
        if norm * norm % P != (real * real + imaginary * imaginary) % P:
            continue
        for sign in (1, -1):
            half = (real + sign * norm) * pow(2, -1, P) % P
            a = pow(half, (P + 1) // 4, P)
            if a and a * a % P == half:
                b = imaginary * pow(2 * a, -1, P) % P
                return fp(c0) + fp(0) + fp(a) + fp(b)
    raise AssertionError


def expected(operation: Callable[[object], object], data: bytes) -> bytes | None:
    """What py-evm answers: output, or None if it refuses."""
    computation = SimpleNamespace(msg=SimpleNamespace(data=data, data_as_bytes=data), output=None)
    computation.consume_gas = lambda *_args, **_kwargs: None
    try:
        operation(computation)
    except VMError:
        return None
    return bytes(computation.output)


def actual(operation: Callable[[bytes], bytes], data: bytes) -> bytes | None:
    try:
        return operation(data)
    except InvalidEncoding:
        return None


BIG = scalar(2**256 - 1)
NEGATED = g1(7)[:64] + fp(P - int.from_bytes(g1(7)[64:], "big"))
NON_CANONICAL = fp(int.from_bytes(g1(7)[:64], "big") + P) + g1(7)[64:]
OFF_CURVE = g1(7)[:127] + bytes([g1(7)[127] ^ 1])
FIELD_EDGES = (0, 1, P - 1, P, P + 1, 2**384 - 1, 2**512 - 1)

CASES = {
    "g1_add": [
        g1(7) + g1(9),
        g1(7) + g1(7),
        g1(7) + NEGATED,
        g1(7) + INF1,
        INF1 + g1(7),
        INF1 + INF1,
        NON_CANONICAL + g1(7),
        OFF_CURVE + g1(7),
        g1(7) + OFF_CURVE,
        g1_outside_subgroup() + g1(7),
        g1(7),
        g1(7) + g1(9) + b"\0",
        b"",
        b"\x01" + g1(7)[1:] + g1(9),
        fp(0) + fp(1) + g1(7),
    ],
    "g1_msm": [
        g1(7) + scalar(5),
        g1(7) + scalar(0),
        g1(7) + BIG,
        g1(7) + scalar(R),
        g1(7) + scalar(R + 3),
        INF1 + scalar(5),
        g1(7) + scalar(5) + g1(9) + scalar(R - 1),
        g1(7) + scalar(5) + INF1 + scalar(3),
        INF1 + scalar(1) + INF1 + BIG,
        g1(7) + scalar(5) + NEGATED + scalar(5),
        g1(7) + scalar(2) + g1(7) + scalar(2) + g1(14) + scalar(R - 2),
        b"".join(g1(k + 1) + scalar(k * 2**200 + 1) for k in range(9)),
        g1_outside_subgroup() + scalar(5),
        g1(7) + scalar(5) + g1_outside_subgroup() + scalar(0),
        OFF_CURVE + scalar(5),
        b"",
        g1(7),
        g1(7) + scalar(5) + b"\0",
    ],
    "g2_add": [
        g2(7) + g2(9),
        g2(7) + g2(7),
        g2(7) + g2(-7),
        g2(7) + INF2,
        INF2 + INF2,
        g2_outside_subgroup() + g2(7),
        g2(7)[:-1] + bytes([g2(7)[-1] ^ 1]) + g2(9),
        g2(7),
        b"",
        fp(P) + g2(7)[64:] + g2(9),
    ],
    "g2_msm": [
        g2(7) + scalar(5),
        g2(7) + scalar(0),
        g2(7) + BIG,
        INF2 + scalar(5),
        g2(7) + scalar(5) + g2(9) + scalar(R - 1),
        g2(7) + scalar(5) + INF2 + scalar(3),
        g2(7) + scalar(5) + g2(-7) + scalar(5),
        g2_outside_subgroup() + scalar(5),
        b"",
        g2(7),
    ],
    "pairing_check": [
        g1(7) + g2(9),
        g1(6) + g2(5) + g1(-30) + g2(1),
        INF1 + g2(9),
        g1(7) + INF2,
        g1(3) + INF2 + g1(6) + g2(5) + g1(-10) + g2(3),
        g1_outside_subgroup() + g2(9),
        g1(7) + g2_outside_subgroup(),
        INF1 + g2_outside_subgroup(),
        OFF_CURVE + INF2,
        b"",
        g1(7) + g2(9) + b"\0",
    ],
    "map_fp_to_g1": [fp(v) for v in FIELD_EDGES] + [fp(1234567), b"", fp(1)[:-1], fp(1) + b"\0"],
    "map_fp2_to_g2": [case for v in FIELD_EDGES for case in (fp(v) + fp(0), fp(0) + fp(v))]
    + [fp(5) + fp(8), b"", fp(1), fp(1) + fp(2) + b"\0"],
}


@pytest.mark.parametrize(
    ("name", "data"), [pytest.param(n, d, id=f"{n}-{i}") for n, ds in CASES.items() for i, d in enumerate(ds)]
)
def test_same_answer_as_py_evm(name: str, data: bytes) -> None:
    ours, theirs = OPERATIONS[name]
    assert actual(ours, data) == expected(theirs, data)


@pytest.mark.parametrize("seed", range(24))
def test_flipped_bits_get_the_same_answer(seed: int) -> None:
    source = random.Random(seed)  # noqa: S311
    name = source.choice(["g1_add", "g2_add", "map_fp_to_g1", "map_fp2_to_g2", "g1_msm"])
    data = bytearray(CASES[name][0])
    data[source.randrange(len(data))] ^= 1 << source.randrange(8)
    ours, theirs = OPERATIONS[name]
    assert actual(ours, bytes(data)) == expected(theirs, bytes(data))


def test_pairing_is_bilinear() -> None:
    one, zero = (1).to_bytes(32, "big"), bytes(32)
    pairs = [(g1(a), g2(b)) for a, b in ((2, 3), (5, 7), (-41, 1))]
    assert eip2537.pairing_check(b"".join(p + q for p, q in pairs)) == one
    assert eip2537.pairing_check(b"".join(p + q for p, q in pairs[:2])) == zero
    many = b"".join(g1(k) + g2(1) for k in range(1, 20)) + g1(-190) + g2(1)
    assert eip2537.pairing_check(many) == one


def test_points_outside_the_subgroup_are_refused_by_name() -> None:
    with pytest.raises(InvalidPoint, match="point 1 is not in the prime-order subgroup"):
        eip2537.g1_msm(g1(7) + scalar(1) + g1_outside_subgroup() + scalar(1))
    with pytest.raises(InvalidPoint, match="point 0 is not on the curve"):
        eip2537.g1_add(OFF_CURVE + g1(7))
