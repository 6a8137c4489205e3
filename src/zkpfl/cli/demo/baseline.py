"""What plain federated averaging reaches on the split of a demo."""

from __future__ import annotations

from collections.abc import Mapping

from zkpfl.cli.demo.settings import ATTACKER, DemoData, DemoSettings
from zkpfl.learning.averaging import simulate
from zkpfl.learning.bundle import Bundle
from zkpfl.learning.digits import digits
from zkpfl.learning.heart_disease import heart_disease
from zkpfl.learning.records import Records
from zkpfl.roles.attack import BOOST


def baseline_accuracy(settings: DemoSettings, bundle: Bundle, rounds: int) -> float:
    """Accuracy in [0, 1] after so many rounds of the honest trainers, on the whole test set."""
    return _accuracy(settings, bundle, rounds, {ATTACKER: 0} if settings.attack else {})


def attacked_accuracy(settings: DemoSettings, bundle: Bundle, rounds: int) -> float:
    """The same if the attacker's updates had been taken as they are."""
    return _accuracy(settings, bundle, rounds, {ATTACKER: BOOST})


def _accuracy(settings: DemoSettings, bundle: Bundle, rounds: int, factors: Mapping[int, float]) -> float:
    history = simulate(bundle, _records(settings), rounds=rounds, seed=settings.seed, factors=factors)
    return history[-1].score.accuracy


def _records(settings: DemoSettings) -> list[Records]:
    if settings.data is DemoData.HEART:
        return [split.train for split in heart_disease(settings.seed)[: settings.trainers]]
    partition = settings.partition.value
    return digits(settings.seed, settings.trainers, partition=partition, alpha=settings.alpha).trainers
