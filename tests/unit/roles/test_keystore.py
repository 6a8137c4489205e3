"""Keystores and environment keys: all keys of a party from one account key that is never plain on disk."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from eth_account import Account
from eth_keyfile.keyfile import create_keyfile_json

from zkpfl.cli.app import run
from zkpfl.crypto.signatures import AccountKey
from zkpfl.errors import InvalidParameter
from zkpfl.roles import keystore
from zkpfl.roles.identity import Identity
from zkpfl.roles.keystore import PASSPHRASE_VARIABLE

SECRET, PASSPHRASE = bytes(range(1, 33)), "correct horse"


@pytest.fixture(autouse=True)
def passphrase(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PASSPHRASE_VARIABLE, PASSPHRASE)


def wallet_file(path: Path, **changes: object) -> Path:
    """What a wallet writes, with few iterations."""
    document = create_keyfile_json(SECRET, PASSPHRASE.encode(), iterations=10)
    path.write_text(json.dumps({**document, **changes}))
    path.chmod(0o600)
    return path


def test_a_wallets_keystore_is_an_identity(tmp_path: Path) -> None:
    loaded = Identity.load(wallet_file(tmp_path / "wallet.json"))
    derived = Identity.of_account(AccountKey.from_bytes(SECRET))
    assert loaded.account.address == derived.account.address
    assert loaded.encryption.public == derived.encryption.public
    assert loaded.bls == derived.bls
    assert loaded.bls is not None
    assert len({loaded.bls, SECRET, loaded.encryption.to_bytes()}) == 3


def test_wallets_read_what_keys_new_writes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        keystore, "create_keyfile_json", lambda key, word: create_keyfile_json(key, word, iterations=10)
    )
    path = tmp_path / "keys.json"
    assert run(["keys", "new", str(path), "--encrypted", "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    secret = bytes(Account.decrypt(path.read_text(), PASSPHRASE))
    assert AccountKey.from_bytes(secret).address.hex() == printed["address"].removeprefix("0x").lower()
    assert secret.hex() not in path.read_text()
    assert path.stat().st_mode & 0o777 == 0o600
    assert Identity.load(path).public() == {name: printed[name] for name in ("address", "encryption", "bls")}


def test_a_key_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", "0x" + SECRET.hex())
    assert Identity.load(Path("env:MY_KEY")).account.to_bytes() == SECRET
    for value in ("", "zz", "00" * 32):
        monkeypatch.setenv("MY_KEY", value)
        with pytest.raises(InvalidParameter, match="holds no key"):
            Identity.load(Path("env:MY_KEY"))
    with pytest.raises(InvalidParameter, match="NO_SUCH"):
        Identity.load(Path("env:NO_SUCH"))


def test_a_wrong_or_missing_passphrase_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = wallet_file(tmp_path / "wallet.json")
    monkeypatch.setenv(PASSPHRASE_VARIABLE, "wrong")
    with pytest.raises(InvalidParameter, match="passphrase is wrong"):
        Identity.load(path)
    monkeypatch.delenv(PASSPHRASE_VARIABLE)
    with pytest.raises(InvalidParameter, match="needs one"):
        Identity.load(path)
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    monkeypatch.setattr(keystore.getpass, "getpass", lambda _prompt: PASSPHRASE)
    assert Identity.load(path).account.to_bytes() == SECRET


@pytest.mark.parametrize("changes", [{"version": 9}, {"version": 1}, {"crypto": {}}, {"crypto": 7}])
def test_what_is_no_keystore_is_refused(tmp_path: Path, changes: dict[str, object]) -> None:
    with pytest.raises(InvalidParameter, match="not a zkPFL key file"):
        Identity.load(wallet_file(tmp_path / "wallet.json", **changes))
