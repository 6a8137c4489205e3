"""``zkpfl store``: what is kept for which job, garbage collection, and IPFS nodes."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from zkpfl.cli.lifeline import stop_on_signals
from zkpfl.cli.options import Json, NetworkFile
from zkpfl.cli.output import Output
from zkpfl.errors import InvalidParameter

if TYPE_CHECKING:
    from zkpfl.roles.network import Network
    from zkpfl.roles.store_place import KuboPlace, StorePlace

SWARM_KEY_FILE = "swarm.key"

app = typer.Typer(help="Look after the content-addressed storage.")


@app.command("pins")
def pins(network: NetworkFile, json: Json = False) -> None:
    """List what is kept from garbage collection, by label: chain, contract, job and account."""
    from zkpfl.roles.network import Network

    with closing(Network.load(network).open_store()) as store:
        kept = {label: sorted(map(str, cids)) for label, cids in store.pins().items()}

    Output(json).result(
        {"pins": kept},
        lambda console: console.print(
            *(f"{label}  {len(cids)} contents" for label, cids in kept.items()), sep="\n", soft_wrap=True
        ),
    )


@app.command("gc")
def collect(
    network: NetworkFile,
    grace: Annotated[
        float,
        typer.Option(
            metavar="SECONDS", min=0, help="Keep what was stored in these last seconds, pinned or not."
        ),
    ] = 24 * 3600,
    json: Json = False,
) -> None:
    """Let go of jobs whose challenge window has passed, then remove every block that no pin keeps.

    After that `job result` and `verify` cannot look into these jobs any more.
    """
    from zkpfl.roles.job_storage import release_finished
    from zkpfl.roles.network import Network

    where = Network.load(network)
    ledger = where.connect(None)
    with closing(where.open_store()) as store:
        released = release_finished(ledger, store)
        collected = store.collect_garbage(grace_s=grace)
    Output(json).result(
        {"released": released, "blocks": collected.blocks, "size_bytes": collected.size_bytes}
    )


@app.command("serve")
def serve(network: NetworkFile, json: Json = False) -> None:
    """Run this network's IPFS node until SIGINT or SIGTERM, and print the addresses for others' `connect`."""
    from zkpfl.roles.network import Network

    place = _own_node(Network.load(network))
    stop, output = stop_on_signals(leave_s=0), Output(json)
    with closing(place.open()) as store:
        output.event({"event": "serving", "addresses": list(store.process.addresses)})
        stop.wait()
    output.result({"stopped": True})


@app.command("connect")
def connect(
    network: NetworkFile,
    peer: Annotated[
        list[str] | None,
        typer.Option(
            metavar="MULTIADDRESS", help="Node to stay connected with, with /p2p/ID; may be repeated."
        ),
    ] = None,
    listen: Annotated[
        list[str] | None,
        typer.Option(metavar="MULTIADDRESS", help="Where to listen, in place of what was; may be repeated."),
    ] = None,
    json: Json = False,
) -> None:
    """Write into a network file which IPFS nodes to connect with, and where to listen."""
    from zkpfl.roles.network import Network
    from zkpfl.roles.store_place import relative_to

    where = Network.load(network)
    node = _own_node(where)
    peers = tuple(dict.fromkeys((*node.peers, *(peer or ()))))
    place = replace(node, peers=peers, listen=tuple(listen or node.listen))
    replace(where, store=relative_to(place, network.absolute().parent)).save(network)
    Output(json).result({"peers": list(place.peers), "listen": list(place.listen)})


def _own_node(network: Network) -> KuboPlace:
    from zkpfl.roles.store_place import KuboPlace

    if not isinstance(network.store, KuboPlace):
        raise InvalidParameter(
            "is no IPFS node of one's own", field="store", hint="deploy with --store kubo:DIR"
        )
    return network.store


def parse_place(text: str, folder: Path) -> StorePlace:
    """Return the place of ``DIR``, ``kubo:DIR`` or ``kubo-rpc:URL``; makes the key of a new private network.

    Parameters
    ----------
    text
        As typed.
    folder
        Of the network file: a swarm key lies there, and what a daemon gave.
    """
    from zkpfl.roles.store_place import KuboPlace, KuboRpcPlace, LocalPlace, new_swarm_key

    kind, separator, rest = text.partition(":")
    if not separator or kind not in ("kubo", "kubo-rpc"):
        return LocalPlace(Path(text))
    if not rest:
        raise InvalidParameter(f"{text!r} is incomplete", field="store", hint="kubo:DIR or kubo-rpc:URL")
    if kind == "kubo-rpc":
        return KuboRpcPlace(folder / "store", rest)
    key = folder / SWARM_KEY_FILE
    if not key.exists():
        new_swarm_key(key)
    return KuboPlace(Path(rest), key)
