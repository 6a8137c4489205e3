"""What plain federated averaging reaches on the split of a demo."""

from __future__ import annotations

from zkpfl.cli.demo.settings import DemoData, DemoSettings
from zkpfl.learning.averaging import simulate
from zkpfl.learning.bundle import Bundle
from zkpfl.learning.digits import digits
from zkpfl.learning.heart_disease import heart_disease
from zkpfl.learning.records import Records


def baseline_accuracy(settings: DemoSettings, bundle: Bundle, rounds: int) -> float:
    """Accuracy in [0, 1] after so many rounds, on the whole test set."""
    history = simulate(bundle, _records(settings), rounds=rounds, seed=settings.seed)
    return history[-1].score.accuracy


def _records(settings: DemoSettings) -> list[Records]:
    if settings.data is DemoData.HEART:
        return [split.train for split in heart_disease(settings.seed)[: settings.trainers]]
    partition = settings.partition.value
    return digits(settings.seed, settings.trainers, partition=partition, alpha=settings.alpha).trainers
