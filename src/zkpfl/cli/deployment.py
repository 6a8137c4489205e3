"""Deploying the contracts and paying the first tokens out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from zkpfl.crypto.signatures import AccountKey
from zkpfl.ledger.client import deploy
from zkpfl.ledger.connection import Connection
from zkpfl.ledger.records import Coin, DeploymentTerms
from zkpfl.roles.network import Network
from zkpfl.roles.store_place import StorePlace, relative_to


def deploy_network(
    url: str,
    deployer: AccountKey,
    network_file: Path,
    store: StorePlace,
    grants: Mapping[bytes, int],
    terms: DeploymentTerms,
    coins: Sequence[Coin] = (),
    confirmations: int = 0,
) -> Network:
    """Deploy token and ledger contract, send MPC to accounts, write the network file last.

    Parameters
    ----------
    url
        JSON-RPC URL of the node.
    deployer
        Account that receives the whole supply and pays the grants.
    network_file
        File to write; its parent folder is made if missing.
    store
        Where the storage is.
    grants
        Base units for each account.
    terms
        What the deployment fixes.
    coins
        Coins beside MPC.
    confirmations
        Blocks that must follow a transaction before its sender relies on it.
    """
    with Connection(url, deployer, confirmations=confirmations) as connection:
        client = deploy(connection, terms, coins=coins)
        for address, amount in grants.items():
            client.token.transfer(address, amount)
        place = relative_to(store, network_file.absolute().parent)
        network = Network(url, connection.chain_id, client.contract, place, confirmations)
    network_file.parent.mkdir(parents=True, exist_ok=True)
    network.save(network_file)
    return network
