"""The file in which a model owner keeps a job's key (docs/spec.md §10)."""

from __future__ import annotations

import json
import secrets
from pathlib import Path

from zkpfl.roles.secret_file import MAX_FILE_BYTES, malformed, read_secret, write_secret

_FORMAT = "zkpfl-job-key-1"
_FIELD = "job key"
_KEY_BYTES = 32


def new_job_key() -> bytes:
    """Draw a fresh job key, 32 bytes. Secret."""
    return secrets.token_bytes(_KEY_BYTES)


def new_job_key_file(path: Path) -> bytes:
    """Draw a fresh job key and write it to a new file that only its owner can read.

    Returns
    -------
    bytes
        32 bytes. Secret.

    Raises
    ------
    InvalidParameter
        The file exists or cannot be written.
    """
    job_key = new_job_key()
    write_secret(path, json.dumps({"format": _FORMAT, "key": job_key.hex()}) + "\n", field=_FIELD)
    return job_key


def load_job_key(path: Path) -> bytes:
    """Read a file that `new_job_key_file` wrote.

    Returns
    -------
    bytes
        32 bytes. Secret.

    Raises
    ------
    InvalidParameter
        The file is missing, readable by others, or not a job key file.
    """
    text = read_secret(
        path, field=_FIELD, missing_hint="give the file that `zkpfl job submit --job-key` wrote"
    )
    try:
        document = json.loads(text)
        job_key = bytes.fromhex(document["key"])
        accepted = document == {"format": _FORMAT, "key": document["key"]} and len(text) <= MAX_FILE_BYTES
    except (ValueError, TypeError, KeyError, RecursionError):
        # The chained error would quote the file, and so the key.
        raise malformed(path, field=_FIELD) from None
    if not accepted or len(job_key) != _KEY_BYTES:
        raise malformed(path, field=_FIELD)
    return job_key
