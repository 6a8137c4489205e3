"""Seconds of each stage of a run."""

from __future__ import annotations

import time


class Stopwatch:
    """Measures laps from when it is made."""

    def __init__(self) -> None:
        self._began = self._mark = time.monotonic()
        self.laps: dict[str, float] = {}

    def lap(self, name: str) -> None:
        """End the stage ``name``; the next one begins."""
        now = time.monotonic()
        self.laps[name] = round(now - self._mark, 1)
        self._mark = now

    def total(self) -> float:
        """Seconds since the beginning."""
        return round(time.monotonic() - self._began, 1)
