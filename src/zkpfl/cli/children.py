"""Roles as child processes: started from the same interpreter, heard through pipes, never left behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from zkpfl.cli.lifeline import LIFELINE
from zkpfl.errors import DeadlineExceeded, Unavailable

Listener = Callable[["Child", dict[str, Any]], None]

STOP_GRACE_S = 8.0
_KILL_GRACE_S = 2.0


class Child:
    """One ``zkpfl`` command with ``--json`` as a process in a session of its own.

    Its standard input is a pipe whose other end only this process holds, so that it stops even if this one is
    killed (`lifeline`).

    Parameters
    ----------
    name
        For logs and errors.
    arguments
        Command and options, without ``--json``.
    logs
        Existing folder; events go to ``<name>.jsonl``, standard error to ``<name>.log``.
    listener
        Told of every event, from a thread of the child's own.
    """

    def __init__(self, name: str, arguments: Sequence[str], logs: Path, listener: Listener) -> None:
        self.name = name
        self.result: dict[str, Any] | None = None
        self._listener = listener
        self._seen: dict[str, dict[str, Any]] = {}
        self._news = threading.Condition()
        self._events = (logs / f"{name}.jsonl").open("a", encoding="utf-8")
        with (logs / f"{name}.log").open("ab") as errors:
            self._process = subprocess.Popen(  # noqa: S603 (our own interpreter and module, no shell)
                [sys.executable, "-m", "zkpfl", *arguments, "--json"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                env=_environment(),
                start_new_session=True,
            )
        self._reader = threading.Thread(target=self._read, name=f"child {name}", daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self._process.poll() is None

    def wait_for(self, event: str, timeout_s: float, stop: threading.Event) -> dict[str, Any]:
        """Wait until the child has reported ``event`` and return it.

        Raises
        ------
        Unavailable
            The child ended first, or this process was told to stop.
        DeadlineExceeded
            It took longer than ``timeout_s``.
        """
        deadline = time.monotonic() + timeout_s
        with self._news:
            while event not in self._seen:
                if stop.is_set():
                    raise Unavailable("stopped while starting", party=self.name)
                if not self._reader.is_alive():
                    raise Unavailable(self.failure(), party=self.name, hint="its log says more")
                if time.monotonic() > deadline:
                    raise DeadlineExceeded(f"not {event} within {timeout_s:g} s", party=self.name)
                self._news.wait(0.1)
            return self._seen[event]

    def wait(self, timeout_s: float) -> bool:
        """Wait until the process has ended and all that it said is read; returns whether it has."""
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return False
        self._reader.join(timeout_s)
        return True

    def failure(self) -> str:
        """Say why the process ended, in its own words where it left any."""
        error = (self.result or {}).get("error", {})
        return f"ended: {error.get('message', f'exit code {self._process.poll()}')}"

    def request_stop(self) -> None:
        """Ask the process to stop; does nothing if it has ended."""
        self._signal(signal.SIGTERM)

    def kill(self, grace_s: float) -> None:
        """Give the process ``grace_s`` seconds, then kill its whole group; returns when it is gone."""
        if not self.wait(grace_s):
            self._signal(signal.SIGKILL)
            self._process.wait()
            self._reader.join(_KILL_GRACE_S)
        if self._process.stdin is not None:
            self._process.stdin.close()

    def _signal(self, number: signal.Signals) -> None:
        if self.alive:
            try:
                os.killpg(self._process.pid, number)
            except ProcessLookupError:
                return  # it has just ended

    def _read(self) -> None:
        assert self._process.stdout is not None  # noqa: S101 (it was asked for)
        with self._process.stdout as lines, self._events:
            for line in lines:
                message = _message(line)
                if message is None:
                    continue
                self._events.write(json.dumps({"time": round(time.time(), 3), **message}) + "\n")
                self._events.flush()
                self._take(message)

    def _take(self, message: dict[str, Any]) -> None:
        with self._news:
            if "event" in message:
                self._seen.setdefault(str(message["event"]), message)
            else:
                self.result = message
            self._news.notify_all()
        if "event" in message:
            self._listener(self, message)


class Crew:
    """Child processes that end, at the latest, with this context, the youngest first."""

    def __init__(self, logs: Path, listener: Listener) -> None:
        logs.mkdir(parents=True, exist_ok=True)
        self._logs = logs
        self._listener = listener
        self._children: list[Child] = []

    def start(self, name: str, arguments: Sequence[str]) -> Child:
        """Start a child; see `Child`."""
        child = Child(name, arguments, self._logs, self._listener)
        self._children.append(child)
        return child

    def stop(self, children: Sequence[Child]) -> None:
        """Stop these children at once, and wait until they are gone."""
        for child in children:
            child.request_stop()
        deadline = time.monotonic() + STOP_GRACE_S
        for child in children:
            child.kill(max(0.0, deadline - time.monotonic()))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        # The ledger was first: the others may still want to tell it something.
        self.stop(self._children[:0:-1])
        self.stop(self._children[:1])


def _environment() -> Mapping[str, str]:
    """One thread a process: there are more processes than cores."""
    return {**os.environ, "OMP_NUM_THREADS": "1", "ZKPFL_NUM_THREADS": "1", LIFELINE: "1"}


def _message(line: bytes) -> dict[str, Any] | None:
    try:
        message = json.loads(line)
    except ValueError:
        return None
    return message if isinstance(message, dict) else None
