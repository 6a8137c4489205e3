"""Small text files that hold secrets: private, durable, never overwritten, never quoted in an error."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from zkpfl.errors import InvalidParameter

MAX_FILE_BYTES = 4096


def write_secret(path: Path, text: str, *, field: str) -> None:
    """Write a new file that only its owner can read, durably.

    Parameters
    ----------
    path
        The file; a missing parent directory is made with mode 0700.
    text
        ASCII. Secret.
    field
        What the file is, for errors.

    Raises
    ------
    InvalidParameter
        The file exists or cannot be written.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _write_private(path, text)
    except FileExistsError:
        hint = "choose another file: keys are never overwritten"
        raise unusable(path, "exists already", field=field, hint=hint) from None
    except OSError as error:
        raise unusable(path, error.strerror or "cannot be written", field=field) from error


def read_secret(path: Path, *, field: str, missing_hint: str) -> str:
    """Contents of a regular file that is closed to group and others, checked on the opened file itself.

    At most ``MAX_FILE_BYTES`` + 1 characters are returned, so that the caller sees when a file is too long.

    Raises
    ------
    InvalidParameter
        The file is missing (the hint is ``missing_hint``), readable by others, not regular or unreadable.
    """
    try:
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            if not stat.S_ISREG(mode):
                raise malformed(path, field=field)
            if mode & 0o077:
                reason, hint = f"others can read it (mode {mode & 0o777:04o})", f"run: chmod 600 {path}"
                raise unusable(path, reason, field=field, hint=hint)
            return file.read(MAX_FILE_BYTES + 1).decode("ascii", "replace")
    except FileNotFoundError:
        raise unusable(path, "does not exist", field=field, hint=missing_hint) from None
    except OSError as error:
        raise unusable(path, error.strerror or "cannot be read", field=field) from error


def malformed(path: Path, *, field: str) -> InvalidParameter:
    """The error for a file with other contents than expected; it quotes nothing of them."""
    hint = "restore it from a backup or make a new one"
    return unusable(path, "not a zkPFL key file", field=field, hint=hint)


def unusable(path: Path, reason: str, *, field: str, hint: str | None = None) -> InvalidParameter:
    """The error for a file that cannot be used."""
    return InvalidParameter(f"{path}: {reason}", field=field, hint=hint)


def _write_private(path: Path, text: str) -> None:
    """Make a new file with mode 0600 and these contents, or none at all."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
        try:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        except BaseException:
            path.unlink()
            raise
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
