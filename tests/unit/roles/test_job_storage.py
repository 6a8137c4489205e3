"""What belongs to a job stays while it matters, and goes when nobody can bring evidence any more."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.unit.roles.small_job import SmallJob

from zkpfl.crypto.bls import BlsSecretKey
from zkpfl.roles.job_storage import JobStore, job_label, keep_job_content, release_finished, release_if_over
from zkpfl.roles.node_duty import NodeDuty
from zkpfl.storage.cid import ContentId


@pytest.fixture
def job(tmp_path: Path) -> Iterator[SmallJob]:
    job = SmallJob(tmp_path)
    yield job
    job.close()


def test_from_the_first_pin_to_the_last(job: SmallJob) -> None:
    ledger, number = job.nodes[0].ledger, job.job_id
    label = job_label(ledger, number)
    store = JobStore(job.store, label)
    manifest = job.reader.manifest
    keep_job_content(job.reader, store, ledger.key_shares(number))
    own, foreign = store.put(b"an aggregate"), job.store.put(b"nobody's")
    assert {own, ContentId.parse(manifest.bundle)} < job.store.pins()[label]
    other_contract = label.replace(ledger.contract.hex(), "11" * 20)
    for kept in (other_contract, f"{label[:-41]}-x", label.replace(f"-{number}-", "-99-")):
        job.store.pin(own, kept)

    assert release_finished(ledger, job.store) == []
    release_if_over(ledger, store, job.reader.job())
    job.store.collect_garbage(grace_s=0)
    assert not job.store.has(foreign)
    assert job.store.get(ContentId.parse(manifest.bundle), max_size_bytes=1 << 30)

    store.release()
    job.store.collect_garbage(grace_s=0)
    assert job.store.has(own)  # under other labels
    assert job.store.has(ContentId.parse(manifest.bundle))  # as its owner's
    job.store.unpin(job_label(job.owner.ledger, number))
    job.store.collect_garbage(grace_s=0)
    assert not job.store.has(ContentId.parse(manifest.bundle))


def test_a_finished_job_is_let_go(job: SmallJob) -> None:
    ledger, number = job.nodes[0].ledger, job.job_id
    parties = [job.owner, *job.nodes, *job.trainers]
    for party in parties:
        JobStore(job.store, job_label(party.ledger, number)).put(b"shared")
    while not job.reader.job().status.ended:
        job.play_round()
    assert len(job.store.pins()) == len(parties)

    identity = job.nodes[0].identity
    assert identity.bls is not None
    bls = BlsSecretKey.from_bytes(identity.bls)
    duty = NodeDuty(ledger, job.store, job.reader, identity, bls, job.journals[0], 1, lambda event: None)
    assert duty.step()
    assert job_label(ledger, number) not in job.store.pins()
    assert len(release_finished(ledger, job.store)) == len(parties) - 1
    assert job.store.pins() == {}
