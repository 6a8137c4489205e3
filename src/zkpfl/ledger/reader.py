"""Reading the ledger contract: typed answers to every view and event of docs/spec.md §9."""

# ruff: noqa: A002  "round" is the protocol's word

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any, TypeVar, cast

from web3.contract.contract import ContractFunction
from web3.types import BlockIdentifier

from zkpfl.errors import InvalidParameter
from zkpfl.ledger.arguments import checked_address, checked_job, checked_round
from zkpfl.ledger.connection import Connection
from zkpfl.ledger.contracts import compiled
from zkpfl.ledger.events import (
    ACCOUNT_EVENTS,
    JOB_EVENTS,
    Event,
    address_bytes,
    event_from,
    terms_from,
)
from zkpfl.ledger.records import (
    AccountRole,
    Job,
    JobStatus,
    NodeRecord,
    Phase,
    Post,
    Round,
    RoundKind,
    Submission,
    TrainerRecord,
)
from zkpfl.ledger.token import Token

_NO_HASH = bytes(32)

_Record = TypeVar("_Record", Submission, Post)


class LedgerReader:
    """The ledger contract as anybody may read it.

    Reads take ``finalized=True`` where the answer decides about releasing something: then only blocks count
    that can no longer be reorganised away.

    Parameters
    ----------
    connection
        Node; needs no account.
    contract
        Address of the ledger contract, bytes[20].
    first_block
        Block from which events are read: that of the deployment, or any before.
    """

    def __init__(self, connection: Connection, contract: bytes, *, first_block: int = 0) -> None:
        self.contract = checked_address(contract, "contract")
        self.connection = connection
        self.first_block = first_block
        self._web3_contract = connection.contract(compiled("zkpfl").abi, contract)
        self._functions = self._web3_contract.functions
        self.token = Token(connection, address_bytes(self._read(self._functions.TOKEN())))

    def __repr__(self) -> str:
        return f"{type(self).__name__}(0x{self.contract.hex()}, {self.connection!r})"

    @property
    def chain_id(self) -> int:
        """EIP-155 chain id."""
        return self.connection.chain_id

    @cached_property
    def challenge_s(self) -> int:
        """Seconds from the end of a job until it pays."""
        return int(self._read(self._functions.CHALLENGE()))

    @cached_property
    def min_trainer_stake(self) -> int:
        """Least stake of a trainer, base units."""
        return int(self._read(self._functions.MIN_TRAINER_STAKE()))

    @cached_property
    def judge(self) -> bytes:
        """Address of the judge that this ledger trusts, bytes[20]."""
        return address_bytes(self._read(self._functions.JUDGE()))

    def block_number(self) -> int:
        """Return the number of the latest block: cheap enough to poll."""
        return self.connection.block_number()

    def job_count(self, *, finalized: bool = False) -> int:
        """Return how many jobs there are; they are numbered from 1."""
        return int(self._read(self._functions.job_count(), finalized))

    def node(self, account: bytes, *, finalized: bool = False) -> NodeRecord | None:
        """Return the zk-node registered for an account (bytes[20]), or None."""
        fields = self._account(account, finalized)
        if fields["role"] != AccountRole.NODE:
            return None
        return NodeRecord(
            **_account_fields(account, fields),
            bls_key=bytes(self._read(self._functions.bls_key(account), finalized)),
            endpoint=fields["endpoint"],
        )

    def trainer(self, account: bytes, *, finalized: bool = False) -> TrainerRecord | None:
        """Return the trainer registered for an account (bytes[20]), or None."""
        fields = self._account(account, finalized)
        if fields["role"] != AccountRole.TRAINER:
            return None
        return TrainerRecord(**_account_fields(account, fields))

    def job(self, job: int, *, finalized: bool = False) -> Job:
        """Return a job in one consistent view.

        Raises
        ------
        InvalidParameter
            There is no such job.
        """
        function = self._functions.job(checked_job(job))
        state, terms, committee, trainers, current = self._read(function, finalized)
        fields = _named(function, 0, state)
        if fields["status"] == JobStatus.NONE:
            raise InvalidParameter(f"there is no job {job}", field="job")
        latest = _named(function, 4, current)
        return Job(
            **{
                **fields,
                "id": job,
                "owner": address_bytes(fields["owner"]),
                "status": JobStatus(fields["status"]),
                "checkpoint": _hash_or_none(fields["checkpoint"]),
                "terms": terms_from(_named(function, 1, terms)),
                "committee": tuple(map(address_bytes, committee)),
                "trainers": tuple(map(address_bytes, trainers)),
                "phase": Phase(latest["phase"]),
                "phase_deadline": latest["deadline"] or fields["join_deadline"],
            }
        )

    def key_grant(self, job: int, trainer: bytes, *, finalized: bool = False) -> bytes | None:
        """Return the digest granted to a trainer (bytes[20]), or None."""
        function = self._functions.key_grant(checked_job(job), checked_address(trainer, "trainer"))
        return _hash_or_none(self._read(function, finalized))

    def owed(self, job: int, account: bytes, *, finalized: bool = False) -> int:
        """Return what a job owes an account (bytes[20]), in base units."""
        function = self._functions.owed(checked_job(job), checked_address(account, "account"))
        return int(self._read(function, finalized))

    def pays_at(self, job: Job) -> int:
        """Return the time from which an ended job can be claimed from."""
        return job.ended + self.challenge_s

    def round(self, job: int, number: int, *, finalized: bool = False) -> Round:
        """Return a round.

        Raises
        ------
        InvalidParameter
            There is no such round.
        """
        function = self._functions.round(checked_job(job), checked_round(number))
        fields = _named(function, 0, self._read(function, finalized))
        if fields["phase"] == Phase.NONE:
            raise InvalidParameter(f"job {job} has no round {number}", field="round")
        scored = fields["phase"] == Phase.CLOSED and fields["scored"] != 0
        return Round(
            **{
                **fields,
                "job": job,
                "number": number,
                "kind": RoundKind(fields["kind"]),
                "phase": Phase(fields["phase"]),
                "aggregate_root": _hash_or_none(fields["aggregate_root"]),
                "checkpoint": fields["checkpoint"] if scored else None,
                "accuracy": fields["accuracy"] if scored else None,
            }
        )

    def submissions(self, job: int, round: int, *, finalized: bool = False) -> dict[int, Submission]:
        """Return what was submitted, by trainer number from 0."""
        return self._per_party(
            self._functions.submissions(checked_job(job), checked_round(round)), Submission, finalized
        )

    def posts(self, job: int, round: int, *, finalized: bool = False) -> dict[int, Post]:
        """Return what was posted, by node number from 1."""
        found = self._per_party(
            self._functions.posts(checked_job(job), checked_round(round)), Post, finalized
        )
        return {index + 1: post for index, post in found.items()}

    def reports(self, job: int, round: int, *, finalized: bool = False) -> dict[int, int]:
        """Return the reported sets, by node number from 1; 0 where a node reported nobody or not at all."""
        values = self._read(self._functions.reports(checked_job(job), checked_round(round)), finalized)
        return {index + 1: int(value) for index, value in enumerate(values)}

    def events(self, job: int, *, finalized: bool = False) -> list[Event]:
        """Return the events of a job in chain order."""
        return self._events(JOB_EVENTS, {"job": checked_job(job)}, finalized)

    def account_events(self, account: bytes | None = None, *, finalized: bool = False) -> list[Event]:
        """Return registrations and movements of stake, of one account (bytes[20]) or all, in chain order."""
        filters = {} if account is None else {"account": _hex(checked_address(account, "account"))}
        return self._events(ACCOUNT_EVENTS, filters, finalized)

    def _events(
        self, kinds: Iterable[type[Event]], filters: Mapping[str, Any], finalized: bool
    ) -> list[Event]:
        last = self.connection.finalized_block() if finalized else self.connection.block_number()
        found = [
            event_from(kind, log["blockNumber"], log["logIndex"], log["args"])
            for kind in kinds
            for log in self.connection.logs(
                self._web3_contract.events[kind.__name__], self.first_block, last, filters
            )
        ]
        return sorted(found, key=lambda event: (event.block, event.log_index))

    def _account(self, account: bytes, finalized: bool) -> dict[str, Any]:
        function = self._functions.account(checked_address(account, "account"))
        return _named(function, 0, self._read(function, finalized))

    def _per_party(
        self, function: ContractFunction, record: type[_Record], finalized: bool
    ) -> dict[int, _Record]:
        rows = enumerate(self._read(function, finalized))
        return {index: record(*row) for index, row in rows if row[0] != _NO_HASH}

    def _read(self, function: ContractFunction, finalized: bool = False) -> Any:
        at: BlockIdentifier = "finalized" if finalized else "latest"
        return self.connection.call(function, at)


def _named(function: ContractFunction, output: int, values: Sequence[Any]) -> dict[str, Any]:
    """Name the members of a struct that a function returns, by its ABI."""
    components = cast(Any, function.abi)["outputs"][output]["components"]
    return {component["name"]: value for component, value in zip(components, values, strict=True)}


def _account_fields(account: bytes, fields: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "account": account,
        "stake": fields["stake"],
        "serving": fields["serving"],
        "withdrawable_at": fields["withdrawable_at"] or None,
        "encryption_key": fields["encryption_key"],
    }


def _hash_or_none(value: bytes) -> bytes | None:
    return None if value == _NO_HASH else value


def _hex(address: bytes) -> str:
    return "0x" + address.hex()
