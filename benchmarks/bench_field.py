"""Vectors of scalars: sums, weighted sums, the expansion of seeds."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from pytest_benchmark.fixture import BenchmarkFixture

from benchmarks import material
from benchmarks.figures import Figure, Peer, Task, timed
from benchmarks.peers import flower, python_field
from benchmarks.peers.native import reading
from benchmarks.running import run_figure
from zkpfl.crypto.keystream import stream
from zkpfl.crypto.scalars import (
    ORDER,
    Scalars,
    add_into,
    from_int,
    linear_combination,
    random_short,
    sum_scalars,
    to_int,
)
from zkpfl.crypto.sharing import expand_seed, interpolate_at_zero

TERMS = 32
SEED = bytes(range(32))


def total(dimension: int) -> Task:
    """The sum of 32 share matrices that are all in memory."""
    return _total(dimension, sum_scalars, reads=1)


def accumulated(dimension: int) -> Task:
    """The same, one matrix after the other as a zk-node adds them: the sum is read and written each time."""

    def run(rows: list[Scalars]) -> Scalars:
        out = np.zeros_like(rows[0])
        for row in rows:
            add_into(out, row)
        return out

    return _total(dimension, run, reads=3)


def _total(dimension: int, run: Callable[[list[Scalars]], Scalars], reads: int) -> Task:
    rows = _matrices(dimension, TERMS)
    python, expected = python_field.combination(rows, [1] * TERMS)
    work = TERMS * rows[0].size // 4
    bandwidth = reading(32 * reads * work, work)
    return Task(
        work,
        lambda: run(rows),
        _first(expected),
        {
            "memory bandwidth": bandwidth,
            "NumPy, no field": python_field.numpy_sum(rows),
            "Python integers": python,
        },
    )


def combine_short(dimension: int) -> Task:
    """Rows of one share with 128-bit weights, as a check of shares does."""
    layout = material.layout(dimension)
    rows = material.scalars(layout.packed_rows, layout.columns + 1)
    weights = random_short(len(rows))
    python, expected = python_field.combination(list(rows), to_int(weights))
    return Task(
        rows.size // 4,
        lambda: linear_combination(rows, weights),
        _first(expected),
        {"memory bandwidth": reading(rows.nbytes, rows.size // 4), "Python integers": python},
    )


def interpolate(dimension: int) -> Task:
    """A member's interpolation at zero through two aggregate shares."""
    one, two = _matrices(dimension, 2)
    python, expected = python_field.combination([one, two], [2, ORDER - 1])
    return Task(
        2 * one.size // 4,
        lambda: interpolate_at_zero({1: one, 2: two}),
        _first(expected),
        {"Python integers": python},
    )


def expand(dimension: int) -> Task:
    """A seed into the rows of a share, without bias."""
    layout = material.layout(dimension)
    rows, width = layout.packed_rows, layout.columns + 1
    blocks = stream(SEED, 0)(32 * 2 * width)
    numbers = [int.from_bytes(blocks[i : i + 32], "big") % (1 << 255) for i in range(0, len(blocks), 32)]
    expected = from_int([number for number in numbers if number < ORDER][:width])
    size = 32 * rows * width
    key_stream = Peer(rows * width, timed(lambda: stream(SEED, 0)(size), lambda out: _same_size(out, size)))
    return Task(
        rows * width,
        lambda: expand_seed(SEED, rows, width),
        _first(expected),
        {"AES-256-CTR": key_stream, **flower.masking(rows * width)},
    )


def _matrices(dimension: int, count: int) -> list[Scalars]:
    layout = material.layout(dimension)
    return [material.scalars(layout.packed_rows, layout.columns + 1, seed=seed) for seed in range(count)]


def _first(expected: Scalars) -> Callable[[Scalars], None]:
    def check(result: Scalars) -> None:
        flat = result.reshape(-1, 4)
        assert np.array_equal(flat[: len(expected)], expected[: len(flat)])

    return check


def _same_size(out: bytes, size: int) -> None:
    assert len(out) == size


FIGURES = (
    Figure("sum of 32 share vectors", "element", total),
    Figure("sum of 32 share vectors, one by one", "element", accumulated),
    Figure("combine rows with 128-bit weights", "element", combine_short),
    Figure("interpolate at zero", "element", interpolate),
    Figure("expand a seed", "element", expand),
    Figure("expand a seed, two threads", "element", expand, threads=2),
)


def test_field(benchmark: BenchmarkFixture, figure: Figure) -> None:
    run_figure(benchmark, figure)
