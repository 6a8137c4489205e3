"""Key files: private, never overwritten, strict, and silent about what they hold."""

import json
import os
import stat
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from zkpfl.crypto.bls import BlsSecretKey
from zkpfl.crypto.scalars import ORDER
from zkpfl.crypto.sealing import generate_encryption_key, open_from, seal_to
from zkpfl.crypto.signatures import AccountKey
from zkpfl.errors import InvalidParameter
from zkpfl.roles.identity import Identity


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "keys" / "trainer.json"


@pytest.fixture
def open_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


def secrets_of(identity: Identity) -> list[bytes]:
    keys = [identity.account.to_bytes(), identity.encryption.to_bytes()]
    return [*keys, identity.bls] if identity.bls else keys


@pytest.mark.parametrize("with_bls", [False, True])
def test_saved_keys_load(path: Path, with_bls: bool) -> None:
    identity = Identity.generate(with_bls)
    identity.save(path)
    loaded = Identity.load(path)
    assert secrets_of(loaded) == secrets_of(identity)
    assert (loaded.bls is not None) == with_bls
    assert (
        open_from(loaded.encryption, seal_to(identity.encryption.public, b"x", context=b""), context=b"")
        == b"x"
    )


def test_generated_keys_are_fresh_and_different() -> None:
    keys = [key for _ in range(5) for key in secrets_of(Identity.generate(True))]
    assert len(set(keys)) == 15


def test_files_are_private_whatever_the_umask(path: Path, open_umask: None) -> None:
    Identity.generate(True).save(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_nothing_is_overwritten(path: Path) -> None:
    Identity.generate(False).save(path)
    before = path.read_bytes()
    with pytest.raises(InvalidParameter, match="exists already"):
        Identity.generate(False).save(path)
    assert path.read_bytes() == before


def test_a_dangling_link_is_not_followed(path: Path, tmp_path: Path) -> None:
    path.parent.mkdir()
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InvalidParameter, match="exists already"):
        Identity.generate(False).save(path)
    assert not (tmp_path / "elsewhere").exists()


def test_a_failed_write_leaves_no_file(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch, pytest.raises(InvalidParameter, match="No space left"):
        patch.setattr(os, "fsync", full)
        Identity.generate(False).save(path)
    Identity.generate(False).save(path)
    Identity.load(path)


def test_unwritable_place(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(InvalidParameter, match="file"):
        Identity.generate(False).save(tmp_path / "file" / "key.json")


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o610, 0o644, 0o777])
def test_files_open_to_others_are_refused_with_a_hint(path: Path, mode: int) -> None:
    Identity.generate(False).save(path)
    path.chmod(mode)
    with pytest.raises(InvalidParameter, match="chmod 600") as error:
        Identity.load(path)
    assert error.value.hint == f"run: chmod 600 {path}"
    path.chmod(0o400)
    Identity.load(path)


def test_missing_file_has_a_hint(path: Path) -> None:
    with pytest.raises(InvalidParameter, match=r"does not exist.*zkpfl keys new"):
        Identity.load(path)


def test_a_pipe_or_directory_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe", 0o600)
    for name in ("pipe", "."):
        with pytest.raises(InvalidParameter):
            Identity.load(tmp_path / name)


def _document(identity: Identity, **changes: Any) -> str:
    document = {
        "format": "zkpfl-identity-1",
        "account": identity.account.to_bytes().hex(),
        "encryption": identity.encryption.to_bytes().hex(),
        "bls": None,
    }
    return json.dumps({name: value for name, value in (document | changes).items() if value != "absent"})


BAD = {
    "bad_format": {"format": "zkpfl-identity-2"},
    "bad_no_format": {"format": "absent"},
    "bad_no_account": {"account": "absent"},
    "bad_null_account": {"account": None},
    "bad_null_encryption": {"encryption": None},
    "bad_no_bls": {"bls": "absent"},
    "bad_extra": {"password": "00"},
    "bad_hex": {"account": "zz" * 32},
    "bad_short": {"account": "11" * 31},
    "bad_type": {"account": 17},
    "bad_zero": {"account": "00" * 32},
    "bad_encryption": {"encryption": "11" * 33},
    "bad_bls_zero": {"bls": "00" * 32},
    "bad_bls_order": {"bls": ORDER.to_bytes(32, "big").hex()},
    "bad_bls_short": {"bls": "11"},
    "bad_bls_empty": {"bls": ""},
}


def assert_refused(path: Path, text: str, identity: Identity) -> None:
    path.parent.mkdir()
    path.write_text(text)
    path.chmod(0o600)
    with pytest.raises(InvalidParameter, match="not a zkPFL key file") as error:
        Identity.load(path)
    shown = "".join(traceback.format_exception(error.value))
    for secret in secrets_of(identity):
        assert secret.hex() not in shown


@pytest.mark.parametrize("case", sorted(BAD))
def test_malformed_documents(path: Path, case: str) -> None:
    identity = Identity.generate(False)
    assert_refused(path, _document(identity, **BAD[case]), identity)


def test_the_unchanged_document_loads(path: Path) -> None:
    identity = Identity.generate(False)
    path.parent.mkdir()
    path.write_text(_document(identity))
    path.chmod(0o600)
    assert secrets_of(Identity.load(path)) == secrets_of(identity)


@pytest.mark.parametrize("text", ["", "[]", "null", "{", "\x00", "é", "[" * 4000])
def test_other_files(path: Path, text: str) -> None:
    assert_refused(path, text, Identity.generate(False))


def test_cut_and_oversized_files(path: Path, tmp_path: Path) -> None:
    identity = Identity.generate(False)
    assert_refused(path, _document(identity)[:-1], identity)
    assert_refused(tmp_path / "large" / "key.json", _document(identity) + " " * 5000, identity)


@pytest.mark.parametrize("bls", [b"", bytes(32), ORDER.to_bytes(32, "big"), bytes(31) + b"\1\1"])
def test_bls_scalar_is_checked(bls: bytes) -> None:
    with pytest.raises(InvalidParameter, match="bls"):
        Identity(AccountKey.generate(), generate_encryption_key(), bls)


def test_printing_shows_no_secret() -> None:
    identity = Identity.generate(True)
    shown = repr(identity) + str(identity) + json.dumps(identity.public())
    assert identity.account.address.hex() in shown.lower()
    for secret in secrets_of(identity):
        assert secret.hex() not in shown.lower()
        assert repr(secret) not in shown


def test_public_part() -> None:
    identity = Identity.generate(False)
    public = identity.public()
    assert bytes.fromhex(public["encryption"][2:]) == identity.encryption.public
    assert bytes.fromhex(public["address"][2:]) == identity.account.address
    assert "bls" not in public


def test_public_part_of_a_zk_node() -> None:
    identity = Identity.generate(True)
    assert identity.bls is not None
    public = bytes.fromhex(identity.public()["bls"][2:])
    assert public == BlsSecretKey.from_bytes(identity.bls).public.to_bytes()
