# pragma version 0.4.3
# pragma evm-version prague
"""
@title zkPFL ledger: accounts, jobs, rounds and rewards of docs/spec.md §6 and §9
@notice Amounts are in base units of the token (1 MPC = 10**18), times in seconds of the chain's clock,
        accuracies in parts per million, factors in units of 10**-18. Bit i of a set of trainers is the i-th
        that joined, bit j-1 of a set of nodes is node j of the committee. A call is in time strictly before
        the deadline of its phase; from the deadline on, `advance` moves the job.
@dev Every refusal has a reason in snake_case. The token is trusted: it moves what it says or reverts. State
     is written before the token is called.
"""

from ethereum.ercs import IERC20

interface Rules:
    def end_of_recruiting(terms: Terms, nodes: uint256) -> uint256: view
    def choose_accepted(
        reports: DynArray[uint256, 10], reported: uint256, threshold: uint256
    ) -> (uint256, uint256): view
    def pots(
        fee: uint256, rounds: uint256, statistics: bool, records: uint256, accuracies: uint256[4]
    ) -> (uint256, uint256, uint256): view
    def weighted_median(
        accuracies: DynArray[uint256, 256], stakes: DynArray[uint256, 256]
    ) -> uint256: view

interface BlsVerifier:
    def verify_possession(digest: bytes32, signature: Bytes[128], key: Bytes[256]) -> bool: view
    def verify_attestation(
        digest: bytes32, signature: Bytes[128], keys: DynArray[Bytes[256], 10]
    ) -> bool: view


# Roles of an account
NODE: constant(uint256) = 1
TRAINER: constant(uint256) = 2

# Status of a job
RECRUITING: constant(uint256) = 1
RUNNING: constant(uint256) = 2
DONE: constant(uint256) = 3
FAILED: constant(uint256) = 4
CANCELLED: constant(uint256) = 5

# Phase of a round; a phase with a deadline is the index of its duration in `Terms.durations`
COLLECT: constant(uint256) = 1
CHECK: constant(uint256) = 2
AGGREGATE: constant(uint256) = 3
ATTEST: constant(uint256) = 4
SCORE: constant(uint256) = 5
CLOSED: constant(uint256) = 6
ABORTED: constant(uint256) = 7

# Kind of a round
STATISTICS: constant(uint256) = 1
TRAINING: constant(uint256) = 2

MAX_TRAINERS: constant(uint256) = 256
MAX_NODES: constant(uint256) = 10
MAX_FAILURES: constant(uint256) = 3
MAX_LIFETIME: constant(uint256) = 366 * 86400
MAX_AMOUNT: constant(uint256) = 2**96 - 1  # so that no product below overflows and no settlement can revert
MILLION: constant(uint256) = 10**6
RETURN_THE_REST: constant(Bytes[10]) = x"61010080600a5f395ff3"  # creation code of a contract of 256 bytes
NOBODY: constant(address) = 0x000000000000000000000000000000000000dEaD  # has no key: what is sent there is burnt
ONE: constant(uint256) = 10**18
MASK: constant(uint256) = 2**32 - 1


struct Account:
    role: uint256
    stake: uint256
    serving: uint256  # unfinished jobs
    withdrawable_at: uint256  # 0 until `unstake`
    encryption_key: bytes32
    key_code: address  # whose code is the BLS key: cheaper to read than nine words
    endpoint: String[128]

struct Terms:
    training_rounds: uint256
    statistics: bool
    target: uint256
    baseline: uint256
    threshold: uint256
    quorum: uint256
    max_trainers: uint256
    durations: uint256[6]  # join, collect, check, aggregate, attest, score
    deadline: uint256
    manifest: bytes32
    member_key: bytes32
    statistics_layout: uint256  # columns ‖ lane rows ‖ lanes ‖ lane width, 32 bits each; for the judge
    training_layout: uint256
    test_records: uint256  # by which accuracy is measured

struct Job:
    owner: address
    status: uint256
    fee: uint256
    escrow: uint256
    join_deadline: uint256
    current_round: uint256
    statistics_done: bool
    trained: uint256
    failures: uint256  # in a row
    best: uint256  # lower bound of accuracy that has been paid for
    checkpoint: bytes32
    absent_trainers: uint256
    absent_nodes: uint256
    ended: uint256

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
    valid: uint256  # of the delivered, those whose proofs the signers verified
    signers: uint256
    aggregate_root: bytes32
    scored: uint256
    checkpoint: bytes32  # the one with most stake behind it so far; final when the round is closed
    accuracy: uint256

struct Submission:
    commitment_root: bytes32
    manifest: bytes32
    time: uint256

struct Post:
    share_root: bytes32
    manifest: bytes32

struct Sent:
    commitment_root: bytes32
    manifest: bytes32

struct Facts:
    layout: uint256
    threshold: uint256
    accepted: uint256
    aggregate_root: bytes32
    signers: uint256


event NodeRegistered:
    account: indexed(address)
    bls_key: Bytes[256]
    encryption_key: bytes32
    endpoint: String[128]

event TrainerRegistered:
    account: indexed(address)
    encryption_key: bytes32

event Staked:
    account: indexed(address)
    amount: uint256

event Unstaking:
    account: indexed(address)
    withdrawable_at: uint256

event Unstaked:
    account: indexed(address)
    amount: uint256

event JobCreated:
    job: indexed(uint256)
    owner: indexed(address)
    fee: uint256
    join_deadline: uint256
    terms: Terms
    committee: DynArray[address, MAX_NODES]

event Joined:
    job: indexed(uint256)
    trainer: indexed(address)
    index: uint256
    stake: uint256

event KeyGranted:
    job: indexed(uint256)
    trainer: indexed(address)
    digest: bytes32

event RoundStarted:
    job: indexed(uint256)
    round: indexed(uint256)
    kind: uint256
    opened: uint256
    collect_deadline: uint256

event Submitted:
    job: indexed(uint256)
    round: indexed(uint256)
    trainer: indexed(address)
    commitment_root: bytes32
    manifest: bytes32
    time: uint256

event Reported:
    job: indexed(uint256)
    round: indexed(uint256)
    node: indexed(address)
    accepted: uint256

event AcceptedSetFixed:
    job: indexed(uint256)
    round: indexed(uint256)
    accepted: uint256
    quorum: uint256

event AggregatePosted:
    job: indexed(uint256)
    round: indexed(uint256)
    node: indexed(address)
    share_root: bytes32
    manifest: bytes32

event Attested:
    job: indexed(uint256)
    round: indexed(uint256)
    aggregate_root: bytes32
    valid: uint256
    signers: uint256
    signature: Bytes[128]

event Scored:
    job: indexed(uint256)
    round: indexed(uint256)
    trainer: indexed(address)
    checkpoint: bytes32
    accuracy: uint256
    stake: uint256

event Rewarded:
    job: indexed(uint256)
    round: indexed(uint256)
    account: indexed(address)
    role: uint256
    amount: uint256
    time_factor: uint256
    accuracy_factor: uint256

event Slashed:
    job: indexed(uint256)
    round: indexed(uint256)
    node: indexed(address)
    stake: uint256  # before
    amount: uint256

event Convicted:
    job: indexed(uint256)
    round: indexed(uint256)
    account: indexed(address)
    accuser: address
    offence: uint256
    stake: uint256  # before; a fifth is the bounty, the rest is burnt
    forfeited: uint256  # rewards of the job, back to its owner

event RoundClosed:
    job: indexed(uint256)
    round: indexed(uint256)
    checkpoint: bytes32
    accuracy: uint256
    improved: bool

event RoundFailed:
    job: indexed(uint256)
    round: indexed(uint256)
    reason: String[32]

event JobEnded:
    job: indexed(uint256)
    status: uint256
    refund: uint256

event Claimed:
    job: indexed(uint256)
    account: indexed(address)
    amount: uint256


TOKEN: public(immutable(IERC20))
RULES: public(immutable(Rules))
VERIFIER: public(immutable(BlsVerifier))
JUDGE: public(immutable(address))
UNBONDING: public(immutable(uint256))
CHALLENGE: public(immutable(uint256))  # from the end of a job until it pays
MIN_NODE_STAKE: public(immutable(uint256))
MIN_TRAINER_STAKE: public(immutable(uint256))
MIN_FEE: public(immutable(uint256))

account: public(HashMap[address, Account])
bls_key_owner: public(HashMap[bytes32, address])
job_count: public(uint256)
_jobs: HashMap[uint256, Job]
_terms: HashMap[uint256, Terms]
round: public(HashMap[uint256, HashMap[uint256, Round]])
key_grant: public(HashMap[uint256, HashMap[address, bytes32]])
owed: public(HashMap[uint256, HashMap[address, uint256]])
_committee: HashMap[uint256, DynArray[address, MAX_NODES]]
_trainers: HashMap[uint256, DynArray[address, MAX_TRAINERS]]
_stakes: HashMap[uint256, HashMap[uint256, uint256]]  # of the trainers when they joined
_number: HashMap[uint256, HashMap[address, uint256]]  # 1 + index in the committee or among the trainers
_submissions: HashMap[uint256, HashMap[uint256, HashMap[uint256, Sent]]]
_elapsed: HashMap[uint256, HashMap[uint256, HashMap[uint256, uint256]]]  # until each submission, eight a word
_reports: HashMap[uint256, HashMap[uint256, HashMap[uint256, uint256]]]
_posts: HashMap[uint256, HashMap[uint256, HashMap[uint256, Post]]]
_scores: HashMap[uint256, HashMap[uint256, HashMap[uint256, uint256]]]  # see `_packed_score`
_support: HashMap[uint256, HashMap[uint256, HashMap[bytes32, uint256]]]


@deploy
def __init__(
    token: IERC20,
    rules: Rules,
    verifier: BlsVerifier,
    judge: address,
    unbonding: uint256,
    challenge: uint256,
    min_node_stake: uint256,
    min_trainer_stake: uint256,
    min_fee: uint256,
):
    assert token.address != empty(address), "no_token"
    assert rules.address != empty(address), "no_rules"
    assert verifier.address != empty(address), "no_verifier"
    assert judge != empty(address), "no_judge"
    assert unbonding <= MAX_LIFETIME, "unbonding_out_of_range"
    # so that evidence found before a job pays still finds the stake
    assert challenge <= unbonding, "challenge_out_of_range"
    assert min(min_node_stake, min(min_trainer_stake, min_fee)) > 0, "minimum_is_zero"
    TOKEN = token
    RULES = rules
    VERIFIER = verifier
    JUDGE = judge
    UNBONDING = unbonding
    CHALLENGE = challenge
    MIN_NODE_STAKE = min_node_stake
    MIN_TRAINER_STAKE = min_trainer_stake
    MIN_FEE = min_fee


# Accounts (§9.1)


@external
def register_node(
    bls_key: Bytes[256],
    possession: Bytes[128],
    encryption_key: bytes32,
    endpoint: String[128],
    stake: uint256,
):
    self._require(len(endpoint) > 0, "no_endpoint")
    self._claim_bls_key(bls_key, possession)
    self._register(NODE, encryption_key, stake, MIN_NODE_STAKE)
    self.account[msg.sender].key_code = raw_create(concat(RETURN_THE_REST, bls_key))
    self.account[msg.sender].endpoint = endpoint
    log NodeRegistered(account=msg.sender, bls_key=bls_key, encryption_key=encryption_key, endpoint=endpoint)
    self._receive(stake)


@external
def register_trainer(encryption_key: bytes32, stake: uint256):
    self._register(TRAINER, encryption_key, stake, MIN_TRAINER_STAKE)
    log TrainerRegistered(account=msg.sender, encryption_key=encryption_key)
    self._receive(stake)


@external
def unstake():
    self._require(self.account[msg.sender].role != 0, "not_registered")
    self._require(self.account[msg.sender].withdrawable_at == 0, "already_unstaking")
    withdrawable_at: uint256 = block.timestamp + UNBONDING
    self.account[msg.sender].withdrawable_at = withdrawable_at
    log Unstaking(account=msg.sender, withdrawable_at=withdrawable_at)


@external
def withdraw_stake():
    withdrawable_at: uint256 = self.account[msg.sender].withdrawable_at
    self._require(withdrawable_at != 0, "not_unstaking")
    self._require(self.account[msg.sender].serving == 0, "serving")
    self._require(block.timestamp >= withdrawable_at, "unbonding")
    amount: uint256 = self.account[msg.sender].stake
    if self.account[msg.sender].role == NODE:
        self.bls_key_owner[keccak256(self._bls_key(msg.sender))] = empty(address)
    self.account[msg.sender] = empty(Account)
    log Unstaked(account=msg.sender, amount=amount)
    self._send(msg.sender, amount)


# Jobs (§9.2)


@external
def create_job(terms: Terms, committee: DynArray[address, MAX_NODES], fee: uint256) -> uint256:
    self._require(fee >= MIN_FEE and fee <= MAX_AMOUNT, "fee_out_of_range")
    join_deadline: uint256 = staticcall RULES.end_of_recruiting(terms, len(committee))
    self.job_count += 1
    job: uint256 = self.job_count
    self._seat(job, committee)
    self._jobs[job].owner = msg.sender
    self._jobs[job].status = RECRUITING
    self._jobs[job].fee = fee
    self._jobs[job].escrow = fee
    self._jobs[job].join_deadline = join_deadline
    self._jobs[job].best = terms.baseline
    self._terms[job] = terms
    log JobCreated(
        job=job, owner=msg.sender, fee=fee, join_deadline=join_deadline, terms=terms, committee=committee
    )
    self._receive(fee)
    return job


@external
def cancel_job(job: uint256):
    self._require(self._jobs[job].owner == msg.sender, "not_owner")
    self._require(self._jobs[job].status == RECRUITING, "not_recruiting")
    self._end_job(job, CANCELLED)


@external
def grant_keys(
    job: uint256, trainers: DynArray[address, MAX_TRAINERS], digests: DynArray[bytes32, MAX_TRAINERS]
):
    self._require(self._jobs[job].owner == msg.sender, "not_owner")
    self._require(self._jobs[job].status <= RUNNING, "job_ended")
    self._require(len(trainers) == len(digests), "length_mismatch")
    for i: uint256 in range(len(trainers), bound=MAX_TRAINERS):
        self._trainer_index(job, trainers[i])
        self.key_grant[job][trainers[i]] = digests[i]
        log KeyGranted(job=job, trainer=trainers[i], digest=digests[i])


@external
def join(job: uint256):
    self._require(self.account[msg.sender].role == TRAINER, "not_a_trainer")
    self._require(self.account[msg.sender].withdrawable_at == 0, "unstaking")
    self._require(self._jobs[job].owner != msg.sender, "own_job")
    self._require(self.account[msg.sender].stake >= MIN_TRAINER_STAKE, "stake_out_of_range")
    self._require(self._jobs[job].status == RECRUITING, "not_recruiting")
    self._require(block.timestamp < self._jobs[job].join_deadline, "deadline_passed")
    self._require(self._number[job][msg.sender] == 0, "already_joined")
    self._join(job)


@external
def advance(job: uint256):
    status: uint256 = self._jobs[job].status
    self._require(status == RECRUITING or status == RUNNING, "nothing_to_do")
    if status == RECRUITING:
        self._require(block.timestamp >= self._jobs[job].join_deadline, "nothing_to_do")
        self._end_recruiting(job)
    else:
        round: uint256 = self._jobs[job].current_round
        self._require(block.timestamp >= self.round[job][round].deadline, "nothing_to_do")
        self._pass_deadline(job, round)


@external
def claim(job: uint256):
    self._require(self._jobs[job].status > RUNNING, "job_not_ended")
    self._require(not self._open_to_evidence(job), "challenge_window")
    amount: uint256 = self.owed[job][msg.sender]
    self._require(amount > 0, "nothing_owed")
    self.owed[job][msg.sender] = 0
    log Claimed(job=job, account=msg.sender, amount=amount)
    self._send(msg.sender, amount)


@external
def convict(job: uint256, round: uint256, account: address, accuser: address, offence: uint256):
    """
    @notice Whom the judge has found guilty loses stake, rewards and seat. Nothing is left to take from whom the
            job has convicted before: a second piece of evidence is true, and worth nothing.
    """
    self._require(msg.sender == JUDGE, "not_the_judge")
    if self._number[job][account] != 0 and self._open_to_evidence(job):
        self._convict(job, round, account, accuser, offence)


# Rounds (§9.3)


@external
def submit(job: uint256, round: uint256, commitment_root: bytes32, manifest: bytes32):
    index: uint256 = self._trainer_index(job, msg.sender)
    self._require_phase(job, round, COLLECT)
    self._require(commitment_root != empty(bytes32), "empty_root")
    self._require(self.round[job][round].submitted & (1 << index) == 0, "already_submitted")
    self._submit(job, round, index, commitment_root, manifest)


@external
def report(job: uint256, round: uint256, accepted: uint256):
    index: uint256 = self._node_index(job)
    self._require_phase(job, round, CHECK)
    self._require(self.round[job][round].reported & (1 << index) == 0, "already_reported")
    self._require(accepted & ~self.round[job][round].submitted == 0, "not_submitted")
    self._report(job, round, index, accepted)


@external
def post_aggregate(job: uint256, round: uint256, share_root: bytes32, manifest: bytes32):
    index: uint256 = self._node_index(job)
    self._require_phase(job, round, AGGREGATE)
    self._require(self.round[job][round].quorum & (1 << index) != 0, "not_in_quorum")
    self._require(self.round[job][round].delivered & (1 << index) == 0, "already_posted")
    self._post(job, round, index, Post(share_root=share_root, manifest=manifest))


@external
def attest(
    job: uint256,
    round: uint256,
    aggregate_root: bytes32,
    valid: uint256,
    signers: uint256,
    signature: Bytes[128],
):
    self._require_phase(job, round, ATTEST)
    self._require(valid & ~self.round[job][round].delivered == 0, "not_delivered")
    self._require(self._count(valid) >= self._terms[job].threshold, "too_few_valid")
    self._require(signers >> len(self._committee[job]) == 0, "unknown_signer")
    self._require(self._count(signers) >= self._terms[job].threshold, "too_few_signers")
    self._attest(job, round, aggregate_root, valid, signers, signature)


@external
def score(job: uint256, round: uint256, checkpoint: bytes32, accuracy: uint256):
    index: uint256 = self._trainer_index(job, msg.sender)
    self._require_phase(job, round, SCORE)
    self._require(self.round[job][round].accepted & (1 << index) != 0, "not_accepted")
    self._require(self.round[job][round].scored & (1 << index) == 0, "already_scored")
    self._require(checkpoint != empty(bytes32), "empty_checkpoint")
    self._require(accuracy <= MILLION, "accuracy_out_of_range")
    self._score(job, round, index, checkpoint, accuracy)


# Views


@external
@view
def job(job: uint256) -> (
    Job, Terms, DynArray[address, MAX_NODES], DynArray[address, MAX_TRAINERS], Round
):
    """
    @notice All about a job in one consistent view: state, terms, committee, trainers, current round.
    """
    return (
        self._jobs[job],
        self._terms[job],
        self._committee[job],
        self._trainers[job],
        self.round[job][self._jobs[job].current_round],
    )


@external
@view
def submissions(job: uint256, round: uint256) -> DynArray[Submission, MAX_TRAINERS]:
    found: DynArray[Submission, MAX_TRAINERS] = []
    for i: uint256 in range(len(self._trainers[job]), bound=MAX_TRAINERS):
        found.append(
            Submission(
                commitment_root=self._submissions[job][round][i].commitment_root,
                manifest=self._submissions[job][round][i].manifest,
                time=self.round[job][round].opened + self._elapsed_of(job, round, i),
            )
        )
    return found


@external
@view
def reports(job: uint256, round: uint256) -> DynArray[uint256, MAX_NODES]:
    return self._all_reports(job, round)


@external
@view
def posts(job: uint256, round: uint256) -> DynArray[Post, MAX_NODES]:
    found: DynArray[Post, MAX_NODES] = []
    for j: uint256 in range(len(self._committee[job]), bound=MAX_NODES):
        found.append(self._posts[job][round][j])
    return found


# What the judge reads


@external
@view
def evidence(job: uint256, round: uint256) -> Facts:
    kind: uint256 = self.round[job][round].kind
    self._require(kind != 0, "unknown_round")
    return Facts(
        layout=self._terms[job].training_layout if kind == TRAINING else self._terms[job].statistics_layout,
        threshold=self._terms[job].threshold,
        accepted=self.round[job][round].accepted,
        aggregate_root=self.round[job][round].aggregate_root,
        signers=self.round[job][round].signers,
    )


@external
@view
def commitment_root(job: uint256, round: uint256, trainer: uint256) -> bytes32:
    return self._submissions[job][round][trainer].commitment_root


@external
@view
def share_root(job: uint256, round: uint256, node: uint256) -> bytes32:
    return self._posts[job][round][node - 1].share_root


@external
@view
def has_trainer(job: uint256, account: address) -> bool:
    return self._number[job][account] != 0 and self.account[account].role == TRAINER


@external
@view
def committee(job: uint256) -> DynArray[address, MAX_NODES]:
    return self._committee[job]


@external
@view
def bls_key(node: address) -> Bytes[256]:
    return self._bls_key(node)


# Accounts


@internal
@view
def _bls_key(node: address) -> Bytes[256]:
    return slice(self.account[node].key_code.code, 0, 256)


@internal
def _register(role: uint256, encryption_key: bytes32, stake: uint256, minimum: uint256):
    self._require(self.account[msg.sender].role == 0, "already_registered")
    self._require(stake >= minimum and stake <= MAX_AMOUNT, "stake_out_of_range")
    self._require(encryption_key != empty(bytes32), "no_encryption_key")
    self.account[msg.sender].role = role
    self.account[msg.sender].stake = stake
    self.account[msg.sender].encryption_key = encryption_key
    log Staked(account=msg.sender, amount=stake)


@internal
def _claim_bls_key(bls_key: Bytes[256], possession: Bytes[128]):
    key_hash: bytes32 = keccak256(bls_key)
    self._require(self.bls_key_owner[key_hash] == empty(address), "key_taken")
    digest: bytes32 = keccak256(
        abi_encode(keccak256("ZKPFL-V1-POSSESSION"), chain.id, self, msg.sender, key_hash)
    )
    valid: bool = staticcall VERIFIER.verify_possession(digest, possession, bls_key)
    self._require(valid, "bad_possession")
    self.bls_key_owner[key_hash] = msg.sender


@internal
def _bind(account: address):
    self.account[account].serving += 1


@internal
def _release(account: address):
    serving: uint256 = self.account[account].serving - 1
    self.account[account].serving = serving
    if serving == 0 and self.account[account].withdrawable_at != 0:
        # the delay runs from the end of the last job, so that evidence about that job still finds the stake
        self.account[account].withdrawable_at = block.timestamp + UNBONDING


@internal
def _receive(amount: uint256):
    ok: bool = extcall TOKEN.transferFrom(msg.sender, self, amount)
    self._require(ok, "transfer_failed")


@internal
def _send(receiver: address, amount: uint256):
    ok: bool = extcall TOKEN.transfer(receiver, amount)
    self._require(ok, "transfer_failed")


# Life of a job


@internal
def _seat(job: uint256, committee: DynArray[address, MAX_NODES]):
    number: uint256 = 0
    for node: address in committee:
        number += 1
        self._require(self.account[node].role == NODE, "not_a_node")
        self._require(self.account[node].withdrawable_at == 0, "unstaking")
        self._require(self.account[node].stake >= MIN_NODE_STAKE, "stake_out_of_range")
        self._require(self._number[job][node] == 0, "duplicate_node")
        self._number[job][node] = number
        self._bind(node)
    self._committee[job] = committee


@internal
def _join(job: uint256):
    index: uint256 = len(self._trainers[job])
    self._trainers[job].append(msg.sender)
    self._number[job][msg.sender] = index + 1
    self._bind(msg.sender)
    stake: uint256 = self.account[msg.sender].stake
    self._stakes[job][index] = stake
    log Joined(job=job, trainer=msg.sender, index=index, stake=stake)
    if index + 1 == self._terms[job].max_trainers:
        self._end_recruiting(job)


@internal
def _end_recruiting(job: uint256):
    if len(self._trainers[job]) < self._terms[job].quorum:
        self._end_job(job, FAILED)
    else:
        self._jobs[job].status = RUNNING
        self._start_round(job)


@internal
def _end_job(job: uint256, status: uint256):
    refund: uint256 = self._jobs[job].escrow
    self._jobs[job].status = status
    self._jobs[job].ended = block.timestamp
    self._jobs[job].escrow = 0
    self.owed[job][self._jobs[job].owner] += refund
    for node: address in self._committee[job]:
        self._release(node)
    for i: uint256 in range(len(self._trainers[job]), bound=MAX_TRAINERS):
        self._release(self._trainers[job][i])
    log JobEnded(job=job, status=status, refund=refund)


@internal
@view
def _open_to_evidence(job: uint256) -> bool:
    return self._jobs[job].status <= RUNNING or block.timestamp < self._jobs[job].ended + CHALLENGE


@internal
def _convict(job: uint256, round: uint256, account: address, accuser: address, offence: uint256):
    stake: uint256 = self.account[account].stake
    forfeited: uint256 = self.owed[job][account]
    self._number[job][account] = 0
    self.account[account].stake = 0
    self.owed[job][account] = 0
    if self._jobs[job].status <= RUNNING:
        self._jobs[job].escrow += forfeited
    else:
        self.owed[job][self._jobs[job].owner] += forfeited
    self.owed[job][accuser] += stake // 5
    log Convicted(
        job=job,
        round=round,
        account=account,
        accuser=accuser,
        offence=offence,
        stake=stake,
        forfeited=forfeited,
    )
    # burnt: a penalty that a friend gets, as the owner who chose the committee may be one, is none
    self._send(NOBODY, stake - stake // 5)


# Life of a round


@internal
def _start_round(job: uint256):
    if block.timestamp >= self._terms[job].deadline:
        self._end_job(job, FAILED)
        return
    round: uint256 = self._jobs[job].current_round + 1
    kind: uint256 = TRAINING
    if self._terms[job].statistics and not self._jobs[job].statistics_done:
        kind = STATISTICS
    self._jobs[job].current_round = round
    self.round[job][round].kind = kind
    self.round[job][round].opened = block.timestamp
    self._enter(job, round, COLLECT)
    self.round[job][round].collect_deadline = self.round[job][round].deadline
    log RoundStarted(
        job=job,
        round=round,
        kind=kind,
        opened=block.timestamp,
        collect_deadline=self.round[job][round].deadline,
    )


@internal
def _enter(job: uint256, round: uint256, phase: uint256):
    end: uint256 = block.timestamp + self._terms[job].durations[phase]
    self.round[job][round].phase = phase
    self.round[job][round].deadline = min(end, self._terms[job].deadline)


@internal
def _pass_deadline(job: uint256, round: uint256):
    phase: uint256 = self.round[job][round].phase
    if phase == SCORE:
        self._close_round(job, round)
    elif block.timestamp >= self._terms[job].deadline:
        self.round[job][round].phase = ABORTED
        log RoundFailed(job=job, round=round, reason="job_deadline")
        self._end_job(job, FAILED)
    elif phase == COLLECT:
        self._end_collect(job, round)
    elif phase == CHECK:
        self._end_check(job, round)
    elif phase == AGGREGATE:
        self._end_aggregate(job, round)
    else:
        self._fail_round(job, round, "not_attested")


@internal
def _fail_round(job: uint256, round: uint256, reason: String[32]):
    self.round[job][round].phase = ABORTED
    self._jobs[job].failures += 1
    log RoundFailed(job=job, round=round, reason=reason)
    if self._jobs[job].failures == MAX_FAILURES:
        self._end_job(job, FAILED)
    else:
        self._start_round(job)


@internal
def _submit(job: uint256, round: uint256, index: uint256, commitment_root: bytes32, manifest: bytes32):
    submitted: uint256 = self.round[job][round].submitted | (1 << index)
    self._submissions[job][round][index] = Sent(commitment_root=commitment_root, manifest=manifest)
    elapsed: uint256 = block.timestamp - self.round[job][round].opened
    self._elapsed[job][round][index // 8] |= elapsed << (32 * (index % 8))
    self.round[job][round].submitted = submitted
    log Submitted(
        job=job,
        round=round,
        trainer=msg.sender,
        commitment_root=commitment_root,
        manifest=manifest,
        time=block.timestamp,
    )
    if submitted | self._jobs[job].absent_trainers == self._everyone(len(self._trainers[job])):
        self._end_collect(job, round)


@internal
def _end_collect(job: uint256, round: uint256):
    submitted: uint256 = self.round[job][round].submitted
    if self._count(submitted) < self._terms[job].quorum:
        # so few that absence says little about those who are missing: wait for everyone again
        self._jobs[job].absent_trainers = 0
        self._fail_round(job, round, "too_few_submissions")
    else:
        self._jobs[job].absent_trainers = self._everyone(len(self._trainers[job])) & ~submitted
        self._enter(job, round, CHECK)


@internal
def _report(job: uint256, round: uint256, index: uint256, accepted: uint256):
    reported: uint256 = self.round[job][round].reported | (1 << index)
    self._reports[job][round][index] = accepted
    self.round[job][round].reported = reported
    log Reported(job=job, round=round, node=msg.sender, accepted=accepted)
    if reported | self._jobs[job].absent_nodes == self._everyone(len(self._committee[job])):
        self._end_check(job, round)


@internal
def _end_check(job: uint256, round: uint256):
    reported: uint256 = self.round[job][round].reported
    if self._count(reported) < self._terms[job].threshold:
        self._jobs[job].absent_nodes = 0
        self._fail_round(job, round, "too_few_reports")
        return
    self._jobs[job].absent_nodes = self._everyone(len(self._committee[job])) & ~reported
    accepted: uint256 = 0
    quorum: uint256 = 0
    accepted, quorum = staticcall RULES.choose_accepted(
        self._all_reports(job, round), reported, self._terms[job].threshold
    )
    if self._count(accepted) < self._terms[job].quorum:
        self._fail_round(job, round, "too_few_accepted")
        return
    self.round[job][round].accepted = accepted
    self.round[job][round].quorum = quorum
    log AcceptedSetFixed(job=job, round=round, accepted=accepted, quorum=quorum)
    self._enter(job, round, AGGREGATE)


@internal
@view
def _all_reports(job: uint256, round: uint256) -> DynArray[uint256, MAX_NODES]:
    found: DynArray[uint256, MAX_NODES] = []
    for j: uint256 in range(len(self._committee[job]), bound=MAX_NODES):
        found.append(self._reports[job][round][j])
    return found


@internal
def _post(job: uint256, round: uint256, index: uint256, post: Post):
    delivered: uint256 = self.round[job][round].delivered | (1 << index)
    self._posts[job][round][index] = post
    self.round[job][round].delivered = delivered
    log AggregatePosted(
        job=job, round=round, node=msg.sender, share_root=post.share_root, manifest=post.manifest
    )
    if delivered == self.round[job][round].quorum:
        self._enter(job, round, ATTEST)


@internal
def _end_aggregate(job: uint256, round: uint256):
    delivered: uint256 = self.round[job][round].delivered
    self._slash(job, round, self.round[job][round].quorum & ~delivered)
    if self._count(delivered) < self._terms[job].threshold:
        self._fail_round(job, round, "too_few_aggregates")
    else:
        self._enter(job, round, ATTEST)


@internal
def _slash(job: uint256, round: uint256, nodes: uint256):
    for j: uint256 in range(len(self._committee[job]), bound=MAX_NODES):
        if nodes & (1 << j) != 0:
            node: address = self._committee[job][j]
            stake: uint256 = self.account[node].stake
            amount: uint256 = stake // 10
            self.account[node].stake = stake - amount
            self._jobs[job].escrow += amount
            log Slashed(job=job, round=round, node=node, stake=stake, amount=amount)


@internal
def _attest(
    job: uint256,
    round: uint256,
    aggregate_root: bytes32,
    valid: uint256,
    signers: uint256,
    signature: Bytes[128],
):
    digest: bytes32 = keccak256(
        abi_encode(
            keccak256("ZKPFL-V1-ATTESTATION"),
            chain.id,
            self,
            job,
            round,
            self.round[job][round].accepted,
            aggregate_root,
            valid,
            self._posts_hash(job, round, valid),
        )
    )
    keys: DynArray[Bytes[256], MAX_NODES] = self._keys(job, signers)
    signed: bool = staticcall VERIFIER.verify_attestation(digest, signature, keys)
    self._require(signed, "bad_signature")
    self.round[job][round].aggregate_root = aggregate_root
    self.round[job][round].valid = valid
    self.round[job][round].signers = signers
    log Attested(
        job=job,
        round=round,
        aggregate_root=aggregate_root,
        valid=valid,
        signers=signers,
        signature=signature,
    )
    if self.round[job][round].kind == STATISTICS:
        self._close_round(job, round)
    else:
        self._enter(job, round, SCORE)


@internal
@view
def _keys(job: uint256, signers: uint256) -> DynArray[Bytes[256], MAX_NODES]:
    keys: DynArray[Bytes[256], MAX_NODES] = []
    for j: uint256 in range(len(self._committee[job]), bound=MAX_NODES):
        if signers & (1 << j) != 0:
            keys.append(self._bls_key(self._committee[job][j]))
    return keys


@internal
@view
def _posts_hash(job: uint256, round: uint256, valid: uint256) -> bytes32:
    words: DynArray[bytes32, 2 * MAX_NODES] = []
    for j: uint256 in range(len(self._committee[job]), bound=MAX_NODES):
        if valid & (1 << j) != 0:
            words.append(self._posts[job][round][j].share_root)
            words.append(self._posts[job][round][j].manifest)
    # without the length that the encoding of an array begins with
    return keccak256(slice(abi_encode(words, ensure_tuple=False), 32, 32 * len(words)))


@internal
def _score(job: uint256, round: uint256, index: uint256, checkpoint: bytes32, accuracy: uint256):
    stake: uint256 = self._stakes[job][index]
    scored: uint256 = self.round[job][round].scored | (1 << index)
    self._scores[job][round][index] = self._packed_score(checkpoint, accuracy)
    self.round[job][round].scored = scored
    self._support_checkpoint(job, round, checkpoint, stake)
    log Scored(
        job=job, round=round, trainer=msg.sender, checkpoint=checkpoint, accuracy=accuracy, stake=stake
    )
    if scored == self.round[job][round].accepted:
        self._close_round(job, round)


@internal
@pure
def _packed_score(checkpoint: bytes32, accuracy: uint256) -> uint256:
    # Who finds two checkpoints that agree in 128 bits and scores one of them might as well score the other
    return (convert(checkpoint, uint256) >> 128 << 128) | accuracy


@internal
def _support_checkpoint(job: uint256, round: uint256, checkpoint: bytes32, stake: uint256):
    support: uint256 = self._support[job][round][checkpoint] + stake
    self._support[job][round][checkpoint] = support
    leader: bytes32 = self.round[job][round].checkpoint
    most: uint256 = self._support[job][round][leader]
    lower: bool = convert(checkpoint, uint256) < convert(leader, uint256)
    if support > most or (support == most and lower):
        self.round[job][round].checkpoint = checkpoint


@internal
def _close_round(job: uint256, round: uint256):
    self.round[job][round].phase = CLOSED
    self._jobs[job].failures = 0
    if self.round[job][round].kind == STATISTICS:
        self._jobs[job].statistics_done = True
    else:
        self._jobs[job].trained += 1
    accuracy: uint256 = 0
    if self.round[job][round].scored != 0:
        accuracy = self._median(job, round)
        self.round[job][round].accuracy = accuracy
        self._jobs[job].checkpoint = self.round[job][round].checkpoint
    best: uint256 = self._jobs[job].best
    self._reward(job, round, accuracy)  # pays for what exceeds the best so far, and raises it
    log RoundClosed(
        job=job,
        round=round,
        checkpoint=self.round[job][round].checkpoint,
        accuracy=accuracy,
        improved=self._jobs[job].best > best,
    )
    self._continue(job, accuracy)


@internal
def _continue(job: uint256, accuracy: uint256):
    rounds: uint256 = self._terms[job].training_rounds
    if self._jobs[job].trained == rounds or accuracy >= self._terms[job].target:
        self._end_job(job, DONE)
    else:
        self._start_round(job)


@internal
@view
def _median(job: uint256, round: uint256) -> uint256:
    leader: uint256 = self._packed_score(self.round[job][round].checkpoint, 0)
    scored: uint256 = self.round[job][round].scored
    accuracies: DynArray[uint256, MAX_TRAINERS] = []
    stakes: DynArray[uint256, MAX_TRAINERS] = []
    for i: uint256 in range(len(self._trainers[job]), bound=MAX_TRAINERS):
        accuracy: uint256 = self._scores[job][round][i] ^ leader
        if scored & (1 << i) != 0 and accuracy <= MILLION:
            accuracies.append(accuracy)
            stakes.append(self._stakes[job][i])
    return staticcall RULES.weighted_median(accuracies, stakes)


# Rewards (§9.5)


@internal
def _reward(job: uint256, round: uint256, accuracy: uint256):
    node_pot: uint256 = 0
    trainer_pot: uint256 = 0
    best: uint256 = 0
    node_pot, trainer_pot, best = staticcall RULES.pots(
        self._jobs[job].fee,
        self._terms[job].training_rounds,
        self._terms[job].statistics,
        self._terms[job].test_records,
        [self._terms[job].baseline, self._terms[job].target, self._jobs[job].best, accuracy],
    )
    self._jobs[job].best = best
    paid: uint256 = self._reward_nodes(job, round, node_pot)
    paid += self._reward_trainers(job, round, trainer_pot)
    self._jobs[job].escrow -= paid


@internal
def _reward_nodes(job: uint256, round: uint256, pot: uint256) -> uint256:
    valid: uint256 = self.round[job][round].valid
    count: uint256 = self._count(valid)
    paid: uint256 = 0
    for j: uint256 in range(len(self._committee[job]), bound=MAX_NODES):
        if valid & (1 << j) != 0:
            paid += self._credit(job, round, self._committee[job][j], NODE, pot // count, ONE, ONE)
    return paid


@internal
def _reward_trainers(job: uint256, round: uint256, pot: uint256) -> uint256:
    accepted: uint256 = self.round[job][round].accepted
    times: uint256[MAX_TRAINERS] = empty(uint256[MAX_TRAINERS])
    weights: uint256[MAX_TRAINERS] = empty(uint256[MAX_TRAINERS])
    total: uint256 = 0
    for i: uint256 in range(len(self._trainers[job]), bound=MAX_TRAINERS):
        if accepted & (1 << i) != 0:
            times[i] = self._time_factor(job, round, i)
            # by stake, so that one who splits up, and its stake with it, gets no more
            weights[i] = self._stakes[job][i] * times[i] * self._accuracy_factor(job, round, i) // ONE
            total += weights[i]
    paid: uint256 = 0
    for i: uint256 in range(len(self._trainers[job]), bound=MAX_TRAINERS):
        if accepted & (1 << i) != 0:
            factor: uint256 = self._accuracy_factor(job, round, i)
            amount: uint256 = pot * weights[i] // total
            paid += self._credit(job, round, self._trainers[job][i], TRAINER, amount, times[i], factor)
    return paid


@internal
def _credit(
    job: uint256,
    round: uint256,
    account: address,
    role: uint256,
    amount: uint256,
    time_factor: uint256,
    accuracy_factor: uint256,
) -> uint256:
    earned: uint256 = amount if self._number[job][account] != 0 else 0  # a convict earns nothing
    self.owed[job][account] += earned
    log Rewarded(
        job=job,
        round=round,
        account=account,
        role=role,
        amount=earned,
        time_factor=time_factor,
        accuracy_factor=accuracy_factor,
    )
    return earned


@internal
@view
def _time_factor(job: uint256, round: uint256, index: uint256) -> uint256:
    length: uint256 = self.round[job][round].collect_deadline - self.round[job][round].opened
    return 11 * ONE // 10 - ONE * self._elapsed_of(job, round, index) // (5 * length)


@internal
@view
def _elapsed_of(job: uint256, round: uint256, index: uint256) -> uint256:
    return (self._elapsed[job][round][index // 8] >> (32 * (index % 8))) & MASK


@internal
@view
def _accuracy_factor(job: uint256, round: uint256, index: uint256) -> uint256:
    return ONE


# Who and when


@internal
@pure
def _require(condition: bool, reason: String[32]):
    # one copy of the code that reverts with a reason: a hundred bytes each, they would not all fit
    assert condition, reason


@internal
@view
def _trainer_index(job: uint256, account: address) -> uint256:
    number: uint256 = self._number[job][account]
    self._require(number > 0 and self.account[account].role == TRAINER, "not_joined")
    return number - 1


@internal
@view
def _node_index(job: uint256) -> uint256:
    number: uint256 = self._number[job][msg.sender]
    self._require(number > 0 and self.account[msg.sender].role == NODE, "not_in_committee")
    return number - 1


@internal
@view
def _require_phase(job: uint256, round: uint256, phase: uint256):
    self._require(self._jobs[job].status == RUNNING, "job_not_running")
    self._require(self._jobs[job].current_round == round, "wrong_round")
    self._require(self.round[job][round].phase == phase, "wrong_phase")
    self._require(block.timestamp < self.round[job][round].deadline, "deadline_passed")


# Sets


@internal
@pure
def _everyone(count: uint256) -> uint256:
    return max_value(uint256) >> (256 - count)


@internal
@pure
def _count(members: uint256) -> uint256:
    ones: uint256 = max_value(uint256)
    x: uint256 = members
    x = unsafe_sub(x, (x >> 1) & (ones // 3))
    x = (x & (ones // 5)) + ((x >> 2) & (ones // 5))
    x = (x + (x >> 4)) & (ones // 17)
    x = (x + (x >> 8)) & (ones // 257)
    return unsafe_mul(x, ones // 65535) >> 240
