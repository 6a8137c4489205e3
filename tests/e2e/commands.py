"""zkpfl commands as processes, which end with the test at the latest."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

Start = Callable[..., subprocess.Popen[str]]


@contextmanager
def starting() -> Iterator[Start]:
    """Start zkpfl commands that are killed at the end at the latest."""
    running: list[subprocess.Popen[str]] = []

    def start_command(*arguments: str, **environment: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "zkpfl", *arguments, "--json"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **environment},
        )
        running.append(process)
        return process

    yield start_command
    for process in running:
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            assert pipe is not None
            pipe.close()


def read_until(process: subprocess.Popen[str], event: str, sender: str | None = None) -> dict[str, Any]:
    """The next event of this kind, of a demo's child if a sender is given."""
    assert process.stdout is not None
    for line in process.stdout:
        message = json.loads(line)
        if message.get("event") == event and message.get("from") == sender:
            return dict(message)
    raise AssertionError(f"ended without {event}")


def result_of(process: subprocess.Popen[str], timeout_s: float) -> dict[str, Any]:
    """The last line of a command that succeeds."""
    output, _ = process.communicate(timeout=timeout_s)
    last = json.loads(output.splitlines()[-1])
    assert process.returncode == 0, last
    return dict(last)
