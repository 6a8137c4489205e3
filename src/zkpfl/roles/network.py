"""Where a network is: its ledger, its contract and its storage, in one small file that every party gets."""

from __future__ import annotations

import hashlib
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from zkpfl import strict_json
from zkpfl.crypto.signatures import AccountKey
from zkpfl.errors import InvalidParameter
from zkpfl.ledger.client import LedgerClient
from zkpfl.ledger.connection import Connection
from zkpfl.roles.store_place import StorePlace, place_from_json
from zkpfl.storage.store import Store

_MAX_FILE_BYTES = 64 * 1024
_KEYS = {"version", "ledger_url", "chain_id", "contract", "store", "confirmations", "digest"}


@dataclass(frozen=True)
class Network:
    """How to reach a ledger contract and the storage beside it.

    Parameters
    ----------
    ledger_url
        JSON-RPC URL of an EVM node.
    chain_id
        The chain's id; a node of another chain is refused.
    contract
        Address of the ledger contract, 20 bytes.
    store
        Where the content-addressed storage is.
    confirmations
        Blocks that must follow a transaction before its sender relies on it.
    """

    ledger_url: str
    chain_id: int
    contract: bytes
    store: StorePlace
    confirmations: int = 0

    def save(self, path: Path) -> None:
        """Write the network file; relative paths in it are relative to the file."""
        path.write_bytes(self.to_bytes())

    def to_bytes(self) -> bytes:
        """Encode as canonical JSON; ``digest``, the SHA-256 of the other members, is for an audit."""
        value: dict[str, object] = {
            "version": 1,
            "ledger_url": self.ledger_url,
            "chain_id": self.chain_id,
            "contract": self.contract.hex(),
            "store": self.store.to_json(),
            "confirmations": self.confirmations,
        }
        digest = hashlib.sha256(strict_json.dump(value)).hexdigest()
        return strict_json.dump({**value, "digest": digest})

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a network file.

        Raises
        ------
        InvalidParameter
            The file is missing or malformed.
        """
        try:
            data = path.read_bytes()
        except OSError as error:
            hint = "give the network file that `zkpfl ledger deploy` wrote"
            raise InvalidParameter(f"cannot read {path}", field="network", hint=hint) from error
        value = strict_json.parse(
            data, field="network file", max_size_bytes=_MAX_FILE_BYTES, error=InvalidParameter
        )
        strict_json.require_keys(value, _KEYS, field="network file", error=InvalidParameter)
        try:
            contract = bytes.fromhex(value["contract"])
            network = cls(
                str(value["ledger_url"]),
                int(value["chain_id"]),
                contract,
                place_from_json(value["store"], path.parent),
                int(value["confirmations"]),
            )
        except (TypeError, ValueError) as error:
            raise InvalidParameter("has a value of the wrong type", field="network file") from error
        if len(contract) != 20:
            raise InvalidParameter("must be an address", field="network file: contract")
        return network

    def connect(self, account: AccountKey | None, stop: threading.Event | None = None) -> LedgerClient:
        """Client of the contract, read-only without an account; after ``stop`` it waits for nothing."""
        connection = Connection(
            self.ledger_url,
            account,
            chain_id=self.chain_id,
            stop=stop,
            confirmations=self.confirmations,
        )
        return LedgerClient(connection, self.contract)

    def open_store(self) -> Store:
        """The content-addressed storage; close it after use.

        Raises
        ------
        InvalidParameter
            The swarm key cannot be read, or Kubo is not installed.
        StorageError, Unavailable
            The folder cannot be used, or the node does not start.
        """
        return self.store.open()
