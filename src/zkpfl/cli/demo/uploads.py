"""How much the trainers upload, as they say themselves."""

from __future__ import annotations

import threading
from typing import Any


class Uploads:
    """Bytes that trainers say they uploaded, by round."""

    def __init__(self) -> None:
        self._bytes: dict[int, int] = {}
        self._lock = threading.Lock()

    def take(self, event: dict[str, Any]) -> None:
        """Count the event of a child, if it is about an upload."""
        if event["event"] == "submitted":
            with self._lock:
                number = int(event["round"])
                self._bytes[number] = self._bytes.get(number, 0) + int(event["bytes"])

    def of(self, number: int) -> int:
        """Bytes of a round."""
        with self._lock:
            return self._bytes.get(number, 0)
