"""Models to choose by their layers alone, for owners who do not want to write one."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import torch
from torch import nn

from zkpfl.errors import InvalidParameter

ACTIVATIONS = {"relu": nn.ReLU, "tanh": nn.Tanh, "gelu": nn.GELU, "silu": nn.SiLU}
NORMS: dict[str, Callable[[int], nn.Module]] = {
    "none": lambda _channels: nn.Identity(),
    "group": lambda channels: nn.GroupNorm(_groups(channels), channels),
    "batch": nn.BatchNorm2d,
}
_MOST_GROUPS = 8


def mlp(
    inputs: int,
    hidden: tuple[int, ...],
    outputs: int,
    *,
    activation: str = "relu",
    dropout: float = 0.0,
    seed: int = 0,
) -> nn.Sequential:
    """Multilayer perceptron with torch's default initialisation drawn from ``seed``.

    Parameters
    ----------
    inputs, outputs
        Numbers of features and of classes, at least 1.
    hidden
        Widths of the hidden layers; empty gives logistic regression.
    activation
        ``relu``, ``tanh``, ``gelu`` or ``silu``.
    dropout
        Probability in [0, 1) of dropping a hidden value in training; 0 leaves the layer out.
    seed
        Of the initial weights; torch's global generator is left alone.

    Raises
    ------
    InvalidParameter
        A width below 1, an unknown activation, or a dropout outside [0, 1).
    """
    if min(inputs, outputs, *hidden) < 1:
        raise InvalidParameter("every width must be at least 1", field="hidden")
    if activation not in ACTIVATIONS:
        raise InvalidParameter(f"must be one of {sorted(ACTIVATIONS)}", field="activation")
    if not 0 <= dropout < 1:
        raise InvalidParameter(f"must be in [0, 1), got {dropout}", field="dropout")
    layers: list[nn.Module] = []
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for width, following in pairwise((inputs, *hidden)):
            layers += [nn.Linear(width, following), ACTIVATIONS[activation]()]
            layers += [nn.Dropout(dropout)] if dropout else []
        layers.append(nn.Linear((inputs, *hidden)[-1], outputs))
    return nn.Sequential(*layers)


def cnn(
    image: tuple[int, int, int],
    channels: tuple[int, ...],
    outputs: int,
    *,
    activation: str = "relu",
    norm: str = "group",
    seed: int = 0,
) -> nn.Sequential:
    """Convolutional network: 3 × 3 convolutions, each with norm, activation and 2 × 2 maximum; then the mean.

    Parameters
    ----------
    image
        Channels, height and width of an image; records are images flattened in this order.
    channels
        Widths of the convolutions, at least one; each halves height and width.
    outputs
        Number of classes, at least 1.
    activation
        ``relu``, ``tanh``, ``gelu`` or ``silu``.
    norm
        ``group`` (at most 8 groups), ``batch`` (its running statistics are averaged like weights; it cannot
        be trained with differential privacy) or ``none``.
    seed
        Of the initial weights; torch's global generator is left alone.

    Raises
    ------
    InvalidParameter
        A size below 1, more halvings than the image has, or an unknown activation or norm.
    """
    if min(*image, *channels, outputs, len(channels)) < 1:
        raise InvalidParameter("every size, and their number, must be at least 1", field="channels")
    if min(image[1:]) >> len(channels) < 1:
        text = f"{len(channels)} halvings leave nothing of {image[1]} × {image[2]}"
        raise InvalidParameter(text, field="channels", hint="use fewer convolutions")
    for field, value, known in (("activation", activation, ACTIVATIONS), ("norm", norm, NORMS)):
        if value not in known:
            raise InvalidParameter(f"must be one of {sorted(known)}", field=field)
    layers: list[nn.Module] = [nn.Unflatten(1, image)]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for width, following in pairwise((image[0], *channels)):
            convolution = nn.Conv2d(width, following, 3, padding=1)
            layers += [convolution, NORMS[norm](following), ACTIVATIONS[activation](), nn.MaxPool2d(2)]
        layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels[-1], outputs)]
    return nn.Sequential(*layers)


def _groups(channels: int) -> int:
    return max(groups for groups in range(1, _MOST_GROUPS + 1) if channels % groups == 0)
