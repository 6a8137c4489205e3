"""``zkpfl keys``: the long-term keys of a party."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from zkpfl.cli.options import Json
from zkpfl.cli.output import Output

app = typer.Typer(help="Make key files.")


@app.callback()
def keys() -> None:
    """Make key files."""


@app.command("new")
def new(
    path: Annotated[Path, typer.Argument(help="New file, readable by you only; never overwritten.")],
    node: Annotated[bool, typer.Option("--node", help="Add a BLS key: a zk-node needs one.")] = False,
    encrypted: Annotated[
        bool,
        typer.Option(
            "--encrypted", help="Write a standard JSON keystore; the passphrase is ZKPFL_PASSPHRASE or asked."
        ),
    ] = False,
    json: Json = False,
) -> None:
    """Draw fresh keys, write them to a new file and print their public parts."""
    from zkpfl.roles.identity import Identity
    from zkpfl.roles.keystore import save_keystore

    identity = Identity.generate(node)
    if encrypted:
        identity = Identity.of_account(identity.account)
        save_keystore(path, identity.account)
    else:
        identity.save(path)
    Output(json).result({"path": str(path), **identity.public()})
