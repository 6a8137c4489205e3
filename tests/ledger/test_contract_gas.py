"""Every call stays far below the gas that one transaction may have, also in the largest job."""

from __future__ import annotations

from dataclasses import astuple

import pytest
from tests.ledger.conftest import CHAIN_ID
from tests.ledger.direct import DirectLedger
from web3 import Web3

from zkpfl.crypto.bls import (
    BlsSecretKey,
    aggregate_signatures,
    attestation_digest,
    possession_digest,
    signature_to_ledger,
)
from zkpfl.crypto.transcript import Context
from zkpfl.ledger.client import MPC, DeploymentTerms, Durations, JobStatus, JobTerms
from zkpfl.ledger.factors import packed_factors
from zkpfl.ledger.reconciliation import discrepancies
from zkpfl.ledger.rules import choose_accepted, posts_hash, score_commitment

MOST_GAS = 16_700_000
"""EIP-7825 caps a transaction at 2^24."""

MOST_CODE = 24_576
ADMIN = b"\x01" * 20
NODES = [b"\x02" + bytes([i]) * 19 for i in range(10)]
TRAINERS = [b"\x03" + i.to_bytes(19, "big") for i in range(256)]
ALL_TRAINERS, ALL_NODES = (1 << 256) - 1, (1 << 10) - 1
KEYS = {node: BlsSecretKey.generate() for node in NODES}


def hexadecimal(address: bytes) -> str:
    return Web3.to_checksum_address(address)


@pytest.fixture(scope="module")
def ledger() -> DirectLedger:
    """256 trainers and 10 nodes, registered."""
    made = DirectLedger(ADMIN, DeploymentTerms(unbonding_s=100, challenge_s=50))
    for account in (*NODES, *TRAINERS):
        made.call(ADMIN, "transfer", hexadecimal(account), 1000 * MPC, contract=made.token)
        made.call(account, "approve", made.bank.address, 2**255, contract=made.token)
    for trainer in TRAINERS:
        made.call(trainer, "register_trainer", b"e" * 32, 0, 500 * MPC)
    for node in NODES:
        key = KEYS[node]
        proof = key.prove_possession(possession_digest(CHAIN_ID, made.address, node, key.public))
        arguments = (key.public.to_ledger(), signature_to_ledger(proof), b"e" * 32, "h" * 128, 0, 500 * MPC)
        made.call(node, "register_node", *arguments)
    made.call(ADMIN, "approve", made.bank.address, 2**255, contract=made.token)
    return made


def test_the_largest_job_fits_in_a_transaction_everywhere(ledger: DirectLedger) -> None:
    terms = JobTerms(
        training_rounds=1,
        statistics=False,
        target=900_000,
        baseline=500_000,
        threshold=5,
        quorum=256,
        max_trainers=256,
        durations=Durations(*[10_000] * 7),
        deadline=ledger.time + 100_000,
        manifest=b"m" * 32,
        member_key=b"k" * 32,
        statistics_layout=0,
        training_layout=0,
        slices=1,
        slice_records=1000,
        slice_anchor=b"a" * 32,
        node_stake=500 * MPC,
        trainer_stake=500 * MPC,
    )
    job = ledger.call(ADMIN, "create_job", astuple(terms), len(NODES), 0, 100 * MPC)
    ledger.call(ADMIN, "advance", job)
    committee = [Web3.to_bytes(hexstr=node) for node in ledger.call(ADMIN, "committee", job)]
    for trainer in TRAINERS:
        ledger.call(trainer, "join", job)
    ledger.call(ADMIN, "share_keys", job, b"g" * 32)
    for trainer in TRAINERS:
        ledger.time += 10
        ledger.call(trainer, "submit", job, 1, b"r" * 32, b"m" * 32)
    for node in committee:
        ledger.call(node, "report", job, 1, ALL_TRAINERS)
    for node in committee:
        ledger.call(node, "post_aggregate", job, 1, b"s" * 32, b"m" * 32)
    posts = posts_hash((j, b"s" * 32, b"m" * 32) for j in range(1, 11))
    digest = attestation_digest(
        Context(CHAIN_ID, ledger.address, job, 1), ALL_TRAINERS, b"a" * 32, ALL_NODES, posts
    )
    signature = signature_to_ledger(aggregate_signatures([key.sign(digest) for key in KEYS.values()]))
    keys = b"".join(KEYS[node].public.to_ledger() for node in committee)
    ledger.call(ADMIN, "attest", job, 1, b"a" * 32, ALL_NODES, ALL_NODES, signature, keys)
    for trainer in TRAINERS:
        ledger.call(trainer, "unstake")  # so that the end of the job has most to write
    scores = [(b"c" * 32, 700_000 + (7919 * index) % 100_000) for index in range(len(TRAINERS))]
    context = Context(CHAIN_ID, ledger.address, job, 1)
    for trainer, (checkpoint, accuracy) in zip(TRAINERS, scores, strict=True):
        commitment = score_commitment(context, trainer, checkpoint, accuracy, b"s" * 32)
        ledger.call(
            trainer, "contribute", ledger.ledger.address, job, 1, b"d" * 32, contract=ledger.contributions
        )
        ledger.call(trainer, "score", job, 1, commitment)
    factors = packed_factors({index: 80 + index % 46 for index in range(len(TRAINERS))})
    for trainer in TRAINERS[:200]:
        attested = ledger.ledger.address, job, 1, factors
        ledger.call(trainer, "attest_factors", *attested, contract=ledger.contributions)
    for trainer, (checkpoint, accuracy) in zip(TRAINERS, scores, strict=True):
        ledger.call(trainer, "reveal", job, 1, checkpoint, accuracy, b"s" * 32)
    assert ledger.call(ADMIN, "job", job)[0][1] == JobStatus.DONE
    assert max(ledger.gas.values()) < MOST_GAS, ledger.gas
    assert discrepancies(ledger.events(job)) == []


def test_choosing_among_ten_reports_is_cheap_whatever_they_say(ledger: DirectLedger) -> None:
    reports = {j: ALL_TRAINERS ^ (0x1F << (3 * j)) for j in range(1, 11)}
    accepted, quorum = choose_accepted(reports, 5)
    assert quorum.bit_count() >= 5
    assert accepted
    assert ledger.gas["report"] < 4_000_000


def test_the_contract_has_room_to_grow(ledger: DirectLedger) -> None:
    code = ledger.code(ledger.address)
    assert 0 < len(code) < MOST_CODE - 300
