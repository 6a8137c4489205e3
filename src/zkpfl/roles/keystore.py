"""Account keys that are never plain on disk: the standard JSON keystore, or the environment.

The keystore is Ethereum's Web3 Secret Storage, version 3, as wallets write it: one account key, encrypted by
a passphrase. The other keys of an identity are derived from it (docs/spec.md §10).
"""

from __future__ import annotations

import getpass
import json
import os
import sys
from pathlib import Path
from typing import Any

from eth_keyfile.keyfile import create_keyfile_json, decode_keyfile_json

from zkpfl.crypto.signatures import AccountKey
from zkpfl.errors import InvalidParameter
from zkpfl.roles.secret_file import malformed, write_secret

PASSPHRASE_VARIABLE = "ZKPFL_PASSPHRASE"  # noqa: S105  the name of the variable, not what it holds
_FIELD = "identity"


def is_keystore(document: object) -> bool:
    """Whether a parsed JSON file is a keystore."""
    return isinstance(document, dict) and ("crypto" in document or "Crypto" in document)


def open_keystore(path: Path, document: dict[str, Any]) -> AccountKey:
    """Decrypt a keystore with the passphrase of the environment, or of whoever sits there.

    Raises
    ------
    InvalidParameter
        No or a wrong passphrase, or not a keystore of version 3.
    """
    try:
        return AccountKey.from_bytes(decode_keyfile_json(document, _passphrase().encode()))
    except ValueError as error:
        if "MAC mismatch" in str(error):
            hint = f"set {PASSPHRASE_VARIABLE} to the one that it was made with"
            raise InvalidParameter("the passphrase is wrong", field=_FIELD, hint=hint) from None
        raise malformed(path, field=_FIELD) from None
    except (KeyError, TypeError, NotImplementedError, InvalidParameter) as error:
        if isinstance(error, InvalidParameter) and error.field == PASSPHRASE_VARIABLE:
            raise
        raise malformed(path, field=_FIELD) from None


def save_keystore(path: Path, key: AccountKey) -> None:
    """Encrypt an account key into a new file; a second or so of work keeps guesses expensive."""
    document = create_keyfile_json(key.to_bytes(), _passphrase().encode())
    write_secret(path, json.dumps(document) + "\n", field=_FIELD)


def account_from_environment(variable: str) -> AccountKey:
    """Account key from a variable that holds it in hexadecimal.

    Raises
    ------
    InvalidParameter
        The variable is not set or no key; its value is never quoted.
    """
    try:
        return AccountKey.from_bytes(bytes.fromhex(os.environ[variable].removeprefix("0x")))
    except (KeyError, ValueError, InvalidParameter):
        hint = "set it to an account key, 32 bytes in hexadecimal"
        raise InvalidParameter(f"{variable} holds no key", field=_FIELD, hint=hint) from None


def _passphrase() -> str:
    found = os.environ.get(PASSPHRASE_VARIABLE)
    if found is None and sys.stdin.isatty():
        found = getpass.getpass("passphrase: ")
    if not found:
        hint = f"set {PASSPHRASE_VARIABLE}, or run this at a terminal"
        raise InvalidParameter("the keystore needs one", field=PASSPHRASE_VARIABLE, hint=hint)
    return found
