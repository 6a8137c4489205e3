"""An account's connections to the zk-nodes of a job's committee."""

from __future__ import annotations

import threading

from zkpfl.crypto.signatures import AccountKey, Domain
from zkpfl.ledger.client import LedgerClient
from zkpfl.roles.job_reader import JobReader, registered_node
from zkpfl.rpc.client import NodeClient
from zkpfl.rpc.identity import TransportIdentity


def transport_identity(account: AccountKey, ledger: LedgerClient) -> TransportIdentity:
    """Whom connections of an account speak for, in the network of a ledger."""
    return TransportIdentity(account, Domain(ledger.chain_id, ledger.contract))


class NodeClients:
    """One client for each zk-node, made when it is first asked for. Safe to use from several threads.

    Parameters
    ----------
    ledger
        Client with the account.
    reader
        The job.
    account
        For whom the connections speak. Secret.
    """

    def __init__(self, ledger: LedgerClient, reader: JobReader, account: AccountKey) -> None:
        self._ledger = ledger
        self._reader = reader
        self._identity = transport_identity(account, ledger)
        self._lock = threading.Lock()
        self._clients: dict[int, NodeClient] = {}

    def of(self, node: int) -> NodeClient:
        """Client of zk-node ``node``, at the address and with the account that the ledger has."""
        with self._lock:
            if node not in self._clients:
                account = self._reader.job().committee[node - 1]
                endpoint = registered_node(self._ledger, account).endpoint
                party = f"zk-node {node}"
                self._clients[node] = NodeClient(endpoint, self._identity, account, party=party)
            return self._clients[node]

    def close(self) -> None:
        """Close all connections."""
        for client in self._clients.values():
            client.close()
