"""What a demo shows while it runs."""

from __future__ import annotations

import platform
from importlib.metadata import version
from typing import Any

from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from zkpfl import __version__
from zkpfl.cli.addresses import format_address
from zkpfl.cli.demo.settings import DemoSettings
from zkpfl.cli.jobs import RoundSummary
from zkpfl.cli.output import Output, describe
from zkpfl.roles.network import Network

_LIBRARIES = ("torch", "numpy", "web3", "grpcio", "py-evm")


class Display:
    """The identity of the run, then a line a round, above a progress bar; or the same as JSON events.

    Parameters
    ----------
    output
        Where to.
    """

    def __init__(self, output: Output) -> None:
        self._output = output
        self.progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=output.console,
            transient=True,
            disable=output.as_json or not output.console.is_terminal,
        )
        self._bar = self.progress.add_task("starting the ledger", total=None)

    def introduce(self, settings: DemoSettings, network: Network) -> None:
        """Say what this run is, before anything happens in it."""
        identity = run_identity(settings, network)
        if self._output.as_json:
            self._output.event({"event": "run", **identity})
        for name, value in identity.items():
            self._output.text(f"[bold]{name:<10}[/bold] {escape(_plain(value))}")

    def advance(self, description: str, done: int, total: int) -> None:
        """Move the progress bar."""
        self.progress.update(self._bar, description=description, completed=done, total=total)

    def round_ended(self, job: int, summary: RoundSummary) -> None:
        """Show an ended round."""
        if self._output.as_json:
            self._output.event(summary.to_dict(job))
        self._output.text(summary.to_line())

    def fault(self, event: dict[str, Any]) -> None:
        """Show what this process itself found wrong."""
        self._output.event(event)

    def child_event(self, name: str, event: dict[str, Any]) -> None:
        """Show an event of a child: all of them as JSON, only what is wrong to people."""
        if self._output.as_json:
            self._output.event({"from": name, **event})
        elif event["event"] in ("fault", "outage"):
            self._output.text(f"[yellow]{name}[/yellow]  {describe(event)}")


def run_identity(settings: DemoSettings, network: Network) -> dict[str, Any]:
    """All that is needed to repeat the run."""
    libraries = {name: version(name) for name in _LIBRARIES}
    return {
        "seed": settings.seed,
        "versions": {"zkpfl": __version__, "python": platform.python_version(), **libraries},
        "data": settings.data.value,
        "model": f"{settings.data.value} (JSON graph, safetensors)",
        "privacy": "of each record, on" if settings.privacy.private else "off",
        "trainers": settings.trainers,
        "attack": settings.attack.value if settings.attack else None,
        "quorum": settings.quorum,
        "committee": settings.nodes,
        "threshold": settings.threshold,
        "chain_id": network.chain_id,
        "contract": format_address(network.contract),
        "data_dir": str(settings.data_dir),
    }


def _plain(value: object) -> str:
    if isinstance(value, dict):
        return "  ".join(f"{name} {item}" for name, item in value.items())
    return str(value)
