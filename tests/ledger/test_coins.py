"""Fees and stakes in other coins: worths, oracles, tokens that misbehave (docs/spec.md §9.7)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import astuple
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.ledger.conftest import ENGINES
from tests.ledger.direct import coin as contract_of
from tests.ledger.world import PHASE_S, STAKE, UNBONDING_S, World, node_url, refused
from web3 import Web3

from zkpfl.errors import InvalidParameter
from zkpfl.ledger.client import MPC, Coin, JobStatus, LedgerClient
from zkpfl.ledger.events import address_bytes

NORMAL, TAKES_A_FEE, ANSWERS_FALSE, ANSWERS_NOTHING, CALLS_BACK, REVERTS = range(6)
PRICE, PRICE_DECIMALS, DECIMALS, MAX_AGE_S = 250_000_000, 8, 6, 10_000
UNIT = 10**DECIMALS
STAKE_1, PURSE_1 = 200 * UNIT, 10**6 * UNIT
"""Worth 500 MPC."""


class CoinWorld(World):
    """A ledger that lists a second coin, worth 2.5 MPC, whose token and feed do what the tests tell them."""

    def made_coins(self, admin: Any) -> list[Coin]:
        (token_abi, token_code), (feed_abi, feed_code) = contract_of("coin"), contract_of("feed")
        token = admin.deploy(token_abi, token_code, DECIMALS, 10**30)
        feed = admin.deploy(feed_abi, feed_code, PRICE_DECIMALS, PRICE)
        self.coin = admin.contract(token_abi, token)
        self.feed = admin.contract(feed_abi, feed)
        return [Coin(token, feed, MAX_AGE_S)]

    def party(self, amount: int = 100_000 * MPC) -> LedgerClient:
        client = super().party(amount)
        self.admin.coin_token(1).transfer(client.account, PURSE_1)
        return client

    def behave(self, manner: int, target: str | None = None, data: bytes = b"") -> None:
        self.admin.connection.transact(self.coin.functions.behave(manner, target or self.coin.address, data))

    def tell(self, price: int, age_s: int = 0) -> None:
        self.admin.connection.transact(self.feed.functions.tell(price, self.now() - age_s))

    def in_coin(self) -> int:
        return self.admin.coin_token(1).balance(self.admin.bank)


@pytest.fixture(scope="module", params=ENGINES)
def market(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[CoinWorld]:
    with node_url(request.param, tmp_path_factory) as url:
        made = CoinWorld(url, nodes=3, trainers=2)
        yield made
        made.close()


@pytest.fixture
def world(market: CoinWorld) -> Iterator[CoinWorld]:
    """A market with a fresh, true price and a well-behaved token, before and after."""
    market.tell(PRICE)
    yield market
    market.behave(NORMAL)
    market.admin.connection.transact(market.feed.functions.break_down(False))
    market.tell(PRICE)


# Worth


def test_a_coin_is_worth_what_its_feed_says(world: CoinWorld) -> None:
    assert world.admin.worth(0, 7) == 7
    assert world.admin.amount_for(0, 7) == 7
    assert world.admin.worth(1, UNIT) == 5 * MPC // 2
    assert world.admin.amount_for(1, 500 * MPC) == STAKE_1
    with pytest.raises(InvalidParameter, match="there is no coin 2"):
        world.admin.coin_token(2)
    for call in (world.admin.worth, world.admin.amount_for):
        with refused("unknown_coin"):
            call(2, 1)
    with refused("amount_out_of_range"):
        world.admin._read(world.admin._bank_functions.worth(1, 1 << 96))
    with refused("amount_out_of_range"):
        world.admin._read(world.admin._bank_functions.amount_for(1, 1 << 96))


@settings(max_examples=25, deadline=None, derandomize=True)
@given(price=st.integers(1, 10**15), worth=st.integers(1, 10**24))
def test_rounding_costs_the_payer_less_than_one_unit(market: CoinWorld, price: int, worth: int) -> None:
    market.tell(price)
    amount = market.admin.amount_for(1, worth)
    if amount < 1 << 96:
        assert market.admin.worth(1, amount) >= worth
    if amount > 1:
        assert market.admin.worth(1, amount - 1) < worth


@pytest.mark.parametrize(
    ("price", "age_s", "reason"),
    [
        (0, 0, "bad_price"),
        (-1, 0, "bad_price"),
        (1 << 96, 0, "bad_price"),
        (PRICE, MAX_AGE_S + 100, "stale_price"),
        (PRICE, -1000, "stale_price"),  # from the future
    ],
)
def test_a_price_that_is_none_keeps_people_out(world: CoinWorld, price: int, age_s: int, reason: str) -> None:
    inside, outside = world.party(), world.party()
    inside.register_trainer(b"e" * 32, STAKE_1, coin=1)
    job = world.create()
    world.tell(price, age_s)
    with refused(reason):
        outside.register_trainer(b"e" * 32, STAKE_1, coin=1)
    with refused(reason):
        inside.join(job)
    with refused(reason):
        outside.create_job(world.terms(), 3, 1000 * UNIT, coin=1)
    outside.register_trainer(b"e" * 32, STAKE)  # MPC needs no price


def test_an_oracle_that_stops_locks_nobody_in(world: CoinWorld) -> None:
    """Fee and a stake in coin 1: the job runs to its end, is settled and paid, and the stake leaves."""
    trainer, owner = world.party(), world.party()
    trainer.register_trainer(b"e" * 32, STAKE_1, coin=1)
    before = world.in_coin()
    job = owner.create_job(world.terms(max_trainers=3, training_rounds=1), 3, 80 * UNIT, coin=1)
    assert world.in_coin() - before == 84 * UNIT  # with the draw fee of 10 MPC
    world.draw(job)
    for client in (trainer, *world.trainers):
        client.join(job)
    world.admin.connection.transact(world.feed.functions.break_down(True))
    for client in (trainer, *world.trainers):
        client.submit(job, 1, b"\1" * 32, b"\2" * 32)
    world.check(job)
    world.aggregate(job)
    owner.open_slice(job, 1, world.slice_key(world.state(job).terms, 1))
    world.attest(job)
    world.pass_deadline(job)
    assert world.state(job).status is JobStatus.DONE
    assert world.admin.owed(job, trainer.account, 1) > 0
    assert world.admin.owed(job, trainer.account, 0) == 0
    world.end(job)
    held = trainer.coin_token(1).balance(trainer.account)
    for client in (trainer, owner, world.nodes[0]):
        client.claim(job)
    trainer.unstake()
    world.wait(UNBONDING_S)
    trainer.withdraw_stake()
    assert trainer.coin_token(1).balance(trainer.account) > held + STAKE_1


def test_a_coin_without_a_price_has_no_weight_in_a_draw(world: CoinWorld) -> None:
    node = world.register_in_coin(STAKE_1 * 1000)  # a thousand times the weight of the others
    assert node.account in world.state(world.create()).committee
    world.tell(PRICE, MAX_AGE_S + 100)
    assert node.account not in world.state(world.create()).committee
    world.admin.connection.transact(world.feed.functions.break_down(True))
    assert node.account not in world.state(world.create()).committee
    node.unstake()


# Tokens


def test_a_token_that_takes_a_fee_is_refused(world: CoinWorld) -> None:
    client = world.party()
    world.behave(TAKES_A_FEE)
    with refused("transfer_short"):
        client.register_trainer(b"e" * 32, STAKE_1, coin=1)


def test_a_token_that_answers_false_is_refused(world: CoinWorld) -> None:
    client = world.party()
    world.behave(ANSWERS_FALSE)
    with refused("transfer_failed"):
        client.register_trainer(b"e" * 32, STAKE_1, coin=1)


def test_a_token_that_answers_nothing_is_accepted(world: CoinWorld) -> None:
    client = world.party()
    world.behave(ANSWERS_NOTHING)
    client.register_trainer(b"e" * 32, STAKE_1, coin=1)
    client.unstake()
    world.wait(UNBONDING_S)
    client.withdraw_stake()
    assert client.coin_token(1).balance(client.account) == PURSE_1


@pytest.mark.parametrize("door", ["withdraw_stake", "unstake", "claim", "advance", "create_job"])
def test_a_token_that_calls_back_finds_the_door_locked(world: CoinWorld, door: str) -> None:
    """While a stake leaves, its token tries to get in again by every door that moves money."""
    client = world.party()
    client.register_trainer(b"e" * 32, STAKE_1, coin=1)
    client.unstake()
    world.wait(UNBONDING_S)
    drawing = world.owner.create_job(world.terms(), 3)
    calls = {
        "withdraw_stake": client._bank_functions.withdraw_stake(),
        "unstake": client._bank_functions.unstake(),
        "claim": client._bank_functions.claim(1, 0),
        "advance": client._functions.advance(drawing),
        "create_job": client._functions.create_job(astuple(world.terms()), 3, 1, 100 * UNIT),
    }
    target = client._functions if door in ("advance", "create_job") else client._bank_functions
    address = Web3.to_checksum_address(client.contract if target is client._functions else client.bank)
    world.behave(CALLS_BACK, address, Web3.to_bytes(hexstr=calls[door]._encode_transaction_data()))
    client.withdraw_stake()  # the token reverts all of it if its call got through
    assert world.admin.trainer(client.account) is None
    assert client.coin_token(1).balance(client.account) == PURSE_1
    world.owner.cancel_job(drawing)


def test_a_token_that_is_paused_keeps_only_its_own_stakes(world: CoinWorld) -> None:
    """And a conviction, which moves no token, goes through: see `test_judge`."""
    client = world.party()
    client.register_trainer(b"e" * 32, STAKE_1, coin=1)
    client.unstake()
    world.wait(UNBONDING_S)
    world.behave(REVERTS)
    with refused("token_is_paused"):
        client.withdraw_stake()
    world.behave(NORMAL)
    client.withdraw_stake()


def test_each_coin_is_conserved(world: CoinWorld) -> None:
    job = world.owner.create_job(world.terms(), 3, 80 * UNIT, coin=1)
    burnt = world.admin.burnt(1)
    world.owner.cancel_job(job)
    assert world.admin.owed(job, world.owner.account, 1) == 80 * UNIT
    world.end(job)
    before = world.in_coin()
    world.owner.claim(job)
    assert before - world.in_coin() == 80 * UNIT
    assert world.admin.burnt(1) == burnt > 0
    with refused("fee_out_of_range"):
        world.owner.create_job(world.terms(), 3, 39 * UNIT, coin=1)  # worth 97.5 MPC


def test_the_ledger_alone_moves_the_money_of_jobs(world: CoinWorld) -> None:
    own, who = world.admin._bank_functions, world.admin.connection.address
    doors = [
        own.open(1, who, 0, 100 * MPC), own.draw(b"s" * 32, 3, 1), own.bind(who, 1),
        own.credit(1, [who], [1]),
        own.settle(1, who), own.release([who]), own.fine(1, who, who), own.confiscate(1, who, who, who),
    ]  # fmt: skip
    for door in doors:
        with refused("not_the_ledger"):
            world.admin.connection.transact(door)


def test_an_address_is_what_the_coin_says(world: CoinWorld) -> None:
    assert world.admin.coins[1] == Coin(
        address_bytes(world.coin.address), address_bytes(world.feed.address), MAX_AGE_S
    )
    assert PHASE_S < MAX_AGE_S
