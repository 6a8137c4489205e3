# pragma version 0.4.3
# pragma evm-version prague
"""
@title Contributions of trainers, and the factors of their pay that follow from them (docs/spec.md §9.5)
@notice What a trainer contributed is proved to those who know the sum, and no contract knows it. So the trainers of a
        round check each other's proofs and say here what factor each has earned; what more than half of their stake
        says is decided. Everything is kept by the ledger that a call names: a false ledger decides nothing but its own.
@dev A list of factors has a byte for each trainer, in percent: byte i of the list is bits 8i … 8i+7, that is byte
     i mod 32 of word i / 32 from the lowest.
"""

interface Ledger:
    def round(job: uint256, round: uint256) -> Round: view
    def trainer_number(job: uint256, account: address) -> uint256: view
    def stake(job: uint256, trainer: uint256) -> uint256: view


SCORE: constant(uint256) = 5
REVEAL: constant(uint256) = 6

LEAST: constant(uint256) = 80
MOST: constant(uint256) = 125
MAX_TRAINERS: constant(uint256) = 256
WORDS: constant(uint256) = 8


struct Round:
    kind: uint256
    phase: uint256
    opened: uint256
    collect_deadline: uint256
    deadline: uint256
    submitted: uint256
    reported: uint256
    accepted: uint256
    quorum: uint256
    delivered: uint256
    valid: uint256
    signers: uint256
    aggregate_root: bytes32
    posts: bytes32
    slice_opened: bool
    scored: uint256
    revealed: uint256
    checkpoint: bytes32
    accuracy: uint256
    members: uint256

struct Vote:
    total: uint256  # stake of all trainers of the accepted set; 0 before the first has spoken
    voters: uint256  # those who have


event Contributed:
    ledger: indexed(address)
    job: indexed(uint256)
    round: indexed(uint256)
    trainer: address
    digest: bytes32

event FactorsAttested:
    ledger: indexed(address)
    job: indexed(uint256)
    round: indexed(uint256)
    trainer: address
    factors: uint256[WORDS]
    stake: uint256


# By ledger, job and round
_digests: HashMap[address, HashMap[uint256, HashMap[uint256, HashMap[uint256, bytes32]]]]
_votes: HashMap[address, HashMap[uint256, HashMap[uint256, Vote]]]
_support: HashMap[address, HashMap[uint256, HashMap[uint256, HashMap[bytes32, uint256]]]]
_factors: HashMap[address, HashMap[uint256, HashMap[uint256, uint256[WORDS]]]]


@external
def contribute(ledger: Ledger, job: uint256, round: uint256, digest: bytes32):
    """
    @notice Tell where one's contribution and its proof lie.
    """
    assert digest != empty(bytes32), "empty_digest"
    number: uint256 = 0
    found: Round = empty(Round)
    number, found = self._member(ledger, job, round, SCORE)
    assert self._digests[ledger.address][job][round][number] == empty(bytes32), "already_contributed"
    self._digests[ledger.address][job][round][number] = digest
    log Contributed(ledger=ledger.address, job=job, round=round, trainer=msg.sender, digest=digest)


@external
def attest_factors(ledger: Ledger, job: uint256, round: uint256, factors: uint256[WORDS]):
    """
    @notice Say what factors the round's trainers have earned, each by its proof.
    """
    number: uint256 = 0
    found: Round = empty(Round)
    number, found = self._member(ledger, job, round, REVEAL)
    vote: Vote = self._votes[ledger.address][job][round]
    assert vote.voters & (1 << number) == 0, "already_attested"
    if vote.total == 0:
        vote.total = self._total(ledger, job, found)
    self._check(factors, found)
    vote.voters |= 1 << number
    self._votes[ledger.address][job][round] = vote
    stake: uint256 = staticcall ledger.stake(job, number)
    digest: bytes32 = keccak256(abi_encode(factors))
    support: uint256 = self._support[ledger.address][job][round][digest] + stake
    self._support[ledger.address][job][round][digest] = support
    if 2 * support > vote.total:
        self._factors[ledger.address][job][round] = factors
    log FactorsAttested(
        ledger=ledger.address, job=job, round=round, trainer=msg.sender, factors=factors, stake=stake
    )


@external
@view
def factors(ledger: address, job: uint256, round: uint256) -> uint256[WORDS]:
    """
    @notice What is decided; zeros if nothing is.
    """
    return self._factors[ledger][job][round]


@external
@view
def contribution(ledger: address, job: uint256, round: uint256, trainer: uint256) -> bytes32:
    return self._digests[ledger][job][round][trainer]


@internal
@view
def _member(ledger: Ledger, job: uint256, round: uint256, phase: uint256) -> (uint256, Round):
    """
    @notice Number of the caller, a trainer of the accepted set, and the round, which is in time.
    """
    number: uint256 = staticcall ledger.trainer_number(job, msg.sender)
    assert number != 0, "not_joined"
    found: Round = staticcall ledger.round(job, round)
    assert found.phase == phase, "wrong_phase"
    assert block.timestamp < found.deadline, "deadline_passed"
    number -= 1
    assert number < found.members and found.accepted & (1 << number) != 0, "not_accepted"
    return number, found


@internal
@view
def _total(ledger: Ledger, job: uint256, found: Round) -> uint256:
    total: uint256 = 0
    for i: uint256 in range(found.members, bound=MAX_TRAINERS):
        if found.accepted & (1 << i) != 0:
            total += staticcall ledger.stake(job, i)
    return total


@internal
@pure
def _check(factors: uint256[WORDS], found: Round):
    left: uint256[WORDS] = factors
    for i: uint256 in range(found.members, bound=MAX_TRAINERS):
        if found.accepted & (1 << i) != 0:
            place: uint256 = i % 32 * 8
            percent: uint256 = (factors[i // 32] >> place) & 255
            assert percent >= LEAST and percent <= MOST, "factor_out_of_range"
            left[i // 32] -= percent << place
    for word: uint256 in left:
        assert word == 0, "factor_of_nobody"
