"""The process in which a stranger's graph is trained; see :mod:`zkpfl.learning.training_worker`.

``python -m zkpfl.learning.training_child MEMORY_BYTES CPU_SECONDS`` reads requests from standard input and
answers on standard output until its input ends. It ends with its parent.
"""

from __future__ import annotations

import os
import resource
import signal
import sys
import threading
from dataclasses import replace
from queue import SimpleQueue
from typing import IO, Any

import numpy as np

from zkpfl import strict_json
from zkpfl.errors import InvalidUpdate, ZkpflError
from zkpfl.learning import tensors
from zkpfl.learning.bundle import Bundle
from zkpfl.learning.graph import FORMAT
from zkpfl.learning.recipe import Recipe
from zkpfl.learning.records import Records
from zkpfl.learning.training import train_locally
from zkpfl.learning.training_frames import Frame, read_frame, write_frame
from zkpfl.privacy.record_level import RecordPrivacy

PAGE_BYTES = resource.getpagesize()
MAX_FILE_BYTES = 1 << 20
"""Of a file that it writes: torch looks for a temporary folder by writing into it."""
_DATA = 5
"""Place of private writable memory in ``/proc/self/statm``, in pages: what `RLIMIT_DATA` counts."""


def serve(requests: IO[bytes], answers: IO[bytes], memory_bytes: int, cpu_s: int) -> None:
    """Answer requests until they end; a request under way ends with them."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent, which gets it too, decides
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (MAX_FILE_BYTES, MAX_FILE_BYTES))
    warm_up()
    write_frame(answers, {"ready": True}, ())
    queue: SimpleQueue[Frame] = SimpleQueue()
    threading.Thread(target=_read, args=(requests, queue), daemon=True).start()
    while True:
        header, parts = queue.get()
        _limit(memory_bytes, cpu_s)
        try:
            write_frame(answers, {"error": None}, (_train(header, parts).tobytes(),))
        except Exception as error:  # whatever torch raises for a graph that the checks let pass
            write_frame(answers, {"error": _described(error)}, ())


def warm_up() -> None:
    """Train the smallest model, privately and not: torch imports much of itself only then, for seconds."""
    graph = {
        "format": FORMAT,
        "inputs": 1,
        "outputs": 2,
        "output": 2,
        "nodes": [
            {"op": "input"},
            {"op": "parameter", "name": "w"},
            {"op": "aten.linear.default", "args": {"input": {"node": 0}, "weight": {"node": 1}}},
        ],
    }
    weights = tensors.pack({"w": np.zeros((2, 1), np.float32)})
    plain = Recipe(features=("x",), classes=("0", "1"), clip_norm=1.0, learning_rate=0.1)
    budget = {"epsilon": 1.0, "delta": 0.1, "max_grad_norm": 1.0, "noise_multiplier": 1.0}
    private = replace(plain, privacy=RecordPrivacy(**budget, batch=1, local_steps=1, least_records=1))
    record = Records(np.ones((1, 1), np.float32), np.zeros(1, np.int64))
    for recipe in (plain, private):
        bundle = Bundle(strict_json.dump(graph), weights, recipe)
        train_locally(bundle.model(), np.zeros(2, np.float32), record, recipe, seed=0)


def _read(requests: IO[bytes], queue: SimpleQueue[Frame]) -> None:
    try:
        while True:
            queue.put(read_frame(requests))
    except EOFError:
        os._exit(0)  # the parent is gone, whatever is being trained


def _train(header: dict[str, Any], parts: list[bytes]) -> np.ndarray[Any, np.dtype[np.float32]]:
    bundle = Bundle.from_bytes(parts[0])
    recipe = bundle.recipe
    features = np.frombuffer(parts[2], recipe.feature_dtype).reshape(-1, len(recipe.features))
    return train_locally(
        bundle.model(),
        np.frombuffer(parts[1], np.float32),
        Records(features, np.frombuffer(parts[3], recipe.label_dtype)),
        recipe,
        seed=header["seed"],
        noise_key=parts[4] or None,
        device=header["device"],
    )


def _limit(memory_bytes: int, cpu_s: int) -> None:
    """Allow so much more memory and CPU time than are used already."""
    with open("/proc/self/statm", encoding="ascii") as statm:  # noqa: PTH123
        used_bytes = int(statm.read().split()[_DATA]) * PAGE_BYTES
    usage = resource.getrusage(resource.RUSAGE_SELF)
    used_s = int(usage.ru_utime + usage.ru_stime) + 1
    # Address space would not do: each thread of a pool reserves a lot of it that it never touches.
    limits = {resource.RLIMIT_DATA: used_bytes + memory_bytes, resource.RLIMIT_CPU: used_s + cpu_s}
    for limit, value in limits.items():
        resource.setrlimit(limit, (value, resource.getrlimit(limit)[1]))


def _described(error: Exception) -> dict[str, str | None]:
    """An error as it goes to the parent; texts of torch may quote values and stay here."""
    if not isinstance(error, ZkpflError):
        refused = f"torch refused it with {type(error).__name__}"
        short = "needs more memory than it may have" if _is_memory(error) else refused
        error = InvalidUpdate(f"local training failed: {short}", field="limits", hint="allow more memory")
    names = ("message", "party", "field", "hint")
    return {"code": error.code, **{name: getattr(error, name) for name in names}}


def _is_memory(error: Exception) -> bool:
    return isinstance(error, MemoryError) or "allocate" in str(error)


if __name__ == "__main__":
    serve(sys.stdin.buffer, sys.stdout.buffer, int(sys.argv[1]), int(sys.argv[2]))
