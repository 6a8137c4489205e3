"""From a float32 update to packed scalars and back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from pytest_benchmark.fixture import BenchmarkFixture

from benchmarks import material
from benchmarks.figures import Figure, Peer, Task, timed
from benchmarks.peers import flower, numpy_encoding
from benchmarks.peers.native import reading
from benchmarks.running import run_figure
from zkpfl.crypto.encoding import clip, encode_update, pack, quantize, rotate, unpack_sum
from zkpfl.crypto.scalars import ORDER, from_int

ROTATION_SEED, ROUNDING_SEED = bytes(32), bytes(range(32))


def clipping(dimension: int) -> Task:
    """Norm and scaling."""
    update = material.update(dimension)

    def check(clipped: Any) -> None:
        np.testing.assert_allclose(clipped, numpy_encoding.clip(update, 1.0), rtol=1e-6)

    numpy = timed(lambda: numpy_encoding.clip(update, 1.0), check)
    return _task(dimension, lambda: clip(update, 1.0), check, numpy, passes=2)


def rotation(dimension: int) -> Task:
    """Signs and Walsh–Hadamard transform."""
    update = material.update(dimension)
    expected = numpy_encoding.rotate(update, ROTATION_SEED)

    def check(rotated: Any) -> None:
        assert rotated.tobytes() == expected.tobytes()

    numpy = timed(lambda: numpy_encoding.rotate(update, ROTATION_SEED), check)
    return _task(dimension, lambda: rotate(update, ROTATION_SEED), check, numpy)


def rounding(dimension: int) -> Task:
    """Scaling and stochastic rounding, key stream included."""
    fixed_point = material.fixed_point(dimension)
    update = rotate(clip(material.update(dimension), 1.0), ROTATION_SEED)
    expected = numpy_encoding.quantize(update, fixed_point, ROUNDING_SEED)

    def check(integers: Any) -> None:
        assert np.array_equal(integers, expected)

    numpy = timed(lambda: numpy_encoding.quantize(update, fixed_point, ROUNDING_SEED), check)
    return _task(dimension, lambda: quantize(update, fixed_point, ROUNDING_SEED), check, numpy)


def encoding(dimension: int) -> Task:
    """All of it."""
    fixed_point, update = material.fixed_point(dimension), material.update(dimension)

    def in_numpy() -> Any:
        rotated = numpy_encoding.rotate(numpy_encoding.clip(update, 1.0), ROTATION_SEED)
        return numpy_encoding.quantize(rotated, fixed_point, ROUNDING_SEED)

    def run() -> Any:
        return encode_update(update, fixed_point, ROTATION_SEED, ROUNDING_SEED)

    expected = in_numpy()

    def check(integers: Any) -> None:
        # A norm that differs in its last bit may move a coordinate across the threshold of its coin.
        assert np.count_nonzero(integers != expected) <= dimension // 1000

    task = _task(dimension, run, check, timed(in_numpy, check))
    return replace(task, peers={**task.peers, **flower.quantizing(update, 1.0, 12)})


def packing(dimension: int) -> Task:
    """Integers into lanes."""
    layout, values = material.layout(dimension), material.integers(dimension, 12)
    expected = from_int(_packed_column(values[:: layout.columns].tolist(), layout.lanes, layout.lane_width))

    def check(packed: Any) -> None:
        assert np.array_equal(packed[:, 0], expected)

    def in_python() -> Any:
        return _packed_column(values[:: layout.columns].tolist(), layout.lanes, layout.lane_width)

    python = Peer(layout.lane_rows, timed(in_python, lambda column: _check_column(column, expected)))
    memory = reading(values.nbytes + 32 * layout.packed_rows * layout.columns, dimension)
    peers = {"memory bandwidth": memory, "Python integers": python}
    return Task(dimension, lambda: pack(values, layout), check, peers)


def unpacking(dimension: int) -> Task:
    """Lanes into integers."""
    layout, values = material.layout(dimension), material.integers(dimension, 12)
    packed = pack(values, layout)

    def check(integers: Any) -> None:
        assert np.array_equal(integers, values)

    memory = reading(packed.nbytes + 8 * dimension, dimension)
    return Task(dimension, lambda: unpack_sum(packed, layout), check, {"memory bandwidth": memory})


def _check_column(column: list[int], expected: Any) -> None:
    assert np.array_equal(from_int(column), expected)


def _packed_column(column: list[int], lanes: int, width: int) -> list[int]:
    starts = range(0, len(column), lanes)
    return [sum(x << (width * lane) for lane, x in enumerate(column[p : p + lanes])) % ORDER for p in starts]


def _task(
    dimension: int,
    run: Callable[[], Any],
    check: Callable[[Any], None],
    numpy: Callable[[], float],
    passes: int = 1,
) -> Task:
    memory = reading(4 * passes * dimension, dimension)
    return Task(dimension, run, check, {"memory bandwidth": memory, "NumPy": Peer(dimension, numpy)})


FIGURES = (
    Figure("clip", "value", clipping),
    Figure("rotate", "value", rotation),
    Figure("round", "value", rounding),
    Figure("encode: clip, rotate, round", "value", encoding),
    Figure("encode, two threads", "value", encoding, threads=2),
    Figure("pack", "value", packing),
    Figure("unpack", "value", unpacking),
)


def test_encode(benchmark: BenchmarkFixture, figure: Figure) -> None:
    run_figure(benchmark, figure)
