"""The peers in C++: blst's own functions, the memory bandwidth and the floor of the arithmetic, built when
first asked for."""

from __future__ import annotations

import struct
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from benchmarks.figures import Peer
from zkpfl.crypto.points import POINT_BYTES

ROOT = Path(__file__).parents[2]
BUILD = ROOT / "build" / "bench"


@cache
def built() -> Path:
    """Build the peers; return the directory with the programs."""
    configure = ["cmake", "-S", str(ROOT), "-B", str(BUILD), "-DZKPFL_BENCH=ON", "-DCMAKE_BUILD_TYPE=Release"]
    build = ["cmake", "--build", str(BUILD), "--target", "peer_blst", "peer_bandwidth", "peer_floor"]
    for command in (configure, build):
        subprocess.run(command, check=True, capture_output=True)  # noqa: S603  (no shell, own arguments)
    return BUILD


@dataclass(frozen=True)
class Blst:
    """A task of blst.cpp and its input.

    Parameters
    ----------
    task
        ``values``, ``scalars``, ``one`` or ``decode``.
    points
        Compressed, 48 bytes each.
    rows, values
        How many rows of values there are, and their bytes, little-endian.
    """

    task: str
    points: bytes
    rows: int = 0
    values: bytes = b""

    def run(self) -> tuple[float, bytes]:
        """CPU seconds on one thread, and the resulting points."""
        count = str(len(self.points) // POINT_BYTES)
        command = [str(built() / "peer_blst"), self.task, count, str(self.rows)]
        wire = self.points + self.values
        output = subprocess.run(command, input=wire, capture_output=True, check=True).stdout  # noqa: S603
        return struct.unpack("<d", output[:8])[0], output[8:]

    def peer(self, work: int, expected: bytes) -> Peer:
        """Peer whose points must be ``expected``."""

        def seconds() -> float:
            elapsed, points = self.run()
            assert points == expected
            return elapsed

        return Peer(work, seconds)


def reading(size: int, work: int) -> Peer:
    """Read ``size`` bytes of memory once, on one thread."""

    def seconds() -> float:
        command = [str(built() / "peer_bandwidth"), str(max(size, 1 << 26))]
        bytes_a_second, total = subprocess.check_output(command, text=True).split()  # noqa: S603
        assert int(total) > 0
        return size / float(bytes_a_second)

    return Peer(work, seconds)


def arithmetic_floor(columns: int, bits: int, work: int) -> Peer:
    """The products and squares of a commitment's additions alone, by the adder that this processor gets.

    Parameters
    ----------
    columns
        Of a row, full of values.
    bits
        Of a value, sign included.
    work
        Values that the kernel commits to.
    """

    def seconds() -> float:
        command = [str(built() / "peer_floor"), str(columns), str(bits)]
        _, nanoseconds = subprocess.check_output(command, text=True).split()  # noqa: S603
        return 1e-9 * float(nanoseconds) * work

    return Peer(work, seconds)
