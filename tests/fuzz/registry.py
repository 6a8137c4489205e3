"""The fuzz targets by name, and how they read their input."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

FuzzOne = Callable[[bytes], None]

TARGETS: dict[str, list[FuzzOne]] = {}
CORPUS = Path(__file__).parent / "corpus"


def fuzz_target(name: str) -> Callable[[FuzzOne], FuzzOne]:
    """Enter a function; those of one name get the same inputs, one after the other."""

    def enter(fuzz_one: FuzzOne) -> FuzzOne:
        TARGETS.setdefault(name, []).append(fuzz_one)
        return fuzz_one

    return enter


def fuzz_one(name: str, data: bytes) -> None:
    """Try one input on a target."""
    for part in TARGETS[name]:
        part(data)


def corpus(name: str) -> Path:
    """Folder of the inputs that are kept for a target."""
    return CORPUS / name


class Reader:
    """Choices and parts from the front of an input; zeros follow its end."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._position = 0

    def take(self, count: int) -> bytes:
        self._position += count
        return self._data[self._position - count : self._position].ljust(count, b"\0")

    def byte(self) -> int:
        return self.take(1)[0]

    def below(self, bound: int) -> int:
        return self.byte() % bound

    def number(self, size_bytes: int) -> int:
        return int.from_bytes(self.take(size_bytes), "big")

    def rest(self) -> bytes:
        return self.take(max(0, len(self._data) - self._position))

    def damage(self, known: bytes) -> bytes:
        """``known`` with up to three bytes changed, perhaps cut or extended: nearly right is hardest."""
        changed = bytearray(known)
        for _ in range(self.below(4)):
            if changed:
                changed[self.number(2) % len(changed)] ^= self.byte()
        if (cut := self.byte()) < 32:
            changed = changed[: len(changed) - cut]
        elif cut > 240:
            changed += bytes(cut - 240)
        return bytes(changed)
