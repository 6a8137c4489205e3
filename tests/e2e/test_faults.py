"""Parties that die, come back, cheat or lie in a running job: the rest finishes, and the cheater is named."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tests.e2e.live_network import LiveNetwork
from zkpfl.crypto.merkle import hash_blob, share_root
from zkpfl.crypto.proofs import aggregation
from zkpfl.crypto.sealing import open_from, seal_to
from zkpfl.learning.bundle import Bundle
from zkpfl.learning.heart_disease import HospitalSplit
from zkpfl.ledger.records import Durations, JobStatus, Phase
from zkpfl.protocol.messages import MessageKind
from zkpfl.protocol.plan import RoundPlan
from zkpfl.protocol.shares import decode_matrix, encode_matrix
from zkpfl.protocol.trainer import PreparedSubmission, SealedShare
from zkpfl.protocol.zk_node import AggregateShare, NodeRound
from zkpfl.roles import trainer as trainer_role
from zkpfl.roles.network import Network
from zkpfl.roles.store_place import LocalPlace

FAST = Durations(join=60, collect=8, check=4, aggregate=4, attest=4, score=6, reveal=4)


def start_job(network: LiveNetwork, bundle: Bundle, hospitals: list[HospitalSplit], **changes: Any) -> int:
    """A statistics round and a training round for some hospitals."""
    terms = {"training_rounds": 1, "max_trainers": len(hospitals)} | changes
    job_id = network.start_owner(bundle, **terms)
    for hospital in hospitals:
        network.start_trainer(job_id, hospital.train)
    return job_id


def reach(network: LiveNetwork, job_id: int, round_number: int, phase: Phase) -> Callable[[], bool]:
    """Whether the job has come to a phase of a round, or past it."""

    def reached() -> bool:
        job = network.treasury.job(job_id)
        return (job.current_round, job.phase) >= (round_number, phase)

    return reached


STATISTICS, TRAINING = 1, 2
"""The rounds of `start_job`."""

NODE_DEATHS = [
    (STATISTICS, Phase.AGGREGATE, 1),
    (TRAINING, Phase.COLLECT, 0),
    (TRAINING, Phase.CHECK, 2),
    (TRAINING, Phase.AGGREGATE, 0),
    (TRAINING, Phase.ATTEST, 2),
    (TRAINING, Phase.SCORE, 1),
]


@pytest.mark.parametrize(("number", "phase", "node"), NODE_DEATHS, ids=lambda v: getattr(v, "name", v))
def test_job_completes_without_a_node_that_dies(
    network: LiveNetwork, bundle: Bundle, hospitals: list[HospitalSplit], number: int, phase: Phase, node: int
) -> None:
    job_id = start_job(network, bundle, hospitals[:3], durations=FAST)
    network.wait_until(reach(network, job_id, number, phase), 60)
    network.nodes[node].kill()

    result = network.finish()

    assert result.job.status is JobStatus.DONE
    assert result.job.trained == 1


TRAINER_DEATHS = [
    (STATISTICS, Phase.COLLECT),
    (TRAINING, Phase.COLLECT),
    (TRAINING, Phase.CHECK),
    (TRAINING, Phase.AGGREGATE),
    (TRAINING, Phase.ATTEST),
    (TRAINING, Phase.SCORE),
]


@pytest.mark.parametrize(("number", "phase"), TRAINER_DEATHS, ids=lambda v: getattr(v, "name", v))
def test_job_completes_without_a_trainer_that_dies(
    network: LiveNetwork, bundle: Bundle, hospitals: list[HospitalSplit], number: int, phase: Phase
) -> None:
    job_id = start_job(network, bundle, hospitals[:3], durations=FAST)
    network.wait_until(reach(network, job_id, number, phase), 60)
    network.trainers[1].kill()

    result = network.finish()

    assert result.job.status is JobStatus.DONE
    assert result.job.trained == 1


def test_node_that_restarts_goes_on_where_it_was(
    network: LiveNetwork, bundle: Bundle, hospitals: list[HospitalSplit]
) -> None:
    job_id = start_job(network, bundle, hospitals[:3], training_rounds=2)
    for number, phase in ((1, Phase.CHECK), (2, Phase.AGGREGATE)):
        network.wait_until(reach(network, job_id, number, phase), 60)
        network.nodes[1].kill()
        network.restart_node(1)

    result = network.finish()

    assert result.job.status is JobStatus.DONE
    assert result.job.failures == 0
    last = network.treasury.round(job_id, result.job.current_round)
    assert last.delivered >> 1 & 1, "the restarted node delivers again"


DIES_BEFORE_IT_POSTS = """
import os, signal, sys
from zkpfl.cli.app import run
from zkpfl.ledger.client import LedgerClient
LedgerClient.post_aggregate = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
run(sys.argv[1:])
"""


def serve_as_process(network: LiveNetwork, index: int, *start: str) -> subprocess.Popen[bytes]:
    """A zk-node of the network as a process of its own, where its thread served before."""
    identity = network.node_identities[index]
    keys, place = network.folder / "node.json", network.folder / "network.json"
    if not keys.exists():
        identity.save(keys)
        chain_id, contract = network.treasury.chain_id, network.treasury.contract
        Network(network.url, chain_id, contract, LocalPlace(network.store_folder)).save(place)
    record = network.treasury.node(identity.account.address)
    assert record is not None
    options = {
        "--network": place,
        "--identity": keys,
        "--data-dir": network.folder / "process",
        "--port": record.endpoint.rsplit(":", 1)[1],
    }
    words = [str(word) for option in options.items() for word in option]
    return subprocess.Popen([sys.executable, *start, "node", "serve", *words], stdout=subprocess.DEVNULL)


def test_node_killed_between_its_record_and_its_post_delivers_when_it_is_back(
    network: LiveNetwork, bundle: Bundle, hospitals: list[HospitalSplit]
) -> None:
    """SIGKILL, no stop in order: the record of the release is on disk, the release not on the ledger."""
    network.nodes[1].kill()
    address = network.node_identities[1].account.address
    patient = Durations(join=60, collect=30, check=30, aggregate=60, attest=30, score=30, reveal=30)
    with serve_as_process(network, 1, "-c", DIES_BEFORE_IT_POSTS) as dying:
        job_id = start_job(network, bundle, hospitals[:2], durations=patient)
        assert dying.wait(90) == -signal.SIGKILL
    seat = network.treasury.job(job_id).committee.index(address)
    first = network.treasury.round(job_id, STATISTICS)
    assert (first.phase, first.delivered >> seat & 1) == (Phase.AGGREGATE, 0)
    assert first.quorum >> seat & 1
    with serve_as_process(network, seat, "-m", "zkpfl") as restarted:
        try:
            result = network.finish()
        finally:
            restarted.terminate()

    assert (result.job.status, result.job.failures) == (JobStatus.DONE, 0)
    for number in (STATISTICS, TRAINING):
        assert network.treasury.round(job_id, number).delivered >> seat & 1


def test_too_few_nodes_fail_the_job_and_refund(
    network: LiveNetwork, bundle: Bundle, hospitals: list[HospitalSplit]
) -> None:
    quick = Durations(join=60, collect=4, check=2, aggregate=2, attest=2, score=2, reveal=2)
    for node in network.nodes[:2]:
        node.kill()
    start_job(network, bundle, hospitals[:3], durations=quick)
    result = network.finish()
    assert result.job.status is JobStatus.FAILED
    assert result.checkpoint is None
    less_the_draw_fee = 1990 * 10**18
    assert network.treasury.token.balance(network.owner_identity.account.address) == less_the_draw_fee


def test_inconsistent_share_excludes_only_its_trainer(
    network: LiveNetwork, bundle: Bundle, hospitals: list[HospitalSplit], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Trainer 0 sends every matrix node a share that fails its commitment."""
    honest = trainer_role.prepare_submission
    cheater: list[bytes] = []

    def cheat(plan: RoundPlan, account, values, seeded=None) -> PreparedSubmission:
        submission = honest(plan, account, values, seeded)
        if not cheater:
            cheater.append(account.address)
        if account.address != cheater[0]:
            return submission
        shares = list(submission.shares)
        for node in (2, 3):
            key = network.node_identities[node - 1].encryption
            context = plan.share_context(account.address, node)
            rows = decode_matrix(plan, open_from(key, shares[node - 1].blob, context=context))
            rows[0, 3, 0] ^= np.uint64(1)
            blob = seal_to(key.public, encode_matrix(rows), context=context)
            message = replace(
                shares[node - 1].signed.message, share_root=share_root(rows), blob_hash=hash_blob(blob)
            )
            shares[node - 1] = SealedShare(message.sign(MessageKind.SHARE, account), blob)
        return replace(submission, shares=tuple(shares))

    monkeypatch.setattr(trainer_role, "prepare_submission", cheat)
    job_id = start_job(network, bundle, hospitals[:3])
    result = network.finish()

    assert result.job.status is JobStatus.DONE
    number = result.job.trainers.index(cheater[0])
    for node in network.nodes[1:]:
        assert ("bad_share", f"trainer {number}") in node.recorder.fault_codes()
    accepted = network.treasury.round(job_id, result.job.current_round).accepted
    assert accepted == 0b111 & ~(1 << number)


def test_false_aggregate_share_is_left_out_of_the_attestation(
    network: LiveNetwork, bundle: Bundle, hospitals: list[HospitalSplit], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Node 1 adds one to its sum: its proof fails, the others attest without it, the job goes on."""
    honest = NodeRound._sum_of_shares

    def cheat(self: NodeRound, accepted: int) -> np.ndarray:
        rows = honest(self, accepted).copy()
        if self.node == 1:
            rows[0, 0, 0] ^= np.uint64(1)
        return rows

    monkeypatch.setattr(NodeRound, "_sum_of_shares", cheat)
    job_id = start_job(network, bundle, hospitals[:3])
    result = network.finish()

    assert result.job.status is JobStatus.DONE
    for node in network.nodes[1:]:
        assert ("bad_proof", "zk-node 1") in node.recorder.fault_codes()
    for number in range(1, result.job.current_round + 1):
        assert network.treasury.round(job_id, number).valid == 0b110


def test_blob_that_differs_from_the_proved_sum_is_named_and_replaced(
    network: LiveNetwork, bundle: Bundle, hospitals: list[HospitalSplit], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Node 1 proves the true sum and seals another: members refuse its share and use the others'."""
    honest = NodeRound.release

    def cheat(self: NodeRound, accepted: int, journal) -> AggregateShare:
        share = honest(self, accepted, journal)
        if self.node != 1:
            return share
        context = self.plan.aggregate_share_context(1)
        blob = seal_to(self.plan.member_key, b"\x01" + bytes(self.plan.matrix_bytes), context=context)
        rows = self._sum_of_shares(accepted)
        statement = self.public_aggregate(accepted).statement(1, share.share_root, hash_blob(blob))
        proof = aggregation.prove(statement, aggregation.Witness(rows), self.plan.generators)
        return replace(share, blob=blob, blob_hash=hash_blob(blob), proof=proof)

    monkeypatch.setattr(NodeRound, "release", cheat)
    start_job(network, bundle, hospitals[:3])
    result = network.finish()

    assert result.job.status is JobStatus.DONE
    assert result.job.trained == 1
    for trainer in network.trainers:
        assert ("not_delivered", "zk-node 1") in trainer.recorder.fault_codes()


def test_submission_that_storage_lacks_excludes_only_its_trainer(
    network: LiveNetwork, bundle: Bundle, hospitals: list[HospitalSplit], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Trainer 0 streams its shares and commits on the ledger to a manifest that nobody can fetch."""
    honest = trainer_role.TrainerRole._publish

    def cheat(self: trainer_role.TrainerRole, submission: PreparedSubmission) -> bytes:
        digest = honest(self, submission)
        return bytes(32) if self._own_number == 0 else digest

    monkeypatch.setattr(trainer_role.TrainerRole, "_publish", cheat)
    job_id = start_job(network, bundle, hospitals[:3])
    result = network.finish()

    assert result.job.status is JobStatus.DONE
    assert network.treasury.round(job_id, result.job.current_round).accepted == 0b110
    for node in network.nodes:
        assert ("not_delivered", "trainer 0") in node.recorder.fault_codes()


def test_job_without_a_manifest_stops_no_other_job(
    network: LiveNetwork, bundle: Bundle, hospitals: list[HospitalSplit]
) -> None:
    """An owner names the committee in a job that it never stored: nodes serve the next job all the same."""
    network.start_owner(bundle)
    assert network.owner is not None
    network.owner.kill()
    poisoned = network.treasury.job(1)
    owner = network.client(network.owner_identity)
    owner.create_job(replace(poisoned.terms, manifest=b"\x01" * 32), len(poisoned.committee))
    owner.advance(2)
    job_id = start_job(network, bundle, hospitals[:3])
    result = network.finish()
    assert result.job.id == job_id
    assert result.job.status is JobStatus.DONE
