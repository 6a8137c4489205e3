# pragma version 0.4.3
# pragma evm-version prague
"""
@title Rules by which the ledger decides, as functions of their arguments alone (docs/spec.md §6, §9)
@notice Units as in the ledger. `zkpfl.ledger.rules` computes the same a second time.
@dev Stateless, and apart from the ledger because the code of one contract is limited.
"""

MAX_TRAINERS: constant(uint256) = 256
MAX_NODES: constant(uint256) = 10
MAX_ROUNDS: constant(uint256) = 1000
MAX_PHASE: constant(uint256) = 30 * 86400  # a stake cannot be bound for ever by a job that never ends
MAX_LIFETIME: constant(uint256) = 366 * 86400
MILLION: constant(uint256) = 10**6
MIN_RECORDS: constant(uint256) = 100  # fewer say nothing about accuracy
MAX_RECORDS: constant(uint256) = 2**64 - 1
MAX_AMOUNT: constant(uint256) = 2**96 - 1


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
    noise_quorum: uint256  # zk-nodes whose noise a training sum needs at least; 0 in a job without their noise

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


@external
@view
def check_terms(terms: Terms, nodes: uint256, worth: uint256) -> bool:
    """
    @notice Refuse what a job may not ask for, or answer True.
    @param worth of the fee: what a committee or a quorum that cheats can gain at most
    """
    assert terms.threshold >= 2, "threshold_out_of_range"
    assert nodes <= MAX_NODES and nodes + 1 >= 2 * terms.threshold, "committee_size"
    assert terms.quorum >= 2 and terms.quorum <= terms.max_trainers, "quorum_out_of_range"
    assert terms.max_trainers <= MAX_TRAINERS, "max_trainers_out_of_range"
    if terms.noise_quorum != 0:
        # t - 1 nodes may know each other's noise: without that of another there is none
        assert terms.noise_quorum >= terms.threshold and terms.noise_quorum <= nodes, "noise_quorum_out_of_range"
        assert terms.max_trainers <= MAX_TRAINERS - MAX_NODES, "max_trainers_out_of_range"
        assert not terms.statistics, "exact_statistics_with_noise"
    assert terms.training_rounds <= MAX_ROUNDS, "rounds_out_of_range"
    assert terms.statistics or terms.training_rounds > 0, "rounds_out_of_range"
    assert terms.target <= MILLION, "target_out_of_range"
    assert terms.slices <= terms.training_rounds, "slices_out_of_range"
    assert terms.slice_records <= MAX_RECORDS, "records_out_of_range"
    assert terms.training_rounds == 0 or terms.baseline < terms.target, "target_out_of_range"
    assert max(terms.node_stake, terms.trainer_stake) <= MAX_AMOUNT, "stake_out_of_range"
    assert terms.threshold * terms.node_stake >= worth, "stake_below_value_at_risk"
    assert terms.quorum * terms.trainer_stake >= worth, "stake_below_value_at_risk"
    for seconds: uint256 in terms.durations:
        assert seconds > 0 and seconds <= MAX_PHASE, "duration_out_of_range"
    assert terms.deadline > block.timestamp + terms.durations[0], "deadline_out_of_range"
    assert terms.deadline <= block.timestamp + MAX_LIFETIME, "deadline_out_of_range"
    return True


@external
@view
def choose_accepted(
    reports: DynArray[uint256, MAX_NODES], reported: uint256, threshold: uint256
) -> (uint256, uint256):
    """
    @notice The largest common set of at least `threshold` reporting nodes, and the group that has it (§6).
    @dev Groups come in ascending order, so that the lowest wins among equals. `common[group]` follows from
         the group without its highest node: at most 1023 steps.
    """
    common: uint256[1024] = empty(uint256[1024])
    common[0] = max_value(uint256)
    node: uint256 = 0
    report: uint256 = reports[0]
    best: uint256 = 0
    best_rank: uint256 = 0
    for group: uint256 in range(1, 1 << len(reports), bound=1023):
        if group == 2 << node:
            node += 1
            report = reports[node]
        if group & ~reported != 0:
            continue
        common[group] = common[group ^ (1 << node)] & report
        nodes: uint256 = self._count(group)
        if nodes >= threshold:
            rank: uint256 = 16 * self._count(common[group]) + nodes
            if rank > best_rank:
                best = group
                best_rank = rank
    return common[best], best


@external
@pure
def pots(closing: Closing) -> (uint256, uint256, uint256, uint256):
    """
    @notice What a closed round pays to nodes and to trainers, and then the accuracy that is paid for and what
            has been paid for improvement in all (§9.5).
    """
    nodes: uint256 = closing.fee // 5
    improvement: uint256 = 0
    if closing.slices > 0 and closing.slice_records >= MIN_RECORDS:
        improvement = (closing.fee - nodes) // 2
    flat: uint256 = closing.fee - nodes - improvement
    count: uint256 = closing.training_rounds + 1 if closing.statistics else closing.training_rounds
    best: uint256 = closing.best
    extra: uint256 = 0
    if closing.slice_opened:
        bound: uint256 = self._lower_bound(closing.accuracy, closing.slice_records)
        if bound > best:
            if best < closing.target:
                gain: uint256 = min(bound, closing.target) - best
                extra = improvement * gain // (closing.target - closing.baseline)
            best = bound
    elif closing.slice_due:
        # an owner gains nothing by keeping a slice back
        extra = improvement // closing.slices
    extra = min(extra, improvement - closing.improvement_paid)
    return nodes // count, flat // count + extra, best, closing.improvement_paid + extra


@internal
@pure
def _lower_bound(accuracy: uint256, records: uint256) -> uint256:
    """
    @notice Accuracy less two standard errors of a share of `records`.
    """
    if records < MIN_RECORDS:
        return 0
    margin: uint256 = isqrt(4 * accuracy * (MILLION - accuracy) // records)
    return accuracy - min(margin, accuracy)


@external
@pure
def weighted_median(scores: DynArray[uint256, MAX_TRAINERS]) -> uint256:
    """
    @notice Stake-weighted lower median of accuracies; each score is `stake ‖ accuracy`, the latter 20 bits.
    @dev Bisection over the value: 20 passes whatever the order, so nobody can make closing expensive.
    """
    total: uint256 = 0
    low: uint256 = MILLION
    high: uint256 = 0
    for score: uint256 in scores:
        total += score >> 20
        low = min(low, score & (2**20 - 1))
        high = max(high, score & (2**20 - 1))
    for _: uint256 in range(20):
        if low >= high:  # at once where all agree
            break
        middle: uint256 = (low + high) // 2
        reached: uint256 = 0
        for score: uint256 in scores:
            if score & (2**20 - 1) <= middle:
                reached += score >> 20
        if 2 * reached >= total:
            high = middle
        else:
            low = middle + 1
    return high


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
