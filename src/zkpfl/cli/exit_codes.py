"""One table from what went wrong to the exit code of the process."""

from __future__ import annotations

import typer

from zkpfl.errors import DeadlineExceeded, InvalidInput, JobFailed, NotAuthorized, Unavailable

OK = 0
FAILED = 1
INTERNAL = 5

EXIT_CODES: tuple[tuple[type[Exception], int], ...] = (
    (JobFailed, FAILED),
    (Unavailable, 2),
    (NotAuthorized, 2),
    (DeadlineExceeded, 3),
    (InvalidInput, 4),
    (typer.TyperException, 4),  # an unknown option or command, a value that does not parse
)
"""The first class that fits decides; everything else is `INTERNAL`."""


def exit_code(error: BaseException) -> int:
    """Exit code for an error that ended a command."""
    return next((code for kind, code in EXIT_CODES if isinstance(error, kind)), INTERNAL)
