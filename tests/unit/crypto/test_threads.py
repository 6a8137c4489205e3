"""Threads: the same results on any number, never more than allowed, and the GIL is free meanwhile."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from zkpfl.crypto.commitments import commit_lanes, commit_rows
from zkpfl.crypto.encoding import pack
from zkpfl.crypto.generators import generators
from zkpfl.crypto.merkle import hash_blob
from zkpfl.crypto.points import G1Array, msm, sum_arrays
from zkpfl.crypto.scalars import linear_combination, random_scalars, sum_scalars
from zkpfl.crypto.sharing import expand_seed
from zkpfl.params import Layout

LAYOUT = Layout(dimension=20_000, norm_bound=2**18)
GENS = generators(256)
RNG = np.random.default_rng(1)
VALUES = RNG.integers(-2048, 2048, LAYOUT.dimension).astype(np.int16)
BLINDINGS = random_scalars((LAYOUT.lane_rows,), RNG.bytes)
ROWS = random_scalars((40, 257), RNG.bytes)
WIRE = GENS.G.encode()

KERNELS: dict[str, Callable[[], object]] = {
    "commit_lanes": lambda: commit_lanes(VALUES, BLINDINGS, LAYOUT, GENS).encode(),
    "commit_rows": lambda: commit_rows(ROWS, GENS).encode(),
    "msm": lambda: msm(GENS.G, ROWS[0, :256]).encode(),
    "decode": lambda: G1Array.decode(WIRE).encode(),
    "sum_arrays": lambda: sum_arrays([GENS.G] * 3).encode(),
    "sum_scalars": lambda: sum_scalars(ROWS).tobytes(),
    "linear_combination": lambda: linear_combination(ROWS, ROWS[0, :40]).tobytes(),
    "expand_seed": lambda: expand_seed(bytes(32), 9, 257).tobytes(),
    "pack": lambda: pack(VALUES, LAYOUT).tobytes(),
    "hash_blob": lambda: hash_blob(VALUES.tobytes() * 20),
}


@pytest.mark.parametrize("kernel", KERNELS)
def test_results_do_not_depend_on_threads(kernel: str, monkeypatch: pytest.MonkeyPatch) -> None:
    results = []
    for count in ("1", "2", "3", "8"):
        monkeypatch.setenv("ZKPFL_NUM_THREADS", count)
        results.append(KERNELS[kernel]())
    assert all(result == results[0] for result in results)


def test_no_kernel_starts_more_threads_than_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZKPFL_NUM_THREADS", "3")
    with _most_threads() as most:
        for _ in range(20):
            commit_rows(ROWS, GENS)
    assert most() in {1, 2}  # helpers of the calling thread


def test_kernels_that_run_at_once_share_the_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZKPFL_NUM_THREADS", "3")
    callers = [
        threading.Thread(target=lambda: [commit_rows(ROWS, GENS) for _ in range(10)]) for _ in range(4)
    ]
    with _most_threads() as most:
        for caller in callers:
            caller.start()
        for caller in callers:
            caller.join()
    assert 4 <= most() <= 4 + 2


def test_kernels_leave_the_interpreter_free(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZKPFL_NUM_THREADS", "1")
    rows = random_scalars((200, 257), RNG.bytes)
    began, moments, done = time.monotonic(), [], threading.Event()

    def watch() -> None:
        while not done.is_set():
            moments.append(time.monotonic())
            time.sleep(0.001)

    watcher = threading.Thread(target=watch)
    watcher.start()
    commit_rows(rows, GENS)
    ended = time.monotonic()
    done.set()
    watcher.join()
    during = [moment for moment in moments if began < moment < ended]
    assert len(during) >= 5


@contextmanager
def _most_threads() -> Iterator[Callable[[], int]]:
    """Count by how many the threads of this process grow at most."""
    tasks = Path("/proc/self/task")
    if not tasks.exists():
        pytest.skip("needs Linux")
    counts, done = [0], threading.Event()

    def watch() -> None:
        while not done.is_set():
            counts.append(len(list(tasks.iterdir())))
            time.sleep(0.0005)

    watcher = threading.Thread(target=watch)
    watcher.start()
    before = len(list(tasks.iterdir()))
    try:
        yield lambda: max(counts) - before
    finally:
        done.set()
        watcher.join()
