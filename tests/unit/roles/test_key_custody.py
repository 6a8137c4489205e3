"""Who gets which share of a job's keys, and what fewer than t of them are good for."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import pytest
from tests.unit.roles.small_job import CHAIN_ID, JOB_KEY, NODES, Party, SmallJob

from zkpfl.crypto.key_sharing import key_digest, recover_key
from zkpfl.crypto.sealing import open_from, open_sealed
from zkpfl.crypto.transcript import Context
from zkpfl.errors import CorruptContent, NotAuthorized, WrongPhase
from zkpfl.ledger.records import Phase, RoundKind
from zkpfl.roles.key_custody import KeyCustodian, releasing_context
from zkpfl.roles.member import BUNDLE_CONTEXT


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmallJob]:
    job = SmallJob(tmp_path_factory.mktemp("job"))
    yield job
    job.close()


def custodian(job: SmallJob, node: int) -> KeyCustodian:
    party = job.nodes[node - 1]
    return KeyCustodian(party.ledger, job.store, job.reader, party.identity.encryption, node)


def opened(job: SmallJob, node: int, party: Party, number: int, sealed: bytes) -> bytes:
    context = Context(CHAIN_ID, job.contract, job.job_id, 0)
    account = party.identity.account.address
    opening = releasing_context(context, node, account, number)
    return open_from(party.identity.encryption, sealed, context=opening)


def test_a_trainer_that_has_joined_gets_shares_of_the_job_key(job: SmallJob) -> None:
    trainer = job.trainers[0]
    account = trainer.identity.account.address
    announced = job.reader.manifest.keys
    shares = {
        node: opened(job, node, trainer, 0, custodian(job, node).release(account, 0))
        for node in range(1, NODES + 1)
    }
    is_key = lambda key: key_digest(key) == announced.digest  # noqa: E731
    for pair in ((1, 2), (1, 3), (2, 3)):
        assert recover_key(announced.mask, {node: shares[node] for node in pair}, 2, is_key) == JOB_KEY


def test_only_the_account_can_open_what_is_released_to_it(job: SmallJob) -> None:
    account = job.trainers[0].identity.account.address
    sealed = custodian(job, 1).release(account, 0)
    for other in (job.trainers[1], job.nodes[1], job.owner):
        with pytest.raises(CorruptContent):
            opened(job, 1, other, 0, sealed)
    with pytest.raises(CorruptContent):  # nor is it good in another place
        opened(job, 2, job.trainers[0], 0, sealed)


def test_nobody_else_gets_the_job_key(job: SmallJob) -> None:
    stranger = job._register_trainer(job._party())  # registered and staked, but not in this job
    for party in (stranger, job.owner, job.nodes[1]):
        with pytest.raises(NotAuthorized, match="not a trainer of job 1"):
            custodian(job, 1).release(party.identity.account.address, 0)


def test_fewer_than_t_zk_nodes_cannot_decrypt_the_bundle(job: SmallJob) -> None:
    """One of two that are needed tries everything that its share gives it."""
    announced = job.reader.manifest.keys
    share = custodian(job, 1).share(0)
    digests = (announced.digest, *announced.shares)
    guesses = [share, announced.mask, bytes(a ^ b for a, b in zip(share, announced.mask, strict=True))]
    assert recover_key(announced.mask, {1: share}, 2, lambda _key: True) is None
    recover_key(announced.mask, {1: share}, 1, lambda key: bool(guesses.append(key)))
    for digest in digests:  # public values in the place of the other share
        wrong = (int.from_bytes(digest, "big") >> 2).to_bytes(32, "big")
        recover_key(announced.mask, {1: share, 2: wrong}, 2, lambda key: bool(guesses.append(key)))
    sealed = job.store.get(job.content["bundle"], max_size_bytes=1 << 30)
    assert open_sealed(JOB_KEY, sealed, context=BUNDLE_CONTEXT)
    for guess in guesses:
        with pytest.raises(CorruptContent):
            open_sealed(guess, sealed, context=BUNDLE_CONTEXT)


def test_the_key_of_a_slice_is_for_zk_nodes_once_it_is_due(tmp_path: Path) -> None:
    job = SmallJob(tmp_path)
    peer, account = job.nodes[1], job.nodes[1].identity.account.address
    with pytest.raises(WrongPhase, match="not due"):
        custodian(job, 1).release(account, 1)
    job.play_round()
    assert job.reader.round(2).kind is RoundKind.TRAINING
    with pytest.raises(WrongPhase, match="not due"):  # updates are still coming in
        custodian(job, 1).release(account, 1)
    job.play_to_aggregate()
    assert job.reader.round(2).phase is Phase.AGGREGATE
    share = opened(job, 1, peer, 1, custodian(job, 1).release(account, 1))
    assert share == custodian(job, 1).share(1)
    for number in (2, 7):
        with pytest.raises(WrongPhase, match="not due"):
            custodian(job, 1).release(account, number)
    with pytest.raises(NotAuthorized, match="not in the committee"):
        custodian(job, 1).release(job.trainers[0].identity.account.address, 1)
    job.close()


def test_before_the_owner_has_handed_over_there_is_nothing_to_release(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("zkpfl.ledger.client.LedgerClient.key_shares", lambda *_: None)
    monkeypatch.setattr(SmallJob, "_admit_trainers", lambda self: self.trainers[0].ledger.join(self.job_id))
    job = SmallJob(tmp_path)
    with pytest.raises(WrongPhase, match="not handed out"):
        custodian(job, 1).release(job.trainers[0].identity.account.address, 0)
    job.close()


def spellings(secret: bytes) -> Iterator[bytes]:
    """A secret as it is, and as somebody would print it."""
    yield secret
    yield secret.hex().encode()
    yield base64.b64encode(secret).rstrip(b"=")[:-1]
    yield base64.b32encode(secret).rstrip(b"=")[:-1]


def test_neither_storage_nor_ledger_hold_model_update_share_or_key_in_the_clear(tmp_path: Path) -> None:
    job = SmallJob(tmp_path)
    shares = [custodian(job, node).share(number) for node, number in product((1, 2, 3), (0, 1))]
    updates, prepare = [], job.prepare

    def recorded(plan: object, kind: RoundKind, trainer: int) -> object:
        submission = prepare(plan, kind, trainer)  # type: ignore[arg-type]
        updates.append(job._values(plan, kind, trainer).tobytes())  # type: ignore[arg-type]
        return submission

    job.prepare = recorded  # type: ignore[method-assign, assignment]
    job.run()
    weights = job.member.weights.tobytes()
    secrets = {
        "job key": JOB_KEY,
        "graph": job.bundle.graph[:64],
        "initial weights": job.bundle.weights[-64:],
        "final weights": weights[-64:],
        **{f"share {index}": share for index, share in enumerate(shares)},
        **{f"update {index}": update[:64] for index, update in enumerate(updates)},
        **{f"records {index}": part.features.tobytes()[:64] for index, part in enumerate(job.hospitals)},
        **{f"key of {party}": party.identity.encryption.to_bytes() for party in (*job.nodes, *job.trainers)},
    }
    assert len(updates) == 4
    stored = {path.name: path.read_bytes() for path in sorted(tmp_path.rglob("*")) if path.is_file()}
    found = [
        (name, file)
        for (file, content), (name, secret) in product(stored.items(), secrets.items())
        if any(spelling in content for spelling in spellings(secret))
    ]
    assert not found
    owner = job.owner.identity.account.address
    assert any(owner in content for content in stored.values()), "what is public is found"
