# pragma version 0.4.3
# pragma evm-version prague
"""
@title zkPFL bank: accounts, coins and money (docs/spec.md §9.1, §9.5, §9.7)
@notice Amounts are in base units of their coin, worths in base units of MPC (10**-18), times in seconds of the
        chain's clock. For each coin, what is here is at least stakes + pools + owed + burnt.
@dev Only the ledger moves money of a job, and only out of the job's pool: a ledger with a bug can pay the wrong
     account, but never more than its owner paid in. Every refusal has a reason in snake_case. State is written
     before a coin is called, and while one is called nobody else gets in.
"""

from ethereum.ercs import IERC20
from ethereum.ercs import IERC20Detailed

interface PriceFeed:
    def decimals() -> uint8: view

interface BlsVerifier:
    def verify_possession(digest: bytes32, signature: Bytes[128], key: Bytes[256]) -> bool: view


# Roles of an account
NODE: constant(uint256) = 1
TRAINER: constant(uint256) = 2

MAX_COINS: constant(uint256) = 8
MAX_REGISTERED: constant(uint256) = 1024  # zk-nodes; a draw reads them all
MAX_NODES: constant(uint256) = 10
BATCH: constant(uint256) = 16  # accounts in one call of the ledger
MAX_DELAY: constant(uint256) = 366 * 86400
MAX_FEE: constant(uint256) = 2**96 - 1  # so that no product below or in the rules overflows
MAX_STAKE: constant(uint256) = 2**88 - 1
MAX_ANSWER: constant(uint256) = 2**96 - 1
MAX_DECIMALS: constant(uint256) = 18
ONE: constant(uint256) = 10**18
FEED_GAS: constant(uint256) = 200000  # a feed that burns more answers nothing


struct Coin:
    token: address
    feed: address  # AggregatorV3: MPC for a unit of the coin; of coin 0 there is none
    max_age: uint256  # of a price

struct Account:
    role: uint256
    coin: uint256
    stake: uint256
    serving: uint256  # unfinished jobs
    withdrawable_at: uint256  # 0 until `unstake`
    encryption_key: bytes32
    bls_key_hash: bytes32
    endpoint: String[128]


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
    coin: uint256
    amount: uint256

event Unstaking:
    account: indexed(address)
    withdrawable_at: uint256

event Unstaked:
    account: indexed(address)
    coin: uint256
    amount: uint256

event Claimed:
    job: indexed(uint256)
    account: indexed(address)
    coin: uint256
    amount: uint256


LEDGER: public(immutable(address))
VERIFIER: public(immutable(BlsVerifier))
UNBONDING: public(immutable(uint256))
CHALLENGE: public(immutable(uint256))  # from the end of a job until it pays
MIN_NODE_STAKE: public(immutable(uint256))
MIN_TRAINER_STAKE: public(immutable(uint256))
MIN_FEE: public(immutable(uint256))
DRAW_FEE: public(immutable(uint256))

account: public(HashMap[address, Account])
bls_key_owner: public(HashMap[bytes32, address])
coin_of: public(HashMap[uint256, uint256])  # in which a job pays
pool: public(HashMap[uint256, uint256])  # what a job can still pay
pays_at: public(HashMap[uint256, uint256])  # from when an ended job can be claimed from; 0 before it ends
owed: public(HashMap[uint256, HashMap[address, HashMap[uint256, uint256]]])
burnt: public(HashMap[uint256, uint256])
_coins: DynArray[Coin, MAX_COINS]
_scale: HashMap[uint256, uint256]  # 10**(decimals of the token + decimals of its feed)
_nodes: DynArray[uint256, MAX_REGISTERED]  # account ‖ coin ‖ stake, 160, 8 and 88 bits: one read each in a draw
_place: HashMap[address, uint256]  # 1 + index in `_nodes`


@deploy
def __init__(
    ledger: address,
    verifier: BlsVerifier,
    coins: DynArray[Coin, MAX_COINS],
    unbonding: uint256,
    challenge: uint256,
    min_node_stake: uint256,
    min_trainer_stake: uint256,
    min_fee: uint256,
    draw_fee: uint256,
):
    assert ledger != empty(address), "no_ledger"
    assert verifier.address != empty(address), "no_verifier"
    assert len(coins) > 0, "no_coin"
    assert unbonding <= MAX_DELAY, "unbonding_out_of_range"
    # so that evidence found before a job pays still finds the stake
    assert challenge <= unbonding, "challenge_out_of_range"
    assert min(min_node_stake, min(min_trainer_stake, min_fee)) > 0, "minimum_is_zero"
    assert max(max(min_node_stake, min_trainer_stake), max(min_fee, draw_fee)) <= MAX_STAKE, "minimum_out_of_range"
    LEDGER = ledger
    VERIFIER = verifier
    UNBONDING = unbonding
    CHALLENGE = challenge
    MIN_NODE_STAKE = min_node_stake
    MIN_TRAINER_STAKE = min_trainer_stake
    MIN_FEE = min_fee
    DRAW_FEE = draw_fee
    for coin: Coin in coins:
        self._list(coin)


@internal
def _list(coin: Coin):
    first: bool = len(self._coins) == 0
    assert coin.token != empty(address), "no_token"
    assert first == (coin.feed == empty(address)), "coin_zero_is_mpc"
    for listed: Coin in self._coins:
        assert listed.token != coin.token, "duplicate_coin"
    decimals: uint256 = convert(staticcall IERC20Detailed(coin.token).decimals(), uint256)
    feed_decimals: uint256 = 0
    if first:
        assert decimals == MAX_DECIMALS, "decimals_out_of_range"
    else:
        feed_decimals = convert(staticcall PriceFeed(coin.feed).decimals(), uint256)
    assert decimals <= MAX_DECIMALS and feed_decimals <= MAX_DECIMALS, "decimals_out_of_range"
    self._scale[len(self._coins)] = 10 ** decimals * 10 ** feed_decimals
    self._coins.append(coin)


# Accounts (§9.1)


@external
@nonreentrant
def register_node(
    bls_key: Bytes[256],
    possession: Bytes[128],
    encryption_key: bytes32,
    endpoint: String[128],
    coin: uint256,
    stake: uint256,
):
    assert len(endpoint) > 0, "no_endpoint"
    key_hash: bytes32 = keccak256(bls_key)
    assert self.bls_key_owner[key_hash] == empty(address), "key_taken"
    assert staticcall VERIFIER.verify_possession(
        self._possession_digest(key_hash), possession, bls_key
    ), "bad_possession"
    self._register(NODE, encryption_key, coin, stake, MIN_NODE_STAKE)
    self.bls_key_owner[key_hash] = msg.sender
    self.account[msg.sender].bls_key_hash = key_hash
    self.account[msg.sender].endpoint = endpoint
    assert len(self._nodes) < MAX_REGISTERED, "too_many_nodes"
    self._nodes.append(self._entry(msg.sender, coin, stake))
    self._place[msg.sender] = len(self._nodes)
    log NodeRegistered(account=msg.sender, bls_key=bls_key, encryption_key=encryption_key, endpoint=endpoint)
    self._receive(msg.sender, coin, stake)


@external
@nonreentrant
def register_trainer(encryption_key: bytes32, coin: uint256, stake: uint256):
    self._register(TRAINER, encryption_key, coin, stake, MIN_TRAINER_STAKE)
    log TrainerRegistered(account=msg.sender, encryption_key=encryption_key)
    self._receive(msg.sender, coin, stake)


@external
@nonreentrant
def unstake():
    assert self.account[msg.sender].role != 0, "not_registered"
    assert self.account[msg.sender].withdrawable_at == 0, "already_unstaking"
    withdrawable_at: uint256 = block.timestamp + UNBONDING
    self.account[msg.sender].withdrawable_at = withdrawable_at
    self._delist(msg.sender)
    log Unstaking(account=msg.sender, withdrawable_at=withdrawable_at)


@external
@nonreentrant
def withdraw_stake():
    account: Account = self.account[msg.sender]
    assert account.withdrawable_at != 0, "not_unstaking"
    assert account.serving == 0, "serving"
    assert block.timestamp >= account.withdrawable_at, "unbonding"
    if account.role == NODE:
        self.bls_key_owner[account.bls_key_hash] = empty(address)
    self.account[msg.sender] = empty(Account)
    log Unstaked(account=msg.sender, coin=account.coin, amount=account.stake)
    self._send(msg.sender, account.coin, account.stake)


@external
@nonreentrant
def claim(job: uint256, coin: uint256):
    pays_at: uint256 = self.pays_at[job]
    assert pays_at != 0, "job_not_ended"
    assert block.timestamp >= pays_at, "challenge_window"
    amount: uint256 = self.owed[job][msg.sender][coin]
    assert amount > 0, "nothing_owed"
    self.owed[job][msg.sender][coin] = 0
    log Claimed(job=job, account=msg.sender, coin=coin, amount=amount)
    self._send(msg.sender, coin, amount)


# What the ledger does with accounts


@external
@nonreentrant
def draw(seed: bytes32, count: uint256, least: uint256) -> (DynArray[address, MAX_NODES], bytes32):
    """
    @notice Draw zk-nodes by the worth of their stakes, without repetition, and bind them; nobody if too few
            have a stake worth `least`.
    @return the members in order, and the chain of the hashes of their BLS keys
    """
    self._require_ledger()
    weights: uint256[MAX_REGISTERED] = empty(uint256[MAX_REGISTERED])
    candidates: uint256 = 0
    left: uint256 = 0
    candidates, left, weights = self._weights(max(least, MIN_NODE_STAKE))
    members: DynArray[address, MAX_NODES] = []
    keys: bytes32 = empty(bytes32)
    if candidates < count:
        return members, keys
    for k: uint256 in range(count, bound=MAX_NODES):
        target: uint256 = convert(keccak256(concat(seed, convert(k, bytes32))), uint256) % left
        index: uint256 = 0
        for i: uint256 in range(len(self._nodes), bound=MAX_REGISTERED):
            if target < weights[i]:
                index = i
                break
            target -= weights[i]
        left -= weights[index]
        weights[index] = 0
        member: address = convert(self._nodes[index] >> 96, address)
        self.account[member].serving += 1
        members.append(member)
        keys = keccak256(concat(keys, self.account[member].bls_key_hash))
    return members, keys


@external
@nonreentrant
def bind(account: address, least: uint256) -> uint256:
    """
    @notice Bind a trainer's stake; returns its worth, at most 2^96 − 1.
    """
    self._require_ledger()
    assert self.account[account].role == TRAINER, "not_a_trainer"
    assert self.account[account].withdrawable_at == 0, "unstaking"
    worth: uint256 = self._worth(self.account[account].coin, self.account[account].stake)
    assert worth >= max(least, MIN_TRAINER_STAKE), "stake_out_of_range"
    self.account[account].serving += 1
    return min(worth, MAX_FEE)


@external
@nonreentrant
def release(accounts: DynArray[address, BATCH]):
    """
    @notice Free the stakes of members of a job that ends.
    """
    self._require_ledger()
    for account: address in accounts:
        serving: uint256 = self.account[account].serving - 1
        self.account[account].serving = serving
        if serving == 0 and self.account[account].withdrawable_at != 0:
            # the delay runs from the end of the last job, so that evidence about that job still finds the stake
            self.account[account].withdrawable_at = block.timestamp + UNBONDING


@external
@nonreentrant
def fine(job: uint256, node: address, receiver: address) -> (uint256, uint256, uint256):
    """
    @notice Take a tenth of a zk-node's stake for `receiver`; returns coin, stake before, and the tenth.
    """
    self._require_ledger()
    coin: uint256 = self.account[node].coin
    stake: uint256 = self.account[node].stake
    amount: uint256 = stake // 10
    self.account[node].stake = stake - amount
    if self._place[node] != 0:
        self._nodes[self._place[node] - 1] -= amount
    self.owed[job][receiver][coin] += amount
    return coin, stake, amount


@external
@nonreentrant
def confiscate(
    job: uint256, account: address, accuser: address, owner: address
) -> (uint256, uint256, uint256):
    """
    @notice Take the whole stake, a fifth for the accuser and the rest burnt, and what the job owes the account,
            back to the job; returns coin and stake before, and what is forfeited.
    @dev Burnt: a penalty that a friend gets, as the owner may be one, is none. No coin is called, so none can
         stand in the way of a conviction.
    """
    self._require_ledger()
    coin: uint256 = self.account[account].coin
    stake: uint256 = self.account[account].stake
    self.account[account].stake = 0
    self._delist(account)
    forfeited: uint256 = self.owed[job][account][self.coin_of[job]]
    self.owed[job][account][self.coin_of[job]] = 0
    if self.pays_at[job] == 0:
        self.pool[job] += forfeited
    else:
        self.owed[job][owner][self.coin_of[job]] += forfeited
    self.owed[job][accuser][coin] += stake // 5
    self.burnt[coin] += stake - stake // 5
    return coin, stake, forfeited


# What the ledger does with a job's money


@external
@nonreentrant
def open(job: uint256, payer: address, coin: uint256, fee: uint256) -> (uint256, uint256):
    """
    @notice Take the fee into the job's pool, and the draw fee; returns the worth of the fee and the draw fee.
    """
    self._require_ledger()
    assert fee <= MAX_FEE, "fee_out_of_range"
    worth: uint256 = self._worth(coin, fee)
    assert worth >= MIN_FEE, "fee_out_of_range"
    draw_fee: uint256 = self._amount_for(coin, DRAW_FEE)
    self.coin_of[job] = coin
    self.pool[job] = fee
    self.burnt[coin] += draw_fee
    self._receive(payer, coin, fee + draw_fee)
    return worth, draw_fee


@external
@nonreentrant
def credit(
    job: uint256, accounts: DynArray[address, BATCH], amounts: DynArray[uint256, BATCH]
):
    self._require_ledger()
    coin: uint256 = self.coin_of[job]
    total: uint256 = 0
    for i: uint256 in range(len(accounts), bound=BATCH):
        self.owed[job][accounts[i]][coin] += amounts[i]
        total += amounts[i]
    self.pool[job] -= total


@external
@nonreentrant
def settle(job: uint256, owner: address) -> uint256:
    """
    @notice The job has ended: what is left of its pool belongs to its owner; returns it.
    """
    self._require_ledger()
    refund: uint256 = self.pool[job]
    self.pool[job] = 0
    self.owed[job][owner][self.coin_of[job]] += refund
    self.pays_at[job] = block.timestamp + CHALLENGE
    return refund


# Views


@external
@view
def coins() -> DynArray[Coin, MAX_COINS]:
    return self._coins


@external
@view
def nodes() -> DynArray[address, MAX_REGISTERED]:
    """
    @notice The zk-nodes that a draw may find, in the order in which it looks at them.
    """
    found: DynArray[address, MAX_REGISTERED] = []
    for entry: uint256 in self._nodes:
        found.append(convert(entry >> 96, address))
    return found


@external
@view
def worth(coin: uint256, amount: uint256) -> uint256:
    assert amount <= MAX_FEE, "amount_out_of_range"
    return self._worth(coin, amount)


@external
@view
def amount_for(coin: uint256, worth: uint256) -> uint256:
    """
    @notice The least amount that is worth as much.
    """
    assert worth <= MAX_FEE, "amount_out_of_range"
    return self._amount_for(coin, worth)


@external
@view
def is_open_to_evidence(job: uint256) -> bool:
    return self.pays_at[job] == 0 or block.timestamp < self.pays_at[job]


# Accounts


@internal
@view
def _require_ledger():
    assert msg.sender == LEDGER, "not_the_ledger"


@internal
@view
def _possession_digest(key_hash: bytes32) -> bytes32:
    return keccak256(abi_encode(keccak256("ZKPFL-V1-POSSESSION"), chain.id, LEDGER, msg.sender, key_hash))


@internal
def _register(role: uint256, encryption_key: bytes32, coin: uint256, stake: uint256, minimum: uint256):
    assert self.account[msg.sender].role == 0, "already_registered"
    assert stake <= MAX_STAKE, "stake_out_of_range"
    assert self._worth(coin, stake) >= minimum, "stake_out_of_range"
    assert encryption_key != empty(bytes32), "no_encryption_key"
    self.account[msg.sender].role = role
    self.account[msg.sender].coin = coin
    self.account[msg.sender].stake = stake
    self.account[msg.sender].encryption_key = encryption_key
    log Staked(account=msg.sender, coin=coin, amount=stake)


@internal
@pure
def _entry(account: address, coin: uint256, stake: uint256) -> uint256:
    return (convert(account, uint256) << 96) | (coin << 88) | stake


@internal
def _delist(account: address):
    """
    @notice Take a zk-node out of the list; the last of the list takes its place.
    """
    place: uint256 = self._place[account]
    if place == 0:
        return
    last: uint256 = self._nodes.pop()
    if place <= len(self._nodes):
        self._nodes[place - 1] = last
        self._place[convert(last >> 96, address)] = place
    self._place[account] = 0


@internal
@view
def _weights(least: uint256) -> (uint256, uint256, uint256[MAX_REGISTERED]):
    """
    @notice How many listed zk-nodes have a stake worth `least`, the sum of these worths, and each of them, 0 for
            the others. A coin without a price is worth nothing.
    """
    answers: uint256[MAX_COINS] = empty(uint256[MAX_COINS])
    for coin: uint256 in range(len(self._coins), bound=MAX_COINS):
        answer: uint256 = 0
        fresh: bool = False
        answer, fresh = self._quote(coin)
        answers[coin] = answer if fresh else 0
    count: uint256 = 0
    sum_: uint256 = 0
    weights: uint256[MAX_REGISTERED] = empty(uint256[MAX_REGISTERED])
    for i: uint256 in range(len(self._nodes), bound=MAX_REGISTERED):
        entry: uint256 = self._nodes[i]
        coin: uint256 = (entry >> 88) & 255
        worth: uint256 = (entry & MAX_STAKE) * answers[coin] * ONE // self._scale[coin]
        if worth >= least:
            count += 1
            sum_ += worth
            weights[i] = worth
    return count, sum_, weights


# Coins (§9.7)


@internal
@view
def _worth(coin: uint256, amount: uint256) -> uint256:
    return amount * self._price(coin) * ONE // self._scale[coin]


@internal
@view
def _amount_for(coin: uint256, worth: uint256) -> uint256:
    price: uint256 = self._price(coin) * ONE
    return (worth * self._scale[coin] + price - 1) // price


@internal
@view
def _price(coin: uint256) -> uint256:
    assert coin < len(self._coins), "unknown_coin"
    answer: uint256 = 0
    fresh: bool = False
    answer, fresh = self._quote(coin)
    assert answer != 0, "bad_price"
    assert fresh, "stale_price"
    return answer


@internal
@view
def _quote(coin: uint256) -> (uint256, bool):
    """
    @notice What a feed says, 0 if that is no price, and whether it is recent. Does not revert, whatever a feed does.
    """
    if coin == 0:
        return 1, True
    success: bool = False
    output: Bytes[160] = b""
    success, output = raw_call(
        self._coins[coin].feed,
        method_id("latestRoundData()"),
        max_outsize=160,
        gas=FEED_GAS,
        is_static_call=True,
        revert_on_failure=False,
    )
    if not success or len(output) != 160:
        return 0, False
    answer: uint256 = convert(extract32(output, 32), uint256)
    updated_at: uint256 = convert(extract32(output, 96), uint256)
    if answer > MAX_ANSWER:  # a negative one is
        answer = 0
    fresh: bool = updated_at <= block.timestamp and block.timestamp - updated_at <= self._coins[coin].max_age
    return answer, fresh


@internal
def _receive(payer: address, coin: uint256, amount: uint256):
    token: IERC20 = IERC20(self._coins[coin].token)
    before: uint256 = staticcall token.balanceOf(self)
    ok: bool = extcall token.transferFrom(payer, self, amount, default_return_value=True)
    assert ok, "transfer_failed"
    assert staticcall token.balanceOf(self) == before + amount, "transfer_short"


@internal
def _send(receiver: address, coin: uint256, amount: uint256):
    ok: bool = extcall IERC20(self._coins[coin].token).transfer(receiver, amount, default_return_value=True)
    assert ok, "transfer_failed"
