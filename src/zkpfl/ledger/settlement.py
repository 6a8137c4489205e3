"""Every payout, refund and slash of a job, computed again from its events (docs/spec.md §9.3, §9.5).

What parties did, and what time alone decides (which rounds failed, how the job ended), comes from the events;
the rest is computed. `zkpfl.ledger.reconciliation` compares that with what the contract says.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from zkpfl.errors import InvalidParameter
from zkpfl.ledger.events import (
    AcceptedSetFixed,
    AggregatePosted,
    Attested,
    CommitteeDrawn,
    Convicted,
    Event,
    FactorsAttested,
    JobCreated,
    JobEnded,
    Joined,
    Reported,
    RoundClosed,
    RoundFailed,
    RoundStarted,
    Scored,
    Slashed,
    SliceOpened,
    Submitted,
)
from zkpfl.ledger.factors import accuracy_factor, decided_factors
from zkpfl.ledger.records import AccountRole, JobStatus, Offence, RoundKind
from zkpfl.ledger.rules import (
    ONE,
    FeeSplit,
    choose_accepted,
    leading_checkpoint,
    lower_bound,
    slice_due,
    time_factor,
    weight,
    weighted_median,
)

_AFTER_AGGREGATE = frozenset({"too_few_aggregates", "not_attested"})


@dataclass(frozen=True)
class Reward:
    """One credit, and why: ``amount = (flat_pot + improvement_pot) · weight // total_weight``.

    Parameters
    ----------
    round, account, role
        For what and to whom.
    flat_pot, improvement_pot
        What the round pays to all of that role, base units.
    weight, total_weight
        Trainers: stake times time factor times accuracy factor, and the sum over I. Nodes: 1, and how many
        were valid.
    stake
        Of a trainer, when it joined; base units.
    time_factor, accuracy_factor
        Units of 10**-18; 1 for nodes.
    convicted
        Whether the account had been convicted before the round closed: then its part stays with the owner.
    """

    round: int
    account: bytes
    role: AccountRole
    flat_pot: int
    improvement_pot: int
    weight: int
    total_weight: int
    stake: int = 0
    time_factor: int = ONE
    accuracy_factor: int = ONE
    convicted: bool = False

    @property
    def amount(self) -> int:
        """Base units credited."""
        if self.convicted:
            return 0
        return (self.flat_pot + self.improvement_pot) * self.weight // self.total_weight


@dataclass(frozen=True)
class Slash:
    """A tenth of the stake of a member of Q that did not deliver, for the owner; base units of ``coin``."""

    round: int
    node: bytes
    coin: int
    stake: int

    @property
    def amount(self) -> int:
        """Base units taken."""
        return self.stake // 10


@dataclass(frozen=True)
class Conviction:
    """What an account lost by evidence: all of its stake, and its rewards of the job.

    Parameters
    ----------
    round, account, accuser, offence
        Whose offence, where, and who proved it.
    coin, stake
        What it had, and in which coin: a fifth is the accuser's bounty, the rest is burnt.
    forfeited
        What the job owed it in its own coin, which goes to the owner.
    after_end
        Whether the job had ended, so that its refund had been computed.
    """

    round: int
    account: bytes
    accuser: bytes
    offence: Offence
    coin: int
    stake: int
    forfeited: int
    after_end: bool

    @property
    def bounty(self) -> int:
        """Base units that the accuser is owed."""
        return self.stake // 5

    @property
    def burnt(self) -> int:
        """Base units that nobody gets."""
        return self.stake - self.bounty


@dataclass(frozen=True)
class RoundResult:
    """What a round decided.

    Parameters
    ----------
    number, kind
        Which round, and of what.
    accepted, quorum
        I and Q; 0 where the round did not get so far.
    checkpoint, accuracy, bound
        None unless closed with a score; ``bound`` is the accuracy less two standard errors.
    slice_opened
        Number of the slice of the test set that was opened in it; None if none was.
    failure
        Why it failed; None if it closed, or is not over.
    closed
        Whether it closed.
    rewards, slashes
        What it paid and took.
    """

    number: int
    kind: RoundKind
    accepted: int
    quorum: int
    checkpoint: bytes | None
    accuracy: int | None
    bound: int | None
    slice_opened: int | None
    failure: str | None
    closed: bool
    rewards: tuple[Reward, ...] = ()
    slashes: tuple[Slash, ...] = ()


@dataclass(frozen=True)
class Settlement:
    """All money of a job: ``fee + slashed + bounties = owed to everyone`` once it has ended.

    Parameters
    ----------
    job, owner, coin, fee, draw_fee, split
        As created; all in base units of the coin, but for slashes and convictions.
    committee
        As drawn; nobody before.
    rounds
        In order.
    best
        Accuracy that has been paid for, ppm: the highest bound, the baseline at first.
    improvement_paid
        What has been paid for improvement, and for slices that stayed closed.
    convictions
        In order.
    status
        None while the job is not ended.
    """

    job: int
    owner: bytes
    coin: int
    fee: int
    draw_fee: int
    committee: tuple[bytes, ...]
    split: FeeSplit
    rounds: tuple[RoundResult, ...]
    best: int
    improvement_paid: int
    convictions: tuple[Conviction, ...]
    status: JobStatus | None

    @property
    def rewards(self) -> tuple[Reward, ...]:
        """Every credit, in order."""
        return tuple(reward for result in self.rounds for reward in result.rewards)

    @property
    def slashes(self) -> tuple[Slash, ...]:
        """Every slash, in order."""
        return tuple(slash for result in self.rounds for slash in result.slashes)

    @property
    def escrow(self) -> int:
        """What is neither rewarded nor, before the end, refunded; base units."""
        taken = sum(one.forfeited for one in self.convictions if not one.after_end)
        return self.fee + taken - sum(reward.amount for reward in self.rewards)

    @property
    def refund(self) -> int | None:
        """What the owner gets back of the fee; None while the job is not ended."""
        return None if self.status is None else self.escrow

    def owed(self, account: bytes, coin: int | None = None) -> int:
        """Return all that the job ever owes an account in a coin, its own by default; base units."""
        wanted = self.coin if coin is None else coin
        earned = sum(one.bounty for one in self.convictions if (one.accuser, one.coin) == (account, wanted))
        if account == self.owner:
            earned += sum(slash.amount for slash in self.slashes if slash.coin == wanted)
        return earned + (self._owed_of_fee(account) if wanted == self.coin else 0)

    def _owed_of_fee(self, account: bytes) -> int:
        earned = sum(reward.amount for reward in self.rewards if reward.account == account)
        earned -= sum(one.forfeited for one in self.convictions if one.account == account)
        if account == self.owner:
            earned += (self.refund or 0) + sum(one.forfeited for one in self.convictions if one.after_end)
        return earned


@dataclass
class _RoundRecord:
    """The events of one round, sorted by kind."""

    started: RoundStarted
    submitted: list[Submitted] = field(default_factory=list)
    reported: list[Reported] = field(default_factory=list)
    fixed: list[AcceptedSetFixed] = field(default_factory=list)
    posted: list[AggregatePosted] = field(default_factory=list)
    attested: list[Attested] = field(default_factory=list)
    slices: list[SliceOpened] = field(default_factory=list)
    factors: list[FactorsAttested] = field(default_factory=list)
    scored: list[Scored] = field(default_factory=list)
    slashed: list[Slashed] = field(default_factory=list)
    closed: list[RoundClosed] = field(default_factory=list)
    failed: list[RoundFailed] = field(default_factory=list)


_SLOTS: dict[type[Event], str] = {
    Submitted: "submitted",
    Reported: "reported",
    AcceptedSetFixed: "fixed",
    AggregatePosted: "posted",
    Attested: "attested",
    SliceOpened: "slices",
    FactorsAttested: "factors",
    Scored: "scored",
    Slashed: "slashed",
    RoundClosed: "closed",
    RoundFailed: "failed",
}


class _Job:
    """A job's events, and the state that runs through its rounds."""

    def __init__(self, events: Sequence[Event]) -> None:
        created = [event for event in events if isinstance(event, JobCreated)]
        if len(created) != 1:
            raise InvalidParameter("must be the events of one job from its creation on", field="events")
        self.created = created[0]
        drawn = [event for event in events if isinstance(event, CommitteeDrawn)]
        self.committee = drawn[0].committee if drawn else ()
        joined = sorted((e for e in events if isinstance(e, Joined)), key=lambda e: e.index)
        self.trainers = [event.trainer for event in joined]
        self.stakes = {event.trainer: event.stake for event in joined}
        self.split = FeeSplit.of(self.created.fee, self.created.terms)
        self.best = self.created.terms.baseline
        self.improvement_paid = 0
        self.trained = 0
        self.slices_opened = 0
        self.records = _round_records(events)
        self.convicted = {e.account: _place(e) for e in events if isinstance(e, Convicted)}

    def number_of(self, node: bytes) -> int:
        return self.committee.index(node) + 1

    def result(self, record: _RoundRecord) -> RoundResult:
        accepted, quorum = self._decision(record)
        result = RoundResult(
            number=record.started.round,
            kind=record.started.kind,
            accepted=accepted,
            quorum=quorum,
            checkpoint=None,
            accuracy=None,
            bound=None,
            slice_opened=record.slices[0].number if record.slices else None,
            failure=record.failed[0].reason if record.failed else None,
            closed=bool(record.closed),
            slashes=tuple(self._slashes(record, quorum)),
        )
        if result.closed:
            result = self._closed(record, result)
        self.slices_opened += len(record.slices)
        return result

    def _decision(self, record: _RoundRecord) -> tuple[int, int]:
        """Recompute I and Q where the contract fixed them."""
        if not record.fixed:
            return 0, 0
        reports = {self.number_of(report.node): report.accepted for report in record.reported}
        return choose_accepted(reports, self.created.terms.threshold)

    def _slashes(self, record: _RoundRecord, quorum: int) -> Iterator[Slash]:
        """Name the members of Q that let the deadline of Aggregate pass.

        Where the job's own deadline ended the round, only the contract's events tell in which phase that was.
        """
        delivered = {post.node for post in record.posted}
        stakes = {event.node: (event.coin, event.stake) for event in record.slashed}
        passed = bool(record.attested) or any(e.reason in _AFTER_AGGREGATE for e in record.failed)
        for index, node in enumerate(self.committee):
            if quorum >> index & 1 and node not in delivered and (passed or stakes):
                yield Slash(record.started.round, node, *stakes.get(node, (0, 0)))

    def _closed(self, record: _RoundRecord, result: RoundResult) -> RoundResult:
        checkpoint, accuracy = None, None
        if record.scored:
            checkpoint = leading_checkpoint((score.checkpoint, score.stake) for score in record.scored)
            behind = [score for score in record.scored if score.checkpoint == checkpoint]
            accuracy = weighted_median((score.accuracy, score.stake) for score in behind)
        terms = self.created.terms
        bound = None if accuracy is None else lower_bound(accuracy, terms.slice_records)
        pot = self._improvement_pot(record, bound or 0)
        self.trained += record.started.kind is RoundKind.TRAINING
        rewards = (*self._node_rewards(record), *self._trainer_rewards(record, result.accepted, pot))
        closed = _place(record.closed[0])
        judged = tuple(replace(r, convicted=self.convicted.get(r.account, closed) < closed) for r in rewards)
        return replace(result, checkpoint=checkpoint, accuracy=accuracy, bound=bound, rewards=judged)

    def _improvement_pot(self, record: _RoundRecord, bound: int) -> int:
        """What a closed round pays for the slice that was opened in it, or due and was not."""
        terms, pot = self.created.terms, 0
        if record.slices:
            pot = self.split.improvement_pot(terms, self.best, bound)
            self.best = max(self.best, bound)
        elif record.started.kind is RoundKind.TRAINING and slice_due(self.trained, self.slices_opened, terms):
            pot = self.split.unopened_pot(terms)
        pot = min(pot, self.split.improvement - self.improvement_paid)
        self.improvement_paid += pot
        return pot

    def convictions(self, events: Sequence[Event], rounds: Sequence[RoundResult]) -> Iterator[Conviction]:
        """Recompute what each conviction took, from what the job owed the account until then."""
        owner, coin = self.created.owner, self.created.coin
        owed: Counter[bytes] = Counter()  # in the job's own coin
        ended, results = False, {result.number: result for result in rounds}
        for event in sorted(events, key=_place):
            if isinstance(event, RoundClosed):
                for reward in results[event.round].rewards:
                    owed[reward.account] += reward.amount
            elif isinstance(event, Slashed) and event.coin == coin:
                owed[owner] += event.amount
            elif isinstance(event, JobEnded):
                ended = True
                owed[owner] += event.refund
            elif isinstance(event, Convicted):
                forfeited = owed.pop(event.account, 0)
                if ended:
                    owed[owner] += forfeited
                if event.coin == coin:
                    owed[event.accuser] += event.bounty
                yield Conviction(
                    event.round,
                    event.account,
                    event.accuser,
                    event.offence,
                    event.coin,
                    event.stake,
                    forfeited,
                    ended,
                )

    def _node_rewards(self, record: _RoundRecord) -> Iterator[Reward]:
        valid = record.attested[0].valid
        pot, count = self.split.nodes // self.split.rounds, valid.bit_count()
        for index, node in enumerate(self.committee):
            if valid >> index & 1:
                yield Reward(record.started.round, node, AccountRole.NODE, pot, 0, 1, count)

    def _trainer_rewards(self, record: _RoundRecord, accepted: int, pot: int) -> Iterator[Reward]:
        started, flat = record.started, self.split.flat // self.split.rounds
        times = {
            event.trainer: time_factor(event.time, started.opened, started.collect_deadline)
            for event in record.submitted
        }
        paid = {trainer: index for index, trainer in enumerate(self.trainers) if accepted >> index & 1}
        decided = self._factors(record, paid)
        factors = {trainer: accuracy_factor(decided.get(index, 0)) for trainer, index in paid.items()}
        weights = {
            trainer: weight(self.stakes[trainer], times[trainer], factors[trainer]) for trainer in paid
        }
        for trainer in paid:
            yield Reward(
                round=started.round,
                account=trainer,
                role=AccountRole.TRAINER,
                flat_pot=flat,
                improvement_pot=pot,
                weight=weights[trainer],
                total_weight=sum(weights.values()),
                stake=self.stakes[trainer],
                time_factor=times[trainer],
                accuracy_factor=factors[trainer],
            )

    def _factors(self, record: _RoundRecord, paid: Iterable[bytes]) -> dict[int, int]:
        """What the trainers of I decided, in percent by number."""
        attested = ((event.factors, self.stakes[event.trainer]) for event in record.factors)
        return decided_factors(attested, sum(self.stakes[trainer] for trainer in paid))


def _place(event: Event) -> tuple[int, int]:
    return event.block, event.log_index


def _round_records(events: Sequence[Event]) -> list[_RoundRecord]:
    records: dict[int, _RoundRecord] = {}
    for event in events:
        if isinstance(event, RoundStarted):
            records[event.round] = _RoundRecord(event)
        elif type(event) in _SLOTS:
            number: int = event.round  # type: ignore[attr-defined]  # every kind in _SLOTS has one
            getattr(records[number], _SLOTS[type(event)]).append(event)
    return list(records.values())


def explain(events: Sequence[Event]) -> Settlement:
    """Compute all decisions and amounts of a job again.

    Parameters
    ----------
    events
        All events of one job, in chain order (`LedgerReader.events`).

    Returns
    -------
    Settlement
        With each term of each amount by name.

    Raises
    ------
    InvalidParameter
        Not the events of one job.
    """
    job = _Job(events)
    rounds = tuple(job.result(record) for record in job.records)
    ended = [event for event in events if isinstance(event, JobEnded)]
    return Settlement(
        job=job.created.job,
        owner=job.created.owner,
        coin=job.created.coin,
        fee=job.created.fee,
        draw_fee=job.created.draw_fee,
        committee=job.committee,
        split=job.split,
        rounds=rounds,
        best=job.best,
        improvement_paid=job.improvement_paid,
        convictions=tuple(job.convictions(events, rounds)),
        status=ended[0].status if ended else None,
    )
