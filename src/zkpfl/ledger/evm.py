"""Rules of the embedded chain: Prague, with native EIP-2537 and a clock that may stand still."""

from __future__ import annotations

from typing import Any

from eth.abc import BlockHeaderAPI
from eth.chains.base import Chain
from eth.vm.forks.prague import PragueVM
from eth.vm.forks.prague.computation import PragueComputation
from eth.vm.forks.prague.state import PragueState
from eth_hash.auto import keccak

from zkpfl.crypto.merkle import keccak256
from zkpfl.ledger.precompiles import EIP2537

TRANSACTION_GAS_LIMIT = 30_000_000
"""Most gas of one transaction; anvil's default block is as large, so what fits here fits there."""

BLOCK_GAS_LIMIT = 2 * TRANSACTION_GAS_LIMIT
"""A block holds one transaction, so at most half of this: EIP-1559 then leaves a base fee of zero at zero."""


class LedgerComputation(PragueComputation):
    """Prague with the native EIP-2537 precompiles."""

    _precompiles = {**PragueComputation.get_precompiles(), **EIP2537}  # noqa: RUF012  py-evm's own shape


class LedgerState(PragueState):
    """State whose calls run in `LedgerComputation`."""

    computation_class = LedgerComputation


class LedgerVM(PragueVM):
    """Prague in which a block may carry the timestamp of its parent."""

    _state_class = LedgerState

    @classmethod
    def validate_header(cls, header: BlockHeaderAPI, parent_header: BlockHeaderAPI) -> None:
        """Check a header as Prague does, with "not earlier than" in place of "later than" its parent.

        Deadlines are in seconds and blocks come several a second: a strict clock would run ahead of the wall
        clock by a second a block, and close every deadline early under load.
        """
        super().validate_header(header, parent_header.copy(timestamp=parent_header.timestamp - 1))


def _hash_natively() -> None:
    """Let py-evm hash with the core: a round of ten trainers takes nine thousand hashes."""

    def hasher(in_data: bytearray | bytes) -> bytes:
        return keccak256(bytes(in_data))

    keccak.hasher = hasher  # as eth_hash itself does with its backends


_hash_natively()


def chain_class(chain_id: int) -> Any:
    """Return the py-evm chain class for a chain id (EIP-155)."""
    members: dict[str, Any] = {"chain_id": chain_id, "vm_configuration": ((0, LedgerVM),)}
    return type("LedgerChain", (Chain,), members)
