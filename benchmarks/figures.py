"""What a figure is, and how it is measured: the best of several runs, in CPU time for one thread.

A machine that others use too makes single runs slower, never faster, so the best run is the one that
says most. CPU time is what one thread needs; with more threads it is the time on the wall that counts.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

Seconds = Callable[[], float]


@dataclass(frozen=True)
class Peer:
    """Another implementation.

    Parameters
    ----------
    work
        Units of one run; a slow peer gets fewer.
    seconds
        Runs it once, asserts its result and returns how long it took.
    """

    work: int
    seconds: Seconds


@dataclass(frozen=True)
class Task:
    """A kernel with its input in memory.

    Parameters
    ----------
    work
        Units of one run.
    run
        What is timed.
    check
        Raises AssertionError unless the result is the twin's.
    peers
        By name.
    """

    work: int
    run: Callable[[], Any]
    check: Callable[[Any], None]
    peers: Mapping[str, Peer] = field(default_factory=dict)


@dataclass(frozen=True)
class Figure:
    """A kernel to measure.

    Parameters
    ----------
    name
        Unique.
    unit
        What the work is counted in.
    prepare
        Makes the task for a model of so many parameters.
    threads
        How many the kernel may use.
    """

    name: str
    unit: str
    prepare: Callable[[int], Task]
    threads: int = 1


@dataclass(frozen=True)
class Measurement:
    """Nanoseconds a unit: of the kernel and of each peer."""

    name: str
    unit: str
    threads: int
    nanoseconds: float
    peers: Mapping[str, float]

    @property
    def ratios(self) -> dict[str, float]:
        """How many times the kernel is faster than each peer."""
        return {name: other / self.nanoseconds for name, other in self.peers.items()}


def measure(figure: Figure, dimension: int, repeats: int = 5) -> Measurement:
    """Measure a kernel and its peers, turn by turn, and check every result."""
    with threads(figure.threads):
        task = figure.prepare(dimension)
        own = timed(task.run, task.check, wall=figure.threads > 1)
        best, others = own(), {name: peer.seconds() for name, peer in task.peers.items()}
        for _ in range(repeats - 1):
            best = min(best, own())
            others = {name: min(others[name], peer.seconds()) for name, peer in task.peers.items()}
    per_unit = {name: 1e9 * others[name] / peer.work for name, peer in task.peers.items()}
    return Measurement(figure.name, figure.unit, figure.threads, 1e9 * best / task.work, per_unit)


def timed(run: Callable[[], Any], check: Callable[[Any], None], *, wall: bool = False) -> Seconds:
    """Give a function that times ``run`` once and checks its result outside the timing."""
    clock = time.perf_counter if wall else time.process_time

    def seconds() -> float:
        begin = clock()
        result = run()
        elapsed = clock() - begin
        check(result)
        return elapsed

    return seconds


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Let the kernels use ``count`` threads."""
    before = os.environ.get("ZKPFL_NUM_THREADS")
    os.environ["ZKPFL_NUM_THREADS"] = str(count)
    try:
        yield
    finally:
        if before is None:
            del os.environ["ZKPFL_NUM_THREADS"]
        else:
            os.environ["ZKPFL_NUM_THREADS"] = before
