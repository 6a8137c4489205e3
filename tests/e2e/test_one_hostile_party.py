"""One hostile party in a running job: the job completes with the others, and the fault names the party."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

from tests.e2e.live_network import PURSE, STAKE, LiveNetwork, RoleThread
from tests.e2e.test_faults import FAST, start_job
from zkpfl.crypto.commitments import commit_rows
from zkpfl.crypto.scalars import ORDER, from_int
from zkpfl.errors import BadSum, Equivocation, JobFailed, NotAuthorized, ProtocolFault
from zkpfl.learning.bundle import Bundle
from zkpfl.learning.heart_disease import HospitalSplit
from zkpfl.ledger.client import LedgerClient
from zkpfl.ledger.records import JobStatus, NodeRecord
from zkpfl.protocol import trainer as trainer_protocol
from zkpfl.protocol.plan import RoundPlan
from zkpfl.protocol.received import ReceivedShares
from zkpfl.protocol.trainer import PreparedSubmission
from zkpfl.protocol.zk_node import AggregateShare
from zkpfl.roles import node_duty
from zkpfl.roles import trainer as trainer_role

LOW_ORDER_KEY = b"\x01" + bytes(31)
NO_CONTENT_ID = "b" + "a" * 58

Patch = pytest.MonkeyPatch


def first_only(cheat: Callable[..., Any], honest: Callable[..., Any]) -> Callable[..., Any]:
    """A method that cheats the first time it is called."""
    calls: Iterator[bool] = iter([True])

    def method(*arguments: Any) -> Any:
        return cheat(honest, *arguments) if next(calls, False) else honest(*arguments)

    return method


def withhold(patch: Patch, change: Callable[[Any], Any]) -> None:
    """Trainer 0 streams nothing and publishes a changed manifest."""
    publish, upload = trainer_role.TrainerRole._publish, trainer_role.TrainerRole._upload

    def cheat(self: trainer_role.TrainerRole, submission: PreparedSubmission) -> bytes:
        if self._own_number != 0:
            return publish(self, submission)
        commitments = str(self._store.put(submission.commitments))
        blobs = [str(self._store.put(share.blob)) for share in submission.shares]
        return self._store.put(change(submission.manifest(commitments, blobs)).to_bytes()).digest

    def stream(self: trainer_role.TrainerRole, *arguments: Any) -> int:
        return 0 if self._own_number == 0 else upload(self, *arguments)

    patch.setattr(trainer_role.TrainerRole, "_publish", cheat)
    patch.setattr(trainer_role.TrainerRole, "_upload", stream)


def trainer_signs_with_zeros(patch: Patch) -> None:
    withhold(patch, lambda m: replace(m, shares=tuple(replace(e, signature=bytes(65)) for e in m.shares)))


def trainer_names_no_content(patch: Patch) -> None:
    withhold(patch, lambda m: replace(m, commitments=NO_CONTENT_ID))


def trainer_overflows_a_lane(patch: Patch) -> None:
    """Trainer 0 commits in a training round to one scalar of about r/2, which no lane holds.

    The zk-nodes let it pass, all of them, though it proves nothing: members still have to cope.
    """
    patch.setattr(ReceivedShares, "unproved", lambda _self: frozenset())
    prepare, pack, commit = (
        trainer_role.prepare_submission,
        trainer_protocol.pack,
        trainer_protocol.commit_lanes,
    )
    large = from_int([ORDER // 2])[0]
    thread = threading.local()  # the trainers are threads of one process

    def cheats(plan: RoundPlan, account: Any, *arguments: Any) -> PreparedSubmission:
        thread.cheats = account.address == plan.trainers[0] and plan.context.round > 1
        return prepare(plan, account, *arguments)

    def packs(values: Any, layout: Any) -> Any:
        if not thread.cheats:
            return pack(values, layout)
        rows = np.zeros((layout.packed_rows, layout.columns, 4), dtype=np.uint64)
        rows[0, 0] = large
        return rows

    def commits(values: Any, blindings: Any, layout: Any, generators: Any) -> Any:
        if not thread.cheats:
            return commit(values, blindings, layout, generators)
        rows = np.zeros((layout.lane_rows, layout.columns + 1, 4), dtype=np.uint64)
        rows[:, layout.columns] = blindings
        rows[0, 0] = large
        return commit_rows(rows, generators)

    patch.setattr(trainer_role, "prepare_submission", cheats)
    patch.setattr(trainer_protocol, "pack", packs)
    patch.setattr(trainer_protocol, "commit_lanes", commits)


def node_names_no_content(patch: Patch) -> None:
    honest = AggregateShare.manifest

    def cheat(self: AggregateShare, node: int, blob_id: str) -> Any:
        return honest(self, node, NO_CONTENT_ID if node == 1 else blob_id)

    patch.setattr(AggregateShare, "manifest", cheat)


def node_cannot_be_reached(patch: Patch) -> None:
    """Node 1 has registered what is no endpoint, and attests nothing."""
    honest, attest = LedgerClient.node, node_duty.NodeDuty._attest

    def cheat(self: LedgerClient, address: bytes) -> NodeRecord | None:
        record = honest(self, address)
        committee = self.job(1).committee if self.job_count() else ()
        return replace(record, endpoint="no endpoint") if record and address in committee[:1] else record

    def silent(self: node_duty.NodeDuty, *arguments: Any) -> None:
        if self._node != 1:
            attest(self, *arguments)

    patch.setattr(LedgerClient, "node", cheat)
    patch.setattr(node_duty.NodeDuty, "_attest", silent)


@dataclass(frozen=True)
class Hostile:
    """A way to cheat, who notices, and what they say."""

    cheat: Callable[[Patch], None]
    witnesses: str
    code: str
    party: str

    def __str__(self) -> str:
        return self.cheat.__name__


HOSTILE = [
    Hostile(trainer_signs_with_zeros, "nodes", "bad_signature", "trainer 0"),
    Hostile(trainer_names_no_content, "nodes", "not_delivered", "trainer 0"),
    Hostile(trainer_overflows_a_lane, "trainers", "bad_sum", "accepted set"),
    Hostile(node_names_no_content, "nodes", "not_delivered", "zk-node 1"),
    Hostile(node_cannot_be_reached, "nodes", "invalid_parameter", "zk-node 1"),
]


@pytest.mark.parametrize("hostile", HOSTILE, ids=str)
def test_job_completes_and_the_hostile_party_is_named(
    hostile: Hostile,
    bundle: Bundle,
    hospitals: list[HospitalSplit],
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> None:
    hostile.cheat(monkeypatch)
    network: LiveNetwork = request.getfixturevalue("network")  # nodes register as it starts
    start_job(network, bundle, hospitals[:3], durations=FAST)

    result = network.finish()  # raises what any trainer or the owner died of

    assert (result.job.status, result.job.trained, result.error) == (JobStatus.DONE, 1, None)
    witnesses: list[RoleThread] = {
        "nodes": network.nodes[1:],
        "trainers": network.trainers[1:],
    }[hostile.witnesses]
    fault = (hostile.code, hostile.party)
    said = [witness.recorder.fault_codes() for witness in witnesses]
    assert any(fault in codes for codes in said), said


def test_a_trainer_to_whom_nobody_can_seal_gets_no_key_and_the_others_train(
    network: LiveNetwork, bundle: Bundle, hospitals: list[HospitalSplit], monkeypatch: pytest.MonkeyPatch
) -> None:
    def cheat(honest: Any, self: LedgerClient, _key: bytes, stake: int) -> None:
        honest(self, LOW_ORDER_KEY, stake)

    honest = LedgerClient.register_trainer
    monkeypatch.setattr(LedgerClient, "register_trainer", first_only(cheat, honest))
    start_job(network, bundle, hospitals[:3], durations=FAST)
    with pytest.raises(NotAuthorized, match="encryption_key"):
        network.trainers[0].join(60)
    network.trainers[0].stop.set()
    assert network.finish().job.status is JobStatus.DONE


def balance(network: LiveNetwork) -> int:
    return network.treasury.token.balance(network.owner_identity.account.address)


def test_statistics_that_no_data_has_end_the_job_with_a_refund(
    network: LiveNetwork, bundle: Bundle, hospitals: list[HospitalSplit], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Trainer 0 states a negative number of records: nobody can train, and nobody waits for ever."""
    honest = trainer_role.local_statistics

    def cheat(honest: Any, features: Any) -> Any:
        return np.concatenate([[-5000.0], honest(features)[1:]])

    monkeypatch.setattr(trainer_role, "local_statistics", first_only(cheat, honest))
    start_job(network, bundle, hospitals[:3], durations=FAST)
    result = network.finish()

    assert result.job.status is JobStatus.FAILED
    assert isinstance(result.error, BadSum)
    assert result.statistics is None
    for thread in [*network.trainers, network.owner]:
        assert thread is not None
        assert len([e for e in thread.recorder.of("fault") if e.fields["code"] == "bad_sum"]) == 1
    assert balance(network) > PURSE - STAKE  # the fee but for the share of the statistics round


def test_a_false_checkpoint_of_a_majority_does_not_keep_the_owner_from_its_money(
    network: LiveNetwork, bundle: Bundle, hospitals: list[HospitalSplit], monkeypatch: pytest.MonkeyPatch
) -> None:
    def verdict(_self: Any, _job: Any, _number: int, _round: Any) -> tuple[bytes, int]:
        return b"\x07" * 32, 500_000

    monkeypatch.setattr(trainer_role.TrainerRole, "_verdict", verdict)
    job_id = start_job(network, bundle, hospitals[:3], durations=FAST)
    result = network.finish()

    assert result.job.status is JobStatus.DONE
    assert isinstance(result.error, Equivocation)
    assert result.checkpoint is None
    assert network.treasury.owed(job_id, network.owner_identity.account.address) == 0, "it took its refund"


def test_a_committee_to_which_nobody_can_seal_is_refused(
    bundle: Bundle,
    hospitals: list[HospitalSplit],
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> None:
    """By an honest owner, which cancels, and by trainers before they stake on the job of another one."""
    honest = LedgerClient.register_node

    def cheat(
        honest: Any, self: Any, bls: bytes, proof: bytes, _key: bytes, endpoint: str, *stake: int
    ) -> None:
        honest(self, bls, proof, LOW_ORDER_KEY, endpoint, *stake)

    monkeypatch.setattr(LedgerClient, "register_node", first_only(cheat, honest))
    network: LiveNetwork = request.getfixturevalue("network")
    node = f"zk-node 0x{network.node_identities[0].account.address.hex()}"
    cancelled = network.start_owner(bundle)
    assert network.owner is not None
    result = network.owner.join(30)
    assert network.treasury.job(cancelled).status is JobStatus.CANCELLED
    assert isinstance(result.error, ProtocolFault)
    assert node in str(result.error)
    assert network.treasury.owed(cancelled, network.owner_identity.account.address) == 0, "it took its fee"

    monkeypatch.setattr("zkpfl.roles.key_custody.OwnerKeys.hand_over", lambda *_: None)
    job_id = network.start_owner(bundle)
    trainer = network.start_trainer(job_id, hospitals[0].train)
    with pytest.raises(JobFailed, match=node):
        trainer.join(30)
    assert network.treasury.job(job_id).trainers == ()
    trainer.stop.set()
