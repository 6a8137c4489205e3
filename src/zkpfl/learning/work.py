"""How much a graph has to compute, from shapes alone: what would take too long is refused before it runs.

The unit is one multiply-add inside a matrix product or a convolution, 0.03 to 0.1 ns on one core. What moves
an element through memory, or takes its exponential, counts as ``ELEMENT`` of them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from torch import Tensor

from zkpfl.errors import InvalidBundle
from zkpfl.learning.recurrent import time_steps

MAX_WORK = 1 << 38
"""Of one forward pass over a batch: about ten seconds, or 2^30 multiply-adds a record when evaluated."""

MAX_TRIAL_WORK = 1 << 34
"""Of the passes that are made when a graph is read: about a second."""

ELEMENT = 16
TIME_STEP = 1 << 20
"""Of a recurrent layer for each place of its sequence, however narrow: it calls small kernels in a loop."""

Arguments = Mapping[str, Any]


class Meter:
    """Adds up the work of a pass and stops it.

    Parameters
    ----------
    limit
        Most work, in units of the module.
    records
        Size of the batch, for the error.
    """

    def __init__(self, limit: int, records: int) -> None:
        self._left = self._limit = limit
        self._records = records

    def charge(self, operator: str, arguments: Arguments, result: Any) -> None:
        """Charge a call whose result has these shapes; raises ``InvalidBundle`` above the limit."""
        moved = sum(tensor.numel() for tensor in (*tensors_in(arguments.values()), *tensors_in(result)))
        self._left -= ELEMENT * moved + _products(operator, arguments, result)
        if self._left < 0:
            raise InvalidBundle(
                f"a batch of {self._records} needs more than 2^{self._limit.bit_length() - 1} operations",
                field="graph",
                hint="docs/operators.md says how they are counted",
            )


def tensors_in(value: Any) -> Iterator[Tensor]:
    """Every tensor of a value or of a nest of lists."""
    if isinstance(value, Tensor):
        yield value
    elif not isinstance(value, (str, int, float, type(None))):
        for item in value:
            yield from tensors_in(item)


def _products(operator: str, arguments: Arguments, result: Any) -> int:
    """Multiply-adds, or comparisons in windows, beyond one for each element moved."""
    match operator.split(".")[1]:
        case "linear":
            return int(result.numel() * arguments["input"].shape[-1])
        case "matmul" | "bmm":
            return int(result.numel() * arguments["self"].shape[-1])
        case "conv1d" | "conv2d":
            return int(result.numel() * math.prod(arguments["weight"].shape[1:]))
        case "lstm" | "gru":
            rows = arguments["input"].shape[:-1].numel()
            weights = sum(tensor.numel() for tensor in arguments["params"])
            return int(rows * weights + TIME_STEP * time_steps(arguments))
        case "scaled_dot_product_attention":
            query, key, value = (arguments[name] for name in ("query", "key", "value"))
            return int(query.shape[:-1].numel() * key.shape[-2] * (query.shape[-1] + value.shape[-1]))
        case "max_pool1d" | "max_pool2d" | "avg_pool1d" | "avg_pool2d":
            axes = int(operator.split(".")[1][-2])
            sizes = arguments["kernel_size"]
            window = math.prod(sizes) if len(sizes) == axes else sizes[0] ** axes
            return int(ELEMENT * result.numel() * window)
        case "adaptive_avg_pool1d" | "adaptive_avg_pool2d":
            ends = zip(arguments["self"].shape[::-1], arguments["output_size"][::-1], strict=False)
            return int(ELEMENT * result.numel() * math.prod(size // out + 2 for size, out in ends))
    return 0
