"""What the ledger contract holds and logs, as frozen records (docs/spec.md §9).

Amounts are integers in base units (1 MPC = 10**18), times seconds of the ledger's clock, accuracies parts
per million, factors units of 10**-18, addresses bytes[20]. Bit i of a set of trainers is the i-th to join;
bit j − 1 of a set of nodes is node j of the committee, and bit 245 + j of a set of trainers its noise.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from enum import IntEnum

from zkpfl.errors import InvalidParameter
from zkpfl.params import FIRST_NOISE
from zkpfl.protocol.plan import place_of

MPC = 10**18
"""Base units of one MPC."""

MILLION = 10**6
MAX_NODES = 10
MAX_TRAINERS = 256
MAX_COINS = 8
MPC_COIN = 0
"""Number of the coin that is MPC itself."""
MAX_ROUNDS = 1000
MAX_PHASE_S = 30 * 86400
MAX_LIFETIME_S = 366 * 86400


class JobStatus(IntEnum):
    """Where a job is in its life."""

    NONE = 0
    DRAWING = 1
    RECRUITING = 2
    RUNNING = 3
    DONE = 4
    FAILED = 5
    CANCELLED = 6

    @property
    def ended(self) -> bool:
        """Whether the job is settled."""
        return self > JobStatus.RUNNING


class Phase(IntEnum):
    """Where a round is."""

    NONE = 0
    COLLECT = 1
    CHECK = 2
    AGGREGATE = 3
    ATTEST = 4
    SCORE = 5
    REVEAL = 6
    CLOSED = 7
    ABORTED = 8


class RoundKind(IntEnum):
    """What a round sums."""

    STATISTICS = 1
    TRAINING = 2


class Offence(IntEnum):
    """What evidence shows that a contract can judge (docs/spec.md §9.6)."""

    BAD_SHARE = 1
    BAD_AGGREGATE_SHARE = 2
    FALSE_ATTESTATION = 3
    EQUIVOCATION = 4


class AccountRole(IntEnum):
    """What an account is registered as."""

    NONE = 0
    NODE = 1
    TRAINER = 2


def _require(condition: bool, field: str, message: str) -> None:
    if not condition:
        raise InvalidParameter(message, field=field)


@dataclass(frozen=True)
class DeploymentTerms:
    """What a deployment fixes for ever (docs/spec.md §9.1, §9.2).

    Parameters
    ----------
    unbonding_s
        Seconds from `unstake`, or the end of the last job after it, until a stake is free; 0 to 366 days.
    challenge_s
        Seconds from the end of a job until it pays, in which evidence still counts; at most ``unbonding_s``.
    min_node_stake, min_trainer_stake, min_fee
        Worth in base units of MPC, positive.
    draw_fee
        Worth of what drawing a committee costs, base units of MPC; it is burnt.
    draw_delay
        Blocks from the creation of a job to the one whose hash draws its committee, 0 to 255. Even with 0
        nobody knows that hash who sends the job, unless it makes the block itself.
    """

    unbonding_s: int = 3600
    challenge_s: int = 3600
    min_node_stake: int = 500 * MPC
    min_trainer_stake: int = 500 * MPC
    min_fee: int = 100 * MPC
    draw_fee: int = 10 * MPC
    draw_delay: int = 0

    def __post_init__(self) -> None:
        _require(
            0 <= self.unbonding_s <= MAX_LIFETIME_S, "unbonding_s", f"must be 0 to {MAX_LIFETIME_S} seconds"
        )
        _require(
            0 <= self.challenge_s <= self.unbonding_s,
            "challenge_s",
            f"must be 0 to {self.unbonding_s} seconds",
        )
        for name in ("min_node_stake", "min_trainer_stake", "min_fee"):
            _require(0 < getattr(self, name) < 1 << 88, name, "must be positive and below 2^88")
        _require(0 <= self.draw_fee < 1 << 88, "draw_fee", "must be 0 to 2^88 − 1")
        _require(0 <= self.draw_delay < 256, "draw_delay", "must be 0 to 255 blocks")


@dataclass(frozen=True)
class Coin:
    """An ERC-20 in which stakes and fees can be paid (docs/spec.md §9.7).

    Parameters
    ----------
    token
        The token contract, bytes[20].
    feed
        AggregatorV3 price feed, MPC for a unit of the coin, bytes[20]; of coin 0, MPC itself, zero bytes.
    max_age_s
        Greatest age of a price, seconds.
    """

    token: bytes
    feed: bytes
    max_age_s: int

    def __post_init__(self) -> None:
        for name in ("token", "feed"):
            _require(len(getattr(self, name)) == 20, name, "must be an address of 20 bytes")
        _require(0 <= self.max_age_s < 1 << 64, "max_age_s", "must be 0 to 2^64 − 1 seconds")


@dataclass(frozen=True)
class Durations:
    """Seconds of each phase, 1 to 30 days."""

    join: int
    collect: int
    check: int
    aggregate: int
    attest: int
    score: int
    reveal: int

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            _require(
                1 <= value <= MAX_PHASE_S, field.name, f"must be 1 to {MAX_PHASE_S} seconds, got {value}"
            )


@dataclass(frozen=True)
class JobTerms:
    """What an owner offers and asks for; fixed when the job is created (docs/spec.md §9.2).

    Parameters
    ----------
    training_rounds
        0 to 1000; 0 only with ``statistics``.
    statistics
        Whether a round of exact sums comes first.
    target, baseline
        Accuracies in ppm at which the job is done, and from which improvement is paid; baseline < target
        unless there are no training rounds.
    threshold
        t, at least 2.
    quorum, max_trainers
        Fewest trainers in a round (at least 2) and most in the job (at most 256).
    durations
        Seconds of each phase.
    deadline
        Time at which the job fails, after recruiting and within 366 days of its creation.
    manifest
        SHA-256 of the job manifest, bytes[32].
    member_key
        X25519 public key of the members, bytes[32].
    statistics_layout, training_layout
        `Layout.shape` of the rounds of each kind, by which the judge reads evidence; 0 where there are none.
    slices, slice_records
        Slices of the test set, at most one a training round, and the records of each; below 100 records, no
        improvement is paid for.
    slice_anchor
        Hash of the first slice's key, bytes[32]; zero bytes without slices.
    node_stake, trainer_stake
        Least worth of the stake of a zk-node and of a trainer in this job, base units of MPC. ``threshold``
        of the one and ``quorum`` of the other are worth the fee at least.
    noise_quorum
        Of how many zk-nodes a training sum has noise at least, ``threshold`` or more; 0 where none bring any.
        With noise at most 246 trainers, and no statistics, which are exact.

    Raises
    ------
    InvalidParameter
        Out of range; names the field.
    """

    training_rounds: int
    statistics: bool
    target: int
    baseline: int
    threshold: int
    quorum: int
    max_trainers: int
    durations: Durations
    deadline: int
    manifest: bytes
    member_key: bytes
    statistics_layout: int
    training_layout: int
    slices: int
    slice_records: int
    slice_anchor: bytes
    node_stake: int
    trainer_stake: int
    noise_quorum: int = 0

    def __post_init__(self) -> None:
        rounds = self.training_rounds
        _require(0 <= rounds <= MAX_ROUNDS, "training_rounds", f"must be 0 to {MAX_ROUNDS}, got {rounds}")
        _require(self.statistics or rounds > 0, "training_rounds", "must be positive without statistics")
        _require(0 <= self.target <= MILLION, "target", f"must be 0 to {MILLION} ppm, got {self.target}")
        _require(
            0 <= self.baseline <= MILLION, "baseline", f"must be 0 to {MILLION} ppm, got {self.baseline}"
        )
        _require(rounds == 0 or self.baseline < self.target, "baseline", "must be below the target")
        _require(2 <= self.threshold <= 5, "threshold", f"must be 2 to 5, got {self.threshold}")
        _require(self.quorum >= 2, "quorum", f"must be at least 2, got {self.quorum}")
        _require(
            self.quorum <= self.max_trainers <= MAX_TRAINERS,
            "max_trainers",
            f"must be {self.quorum} (the quorum) to {MAX_TRAINERS}, got {self.max_trainers}",
        )
        _require(0 < self.deadline < 1 << 64, "deadline", f"must be a time in seconds, got {self.deadline}")
        for name in ("manifest", "member_key", "slice_anchor"):
            _require(len(getattr(self, name)) == 32, name, "must be 32 bytes")
        for name in ("statistics_layout", "training_layout"):
            _require(0 <= getattr(self, name) < 1 << 128, name, "must be four numbers of 32 bits")
        _require(0 <= self.slices <= rounds, "slices", f"must be 0 to {rounds}, the training rounds")
        _require(0 <= self.slice_records < 1 << 64, "slice_records", "must be 0 to 2^64 − 1")
        for name in ("node_stake", "trainer_stake"):
            _require(0 <= getattr(self, name) < 1 << 96, name, "must be 0 to 2^96 − 1 base units")
        if self.noise_quorum:
            self._check_noise()

    def _check_noise(self) -> None:
        """Check what holds only where zk-nodes bring noise."""
        text = f"must be {self.threshold} (the threshold) to {MAX_NODES}, got {self.noise_quorum}"
        _require(self.threshold <= self.noise_quorum <= MAX_NODES, "noise_quorum", text)
        text = f"must be at most {FIRST_NOISE} where zk-nodes bring noise, got {self.max_trainers}"
        _require(self.max_trainers <= FIRST_NOISE, "max_trainers", text)
        _require(not self.statistics, "statistics", "are exact, and would undo what the noise hides")

    def layout(self, kind: RoundKind) -> int:
        """Shape of the rounds of a kind."""
        return self.statistics_layout if kind is RoundKind.STATISTICS else self.training_layout

    @property
    def rounds(self) -> int:
        """T, the number of rounds the fee is divided by: training rounds, and one for statistics."""
        return self.training_rounds + self.statistics


@dataclass(frozen=True)
class Job:
    """A job as it stands.

    Parameters
    ----------
    id
        Number of the job, from 1.
    owner, terms, fee, coin
        As created; the fee in base units of the coin.
    committee
        ``committee[j - 1]`` is node j; nobody before the draw.
    trainers
        ``trainers[i]`` is trainer i; the zero address where one has left.
    status
        Where the job is in its life.
    escrow
        What is neither paid out nor refunded yet.
    draw_block
        The block whose hash draws the committee.
    join_deadline
        End of recruiting; 0 before the draw.
    current_round
        Number of the current or last round, from 1; 0 before the first.
    statistics_done
        Whether the statistics round has succeeded.
    trained
        Closed training rounds.
    failures
        Failed rounds in a row.
    best
        Accuracy that has been paid for, ppm: the highest lower bound, the baseline at first.
    improvement_paid
        What has been paid for improvement, base units of the coin.
    slices_opened, slice_key
        How many slices of the test set are open, and the key of the last one, bytes[32]; the anchor before.
    checkpoint
        SHA-256 of the last scored checkpoint's manifest; None before.
    absent_trainers, absent_nodes
        Sets that this round's Collect and Check do not wait for.
    ended
        When it ended; 0 before.
    phase, phase_deadline
        Of the current round; NONE and the end of recruiting before the first.
    """

    id: int
    owner: bytes
    terms: JobTerms
    fee: int
    coin: int
    committee: tuple[bytes, ...]
    trainers: tuple[bytes, ...]
    status: JobStatus
    escrow: int
    draw_block: int
    join_deadline: int
    current_round: int
    statistics_done: bool
    trained: int
    failures: int
    best: int
    improvement_paid: int
    slices_opened: int
    slice_key: bytes
    checkpoint: bytes | None
    absent_trainers: int
    absent_nodes: int
    ended: int
    phase: Phase
    phase_deadline: int

    def submitter(self, account: bytes) -> int | None:
        """Place of an account in sets of trainers; see `zkpfl.protocol.plan.place_of`."""
        return place_of(account, self.trainers, self.committee if self.terms.noise_quorum else ())


@dataclass(frozen=True)
class Round:
    """A round as it stands.

    Parameters
    ----------
    job, number
        Whose round, and which.
    kind, phase
        What it sums and where it is.
    opened, collect_deadline, deadline
        Begin and end of Collect, and the end of the present phase.
    submitted, accepted
        Sets of trainers; ``accepted`` is I, 0 until fixed.
    reported, quorum, delivered, valid, signers
        Sets of nodes; ``quorum`` is Q, ``valid`` those of the delivered whose proofs the signers verified.
    aggregate_root
        As attested; None before.
    posts
        Hash of everything that was posted so far, bytes[32] (docs/spec.md §9.3).
    slice_opened
        Whether a slice of the test set was opened in it.
    scored, revealed
        How many trainers have committed to a score, and revealed it.
    checkpoint, accuracy
        Of a closed round that was scored, else None.
    members
        How many trainers had joined when it began: the first so many of the job's may take part.
    """

    job: int
    number: int
    kind: RoundKind
    phase: Phase
    opened: int
    collect_deadline: int
    deadline: int
    submitted: int
    reported: int
    accepted: int
    quorum: int
    delivered: int
    valid: int
    signers: int
    aggregate_root: bytes | None
    posts: bytes
    slice_opened: bool
    scored: int
    revealed: int
    checkpoint: bytes | None
    accuracy: int | None
    members: int

    @property
    def accepted_trainers(self) -> int:
        """I without the noise of zk-nodes."""
        return self.accepted & ((1 << self.members) - 1)


@dataclass(frozen=True)
class NodeRecord:
    """A registered zk-node: ``bls_key`` is bytes[256] in the EIP-2537 encoding, the stake in ``coin``."""

    account: bytes
    coin: int
    stake: int
    serving: int
    withdrawable_at: int | None
    encryption_key: bytes
    bls_key: bytes
    endpoint: str


@dataclass(frozen=True)
class TrainerRecord:
    """A registered trainer: ``withdrawable_at`` is None until it unstakes; the stake is in ``coin``."""

    account: bytes
    coin: int
    stake: int
    serving: int
    withdrawable_at: int | None
    encryption_key: bytes


@dataclass(frozen=True)
class Submission:
    """What a trainer submitted to a round, and when."""

    commitment_root: bytes
    manifest: bytes
    time: int


@dataclass(frozen=True)
class Post:
    """What a node posted in a round."""

    share_root: bytes
    manifest: bytes
