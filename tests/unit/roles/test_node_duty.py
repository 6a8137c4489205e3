"""What a zk-node does in a job, in one thread."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.unit.roles.small_job import SmallJob

from zkpfl.crypto.bls import BlsSecretKey
from zkpfl.errors import NotAuthorized, WrongPhase
from zkpfl.ledger.records import RoundKind
from zkpfl.protocol.trainer import PreparedSubmission, prepare_submission
from zkpfl.protocol.zk_node import MAX_UPLOADS
from zkpfl.roles.events import RoleEvent
from zkpfl.roles.node_duty import NodeDuty
from zkpfl.storage.local import LocalStore

NODE = 0


@pytest.fixture
def job(tmp_path: Path) -> Iterator[SmallJob]:
    job = SmallJob(tmp_path)
    yield job
    job.close()


@pytest.fixture
def events() -> list[RoleEvent]:
    return []


@pytest.fixture
def duty(job: SmallJob, events: list[RoleEvent]) -> NodeDuty:
    party = job.nodes[NODE]
    assert party.identity.bls is not None
    bls = BlsSecretKey.from_bytes(party.identity.bls)
    journal = job.journals[NODE]
    return NodeDuty(
        party.ledger, job.store, job.reader, party.identity, bls, journal, NODE + 1, events.append
    )


def upload(job: SmallJob, duty: NodeDuty, trainer: int) -> PreparedSubmission:
    """A trainer's fresh submission to the statistics round, streamed to the node."""
    plan = job.reader.plan(job.reader.job(), job.reader.round(1))
    values = job._values(plan, RoundKind.STATISTICS, trainer)
    sent = prepare_submission(plan, job.trainers[trainer].identity.account, values)
    duty.admit(sent.shares[NODE].signed)
    duty.receive_share(sent.shares[NODE].signed, sent.commitments, sent.shares[NODE].blob)
    return sent


def submit(job: SmallJob, trainer: int, sent: PreparedSubmission) -> None:
    """Store a submission and put it on the ledger."""
    commitments = str(job.store.put(sent.commitments))
    blobs = [str(job.store.put(share.blob)) for share in sent.shares]
    digest = job.store.put(sent.manifest(commitments, blobs).to_bytes()).digest
    job.trainers[trainer].ledger.submit(job.job_id, 1, sent.commitment_root, digest)


def test_trainer_that_sends_too_much_stops_nobody(
    job: SmallJob, duty: NodeDuty, events: list[RoleEvent]
) -> None:
    """Trainer 0 uses up its uploads and then submits the first one, which lies in storage."""
    first = upload(job, duty, 0)
    for _ in range(MAX_UPLOADS - 1):
        upload(job, duty, 0)
    with pytest.raises(NotAuthorized, match=f"sent {MAX_UPLOADS} shares"):
        upload(job, duty, 0)
    submit(job, 0, first)
    submit(job, 1, upload(job, duty, 1))

    duty.step()

    assert job.reader.round(1).reported >> NODE & 1
    assert [event.fields["accepted"] for event in events if event.kind == "reported"] == [2]
    assert [event.kind for event in events if event.kind == "fault"] == []


def test_receipt_means_that_share_and_commitments_are_stored(
    job: SmallJob, duty: NodeDuty, tmp_path: Path
) -> None:
    sent = upload(job, duty, 0)
    elsewhere = LocalStore(tmp_path / "elsewhere")
    for content in (sent.commitments, sent.shares[NODE].blob):
        assert job.store.get(elsewhere.put(content), max_size_bytes=len(content)) == content


def test_a_node_that_is_busy_says_at_once_that_it_has_not_attested_yet(duty: NodeDuty) -> None:
    verifying, done = threading.Event(), threading.Event()

    def verify() -> None:
        with duty._lock:
            verifying.set()
            done.wait(30)

    thread = threading.Thread(target=verify)
    thread.start()
    try:
        assert verifying.wait(30)
        with pytest.raises(WrongPhase, match="not attested here yet"):
            duty.attestation(1)
    finally:
        done.set()
        thread.join()
