import numpy as np
import pytest
import torch
from torch import nn

from zkpfl.learning.architectures import mlp
from zkpfl.learning.export import bundle_of
from zkpfl.learning.recipe import Recipe
from zkpfl.learning.records import Records


class ConvNet(nn.Module):
    """Convolution, batch norm, pooling, dropout on an 8 × 8 image."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(
            nn.Unflatten(1, (1, 8, 8)), nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(),
            nn.MaxPool2d(2), nn.Flatten(), nn.Linear(64, 10), nn.Dropout(0.5),
        )  # fmt: skip

    def forward(self, x):
        return self.body(x)


@pytest.fixture
def conv_net():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return ConvNet()


@pytest.fixture
def recipe():
    return Recipe(features=("a", "b", "c"), classes=("no", "yes"), clip_norm=1.0, learning_rate=0.1)


@pytest.fixture
def records():
    generator = np.random.default_rng(1)
    features = generator.normal(size=(67, 3)).astype(np.float32)
    return Records(features, (features[:, 0] + features[:, 1] > 0).astype(np.int64))


@pytest.fixture
def bundle(recipe, records):
    return bundle_of(mlp(3, (4,), 2, dropout=0.2), recipe, records)
