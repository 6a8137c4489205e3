"""Every error that zkPFL raises.

::

    ZkpflError                     code, party, field, hint
    ├── InvalidInput               what the caller passed is wrong (exit code 4)
    │   ├── InvalidParameter       a parameter or a combination of parameters
    │   ├── InvalidUpdate          a model update: not finite, or outside the value range
    │   ├── InvalidBundle          a model bundle: operator, shape, weights, recipe
    │   └── InvalidData            a data set: missing column, empty, not numeric
    ├── InvalidEncoding            bytes from a peer that do not decode
    │   ├── InvalidScalar          not canonical (>= r)
    │   └── InvalidPoint           not canonical, not on the curve, or not in the subgroup
    ├── ProtocolFault              a party broke the protocol; names the party
    │   ├── BadSignature           a signature, receipt or proof of possession that does not verify
    │   ├── BadCommitment          commitments that do not yield the committed root, or have the wrong count
    │   ├── BadShare               a share that fails its commitments (evidence)
    │   ├── BadAggregateShare      an aggregate share that fails the sum of the commitments (evidence)
    │   ├── BadSum                 a verified sum that no honest updates have: nobody can tell whose
    │   ├── BadProof               a zero-knowledge proof that does not verify
    │   ├── WrongContext           a message of another chain, contract, job, round or party; a replay
    │   ├── NotDelivered           bytes that do not yield the signed root: refused, nobody is slashed
    │   └── Equivocation           two different statements where only one is allowed
    ├── StorageError
    │   ├── NotFound               no block under this content id
    │   ├── CorruptContent         bytes that do not hash to their content id, or do not decrypt
    │   └── ContentTooLarge        more bytes than the reader allows
    ├── LedgerError
    │   ├── TransactionFailed      the contract refused; ``reason`` is its word for it
    │   └── WrongPhase             the call belongs to another phase of the round
    ├── NotAuthorized              the account may not do this (exit code 2)
    ├── Unavailable                a peer cannot be reached (exit code 2)
    ├── DeadlineExceeded           the time for this ran out (exit code 3)
    └── JobFailed                  the job ended without a result (exit code 1)
"""

from __future__ import annotations

from typing import ClassVar


class ZkpflError(Exception):
    """Base of every error raised by this package.

    Parameters
    ----------
    message
        What is wrong, for a person. Never contains a secret.
    party
        Who is at fault, where that is known: a role and an address or index.
    field
        The argument, message field or option that is wrong.
    hint
        What to do about it.
    """

    code: ClassVar[str] = "internal"

    def __init__(
        self, message: str, *, party: str | None = None, field: str | None = None, hint: str | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.party = party
        self.field = field
        self.hint = hint

    def __str__(self) -> str:
        where = ", ".join(part for part in (self.party, self.field) if part)
        text = f"{where}: {self.message}" if where else self.message
        return f"{text} ({self.hint})" if self.hint else text


class InvalidInput(ZkpflError):
    """What the caller passed is wrong."""

    code = "invalid_input"


class InvalidParameter(InvalidInput):
    """A parameter, or a combination of parameters, is out of range."""

    code = "invalid_parameter"


class InvalidUpdate(InvalidInput):
    """A model update is not finite or does not fit the value range."""

    code = "invalid_update"


class InvalidBundle(InvalidInput):
    """A model bundle is refused before anything in it runs."""

    code = "invalid_bundle"


class InvalidData(InvalidInput):
    """A data set cannot be used."""

    code = "invalid_data"


class InvalidEncoding(ZkpflError):
    """Bytes from a peer do not decode."""

    code = "invalid_encoding"


class InvalidScalar(InvalidEncoding):
    """A scalar is not canonical."""

    code = "invalid_scalar"


class InvalidPoint(InvalidEncoding):
    """A point is not canonical, not on the curve, or not in the prime-order subgroup."""

    code = "invalid_point"


class ProtocolFault(ZkpflError):
    """A party broke the protocol."""

    code = "protocol_fault"


class BadSignature(ProtocolFault):
    """A signature does not verify under the key of the party that it names."""

    code = "bad_signature"


class BadCommitment(ProtocolFault):
    """Commitments do not yield the committed root or have the wrong count."""

    code = "bad_commitment"


class BadShare(ProtocolFault):
    """A share fails its commitments; the failing row is evidence."""

    code = "bad_share"


class BadAggregateShare(ProtocolFault):
    """An aggregate share fails the sum of the commitments; the failing row is evidence."""

    code = "bad_aggregate_share"


class BadSum(ProtocolFault):
    """A verified sum does not decode, or no data has it: some accepted submission broke the rules."""

    code = "bad_sum"


class BadProof(ProtocolFault):
    """A zero-knowledge proof does not verify."""

    code = "bad_proof"


class WrongContext(ProtocolFault):
    """A message belongs to another chain, contract, job, round or party."""

    code = "wrong_context"


class NotDelivered(ProtocolFault):
    """Bytes do not yield the signed root: the message is refused and nobody is slashed."""

    code = "not_delivered"


class Equivocation(ProtocolFault):
    """A party made two different statements where only one is allowed."""

    code = "equivocation"


class StorageError(ZkpflError):
    """Content-addressed storage failed."""

    code = "storage"


class NotFound(StorageError):
    """No block is stored under this content id."""

    code = "not_found"


class CorruptContent(StorageError):
    """Stored bytes do not hash to their content id or do not decrypt."""

    code = "corrupt_content"


class ContentTooLarge(StorageError):
    """Stored content is larger than the reader allows."""

    code = "content_too_large"


class LedgerError(ZkpflError):
    """The ledger failed or refused."""

    code = "ledger"


class TransactionFailed(LedgerError):
    """The contract refused a transaction or a call.

    Parameters
    ----------
    reason
        The contract's own word for it, snake_case; empty where it gave none.
    """

    code = "transaction_failed"

    def __init__(
        self,
        message: str,
        *,
        reason: str = "",
        party: str | None = None,
        field: str | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(message, party=party, field=field, hint=hint)
        self.reason = reason


class WrongPhase(LedgerError):
    """A call belongs to another phase of the round."""

    code = "wrong_phase"


class NotAuthorized(ZkpflError):
    """The account may not do this."""

    code = "not_authorized"


class Unavailable(ZkpflError):
    """A peer cannot be reached."""

    code = "unavailable"


class DeadlineExceeded(ZkpflError):
    """The time for this ran out."""

    code = "deadline_exceeded"


class JobFailed(ZkpflError):
    """The job ended without a result."""

    code = "job_failed"
