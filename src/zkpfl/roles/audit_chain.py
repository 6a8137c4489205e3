"""Audit of the ledger's database and of the contracts on it."""

from __future__ import annotations

from pathlib import Path

import rlp

from zkpfl.crypto.merkle import keccak256
from zkpfl.ledger.client import PARTS, LedgerClient
from zkpfl.ledger.contracts import compiled
from zkpfl.ledger.embedded import EmbeddedLedger
from zkpfl.ledger.records import MPC_COIN
from zkpfl.ledger.replay import RepeatedLedger, replay
from zkpfl.roles.audit_report import Findings, Progress

_WORD = 32


def audit_chain(path: Path, chain_id: int, findings: Findings, progress: Progress) -> RepeatedLedger | None:
    """Execute the recorded chain again and compare every row; returns the chain as computed.

    Parameters
    ----------
    path
        The chain's database; only read.
    chain_id
        The chain that it should hold.
    findings
        Takes one check if all is well, else one a difference.
    progress
        Told of blocks.
    """
    result = replay(path, chain_id, lambda done, total: progress("ledger", done, total))
    for difference in result.differences:
        findings.failed("ledger_row", difference.place, difference.detail)
    if not result.differences:
        counts = f"{result.blocks} blocks, {result.transactions} transactions, {result.rows} rows"
        findings.passed("ledger_row", path.name, f"{counts} repeated")
    if not result.compacted:
        findings.not_checked.append(
            f"{path.name}: bytes between the rows; the ledger was not closed in order"
        )
    return result.ledger


def audit_code(chain: EmbeddedLedger, ledger: LedgerClient, findings: Findings) -> bool:
    """Check that the ledger and the contracts it relies on were created from the code of this package.

    The chain has been repeated, so what a creation's transaction carries is what runs. Returns whether all
    are this package's.
    """
    own_code = True
    created = _creations(chain)
    own = created.get(ledger.contract, b"")
    arguments = own[len(compiled("zkpfl").bytecode) :]
    parts = ("bank", *PARTS)
    addresses = (arguments[_WORD * i + 12 : _WORD * (i + 1)] for i in range(len(parts)))
    token = ledger.coins[MPC_COIN].token
    named = (("zkpfl", ledger.contract), ("mpc_token", token), *zip(parts, addresses, strict=True))
    for name, address in named:
        place = f"contract {name} at 0x{address.hex()}"
        same = created.get(address, b"").startswith(compiled(name).bytecode)
        findings.require("contract_code", place, same, "is not the code that this package compiles")
        own_code &= same
    return own_code


def _creations(chain: EmbeddedLedger) -> dict[bytes, bytes]:
    """Creation code, with constructor arguments, of every contract that a transaction created."""
    created = {}
    for number in range(1, chain.head.block_number + 1):
        header = chain.header(number)
        for transaction_hash in chain.transaction_hashes(header) if header else ():
            mined = chain.transaction(transaction_hash)
            if mined is not None and not mined.transaction.to:
                origin = rlp.encode([mined.transaction.sender, mined.transaction.nonce])
                created[keccak256(origin)[12:]] = bytes(mined.transaction.data)
    return created
