"""Keys in the committee's hands: the owner may go, late trainers catch up, a false owner is left alone."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tests.e2e.live_network import DURATIONS, STAKE, LiveNetwork
from tests.unit.learning.crafted import only_even_batches, weights
from zkpfl.crypto.sealing import seal_to
from zkpfl.errors import JobFailed
from zkpfl.learning.bundle import Bundle
from zkpfl.learning.heart_disease import HospitalSplit
from zkpfl.learning.records import Records
from zkpfl.learning.weights import checkpoint_hash
from zkpfl.ledger.records import JobStatus, Phase
from zkpfl.protocol.manifests import JobManifest, KeyAnnouncement
from zkpfl.roles.key_custody import OwnerKeys
from zkpfl.roles.model_owner import ModelOwnerRole

RECRUITING = replace(DURATIONS, join=8)


def test_the_owner_goes_after_submission_and_a_fifth_trainer_joins_at_round_three(
    network: LiveNetwork, bundle: Bundle, hospitals: list[HospitalSplit]
) -> None:
    job_id = network.submit_and_go(bundle, training_rounds=4, max_trainers=5, durations=RECRUITING)
    for hospital in hospitals:
        network.start_trainer(job_id, hospital.train)
    network.wait_until(lambda: network.treasury.job(job_id).current_round >= 3, 60)
    network.start_trainer(job_id, hospitals[0].test)
    for trainer in network.trainers:
        trainer.join(120)

    job = network.treasury.job(job_id)
    assert (job.status, job.trained, len(job.trainers)) == (JobStatus.DONE, 4, 5)
    rounds = [network.treasury.round(job_id, number) for number in range(1, job.current_round + 1)]
    assert rounds[2].members == 4
    assert rounds[-1].members == 5
    assert rounds[-1].accepted == 0b11111
    assert sum(round_.slice_opened for round_ in rounds) == job.terms.slices > 0
    assert rounds[-1].accuracy is not None
    assert rounds[-1].accuracy > 700_000
    revealed = network.treasury.revealed_scores(job_id, job.current_round)
    assert set(revealed) == set(job.trainers)
    assert {checkpoint for checkpoint, _ in revealed.values()} == {job.checkpoint}
    for thread in [*network.nodes, *network.trainers]:
        assert not thread.recorder.of("fault"), thread.recorder.of("fault")

    # The owner comes back for the result.
    role = ModelOwnerRole(
        network.client(network.owner_identity), network.store, network.owner_identity, lambda _event: None
    )
    result = role.follow(job_id, network.job_key, threading.Event())
    assert result.checkpoint is not None
    assert checkpoint_hash(result.checkpoint) == job.checkpoint


def another_bundle(patch: pytest.MonkeyPatch) -> None:
    """The sealed bundle is not the one whose hash all others see."""
    honest = JobManifest.to_bytes
    patch.setattr("zkpfl.roles.model_owner.Member", lambda *_: None)  # it does not look at it itself
    patch.setattr(JobManifest, "to_bytes", lambda self: honest(replace(self, bundle_hash=bytes(32))))


def another_key(patch: pytest.MonkeyPatch) -> None:
    """The shares give another key than the announced one."""
    honest = OwnerKeys.announcement

    def announce(self: OwnerKeys) -> KeyAnnouncement:
        return replace(honest(self), digest=bytes(32))

    patch.setattr(OwnerKeys, "announcement", announce)


def other_shares(patch: pytest.MonkeyPatch) -> None:
    """Two of three zk-nodes are handed other shares than were announced."""
    honest = OwnerKeys.hand_over

    def hand_over(self: OwnerKeys, *arguments: Any) -> None:
        for index, sharing in enumerate(self._sharings):
            false = (bytes(32), bytes(32), *sharing.shares[2:])
            self._sharings[index] = replace(sharing, shares=false)
        honest(self, *arguments)

    patch.setattr(OwnerKeys, "hand_over", hand_over)


def shares_for_somebody_else(patch: pytest.MonkeyPatch) -> None:
    """What the zk-nodes find is sealed to none of them."""
    stranger = b"\x09" + bytes(31)

    def sealed_to_a_stranger(_public: bytes, plaintext: bytes, *, context: bytes) -> bytes:
        return seal_to(stranger, plaintext, context=context)

    patch.setattr("zkpfl.roles.key_custody.seal_to", sealed_to_a_stranger)


FALSE_OWNERS: list[tuple[Callable[[pytest.MonkeyPatch], None], str]] = [
    (another_bundle, "another than was announced"),
    (another_key, "do not give the announced key"),
    (other_shares, "fewer than 2 zk-nodes have a good share"),
    (shares_for_somebody_else, "fewer than 2 zk-nodes have a good share"),
]


def require_free_stakes(network: LiveNetwork, job_id: int) -> None:
    """Whoever joined has its whole stake, which no job binds any more."""
    joined = [event for event in network.treasury.events(job_id) if type(event).__name__ == "Joined"]
    assert joined
    for event in joined:
        record = network.treasury.trainer(event.trainer)
        assert record is not None
        assert (record.serving, record.stake) == (0, STAKE)


@pytest.mark.parametrize(("cheat", "reason"), FALSE_OWNERS)
def test_a_false_owner_is_caught_before_training_and_left_without_penalty(
    network: LiveNetwork,
    bundle: Bundle,
    hospitals: list[HospitalSplit],
    monkeypatch: pytest.MonkeyPatch,
    cheat: Callable[[pytest.MonkeyPatch], None],
    reason: str,
) -> None:
    cheat(monkeypatch)
    job_id = network.submit_and_go(bundle, durations=RECRUITING)
    trainers = [network.start_trainer(job_id, hospital.train) for hospital in hospitals[:2]]
    for trainer in trainers:
        with pytest.raises(JobFailed, match=reason) as caught:
            trainer.join(30)
        assert caught.value.party == f"owner of job {job_id}"
        trainer.stop.set()
    job = network.treasury.job(job_id)
    assert job.trainers == (bytes(20), bytes(20)), "they have left"
    assert job.phase in (Phase.NONE, Phase.COLLECT)
    require_free_stakes(network, job_id)


def test_a_graph_that_fails_on_the_trainers_records_is_left_without_penalty(
    network: LiveNetwork, bundle: Bundle, hospitals: list[HospitalSplit]
) -> None:
    inputs = len(bundle.recipe.features)
    pairs = Bundle(only_even_batches(inputs), weights(inputs), bundle.recipe)
    job_id = network.submit_and_go(pairs, durations=RECRUITING)
    five = Records(hospitals[0].train.features[:5], hospitals[0].train.labels[:5])
    trainer = network.start_trainer(job_id, five)
    with pytest.raises(JobFailed, match="does not run") as caught:
        trainer.join(30)
    assert caught.value.party == f"owner of job {job_id}"
    assert network.treasury.job(job_id).trainers == (bytes(20),)
    require_free_stakes(network, job_id)


def test_one_bad_share_is_named_and_does_not_stop_the_job(
    network: LiveNetwork, bundle: Bundle, hospitals: list[HospitalSplit], monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = OwnerKeys.hand_over

    def hand_over(self: OwnerKeys, *arguments: Any) -> None:
        for index, sharing in enumerate(self._sharings):
            self._sharings[index] = replace(sharing, shares=(bytes(32), *sharing.shares[1:]))
        honest(self, *arguments)

    monkeypatch.setattr(OwnerKeys, "hand_over", hand_over)
    job_id = network.submit_and_go(bundle, training_rounds=1, max_trainers=2)
    trainers = [network.start_trainer(job_id, hospital.train) for hospital in hospitals[:2]]
    for trainer in trainers:
        assert trainer.join(90).status is JobStatus.DONE
        assert ("not_delivered", f"owner of job {job_id}") in trainer.recorder.fault_codes()
    last = network.treasury.round(job_id, network.treasury.job(job_id).current_round)
    assert last.slice_opened, "the others' shares of its key do"
