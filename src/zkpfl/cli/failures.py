"""How an error that ended a command is shown: a code, what happened and what to do, without a traceback."""

from __future__ import annotations

import json
import sys
import traceback
from typing import Any

import typer
from rich.console import Console
from rich.markup import escape

from zkpfl.errors import ZkpflError


def describe_error(error: BaseException) -> dict[str, Any]:
    """Code, message and, where known, party, field and hint of an error."""
    if isinstance(error, ZkpflError):
        parts = {"party": error.party, "field": error.field, "hint": error.hint}
        known = {name: value for name, value in parts.items() if value}
        return {"code": error.code, "message": error.message, **known}
    if isinstance(error, typer.TyperException):
        hint = f"zkpfl {_command(error)}--help lists the options"
        return {"code": "usage", "message": error.format_message(), "hint": hint}
    # The text of an unforeseen error may quote anything: it is for --debug only.
    return {"code": "internal", "message": type(error).__name__, "hint": "run again with: zkpfl --debug …"}


def show_error(error: BaseException, *, as_json: bool, debug: bool) -> None:
    """Print an error as the last JSON line, or as text on stderr; its traceback too if debugging."""
    if debug:
        traceback.print_exception(error, file=sys.stderr)
    fields = describe_error(error)
    if as_json:
        sys.stdout.write(json.dumps({"error": fields}, ensure_ascii=False) + "\n")
        sys.stdout.flush()
        return
    console = Console(stderr=True, highlight=False, emoji=False)
    where = ", ".join(fields[name] for name in ("party", "field") if name in fields)
    text = f"{where}: {fields['message']}" if where else str(fields["message"])
    console.print(f"[bold red]error[/bold red] \\[{fields['code']}] {escape(text)}", soft_wrap=True)
    if "hint" in fields:
        console.print(f"[bold]hint[/bold]  {escape(fields['hint'])}", soft_wrap=True)


def _command(error: typer.TyperException) -> str:
    """Path of the command whose arguments are wrong, where the error knows it."""
    context = getattr(error, "ctx", None)
    path = str(context.command_path).split()[1:] if context is not None else []
    return "".join(f"{word} " for word in path)
