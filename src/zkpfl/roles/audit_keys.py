"""The zk-nodes' BLS keys as they were registered, each with its proof of possession (docs/spec.md §6)."""

from __future__ import annotations

from zkpfl.crypto.bls import BlsPublicKey, possession_digest, signature_from_ledger
from zkpfl.errors import BadSignature, LedgerError
from zkpfl.ledger.client import LedgerClient
from zkpfl.ledger.embedded import EmbeddedLedger
from zkpfl.ledger.events import NodeRegistered
from zkpfl.roles.audit_report import Findings


class NodeKeys:
    """Registered keys by account and time.

    Parameters
    ----------
    ledger
        Client of the repeated ledger.
    """

    def __init__(self, ledger: LedgerClient) -> None:
        events = ledger.account_events()
        self._ledger = ledger
        self.registrations = [event for event in events if isinstance(event, NodeRegistered)]

    def of(self, account: bytes, block: int) -> BlsPublicKey:
        """Key that ``account`` had registered last before ``block``.

        Raises
        ------
        LedgerError
            It had none.
        """
        found = [event for event in self.registrations if event.account == account and event.block <= block]
        if not found:
            raise LedgerError("had not registered a key", party=f"zk-node 0x{account.hex()}")
        return BlsPublicKey.from_ledger(found[-1].bls_key)

    def audit(self, chain: EmbeddedLedger, findings: Findings) -> None:
        """Check the proof of possession in every registration's transaction."""
        for event in self.registrations:
            place = f"block {event.block}, zk-node 0x{event.account.hex()}"
            with findings.check("proof_of_possession", place):
                self._require_possession(event, self._possession(chain, event))

    def _possession(self, chain: EmbeddedLedger, event: NodeRegistered) -> bytes:
        header = chain.header(event.block)
        for transaction_hash in chain.transaction_hashes(header) if header else ():
            mined = chain.transaction(transaction_hash)
            if mined is not None and bytes(mined.transaction.to) == self._ledger.bank:
                return _possession_argument(bytes(mined.transaction.data))
        raise LedgerError("is registered by another contract", party=f"zk-node 0x{event.account.hex()}")

    def _require_possession(self, event: NodeRegistered, possession: bytes) -> None:
        party = f"zk-node 0x{event.account.hex()}"
        public = BlsPublicKey.from_ledger(event.bls_key)
        digest = possession_digest(self._ledger.chain_id, self._ledger.contract, event.account, public)
        if not public.verify_possession(digest, signature_from_ledger(possession)):
            raise BadSignature("the proof of possession does not verify", party=party, field="possession")


def _possession_argument(data: bytes) -> bytes:
    """Second argument of ``register_node`` from its calldata: the second word is its offset."""
    arguments = data[4:]
    start = int.from_bytes(arguments[32:64], "big")
    size = int.from_bytes(arguments[start : start + 32], "big")
    return arguments[start + 32 : start + 32 + size]
