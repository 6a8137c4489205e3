# pragma version 0.4.3
# pragma evm-version prague
"""
@title Judge of evidence against trainers and zk-nodes (docs/spec.md §9.6)
@notice Knows rows, commitments and signatures; a ledger that trusts this contract knows money. Everything is
        read from the ledger that an accusation names, so one judge serves any number of ledgers, and a false
        ledger convicts nobody but in itself.
@dev A precompile that fails reverts the call and changes nothing: guilt needs sums that were computed. A case
     about a row comes in pieces that each fit in a transaction; `total` is what has been summed so far, the
     row minus the commitments. The last piece decides: infinity acquits, everything else convicts. A case is
     kept as its hash; the accuser hands it in with each piece.
"""

from ethereum.ercs import IERC20

interface BlsVerifier:
    def verify_attestation(
        digest: bytes32, signature: Bytes[128], keys: Bytes[2560], signers: uint256
    ) -> bool: view

interface Bank:
    def coins() -> DynArray[Coin, 8]: view
    def MIN_TRAINER_STAKE() -> uint256: view
    def CHALLENGE() -> uint256: view
    def account(account: address) -> Account: view

interface Ledger:
    def BANK() -> Bank: view
    def VERIFIER() -> BlsVerifier: view
    def evidence(job: uint256, round: uint256) -> Facts: view
    def commitment_root(job: uint256, round: uint256, trainer: uint256) -> uint256: view
    def trainer_number(job: uint256, account: address) -> uint256: view
    def committee(job: uint256) -> DynArray[address, 10]: view
    def convict(
        job: uint256, round: uint256, account: address, accuser: address, offence: uint256
    ): nonpayable


# Offences
BAD_SHARE: constant(uint256) = 1
BAD_AGGREGATE_SHARE: constant(uint256) = 2
FALSE_ATTESTATION: constant(uint256) = 3
EQUIVOCATION: constant(uint256) = 4

MAX_NODES: constant(uint256) = 10
MAX_OPENINGS: constant(uint256) = 128  # of one call
MAX_DEPTH: constant(uint256) = 24  # of a tree of commitments or rows

# Rows (§5): leaves of a share root are pieces of a row, those of GENERATORS_ROOT half as long
PIECE: constant(uint256) = 512
HALF: constant(uint256) = 256
HALF_COUNT: constant(uint256) = 64
HALF_DEPTH: constant(uint256) = 6

# Merkle root over G_0 … G_16383 of §4, 256 points of 128 bytes a leaf, and H; tests derive both again
GENERATORS_ROOT: constant(bytes32) = 0x2c806f0d0aba0ee26b18cddea43464cccf1a0ba7726bc4c3acc7af76eedaf4f8
H: constant(bytes32[4]) = [
    0x000000000000000000000000000000001734d3c635df34bd4aaebeda34c7403d,
    0x90d0d5aff3e6c357c4c9275e8726c19c9ad31f376a74d1ec3327177039366717,
    0x0000000000000000000000000000000014e9932b17d7a4fd4a47f97c32657e1d,
    0x9bfd6f4d84e78db07cef9f315567b95c7f4a7921c97808166d4fb86eec65b03b,
]

# BLS12-381: order of the group, and (p − 1) / 2 as 16 and 32 bytes
R: constant(uint256) = 52435875175126190479447740508185965837690552500527637822603658699938581184513
HALF_P_HIGH: constant(uint256) = 17282741772707453034394598013407712875
HALF_P_LOW: constant(uint256) = 80617075055843030690312053732876818007934237714091801549733396136033114903893

# The multi-scalar multiplication of EIP-2537 and its price: discounts in thousandths for 1 … 128 points
G1_MSM: constant(address) = 0x000000000000000000000000000000000000000C
MULTIPLICATION_GAS: constant(uint256) = 12000
DISCOUNTS: constant(Bytes[256]) = x"03e803b50350031d02fc02ee02e202d802cf02c802c102ba02b402af02aa02a502a1029d029902950292028e028b0288028502820280027d027b0278027602730271026f026d026b026902670265026302610260025e025c025b0259025702560254025302510250024f024d024c024a02490248024602450244024302410240023f023e023d023c023a0239023802370236023502340233023202310230022f022e022d022c022b022a02290228022702260225022402230223022202210220021f021e021d021c021c021b021a0219021802180217021602150214021402130212021102100210020f020e020d020d020c020b020a020a0209020802080207"
CALL_MARGIN: constant(uint256) = 20000  # for the copying and the call itself

ITEM_WORDS: constant(uint256) = 5 * (PIECE + 1)  # point and scalar; one more item than a piece has

MASK: constant(uint256) = 2**32 - 1

# EIP-712 (§5)
DOMAIN_TYPE: constant(bytes32) = keccak256(
    "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
)
SHARE_TYPE: constant(bytes32) = keccak256(
    "Share(uint256 job,uint256 round,address trainer,uint256 node,bytes32 commitmentRoot,bytes32 shareRoot,bytes32 blob)"
)


struct Coin:
    token: address
    feed: address
    max_age: uint256

struct Account:
    role: uint256
    coin: uint256
    stake: uint256
    serving: uint256
    withdrawable_at: uint256
    encryption_key: bytes32
    bls_key_hash: bytes32
    endpoint: String[128]

struct Facts:
    layout: uint256  # columns ‖ lane rows ‖ lanes ‖ lane width, 32 bits each
    threshold: uint256
    accepted: uint256
    aggregate_root: bytes32
    signers: uint256
    posts: bytes32

struct Posted:
    node: uint256
    share_root: bytes32
    manifest: bytes32

struct Layout:
    columns: uint256
    lane_rows: uint256
    lanes: uint256
    lane_width: uint256
    packed_rows: uint256

struct Share:
    trainer: address
    node: uint256
    commitment_root: bytes32
    share_root: bytes32
    blob: bytes32

struct Signature:
    v: uint256
    r: uint256
    s: uint256

struct Attestation:
    accepted: uint256
    aggregate_root: bytes32
    valid: uint256
    posts: bytes32
    signature: Bytes[128]
    key: Bytes[256]  # of the signer, by which it is registered

struct Opening:
    point: bytes32[4]
    proof: DynArray[bytes32, MAX_DEPTH]

struct Term:
    trainer: uint256
    leaf: uint256
    factor: uint256

struct Case:
    ledger: address
    job: uint256
    round: uint256
    offence: uint256
    accuser: address
    trainer: address  # accused, or empty
    nodes: uint256  # accused, a set
    node: uint256  # whose share it is, from 1; 0 where it is no share
    row: uint256  # of the share, or the leaf of a false aggregate
    root: bytes32  # of the one submission, or of the false aggregate
    share_root: bytes32
    accepted: uint256  # trainers whose commitments are summed; 0 where only `root` counts
    layout: uint256
    threshold: uint256
    token: address
    bond: uint256
    deadline: uint256
    pieces: uint256  # summed so far
    openings: uint256  # summed so far
    total: bytes32[4]


event CaseOpened:
    ledger: indexed(address)
    job: indexed(uint256)
    number: indexed(uint256)
    case: Case

event CaseAdvanced:
    ledger: indexed(address)
    job: indexed(uint256)
    number: indexed(uint256)
    pieces: uint256
    openings: uint256
    total: bytes32[4]

event CaseClosed:
    ledger: indexed(address)
    job: indexed(uint256)
    number: indexed(uint256)
    guilty: bool


case_hash: public(HashMap[uint256, bytes32])  # of the open cases
case_count: public(uint256)


# Cases


@external
def accuse_share(
    ledger: Ledger, job: uint256, round: uint256, share: Share, signature: Signature, row: uint256
) -> uint256:
    """
    @notice Row `row` of a share fails the commitments, and the trainer signed both.
    """
    assert staticcall ledger.trainer_number(job, share.trainer) != 0, "not_joined"
    digest: bytes32 = self._share_digest(ledger, job, round, share)
    assert ecrecover(digest, signature.v, signature.r, signature.s) == share.trainer, "bad_signature"
    assert share.node > 0 and share.node <= len(staticcall ledger.committee(job)), "unknown_node"
    case: Case = self._new_case(ledger, job, round, BAD_SHARE, row)
    case.trainer = share.trainer
    case.node = share.node
    case.root = share.commitment_root
    case.share_root = share.share_root
    case.accepted = 0
    return self._open(case)


@external
def accuse_aggregate_share(
    ledger: Ledger,
    job: uint256,
    round: uint256,
    node: uint256,
    row: uint256,
    posts: DynArray[Posted, MAX_NODES],
) -> uint256:
    """
    @notice Row `row` under the root that a zk-node posted fails the sum of the accepted commitments.
    @param posts everything that was posted in the round, in its order
    """
    assert node > 0 and node <= len(staticcall ledger.committee(job)), "unknown_node"
    case: Case = self._new_case(ledger, job, round, BAD_AGGREGATE_SHARE, row)
    case.nodes = 1 << (node - 1)
    case.node = node
    case.share_root = self._posted_root(ledger, job, round, node, posts)
    return self._open(case)


@external
def accuse_attestation(ledger: Ledger, job: uint256, round: uint256, leaf: uint256) -> uint256:
    """
    @notice Leaf `leaf` under the attested aggregate root is not the sum of the accepted commitments.
    """
    facts: Facts = staticcall ledger.evidence(job, round)
    assert facts.signers != 0, "not_attested"
    case: Case = self._new_case(ledger, job, round, FALSE_ATTESTATION, leaf)
    case.nodes = facts.signers
    case.root = facts.aggregate_root
    return self._open(case)


@external
def add_piece(
    number: uint256,
    case: Case,
    scalars: Bytes[32 * PIECE],
    proof: DynArray[bytes32, MAX_DEPTH],
    generators: Bytes[128 * PIECE],
    generator_proofs: DynArray[bytes32, 2 * HALF_DEPTH],
):
    """
    @notice Add the commitment to the next piece of the row.
    """
    self._require_accuser(number, case)
    next: Case = case
    next.total = self._add_piece(case, scalars, proof, generators, generator_proofs)
    next.pieces += 1
    self._advance(number, next)


@external
def add_openings(number: uint256, case: Case, openings: DynArray[Opening, MAX_OPENINGS]):
    """
    @notice Take the next commitments off the total, in the order of `_term`.
    """
    self._require_accuser(number, case)
    next: Case = case
    next.total = self._add_openings(case, openings)
    next.openings += len(openings)
    self._advance(number, next)


@external
def dismiss(number: uint256, case: Case):
    """
    @notice Close a case that was not brought to its end in time, as one that failed. Anyone may.
    """
    assert self.case_hash[number] == keccak256(abi_encode(case)), "unknown_case"
    assert block.timestamp >= case.deadline, "not_due"
    self._close(number, case, False)


# Evidence that one call judges


@external
def prove_equivocation(
    ledger: Ledger, job: uint256, round: uint256, node: uint256, first: Attestation, second: Attestation
):
    """
    @notice A zk-node signed two accepted sets, or two aggregates, of one round.
    """
    same_set: bool = first.accepted == second.accepted
    assert not (same_set and first.aggregate_root == second.aggregate_root), "same_statement"
    account: address = self._signer(ledger, job, round, node, first)
    self._signer(ledger, job, round, node, second)
    extcall ledger.convict(job, round, account, msg.sender, EQUIVOCATION)


@external
def prove_other_set(
    ledger: Ledger, job: uint256, round: uint256, node: uint256, attestation: Attestation
):
    """
    @notice A zk-node attested the aggregate of another set than the one that the ledger fixed.
    """
    facts: Facts = staticcall ledger.evidence(job, round)
    assert facts.accepted != 0, "no_accepted_set"
    assert facts.accepted != attestation.accepted, "same_statement"
    account: address = self._signer(ledger, job, round, node, attestation)
    extcall ledger.convict(job, round, account, msg.sender, FALSE_ATTESTATION)


# Opening and closing


@internal
@view
def _new_case(ledger: Ledger, job: uint256, round: uint256, offence: uint256, row: uint256) -> Case:
    facts: Facts = staticcall ledger.evidence(job, round)
    bank: Bank = staticcall ledger.BANK()
    coins: DynArray[Coin, 8] = staticcall bank.coins()
    case: Case = empty(Case)
    case.ledger = ledger.address
    case.job = job
    case.round = round
    case.offence = offence
    case.accuser = msg.sender
    case.row = row
    case.accepted = facts.accepted
    case.layout = facts.layout
    case.threshold = facts.threshold
    case.token = coins[0].token  # a ledger that names another one later must not get at other bonds
    case.bond = staticcall bank.MIN_TRAINER_STAKE() // 10
    case.deadline = block.timestamp + staticcall bank.CHALLENGE()
    return case


@internal
@view
def _posted_root(
    ledger: Ledger, job: uint256, round: uint256, node: uint256, posts: DynArray[Posted, MAX_NODES]
) -> bytes32:
    """
    @notice The share root that a zk-node posted. The ledger keeps a hash of all that was posted.
    """
    facts: Facts = staticcall ledger.evidence(job, round)
    posted: bytes32 = empty(bytes32)
    root: bytes32 = empty(bytes32)
    found: bool = False
    for post: Posted in posts:
        posted = keccak256(concat(posted, convert(post.node, bytes32), post.share_root, post.manifest))
        if post.node == node:
            root = post.share_root
            found = True
    assert posted == facts.posts, "other_posts"
    assert found, "not_posted"
    return root


@internal
def _open(case: Case) -> uint256:
    layout: Layout = self._layout(case.layout)
    rows: uint256 = layout.packed_rows
    if case.offence == FALSE_ATTESTATION:
        rows = self._commitments(layout, case.threshold)
    assert case.row < rows, "unknown_row"
    self.case_count += 1
    number: uint256 = self.case_count
    self.case_hash[number] = keccak256(abi_encode(case))
    log CaseOpened(ledger=case.ledger, job=case.job, number=number, case=case)
    assert extcall IERC20(case.token).transferFrom(msg.sender, self, case.bond), "transfer_failed"
    return number


@internal
@view
def _require_accuser(number: uint256, case: Case):
    assert self.case_hash[number] == keccak256(abi_encode(case)), "unknown_case"
    assert case.accuser == msg.sender, "not_the_accuser"


@internal
def _advance(number: uint256, case: Case):
    self.case_hash[number] = keccak256(abi_encode(case))
    log CaseAdvanced(
        ledger=case.ledger,
        job=case.job,
        number=number,
        pieces=case.pieces,
        openings=case.openings,
        total=case.total,
    )
    layout: Layout = self._layout(case.layout)
    if case.pieces == self._pieces(case, layout) and case.openings == self._openings(case, layout):
        self._close(number, case, not self._is_infinity(case.total))


@internal
def _close(number: uint256, case: Case, guilty: bool):
    self.case_hash[number] = empty(bytes32)
    log CaseClosed(ledger=case.ledger, job=case.job, number=number, guilty=guilty)
    accused: DynArray[address, MAX_NODES] = self._accused(case)
    if guilty:
        for account: address in accused:
            extcall Ledger(case.ledger).convict(case.job, case.round, account, case.accuser, case.offence)
        self._pay(case, case.accuser, case.bond)
    else:
        # a false accusation costs the bond, and it is the accused who gets it
        part: uint256 = case.bond // len(accused)
        self._pay(case, accused[0], case.bond - part * (len(accused) - 1))
        for i: uint256 in range(1, len(accused), bound=MAX_NODES):
            self._pay(case, accused[i], part)


@internal
@view
def _accused(case: Case) -> DynArray[address, MAX_NODES]:
    accused: DynArray[address, MAX_NODES] = []
    if case.offence == BAD_SHARE:
        accused.append(case.trainer)
    else:
        committee: DynArray[address, MAX_NODES] = staticcall Ledger(case.ledger).committee(case.job)
        for j: uint256 in range(len(committee), bound=MAX_NODES):
            if case.nodes & (1 << j) != 0:
                accused.append(committee[j])
    return accused


@internal
def _pay(case: Case, receiver: address, amount: uint256):
    assert extcall IERC20(case.token).transfer(receiver, amount), "transfer_failed"


# Rows


@internal
@view
def _add_piece(
    case: Case,
    scalars: Bytes[32 * PIECE],
    proof: DynArray[bytes32, MAX_DEPTH],
    generators: Bytes[128 * PIECE],
    generator_proofs: DynArray[bytes32, 2 * HALF_DEPTH],
) -> bytes32[4]:
    layout: Layout = self._layout(case.layout)
    pieces: uint256 = self._pieces(case, layout)
    assert case.pieces < pieces, "no_more_pieces"
    start: uint256 = PIECE * case.pieces
    columns: uint256 = min(PIECE, layout.columns - start)  # of generators; the blinding comes after the last
    count: uint256 = min(PIECE, layout.columns + 1 - start)
    assert len(scalars) == 32 * count and len(generators) == 128 * columns, "wrong_length"
    index: uint256 = case.row * pieces + case.pieces
    self._require_leaf(
        case.share_root, layout.packed_rows * pieces, index, keccak256(concat(b"\x00", self._u64(index), scalars)), proof
    )
    self._require_generators(start // HALF, generators, generator_proofs)
    items: bytes32[ITEM_WORDS] = empty(bytes32[ITEM_WORDS])
    for i: uint256 in range(columns, bound=PIECE):
        for k: uint256 in range(4):
            items[5 * i + k] = extract32(generators, 128 * i + 32 * k)
        items[5 * i + 4] = extract32(scalars, 32 * i)
    if count > columns:
        for k: uint256 in range(4):
            items[5 * columns + k] = H[k]
        items[5 * columns + 4] = extract32(scalars, 32 * columns)
    return self._add(items, count, case.total)


@internal
@pure
def _require_generators(first: uint256, generators: Bytes[128 * PIECE], proofs: DynArray[bytes32, 2 * HALF_DEPTH]):
    halves: uint256 = len(generators) // (128 * HALF)
    assert len(proofs) == HALF_DEPTH * halves, "wrong_proof"
    for h: uint256 in range(halves, bound=2):
        proof: DynArray[bytes32, MAX_DEPTH] = []
        for k: uint256 in range(HALF_DEPTH):
            proof.append(proofs[HALF_DEPTH * h + k])
        points: Bytes[128 * HALF] = slice(generators, 128 * HALF * h, 128 * HALF)
        leaf: bytes32 = keccak256(concat(b"\x00", self._u64(first + h), points))
        self._require_leaf(GENERATORS_ROOT, HALF_COUNT, first + h, leaf, proof)


# Commitments


@internal
@view
def _add_openings(case: Case, openings: DynArray[Opening, MAX_OPENINGS]) -> bytes32[4]:
    layout: Layout = self._layout(case.layout)
    assert case.openings + len(openings) <= self._openings(case, layout), "no_more_openings"
    count: uint256 = self._commitments(layout, case.threshold)
    items: bytes32[ITEM_WORDS] = empty(bytes32[ITEM_WORDS])
    for i: uint256 in range(len(openings), bound=MAX_OPENINGS):
        term: Term = self._term(case, layout, case.openings + i)
        leaf: bytes32 = self._point_leaf(term.leaf, openings[i].point)
        root: bytes32 = self._root_over(count, term.leaf, leaf, openings[i].proof)
        if term.trainer == max_value(uint256):
            assert root == case.root, "wrong_proof"
        else:
            kept: uint256 = staticcall Ledger(case.ledger).commitment_root(case.job, case.round, term.trainer)
            assert convert(root, uint256) >> 16 == kept, "wrong_proof"
        for k: uint256 in range(4):
            items[5 * i + k] = openings[i].point[k]
        items[5 * i + 4] = convert(term.factor, bytes32)
    return self._add(items, len(openings), case.total)


@internal
@pure
def _term(case: Case, layout: Layout, position: uint256) -> Term:
    """
    @notice The commitment that is taken off at a position: whose, which leaf, and times what.
    @dev Submissions in ascending order of trainers. Of each, the lanes of the row and then the rows of f(1) …
         f(t−1); or only the row of f(node), where that is published itself. Before them all, the leaf of a
         false aggregate itself. Nobody is the trainer of what lies under `case.root`.
    """
    if case.offence == FALSE_ATTESTATION:
        if position == 0:
            return Term(trainer=max_value(uint256), leaf=case.row, factor=1)
        return Term(trainer=self._member(case.accepted, position - 1), leaf=case.row, factor=R - 1)
    each: uint256 = self._terms_each(case, layout)
    trainer: uint256 = max_value(uint256)
    if case.offence == BAD_AGGREGATE_SHARE:
        trainer = self._member(case.accepted, position // each)
    offset: uint256 = position % each
    if case.node < case.threshold:
        leaf: uint256 = layout.lane_rows + (case.node - 1) * layout.packed_rows + case.row
        return Term(trainer=trainer, leaf=leaf, factor=R - 1)
    lanes: uint256 = self._lanes(layout, case.row)
    if offset < lanes:
        weight: uint256 = self._minus_lagrange(case, 0)
        factor: uint256 = uint256_mulmod(weight, 1 << (layout.lane_width * offset), R)
        return Term(trainer=trainer, leaf=case.row * layout.lanes + offset, factor=factor)
    k: uint256 = offset - lanes + 1
    leaf: uint256 = layout.lane_rows + (k - 1) * layout.packed_rows + case.row
    return Term(trainer=trainer, leaf=leaf, factor=self._minus_lagrange(case, k))


@internal
@pure
def _minus_lagrange(case: Case, k: uint256) -> uint256:
    """
    @notice −λ_(node,k) mod r for abscissae 0 … t−1 and node ≥ t: up to its sign, a product of binomials.
    """
    value: uint256 = 1
    below: uint256 = 1
    for i: uint256 in range(case.threshold, bound=MAX_NODES):
        if i < k:
            value *= case.node - i
            below *= k - i
        elif i > k:
            value *= case.node - i
            below *= i - k
    if (case.threshold - 1 - k) % 2 == 1:
        return value // below
    return R - value // below


@internal
@pure
def _member(members: uint256, position: uint256) -> uint256:
    """
    @notice The number of the member at a position of a set.
    """
    rest: uint256 = members
    for _: uint256 in range(position, bound=256):
        rest &= rest - 1
    lowest: uint256 = rest & (max_value(uint256) - rest + 1)
    number: uint256 = 0
    for k: uint256 in range(8):
        step: uint256 = 128 >> k
        if lowest >> (number + step) != 0:
            number += step
    return number


# Shapes


@internal
@pure
def _layout(packed: uint256) -> Layout:
    layout: Layout = Layout(
        columns=packed >> 96,
        lane_rows=(packed >> 64) & MASK,
        lanes=(packed >> 32) & MASK,
        lane_width=packed & MASK,
        packed_rows=0,
    )
    assert layout.columns >= HALF and layout.columns <= HALF * HALF_COUNT, "bad_layout"
    assert layout.columns & (layout.columns - 1) == 0, "bad_layout"
    assert layout.lanes > 0 and layout.lanes * layout.lane_width <= 254, "bad_layout"
    layout.packed_rows = (layout.lane_rows + layout.lanes - 1) // layout.lanes
    return layout


@internal
@pure
def _pieces(case: Case, layout: Layout) -> uint256:
    if case.offence == FALSE_ATTESTATION:
        return 0
    return (layout.columns + PIECE) // PIECE


@internal
@pure
def _openings(case: Case, layout: Layout) -> uint256:
    if case.offence == BAD_SHARE:
        return self._terms_each(case, layout)
    submissions: uint256 = self._count(case.accepted)
    if case.offence == FALSE_ATTESTATION:
        return submissions + 1
    return submissions * self._terms_each(case, layout)


@internal
@pure
def _terms_each(case: Case, layout: Layout) -> uint256:
    if case.node < case.threshold:
        return 1
    return self._lanes(layout, case.row) + case.threshold - 1


@internal
@pure
def _lanes(layout: Layout, row: uint256) -> uint256:
    return min(layout.lanes, layout.lane_rows - row * layout.lanes)


@internal
@pure
def _commitments(layout: Layout, threshold: uint256) -> uint256:
    return layout.lane_rows + (threshold - 1) * layout.packed_rows


@internal
@pure
def _count(members: uint256) -> uint256:
    count: uint256 = 0
    rest: uint256 = members
    for _: uint256 in range(256):
        if rest == 0:
            break
        rest &= rest - 1
        count += 1
    return count


# Points


@internal
@view
def _add(items: bytes32[ITEM_WORDS], count: uint256, total: bytes32[4]) -> bytes32[4]:
    """
    @notice The total plus the sum of `count` points times scalars.
    @dev The multiplication checks every point: coordinates below p, on the curve, in the subgroup.
    """
    all: bytes32[ITEM_WORDS] = items
    for k: uint256 in range(4):
        all[5 * count + k] = total[k]
    all[5 * count + 4] = convert(convert(1, uint256), bytes32)
    price: uint256 = self._price(count + 1)
    assert msg.gas - msg.gas // 64 > price + CALL_MARGIN, "out_of_gas"
    success: bool = False
    output: Bytes[128] = b""
    success, output = raw_call(
        G1_MSM,
        slice(abi_encode(all), 0, 160 * (count + 1)),
        max_outsize=128,
        is_static_call=True,
        revert_on_failure=False,
    )
    assert success, "invalid_point"
    assert len(output) == 128, "no_precompile"
    return [extract32(output, 0), extract32(output, 32), extract32(output, 64), extract32(output, 96)]


@internal
@pure
def _price(points: uint256) -> uint256:
    at: uint256 = 2 * (min(points, 128) - 1)
    return points * MULTIPLICATION_GAS * convert(slice(DISCOUNTS, at, 2), uint256) // 1000


@internal
@pure
def _point_leaf(index: uint256, point: bytes32[4]) -> bytes32:
    """
    @notice The leaf that holds a point compressed: the sign is whether y exceeds (p − 1) / 2.
    """
    high: uint256 = convert(point[0], uint256)
    y_high: uint256 = convert(point[2], uint256)
    y_low: uint256 = convert(point[3], uint256)
    flags: uint256 = 1 << 127
    if self._is_infinity(point):
        flags |= 1 << 126
    elif y_high > HALF_P_HIGH or (y_high == HALF_P_HIGH and y_low > HALF_P_LOW):
        flags |= 1 << 125
    assert high < 1 << 125, "invalid_point"
    first: bytes16 = convert(convert(high | flags, uint128), bytes16)
    return keccak256(concat(b"\x00", self._u64(index), first, point[1]))


@internal
@pure
def _is_infinity(point: bytes32[4]) -> bool:
    for word: bytes32 in point:
        if word != empty(bytes32):
            return False
    return True


# Merkle trees (§2)


@internal
@pure
def _require_leaf(
    root: bytes32, count: uint256, index: uint256, leaf: bytes32, proof: DynArray[bytes32, MAX_DEPTH]
):
    assert self._root_over(count, index, leaf, proof) == root, "wrong_proof"


@internal
@pure
def _root_over(
    count: uint256, index: uint256, leaf: bytes32, proof: DynArray[bytes32, MAX_DEPTH]
) -> bytes32:
    """
    @notice The root of the tree of `count` leaves in which a proof puts a leaf.
    """
    node: bytes32 = leaf
    at: uint256 = index
    width: uint256 = count
    used: uint256 = 0
    for _: uint256 in range(MAX_DEPTH):
        if width == 1:
            break
        if at ^ 1 < width:
            assert used < len(proof), "wrong_proof"
            sibling: bytes32 = proof[used]
            used += 1
            if at & 1 == 0:
                node = keccak256(concat(b"\x01", node, sibling))
            else:
                node = keccak256(concat(b"\x01", sibling, node))
        at >>= 1
        width = (width + 1) >> 1
    assert width == 1 and used == len(proof), "wrong_proof"
    return keccak256(concat(b"\x02", self._u64(count), node))


@internal
@pure
def _u64(number: uint256) -> bytes8:
    return convert(convert(number, uint64), bytes8)


# Signatures


@internal
@view
def _share_digest(ledger: Ledger, job: uint256, round: uint256, share: Share) -> bytes32:
    separator: bytes32 = keccak256(
        abi_encode(DOMAIN_TYPE, keccak256("zkPFL"), keccak256("1"), chain.id, ledger.address)
    )
    return keccak256(concat(b"\x19\x01", separator, keccak256(abi_encode(SHARE_TYPE, job, round, share))))


@internal
@view
def _signer(
    ledger: Ledger, job: uint256, round: uint256, node: uint256, attestation: Attestation
) -> address:
    """
    @notice The account of a zk-node, whose key must have signed the attestation.
    """
    committee: DynArray[address, MAX_NODES] = staticcall ledger.committee(job)
    assert node > 0 and node <= len(committee), "unknown_node"
    digest: bytes32 = keccak256(
        abi_encode(
            keccak256("ZKPFL-V1-ATTESTATION"),
            chain.id,
            ledger.address,
            job,
            round,
            attestation.accepted,
            attestation.aggregate_root,
            attestation.valid,
            attestation.posts,
        )
    )
    bank: Bank = staticcall ledger.BANK()
    account: Account = staticcall bank.account(committee[node - 1])
    assert keccak256(attestation.key) == account.bls_key_hash, "wrong_key"
    verifier: BlsVerifier = staticcall ledger.VERIFIER()
    signed: bool = staticcall verifier.verify_attestation(digest, attestation.signature, attestation.key, 1)
    assert signed, "bad_signature"
    return committee[node - 1]
