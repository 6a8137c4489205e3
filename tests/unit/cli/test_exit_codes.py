"""Every error class has its exit code, through the real command line."""

import pytest
import typer

from zkpfl import errors
from zkpfl.cli.exit_codes import INTERNAL, exit_code
from zkpfl.errors import TransactionFailed, ZkpflError


def subclasses(kind: type[ZkpflError]) -> list[type[ZkpflError]]:
    return [kind] + [below for child in kind.__subclasses__() for below in subclasses(child)]


EXPECTED = {
    errors.JobFailed: 1,
    errors.Unavailable: 2,
    errors.NotAuthorized: 2,
    errors.DeadlineExceeded: 3,
    errors.InvalidInput: 4,
    errors.InvalidParameter: 4,
    errors.InvalidUpdate: 4,
    errors.InvalidBundle: 4,
    errors.InvalidData: 4,
}


@pytest.mark.parametrize("kind", subclasses(ZkpflError), ids=lambda kind: kind.__name__)
def test_every_class_has_its_code(kind: type[ZkpflError]) -> None:
    assert exit_code(kind("broken")) == EXPECTED.get(kind, 5)


def test_a_reason_of_the_contract_changes_nothing() -> None:
    assert exit_code(TransactionFailed("refused", reason="not_owner")) == INTERNAL


@pytest.mark.parametrize("error", [ValueError("x"), OSError("x"), KeyboardInterrupt(), MemoryError()])
def test_everything_else_is_internal(error: BaseException) -> None:
    assert exit_code(error) == INTERNAL


def test_usage_errors_are_bad_arguments() -> None:
    assert exit_code(typer.BadParameter("no such thing")) == 4
