"""The audit of a store's folder, of each kind: blocks, strays, pins."""

import os
from pathlib import Path

import pytest

from zkpfl.errors import NotAuthorized
from zkpfl.roles.audit_report import Findings
from zkpfl.roles.audit_storage import AuditedStore, audit_store
from zkpfl.roles.store_place import KuboPlace, KuboRpcPlace, LocalPlace, StorePlace
from zkpfl.storage.blocks import BlockFolder, by_cid, by_multihash
from zkpfl.storage.cid import ContentId
from zkpfl.storage.local import LocalStore

DATA = os.urandom(700_000)


@pytest.fixture(params=["local", "kubo", "kubo-rpc"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> StorePlace:
    return {
        "local": LocalPlace(tmp_path),
        "kubo": KuboPlace(tmp_path, tmp_path / "swarm.key"),
        "kubo-rpc": KuboRpcPlace(tmp_path, "http://127.0.0.1:5001"),
    }[str(request.param)]


def layout(place: StorePlace):
    return by_multihash if isinstance(place, KuboPlace) else by_cid


@pytest.fixture
def cid(place: StorePlace) -> ContentId:
    store = LocalStore(place.path, layout=layout(place))
    cid = store.put(DATA)
    store.pin(cid, "job-1")
    return cid


def failures(place: StorePlace) -> dict[str, str]:
    findings = Findings()
    audit_store(place, findings, lambda _stage, _done, _total: None)
    return {check.place: check.detail for check in findings.checks if not check.ok}


def test_an_honest_store_passes(place: StorePlace, cid: ContentId) -> None:
    assert failures(place) == {}
    assert AuditedStore(place).get(cid, max_size_bytes=len(DATA)) == DATA


def test_a_flipped_bit_is_named(place: StorePlace, cid: ContentId) -> None:
    path = BlockFolder(place.path, layout(place)).path(cid)
    path.write_bytes(bytes([path.read_bytes()[0] ^ 1]) + path.read_bytes()[1:])
    (named,) = failures(place)
    assert named.endswith(path.name)


def test_a_block_in_the_wrong_folder_is_named(place: StorePlace, cid: ContentId) -> None:
    path = BlockFolder(place.path, layout(place)).path(cid)
    moved = path.parent.with_name("zz") / path.name
    moved.parent.mkdir()
    path.rename(moved)
    assert "lies in the wrong folder" in failures(place).values()


@pytest.mark.parametrize("name", [str(ContentId.of_block(b"elsewhere")), "notes.txt"])
def test_a_pin_of_nothing_is_named(place: StorePlace, cid: ContentId, name: str) -> None:
    (place.path / "pins" / "job-1" / name).touch()
    assert failures(place) == {f"pins/job-1/{name}": "pins what is not stored here"}


def test_an_audit_changes_nothing(place: StorePlace, cid: ContentId) -> None:
    store = AuditedStore(place)
    for change in (
        lambda: store.put(b""),
        lambda: store.put_stream([]),
        lambda: store.pin(cid, "a"),
        lambda: store.unpin("job-1"),
        store.collect_garbage,
    ):
        with pytest.raises(NotAuthorized):
            change()
    store.close()
    assert store.pins() == {}
    assert store.has(cid)
