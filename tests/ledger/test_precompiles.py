"""The native EIP-2537 precompiles against py-evm's own (py_ecc): same bytes, same gas, same refusals."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from eth.exceptions import OutOfGas, VMError
from eth.precompiles.bls12_381 import constants
from eth.vm.forks.prague.computation import PRAGUE_PRECOMPILES
from eth.vm.gas_meter import GasMeter
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from py_ecc.optimized_bls12_381 import G1, G2, Z1, Z2, field_modulus, multiply, normalize

from zkpfl.ledger.evm import LedgerComputation
from zkpfl.ledger.precompiles import EIP2537

G1ADD, G1MSM, G2ADD, G2MSM, PAIRING, MAP_G1, MAP_G2 = range(0x0B, 0x12)


def word(value: int, size: int = 64) -> bytes:
    return value.to_bytes(size, "big")


def g1(point: Any) -> bytes:
    x, y = normalize(point)
    return bytes(128) if point[2] == 0 else word(int(x)) + word(int(y))


def g2(point: Any) -> bytes:
    x, y = normalize(point)
    return bytes(256) if point == Z2 else b"".join(word(int(c)) for c in (*x.coeffs, *y.coeffs))


def negated(point: bytes) -> bytes:
    return point[:64] + word(field_modulus - int.from_bytes(point[64:], "big"))


def outside_the_subgroup() -> bytes:
    """The first affine point of E(Fp) with small x: its order has the cofactor in it."""
    for x in range(1, 100):
        y = pow(x**3 + 4, (field_modulus + 1) // 4, field_modulus)
        if y * y % field_modulus == (x**3 + 4) % field_modulus:
            return word(x) + word(y)
    raise AssertionError


def run(precompile: Any, data: bytes, gas: int = 10**9) -> tuple[bytes, int] | str:
    """Output and gas, or the name of the failure."""
    meter = GasMeter(gas)
    computation = SimpleNamespace(
        msg=SimpleNamespace(data=data),
        output=b"",
        consume_gas=lambda amount, reason="": meter.consume_gas(amount, reason),
    )
    try:
        precompile(computation)
    except OutOfGas:
        return "OutOfGas"
    except VMError:
        return "VMError"
    return bytes(computation.output), gas - meter.gas_remaining


def same(number: int, data: bytes) -> tuple[bytes, int] | str:
    address = word(number, 20)
    expected = run(PRAGUE_PRECOMPILES[address], data)
    assert run(EIP2537[address], data) == expected
    return expected


P, Q = g1(multiply(G1, 5)), g2(multiply(G2, 7))
SCALAR = word(0x1234567890ABCDEF << 190, 32)
VALID = {
    G1ADD: P + g1(G1),
    G1MSM: P + SCALAR + g1(G1) + word(3, 32),
    G2ADD: Q + g2(G2),
    G2MSM: Q + SCALAR,
    PAIRING: P + Q + negated(P) + Q,
    MAP_G1: word(12345),
    MAP_G2: word(12345) + word(678),
}
EDGES = [
    (G1ADD, P + P),
    (G1ADD, P + negated(P)),
    (G1ADD, P + g1(Z1)),
    (G1ADD, g1(Z1) * 2),
    (G2ADD, Q + Q),
    (G2ADD, Q + g2(Z2)),
    (G1MSM, P + bytes(32)),
    (G1MSM, P + b"\xff" * 32),
    (G1MSM, g1(Z1) + SCALAR),
    (G2MSM, Q + b"\xff" * 32),
    (G2MSM, g2(Z2) + SCALAR),
    (PAIRING, g1(Z1) + Q),
    (PAIRING, P + g2(Z2)),
    (PAIRING, P + Q),
    (MAP_G1, word(0)),
    (MAP_G1, word(field_modulus - 1)),
    (MAP_G2, word(field_modulus - 1) + word(0)),
    (G1ADD, outside_the_subgroup() + P),  # an addition does not check the subgroup, the others do
]
BAD = [
    (MAP_G1, word(field_modulus)),
    (MAP_G1, b"\xff" * 64),
    (MAP_G2, word(0) + word(field_modulus)),
    (G1ADD, word(int.from_bytes(P[:64], "big") + field_modulus) + P[64:] + P),
    (G1ADD, P[:127] + bytes([P[127] ^ 1]) + P),
    (G1MSM, outside_the_subgroup() + SCALAR),
    (PAIRING, outside_the_subgroup() + Q),
]


@pytest.mark.parametrize("number", VALID)
def test_valid_input_gives_the_same_output_and_gas(number: int) -> None:
    assert isinstance(same(number, VALID[number]), tuple)


@pytest.mark.parametrize(("number", "data"), EDGES)
def test_edge_cases_agree(number: int, data: bytes) -> None:
    assert isinstance(same(number, data), tuple)


@pytest.mark.parametrize(("number", "data"), BAD)
def test_bad_points_and_fields_are_refused_alike(number: int, data: bytes) -> None:
    assert same(number, data) == "VMError"


@pytest.mark.parametrize("number", VALID)
@pytest.mark.parametrize(
    "change", [lambda d: d[:-1], lambda d: d + b"\0", lambda d: b""], ids=["short", "long", "empty"]
)
def test_wrong_lengths_are_refused_alike(number: int, change: Any) -> None:
    assert same(number, change(VALID[number])) == "VMError"


@pytest.mark.parametrize("number", VALID)
def test_one_gas_short_runs_out(number: int) -> None:
    address, data = word(number, 20), VALID[number]
    outcome = run(EIP2537[address], data)
    assert isinstance(outcome, tuple)
    assert run(EIP2537[address], data, outcome[1]) == outcome
    assert run(EIP2537[address], data, outcome[1] - 1) == "OutOfGas"


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(number=st.sampled_from([G1ADD, G2ADD, MAP_G1]), position=st.integers(0, 10**4), bit=st.integers(0, 7))
def test_flipped_bits_agree(number: int, position: int, bit: int) -> None:
    data = bytearray(VALID[number])
    data[position % len(data)] ^= 1 << bit
    same(number, bytes(data))


@pytest.mark.parametrize("items", [1, 2, 127, 128, 129, 300])
@pytest.mark.parametrize("number", [G1MSM, G2MSM])
def test_msm_discounts_follow_the_table(number: int, items: int) -> None:
    """k·unit·discount(k)/1000, the last discount beyond 128 items; points at infinity keep it quick."""
    unit = {G1MSM: 12000, G2MSM: 22500}[number]
    table = {G1MSM: constants.G1_MSM_DISCOUNTS, G2MSM: constants.G2_MSM_DISCOUNTS}[number]
    beyond = {G1MSM: 519, G2MSM: 524}[number]
    discount = table[items - 1] if items <= 128 else beyond
    outcome = run(EIP2537[word(number, 20)], bytes({G1MSM: 160, G2MSM: 288}[number]) * items)
    assert isinstance(outcome, tuple)
    assert outcome[1] == items * unit * discount // 1000


def test_the_chain_uses_them_and_leaves_py_evm_alone() -> None:
    ours = LedgerComputation.get_precompiles()
    for address, precompile in EIP2537.items():
        assert ours[address] is precompile
        assert PRAGUE_PRECOMPILES[address] is not precompile
    assert set(ours) == set(PRAGUE_PRECOMPILES)
