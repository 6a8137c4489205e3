"""Small models of each family that owners bring; records have 24 values and one of three classes."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from zkpfl.learning.architectures import cnn, mlp

INPUTS, CLASSES, STEPS = 24, 3, 6


class Recurrent(nn.Module):
    """Reads a record as six steps of four values; the last state decides."""

    def __init__(self, cell: type[nn.LSTM | nn.GRU], *, bidirectional: bool = False) -> None:
        super().__init__()
        self.cell = cell(4, 8, num_layers=2, batch_first=True, dropout=0.2, bidirectional=bidirectional)
        self.head = nn.Linear(16 if bidirectional else 8, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        states, _ = self.cell(x.unflatten(1, (STEPS, 4)))
        return self.head(states[:, -1])


class Transformer(nn.Module):
    """Two layers of attention over six tokens; their mean decides."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Linear(4, 16)
        self.place = nn.Parameter(torch.zeros(STEPS, 16).normal_(std=0.1))
        layer = nn.TransformerEncoderLayer(16, 2, 32, dropout=0.1, activation="gelu", batch_first=True)
        self.layers = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(16, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.embed(x.unflatten(1, (STEPS, 4))) + self.place
        return self.head(self.layers(tokens).mean(1))


FAMILIES: dict[str, Callable[[], nn.Module]] = {
    "mlp": lambda: mlp(INPUTS, (16, 8), CLASSES, activation="gelu", dropout=0.1),
    "cnn_group": lambda: cnn((1, 4, 6), (8, 12), CLASSES),
    "cnn_batch": lambda: cnn((1, 4, 6), (8, 12), CLASSES, norm="batch"),
    "lstm": lambda: Recurrent(nn.LSTM),
    "lstm_bidirectional": lambda: Recurrent(nn.LSTM, bidirectional=True),
    "gru": lambda: Recurrent(nn.GRU),
    "transformer": Transformer,
}


def family(name: str) -> nn.Module:
    """The model, with the same weights every time."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(7)
        return FAMILIES[name]()
