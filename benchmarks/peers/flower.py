"""Client stages of Flower's secure aggregation (SecAgg+), where the package ``flwr`` is installed.

It masks for an honest server and proves nothing, so its stages are peers in time only.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.figures import Peer, timed


def quantizing(update: NDArray[np.float32], clipping: float, value_bits: int) -> dict[str, Peer]:
    """Clip each value and round it stochastically; empty without Flower."""
    if find_spec("flwr") is None:
        return {}
    from flwr.common.secure_aggregation.quantization import quantize  # noqa: PLC0415  (optional)

    def check(quantized: list[NDArray[np.int32]]) -> None:
        assert quantized[0].min() >= 0
        assert quantized[0].max() <= 1 << value_bits

    vector = update.astype(np.float64)  # what it is made for
    seconds = timed(lambda: quantize([vector], clipping, 1 << value_bits), check)
    return {"Flower: quantize": Peer(len(update), seconds)}


def masking(count: int) -> dict[str, Peer]:
    """The mask that two clients share, of which a client needs one a neighbour; empty without Flower."""
    if find_spec("flwr") is None:
        return {}
    from flwr.common.secure_aggregation.secaggplus_utils import pseudo_rand_gen  # noqa: PLC0415  (optional)

    def run() -> Any:
        return pseudo_rand_gen(bytes(range(32)), 1 << 32, [(count,)])

    expected = run()

    def check(mask: Any) -> None:
        assert np.array_equal(mask, expected)

    return {"Flower: mask of one neighbour": Peer(count, timed(run, check))}
