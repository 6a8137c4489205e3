"""Training in a process of its own, with limits: a stranger's graph may be as hungry as it likes, once.

The graph is checked before it runs (:mod:`zkpfl.learning.graph`); the limits are for what no check foresees.
The process is started once and kept, since importing torch takes seconds; after a death the next request
starts another. Data, weights and noise key go to it through a pipe and nowhere else.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import numpy as np

from zkpfl import errors
from zkpfl.errors import DeadlineExceeded, InvalidEncoding, InvalidParameter, InvalidUpdate, ZkpflError
from zkpfl.learning.bundle import Bundle
from zkpfl.learning.records import Records
from zkpfl.learning.training_frames import Frame, read_frame, write_frame
from zkpfl.learning.weights import Vector


@dataclass(frozen=True)
class TrainingLimits:
    """What one round of training may use.

    Parameters
    ----------
    memory_bytes
        Private memory beyond that of the idle process, at least 64 MiB.
    cpu_s
        CPU time of all threads, in seconds, at least 1.

    Raises
    ------
    InvalidParameter
        Below these.
    """

    memory_bytes: int = 8 << 30
    cpu_s: int = 24 * 3600

    def __post_init__(self) -> None:
        if self.memory_bytes < 64 << 20:
            raise InvalidParameter(f"must be at least 64 MiB, got {self.memory_bytes}", field="memory_bytes")
        if self.cpu_s < 1:
            raise InvalidParameter(f"must be at least 1 second, got {self.cpu_s}", field="cpu_s")


class TrainingWorker:
    """A process that trains; started at once, so that it is ready when there is something to train.

    Parameters
    ----------
    limits
        Of each request.
    """

    def __init__(self, limits: TrainingLimits | None = None) -> None:
        self._limits = limits or TrainingLimits()
        self._ready = False
        self._process = self._start()

    def train(
        self,
        bundle: Bundle,
        weights: Vector,
        records: Records,
        *,
        seed: int,
        noise_key: bytes | None,
        device: str,
        timeout_s: float,
    ) -> Vector:
        """Do what :func:`.train_locally` does, within the limits and ``timeout_s`` seconds.

        Raises
        ------
        DeadlineExceeded
            The time was passed; the process was ended, and the next request starts another.
        InvalidUpdate
            A limit was passed; likewise.
        ZkpflError
            As `train_locally` does.
        """
        if self._process.poll() is not None:
            self.close()
            self._process = self._start()
        parts = (
            bundle.to_bytes(),
            weights.astype(np.float32, copy=False).tobytes(),
            records.features.astype(bundle.recipe.feature_dtype, copy=False).tobytes(),
            records.labels.astype(bundle.recipe.label_dtype, copy=False).tobytes(),
            noise_key or b"",
        )
        header, answer = self._exchange({"seed": seed, "device": device}, parts, timeout_s)
        if header.get("error") is not None:
            raise _error(header["error"])
        if len(answer) != 1 or len(answer[0]) != weights.nbytes:
            raise InvalidEncoding("not an update", party="training process", field="update")
        return np.frombuffer(answer[0], np.float32).copy()

    def wait_until_ready(self, timeout_s: float) -> None:
        """Wait for a process that has just been started; raises `DeadlineExceeded`, or that it has ended."""
        with self._clock(timeout_s):
            self._greet()

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                with suppress(BrokenPipeError):
                    stream.close()

    def _start(self) -> subprocess.Popen[bytes]:
        self._ready = False
        limits = (str(self._limits.memory_bytes), str(self._limits.cpu_s))
        return subprocess.Popen(  # noqa: S603 (our own interpreter and module, no shell)
            [sys.executable, "-m", "zkpfl.learning.training_child", *limits],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

    def _exchange(self, header: dict[str, Any], parts: tuple[bytes, ...], timeout_s: float) -> Frame:
        """Send and receive, with a clock that ends the process: then the pipes end, and so does the wait."""
        with self._clock(timeout_s):
            self._greet()
            assert self._process.stdin is not None  # noqa: S101  (both are pipes)
            assert self._process.stdout is not None  # noqa: S101
            write_frame(self._process.stdin, header, parts)
            return read_frame(self._process.stdout)

    def _greet(self) -> None:
        """Hear that the process is ready, once."""
        if not self._ready:
            assert self._process.stdout is not None  # noqa: S101
            read_frame(self._process.stdout)
            self._ready = True

    @contextmanager
    def _clock(self, timeout_s: float) -> Iterator[None]:
        process, late = self._process, threading.Event()

        def end() -> None:
            late.set()
            process.kill()

        clock = threading.Timer(timeout_s, end)
        clock.start()
        try:
            yield
        except (EOFError, BrokenPipeError):
            code = process.wait()
            raise _too_late(timeout_s) if late.is_set() else self._ended(code) from None
        finally:
            clock.cancel()

    def _ended(self, code: int) -> InvalidUpdate:
        if code == -signal.SIGXCPU:
            reason = f"it took more than {self._limits.cpu_s} s of CPU time"
        else:
            reason = (
                f"its process ended ({code}), perhaps for more than {self._limits.memory_bytes >> 20} MiB"
            )
        hint = "allow more, or leave the job: its model does not fit this machine"
        return InvalidUpdate(
            f"local training was ended: {reason}", party="trainer", field="limits", hint=hint
        )


def _too_late(timeout_s: float) -> DeadlineExceeded:
    text = f"local training took more than {timeout_s:.0f} s"
    hint = "train on a faster machine, or ask for a longer Collect phase"
    return DeadlineExceeded(text, party="trainer", field="training", hint=hint)


def _error(fields: dict[str, Any]) -> ZkpflError:
    """The error of the child, as the class that it was there."""
    kinds = (kind for kind in vars(errors).values() if isinstance(kind, type))
    known = {kind.code: kind for kind in kinds if issubclass(kind, ZkpflError)}
    kind = known.get(str(fields.get("code")), InvalidUpdate)
    texts = {name: fields.get(name) for name in ("party", "field", "hint")}
    return kind(str(fields.get("message")), **texts)
