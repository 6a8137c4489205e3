"""The interpreter of model graphs beside the modules that they came from: forward and backward of a batch.

``python -m benchmarks.bench_models`` prints the table of docs/benchmarks.md: the best CPU time of either, one
after the other in turns, so that what else the machine does slows both down alike. Or compare the two of a
group: ``pytest benchmarks/bench_models.py --benchmark-only --benchmark-group-by=group``.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture
from torch import nn
from torch.nn.functional import cross_entropy

from zkpfl.learning.architectures import cnn, mlp
from zkpfl.learning.export import export_graph
from zkpfl.learning.graph import GraphModule

BATCH = 64


class Recurrent(nn.Module):
    def __init__(self, cell: type[nn.LSTM | nn.GRU]) -> None:
        super().__init__()
        self.cell, self.head = cell(16, 64, batch_first=True), nn.Linear(64, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        states, _ = self.cell(x.reshape(-1, 24, 16))
        out: torch.Tensor = self.head(states[:, -1])
        return out


class Transformer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(64, 4, 128, dropout=0.0, batch_first=True)
        self.embed, self.head = nn.Linear(16, 64), nn.Linear(64, 4)
        self.layers = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.head(self.layers(self.embed(x.reshape(-1, 24, 16))).mean(1))
        return out


MODELS: dict[str, tuple[Callable[[], nn.Module], int]] = {
    "mlp": (lambda: mlp(64, (256, 128), 4), 64),
    "cnn": (lambda: cnn((1, 28, 28), (16, 32), 4), 784),
    "lstm": (lambda: Recurrent(nn.LSTM), 384),
    "gru": (lambda: Recurrent(nn.GRU), 384),
    "transformer": (Transformer, 384),
}


def stepper(name: str, *, graph: bool) -> Callable[[], None]:
    """Forward and backward of a batch, by the interpreter of the module's graph or by the module itself."""
    torch.manual_seed(0)
    build, inputs = MODELS[name]
    module = build()
    model = GraphModule(*export_graph(module, torch.zeros(2, inputs))) if graph else module
    model.train()
    x, y = torch.randn(BATCH, inputs), torch.randint(4, (BATCH,))

    def step() -> None:
        model.zero_grad()
        cross_entropy(model(x), y).backward()  # type: ignore[no-untyped-call]

    return step


@pytest.mark.parametrize("way", ["native", "graph"])
@pytest.mark.parametrize("name", MODELS)
def test_forward_and_backward(benchmark: BenchmarkFixture, name: str, way: str) -> None:
    benchmark.group = f"{name}, {BATCH} records"
    torch.set_num_threads(1)
    benchmark(stepper(name, graph=way == "graph"))


def compare(name: str, turns: int = 300) -> tuple[float, float, float]:
    """Best seconds of the module and of the graph, and the median ratio of a turn, graph over module."""
    native, graph = stepper(name, graph=False), stepper(name, graph=True)
    pairs = [(_seconds(native), _seconds(graph)) for _ in range(turns)][turns // 10 :]
    best = [min(times) for times in zip(*pairs, strict=True)]
    return best[0], best[1], statistics.median(after / before for before, after in pairs)


def _seconds(step: Callable[[], None]) -> float:
    began = time.process_time()
    step()
    return time.process_time() - began


if __name__ == "__main__":
    torch.set_num_threads(1)
    print("| model | module | graph | best over best | median of turns |\n|---|---|---|---|---|")
    for each in MODELS:
        before, after, median = compare(each)
        times = f"{before * 1e3:.2f} ms | {after * 1e3:.2f} ms"
        print(f"| {each} | {times} | {after / before:.2f} | {median:.2f} |")
