"""Whether the contracts of a network are those of this package."""

from __future__ import annotations

from dataclasses import dataclass

from zkpfl.ledger.contracts import compiled
from zkpfl.ledger.reader import LedgerReader

_MOST_IMMUTABLES = 32 * 16


@dataclass(frozen=True)
class DeployedContract:
    """A contract on a chain.

    Parameters
    ----------
    name, address
        Which, and where, bytes[20].
    same
        Whether its code is what this package compiles. What its constructor fixed follows the code.
    """

    name: str
    address: bytes
    same: bool


def deployed_contracts(ledger: LedgerReader) -> list[DeployedContract]:
    """Compare ledger, bank, the MPC token and what they rely on with this package; not the other coins."""
    found = []
    for name, address in {"zkpfl": ledger.contract, **ledger.parts}.items():
        own = compiled(name).runtime
        code = ledger.connection.code(address)
        # immutables are whole words behind the code
        same = code.startswith(own) and len(code) - len(own) <= _MOST_IMMUTABLES
        found.append(DeployedContract(name, address, same))
    return found
