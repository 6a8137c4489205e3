"""Lower bounds of ε from an attack that tells a planted input from none (docs/spec.md §8)."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from scipy.stats import beta

TRIALS, FIRST_TRIALS = 300, 100
CONFIDENCE = 0.99

Scores = Callable[[range, bool], np.ndarray]
"""The attacker's score in each of some trials, with the planted input or a null one in its place."""


def attack(scores: Scores, delta: float) -> float:
    """What the best of five thresholds proves, the thresholds chosen on trials of their own."""
    first = range(TRIALS, TRIALS + FIRST_TRIALS)
    seen, unseen = scores(first, True), scores(first, False)
    tried = np.quantile(np.concatenate([seen, unseen]), [0.45, 0.5, 0.6, 0.7, 0.8])
    best = max(tried, key=lambda threshold: epsilon_at_least(seen, unseen, threshold, delta))
    seen, unseen = scores(range(TRIALS), True), scores(range(TRIALS), False)
    return epsilon_at_least(seen, unseen, float(best), delta)


def epsilon_at_least(seen: np.ndarray, unseen: np.ndarray, threshold: float, delta: float) -> float:
    """Lower bound of ε at δ that the rates above a threshold prove (Clopper and Pearson's, 99 %)."""
    error = (1 - CONFIDENCE) / 2
    hits, alarms = int((seen > threshold).sum()), int((unseen > threshold).sum())
    hit_rate = 0.0 if hits == 0 else float(beta.ppf(error, hits, len(seen) - hits + 1))
    alarm_rate = (
        1.0 if alarms == len(unseen) else float(beta.ppf(1 - error, alarms + 1, len(unseen) - alarms))
    )
    return math.log(max(hit_rate - delta, 1e-9) / alarm_rate)
