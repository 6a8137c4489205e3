"""What a command prints: rich text for people, or JSON lines for programs and nothing else."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable, Mapping
from typing import Any

from rich.console import Console
from rich.markup import escape

from zkpfl.cli.addresses import short_address
from zkpfl.roles.events import RoleEvent

Render = Callable[[Console], None]


class Output:
    """Prints events and the result of one command; may be shared by threads.

    Parameters
    ----------
    as_json
        Whether to print JSON lines.
    """

    def __init__(self, as_json: bool) -> None:
        self.as_json = as_json
        self.console = Console(highlight=False, emoji=False)
        self._lock = threading.Lock()

    def __call__(self, event: RoleEvent) -> None:
        """Print one event of a role (`roles.events.Reporter`)."""
        self.event(event.to_dict())

    def event(self, fields: Mapping[str, Any]) -> None:
        """Print one event: an object with ``event`` and further flat values."""
        if self.as_json:
            self._write(fields)
        else:
            self.text(describe(fields))

    def text(self, line: str) -> None:
        """Print a line for people; nothing as JSON."""
        if not self.as_json:
            self.console.print(line, soft_wrap=True)

    def result(self, fields: Mapping[str, Any], render: Render | None = None) -> None:
        """Print the last line of a command as JSON, or what ``render`` draws (default: one line a field)."""
        if self.as_json:
            self._write(fields)
        elif render is not None:
            render(self.console)
        else:
            for name, value in fields.items():
                self.console.print(f"[bold]{name}[/bold]: {escape(str(value))}", soft_wrap=True)

    def _write(self, fields: Mapping[str, Any]) -> None:
        line = json.dumps(fields, ensure_ascii=False, allow_nan=False)
        with self._lock:
            sys.stdout.write(line + "\n")
            sys.stdout.flush()


def describe(fields: Mapping[str, Any]) -> str:
    """One event as a line of rich text: where, what, then the values."""
    place = "".join(f"{name} {fields[name]}  " for name in ("job", "round") if fields.get(name) is not None)
    values = {k: v for k, v in fields.items() if k not in ("event", "job", "round") and v is not None}
    text = "  ".join(f"{name} {_short(value)}" for name, value in values.items())
    colour = "yellow" if fields["event"] in ("fault", "outage") else "cyan"
    name = str(fields["event"]).replace("_", " ")
    return f"[dim]{place}[/dim][{colour}]{name}[/{colour}]  {escape(text)}".rstrip()


def _short(value: object) -> str:
    return short_address(value) if isinstance(value, str) and value.startswith("0x") else str(value)
