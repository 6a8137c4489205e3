"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Json = Annotated[bool, typer.Option("--json", help="Print JSON lines only: events, then one result object.")]
NetworkFile = Annotated[
    Path, typer.Option("--network", metavar="FILE", help="Network file, from `zkpfl ledger deploy`.")
]
IdentityFile = Annotated[
    Path,
    typer.Option(
        "--identity", metavar="FILE", help="Key file from `zkpfl keys new`, JSON keystore, or env:NAME."
    ),
]
JobKeyFile = Annotated[
    Path, typer.Option("--job-key", metavar="FILE", help="Job key file, from `zkpfl job submit`.")
]
Host = Annotated[str, typer.Option(help="Address to listen on; there is no TLS, keep to loopback.")]
Port = Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 takes a free one.")]
Stake = Annotated[str, typer.Option(metavar="MPC", help="Stake, if the account is not registered yet.")]
Epsilon = Annotated[
    float | None,
    typer.Option(
        "--epsilon", min=1e-3, max=100, help="Privacy budget of a record; the model's own by default."
    ),
]
Delta = Annotated[
    float | None,
    typer.Option("--delta", min=1e-12, max=0.1, help="Its delta; below one over the records of a trainer."),
]
Privacy = Annotated[
    bool,
    typer.Option("--privacy/--no-privacy", help="Whether training hides each record of a trainer (DP-SGD)."),
]
WaitSeconds = Annotated[
    float,
    typer.Option("--wait", metavar="SECONDS", min=0, max=3600, help="How long to wait for what is missing."),
]
