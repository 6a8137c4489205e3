"""EIP-2537 precompiles of the embedded EVM, computed by the native core.

py-evm's own (py_ecc) give the same bytes for the same gas, but a pairing check takes a second there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from eth.abc import ComputationAPI
from eth.exceptions import VMError
from eth.precompiles.bls12_381 import constants as gas
from eth_typing import Address

from zkpfl.crypto import eip2537
from zkpfl.errors import InvalidEncoding


@dataclass(frozen=True)
class Precompile:
    """One EIP-2537 operation on one item of ``item_bytes`` bytes, or on any positive number of them."""

    name: str
    item_bytes: int
    repeats: bool
    gas_for: Callable[[int], int]
    run: Callable[[bytes], bytes]

    def __call__(self, computation: ComputationAPI) -> None:
        """Charge the gas, then compute; invalid input fails the call and burns its gas (EIP-2537)."""
        data = bytes(computation.msg.data)
        items, rest = divmod(len(data), self.item_bytes)
        if rest or items == 0 or (items > 1 and not self.repeats):
            raise VMError(f"{self.name}: {len(data)} bytes are not whole items of {self.item_bytes}")
        computation.consume_gas(self.gas_for(items), self.name)
        try:
            computation.output = self.run(data)
        except InvalidEncoding as error:
            raise VMError(f"{self.name}: {error}") from error


def _msm_gas(unit: int, discounts: list[int], lowest: int) -> Callable[[int], int]:
    def gas_for(items: int) -> int:
        discount = discounts[items - 1] if items <= len(discounts) else lowest
        return items * unit * discount // gas.MSM_MULTIPLIER

    return gas_for


def _flat(amount: int) -> Callable[[int], int]:
    return lambda _items: amount


def _pairing_gas(pairs: int) -> int:
    return 32600 * pairs + 37700  # EIP-2537; py-evm has these two numbers only inside its own function


_G1_MSM_GAS = _msm_gas(gas.BLS12_G1_MSM_GAS, gas.G1_MSM_DISCOUNTS, gas.G1_MSM_MAX_DISCOUNT)
_G2_MSM_GAS = _msm_gas(gas.BLS12_G2_MSM_GAS, gas.G2_MSM_DISCOUNTS, gas.G2_MSM_MAX_DISCOUNT)

_OPERATIONS = {
    0x0B: Precompile("BLS12_G1ADD", 256, False, _flat(gas.BLS12_G1_ADD_GAS), eip2537.g1_add),
    0x0C: Precompile("BLS12_G1MSM", 160, True, _G1_MSM_GAS, eip2537.g1_msm),
    0x0D: Precompile("BLS12_G2ADD", 512, False, _flat(gas.BLS12_G2_ADD_GAS), eip2537.g2_add),
    0x0E: Precompile("BLS12_G2MSM", 288, True, _G2_MSM_GAS, eip2537.g2_msm),
    0x0F: Precompile("BLS12_PAIRING_CHECK", 384, True, _pairing_gas, eip2537.pairing_check),
    0x10: Precompile("BLS12_MAP_FP_TO_G1", 64, False, _flat(gas.BLS12_MAP_FP_G1_GAS), eip2537.map_fp_to_g1),
    0x11: Precompile(
        "BLS12_MAP_FP2_TO_G2", 128, False, _flat(gas.BLS12_MAP_FP2_G2_GAS), eip2537.map_fp2_to_g2
    ),
}

EIP2537: Mapping[Address, Precompile] = {
    Address(number.to_bytes(20, "big")): operation for number, operation in _OPERATIONS.items()
}
"""Address to operation, 0x0b to 0x11."""
