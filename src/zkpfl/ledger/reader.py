"""Reading the ledger contract: typed answers to every view and event of docs/spec.md §9."""

# ruff: noqa: A002  "round" is the protocol's word

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any, TypeVar, cast

from web3 import Web3
from web3.contract.contract import Contract, ContractFunction, ContractFunctions
from web3.types import BlockIdentifier

from zkpfl.crypto.merkle import keccak256
from zkpfl.errors import InvalidParameter, LedgerError, TransactionFailed
from zkpfl.ledger.arguments import checked_address, checked_amount, checked_job, checked_round
from zkpfl.ledger.connection import Connection
from zkpfl.ledger.contracts import compiled
from zkpfl.ledger.events import (
    ACCOUNT_EVENTS,
    BANK_EVENTS,
    CONTRIBUTION_EVENTS,
    JOB_EVENTS,
    AggregatePosted,
    Contributed,
    Event,
    FactorsAttested,
    JobEnded,
    NodeRegistered,
    ScoreCommitted,
    Scored,
    Submitted,
    address_bytes,
    event_from,
    terms_from,
)
from zkpfl.ledger.factors import unpacked_factors
from zkpfl.ledger.records import (
    MPC_COIN,
    AccountRole,
    Coin,
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

_Event = TypeVar("_Event", bound=Event)


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
        self.bank = address_bytes(self._read(self._functions.BANK()))
        self._bank_contract = connection.contract(compiled("bank").abi, self.bank)
        self._bank_functions = self._bank_contract.functions
        self._first_blocks: dict[int, int] = {}
        self._bls_keys: dict[tuple[bytes, bytes], bytes] = {}

    def __repr__(self) -> str:
        return f"{type(self).__name__}(0x{self.contract.hex()}, {self.connection!r})"

    @property
    def chain_id(self) -> int:
        """EIP-155 chain id."""
        return self.connection.chain_id

    @cached_property
    def challenge_s(self) -> int:
        """Seconds from the end of a job until it pays."""
        return int(self._read(self._bank_functions.CHALLENGE()))

    @cached_property
    def min_node_stake(self) -> int:
        """Least worth of the stake of a zk-node, base units of MPC."""
        return int(self._read(self._bank_functions.MIN_NODE_STAKE()))

    @cached_property
    def min_trainer_stake(self) -> int:
        """Least worth of the stake of a trainer, base units of MPC."""
        return int(self._read(self._bank_functions.MIN_TRAINER_STAKE()))

    @cached_property
    def draw_delay(self) -> int:
        """Blocks from the creation of a job to the one whose hash draws its committee."""
        return int(self._read(self._functions.DRAW_DELAY()))

    @cached_property
    def draw_fee(self) -> int:
        """Worth of what drawing a committee costs, base units of MPC."""
        return int(self._read(self._bank_functions.DRAW_FEE()))

    @cached_property
    def coins(self) -> tuple[Coin, ...]:
        """The listed coins; number 0 is MPC."""
        return tuple(
            Coin(address_bytes(token), address_bytes(feed), int(max_age))
            for token, feed, max_age in self._read(self._bank_functions.coins())
        )

    @cached_property
    def token(self) -> Token:
        """The MPC token."""
        return self.coin_token(MPC_COIN)

    def coin_token(self, coin: int) -> Token:
        """Return the token of a listed coin."""
        if not 0 <= coin < len(self.coins):
            raise InvalidParameter(f"there is no coin {coin}, only 0 to {len(self.coins) - 1}", field="coin")
        return Token(self.connection, self.coins[coin].token)

    def worth(self, coin: int, amount: int) -> int:
        """Return what an amount of a coin is worth now, base units of MPC; refused without a recent price."""
        return int(self._read(self._bank_functions.worth(coin, checked_amount(amount, "amount"))))

    def amount_for(self, coin: int, worth: int) -> int:
        """Return the least amount of a coin that is worth as much; refused without a recent price."""
        return int(self._read(self._bank_functions.amount_for(coin, checked_amount(worth, "worth"))))

    def burnt(self, coin: int = MPC_COIN) -> int:
        """Return what has been burnt of a coin, base units."""
        return int(self._read(self._bank_functions.burnt(coin)))

    def nodes(self, *, finalized: bool = False) -> list[bytes]:
        """Return the zk-nodes that a draw may find, in its order; bytes[20] each."""
        return [address_bytes(account) for account in self._read(self._bank_functions.nodes(), finalized)]

    @cached_property
    def parts(self) -> dict[str, bytes]:
        """Addresses (bytes[20]) of the contracts that this ledger relies on, by the names of `compiled`."""
        own = self._functions
        views = {
            "rules": own.RULES,
            "bls_verifier": own.VERIFIER,
            "judge": own.JUDGE,
            "contributions": own.CONTRIBUTIONS,
        }
        found = {name: address_bytes(self._read(view())) for name, view in views.items()}
        return {"bank": self.bank, "mpc_token": self.token.address, **found}

    @cached_property
    def _contributions_contract(self) -> Contract:
        return self.connection.contract(compiled("contributions").abi, self.parts["contributions"])

    @property
    def _contributions_functions(self) -> ContractFunctions:
        return self._contributions_contract.functions

    @property
    def _hex_contract(self) -> str:
        return Web3.to_checksum_address(self.contract)

    @property
    def judge(self) -> bytes:
        """Address of the judge that this ledger trusts, bytes[20]."""
        return self.parts["judge"]

    def block_number(self) -> int:
        """Return the number of the latest block: cheap enough to poll."""
        return self.connection.block_number()

    def job_count(self, *, finalized: bool = False) -> int:
        """Return how many jobs there are; they are numbered from 1."""
        return int(self._read(self._functions.job_count(), finalized))

    def unfinished_jobs(self, after: int) -> list[int]:
        """Return the numbers above ``after`` of the jobs that have not ended."""
        last = self.connection.block_number()
        ended = (
            {event.job for event in self._logged(JobEnded, last, {})} if self.job_count() > after else set()
        )
        return [job for job in range(after + 1, self.job_count() + 1) if job not in ended]

    def node(self, account: bytes, *, finalized: bool = False) -> NodeRecord | None:
        """Return the zk-node registered for an account (bytes[20]), or None."""
        fields = self._account(account, finalized)
        if fields["role"] != AccountRole.NODE:
            return None
        return NodeRecord(
            **_account_fields(account, fields),
            bls_key=self._bls_key(account, fields["bls_key_hash"]),
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
        try:
            state, terms, committee, trainers, current = self._read(function, finalized)
        except TransactionFailed as error:
            if error.reason != "unknown_job":
                raise
            raise InvalidParameter(f"there is no job {job}", field="job") from error
        fields = _named(function, 0, state)
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

    def key_shares(self, job: int) -> bytes | None:
        """Return the digest of what hands the committee its shares of the keys, or None before."""
        return _hash_or_none(self._read(self._functions.key_shares(checked_job(job))))

    def has_trainer(self, job: int, account: bytes, *, finalized: bool = False) -> bool:
        """Whether an account (bytes[20]) may submit in a job: joined, or brings noise, and not convicted."""
        function = self._functions.trainer_number(checked_job(job), checked_address(account, "account"))
        return bool(self._read(function, finalized))

    def owed(self, job: int, account: bytes, coin: int = MPC_COIN, *, finalized: bool = False) -> int:
        """Return what a job owes an account (bytes[20]) in a coin, base units."""
        place = checked_job(job), checked_address(account, "account"), coin
        return int(self._read(self._bank_functions.owed(*place), finalized))

    def owed_by_coin(self, job: int, account: bytes) -> dict[int, int]:
        """Return what a job owes an account (bytes[20]) in each coin in which it owes anything."""
        amounts = {coin: self.owed(job, account, coin) for coin in range(len(self.coins))}
        return {coin: amount for coin, amount in amounts.items() if amount}

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
        scored = fields["phase"] == Phase.CLOSED and fields["revealed"] != 0
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
        """Return what was submitted, by place in sets of trainers: from 0, noise of zk-nodes from 246."""
        parties = self.job(job, finalized=finalized)
        found = {
            parties.submitter(event.trainer): Submission(event.commitment_root, event.manifest, event.time)
            for event in self._events_of_round(Submitted, job, round, finalized)
        }
        return {place: submission for place, submission in found.items() if place is not None}

    def posts(self, job: int, round: int, *, finalized: bool = False) -> dict[int, Post]:
        """Return what was posted, by node number from 1, in the order of the posts hash."""
        committee = self.job(job, finalized=finalized).committee
        return {
            committee.index(event.node) + 1: Post(event.share_root, event.manifest)
            for event in self._events_of_round(AggregatePosted, job, round, finalized)
        }

    def score_commitments(self, job: int, round: int) -> dict[bytes, bytes]:
        """Return who has committed to a score of a round, by account, and to what."""
        events = self._events_of_round(ScoreCommitted, job, round, finalized=False)
        return {event.trainer: event.commitment for event in events}

    def revealed_scores(self, job: int, round: int) -> dict[bytes, tuple[bytes, int]]:
        """Return the revealed scores of a round: checkpoint and accuracy (ppm) by account."""
        events = self._events_of_round(Scored, job, round, finalized=False)
        return {event.trainer: (event.checkpoint, event.accuracy) for event in events}

    def contributions(self, job: int, round: int, *, finalized: bool = False) -> dict[int, bytes]:
        """Return the digests of the contribution manifests of a round, by number of the trainer from 0."""
        trainers = self.job(job, finalized=finalized).trainers
        events = self._events_of_round(Contributed, job, round, finalized)
        return {trainers.index(event.trainer): event.digest for event in events if event.trainer in trainers}

    def attested_factors(self, job: int, round: int) -> dict[bytes, dict[int, int]]:
        """Return who has attested factors of a round, by account, and which, by number of the trainer."""
        events = self._events_of_round(FactorsAttested, job, round, finalized=False)
        return {event.trainer: unpacked_factors(event.factors) for event in events}

    def stake(self, job: int, trainer: int, *, finalized: bool = False) -> int:
        """Return what the stake of a job's trainer, numbered from 0, was worth when it joined."""
        return int(self._read(self._functions.stake(checked_job(job), trainer), finalized))

    def factors(self, job: int, round: int, *, finalized: bool = False) -> dict[int, int]:
        """Return the decided factors of a round in percent, by number of the trainer; empty if none are."""
        place = self._hex_contract, checked_job(job), checked_round(round)
        words: list[int] = self._read(self._contributions_functions.factors(*place), finalized)
        return unpacked_factors(words)

    def committee_keys(self, job: int) -> bytes:
        """Return the BLS keys of a job's committee, in order, 256 bytes each."""
        nodes = [(address, self.node(address)) for address in self.job(job).committee]
        gone = [address for address, record in nodes if record is None]
        if gone:
            raise LedgerError("is not registered", party=f"zk-node 0x{gone[0].hex()}", field="committee")
        return b"".join(record.bls_key for _, record in nodes if record is not None)

    def reports(self, job: int, round: int, *, finalized: bool = False) -> dict[int, int]:
        """Return the reported sets, by node number from 1; 0 where a node reported nobody or not at all."""
        values = self._read(self._functions.reports(checked_job(job), checked_round(round)), finalized)
        return {index + 1: int(value) for index, value in enumerate(values)}

    def events(self, job: int, *, finalized: bool = False) -> list[Event]:
        """Return the events of a job in chain order."""
        return self._events(JOB_EVENTS, {"job": checked_job(job)}, finalized, self._first_block_of(job))

    def account_events(self, account: bytes | None = None, *, finalized: bool = False) -> list[Event]:
        """Return registrations and movements of stake, of one account (bytes[20]) or all, in chain order."""
        filters = {} if account is None else {"account": _hex(checked_address(account, "account"))}
        return self._events(ACCOUNT_EVENTS, filters, finalized)

    def _events(
        self,
        kinds: Iterable[type[Event]],
        filters: Mapping[str, Any],
        finalized: bool,
        first: int | None = None,
    ) -> list[Event]:
        last = self.connection.finalized_block() if finalized else self.connection.block_number()
        found = [event for kind in kinds for event in self._logged(kind, last, filters, first)]
        return sorted(found, key=lambda event: (event.block, event.log_index))

    def _logged(
        self, kind: type[_Event], last: int, filters: Mapping[str, Any], first: int | None = None
    ) -> list[_Event]:
        contract = self._bank_contract if kind in BANK_EVENTS else self._web3_contract
        if kind in CONTRIBUTION_EVENTS:
            contract, filters = self._contributions_contract, {**filters, "ledger": self._hex_contract}
        logs = self.connection.logs(
            contract.events[kind.__name__], self.first_block if first is None else first, last, filters
        )
        return [
            cast(_Event, event_from(kind, log["blockNumber"], log["logIndex"], log["args"])) for log in logs
        ]

    def _events_of_round(self, kind: type[_Event], job: int, round: int, finalized: bool) -> list[_Event]:
        last = self.connection.finalized_block() if finalized else self.connection.block_number()
        filters = {"job": checked_job(job), "round": checked_round(round)}
        return self._logged(kind, last, filters, self._first_block_of(job))

    def _first_block_of(self, job: int) -> int:
        """Where the events of a job begin: whatever lies before in a long history is not searched."""
        if job not in self._first_blocks:
            draw_block = self._read(self._functions.job(checked_job(job)))[0][5]
            self._first_blocks[job] = max(self.first_block, draw_block - self.draw_delay)
        return self._first_blocks[job]

    def _account(self, account: bytes, finalized: bool) -> dict[str, Any]:
        function = self._bank_functions.account(checked_address(account, "account"))
        return _named(function, 0, self._read(function, finalized))

    def _bls_key(self, account: bytes, key_hash: bytes) -> bytes:
        """The key of which the bank keeps the hash, from the event of the registration."""
        if (account, key_hash) not in self._bls_keys:
            last = self.connection.block_number()
            for event in self._logged(NodeRegistered, last, {"account": _hex(account)}):
                self._bls_keys[account, keccak256(event.bls_key)] = event.bls_key
        try:
            return self._bls_keys[account, key_hash]
        except KeyError:
            raise LedgerError(
                "its registration is not in the log",
                party=f"zk-node 0x{account.hex()}",
                field="bls_key",
                hint="first_block of the network file must not be later than the deployment",
            ) from None

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
        "coin": fields["coin"],
        "stake": fields["stake"],
        "serving": fields["serving"],
        "withdrawable_at": fields["withdrawable_at"] or None,
        "encryption_key": fields["encryption_key"],
    }


def _hash_or_none(value: bytes) -> bytes | None:
    return None if value == _NO_HASH else value


def _hex(address: bytes) -> str:
    return "0x" + address.hex()
