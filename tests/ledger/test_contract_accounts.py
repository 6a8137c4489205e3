"""Registration, stakes and unbonding (docs/spec.md §9.1)."""

from __future__ import annotations

from typing import Any

import pytest
from tests.ledger.world import STAKE, UNBONDING_S, World, refused

from zkpfl.crypto.bls import BlsSecretKey, possession_digest, signature_to_ledger
from zkpfl.errors import NotAuthorized
from zkpfl.ledger.client import MPC, LedgerClient
from zkpfl.ledger.events import NodeRegistered, Staked, Unstaked, Unstaking

INFINITY_G1, INFINITY_G2 = bytes(128), bytes(256)


def register(client: LedgerClient, key: bytes, possession: bytes, **changes: Any) -> None:
    arguments = {"encryption_key": b"e" * 32, "endpoint": "127.0.0.1:1", "stake": STAKE, **changes}
    client.register_node(key, possession, **arguments)


def test_a_node_registers_with_its_stake(world: World) -> None:
    before = world.held()
    node = world.register_node(stake=700 * MPC)
    record = world.admin.node(node.account)
    assert record is not None
    assert (record.stake, record.serving, record.withdrawable_at) == (700 * MPC, 0, None)
    assert record.bls_key == world.bls[node.account].public.to_ledger()
    assert record.endpoint == "127.0.0.1:1"
    assert world.admin.trainer(node.account) is None
    assert world.held() - before == 700 * MPC
    kinds = [type(event) for event in world.admin.account_events(node.account)]
    assert kinds == [Staked, NodeRegistered]


def test_a_trainer_registers_with_its_stake(world: World) -> None:
    trainer = world.register_trainer()
    record = world.admin.trainer(trainer.account)
    assert record is not None
    assert (record.stake, record.encryption_key) == (STAKE, b"e" * 32)
    assert world.admin.node(trainer.account) is None


def test_nobody_registers_twice_or_in_two_roles(world: World) -> None:
    key = BlsSecretKey.generate()
    for client in (world.nodes[0], world.trainers[0]):
        with refused("already_registered"):
            client.register_trainer(b"e" * 32, STAKE)
        with refused("already_registered"):
            register(client, key.public.to_ledger(), world.possession(client, key))


def test_a_stake_below_the_minimum_is_refused(world: World) -> None:
    client, key = world.party(), BlsSecretKey.generate()
    with refused("stake_out_of_range"):
        client.register_trainer(b"e" * 32, STAKE - 1)
    with refused("stake_out_of_range"):
        register(client, key.public.to_ledger(), world.possession(client, key), stake=STAKE - 1)


def test_a_stake_that_is_not_there_is_refused(world: World) -> None:
    poor = world.party(amount=1)
    with pytest.raises(NotAuthorized, match="500 MPC are needed"):
        poor.register_trainer(b"e" * 32, STAKE)
    poor.token.approve(poor.bank, STAKE)
    with refused("insufficient_balance"):  # the contract says so too
        poor._write(poor._bank_functions.register_trainer(b"e" * 32, 0, STAKE))


def test_an_empty_endpoint_is_refused(world: World) -> None:
    client, key = world.party(), BlsSecretKey.generate()
    client.token.approve(client.bank, STAKE)
    possession = world.possession(client, key)
    with refused("no_endpoint"):
        client._write(
            client._bank_functions.register_node(key.public.to_ledger(), possession, b"e" * 32, "", 0, STAKE)
        )


def test_an_empty_encryption_key_is_refused(world: World) -> None:
    with refused("no_encryption_key"):
        world.party().register_trainer(bytes(32), STAKE)


def test_a_bls_key_belongs_to_one_account(world: World) -> None:
    client, key = world.party(), world.bls[world.nodes[0].account]
    with refused("key_taken"):
        register(client, key.public.to_ledger(), world.possession(client, key))


def test_possession_is_bound_to_account_contract_and_key(world: World) -> None:
    client, other, key = world.party(), world.party(), BlsSecretKey.generate()
    digests = [
        possession_digest(client.chain_id, client.contract, other.account, key.public),
        possession_digest(client.chain_id, bytes(20), client.account, key.public),
        possession_digest(client.chain_id + 1, client.contract, client.account, key.public),
        possession_digest(client.chain_id, client.contract, client.account, BlsSecretKey.generate().public),
    ]
    for digest in digests:
        with refused("bad_possession"):
            register(client, key.public.to_ledger(), signature_to_ledger(key.prove_possession(digest)))


def test_a_signature_is_no_proof_of_possession(world: World) -> None:
    client, key = world.party(), BlsSecretKey.generate()
    digest = possession_digest(client.chain_id, client.contract, client.account, key.public)
    with refused("bad_possession"):
        register(client, key.public.to_ledger(), signature_to_ledger(key.sign(digest)))


def test_infinity_is_no_key_and_no_signature(world: World) -> None:
    client, key = world.party(), BlsSecretKey.generate()
    with refused("key_is_infinity"):
        register(client, INFINITY_G2, INFINITY_G1)
    with refused("bad_possession"):
        register(client, key.public.to_ledger(), INFINITY_G1)


def test_bytes_that_are_no_points_are_refused(world: World) -> None:
    client, key = world.party(), BlsSecretKey.generate()
    encoded = key.public.to_ledger()
    off_curve = encoded[:-1] + bytes([encoded[-1] ^ 1])
    with refused("invalid_point"):
        register(client, off_curve, world.possession(client, key))
    with refused("invalid_point"):
        register(client, encoded, b"\x01" * 128)


def test_a_point_outside_the_subgroup_is_refused(world: World) -> None:
    """(0, 2) satisfies y² = x³ + 4 and has order 3."""
    client, key = world.party(), BlsSecretKey.generate()
    outside = bytes(127) + b"\x02"
    with refused("invalid_point"):
        register(client, key.public.to_ledger(), outside)


def test_a_stake_comes_back_after_the_delay(world: World) -> None:
    node = world.register_node(stake=STAKE)
    key, before = world.bls[node.account], node.token.balance(node.account)
    with refused("not_unstaking"):
        node.withdraw_stake()
    node.unstake()
    with refused("already_unstaking"):
        node.unstake()
    with refused("unbonding"):
        node.withdraw_stake()
    world.wait(UNBONDING_S)
    node.withdraw_stake()
    assert node.token.balance(node.account) - before == STAKE
    assert world.admin.node(node.account) is None
    kinds = [type(event) for event in world.admin.account_events(node.account)]
    assert kinds[-2:] == [Unstaking, Unstaked]
    register(node, key.public.to_ledger(), world.possession(node, key))  # its key is free again


def test_only_the_registered_unstake(world: World) -> None:
    with refused("not_registered"):
        world.owner.unstake()
    with refused("not_unstaking"):
        world.owner.withdraw_stake()


def test_a_stake_is_bound_while_its_owner_serves(world: World) -> None:
    trainer = world.register_trainer()
    job = world.create()
    trainer.join(job)
    trainer.unstake()
    world.wait(UNBONDING_S)
    with refused("serving"):
        trainer.withdraw_stake()
    world.owner.cancel_job(job)
    with refused("unbonding"):  # the delay begins when the last job ends
        trainer.withdraw_stake()
    world.wait(UNBONDING_S)
    trainer.withdraw_stake()


def test_who_unstakes_takes_no_new_job(world: World) -> None:
    node, trainer = world.register_node(), world.register_trainer()
    job = world.create()
    trainer.unstake()
    with refused("unstaking"):
        trainer.join(job)
    assert node.account in world.admin.nodes()
    node.unstake()
    assert node.account not in world.admin.nodes()
    assert node.account not in world.state(world.create()).committee


@pytest.mark.parametrize("size", [0, 255])
def test_the_contract_itself_refuses_short_keys(world: World, size: int) -> None:
    client = world.party()
    client.token.approve(client.bank, STAKE)
    function = client._bank_functions.register_node(bytes(size), bytes(128), b"e" * 32, "x", 0, STAKE)
    with refused("key_length"):
        client.connection.transact(function)
