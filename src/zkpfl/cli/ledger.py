"""``zkpfl ledger``: run the embedded ledger, deploy the contracts on any ledger."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from zkpfl.cli.addresses import format_address, parse_address
from zkpfl.cli.decimals import format_mpc, parse_mpc
from zkpfl.cli.lifeline import stop_on_signals
from zkpfl.cli.options import Host, IdentityFile, Json, NetworkFile, Port
from zkpfl.cli.output import Output
from zkpfl.cli.tables import gas_table
from zkpfl.errors import InvalidParameter

if TYPE_CHECKING:
    import threading

    from zkpfl.ledger.embedded import EmbeddedLedger
    from zkpfl.ledger.records import Coin

CHAIN_ID = 31337
"""Chain id of a new embedded ledger: the one that development chains use."""

UNBONDING_S = 3600
CHALLENGE_S = 3600

app = typer.Typer(help="Run the embedded ledger; deploy the contracts.")


@app.command("serve")
def serve(
    data_dir: Annotated[Path, typer.Option(help="Folder of the chain; made if missing.")],
    host: Host = "127.0.0.1",
    port: Port = 0,
    chain_id: Annotated[int, typer.Option(min=1, help="EIP-155 chain id of a new chain.")] = CHAIN_ID,
    json: Json = False,
) -> None:
    """Serve a durable in-process EVM over JSON-RPC until SIGINT or SIGTERM."""
    import asyncio

    from zkpfl.ledger.embedded import EmbeddedLedger

    stop, output = stop_on_signals(leave_s=0), Output(json)
    _make_folder(data_dir)
    with EmbeddedLedger(data_dir / "chain.db", chain_id) as ledger:
        asyncio.run(_serve(ledger, host, port, stop, output))
        output.result({"stopped": True, "blocks": int(ledger.head.block_number)})


async def _serve(ledger: EmbeddedLedger, host: str, port: int, stop: threading.Event, output: Output) -> None:
    import asyncio

    from zkpfl.ledger.rpc_server import serve as serve_rpc

    async with serve_rpc(ledger, host, port) as url:
        output.event({"event": "serving", "url": url, "chain_id": ledger.chain_id})
        # A handler of the loop itself would miss a signal that came while it was starting.
        while not stop.is_set():
            await asyncio.sleep(0.1)


@app.command("deploy")
def deploy(
    url: Annotated[str, typer.Option(help="JSON-RPC URL of the ledger's EVM node.")],
    identity: IdentityFile,
    network: Annotated[Path, typer.Option(metavar="FILE", help="Network file to write.")],
    store: Annotated[
        str,
        typer.Option(
            metavar="DIR|kubo:DIR|kubo-rpc:URL",
            help="Content-addressed storage: a shared folder, an IPFS node a process, or a Kubo daemon.",
        ),
    ],
    fund: Annotated[
        list[str] | None,
        typer.Option(metavar="ADDRESS=AMOUNT", help="Send this much MPC to an account; may be repeated."),
    ] = None,
    unbonding: Annotated[
        int, typer.Option(min=0, help="Seconds that a stake stays after `unstake`.")
    ] = UNBONDING_S,
    challenge: Annotated[
        int, typer.Option(min=0, help="Seconds after its end in which a job takes evidence and does not pay.")
    ] = CHALLENGE_S,
    draw_fee: Annotated[
        str, typer.Option(metavar="MPC", help="What drawing a committee costs; it is burnt.")
    ] = "10",
    draw_delay: Annotated[
        int,
        typer.Option(min=0, max=255, help="Blocks from a job to the one whose hash draws its committee."),
    ] = 0,
    confirmations: Annotated[
        int,
        typer.Option(
            min=0, max=64, help="Blocks that must follow a transaction before its sender relies on it."
        ),
    ] = 0,
    coin: Annotated[
        list[str] | None,
        typer.Option(
            metavar="TOKEN:FEED:SECONDS",
            help="Another coin for fees and stakes: token, AggregatorV3 feed of its price in MPC, greatest "
            "age of a price; may be repeated.",
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Deploy token and ledger contract, and write the network file that every party needs."""
    grants = [parse_grant(text) for text in fund or []]
    if network.exists():
        raise InvalidParameter(f"{network} exists already", field="network", hint="choose another file")
    from zkpfl.cli.deployment import deploy_network
    from zkpfl.cli.storage import parse_place
    from zkpfl.ledger.records import DeploymentTerms
    from zkpfl.roles.identity import Identity

    deployed = deploy_network(
        url,
        Identity.load(identity).account,
        network,
        parse_place(store, network.parent),
        dict(grants),
        DeploymentTerms(
            unbonding_s=unbonding,
            challenge_s=challenge,
            draw_fee=parse_mpc(draw_fee, field="draw_fee"),
            draw_delay=draw_delay,
        ),
        [parse_coin(text) for text in coin or []],
        confirmations,
    )
    Output(json).result(
        {
            "network": str(network),
            "chain_id": deployed.chain_id,
            "contract": format_address(deployed.contract),
            "funded": {format_address(address): format_mpc(amount) for address, amount in grants},
        }
    )


@app.command("verify")
def verify(network: NetworkFile, json: Json = False) -> None:
    """Compare the contracts of a network with what this package compiles; exit with 1 if they differ."""
    from zkpfl.cli import exit_codes
    from zkpfl.ledger.deployed import deployed_contracts
    from zkpfl.roles.network import Network

    found = deployed_contracts(Network.load(network).connect(None))
    rows = [{"contract": one.name, "address": format_address(one.address), "same": one.same} for one in found]
    same = all(one.same for one in found)
    Output(json).result(
        {"same": same, "contracts": rows},
        lambda console: console.print(
            *(f"{'✓' if row['same'] else '✗'} {row['contract']:13} {row['address']}" for row in rows),
            sep="\n",
        ),
    )
    if not same:
        raise typer.Exit(exit_codes.FAILED)


@app.command("gas")
def gas(json: Json = False) -> None:
    """Play jobs with committees of three and ten on a chain in memory, and print what every call costs."""
    from zkpfl.ledger.gas import measure

    output, reports = Output(json), []
    for nodes, threshold in ((3, 2), (10, 5)):
        report = measure(nodes, threshold, trainers=10, dispute=nodes == 3)
        reports.append(report)
        output.event({"event": "measured", "nodes": nodes, "round": report.rounds[-1]})
    fields = [
        {
            "nodes": report.nodes,
            "trainers": report.trainers,
            "rounds": list(report.rounds),
            "calls": {use.call: [use.least, use.most, use.calldata] for use in report.calls},
        }
        for report in reports
    ]
    output.result({"gas": fields}, lambda console: console.print(*map(gas_table, reports), sep="\n"))


def parse_grant(text: str) -> tuple[bytes, int]:
    """Return address and base units of ``ADDRESS=AMOUNT``."""
    address, separator, amount = text.partition("=")
    if not separator:
        raise InvalidParameter(f"{text!r} is not ADDRESS=AMOUNT", field="fund", hint="such as 0x…=1000")
    return parse_address(address, field="fund"), parse_mpc(amount, field="fund")


def parse_coin(text: str) -> Coin:
    """Return the coin of ``TOKEN:FEED:SECONDS``."""
    from zkpfl.ledger.records import Coin

    parts = text.split(":")
    if len(parts) != 3 or not parts[2].isdecimal() or len(parts[2]) > 9:
        hint = "addresses of token and feed, and the greatest age of a price, such as 0x…:0x…:3600"
        raise InvalidParameter(f"{text!r} is not TOKEN:FEED:SECONDS", field="coin", hint=hint)
    token, feed = (parse_address(part, field="coin") for part in parts[:2])
    return Coin(token, feed, int(parts[2]))


def _make_folder(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InvalidParameter(f"{path}: {error.strerror}", field="data_dir") from error
