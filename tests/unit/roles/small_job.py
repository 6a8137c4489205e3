"""A whole job in one thread: real ledger, storage, cryptography and learning; parties may cheat."""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from zkpfl.crypto.bls import (
    BlsSecretKey,
    aggregate_signatures,
    attestation_digest,
    possession_digest,
    signature_to_ledger,
)
from zkpfl.crypto.encoding import encode_integers, encode_update
from zkpfl.crypto.sealing import seal
from zkpfl.crypto.transcript import Context
from zkpfl.learning.bundle import Bundle
from zkpfl.learning.heart_disease import heart_disease, heart_disease_bundle
from zkpfl.learning.records import Records
from zkpfl.learning.statistics import local_statistics, to_fixed
from zkpfl.learning.training import local_seed, train_locally
from zkpfl.ledger.client import LedgerClient, deploy
from zkpfl.ledger.embedded import EmbeddedLedger
from zkpfl.ledger.in_process import InProcessConnection
from zkpfl.ledger.records import MPC, DeploymentTerms, Durations, Round, RoundKind
from zkpfl.ledger.rules import score_commitment, slice_due
from zkpfl.protocol.aggregate import PublicAggregate
from zkpfl.protocol.manifests import AggregateManifest, KeyManifest, SubmissionManifest
from zkpfl.protocol.plan import RoundPlan, bitmap_of
from zkpfl.protocol.trainer import PreparedSubmission, prepare_submission
from zkpfl.protocol.zk_node import NodeRound
from zkpfl.roles.identity import Identity
from zkpfl.roles.job_reader import JobReader
from zkpfl.roles.journal import SqliteReleaseJournal
from zkpfl.roles.layouts import fixed_point
from zkpfl.roles.member import Member, rounding_seed
from zkpfl.roles.model_owner import JobOrder, ModelOwnerRole
from zkpfl.roles.network import Network
from zkpfl.roles.store_place import LocalPlace
from zkpfl.storage.cid import ContentId
from zkpfl.storage.local import LocalStore

CHAIN_ID = 31337
NOW = 1_800_000_000
STAKE = 500 * MPC
JOB_KEY = bytes(range(32))
SALT = b"s" * 32
NODES, TRAINERS = 3, 2


@dataclass
class Party:
    identity: Identity
    ledger: LedgerClient


class SmallJob:
    """A statistics round and ``rounds`` training rounds of two hospitals and three zk-nodes.

    Honest as it stands; tests override the methods that begin with ``make_``, and ``before_``.
    """

    trainer_count = TRAINERS

    deployment = DeploymentTerms(challenge_s=0)  # the clock stands still

    def __init__(
        self,
        folder: Path,
        rounds: int = 1,
        bundle: Bundle | None = None,
        records: list[Records] | None = None,
    ) -> None:
        (folder / "ledger").mkdir(parents=True)
        self.folder = folder
        self.content: dict[str, ContentId] = {}
        self.chain = EmbeddedLedger(folder / "ledger" / "chain.db", CHAIN_ID, clock=lambda: NOW)
        self.store = LocalStore(folder / "store")
        deployer = Identity.generate(with_bls=False)
        self.treasury = deploy(InProcessConnection(self.chain, deployer.account), self.deployment)
        self.contract = self.treasury.contract
        Network("http://127.0.0.1:8545", CHAIN_ID, self.contract, LocalPlace(Path("store"))).save(
            folder / "network.json"
        )
        self.nodes = [self._register_node(self._party(with_bls=True)) for _ in range(NODES)]
        self.trainers = [self._register_trainer(self._party()) for _ in range(self.trainer_count)]
        self.hospitals = records or [hospital.train for hospital in heart_disease(0)[: self.trainer_count]]
        self.bundle = bundle or heart_disease_bundle(0, private=False)
        self.owner = self._party()
        self.job_id = self._submit_job(rounds)
        self._draw()
        self.reader = JobReader(self.owner.ledger, self.store, self.job_id)
        self._admit_trainers()
        self.member = Member(self.reader, self.store, JOB_KEY, lambda fault: None)
        self.journals = [SqliteReleaseJournal(folder / f"node-{index}.db") for index in range(NODES)]

    def close(self) -> None:
        for journal in self.journals:
            journal.close()
        self.chain.close()

    def run(self) -> None:
        """Play every round, then take the money."""
        while not self.reader.job().status.ended:
            self.play_round()
        for party in [self.owner, *self.nodes, *self.trainers]:
            if self.treasury.owed(self.job_id, party.identity.account.address):
                party.ledger.claim(self.job_id)
        self.close()

    def play_round(self) -> None:
        plan, kind, nodes = self.play_to_aggregate()
        self._aggregate(plan, nodes)
        if kind is RoundKind.TRAINING:
            self._score(plan.context.round)

    def play_to_aggregate(self) -> tuple[RoundPlan, RoundKind, list[NodeRound]]:
        """Play Collect and Check; every zk-node accepts every trainer."""
        job = self.reader.job()
        number = job.current_round
        kind = self.reader.round(number).kind
        self.member.catch_up(replace(job, current_round=number - 1))
        plan = self.reader.plan(job, self.reader.round(number))
        nodes = [self._node_round(plan, index) for index in range(NODES)]
        for trainer in range(self.trainer_count):
            self._submit(plan, kind, nodes, trainer)
        roots = {i: s.commitment_root for i, s in self.treasury.submissions(self.job_id, number).items()}
        for node, party in zip(nodes, self.nodes, strict=True):
            party.ledger.report(self.job_id, number, node.report(roots).accepted)
        return plan, kind, nodes

    def _put(self, kind: str, data: bytes) -> ContentId:
        """Store, and remember the last content of each kind."""
        self.content[kind] = self.store.put(data)
        return self.content[kind]

    # What cheaters override

    def make_submission(self, plan: RoundPlan, kind: RoundKind, trainer: int) -> PreparedSubmission:
        return self.prepare(plan, kind, trainer)

    def make_manifest(self, trainer: int, manifest: SubmissionManifest) -> SubmissionManifest:
        return manifest

    def make_post(self, node: int, manifest: AggregateManifest) -> AggregateManifest:
        return manifest

    def make_aggregate_root(self, public: PublicAggregate) -> bytes:
        return public.root

    def make_score(self, checkpoint: bytes, accuracy_ppm: int) -> tuple[bytes, int]:
        return checkpoint, accuracy_ppm

    def before_score(self, trainer: int, round_: Round) -> None:
        pass

    def before_reveal(self, trainer: int, round_: Round) -> None:
        pass

    # The parties

    def _party(self, *, with_bls: bool = False) -> Party:
        identity = Identity.generate(with_bls=with_bls)
        self.treasury.token.transfer(identity.account.address, 2 * STAKE)
        return Party(identity, LedgerClient(InProcessConnection(self.chain, identity.account), self.contract))

    def _register_node(self, party: Party) -> Party:
        bls, account = BlsSecretKey.from_bytes(party.identity.bls), party.identity.account
        digest = possession_digest(CHAIN_ID, self.contract, account.address, bls.public)
        possession = signature_to_ledger(bls.prove_possession(digest))
        encryption = party.identity.encryption.public
        party.ledger.register_node(bls.public.to_ledger(), possession, encryption, "127.0.0.1:1", STAKE)
        return party

    def _register_trainer(self, party: Party) -> Party:
        party.ledger.register_trainer(party.identity.encryption.public, STAKE)
        return party

    def _submit_job(self, rounds: int) -> int:
        order = JobOrder(
            fee=100 * MPC,
            training_rounds=rounds,
            target_ppm=990_000,
            baseline_ppm=500_000,
            threshold=2,
            quorum=2,
            max_trainers=self.trainer_count,
            durations=Durations(60, 60, 60, 60, 60, 60, 60),
            deadline=NOW + 3600,
            nodes=NODES,
        )
        return self._owner_role().submit(self.bundle, order, JOB_KEY)

    def _owner_role(self) -> ModelOwnerRole:
        return ModelOwnerRole(self.owner.ledger, self.store, self.owner.identity, lambda event: None)

    def _draw(self) -> None:
        """Draw the committee; node j is then ``nodes[j − 1]``."""
        self.owner.ledger.advance(self.job_id)
        committee = self.owner.ledger.job(self.job_id).committee
        self.nodes.sort(key=lambda party: committee.index(party.identity.account.address))

    def _admit_trainers(self) -> None:
        self._owner_role().hand_over(self.job_id, JOB_KEY, threading.Event())
        for party in self.trainers:
            party.ledger.join(self.job_id)
        digest = self.owner.ledger.key_shares(self.job_id)
        assert digest is not None
        self.content["key_manifest"] = ContentId.from_digest(digest)
        handed_over = KeyManifest.from_bytes(self.reader.content_by_digest(digest))
        self.content["key_share"] = ContentId.parse(handed_over.shares[-1])
        self.content["job_manifest"] = ContentId.from_digest(self.reader.job().terms.manifest)
        self.content["bundle"] = ContentId.parse(self.reader.manifest.bundle)
        self.content["test_slice"] = ContentId.parse(self.reader.manifest.test_slices[0])

    # A round

    def _node_round(self, plan: RoundPlan, index: int) -> NodeRound:
        identity = self.nodes[index].identity
        return NodeRound(plan, index + 1, identity.account, identity.encryption, self.store)

    def _values(self, plan: RoundPlan, kind: RoundKind, trainer: int) -> np.ndarray:
        records, member = self.hospitals[trainer], self.member
        if kind is RoundKind.STATISTICS:
            return encode_integers(to_fixed(local_statistics(records.features)), plan.layout.value_bits)
        number = member.training_rounds + 1
        update = train_locally(
            member.model,
            member.weights,
            member.standardized(records),
            self.bundle.recipe,
            seed=local_seed(0, number, trainer),
        )
        seed = rounding_seed(0, number, trainer)
        return encode_update(update, fixed_point(self.bundle), plan.rotation_seed, seed)

    def prepare(self, plan: RoundPlan, kind: RoundKind, trainer: int) -> PreparedSubmission:
        """A trainer's submission, with fresh randomness."""
        values = self._values(plan, kind, trainer)
        return prepare_submission(plan, self.trainers[trainer].identity.account, values)

    def store_submission(self, submission: PreparedSubmission, trainer: int = 0) -> bytes:
        """Store a submission and its manifest; returns the manifest's digest."""
        commitments = str(self._put("commitments", submission.commitments))
        blobs = [str(self._put("share_blob", share.blob)) for share in submission.shares]
        manifest = self.make_manifest(trainer, submission.manifest(commitments, blobs))
        return self._put("submission_manifest", manifest.to_bytes()).digest

    def _submit(self, plan: RoundPlan, kind: RoundKind, nodes: list[NodeRound], trainer: int) -> None:
        submission = self.make_submission(plan, kind, trainer)
        for node, share in zip(nodes, submission.shares, strict=True):
            node.receive_share(share.signed, submission.commitments, share.blob)
        digest = self.store_submission(submission, trainer)
        ledger = self.trainers[trainer].ledger
        ledger.submit(self.job_id, plan.context.round, submission.commitment_root, digest)

    def _aggregate(self, plan: RoundPlan, nodes: list[NodeRound]) -> None:
        number = plan.context.round
        accepted = self.treasury.round(self.job_id, number).accepted
        for node, party, journal in zip(nodes, self.nodes, self.journals, strict=True):
            share = node.release(accepted, journal)
            honest = share.manifest(node.node, str(self._put("aggregate_blob", share.blob)))
            manifest = self.make_post(node.node, honest)
            digest = self._put("aggregate_manifest", manifest.to_bytes()).digest
            party.ledger.post_aggregate(self.job_id, number, manifest.share_root, digest)
        root, everyone = (
            self.make_aggregate_root(nodes[0].public_aggregate(accepted)),
            bitmap_of(range(NODES)),
        )
        posts = self.treasury.round(self.job_id, number).posts
        digest = attestation_digest(plan.context, accepted, root, everyone, posts)
        keys = [BlsSecretKey.from_bytes(party.identity.bls) for party in self.nodes]
        signature = signature_to_ledger(aggregate_signatures([key.sign(digest) for key in keys]))
        self._open_slice(number)
        self.nodes[0].ledger.attest(self.job_id, number, root, everyone, everyone, signature)

    def _open_slice(self, number: int) -> None:
        job = self.reader.job()
        if self.reader.round(number).kind is RoundKind.TRAINING and slice_due(
            job.trained, job.slices_opened, job.terms
        ):
            keys = self._owner_role()._slice_keys(self.reader.manifest.bundle, job.terms.slices)
            self.owner.ledger.open_slice(self.job_id, number, keys[job.slices_opened])

    def _score(self, number: int) -> None:
        round_ = self.reader.round(number)
        candidate = self.member.candidate(self.reader.job(), number, round_)
        context = b"checkpoint" + self.reader.plan(self.reader.job(), round_).context.to_bytes()
        self._put("checkpoint", seal(JOB_KEY, candidate.checkpoint, context=context))
        checkpoint, accuracy = self.make_score(candidate.checkpoint_hash, candidate.accuracy_ppm)
        context_of_round = Context(CHAIN_ID, self.contract, self.job_id, number)
        for trainer, party in enumerate(self.trainers):
            address = party.identity.account.address
            commitment = score_commitment(context_of_round, address, checkpoint, accuracy, SALT)
            self.before_score(trainer, round_)
            party.ledger.score(self.job_id, number, commitment)
        round_ = self.reader.round(number)
        for trainer, party in enumerate(self.trainers):
            self.before_reveal(trainer, round_)
            party.ledger.reveal(self.job_id, number, checkpoint, accuracy, SALT)
