"""From what lies in storage to a verdict: the roles' and the commands' way to the judge."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.ledger.conftest import running
from tests.unit.roles.small_job import CHAIN_ID, JOB_KEY, NODES, Party, SmallJob

from zkpfl.cli.app import run
from zkpfl.crypto.bls import BlsSecretKey, attestation_digest, signature_to_ledger
from zkpfl.crypto.merkle import commitment_root, hash_blob, share_root
from zkpfl.crypto.points import G1Array
from zkpfl.crypto.scalars import Scalars
from zkpfl.crypto.sealing import member_key, open_from, seal_to
from zkpfl.crypto.transcript import Context
from zkpfl.errors import InvalidParameter
from zkpfl.ledger.events import Convicted
from zkpfl.ledger.records import DeploymentTerms
from zkpfl.protocol.aggregate import PublicAggregate
from zkpfl.protocol.manifests import AggregateManifest, SubmissionManifest
from zkpfl.protocol.messages import MessageKind, ShareMessage
from zkpfl.protocol.shares import decode_matrix, encode_matrix
from zkpfl.roles.accusation import Accuser
from zkpfl.roles.audit_money import audit_settlement
from zkpfl.roles.audit_report import Findings
from zkpfl.roles.network import Network
from zkpfl.roles.secret_file import write_secret
from zkpfl.roles.store_place import LocalPlace
from zkpfl.storage.cid import ContentId

BAD = 3
"""The zk-node that gets a bad share from trainer 0, and that posts a bad sum."""


def changed(rows: Scalars) -> Scalars:
    false = rows.copy()
    false[0, 3, 0] ^= np.uint64(1)
    return false


class Cheaters(SmallJob):
    """One round in which trainer 0, zk-node 3 and the signers cheat; the others go along with it."""

    deployment = DeploymentTerms()
    false_points: G1Array

    def make_manifest(self, trainer: int, manifest: SubmissionManifest) -> SubmissionManifest:
        if trainer:
            return manifest
        self.round_plan = self.reader.plan(self.reader.job(), self.reader.round(1))
        identity, party = self.nodes[BAD - 1].identity, self.trainers[0].identity.account
        context = self.round_plan.share_context(party.address, BAD)
        entry = manifest.shares[BAD - 1]
        sealed = self.store.get(ContentId.parse(entry.blob), max_size_bytes=1 << 30)
        plaintext = open_from(identity.encryption, sealed, context=context)
        rows = changed(decode_matrix(self.round_plan, plaintext))
        blob = seal_to(identity.encryption.public, encode_matrix(rows), context=context)
        points = self.store.get(ContentId.parse(manifest.commitments), max_size_bytes=1 << 30)
        root = commitment_root(G1Array.decode(points[: self.round_plan.points_bytes]))
        message = ShareMessage(
            self.round_plan.context, party.address, BAD, root, share_root(rows), hash_blob(blob)
        )
        signature = message.sign(MessageKind.SHARE, party).signature
        false = replace(
            entry,
            blob=str(self.store.put(blob)),
            blob_hash=message.blob_hash,
            share_root=message.share_root,
            signature=signature,
        )
        return replace(manifest, shares=(*manifest.shares[: BAD - 1], false))

    def make_post(self, node: int, manifest: AggregateManifest) -> AggregateManifest:
        if node != BAD:
            return manifest
        key, context = member_key(JOB_KEY), self.round_plan.aggregate_share_context(BAD)
        sealed = self.store.get(ContentId.parse(manifest.blob), max_size_bytes=1 << 30)
        rows = changed(decode_matrix(self.round_plan, open_from(key, sealed, context=context)))
        blob = seal_to(key.public, encode_matrix(rows), context=context)
        return replace(
            manifest,
            blob=str(self.store.put(blob)),
            blob_hash=hash_blob(blob),
            share_root=share_root(rows),
        )

    def make_aggregate_root(self, public: PublicAggregate) -> bytes:
        self.false_points = G1Array.concatenate([public.sums[1:], public.sums[:1]])
        return commitment_root(self.false_points)

    def accuser(self, party: Party, told: list[str]) -> Accuser:
        return Accuser(
            party.ledger, self.store, self.job_id, 1, lambda event: told.append(str(event.to_dict()))
        )


@pytest.fixture
def cheaters(tmp_path: Path) -> Iterator[Cheaters]:
    job = Cheaters(tmp_path)
    job.play_round()
    yield job
    job.close()


def convicted(job: SmallJob) -> list[bytes]:
    return [event.account for event in job.treasury.events(job.job_id) if isinstance(event, Convicted)]


def test_whoever_cheats_is_convicted_from_what_lies_in_storage(cheaters: Cheaters) -> None:
    told: list[str] = []
    node, member = cheaters.nodes[BAD - 1], cheaters.trainers[1]
    accuser = cheaters.accuser(node, told)
    assert accuser.accuse_trainer(0, BAD, node.identity.encryption)
    with pytest.raises(InvalidParameter, match="nothing to judge"):
        accuser.accuse_trainer(1, BAD, node.identity.encryption)
    by_member = cheaters.accuser(member, told)
    assert by_member.accuse_node(BAD, JOB_KEY)
    with pytest.raises(InvalidParameter, match="nothing to judge"):
        by_member.accuse_node(1, JOB_KEY)
    assert by_member.accuse_signers(cheaters.false_points.encode())
    expected = [cheaters.trainers[0], node, *cheaters.nodes[: NODES - 1]]
    assert convicted(cheaters) == [party.identity.account.address for party in expected]
    assert len(told) > 4
    findings = Findings()
    job = cheaters.reader.job()
    audit_settlement(cheaters.treasury, job, cheaters.treasury.events(job.id), findings)
    assert [check for check in findings.checks if not check.ok] == []


def test_the_commands_bring_evidence_before_the_judge(
    cheaters: Cheaters, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with running(cheaters.chain) as url:
        network, key = tmp_path / "net.json", tmp_path / "job.key"
        Network(url, CHAIN_ID, cheaters.contract, LocalPlace(tmp_path / "store")).save(network)
        write_secret(key, json.dumps({"format": "zkpfl-job-key-1", "key": JOB_KEY.hex()}), field="job key")
        files = {}
        for name, party in (("node", cheaters.nodes[BAD - 1]), ("member", cheaters.trainers[1])):
            files[name] = tmp_path / f"{name}.json"
            party.identity.save(files[name])
        points = tmp_path / "points"
        points.write_bytes(cheaters.false_points.encode())
        statements = [write_attestation(cheaters, tmp_path, accepted) for accepted in (1, 2)]

        def dispute(*arguments: str, by: str) -> int:
            return run(
                ["dispute", *arguments, "--network", str(network), "--identity", str(files[by]), "--json"]
            )

        assert dispute("share", "1", "1", "0", by="node") == 0
        assert dispute("share", "1", "1", "1", by="node") == 4
        assert dispute("share", "1", "1", "1", by="member") == 4
        assert dispute("aggregate", "1", "1", str(BAD), "--job-key", str(key), by="member") == 0
        assert dispute("equivocation", "1", "1", "1", *statements, by="member") == 0
        assert dispute("equivocation", "1", "1", "1", statements[0], by="member") == 0
        assert dispute("equivocation", "1", "1", "1", *statements, statements[0], by="member") == 4
        assert dispute("equivocation", "1", "1", "1", str(points), by="member") == 4
        assert dispute("attestation", "1", "1", str(tmp_path / "none"), by="member") == 4
        assert dispute("attestation", "1", "1", str(points), by="member") == 0
        assert dispute("dismiss", "1", by="member") == 4
    results = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert sum(line == {"guilty": True} for line in results) == 5
    assert len(convicted(cheaters)) == 4


def write_attestation(job: Cheaters, folder: Path, accepted: int) -> str:
    """Node 1 attests a set."""
    context = Context(CHAIN_ID, job.contract, job.job_id, 1)
    digest = attestation_digest(context, accepted, bytes(32), 1, bytes(32))
    signature = BlsSecretKey.from_bytes(job.nodes[0].identity.bls).sign(digest)
    value = {
        "accepted": accepted,
        "aggregate_root": bytes(32).hex(),
        "valid": 1,
        "posts": bytes(32).hex(),
        "signature": signature_to_ledger(signature).hex(),
    }
    path = folder / f"attestation-{accepted}.json"
    path.write_text(json.dumps(value))
    return str(path)
