"""The keys of one party, and the file that holds them."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from eth_utils.address import to_checksum_address

from zkpfl.crypto.bls import BlsSecretKey
from zkpfl.crypto.sealing import EncryptionKey, derive_key, generate_encryption_key
from zkpfl.crypto.signatures import AccountKey
from zkpfl.errors import InvalidEncoding, InvalidParameter
from zkpfl.roles.keystore import account_from_environment, is_keystore, open_keystore
from zkpfl.roles.secret_file import MAX_FILE_BYTES, malformed, read_secret, write_secret

_FORMAT = "zkpfl-identity-1"
_FIELD = "identity"
_ENVIRONMENT = "env:"


@dataclass(frozen=True)
class Identity:
    """Who a party is: all its long-term secret keys. Printing it shows the address only.

    Parameters
    ----------
    account
        Signs transactions and messages.
    encryption
        Opens what others seal to this party.
    bls
        bytes[32], big-endian scalar from 1 to r − 1; secret. Attests aggregates; only zk-nodes have one.

    Raises
    ------
    InvalidParameter
        The BLS scalar is malformed or out of range.
    """

    account: AccountKey
    encryption: EncryptionKey = field(repr=False)
    bls: bytes | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        try:
            self._bls_key()
        except InvalidEncoding:
            raise InvalidParameter("must be 32 bytes, big-endian, from 1 to r − 1", field="bls") from None

    @classmethod
    def generate(cls, with_bls: bool) -> Self:
        """Draw fresh keys from the operating system's randomness; ``with_bls`` for a zk-node."""
        bls = BlsSecretKey.generate().to_bytes() if with_bls else None
        return cls(AccountKey.generate(), generate_encryption_key(), bls)

    def save(self, path: Path) -> None:
        """Write a new file that only its owner can read, durably; never overwrites.

        Parameters
        ----------
        path
            The file; a missing parent directory is made with mode 0700.

        Raises
        ------
        InvalidParameter
            The file exists or cannot be written.
        """
        write_secret(path, json.dumps(self._secrets(), indent=2) + "\n", field=_FIELD)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a file that ``save`` wrote, a JSON keystore, or a key from the environment.

        Parameters
        ----------
        path
            The file, or ``env:NAME`` for a variable that holds an account key in hexadecimal.

        Raises
        ------
        InvalidParameter
            The file is missing, readable by others, or not a key file; the hint says what to do.
        """
        if str(path).startswith(_ENVIRONMENT):
            return cls.of_account(account_from_environment(str(path).removeprefix(_ENVIRONMENT)))
        text = read_secret(path, field=_FIELD, missing_hint="make one with: zkpfl keys new")
        document = _parse(path, text)
        if is_keystore(document):
            return cls.of_account(open_keystore(path, document))
        return cls._from_secrets(path, _keys_of(path, document))

    @classmethod
    def of_account(cls, account: AccountKey) -> Self:
        """Derive all keys from an account key, for those who keep only that (docs/spec.md §10)."""
        secret = account.to_bytes()
        encryption = EncryptionKey.from_bytes(derive_key(secret, purpose="identity-encryption"))
        bls = BlsSecretKey.from_seed(derive_key(secret, purpose="identity-bls"))
        return cls(account, encryption, bls.to_bytes())

    def public(self) -> dict[str, str]:
        """What others may know, for printing: address, public encryption key, a zk-node's public BLS key."""
        public = {
            "address": to_checksum_address(self.account.address),
            "encryption": "0x" + self.encryption.public.hex(),
        }
        bls = self._bls_key()
        return public | {"bls": "0x" + bls.public.to_bytes().hex()} if bls else public

    def _bls_key(self) -> BlsSecretKey | None:
        return None if self.bls is None else BlsSecretKey.from_bytes(self.bls)

    def _secrets(self) -> dict[str, str | None]:
        return {
            "format": _FORMAT,
            "account": self.account.to_bytes().hex(),
            "encryption": self.encryption.to_bytes().hex(),
            "bls": self.bls.hex() if self.bls else None,
        }

    @classmethod
    def _from_secrets(cls, path: Path, keys: dict[str, bytes | None]) -> Self:
        account, encryption = keys["account"] or b"", keys["encryption"] or b""
        try:
            return cls(AccountKey.from_bytes(account), EncryptionKey.from_bytes(encryption), keys["bls"])
        except InvalidParameter:
            raise malformed(path, field=_FIELD) from None


def _parse(path: Path, text: str) -> dict[str, Any]:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        raise malformed(path, field=_FIELD) from None  # chained, it would quote the file, and so the keys
    if not isinstance(document, dict) or len(text) > MAX_FILE_BYTES:
        raise malformed(path, field=_FIELD)
    return document


def _keys_of(path: Path, document: dict[str, Any]) -> dict[str, bytes | None]:
    if document.pop("format", None) != _FORMAT or document.keys() != {"account", "encryption", "bls"}:
        raise malformed(path, field=_FIELD)
    try:
        return {name: None if value is None else bytes.fromhex(value) for name, value in document.items()}
    except (ValueError, TypeError):
        raise malformed(path, field=_FIELD) from None
