"""Where storage is: what a network file may say, and what the command line makes of it."""

import json
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.unit.storage.rpc_daemon import RpcDaemon

from zkpfl.cli.storage import parse_place
from zkpfl.errors import InvalidParameter
from zkpfl.roles.network import Network
from zkpfl.roles.store_place import (
    KuboPlace,
    KuboRpcPlace,
    LocalPlace,
    StorePlace,
    new_swarm_key,
    place_from_json,
    read_swarm_key,
    relative_to,
)
from zkpfl.storage.cid import ContentId

PEER = "/ip4/127.0.0.1/tcp/4001/p2p/12D3KooW"
PLACES: list[StorePlace] = [
    LocalPlace(Path("store")),
    KuboPlace(Path("kubo"), Path("swarm.key"), ("/ip4/127.0.0.1/tcp/4001",), (PEER,), 5),
    KuboRpcPlace(Path("cache"), "http://127.0.0.1:5001", 2.5),
]


@pytest.mark.parametrize("place", PLACES, ids=lambda place: type(place).__name__)
def test_a_network_file_says_where_storage_is(tmp_path: Path, place: StorePlace) -> None:
    file = tmp_path / "network.json"
    Network("http://127.0.0.1:8545", 31337, bytes(20), place).save(file)
    loaded = Network.load(file).store
    assert loaded.path == tmp_path / place.path
    assert relative_to(loaded, tmp_path) == place


def test_a_folder_is_written_as_text(tmp_path: Path) -> None:
    file = tmp_path / "network.json"
    Network("http://127.0.0.1:8545", 31337, bytes(20), LocalPlace(Path("store"))).save(file)
    assert json.loads(file.read_text())["store"] == "store"


def changed(place: StorePlace, **members: object) -> object:
    value = place.to_json()
    assert isinstance(value, dict)
    return {name: member for name, member in {**value, **members}.items() if member is not ...}


@pytest.mark.parametrize(
    "value",
    [
        None,
        7,
        [],
        {},
        {"kind": "s3"},
        {"kind": ["kubo"]},
        changed(PLACES[1], listen="/ip4/127.0.0.1/tcp/1"),
        changed(PLACES[1], listen=["127.0.0.1"]),
        changed(PLACES[1], peers=[PEER.removesuffix("/p2p/12D3KooW")]),
        changed(PLACES[1], peers=[7]),
        changed(PLACES[1], peers=[PEER + "\n"]),
        changed(PLACES[1], peers=[PEER + " x"]),
        changed(PLACES[1], swarm_key=...),
        changed(PLACES[1], path="a\0b"),
        changed(PLACES[1], timeout_s=0),
        changed(PLACES[1], timeout_s="1"),
        changed(PLACES[1], timeout_s=True),
        changed(PLACES[1], timeout_s=3601),
        changed(PLACES[1], other=1),
        changed(PLACES[2], url="127.0.0.1:5001"),
        changed(PLACES[2], url=None),
        changed(PLACES[2], timeout_s=-1),
    ],
)
def test_anything_else_is_refused(tmp_path: Path, value: object) -> None:
    with pytest.raises(InvalidParameter):
        place_from_json(value, tmp_path)


def test_a_new_private_network_gets_a_private_key(tmp_path: Path) -> None:
    place = parse_place("kubo:node", tmp_path)
    assert place == KuboPlace(Path("node"), tmp_path / "swarm.key")
    assert stat.S_IMODE((tmp_path / "swarm.key").stat().st_mode) == 0o600
    key = read_swarm_key(tmp_path / "swarm.key")
    assert len(key) == 32
    assert parse_place("kubo:other", tmp_path) == KuboPlace(Path("other"), tmp_path / "swarm.key")
    assert read_swarm_key(tmp_path / "swarm.key") == key


@pytest.mark.parametrize("damage", ["", "0" * 64, "/key/swarm/psk/1.0.0/\n/base16/\nxyz\n", "\n" * 5000])
def test_what_is_no_swarm_key_is_refused_and_not_quoted(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "swarm.key"
    path.touch(mode=0o600)
    path.write_text(damage)
    with pytest.raises(InvalidParameter, match="swarm key") as caught:
        read_swarm_key(path)
    assert "0000" not in str(caught.value)


def test_a_swarm_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    new_swarm_key(tmp_path / "swarm.key")
    (tmp_path / "swarm.key").chmod(0o644)
    with pytest.raises(InvalidParameter, match="others can read it"):
        read_swarm_key(tmp_path / "swarm.key")


def test_places_as_they_are_typed(tmp_path: Path) -> None:
    assert parse_place("store", tmp_path) == LocalPlace(Path("store"))
    assert parse_place("a:b", tmp_path) == LocalPlace(Path("a:b"))
    url = "http://127.0.0.1:5001"
    assert parse_place(f"kubo-rpc:{url}", tmp_path) == KuboRpcPlace(tmp_path / "store", url)
    for text in ("kubo:", "kubo-rpc:", "kubo-rpc:host:5001"):
        with pytest.raises(InvalidParameter):
            parse_place(text, tmp_path)


@pytest.fixture
def daemon() -> Iterator[RpcDaemon]:
    with RpcDaemon() as running:
        yield running


def test_folder_and_authorization_of_this_process(
    tmp_path: Path, daemon: RpcDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ZKPFL_STORE_DIR", str(tmp_path / "own"))
    monkeypatch.setenv("ZKPFL_KUBO_AUTHORIZATION", "Bearer secret")
    store = KuboRpcPlace(tmp_path / "shared", daemon.url).open()
    cid = store.put(b"data")
    store.close()
    assert cid == ContentId.of_block(b"data")
    assert daemon.headers[0]["Authorization"] == "Bearer secret"
    assert (tmp_path / "own" / "blocks").is_dir()
    assert not (tmp_path / "shared").exists()
