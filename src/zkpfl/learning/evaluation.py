"""Score of a model on a test set."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from zkpfl.learning.graph import EVALUATION_BATCH, GraphModule
from zkpfl.learning.objective import count_right, loss_of, training_labels
from zkpfl.learning.recipe import Recipe
from zkpfl.learning.records import Records
from zkpfl.learning.weights import Vector, assign


@dataclass(frozen=True)
class Score:
    """``correct`` of ``total`` records were right by the recipe's metric; ``loss`` is the mean."""

    correct: int
    total: int
    loss: float

    @property
    def accuracy(self) -> float:
        """Share of correct predictions, in [0, 1]."""
        return self.correct / self.total


def evaluate(model: GraphModule, weights: Vector, records: Records, recipe: Recipe) -> Score:
    """Predict records with the given weights, in eval mode on the CPU.

    Parameters
    ----------
    model
        Its weights are overwritten.
    weights
        float32 ``[d]``.
    records
        Features standardised as in training, labels in their own unit.
    recipe
        Gives loss and metric.

    Raises
    ------
    InvalidData
        Features or labels do not fit the recipe.
    InvalidParameter
        The weights do not.
    InvalidBundle
        See :func:`require_evaluable`.
    """
    records, summed = recipe.checked(records.features, records.labels), loss_of(recipe, reduction="sum")
    wanted = training_labels(records.labels, recipe)
    require_evaluable(model, len(records))
    model.cpu().eval()
    assign(model, weights)
    correct, loss = 0, 0.0
    with torch.inference_mode():
        for start in range(0, len(records), EVALUATION_BATCH):
            part = slice(start, start + EVALUATION_BATCH)
            outputs = model(torch.from_numpy(records.features[part]))
            correct += count_right(outputs, torch.from_numpy(records.labels[part]), recipe)
            loss += float(summed(outputs.double(), torch.from_numpy(wanted[part])))
    return Score(correct, len(records), loss / len(records))


def require_evaluable(model: GraphModule, records: int) -> None:
    """Raise ``InvalidBundle`` unless the graph works for the batches in which so many are evaluated."""
    for size in {min(records, EVALUATION_BATCH), records % EVALUATION_BATCH} - {0}:
        model.require_batch(size, modes=(False,))
