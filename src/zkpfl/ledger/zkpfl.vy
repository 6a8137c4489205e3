# pragma version 0.4.3
# pragma evm-version prague
"""
@title zkPFL ledger: jobs, rounds and rewards of docs/spec.md §6 and §9
@notice Times are in seconds of the chain's clock, accuracies in parts per million, factors in units of 10**-18,
        stakes in what they are worth in base units of MPC (10**-18 MPC), pays in base units of the job's coin. Bit i
        of a set of trainers is the i-th that joined, bit 245+j the noise of node j where the committee brings it;
        bit j-1 of a set of nodes is node j of the committee. A call is in time strictly before the deadline of its
        phase; from the deadline on, `advance` moves the job.
@dev Every refusal has a reason in snake_case. Money is the bank's: this contract says who gets how much of what.
     What every call of a round reads is packed into one word of the job (`Head`) and one of the round (`Stage`):
     a function that takes either as an argument stores what it changes of it.
"""

interface Bank:
    def LEDGER() -> address: view
    def open(job: uint256, payer: address, coin: uint256, fee: uint256) -> (uint256, uint256): nonpayable
    def draw(
        seed: bytes32, count: uint256, least: uint256
    ) -> (DynArray[address, 10], bytes32): nonpayable
    def bind(account: address, least: uint256) -> uint256: nonpayable
    def credit(
        job: uint256, accounts: DynArray[address, 16], amounts: DynArray[uint256, 16]
    ): nonpayable
    def release(accounts: DynArray[address, 16]): nonpayable
    def settle(job: uint256, owner: address) -> uint256: nonpayable
    def fine(job: uint256, node: address, receiver: address) -> (uint256, uint256, uint256): nonpayable
    def confiscate(
        job: uint256, account: address, accuser: address, owner: address
    ) -> (uint256, uint256, uint256): nonpayable
    def coin_of(job: uint256) -> uint256: view
    def pool(job: uint256) -> uint256: view
    def is_open_to_evidence(job: uint256) -> bool: view

interface Rules:
    def check_terms(terms: Terms, nodes: uint256, worth: uint256) -> bool: view
    def choose_accepted(
        reports: DynArray[uint256, 10], reported: uint256, threshold: uint256
    ) -> (uint256, uint256): view
    def pots(closing: Closing) -> (uint256, uint256, uint256, uint256): view
    def weighted_median(scores: DynArray[uint256, 256]) -> uint256: view

interface BlsVerifier:
    def verify_attestation(
        digest: bytes32, signature: Bytes[128], keys: Bytes[2560], signers: uint256
    ) -> bool: view

interface Contributions:
    def factors(ledger: address, job: uint256, round: uint256) -> uint256[8]: view


# Roles of those who are paid
NODE: constant(uint256) = 1
TRAINER: constant(uint256) = 2

# Status of a job
DRAWING: constant(uint256) = 1
RECRUITING: constant(uint256) = 2
RUNNING: constant(uint256) = 3
DONE: constant(uint256) = 4
FAILED: constant(uint256) = 5
CANCELLED: constant(uint256) = 6

# Phase of a round; a phase with a deadline is the index of its duration in `Terms.durations`
COLLECT: constant(uint256) = 1
CHECK: constant(uint256) = 2
AGGREGATE: constant(uint256) = 3
ATTEST: constant(uint256) = 4
SCORE: constant(uint256) = 5
REVEAL: constant(uint256) = 6
CLOSED: constant(uint256) = 7
ABORTED: constant(uint256) = 8

# Kind of a round
STATISTICS: constant(uint256) = 1
TRAINING: constant(uint256) = 2

MAX_TRAINERS: constant(uint256) = 256
MAX_NODES: constant(uint256) = 10
NOISE: constant(uint256) = MAX_TRAINERS - MAX_NODES  # the place, among trainers, of the noise of the first node
BATCH: constant(uint256) = 16  # accounts in one call of the bank: longer lists cost every caller memory
MAX_FAILURES: constant(uint256) = 3
MAX_ROUNDS: constant(uint256) = 4096  # 1000 of training, each after at most two failures, and those of statistics
READABLE_BLOCKS: constant(uint256) = 256  # so long the hash of a block can be read
MILLION: constant(uint256) = 10**6
ONE: constant(uint256) = 10**18
SPAN: constant(uint256) = 65535  # units of time in Collect
REVEALED: constant(uint256) = 1 << 64  # marks a score among commitments


struct Terms:
    training_rounds: uint256
    statistics: bool
    target: uint256
    baseline: uint256
    threshold: uint256
    quorum: uint256
    max_trainers: uint256
    durations: uint256[7]  # join, collect, check, aggregate, attest, score, reveal
    deadline: uint256
    manifest: bytes32
    member_key: bytes32
    statistics_layout: uint256  # columns ‖ lane rows ‖ lanes ‖ lane width, 32 bits each; for the judge
    training_layout: uint256
    slices: uint256  # of the test set
    slice_records: uint256
    slice_anchor: bytes32
    node_stake: uint256
    trainer_stake: uint256
    noise_quorum: uint256  # zk-nodes whose noise a training sum has at least; 0 in a job without noise of theirs

struct Head:  # 178 bits
    status: uint256
    current_round: uint256
    trainers: uint256
    nodes: uint256
    failures: uint256  # in a row
    trained: uint256
    statistics_done: uint256
    slices_opened: uint256
    absent_nodes: uint256
    ended: uint256
    convicted_nodes: uint256

struct Stage:  # 226 bits
    kind: uint256
    phase: uint256
    opened: uint256
    collect_deadline: uint256
    deadline: uint256
    reported: uint256
    quorum: uint256
    delivered: uint256
    valid: uint256  # of the delivered, those whose proofs the signers verified
    signers: uint256
    scored: uint256  # how many have committed to a score
    revealed: uint256  # how many have revealed it
    slice_opened: uint256
    accuracy: uint256
    members: uint256  # how many trainers had joined when the round began

struct Deal:
    owner: address
    fee: uint256
    draw_block: uint256
    join_deadline: uint256
    best: uint256  # lower bound of accuracy that has been paid for
    improvement_paid: uint256
    slice_key: bytes32  # that was opened last; the anchor before
    checkpoint: bytes32
    absent_trainers: uint256
    keys: bytes32  # chain of the hashes of the committee's BLS keys

struct Job:
    owner: address
    status: uint256
    coin: uint256
    fee: uint256
    escrow: uint256
    draw_block: uint256
    join_deadline: uint256
    current_round: uint256
    statistics_done: bool
    trained: uint256
    failures: uint256
    best: uint256
    improvement_paid: uint256
    slices_opened: uint256
    slice_key: bytes32
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
    valid: uint256
    signers: uint256
    aggregate_root: bytes32
    posts: bytes32
    slice_opened: bool
    scored: uint256
    revealed: uint256
    checkpoint: bytes32  # final when the round is closed
    accuracy: uint256
    members: uint256

struct Closing:
    fee: uint256
    training_rounds: uint256
    statistics: bool
    slices: uint256
    slice_records: uint256
    baseline: uint256
    target: uint256
    best: uint256
    improvement_paid: uint256
    accuracy: uint256  # 0 if nobody scored
    slice_due: bool
    slice_opened: bool

struct Facts:
    layout: uint256
    threshold: uint256
    accepted: uint256
    aggregate_root: bytes32
    signers: uint256
    posts: bytes32


event JobCreated:
    job: indexed(uint256)
    owner: indexed(address)
    coin: uint256
    fee: uint256
    worth: uint256
    draw_fee: uint256
    draw_block: uint256
    nodes: uint256
    terms: Terms

event CommitteeDrawn:
    job: indexed(uint256)
    seed: bytes32
    join_deadline: uint256
    committee: DynArray[address, MAX_NODES]

event Joined:
    job: indexed(uint256)
    trainer: indexed(address)
    index: uint256
    stake: uint256

event KeysShared:
    job: indexed(uint256)
    digest: bytes32

event Left:
    job: indexed(uint256)
    trainer: indexed(address)

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

event SliceOpened:
    job: indexed(uint256)
    round: indexed(uint256)
    number: uint256  # from 1
    key: bytes32

event ScoreCommitted:
    job: indexed(uint256)
    round: indexed(uint256)
    trainer: indexed(address)
    commitment: bytes32

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
    coin: uint256
    stake: uint256  # before
    amount: uint256

event Convicted:
    job: indexed(uint256)
    round: indexed(uint256)
    account: indexed(address)
    accuser: address
    offence: uint256
    coin: uint256
    stake: uint256  # before; a fifth is the bounty, the rest is burnt
    forfeited: uint256  # what the job owed the account, back to the job

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


BANK: public(immutable(Bank))
RULES: public(immutable(Rules))
VERIFIER: public(immutable(BlsVerifier))
JUDGE: public(immutable(address))
CONTRIBUTIONS: public(immutable(Contributions))
DRAW_DELAY: public(immutable(uint256))  # blocks from the creation of a job to the one whose hash draws

job_count: public(uint256)
key_shares: public(HashMap[uint256, bytes32])  # digest of what hands the committee its shares of the keys
_heads: HashMap[uint256, uint256]
_deals: HashMap[uint256, Deal]
_terms: HashMap[uint256, Terms]
_committee: HashMap[uint256, DynArray[address, MAX_NODES]]
_trainers: HashMap[uint256, HashMap[uint256, uint256]]  # account ‖ worth of its stake when it joined, 96 bits
_convicted_trainers: HashMap[uint256, uint256]
_node_number: HashMap[uint256, HashMap[address, uint256]]  # 1 + index in the committee; 0 for convicts
_trainer_number: HashMap[uint256, HashMap[address, uint256]]  # 1 + index of those who are in, without convicts
_left: HashMap[uint256, HashMap[address, bool]]
_stages: HashMap[uint256, HashMap[uint256, uint256]]
_submitted: HashMap[uint256, HashMap[uint256, uint256]]
_submissions: HashMap[uint256, HashMap[uint256, HashMap[uint256, uint256]]]  # 240 bits of the root ‖ time, 16 bits
_reports: HashMap[uint256, HashMap[uint256, HashMap[uint256, uint256]]]
_accepted: HashMap[uint256, HashMap[uint256, uint256]]
_posts: HashMap[uint256, HashMap[uint256, bytes32]]  # hash of what was posted, in its order
_aggregate_roots: HashMap[uint256, HashMap[uint256, bytes32]]
_scores: HashMap[uint256, HashMap[uint256, HashMap[uint256, uint256]]]  # commitments, then see `_packed_score`
_checkpoints: HashMap[uint256, HashMap[uint256, bytes32]]  # the first that was revealed; of a closed round, its own
_support: HashMap[uint256, HashMap[uint256, HashMap[bytes32, uint256]]]  # stake behind each of the others
_rivals: HashMap[uint256, HashMap[uint256, bytes32]]  # of the others, the one with most stake behind it


@deploy
def __init__(
    bank: Bank,
    rules: Rules,
    verifier: BlsVerifier,
    judge: address,
    contributions: Contributions,
    draw_delay: uint256,
):
    assert staticcall bank.LEDGER() == self, "bank_of_another_ledger"
    assert rules.address != empty(address), "no_rules"
    assert verifier.address != empty(address), "no_verifier"
    assert judge != empty(address), "no_judge"
    assert contributions.address != empty(address), "no_contributions"
    assert draw_delay < READABLE_BLOCKS, "draw_delay_out_of_range"
    BANK = bank
    RULES = rules
    VERIFIER = verifier
    JUDGE = judge
    CONTRIBUTIONS = contributions
    DRAW_DELAY = draw_delay


# Jobs (§9.2)


@external
def create_job(terms: Terms, nodes: uint256, coin: uint256, fee: uint256) -> uint256:
    job: uint256 = self.job_count + 1
    self.job_count = job
    draw_block: uint256 = block.number + DRAW_DELAY
    head: Head = empty(Head)
    head.status = DRAWING
    head.nodes = nodes
    self._store_head(job, head)
    self._terms[job] = terms
    self._deals[job].owner = msg.sender
    self._deals[job].fee = fee
    self._deals[job].draw_block = draw_block
    self._deals[job].best = terms.baseline
    self._deals[job].slice_key = terms.slice_anchor
    worth: uint256 = 0
    draw_fee: uint256 = 0
    worth, draw_fee = extcall BANK.open(job, msg.sender, coin, fee)
    assert staticcall RULES.check_terms(terms, nodes, worth)
    log JobCreated(
        job=job,
        owner=msg.sender,
        coin=coin,
        fee=fee,
        worth=worth,
        draw_fee=draw_fee,
        draw_block=draw_block,
        nodes=nodes,
        terms=terms,
    )
    return job


@external
def cancel_job(job: uint256):
    self._require(self._deals[job].owner == msg.sender, "not_owner")
    head: Head = self._head(job)
    self._require(head.status <= RECRUITING, "not_recruiting")
    self._end_job(job, head, CANCELLED)


@external
def share_keys(job: uint256, digest: bytes32):
    self._require(self._deals[job].owner == msg.sender, "not_owner")
    status: uint256 = self._head(job).status
    self._require(status == RECRUITING or status == RUNNING, "no_committee")
    self.key_shares[job] = digest
    log KeysShared(job=job, digest=digest)


@external
def join(job: uint256):
    """
    @notice Who joins a running job takes part from the next round on.
    """
    head: Head = self._head(job)
    recruiting: bool = head.status == RECRUITING
    self._require(recruiting or head.status == RUNNING, "not_recruiting")
    self._require(head.trainers < self._terms[job].max_trainers, "full")
    self._require(self._deals[job].owner != msg.sender, "own_job")
    self._require(not recruiting or block.timestamp < self._deals[job].join_deadline, "deadline_passed")
    self._require(self._trainer_number[job][msg.sender] == 0, "already_joined")
    self._require(not self._left[job][msg.sender], "left_before")
    self._join(job, head)


@external
def leave(job: uint256):
    """
    @notice A trainer that has never submitted may go, for what it found in the bundle or for any other reason.
            Its seat stays empty, and it cannot come back: else one account could use up all seats.
    """
    index: uint256 = self._trainer_index(job)
    self._require(index < NOISE, "in_committee")
    head: Head = self._head(job)
    self._require(head.status <= RUNNING, "job_ended")
    for round: uint256 in range(head.current_round, bound=MAX_ROUNDS):
        self._require(self._submitted[job][round + 1] & (1 << index) == 0, "has_submitted")
    self._trainers[job][index] = 0
    self._trainer_number[job][msg.sender] = 0
    self._left[job][msg.sender] = True
    self._deals[job].absent_trainers |= 1 << index
    extcall BANK.release([msg.sender])
    log Left(job=job, trainer=msg.sender)


@external
def advance(job: uint256):
    head: Head = self._head(job)
    if head.status == DRAWING:
        self._require(block.number > self._deals[job].draw_block, "nothing_to_do")
        self._draw(job, head)
    elif head.status == RECRUITING:
        self._require(block.timestamp >= self._deals[job].join_deadline, "nothing_to_do")
        self._end_recruiting(job, head)
    else:
        stage: Stage = self._stage(job, head.current_round)
        self._require(head.status == RUNNING and block.timestamp >= stage.deadline, "nothing_to_do")
        self._pass_deadline(job, head, stage)


@external
def convict(job: uint256, round: uint256, account: address, accuser: address, offence: uint256):
    """
    @notice Whom the judge has found guilty loses stake, rewards and seat. Nothing is left to take from whom the
            job has convicted before: a second piece of evidence is true, and worth nothing.
    """
    self._require(msg.sender == JUDGE, "not_the_judge")
    member: bool = self._node_number[job][account] != 0 or self._trainer_number[job][account] != 0
    if member and staticcall BANK.is_open_to_evidence(job):
        self._convict(job, round, account, accuser, offence)


# Rounds (§9.3)


@external
def submit(job: uint256, round: uint256, commitment_root: bytes32, manifest: bytes32):
    index: uint256 = self._trainer_index(job)
    head: Head = self._head(job)
    stage: Stage = self._in_phase(job, head, round, COLLECT)
    root: uint256 = convert(commitment_root, uint256) >> 16
    self._require(root != 0, "empty_root")
    self._require(self._submitters(job, head, stage) & (1 << index) != 0, "joined_later")
    self._require(self._submissions[job][round][index] == 0, "already_submitted")
    elapsed: uint256 = block.timestamp - stage.opened
    self._submissions[job][round][index] = (root << 16) | (
        SPAN * elapsed // (stage.collect_deadline - stage.opened)
    )
    submitted: uint256 = self._submitted[job][round] | (1 << index)
    self._submitted[job][round] = submitted
    log Submitted(
        job=job,
        round=round,
        trainer=msg.sender,
        commitment_root=commitment_root,
        manifest=manifest,
        time=block.timestamp,
    )
    if submitted | self._deals[job].absent_trainers == self._submitters(job, head, stage):
        self._end_collect(job, head, stage)


@external
def report(job: uint256, round: uint256, accepted: uint256):
    index: uint256 = self._node_index(job)
    head: Head = self._head(job)
    stage: Stage = self._in_phase(job, head, round, CHECK)
    self._require(stage.reported & (1 << index) == 0, "already_reported")
    self._require(accepted & ~self._submitted[job][round] == 0, "not_submitted")
    stage.reported |= 1 << index
    self._reports[job][round][index] = accepted
    log Reported(job=job, round=round, node=msg.sender, accepted=accepted)
    if stage.reported | head.absent_nodes == self._everyone(head.nodes):
        self._end_check(job, head, stage)
    else:
        self._store_stage(job, round, stage)


@external
def post_aggregate(job: uint256, round: uint256, share_root: bytes32, manifest: bytes32):
    index: uint256 = self._node_index(job)
    head: Head = self._head(job)
    stage: Stage = self._in_phase(job, head, round, AGGREGATE)
    self._require(stage.quorum & (1 << index) != 0, "not_in_quorum")
    self._require(stage.delivered & (1 << index) == 0, "already_posted")
    stage.delivered |= 1 << index
    self._posts[job][round] = keccak256(
        concat(self._posts[job][round], convert(index + 1, bytes32), share_root, manifest)
    )
    log AggregatePosted(job=job, round=round, node=msg.sender, share_root=share_root, manifest=manifest)
    if stage.delivered == stage.quorum:
        self._enter(job, round, stage, ATTEST)
    else:
        self._store_stage(job, round, stage)


@external
def attest(
    job: uint256,
    round: uint256,
    aggregate_root: bytes32,
    valid: uint256,
    signers: uint256,
    signature: Bytes[128],
    keys: Bytes[2560],
):
    head: Head = self._head(job)
    stage: Stage = self._in_phase(job, head, round, ATTEST)
    threshold: uint256 = self._terms[job].threshold
    self._require(valid & ~stage.delivered == 0, "not_delivered")
    self._require(self._count(valid) >= threshold, "too_few_valid")
    self._require(signers >> head.nodes == 0, "unknown_signer")
    self._require(self._count(signers) >= threshold, "too_few_signers")
    self._require(len(keys) == 256 * head.nodes, "wrong_keys")
    found: bytes32 = empty(bytes32)
    for j: uint256 in range(head.nodes, bound=MAX_NODES):
        found = keccak256(concat(found, keccak256(slice(keys, 256 * j, 256))))
    self._require(found == self._deals[job].keys, "wrong_keys")
    digest: bytes32 = self._attestation_digest(job, round, aggregate_root, valid)
    self._require(staticcall VERIFIER.verify_attestation(digest, signature, keys, signers), "bad_signature")
    self._aggregate_roots[job][round] = aggregate_root
    stage.valid = valid
    stage.signers = signers
    log Attested(
        job=job,
        round=round,
        aggregate_root=aggregate_root,
        valid=valid,
        signers=signers,
        signature=signature,
    )
    if stage.kind == STATISTICS:
        self._close_round(job, head, stage)
    else:
        self._enter(job, round, stage, SCORE)


@external
def open_slice(job: uint256, round: uint256, key: bytes32):
    head: Head = self._head(job)
    self._require(head.status == RUNNING and head.current_round == round, "wrong_round")
    stage: Stage = self._stage(job, round)
    self._require(stage.phase >= CHECK and stage.phase <= ATTEST, "wrong_phase")
    self._require(stage.slice_opened == 0, "already_opened")
    self._require(self._is_slice_due(job, head, stage), "not_due")
    self._require(keccak256(key) == self._deals[job].slice_key, "wrong_key")
    self._deals[job].slice_key = key
    head.slices_opened += 1
    self._store_head(job, head)
    stage.slice_opened = 1
    self._store_stage(job, round, stage)
    log SliceOpened(job=job, round=round, number=head.slices_opened, key=key)


@external
def score(job: uint256, round: uint256, commitment: bytes32):
    index: uint256 = self._trainer_index(job)
    head: Head = self._head(job)
    stage: Stage = self._in_phase(job, head, round, SCORE)
    accepted: uint256 = self._accepted[job][round] & self._everyone(stage.members)
    self._require(accepted & (1 << index) != 0, "not_accepted")
    self._require(self._scores[job][round][index] == 0, "already_scored")
    kept: uint256 = convert(commitment, uint256) & ~REVEALED
    self._require(kept != 0, "empty_commitment")
    self._scores[job][round][index] = kept
    stage.scored += 1
    log ScoreCommitted(job=job, round=round, trainer=msg.sender, commitment=commitment)
    if stage.scored == self._count(accepted):
        self._enter(job, round, stage, REVEAL)
    else:
        self._store_stage(job, round, stage)


@external
def reveal(job: uint256, round: uint256, checkpoint: bytes32, accuracy: uint256, salt: bytes32):
    index: uint256 = self._trainer_index(job)
    head: Head = self._head(job)
    stage: Stage = self._in_phase(job, head, round, REVEAL)
    kept: uint256 = self._scores[job][round][index]
    self._require(kept != 0, "not_committed")
    self._require(kept & REVEALED == 0, "already_revealed")
    commitment: bytes32 = self._score_commitment(job, round, checkpoint, accuracy, salt)
    self._require(convert(commitment, uint256) & ~REVEALED == kept, "wrong_opening")
    self._require(checkpoint != empty(bytes32), "empty_checkpoint")
    self._require(accuracy <= MILLION, "accuracy_out_of_range")
    stake: uint256 = self._stake(job, index)
    self._scores[job][round][index] = self._packed_score(checkpoint, accuracy)
    self._support_checkpoint(job, round, checkpoint, stake)
    stage.revealed += 1
    log Scored(
        job=job, round=round, trainer=msg.sender, checkpoint=checkpoint, accuracy=accuracy, stake=stake
    )
    if stage.revealed == stage.scored:
        self._close_round(job, head, stage)
    else:
        self._store_stage(job, round, stage)


# Views


@external
@view
def job(job: uint256) -> (
    Job, Terms, DynArray[address, MAX_NODES], DynArray[address, MAX_TRAINERS], Round
):
    """
    @notice All about a job in one consistent view: state, terms, committee, trainers, current round.
    """
    head: Head = self._head(job)
    deal: Deal = self._deals[job]
    return (
        Job(
            owner=deal.owner,
            status=head.status,
            coin=staticcall BANK.coin_of(job),
            fee=deal.fee,
            escrow=staticcall BANK.pool(job),
            draw_block=deal.draw_block,
            join_deadline=deal.join_deadline,
            current_round=head.current_round,
            statistics_done=head.statistics_done == 1,
            trained=head.trained,
            failures=head.failures,
            best=deal.best,
            improvement_paid=deal.improvement_paid,
            slices_opened=head.slices_opened,
            slice_key=deal.slice_key,
            checkpoint=deal.checkpoint,
            absent_trainers=deal.absent_trainers,
            absent_nodes=head.absent_nodes,
            ended=head.ended,
        ),
        self._terms[job],
        self._committee[job],
        self._all_trainers(job, head),
        self._round(job, head.current_round),
    )


@external
@view
def round(job: uint256, round: uint256) -> Round:
    return self._round(job, round)


@external
@view
def reports(job: uint256, round: uint256) -> DynArray[uint256, MAX_NODES]:
    return self._all_reports(job, round)


# What the judge and the contributions read


@external
@view
def evidence(job: uint256, round: uint256) -> Facts:
    stage: Stage = self._stage(job, round)
    self._require(stage.kind != 0, "unknown_round")
    training: bool = stage.kind == TRAINING
    return Facts(
        layout=self._terms[job].training_layout if training else self._terms[job].statistics_layout,
        threshold=self._terms[job].threshold,
        accepted=self._accepted[job][round],
        aggregate_root=self._aggregate_roots[job][round],
        signers=stage.signers,
        posts=self._posts[job][round],
    )


@external
@view
def commitment_root(job: uint256, round: uint256, trainer: uint256) -> uint256:
    """
    @notice The first 240 bits of what a trainer submitted.
    """
    return self._submissions[job][round][trainer] >> 16


@external
@view
def trainer_number(job: uint256, account: address) -> uint256:
    """
    @notice Number of an account in sets of trainers, from 1; 0 if it has not joined or was convicted.
    """
    return self._trainer_number[job][account]


@external
@view
def stake(job: uint256, trainer: uint256) -> uint256:
    """
    @notice What the stake of a trainer was worth when it joined.
    """
    return self._stake(job, trainer)


@external
@view
def committee(job: uint256) -> DynArray[address, MAX_NODES]:
    return self._committee[job]


# Life of a job


@internal
def _draw(job: uint256, head: Head):
    draw_block: uint256 = self._deals[job].draw_block
    if block.number > draw_block + READABLE_BLOCKS:
        # nobody draws twice: whoever dislikes a committee pays for another job
        self._end_job(job, head, FAILED)
        return
    seed: bytes32 = keccak256(
        concat(blockhash(draw_block), convert(self, bytes32), convert(job, bytes32))
    )
    committee: DynArray[address, MAX_NODES] = []
    keys: bytes32 = empty(bytes32)
    committee, keys = extcall BANK.draw(seed, head.nodes, self._terms[job].node_stake)
    if len(committee) == 0:
        self._end_job(job, head, FAILED)
        return
    for j: uint256 in range(len(committee), bound=MAX_NODES):
        self._node_number[job][committee[j]] = j + 1
        if self._terms[job].noise_quorum != 0:
            self._trainer_number[job][committee[j]] = NOISE + j + 1
    join_deadline: uint256 = block.timestamp + self._terms[job].durations[0]
    self._committee[job] = committee
    self._deals[job].keys = keys
    self._deals[job].join_deadline = join_deadline
    log CommitteeDrawn(job=job, seed=seed, join_deadline=join_deadline, committee=committee)
    recruiting: Head = head
    recruiting.status = RECRUITING
    self._store_head(job, recruiting)


@internal
def _join(job: uint256, head: Head):
    index: uint256 = head.trainers
    stake: uint256 = extcall BANK.bind(msg.sender, self._terms[job].trainer_stake)
    self._trainers[job][index] = (convert(msg.sender, uint256) << 96) | stake
    self._trainer_number[job][msg.sender] = index + 1
    log Joined(job=job, trainer=msg.sender, index=index, stake=stake)
    joined: Head = head
    joined.trainers += 1
    if head.status == RECRUITING and joined.trainers == self._terms[job].max_trainers:
        self._end_recruiting(job, joined)
    else:
        self._store_head(job, joined)


@internal
def _end_recruiting(job: uint256, head: Head):
    if head.trainers < self._terms[job].quorum:
        self._end_job(job, head, FAILED)
    else:
        running: Head = head
        running.status = RUNNING
        self._start_round(job, running)


@internal
def _end_job(job: uint256, head: Head, status: uint256):
    ended: Head = head
    ended.status = status
    ended.ended = block.timestamp
    self._store_head(job, ended)
    self._release_members(job, head)
    refund: uint256 = extcall BANK.settle(job, self._deals[job].owner)
    log JobEnded(job=job, status=status, refund=refund)


@internal
def _release_members(job: uint256, head: Head):
    batch: DynArray[address, BATCH] = []
    for node: address in self._committee[job]:
        batch.append(node)
    for i: uint256 in range(head.trainers, bound=MAX_TRAINERS):
        if self._trainers[job][i] == 0:
            continue  # left
        if len(batch) == BATCH:
            extcall BANK.release(batch)
            batch = []
        batch.append(self._trainer(job, i))
    extcall BANK.release(batch)


@internal
def _convict(job: uint256, round: uint256, account: address, accuser: address, offence: uint256):
    if self._node_number[job][account] != 0:
        head: Head = self._head(job)
        head.convicted_nodes |= 1 << (self._node_number[job][account] - 1)
        self._store_head(job, head)
        self._node_number[job][account] = 0
    if self._trainer_number[job][account] != 0:
        self._convicted_trainers[job] |= 1 << (self._trainer_number[job][account] - 1)
        self._trainer_number[job][account] = 0
    coin: uint256 = 0
    stake: uint256 = 0
    forfeited: uint256 = 0
    coin, stake, forfeited = extcall BANK.confiscate(job, account, accuser, self._deals[job].owner)
    log Convicted(
        job=job,
        round=round,
        account=account,
        accuser=accuser,
        offence=offence,
        coin=coin,
        stake=stake,
        forfeited=forfeited,
    )


# Life of a round


@internal
def _start_round(job: uint256, head: Head):
    if block.timestamp >= self._terms[job].deadline:
        self._end_job(job, head, FAILED)
        return
    next: Head = head
    next.current_round += 1
    self._store_head(job, next)
    stage: Stage = empty(Stage)
    stage.kind = STATISTICS if self._terms[job].statistics and head.statistics_done == 0 else TRAINING
    stage.opened = block.timestamp
    stage.members = head.trainers
    stage.collect_deadline = self._end_of(job, COLLECT)
    log RoundStarted(
        job=job,
        round=next.current_round,
        kind=stage.kind,
        opened=stage.opened,
        collect_deadline=stage.collect_deadline,
    )
    self._enter(job, next.current_round, stage, COLLECT)


@internal
@view
def _end_of(job: uint256, phase: uint256) -> uint256:
    """
    @notice The deadline of a phase that begins now.
    """
    return min(block.timestamp + self._terms[job].durations[phase], self._terms[job].deadline)


@internal
def _enter(job: uint256, round: uint256, stage: Stage, phase: uint256):
    entered: Stage = stage
    entered.phase = phase
    entered.deadline = self._end_of(job, phase)
    self._store_stage(job, round, entered)


@internal
def _pass_deadline(job: uint256, head: Head, stage: Stage):
    over: bool = block.timestamp >= self._terms[job].deadline
    if stage.phase == SCORE and stage.scored != 0 and not over:
        self._enter(job, head.current_round, stage, REVEAL)
    elif stage.phase >= SCORE:
        self._close_round(job, head, stage)
    elif over:
        self._abort(job, head.current_round, stage, "job_deadline")
        self._end_job(job, head, FAILED)
    elif stage.phase == COLLECT:
        self._end_collect(job, head, stage)
    elif stage.phase == CHECK:
        self._end_check(job, head, stage)
    elif stage.phase == AGGREGATE:
        self._end_aggregate(job, head, stage)
    else:
        self._fail_round(job, head, stage, "not_attested")


@internal
def _abort(job: uint256, round: uint256, stage: Stage, reason: String[32]):
    aborted: Stage = stage
    aborted.phase = ABORTED
    self._store_stage(job, round, aborted)
    log RoundFailed(job=job, round=round, reason=reason)


@internal
def _fail_round(job: uint256, head: Head, stage: Stage, reason: String[32]):
    self._abort(job, head.current_round, stage, reason)
    failed: Head = head
    failed.failures += 1
    if failed.failures == MAX_FAILURES:
        self._end_job(job, failed, FAILED)
    else:
        self._start_round(job, failed)


@internal
def _end_collect(job: uint256, head: Head, stage: Stage):
    submitted: uint256 = self._submitted[job][head.current_round]
    if not self._suffices(job, stage, submitted):
        # so few that absence says little about those who are missing: wait for everyone again
        self._deals[job].absent_trainers = 0
        self._fail_round(job, head, stage, "too_few_submissions")
    else:
        self._deals[job].absent_trainers = self._submitters(job, head, stage) & ~submitted
        self._enter(job, head.current_round, stage, CHECK)


@internal
def _end_check(job: uint256, head: Head, stage: Stage):
    checked: Head = head
    checked.absent_nodes = 0
    if self._count(stage.reported) < self._terms[job].threshold:
        self._fail_round(job, checked, stage, "too_few_reports")
        return
    checked.absent_nodes = self._everyone(head.nodes) & ~stage.reported
    accepted: uint256 = 0
    quorum: uint256 = 0
    accepted, quorum = staticcall RULES.choose_accepted(
        self._all_reports(job, head.current_round), stage.reported, self._terms[job].threshold
    )
    if not self._suffices(job, stage, accepted):
        self._fail_round(job, checked, stage, "too_few_accepted")
        return
    if checked.absent_nodes != head.absent_nodes:
        self._store_head(job, checked)
    self._accepted[job][head.current_round] = accepted
    fixed: Stage = stage
    fixed.quorum = quorum
    log AcceptedSetFixed(job=job, round=head.current_round, accepted=accepted, quorum=quorum)
    self._enter(job, head.current_round, fixed, AGGREGATE)


@internal
@view
def _suffices(job: uint256, stage: Stage, submitters: uint256) -> bool:
    """
    @notice Whether a sum of theirs hides each of its trainers, and has the noise that it needs.
    """
    trainers: uint256 = self._count(submitters & self._everyone(stage.members))
    noise: uint256 = self._count(submitters >> NOISE)  # in a job without, trainers; and none is asked for
    return trainers >= self._terms[job].quorum and noise >= self._terms[job].noise_quorum


@internal
@view
def _all_reports(job: uint256, round: uint256) -> DynArray[uint256, MAX_NODES]:
    found: DynArray[uint256, MAX_NODES] = []
    for j: uint256 in range(len(self._committee[job]), bound=MAX_NODES):
        found.append(self._reports[job][round][j])
    return found


@internal
def _end_aggregate(job: uint256, head: Head, stage: Stage):
    self._slash(job, head, stage.quorum & ~stage.delivered)
    if self._count(stage.delivered) < self._terms[job].threshold:
        self._fail_round(job, head, stage, "too_few_aggregates")
    else:
        self._enter(job, head.current_round, stage, ATTEST)


@internal
def _slash(job: uint256, head: Head, nodes: uint256):
    for j: uint256 in range(head.nodes, bound=MAX_NODES):
        if nodes & (1 << j) != 0:
            node: address = self._committee[job][j]
            coin: uint256 = 0
            stake: uint256 = 0
            amount: uint256 = 0
            coin, stake, amount = extcall BANK.fine(job, node, self._deals[job].owner)
            log Slashed(
                job=job, round=head.current_round, node=node, coin=coin, stake=stake, amount=amount
            )


@internal
@view
def _attestation_digest(job: uint256, round: uint256, aggregate_root: bytes32, valid: uint256) -> bytes32:
    return keccak256(
        abi_encode(
            keccak256("ZKPFL-V1-ATTESTATION"),
            chain.id,
            self,
            job,
            round,
            self._accepted[job][round],
            aggregate_root,
            valid,
            self._posts[job][round],
        )
    )


@internal
@view
def _is_slice_due(job: uint256, head: Head, stage: Stage) -> bool:
    """
    @notice Whether a slice is opened in this round: K slices are spread evenly over R rounds, from the first on.
    """
    slices: uint256 = self._terms[job].slices
    if stage.kind != TRAINING or head.slices_opened - stage.slice_opened >= slices:
        return False
    rounds: uint256 = self._terms[job].training_rounds
    before: uint256 = (head.trained * slices + rounds - 1) // rounds
    return ((head.trained + 1) * slices + rounds - 1) // rounds > before


@internal
@view
def _score_commitment(
    job: uint256, round: uint256, checkpoint: bytes32, accuracy: uint256, salt: bytes32
) -> bytes32:
    return keccak256(
        abi_encode(
            keccak256("ZKPFL-V1-SCORE"), chain.id, self, job, round, msg.sender, checkpoint, accuracy, salt
        )
    )


@internal
@pure
def _packed_score(checkpoint: bytes32, accuracy: uint256) -> uint256:
    # Who finds two checkpoints that agree in 128 bits and scores one of them might as well score the other
    return (convert(checkpoint, uint256) >> 128 << 128) | REVEALED | accuracy


@internal
def _support_checkpoint(job: uint256, round: uint256, checkpoint: bytes32, stake: uint256):
    first: bytes32 = self._checkpoints[job][round]
    if first == empty(bytes32):
        self._checkpoints[job][round] = checkpoint
    if first == empty(bytes32) or first == checkpoint:
        return  # the stake behind the first is summed when the round closes: most often there is no other
    support: uint256 = self._support[job][round][checkpoint] + stake
    self._support[job][round][checkpoint] = support
    rival: bytes32 = self._rivals[job][round]
    if checkpoint != rival and self._leads(checkpoint, support, rival, self._support[job][round][rival]):
        self._rivals[job][round] = checkpoint


@internal
@pure
def _leads(checkpoint: bytes32, support: uint256, other: bytes32, others: uint256) -> bool:
    lower: bool = convert(checkpoint, uint256) < convert(other, uint256)
    return support > others or (support == others and lower)


@internal
def _close_round(job: uint256, head: Head, stage: Stage):
    round: uint256 = head.current_round
    closed: Stage = stage
    closed.phase = CLOSED
    checkpoint: bytes32 = empty(bytes32)
    if stage.revealed != 0:
        checkpoint, closed.accuracy = self._verdict(job, head)
        self._checkpoints[job][round] = checkpoint
        self._deals[job].checkpoint = checkpoint
    self._store_stage(job, round, closed)
    best: uint256 = self._deals[job].best
    self._reward(job, head, closed)  # pays for what exceeds the best so far, and raises it
    log RoundClosed(
        job=job,
        round=round,
        checkpoint=checkpoint,
        accuracy=closed.accuracy,
        improved=self._deals[job].best > best,
    )
    next: Head = head
    next.failures = 0
    if stage.kind == STATISTICS:
        next.statistics_done = 1
    else:
        next.trained += 1
    if next.trained == self._terms[job].training_rounds or closed.accuracy >= self._terms[job].target:
        self._end_job(job, next, DONE)
    else:
        self._start_round(job, next)


@internal
@view
def _verdict(job: uint256, head: Head) -> (bytes32, uint256):
    """
    @notice The checkpoint with most stake behind it, the lower among equals, and the median of its accuracies.
    """
    round: uint256 = head.current_round
    first: bytes32 = self._checkpoints[job][round]
    rival: bytes32 = self._rivals[job][round]
    support: uint256 = 0
    scores: DynArray[uint256, MAX_TRAINERS] = []
    support, scores = self._scores_of(job, head, first)
    if rival != empty(bytes32) and self._leads(rival, self._support[job][round][rival], first, support):
        first = rival
        support, scores = self._scores_of(job, head, rival)
    return first, staticcall RULES.weighted_median(scores)


@internal
@view
def _scores_of(
    job: uint256, head: Head, checkpoint: bytes32
) -> (uint256, DynArray[uint256, MAX_TRAINERS]):
    """
    @notice The stake behind a checkpoint, and `stake ‖ accuracy` of each who scored it.
    """
    accepted: uint256 = self._accepted[job][head.current_round]
    packed: uint256 = self._packed_score(checkpoint, 0)
    support: uint256 = 0
    scores: DynArray[uint256, MAX_TRAINERS] = []
    for i: uint256 in range(head.trainers, bound=MAX_TRAINERS):
        if accepted & (1 << i) != 0:
            accuracy: uint256 = self._scores[job][head.current_round][i] ^ packed
            if accuracy <= MILLION:
                support += self._stake(job, i)
                scores.append((self._stake(job, i) << 20) | accuracy)
    return support, scores


# Rewards (§9.5)


@internal
def _reward(job: uint256, head: Head, stage: Stage):
    node_pot: uint256 = 0
    trainer_pot: uint256 = 0
    node_pot, trainer_pot = self._pots(job, head, stage)
    self._reward_nodes(job, head, stage.valid, node_pot)
    self._reward_trainers(job, head, trainer_pot)


@internal
def _reward_nodes(job: uint256, head: Head, valid: uint256, pot: uint256):
    count: uint256 = self._count(valid)
    accounts: DynArray[address, BATCH] = []
    amounts: DynArray[uint256, BATCH] = []
    for j: uint256 in range(head.nodes, bound=MAX_NODES):
        if valid & (1 << j) != 0:
            node: address = self._committee[job][j]
            # a convict earns nothing
            amount: uint256 = pot // count if head.convicted_nodes & (1 << j) == 0 else 0
            self._tell(job, head.current_round, node, NODE, amount, ONE, ONE)
            accounts.append(node)
            amounts.append(amount)
    extcall BANK.credit(job, accounts, amounts)


@internal
def _reward_trainers(job: uint256, head: Head, pot: uint256):
    round: uint256 = head.current_round
    accepted: uint256 = self._accepted[job][round]
    convicted: uint256 = self._convicted_trainers[job]
    factors: uint256[8] = staticcall CONTRIBUTIONS.factors(self, job, round)
    weights: uint256[MAX_TRAINERS] = empty(uint256[MAX_TRAINERS])
    total: uint256 = 0
    for i: uint256 in range(head.trainers, bound=MAX_TRAINERS):
        if accepted & (1 << i) != 0:
            # by stake, so that one who splits up, and its stake with it, gets no more for the time it took
            both: uint256 = self._time_factor(job, round, i) * self._accuracy_factor(factors, i)
            weights[i] = self._stake(job, i) * both // ONE
            total += weights[i]
    accounts: DynArray[address, BATCH] = []
    amounts: DynArray[uint256, BATCH] = []
    for i: uint256 in range(head.trainers, bound=MAX_TRAINERS):
        if accepted & (1 << i) == 0:
            continue
        trainer: address = self._trainer(job, i)
        amount: uint256 = 0
        if convicted & (1 << i) == 0:
            amount = pot * weights[i] // total
        time_factor: uint256 = self._time_factor(job, round, i)
        self._tell(job, round, trainer, TRAINER, amount, time_factor, self._accuracy_factor(factors, i))
        if len(accounts) == BATCH:
            extcall BANK.credit(job, accounts, amounts)
            accounts = []
            amounts = []
        accounts.append(trainer)
        amounts.append(amount)
    extcall BANK.credit(job, accounts, amounts)


@internal
def _pots(job: uint256, head: Head, stage: Stage) -> (uint256, uint256):
    """
    @notice What the round pays to nodes and to trainers; remembers what accuracy is paid for then.
    """
    nodes: uint256 = 0
    trainers: uint256 = 0
    best: uint256 = 0
    improvement_paid: uint256 = 0
    nodes, trainers, best, improvement_paid = staticcall RULES.pots(
        Closing(
            fee=self._deals[job].fee,
            training_rounds=self._terms[job].training_rounds,
            statistics=self._terms[job].statistics,
            slices=self._terms[job].slices,
            slice_records=self._terms[job].slice_records,
            baseline=self._terms[job].baseline,
            target=self._terms[job].target,
            best=self._deals[job].best,
            improvement_paid=self._deals[job].improvement_paid,
            accuracy=stage.accuracy,
            slice_due=self._is_slice_due(job, head, stage),
            slice_opened=stage.slice_opened == 1,
        )
    )
    self._deals[job].best = best
    self._deals[job].improvement_paid = improvement_paid
    return nodes, trainers


@internal
@view
def _time_factor(job: uint256, round: uint256, index: uint256) -> uint256:
    elapsed: uint256 = self._submissions[job][round][index] & SPAN
    return 11 * ONE // 10 - ONE * elapsed // (5 * SPAN)


@internal
def _tell(
    job: uint256,
    round: uint256,
    account: address,
    role: uint256,
    amount: uint256,
    time_factor: uint256,
    accuracy_factor: uint256,
):
    log Rewarded(
        job=job,
        round=round,
        account=account,
        role=role,
        amount=amount,
        time_factor=time_factor,
        accuracy_factor=accuracy_factor,
    )


@internal
@pure
def _accuracy_factor(factors: uint256[8], index: uint256) -> uint256:
    percent: uint256 = (factors[index // 32] >> (index % 32 * 8)) & 255
    return ONE if percent == 0 else percent * ONE // 100


# Who and when


@internal
@view
def _trainer(job: uint256, index: uint256) -> address:
    return convert(self._trainers[job][index] >> 96, address)


@internal
@view
def _stake(job: uint256, index: uint256) -> uint256:
    return self._trainers[job][index] & (2**96 - 1)


@internal
@view
def _all_trainers(job: uint256, head: Head) -> DynArray[address, MAX_TRAINERS]:
    found: DynArray[address, MAX_TRAINERS] = []
    for i: uint256 in range(head.trainers, bound=MAX_TRAINERS):
        found.append(self._trainer(job, i))
    return found


@internal
@pure
def _require(condition: bool, reason: String[32]):
    # one copy of the code that reverts with a reason: a hundred bytes each, they would not all fit
    assert condition, reason


@internal
@view
def _trainer_index(job: uint256) -> uint256:
    number: uint256 = self._trainer_number[job][msg.sender]
    self._require(number > 0, "not_joined")
    return number - 1


@internal
@view
def _node_index(job: uint256) -> uint256:
    number: uint256 = self._node_number[job][msg.sender]
    self._require(number > 0, "not_in_committee")
    return number - 1


@internal
@view
def _in_phase(job: uint256, head: Head, round: uint256, phase: uint256) -> Stage:
    """
    @notice The stage of a job's current round, which is in a phase whose deadline has not passed.
    """
    self._require(head.status == RUNNING, "job_not_running")
    self._require(head.current_round == round, "wrong_round")
    stage: Stage = self._stage(job, round)
    self._require(stage.phase == phase, "wrong_phase")
    self._require(block.timestamp < stage.deadline, "deadline_passed")
    return stage


# Packed words


@internal
@view
def _head(job: uint256) -> Head:
    word: uint256 = self._heads[job]
    self._require(word != 0, "unknown_job")
    return Head(
        status=word & 255,
        current_round=(word >> 8) & (2**32 - 1),
        trainers=(word >> 40) & (2**16 - 1),
        nodes=(word >> 56) & 255,
        failures=(word >> 64) & 255,
        trained=(word >> 72) & (2**16 - 1),
        statistics_done=(word >> 88) & 255,
        slices_opened=(word >> 96) & (2**16 - 1),
        absent_nodes=(word >> 112) & (2**16 - 1),
        ended=(word >> 128) & (2**40 - 1),
        convicted_nodes=word >> 168,
    )


@internal
def _store_head(job: uint256, head: Head):
    self._heads[job] = (
        head.status
        | (head.current_round << 8)
        | (head.trainers << 40)
        | (head.nodes << 56)
        | (head.failures << 64)
        | (head.trained << 72)
        | (head.statistics_done << 88)
        | (head.slices_opened << 96)
        | (head.absent_nodes << 112)
        | (head.ended << 128)
        | (head.convicted_nodes << 168)
    )


@internal
@view
def _stage(job: uint256, round: uint256) -> Stage:
    word: uint256 = self._stages[job][round]
    return Stage(
        kind=word & 15,
        phase=(word >> 4) & 15,
        opened=(word >> 8) & (2**40 - 1),
        collect_deadline=(word >> 48) & (2**40 - 1),
        deadline=(word >> 88) & (2**40 - 1),
        reported=(word >> 128) & (2**10 - 1),
        quorum=(word >> 138) & (2**10 - 1),
        delivered=(word >> 148) & (2**10 - 1),
        valid=(word >> 158) & (2**10 - 1),
        signers=(word >> 168) & (2**10 - 1),
        scored=(word >> 178) & (2**9 - 1),
        revealed=(word >> 187) & (2**9 - 1),
        slice_opened=(word >> 196) & 1,
        accuracy=(word >> 197) & (2**20 - 1),
        members=word >> 217,
    )


@internal
def _store_stage(job: uint256, round: uint256, stage: Stage):
    self._stages[job][round] = (
        stage.kind
        | (stage.phase << 4)
        | (stage.opened << 8)
        | (stage.collect_deadline << 48)
        | (stage.deadline << 88)
        | (stage.reported << 128)
        | (stage.quorum << 138)
        | (stage.delivered << 148)
        | (stage.valid << 158)
        | (stage.signers << 168)
        | (stage.scored << 178)
        | (stage.revealed << 187)
        | (stage.slice_opened << 196)
        | (stage.accuracy << 197)
        | (stage.members << 217)
    )


@internal
@view
def _round(job: uint256, round: uint256) -> Round:
    stage: Stage = self._stage(job, round)
    return Round(
        kind=stage.kind,
        phase=stage.phase,
        opened=stage.opened,
        collect_deadline=stage.collect_deadline,
        deadline=stage.deadline,
        submitted=self._submitted[job][round],
        reported=stage.reported,
        accepted=self._accepted[job][round],
        quorum=stage.quorum,
        delivered=stage.delivered,
        valid=stage.valid,
        signers=stage.signers,
        aggregate_root=self._aggregate_roots[job][round],
        posts=self._posts[job][round],
        slice_opened=stage.slice_opened == 1,
        scored=stage.scored,
        revealed=stage.revealed,
        checkpoint=self._checkpoints[job][round],
        accuracy=stage.accuracy,
        members=stage.members,
    )


# Sets


@internal
@view
def _submitters(job: uint256, head: Head, stage: Stage) -> uint256:
    """
    @notice The members of a round, and the committee where it brings noise.
    """
    members: uint256 = self._everyone(stage.members)
    return members if self._terms[job].noise_quorum == 0 else members | (self._everyone(head.nodes) << NOISE)


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
