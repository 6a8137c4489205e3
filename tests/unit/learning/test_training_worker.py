"""Training in a process of its own: the same update, typed errors, limits that hold, nothing left behind."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from tests.unit.learning.families import CLASSES, INPUTS, family
from tests.unit.learning.test_families import recipe, records

from zkpfl.errors import DeadlineExceeded, InvalidData, InvalidEncoding, InvalidParameter, InvalidUpdate
from zkpfl.learning.architectures import mlp
from zkpfl.learning.export import bundle_of
from zkpfl.learning.records import Records
from zkpfl.learning.training import train_locally
from zkpfl.learning.training_frames import read_frame, write_frame
from zkpfl.learning.training_worker import TrainingLimits, TrainingWorker
from zkpfl.learning.weights import flatten

SMALL = TrainingLimits(memory_bytes=512 << 20, cpu_s=60)


def data(count: int = 64) -> Records:
    x, y = records(count)
    return Records(x.numpy(), y.numpy())


@pytest.fixture(scope="module")
def worker() -> Iterator[TrainingWorker]:
    made = TrainingWorker(SMALL)
    yield made
    made.close()


def train(worker: TrainingWorker, bundle, records, timeout_s: float = 60):  # type: ignore[no-untyped-def]
    weights = flatten(bundle.model())
    options = {"seed": 5, "noise_key": None, "device": "cpu"}
    return worker.train(bundle, weights, records, timeout_s=timeout_s, **options)


@pytest.mark.parametrize("name", ["mlp", "gru"])
def test_the_update_is_that_of_this_process(worker: TrainingWorker, name: str) -> None:
    bundle = bundle_of(family(name), recipe(local_epochs=3))
    here = train_locally(bundle.model(), flatten(bundle.model()), data(), bundle.recipe, seed=5)
    np.testing.assert_array_equal(train(worker, bundle, data()), here)


def test_errors_come_back_as_what_they_were(worker: TrainingWorker) -> None:
    bundle = bundle_of(family("mlp"), recipe(learning_rate=100.0, optimizer="sgd", local_epochs=50))
    large = Records(data().features * np.float32(1e18), data().labels)
    with pytest.raises(InvalidUpdate, match="diverged") as caught:
        train(worker, bundle, large)
    assert (caught.value.party, caught.value.field) == ("trainer", "loss")
    wrong = Records(data().features, data().labels + 7)
    with pytest.raises(InvalidData) as refused:
        train(worker, bundle, wrong)
    assert refused.value.field == "labels"


def test_memory_beyond_the_limit_is_refused_and_the_next_request_served(worker: TrainingWorker) -> None:
    hungry = bundle_of(mlp(INPUTS, (8192, 4096), CLASSES), recipe())
    with pytest.raises(InvalidUpdate, match=r"memory|ended") as caught:
        train(worker, hungry, data())
    assert caught.value.field == "limits"
    assert np.isfinite(train(worker, bundle_of(family("mlp"), recipe()), data())).all()


def test_time_beyond_the_deadline_ends_the_process_and_the_next_request_starts_another(
    worker: TrainingWorker,
) -> None:
    slow, began = bundle_of(family("mlp"), recipe(local_epochs=1000, batch_size=1)), time.monotonic()
    with pytest.raises(DeadlineExceeded, match="more than 2 s"):
        train(worker, slow, data(512), timeout_s=2)
    assert time.monotonic() - began < 10
    assert np.isfinite(train(worker, bundle_of(family("mlp"), recipe()), data())).all()


def test_processor_time_beyond_the_limit_ends_the_process() -> None:
    worker = TrainingWorker(TrainingLimits(memory_bytes=512 << 20, cpu_s=1))
    try:
        with pytest.raises(InvalidUpdate, match="1 s of CPU time"):
            train(worker, bundle_of(family("mlp"), recipe(local_epochs=1000, batch_size=1)), data(512))
    finally:
        worker.close()


OWNER = """
import sys, time
from zkpfl.learning.training_worker import TrainingWorker
print(TrainingWorker()._process.pid, flush=True)
time.sleep(60)
"""


def test_the_process_ends_with_its_parent_however_that_ends() -> None:
    parent = subprocess.Popen([sys.executable, "-c", OWNER], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    parent.stdout.close()
    parent.kill()
    parent.wait()
    deadline = time.monotonic() + 30
    while is_running(child):
        assert time.monotonic() < deadline
        time.sleep(0.1)


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_closed_worker_leaves_no_process() -> None:
    worker = TrainingWorker()
    pid = worker._process.pid
    worker.close()
    assert not is_running(pid)


def test_limits_too_small_for_anything_are_refused() -> None:
    for values, field in (({"memory_bytes": 1}, "memory_bytes"), ({"cpu_s": 0}, "cpu_s")):
        with pytest.raises(InvalidParameter) as caught:
            TrainingLimits(**values)
        assert caught.value.field == field


def test_frames() -> None:
    stream = io.BytesIO()
    write_frame(stream, {"seed": 1}, (b"one", b"", os.urandom(1000)))
    data = stream.getvalue()
    header, parts = read_frame(io.BytesIO(data))
    assert (header, [len(part) for part in parts]) == ({"seed": 1}, [3, 0, 1000])
    for size in (0, 3, 10, len(data) - 1):
        with pytest.raises(EOFError):
            read_frame(io.BytesIO(data[:size]))
    for bad in (b"\xff\xff\xff\xff", b"\x00\x00\x00\x02[]", b'\x00\x00\x00\x0c{"sizes":-1}', b"\0\0\0\2{}"):
        with pytest.raises(InvalidEncoding):
            read_frame(io.BytesIO(bad))
