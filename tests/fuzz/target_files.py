"""Files of the user's own: keys, the network file with its store, and records to train on."""

from __future__ import annotations

import contextlib
import tempfile
from functools import cache
from pathlib import Path

from tests.fuzz.registry import fuzz_target
from zkpfl.errors import InvalidData, InvalidParameter
from zkpfl.learning.recipe import Recipe
from zkpfl.learning.user_data import load_csv, load_npz
from zkpfl.roles.identity import Identity
from zkpfl.roles.job_key import load_job_key
from zkpfl.roles.network import Network
from zkpfl.roles.store_place import read_swarm_key

RECIPE = Recipe(features=("a", "b"), classes=("no", "yes"), clip_norm=1.0, learning_rate=0.1)


@cache
def _folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory()  # removed when the process ends


def _file(data: bytes) -> Path:
    path = Path(_folder().name) / "file"
    path.touch(mode=0o600)
    path.write_bytes(data)
    return path


@fuzz_target("files")
def key_files(data: bytes) -> None:
    path = _file(data)
    try:
        identity = Identity.load(path)
    except InvalidParameter:
        pass
    else:
        copy = path.with_name("copy")
        copy.unlink(missing_ok=True)
        identity.save(copy)
        assert Identity.load(copy).public() == identity.public()
    with contextlib.suppress(InvalidParameter):
        assert len(load_job_key(path)) == 32
    with contextlib.suppress(InvalidParameter):
        assert len(read_swarm_key(path)) == 32


@fuzz_target("files")
def network_files(data: bytes) -> None:
    path = _file(data)
    try:
        network = Network.load(path)
    except InvalidParameter:
        return
    copy = path.with_name("copy")
    network.save(copy)
    assert Network.load(copy) == network


@fuzz_target("files")
def record_files(data: bytes) -> None:
    path = _file(data)
    for load in (load_csv, load_npz):
        try:
            records = load(path, RECIPE)
        except InvalidData:
            continue
        assert records.features.shape == (len(records), 2)
        assert len(records) > 0
