"""The command tree, and the one place where errors become exit codes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer
from typer.main import get_command

from zkpfl import __version__
from zkpfl.cli import (
    demo,
    dispute,
    exit_codes,
    explain,
    job,
    keys,
    ledger,
    model,
    node,
    privacy,
    storage,
    trainer,
    verify,
)
from zkpfl.cli.failures import show_error
from zkpfl.cli.lifeline import Interrupted, interruptible
from zkpfl.errors import JobFailed

app = typer.Typer(
    help="Federated learning that nobody has to trust.",
    add_completion=False,
    pretty_exceptions_enable=False,
    invoke_without_command=True,
)
app.add_typer(keys.app, name="keys")
app.add_typer(ledger.app, name="ledger")
app.add_typer(node.app, name="node")
app.add_typer(trainer.app, name="trainer")
app.add_typer(model.app, name="model")
app.add_typer(job.app, name="job")
app.add_typer(dispute.app, name="dispute")
app.add_typer(privacy.app, name="privacy")
app.add_typer(storage.app, name="store")
app.command("verify")(verify.verify)
app.command("explain")(explain.explain)
app.command("demo")(demo.demo)


@app.callback()
def options(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,  # noqa: ARG001
) -> None:
    """Options that stand before the command."""
    if version:
        typer.echo(__version__)
        raise typer.Exit
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


def run(arguments: Sequence[str]) -> int:
    """Run one command; returns the exit code. Whatever goes wrong is shown, never raised."""
    try:
        with interruptible():
            code = get_command(app).main(list(arguments), prog_name="zkpfl", standalone_mode=False)
    except (Exception, Interrupted) as caught:
        error = JobFailed("stopped before it was done") if isinstance(caught, Interrupted) else caught
        # The arguments themselves may be what is wrong, so these two are not taken from the parser.
        show_error(error, as_json="--json" in arguments, debug="--debug" in arguments)
        return exit_codes.exit_code(error)
    return code if isinstance(code, int) else exit_codes.OK
