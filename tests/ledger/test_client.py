"""The client's checks at the door, and what only it does: approval, finalised reads, deployment."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from tests.ledger.world import FEE, MANIFEST, PHASE_S, ROOT, STAKE, World, refused
from web3 import Web3

from zkpfl.errors import InvalidParameter, NotAuthorized
from zkpfl.ledger.client import MPC, DeploymentTerms, Durations, JobTerms, LedgerClient, deploy
from zkpfl.ledger.connection import Connection
from zkpfl.ledger.contracts import compiled
from zkpfl.ledger.token import Token

KEY, SIGNATURE = bytes(256), bytes(128)

BAD_CALLS: list[tuple[str, Callable[[LedgerClient], Any]]] = [
    ("bls_key", lambda c: c.register_node(KEY[1:], SIGNATURE, ROOT, "h:1", STAKE)),
    ("possession", lambda c: c.register_node(KEY, SIGNATURE[1:], ROOT, "h:1", STAKE)),
    ("encryption_key", lambda c: c.register_node(KEY, SIGNATURE, ROOT[1:], "h:1", STAKE)),
    ("endpoint", lambda c: c.register_node(KEY, SIGNATURE, ROOT, "", STAKE)),
    ("endpoint", lambda c: c.register_node(KEY, SIGNATURE, ROOT, "é" * 65, STAKE)),
    ("stake", lambda c: c.register_node(KEY, SIGNATURE, ROOT, "h:1", -1)),
    ("encryption_key", lambda c: c.register_trainer(b"", STAKE)),
    ("stake", lambda c: c.register_trainer(ROOT, 1 << 96)),
    ("job", lambda c: c.join(0)),
    ("job", lambda c: c.claim(1 << 64)),
    ("job", lambda c: c.advance(-1)),
    ("round", lambda c: c.submit(1, 0, ROOT, MANIFEST)),
    ("commitment_root", lambda c: c.submit(1, 1, b"", MANIFEST)),
    ("manifest", lambda c: c.submit(1, 1, ROOT, b"")),
    ("accepted", lambda c: c.report(1, 1, 1 << 256)),
    ("accepted", lambda c: c.report(1, 1, -1)),
    ("share_root", lambda c: c.post_aggregate(1, 1, b"", MANIFEST)),
    ("aggregate_root", lambda c: c.attest(1, 1, b"", 3, 3, SIGNATURE)),
    ("valid", lambda c: c.attest(1, 1, ROOT, 1 << 10, 3, SIGNATURE)),
    ("signers", lambda c: c.attest(1, 1, ROOT, 3, -1, SIGNATURE)),
    ("signature", lambda c: c.attest(1, 1, ROOT, 3, 3, bytes(48))),
    ("commitment", lambda c: c.score(1, 1, b"")),
    ("checkpoint", lambda c: c.reveal(1, 1, b"", 1, ROOT)),
    ("accuracy_ppm", lambda c: c.reveal(1, 1, ROOT, 1_000_001, ROOT)),
    ("salt", lambda c: c.reveal(1, 1, ROOT, 1, b"")),
    ("key", lambda c: c.open_slice(1, 1, b"")),
    ("digest", lambda c: c.share_keys(1, b"")),
    ("account", lambda c: c.node(b"")),
    ("account", lambda c: c.has_trainer(1, "0x00")),  # type: ignore[arg-type]
    ("receiver", lambda c: c.token.transfer(b"", 1)),
    ("amount", lambda c: c.token.transfer(bytes(20), -1)),
    ("job", lambda c: c.job(c.job_count() + 1)),
    ("round", lambda c: c.round(1, 99)),
]


@pytest.mark.parametrize(("field", "call"), BAD_CALLS)
def test_bad_arguments_are_named(world: World, field: str, call: Callable[[LedgerClient], Any]) -> None:
    with pytest.raises(InvalidParameter) as caught:
        call(world.owner)
    assert caught.value.field == field


BAD_TERMS: list[tuple[str, dict[str, Any]]] = [
    ("training_rounds", {"training_rounds": 1001}),
    ("training_rounds", {"training_rounds": 0}),
    ("target", {"target": 1_000_001}),
    ("baseline", {"baseline": 900_000}),
    ("baseline", {"baseline": -1}),
    ("threshold", {"threshold": 1}),
    ("threshold", {"threshold": 6}),
    ("quorum", {"quorum": 1}),
    ("max_trainers", {"max_trainers": 257}),
    ("max_trainers", {"max_trainers": 1}),
    ("deadline", {"deadline": 0}),
    ("manifest", {"manifest": b""}),
    ("member_key", {"member_key": b"x" * 33}),
    ("statistics_layout", {"statistics_layout": -1}),
    ("training_layout", {"training_layout": 1 << 128}),
    ("slices", {"slices": 3}),
    ("slice_records", {"slice_records": -1}),
    ("slice_anchor", {"slice_anchor": b""}),
    ("node_stake", {"node_stake": -1}),
    ("trainer_stake", {"trainer_stake": 1 << 96}),
]


def valid_terms() -> JobTerms:
    return JobTerms(
        2,
        False,
        900_000,
        500_000,
        2,
        2,
        4,
        Durations(*[PHASE_S] * 7),
        10**9,
        MANIFEST,
        ROOT,
        0,
        1,
        0,
        0,
        ROOT,
        1,
        1,
    )


@pytest.mark.parametrize(("field", "changes"), BAD_TERMS)
def test_bad_terms_are_named(field: str, changes: dict[str, Any]) -> None:
    with pytest.raises(InvalidParameter) as caught:
        replace(valid_terms(), **changes)
    assert caught.value.field == field


@pytest.mark.parametrize("seconds", [0, 30 * 86400 + 1])
def test_bad_durations_are_named(seconds: int) -> None:
    with pytest.raises(InvalidParameter) as caught:
        Durations(1, 1, 1, seconds, 1, 1, 1)
    assert caught.value.field == "aggregate"


@pytest.mark.parametrize(
    "field",
    [
        "unbonding_s",
        "challenge_s",
        "min_node_stake",
        "min_trainer_stake",
        "min_fee",
        "draw_fee",
        "draw_delay",
    ],
)
def test_bad_deployment_terms_are_named(field: str) -> None:
    with pytest.raises(InvalidParameter) as caught:
        DeploymentTerms(**{field: -1})
    assert caught.value.field == field


def test_a_committee_too_small_for_its_threshold_is_refused(world: World) -> None:
    with pytest.raises(InvalidParameter) as caught:
        world.owner.create_job(world.terms(), 2)
    assert caught.value.field == "nodes"


def test_the_client_approves_what_it_must_and_no_more(world: World) -> None:
    owner = world.party(amount=FEE + owner_draw_fee(world))
    owner.create_job(world.terms(), 3, FEE)
    assert owner.token.allowance(owner.account, owner.bank) == 0
    assert owner.token.balance(owner.account) == 0
    with pytest.raises(NotAuthorized, match="holds 0 MPC, 110 MPC are needed"):
        owner.create_job(world.terms(), 3, FEE)


def owner_draw_fee(world: World) -> int:
    return world.admin.amount_for(0, world.admin.draw_fee)


def test_reads_may_ask_for_finalised_state(world: World) -> None:
    job = world.start()
    assert world.admin.job(job, finalized=True) == world.admin.job(job)
    assert world.admin.round(job, 1, finalized=True) == world.admin.round(job, 1)
    assert world.admin.events(job, finalized=True) == world.admin.events(job)
    assert world.admin.job_count(finalized=True) == world.admin.job_count()


def test_events_come_in_chain_order(world: World) -> None:
    events = world.admin.events(world.to_check())
    places = [(event.block, event.log_index) for event in events]
    assert places == sorted(places)
    assert len(set(places)) == len(places)


def test_a_reader_needs_no_account(world: World) -> None:
    with Connection(world.url) as connection:
        reader = LedgerClient(connection, world.admin.contract)
        assert reader.job_count() == world.admin.job_count()
        with pytest.raises(NotAuthorized):
            _ = reader.account
        with pytest.raises(NotAuthorized):
            reader.advance(1)


def test_a_second_ledger_may_use_the_same_token(world: World) -> None:
    second = deploy(world.admin.connection, token=world.admin.token.address)
    assert second.contract != world.admin.contract
    assert second.token.address == world.admin.token.address


def test_the_token_moves_what_it_says(world: World) -> None:
    giver, taker = world.party(amount=10), world.party(amount=0)
    giver.token.transfer(taker.account, 3)
    assert (giver.token.balance(giver.account), giver.token.balance(taker.account)) == (7, 3)
    with refused("insufficient_balance"):
        giver.token.transfer(taker.account, 8)
    with refused("zero_receiver"):
        giver.token.transfer(bytes(20), 1)
    giver.token.approve(taker.account, 5)
    assert giver.token.allowance(giver.account, taker.account) == 5
    move = taker.token._contract.functions.transferFrom
    pair = giver.connection.address, taker.connection.address
    taker.connection.transact(move(*pair, 5))
    with refused("insufficient_allowance"):
        taker.connection.transact(move(*pair, 1))
    assert isinstance(giver.token, Token)
    assert giver.token.balance(giver.account) == 2


def test_a_failed_deployment_says_why(world: World) -> None:
    ledger, bank = compiled("zkpfl"), compiled("bank")
    nobody, somebody = "0x" + "00" * 20, Web3.to_checksum_address(world.admin.bank)
    mpc = (Web3.to_checksum_address(world.admin.token.address), nobody, 0)
    deploy_contract = world.admin.connection.deploy

    def make_bank(coins: list[Any], *numbers: int, ledger: str = somebody, verifier: str = somebody) -> None:
        deploy_contract(bank.abi, bank.bytecode, ledger, verifier, coins, *numbers)

    with refused("bank_of_another_ledger"):
        deploy_contract(ledger.abi, ledger.bytecode, *[somebody] * 5, 0)
    good = (0, 0, 1, 1, 1, 0)
    with refused("no_ledger"):
        make_bank([mpc], *good, ledger=nobody)
    with refused("no_verifier"):
        make_bank([mpc], *good, verifier=nobody)
    with refused("unbonding_out_of_range"):
        make_bank([mpc], 366 * 86400 + 1, 0, 1, 1, 1, 0)
    with refused("challenge_out_of_range"):
        make_bank([mpc], 10, 11, 1, 1, 1, 0)
    with refused("minimum_is_zero"):
        make_bank([mpc], 0, 0, 1, 0, 1, 0)
    with refused("minimum_out_of_range"):
        make_bank([mpc], 0, 0, 1, 1, 1, 1 << 88)
    with refused("no_coin"):
        make_bank([], *good)
    with refused("no_token"):
        make_bank([(nobody, nobody, 0)], *good)
    with refused("duplicate_coin"):
        make_bank([mpc, (mpc[0], somebody, 0)], *good)
    for coins in ([(mpc[0], somebody, 0)], [mpc, (somebody, nobody, 0)]):
        with refused("coin_zero_is_mpc"):
            make_bank(coins, *good)


@pytest.mark.parametrize(
    ("missing", "reason"),
    [
        (1, "no_rules"),
        (2, "no_verifier"),
        (3, "no_judge"),
        (4, "no_contributions"),
        (5, "draw_delay_out_of_range"),
    ],
)
def test_a_ledger_needs_all_of_its_parts(world: World, missing: int, reason: str) -> None:
    ledger, bank = compiled("zkpfl"), compiled("bank")
    nobody, somebody = "0x" + "00" * 20, Web3.to_checksum_address(world.admin.bank)
    mpc = (Web3.to_checksum_address(world.admin.token.address), nobody, 0)
    connection = world.party().connection
    address = Web3.to_checksum_address(connection.next_contract(after=1))
    made = connection.deploy(bank.abi, bank.bytecode, address, somebody, [mpc], 0, 0, 1, 1, 1, 0)
    parts: list[Any] = [Web3.to_checksum_address(made), *[somebody] * 4, 0]
    parts[missing] = 256 if missing == 5 else nobody
    with refused(reason):
        connection.deploy(ledger.abi, ledger.bytecode, *parts)


def test_an_unknown_contract_is_named() -> None:
    with pytest.raises(InvalidParameter) as caught:
        compiled("nothing")
    assert caught.value.field == "name"
    assert "zkpfl" in str(caught.value)
    assert MPC == 10**18
