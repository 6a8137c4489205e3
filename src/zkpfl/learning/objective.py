"""What a recipe's model is trained for, and which of its predictions count as right."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy, mse_loss

from zkpfl.learning.recipe import Recipe
from zkpfl.learning.records import Labels
from zkpfl.learning.scaling import scale_labels, unscale_outputs

Loss: TypeAlias = Callable[[Tensor, Tensor], Tensor]
"""Of outputs ``[n, c]`` and labels ``[n]`` as `training_labels` makes them; a scalar."""


def loss_of(recipe: Recipe, *, reduction: str = "mean") -> Loss:
    """The recipe's loss, over records by ``mean`` or ``sum``.

    ``cross_entropy``: −log softmax(y)_k in nats. ``binary_cross_entropy``: −log σ(y) of class 1, −log σ(−y)
    of class 0. ``mse``: (y − label)².
    """

    def single_output(function: Callable[..., Tensor]) -> Loss:
        return lambda outputs, labels: function(
            outputs.squeeze(1), labels.to(outputs.dtype), reduction=reduction
        )

    match recipe.loss:
        case "mse":
            return single_output(mse_loss)
        case "binary_cross_entropy":
            return single_output(binary_cross_entropy_with_logits)
    return lambda outputs, labels: cross_entropy(outputs, labels, reduction=reduction)


def training_labels(labels: Labels, recipe: Recipe) -> Labels:
    """Labels as the loss takes them: scaled to [−1, 1] if the recipe states their range."""
    return labels if recipe.label_range is None else scale_labels(labels, recipe.label_range)


def count_right(outputs: Tensor, labels: Tensor, recipe: Recipe) -> int:
    """How many predictions the recipe's metric takes for right.

    Parameters
    ----------
    outputs
        float32 ``[n, c]`` of the model.
    labels
        ``[n]``, in their own unit.
    recipe
        Gives loss, range of the labels and tolerance. Of a regression right is what differs from the label
        by at most the tolerance, in float64; of one logit, a label of 1 if it is above 0.
    """
    match recipe.loss:
        case "mse":
            assert recipe.tolerance is not None  # noqa: S101  (checked by the recipe)
            predicted = outputs.squeeze(1).double().numpy()
            if recipe.label_range is not None:
                predicted = unscale_outputs(predicted, recipe.label_range)
            errors = torch.from_numpy(predicted) - labels.double()
            return int((errors.abs() <= recipe.tolerance).sum())
        case "binary_cross_entropy":
            return int(((outputs.squeeze(1) > 0).long() == labels).sum())
    return int((outputs.argmax(dim=1) == labels).sum())
