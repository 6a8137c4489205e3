"""``zkpfl node``: a zk-node's process."""

from __future__ import annotations

import threading
from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer

from zkpfl.cli.addresses import format_address
from zkpfl.cli.decimals import parse_mpc
from zkpfl.cli.lifeline import stop_on_signals
from zkpfl.cli.options import Host, IdentityFile, Json, NetworkFile, Port, Stake
from zkpfl.cli.output import Output

app = typer.Typer(help="Run a zk-node.")


@app.callback()
def node() -> None:
    """Run a zk-node."""


@app.command("serve")
def serve(
    network: NetworkFile,
    identity: IdentityFile,
    data_dir: Annotated[Path, typer.Option(help="Folder of the node's durable memory; made if missing.")],
    host: Host = "127.0.0.1",
    port: Port = 0,
    stake: Stake = "500",
    json: Json = False,
) -> None:
    """Register, then serve every job whose committee names this node, until SIGINT or SIGTERM."""
    amount = parse_mpc(stake, field="stake")
    stop, output = stop_on_signals(), Output(json)
    _serve(stop, output, network, identity, data_dir, host, port, amount)
    output.result({"stopped": True})


def _serve(
    stop: threading.Event,
    output: Output,
    network: Path,
    identity: Path,
    data_dir: Path,
    host: str,
    port: int,
    stake: int,
) -> None:
    from zkpfl.roles.identity import Identity
    from zkpfl.roles.journal import SqliteReleaseJournal
    from zkpfl.roles.network import Network
    from zkpfl.roles.zk_node import ZkNodeRole
    from zkpfl.rpc.server import serve as serve_rpc

    where, keys = Network.load(network), Identity.load(identity)
    ledger = where.connect(keys.account, stop)
    journal = SqliteReleaseJournal(data_dir / "releases.db")
    with closing(journal), closing(where.open_store()) as store:
        role = ZkNodeRole(ledger, store, keys, journal, output)
        with serve_rpc(role, host, port, identity=role.transport, limits=role.admit) as server:
            role.register(server.endpoint, stake)
            output.event(
                {
                    "event": "ready",
                    "endpoint": server.endpoint,
                    "address": format_address(keys.account.address),
                }
            )
            role.run(stop)
