"""The one table between the errors of zkPFL and what crosses the wire.

A refusal is a gRPC status with a public text per class, and three trailers: ``zkpfl-code``,
``zkpfl-party-bin`` and ``zkpfl-field-bin``. The receiver raises the same class again. An error's own message
and hint stay where it was raised.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import grpc
from grpc import StatusCode

from zkpfl import errors
from zkpfl.errors import DeadlineExceeded, Unavailable, ZkpflError

CODE_KEY = "zkpfl-code"
PARTY_KEY = "zkpfl-party-bin"
FIELD_KEY = "zkpfl-field-bin"
MAX_TRAILER_CHARACTERS = 128

Metadata = tuple[tuple[str, str | bytes], ...]


class Public(NamedTuple):
    """What others may learn of an error: its status and a text that says nothing about the inside."""

    status: StatusCode
    text: str


PUBLIC: Mapping[type[ZkpflError], Public] = {
    errors.ZkpflError: Public(StatusCode.INTERNAL, "internal error"),
    errors.InvalidInput: Public(StatusCode.INVALID_ARGUMENT, "invalid input"),
    errors.InvalidParameter: Public(StatusCode.INVALID_ARGUMENT, "a parameter is out of range"),
    errors.InvalidUpdate: Public(StatusCode.INVALID_ARGUMENT, "the update is not finite or out of range"),
    errors.InvalidBundle: Public(StatusCode.INVALID_ARGUMENT, "the model bundle is refused"),
    errors.InvalidData: Public(StatusCode.INVALID_ARGUMENT, "the data set cannot be used"),
    errors.InvalidEncoding: Public(StatusCode.INVALID_ARGUMENT, "bytes that do not decode"),
    errors.InvalidScalar: Public(StatusCode.INVALID_ARGUMENT, "a scalar that is not canonical"),
    errors.InvalidPoint: Public(StatusCode.INVALID_ARGUMENT, "not a canonical point of the subgroup"),
    errors.ProtocolFault: Public(StatusCode.FAILED_PRECONDITION, "a fault against the protocol"),
    errors.BadSignature: Public(StatusCode.PERMISSION_DENIED, "the signature does not verify"),
    errors.BadCommitment: Public(StatusCode.INVALID_ARGUMENT, "commitments that do not yield their root"),
    errors.BadShare: Public(StatusCode.INVALID_ARGUMENT, "the share fails its commitments"),
    errors.BadAggregateShare: Public(
        StatusCode.INVALID_ARGUMENT, "the aggregate share fails its commitments"
    ),
    errors.BadSum: Public(StatusCode.FAILED_PRECONDITION, "a sum that no honest updates have"),
    errors.BadProof: Public(StatusCode.INVALID_ARGUMENT, "the proof does not verify"),
    errors.WrongContext: Public(
        StatusCode.FAILED_PRECONDITION, "another chain, contract, job, round or party is meant"
    ),
    errors.NotDelivered: Public(StatusCode.ABORTED, "bytes that do not yield the signed root"),
    errors.Equivocation: Public(StatusCode.ALREADY_EXISTS, "a different statement was made before"),
    errors.StorageError: Public(StatusCode.INTERNAL, "storage failed"),
    errors.NotFound: Public(StatusCode.NOT_FOUND, "nothing is held under this content id"),
    errors.CorruptContent: Public(StatusCode.DATA_LOSS, "stored bytes do not match their content id"),
    errors.ContentTooLarge: Public(StatusCode.RESOURCE_EXHAUSTED, "the content is too large"),
    errors.LedgerError: Public(StatusCode.INTERNAL, "the ledger failed"),
    errors.TransactionFailed: Public(StatusCode.FAILED_PRECONDITION, "the contract refused"),
    errors.WrongPhase: Public(StatusCode.FAILED_PRECONDITION, "not in this phase of the round"),
    errors.NotAuthorized: Public(StatusCode.PERMISSION_DENIED, "the account may not do this"),
    errors.Unavailable: Public(StatusCode.UNAVAILABLE, "cannot be reached or is busy"),
    errors.DeadlineExceeded: Public(StatusCode.DEADLINE_EXCEEDED, "the time ran out"),
    errors.JobFailed: Public(StatusCode.FAILED_PRECONDITION, "the job has failed"),
}

_BY_CODE: Mapping[str, type[ZkpflError]] = {error_type.code: error_type for error_type in PUBLIC}

_BUSY = (StatusCode.UNAVAILABLE, StatusCode.RESOURCE_EXHAUSTED)
"""Statuses that gRPC itself gives when the peer is away, or has too many calls at once."""


def to_status(error: Exception) -> tuple[StatusCode, str, Metadata]:
    """Status, public text and trailers of an error; whatever is not of zkPFL is an internal error.

    The nearest class of the table speaks for classes that are not in it.
    """
    ancestors = (t for t in type(error).__mro__ if issubclass(t, ZkpflError))
    public_type = next((t for t in ancestors if t in PUBLIC), ZkpflError)
    status, text = PUBLIC[public_type]
    trailers: list[tuple[str, str | bytes]] = [(CODE_KEY, public_type.code)]
    for key, value in (
        (PARTY_KEY, getattr(error, "party", None)),
        (FIELD_KEY, getattr(error, "field", None)),
    ):
        if isinstance(error, ZkpflError) and value:
            trailers.append((key, value[:MAX_TRAILER_CHARACTERS].encode(errors="replace")))
    return status, text, tuple(trailers)


def from_call(call: grpc.Call, party: str, endpoint: str) -> ZkpflError:
    """Error that a failed call stands for.

    Parameters
    ----------
    call
        The failed call; everything in it is the peer's word.
    party, endpoint
        Whom we called and where. ``party`` is named where the call itself failed; where the peer refused, it
        is whom the peer names.

    Returns
    -------
    ZkpflError
        Of the class that the peer raised; else `Unavailable`, `DeadlineExceeded` or, for a status that no
        zk-node of this version gives, `ZkpflError`.
    """
    trailers = dict(call.trailing_metadata() or ())
    error_type = _BY_CODE.get(_text(trailers.get(CODE_KEY)) or "")
    if error_type is None:
        return _failed_call(call.code(), party, endpoint)
    blamed = _text(trailers.get(PARTY_KEY))
    if error_type in (ZkpflError, Unavailable, DeadlineExceeded):
        blamed = blamed or party
    return error_type(
        PUBLIC[error_type].text,
        party=blamed,
        field=_text(trailers.get(FIELD_KEY)),
        hint=f"says {party} at {endpoint}",
    )


def is_temporary(call: grpc.Call, error: ZkpflError) -> bool:
    """Whether the same call may succeed in a moment: the peer is away, restarting or busy."""
    return isinstance(error, Unavailable) and call.code() in _BUSY


def _failed_call(status: StatusCode, party: str, endpoint: str) -> ZkpflError:
    if status is StatusCode.DEADLINE_EXCEEDED:
        return DeadlineExceeded(f"no answer from {endpoint} in time", party=party)
    if status in _BUSY:
        return Unavailable(f"cannot be reached at {endpoint}", party=party, hint="is it running?")
    if status is StatusCode.CANCELLED:
        return Unavailable(f"the call to {endpoint} was cancelled", party=party)
    if status is StatusCode.UNIMPLEMENTED:
        return Unavailable(f"no zk-node of this version answers at {endpoint}", party=party)
    return ZkpflError(f"{endpoint} answered {status.name}", party=party)


def _text(trailer: str | bytes | None) -> str | None:
    """Printable text of a trailer from a peer, cut to a sane length; None if it is not text."""
    try:
        text = trailer.decode() if isinstance(trailer, bytes) else trailer
    except UnicodeDecodeError:
        return None
    return text[:MAX_TRAILER_CHARACTERS] if text and text.isprintable() else None
