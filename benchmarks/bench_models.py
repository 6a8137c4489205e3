"""The interpreter of model graphs beside the modules that they came from: forward, and with backward.

Compare the two of a group: ``pytest benchmarks/bench_models.py --benchmark-only --benchmark-group-by=group``.
"""

from __future__ import annotations

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


@pytest.mark.parametrize("way", ["native", "graph"])
@pytest.mark.parametrize("name", MODELS)
def test_forward_and_backward(benchmark: BenchmarkFixture, name: str, way: str) -> None:
    benchmark.group = f"{name}, {BATCH} records"
    torch.manual_seed(0)
    torch.set_num_threads(1)
    build, inputs = MODELS[name]
    module = build()
    model = GraphModule(*export_graph(module, torch.zeros(2, inputs))) if way == "graph" else module
    model.train()
    x, y = torch.randn(BATCH, inputs), torch.randint(4, (BATCH,))

    def step() -> None:
        model.zero_grad()
        cross_entropy(model(x), y).backward()  # type: ignore[no-untyped-call]

    benchmark(step)
