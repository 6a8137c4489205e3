"""Score of a model on a test set."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from zkpfl.learning.graph import EVALUATION_BATCH, GraphModule
from zkpfl.learning.records import Records
from zkpfl.learning.weights import Vector, assign


@dataclass(frozen=True)
class Score:
    """``correct`` of ``total`` records were classified right; ``loss`` is the mean cross entropy in nats."""

    correct: int
    total: int
    loss: float

    @property
    def accuracy(self) -> float:
        """Share of correct predictions, in [0, 1]."""
        return self.correct / self.total


def evaluate(
    model: GraphModule, weights: Vector, features: NDArray[np.float32], labels: NDArray[np.int64]
) -> Score:
    """Classify records with the given weights, in eval mode on the CPU.

    Parameters
    ----------
    model
        Its weights are overwritten.
    weights
        float32 ``[d]``.
    features
        float32 ``[n, f]``, standardised as in training, ``n ≥ 1``.
    labels
        int64 ``[n]``, in ``[0, c)``.

    Raises
    ------
    InvalidData
        Features or labels do not fit the model.
    InvalidParameter
        The weights do not.
    InvalidBundle
        See :func:`require_evaluable`.
    """
    records = Records.checked(features, labels, inputs=model.inputs, classes=model.outputs)
    require_evaluable(model, len(records))
    model.cpu().eval()
    assign(model, weights)
    correct, loss = 0, 0.0
    with torch.inference_mode():
        for start in range(0, len(records), EVALUATION_BATCH):
            x = torch.from_numpy(records.features[start : start + EVALUATION_BATCH])
            y = torch.from_numpy(records.labels[start : start + EVALUATION_BATCH])
            logits = model(x)
            correct += int((logits.argmax(dim=1) == y).sum())
            loss += float(torch.nn.functional.cross_entropy(logits.double(), y, reduction="sum"))
    return Score(correct, len(records), loss / len(records))


def require_evaluable(model: GraphModule, records: int) -> None:
    """Raise ``InvalidBundle`` unless the graph works for the batches in which so many are evaluated."""
    for size in {min(records, EVALUATION_BATCH), records % EVALUATION_BATCH} - {0}:
        model.require_batch(size, modes=(False,))
