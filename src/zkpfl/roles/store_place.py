"""Where a network's storage is: a folder, a private IPFS network that a Kubo node joins, or a daemon."""

from __future__ import annotations

import os
import re
import secrets
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from zkpfl import strict_json
from zkpfl.errors import InvalidParameter
from zkpfl.roles.secret_file import MAX_FILE_BYTES, malformed, read_secret, write_secret
from zkpfl.storage.kubo import KuboStore
from zkpfl.storage.kubo_process import LOOPBACK, SWARM_KEY_BYTES, KuboSettings
from zkpfl.storage.kubo_rpc import KuboRpcStore, require_url
from zkpfl.storage.local import TIMEOUT_S, LocalStore
from zkpfl.storage.store import Store

AUTHORIZATION_VARIABLE = "ZKPFL_KUBO_AUTHORIZATION"
"""Environment variable with the HTTP ``Authorization`` header for a daemon. Secret."""

FOLDER_VARIABLE = "ZKPFL_STORE_DIR"
"""Environment variable with a folder to use in place of the network file's."""

_FIELD = "network file: store"
_KEY_FIELD = "swarm key"
_KEY_FILE = re.compile(r"/key/swarm/psk/1\.0\.0/\n/base16/\n([0-9a-f]{64})\n?")


@dataclass(frozen=True)
class LocalPlace:
    """A folder that all parties share."""

    path: Path

    def to_json(self) -> object:
        """Encode for a network file."""
        return str(self.path)

    def open(self) -> Store:
        """The store."""
        return LocalStore(_own(self.path))


@dataclass(frozen=True)
class KuboPlace:
    """A Kubo node of this process, in a private network.

    Parameters
    ----------
    path
        Folder of the node, of one process at a time.
    swarm_key
        File with the network's pre-shared key, in IPFS's own format.
    listen, peers
        Multiaddresses; see `KuboSettings`.
    timeout_s
        How long a read waits for other nodes, in seconds.
    """

    path: Path
    swarm_key: Path
    listen: tuple[str, ...] = LOOPBACK
    peers: tuple[str, ...] = ()
    timeout_s: float = TIMEOUT_S

    def __post_init__(self) -> None:
        KuboSettings(bytes(SWARM_KEY_BYTES), self.listen, self.peers)
        _require_timeout(self.timeout_s)

    def to_json(self) -> object:
        """Encode for a network file."""
        return {
            "kind": "kubo",
            "path": str(self.path),
            "swarm_key": str(self.swarm_key),
            "listen": list(self.listen),
            "peers": list(self.peers),
            "timeout_s": self.timeout_s,
        }

    def open(self) -> KuboStore:
        """The store; the node runs until it is closed."""
        settings = KuboSettings(read_swarm_key(self.swarm_key), self.listen, self.peers)
        return KuboStore(_own(self.path), settings, timeout_s=self.timeout_s)


@dataclass(frozen=True)
class KuboRpcPlace:
    """A Kubo daemon by its RPC.

    Parameters
    ----------
    path
        Folder of what was stored or read here.
    url
        Of the daemon.
    timeout_s
        How long a read waits for the daemon, in seconds.
    """

    path: Path
    url: str
    timeout_s: float = TIMEOUT_S

    def __post_init__(self) -> None:
        require_url(self.url)
        _require_timeout(self.timeout_s)

    def to_json(self) -> object:
        """Encode for a network file."""
        return {"kind": "kubo-rpc", "path": str(self.path), "url": self.url, "timeout_s": self.timeout_s}

    def open(self) -> Store:
        """The store."""
        authorization = os.environ.get(AUTHORIZATION_VARIABLE)
        return KuboRpcStore(_own(self.path), self.url, authorization=authorization, timeout_s=self.timeout_s)


StorePlace = LocalPlace | KuboPlace | KuboRpcPlace


def place_from_json(value: object, folder: Path) -> StorePlace:
    """Decode a network file's ``store``: a folder or an object with ``kind``; its paths are in ``folder``.

    Raises
    ------
    InvalidParameter
        It is neither, has other members, or a value is not acceptable.
    """
    if isinstance(value, str):
        return LocalPlace(folder / value)
    kind = value.get("kind") if isinstance(value, dict) else None
    if kind == "kubo":
        fields = _members(value, {"kind", "path", "swarm_key", "listen", "peers", "timeout_s"})
        return KuboPlace(
            folder / _text(fields["path"]),
            folder / _text(fields["swarm_key"]),
            _texts(fields["listen"]),
            _texts(fields["peers"]),
            _seconds(fields["timeout_s"]),
        )
    if kind == "kubo-rpc":
        fields = _members(value, {"kind", "path", "url", "timeout_s"})
        return KuboRpcPlace(
            folder / _text(fields["path"]), _text(fields["url"]), _seconds(fields["timeout_s"])
        )
    hint = 'a folder, or an object of kind "kubo" or "kubo-rpc"'
    raise InvalidParameter("is no place of a store", field=_FIELD, hint=hint)


def relative_to(place: StorePlace, folder: Path) -> StorePlace:
    """Keep what lies below ``folder`` relative to it, so that both can be moved together."""
    moved = replace(place, path=_relative(place.path, folder))
    if isinstance(moved, KuboPlace):
        return replace(moved, swarm_key=_relative(moved.swarm_key, folder))
    return moved


def new_swarm_key(path: Path) -> None:
    """Draw the key of a private network and write it to a new file that only its owner can read."""
    key = secrets.token_bytes(SWARM_KEY_BYTES).hex()
    write_secret(path, f"/key/swarm/psk/1.0.0/\n/base16/\n{key}\n", field=_KEY_FIELD)


def read_swarm_key(path: Path) -> bytes:
    """Read a swarm key file, bytes[32]. Secret.

    Raises
    ------
    InvalidParameter
        The file is missing, readable by others, or not a swarm key.
    """
    hint = "copy it from whoever deployed the network, by a channel that is private"
    text = read_secret(path, field=_KEY_FIELD, missing_hint=hint)
    match = _KEY_FILE.fullmatch(text) if len(text) <= MAX_FILE_BYTES else None
    if match is None:
        raise malformed(path, field=_KEY_FIELD)
    return bytes.fromhex(match[1])


def _own(path: Path) -> Path:
    other = os.environ.get(FOLDER_VARIABLE)
    return Path(other) if other else path


def _relative(path: Path, folder: Path) -> Path:
    path = path.absolute()
    return path.relative_to(folder) if path.is_relative_to(folder) else path


def _members(value: object, expected: set[str]) -> dict[str, Any]:
    return strict_json.require_keys(value, expected, field=_FIELD, error=InvalidParameter)


def _text(value: object) -> str:
    if not isinstance(value, str) or "\0" in value:
        raise InvalidParameter("has a value that is not text", field=_FIELD)
    return value


def _texts(value: object) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise InvalidParameter("has a value that is not a list", field=_FIELD)
    return tuple(_text(item) for item in value)


def _seconds(value: object) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise InvalidParameter("has a value that is not a number", field=f"{_FIELD}: timeout_s")
    return value


def _require_timeout(timeout_s: float) -> None:
    if not 0 < timeout_s <= 3600:
        raise InvalidParameter(f"must be above 0, at most 3600, got {timeout_s:g}", field="timeout_s")
