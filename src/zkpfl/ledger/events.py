"""The events of the ledger contract as frozen records: everything an auditor needs (docs/spec.md §9).

Each class is named as its event and has the event's fields under the same names; units are those of
`zkpfl.ledger.records`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from zkpfl.ledger.records import AccountRole, Durations, JobStatus, JobTerms, Offence, RoundKind

_ADDRESS_FIELDS = frozenset({"account", "accuser", "owner", "trainer", "node"})
_ENUM_FIELDS = {"kind": RoundKind, "status": JobStatus, "role": AccountRole, "offence": Offence}


@dataclass(frozen=True)
class Event:
    """An event and its place on the chain: order by (``block``, ``log_index``)."""

    block: int
    log_index: int


@dataclass(frozen=True)
class NodeRegistered(Event):
    """A zk-node registered; its proof of possession verified."""

    account: bytes
    bls_key: bytes
    encryption_key: bytes
    endpoint: str


@dataclass(frozen=True)
class TrainerRegistered(Event):
    """A trainer registered."""

    account: bytes
    encryption_key: bytes


@dataclass(frozen=True)
class Staked(Event):
    """A stake came in."""

    account: bytes
    coin: int
    amount: int


@dataclass(frozen=True)
class Unstaking(Event):
    """An account takes no new job; with an unfinished one the delay starts anew at its end."""

    account: bytes
    withdrawable_at: int


@dataclass(frozen=True)
class Unstaked(Event):
    """A stake was paid back and the account's registration ended."""

    account: bytes
    coin: int
    amount: int


@dataclass(frozen=True)
class JobCreated(Event):
    """A job; ``draw_fee`` is burnt, the hash of ``draw_block`` draws ``nodes`` zk-nodes."""

    job: int
    owner: bytes
    coin: int
    fee: int
    worth: int
    draw_fee: int
    draw_block: int
    nodes: int
    terms: JobTerms


@dataclass(frozen=True)
class CommitteeDrawn(Event):
    """The committee was drawn, and trainers may join until ``join_deadline``."""

    job: int
    seed: bytes
    join_deadline: int
    committee: tuple[bytes, ...]


@dataclass(frozen=True)
class Joined(Event):
    """A trainer joined as number ``index``, with a stake worth ``stake``."""

    job: int
    trainer: bytes
    index: int
    stake: int


@dataclass(frozen=True)
class Left(Event):
    """A trainer that had never submitted left, and its stake was freed."""

    job: int
    trainer: bytes


@dataclass(frozen=True)
class KeysShared(Event):
    """The owner recorded where the committee finds its shares of the job's keys."""

    job: int
    digest: bytes


@dataclass(frozen=True)
class RoundStarted(Event):
    """A round began to collect."""

    job: int
    round: int
    kind: RoundKind
    opened: int
    collect_deadline: int


@dataclass(frozen=True)
class Submitted(Event):
    """A trainer submitted at ``time``."""

    job: int
    round: int
    trainer: bytes
    commitment_root: bytes
    manifest: bytes
    time: int


@dataclass(frozen=True)
class Reported(Event):
    """A node reported the set of trainers that it accepts."""

    job: int
    round: int
    node: bytes
    accepted: int


@dataclass(frozen=True)
class AcceptedSetFixed(Event):
    """The contract fixed I and Q."""

    job: int
    round: int
    accepted: int
    quorum: int


@dataclass(frozen=True)
class AggregatePosted(Event):
    """A node posted its aggregate share."""

    job: int
    round: int
    node: bytes
    share_root: bytes
    manifest: bytes


@dataclass(frozen=True)
class Attested(Event):
    """``signers`` attested the aggregate, and that the proofs of ``valid`` verified."""

    job: int
    round: int
    aggregate_root: bytes
    valid: int
    signers: int
    signature: bytes


@dataclass(frozen=True)
class SliceOpened(Event):
    """The key of slice ``number`` of the test set, from 1, was revealed."""

    job: int
    round: int
    number: int
    key: bytes


@dataclass(frozen=True)
class ScoreCommitted(Event):
    """A trainer committed to a score."""

    job: int
    round: int
    trainer: bytes
    commitment: bytes


@dataclass(frozen=True)
class Scored(Event):
    """A trainer revealed its score, with ``stake`` behind it."""

    job: int
    round: int
    trainer: bytes
    checkpoint: bytes
    accuracy: int
    stake: int


@dataclass(frozen=True)
class Contributed(Event):
    """A trainer told where its contribution and the proof of it lie."""

    job: int
    round: int
    trainer: bytes
    digest: bytes


@dataclass(frozen=True)
class FactorsAttested(Event):
    """A trainer, with ``stake``, said what factors trainers have earned (`factors.unpacked_factors`)."""

    job: int
    round: int
    trainer: bytes
    factors: tuple[int, ...]
    stake: int


@dataclass(frozen=True)
class Rewarded(Event):
    """A reward was credited."""

    job: int
    round: int
    account: bytes
    role: AccountRole
    amount: int
    time_factor: int
    accuracy_factor: int


@dataclass(frozen=True)
class Slashed(Event):
    """A member of Q did not deliver; ``stake`` is what it had before, in ``coin``."""

    job: int
    round: int
    node: bytes
    coin: int
    stake: int
    amount: int


@dataclass(frozen=True)
class Convicted(Event):
    """The judge found an account guilty; ``stake`` is what it had in ``coin``, ``forfeited`` its rewards."""

    job: int
    round: int
    account: bytes
    accuser: bytes
    offence: Offence
    coin: int
    stake: int
    forfeited: int

    @property
    def bounty(self) -> int:
        """What the accuser is owed for it; the rest of the stake is burnt."""
        return self.stake // 5


@dataclass(frozen=True)
class RoundClosed(Event):
    """A round succeeded; without a score ``checkpoint`` is zero bytes and ``accuracy`` 0."""

    job: int
    round: int
    checkpoint: bytes
    accuracy: int
    improved: bool


@dataclass(frozen=True)
class RoundFailed(Event):
    """A round failed, for a reason in snake_case."""

    job: int
    round: int
    reason: str


@dataclass(frozen=True)
class JobEnded(Event):
    """A job was settled; ``refund`` went to its owner."""

    job: int
    status: JobStatus
    refund: int


@dataclass(frozen=True)
class Claimed(Event):
    """An account was paid what a job owed it in a coin."""

    job: int
    account: bytes
    coin: int
    amount: int


ACCOUNT_EVENTS: tuple[type[Event], ...] = (NodeRegistered, TrainerRegistered, Staked, Unstaking, Unstaked)
JOB_EVENTS: tuple[type[Event], ...] = (
    JobCreated,
    CommitteeDrawn,
    Joined,
    Left,
    KeysShared,
    RoundStarted,
    Submitted,
    Reported,
    AcceptedSetFixed,
    AggregatePosted,
    Attested,
    SliceOpened,
    ScoreCommitted,
    Contributed,
    FactorsAttested,
    Scored,
    Rewarded,
    Slashed,
    Convicted,
    RoundClosed,
    RoundFailed,
    JobEnded,
    Claimed,
)
BANK_EVENTS = frozenset({*ACCOUNT_EVENTS, Claimed})
"""What the bank logs."""
CONTRIBUTION_EVENTS: frozenset[type[Event]] = frozenset({Contributed, FactorsAttested})
"""What the contract of contributions logs, for any ledger; the ledger logs the others."""


def address_bytes(address: str) -> bytes:
    """Return bytes[20] for a hexadecimal address of web3."""
    return bytes.fromhex(address.removeprefix("0x"))


def terms_from(values: Mapping[str, Any]) -> JobTerms:
    """Return the terms that the contract holds, by the names of its struct."""
    return JobTerms(**{**values, "durations": Durations(*values["durations"])})


def event_from(kind: type[Event], block: int, log_index: int, values: Mapping[str, Any]) -> Event:
    """Make a record of a decoded log.

    Parameters
    ----------
    kind
        The event's class.
    block, log_index
        Its place on the chain.
    values
        Its arguments as web3 decodes them.
    """
    names = [field.name for field in fields(kind) if field.name not in ("block", "log_index")]
    arguments = {name: _convert(name, values[name]) for name in names}
    return kind(block=block, log_index=log_index, **arguments)


def _convert(name: str, value: Any) -> Any:
    if name in _ADDRESS_FIELDS:
        return address_bytes(value)
    if name in _ENUM_FIELDS:
        return _ENUM_FIELDS[name](value)
    if name == "factors":
        return tuple(value)
    if name == "committee":
        return tuple(address_bytes(address) for address in value)
    if name == "terms":
        return terms_from(value)
    return bytes(value) if isinstance(value, bytes) else value
