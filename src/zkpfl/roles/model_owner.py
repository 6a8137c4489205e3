"""A model owner's process: submit a job, hand its keys to the committee, follow it, keep the result."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from zkpfl.crypto.merkle import keccak256
from zkpfl.crypto.sealing import derive_key, member_key, seal
from zkpfl.crypto.transcript import Context
from zkpfl.errors import InvalidParameter, ProtocolFault, StorageError, ZkpflError
from zkpfl.learning.bundle import Bundle
from zkpfl.learning.recipe import PPM
from zkpfl.learning.records import Records
from zkpfl.learning.slices import seal_slice, slice_count, split
from zkpfl.learning.weights import checkpoint_bytes
from zkpfl.ledger.client import LedgerClient
from zkpfl.ledger.records import MPC_COIN, Durations, Job, JobStatus, JobTerms, Phase
from zkpfl.ledger.rules import slice_keys
from zkpfl.params import Committee
from zkpfl.protocol.manifests import JobManifest
from zkpfl.roles.claiming import claim_or_tell
from zkpfl.roles.events import Reporter, RoleEvent, Value, fault_event
from zkpfl.roles.identity import Identity
from zkpfl.roles.job_reader import JobReader
from zkpfl.roles.job_storage import JobStore, job_label, keep_job_content, release_if_over
from zkpfl.roles.key_custody import OwnerKeys, bundle_hash
from zkpfl.roles.layouts import statistics_layout, training_layout
from zkpfl.roles.loop import RoleLoop, advance_if_due
from zkpfl.roles.member import BUNDLE_CONTEXT, Member
from zkpfl.roles.privacy_budget import noise_quorum, require_budget, require_committee
from zkpfl.storage.store import Store

PATIENCE_S = 4.0


@dataclass(frozen=True)
class JobOrder:
    """What an owner asks for; amounts in base units, accuracies in parts per million.

    Parameters
    ----------
    fee, coin
        What the job can pay, and the listed coin in which.
    training_rounds
        Most training rounds.
    target_ppm, baseline_ppm
        Accuracy that ends the job, and the one from which improvement is paid.
    threshold, quorum, max_trainers
        See docs/spec.md §9.2.
    durations
        Of each phase.
    deadline
        Of the job, seconds of Unix time.
    nodes
        Size of the committee that is drawn.
    slices
        Into how many slices the test set is split; None for as many as say something.
    """

    fee: int
    training_rounds: int
    target_ppm: int
    baseline_ppm: int
    threshold: int
    quorum: int
    max_trainers: int
    durations: Durations
    deadline: int
    nodes: int
    slices: int | None = None
    coin: int = MPC_COIN


@dataclass(frozen=True)
class JobResult:
    """How a job ended.

    Parameters
    ----------
    job
        The job on the ledger.
    checkpoint
        safetensors of the last scored weights, confidential; None if no round was scored.
    statistics
        Common count, means and standard deviations; None without a statistics round.
    error
        Why the result is not what the ledger says, or is missing; None if all could be followed.
    """

    job: Job
    checkpoint: bytes | None
    statistics: dict[str, Any] | None
    error: ProtocolFault | None = None


class ModelOwnerRole:
    """Submits and follows jobs.

    Parameters
    ----------
    ledger
        Client with the owner's account.
    store
        Content-addressed storage.
    identity
        The owner's account.
    report
        Told of progress and faults.
    """

    def __init__(self, ledger: LedgerClient, store: Store, identity: Identity, report: Reporter) -> None:
        self._ledger = ledger
        self._store = store
        self._identity = identity
        self._report = report

    def submit(self, bundle: Bundle, order: JobOrder, job_key: bytes) -> int:
        """Seal and store bundle and test set, pay fee and draw fee; returns the job's number.

        Parameters
        ----------
        bundle
            Model, recipe and test set. A target that the recipe states becomes that of the order.
        order
            Terms and committee.
        job_key
            32 bytes from `roles.job_key`, saved by the caller before. Secret.

        Raises
        ------
        InvalidParameter
            There are not so many slices in the test set, fewer zk-nodes are registered than asked for, or the
            rounds pass the privacy budget of the recipe.
        """
        self.require_nodes(order)
        require_budget(bundle.recipe.privacy, order.training_rounds)
        require_committee(bundle.recipe.privacy, Committee(order.nodes, order.threshold))
        bundle = _with_target(bundle, order.target_ppm)
        confidential = replace(bundle, test_set=None).to_bytes()
        content_id = str(self._store.put(seal(job_key, confidential, context=BUNDLE_CONTEXT)))
        slices = self._slices(bundle, order)
        keys = self._slice_keys(content_id, len(slices))
        committee = Committee(order.nodes, order.threshold)
        manifest = JobManifest(
            bundle=content_id,
            bundle_hash=bundle_hash(job_key, confidential),
            keys=self._keys(content_id, job_key, keys, committee).announcement(),
            training=training_layout(bundle, order.max_trainers, order.nodes)
            if order.training_rounds
            else None,
            statistics=statistics_layout(bundle, order.max_trainers),
            test_slices=tuple(
                str(self._store.put(seal_slice(records, number, key, job_key)))
                for number, (records, key) in enumerate(zip(slices, keys, strict=True), start=1)
            ),
            privacy=bundle.recipe.privacy,
        )
        worth = self._ledger.worth(order.coin, order.fee)
        terms = JobTerms(
            training_rounds=order.training_rounds,
            statistics=manifest.statistics is not None,
            target=order.target_ppm,
            baseline=order.baseline_ppm,
            threshold=order.threshold,
            quorum=order.quorum,
            max_trainers=order.max_trainers,
            durations=order.durations,
            deadline=order.deadline,
            manifest=self._store.put(manifest.to_bytes()).digest,
            member_key=member_key(job_key).public,
            statistics_layout=manifest.statistics.shape if manifest.statistics else 0,
            training_layout=manifest.training.shape if manifest.training else 0,
            slices=len(slices),
            slice_records=len(slices[0].labels) if slices else 0,
            slice_anchor=keccak256(keys[0]) if keys else bytes(32),
            # so much that neither t zk-nodes nor a quorum of trainers gain by giving up their stakes
            node_stake=max(self._ledger.min_node_stake, -(-worth // order.threshold)),
            trainer_stake=max(self._ledger.min_trainer_stake, -(-worth // order.quorum)),
            noise_quorum=noise_quorum(bundle.recipe.privacy),
        )
        job_id = self._ledger.create_job(terms, order.nodes, order.fee, order.coin)
        self._report(RoleEvent("job_created", job_id, fields={"fee": str(order.fee)}))
        return job_id

    def require_nodes(self, order: JobOrder) -> None:
        """Raise `InvalidParameter` if fewer zk-nodes are registered than the order asks for."""
        registered = len(self._ledger.nodes())
        if registered < order.nodes:
            text = f"{order.nodes} zk-nodes are asked for, {registered} are registered"
            raise InvalidParameter(text, field="nodes", hint="start more, ask for fewer, or use --wait")

    def _slices(self, bundle: Bundle, order: JobOrder) -> list[Records]:
        test_set, rounds = bundle.test_set, order.training_rounds
        records = 0 if test_set is None else len(test_set.labels)
        count = slice_count(records, rounds) if order.slices is None else order.slices
        if not 0 <= count <= min(rounds, records):
            text = f"must be 0 to {min(rounds, records)}, one a training round and of one record at least"
            raise InvalidParameter(text, field="slices")
        return [] if test_set is None or not count else split(test_set, count)

    def _slice_keys(self, bundle: str, count: int) -> list[bytes]:
        """Keys of the slices of a job's test set: the same again for a process that was restarted."""
        if not count:
            return []
        secret = self._identity.encryption.to_bytes()
        return slice_keys(derive_key(secret, purpose="test-slices", context=bundle.encode()), count)

    def _keys(
        self, bundle: str, job_key: bytes, slice_keys: Sequence[bytes], committee: Committee
    ) -> OwnerKeys:
        """A job's keys in shares: the same again for a process that was restarted."""
        secret = derive_key(
            self._identity.encryption.to_bytes(), purpose="key-shares", context=bundle.encode()
        )
        return OwnerKeys(job_key, slice_keys, committee, secret)

    def hand_over(self, job_id: int, job_key: bytes, stop: threading.Event) -> Job:
        """Have the committee drawn and hand it its shares of the keys: from then on the job needs no owner.

        Returns the job as it then is, also if it has ended by then or ``stop`` is set.
        """
        reader = JobReader(self._ledger, self._store, job_id)
        duty = self._duty(reader, job_key)
        RoleLoop(self._ledger, stop, self._report).run(lambda: duty.hand_over(reader.job()))
        return reader.job()

    def follow(self, job_id: int, job_key: bytes, stop: threading.Event) -> JobResult:
        """See a job through: draw, hand over the keys, follow rounds, take the refund.

        Returns when the job has ended. A job whose committee has a zk-node to which nobody can seal is
        cancelled.
        A fault of others does not keep the owner from the end of the job and its money: it is reported, and
        in the result.
        """
        reader = JobReader(self._ledger, self._store, job_id)
        duty = self._duty(reader, job_key)
        RoleLoop(self._ledger, stop, self._report).run(duty.step)
        job = self._ledger.job(job_id)
        if job.status.ended:
            claim_or_tell(self._ledger, job, stop, self._report)
            release_if_over(self._ledger, JobStore(self._store, job_label(self._ledger, job_id)), job)
        return JobResult(job, duty.checkpoint, duty.statistics, duty.error)

    def _duty(self, reader: JobReader, job_key: bytes) -> _OwnerDuty:
        manifest, terms = reader.manifest, reader.job().terms
        slice_keys = self._slice_keys(manifest.bundle, len(manifest.test_slices))
        committee = Committee(len(manifest.keys.shares), terms.threshold)
        keys = self._keys(manifest.bundle, job_key, slice_keys, committee)
        store = JobStore(self._store, job_label(self._ledger, reader.job_id))
        try:
            keep_job_content(reader, store, self._ledger.key_shares(reader.job_id))
        except StorageError as error:  # lost here; zk-nodes keep it too
            self._report(fault_event(error, reader.job_id, None))
        return _OwnerDuty(self._ledger, store, self._report, reader, job_key, keys)


class _OwnerDuty:
    """The owner's part in one job."""

    def __init__(
        self,
        ledger: LedgerClient,
        store: JobStore,
        report: Reporter,
        reader: JobReader,
        job_key: bytes,
        keys: OwnerKeys,
    ) -> None:
        self._ledger = ledger
        self._store = store
        self._report = report
        self._job_id = reader.job_id
        self._job_key = job_key
        self._keys = keys
        self._reader = reader
        self._handed_over = False
        self._unsealable: ProtocolFault | None = None
        self._member = Member(reader, store, job_key, self._on_fault)
        self._stored = 0
        self._told = 0
        self.checkpoint: bytes | None = None
        self.error: ProtocolFault | None = None

    @property
    def statistics(self) -> dict[str, Any] | None:
        return self._member.statistics

    def step(self) -> bool:
        job = self._reader.job()
        if not self.hand_over(job):
            return False
        self._follow(job)
        self._tell_of_rounds(job)
        advance_if_due(self._ledger, job, patience_s=PATIENCE_S)
        return job.status.ended

    def hand_over(self, job: Job) -> bool:
        """Have the committee drawn and give it its shares of the keys; returns whether that is done."""
        if job.status is JobStatus.DRAWING:
            advance_if_due(self._ledger, job, patience_s=PATIENCE_S)
            return False
        if not self._handed_over and not job.status.ended:
            if self._ledger.key_shares(self._job_id) is None:
                self._give_keys(job)
            self._handed_over = True
        return True

    def _give_keys(self, job: Job) -> None:
        """Hand over, or cancel a job that nobody would join: nothing can be sealed to one of its zk-nodes."""
        try:
            self._keys.hand_over(self._ledger, self._store, job)
        except ProtocolFault as fault:
            self._on_fault(fault)
            self._unsealable = fault
            self._ledger.cancel_job(self._job_id)
        else:
            self._report(RoleEvent("keys_handed_over", self._job_id, fields={"nodes": len(job.committee)}))

    def _follow(self, job: Job) -> None:
        """Keep the model in step; a fault stays until the ledger and storage can be followed again."""
        try:
            self._member.catch_up(job)
        except ProtocolFault as fault:
            if str(fault) != str(self.error):
                self._on_fault(fault)
            self.error = fault
        else:
            self.error = self._unsealable
            self._keep_checkpoint(job)

    def _tell_of_rounds(self, job: Job) -> None:
        """Report each round that has ended since the last look."""
        while self._told < job.current_round:
            round_ = self._reader.round(self._told + 1)
            if round_.phase not in (Phase.CLOSED, Phase.ABORTED):
                return
            self._told += 1
            fields: dict[str, Value] = {
                "kind": round_.kind.name.lower(),
                "outcome": "closed" if round_.phase is Phase.CLOSED else "failed",
                "accepted": round_.accepted_trainers.bit_count(),
                "trainers": len(job.trainers),
                "accuracy": None if round_.accuracy is None else round_.accuracy / 1e6,
                "epsilon": self._reader.epsilon_after(round_.number),
                "delta": privacy.delta if (privacy := self._reader.manifest.privacy) else None,
            }
            self._report(RoleEvent("round_ended", self._job_id, round_.number, fields))

    def _keep_checkpoint(self, job: Job) -> None:
        """Store the newest scored checkpoint, sealed to the members."""
        if self._member.training_rounds == self._stored or job.checkpoint is None:
            return
        self._stored = self._member.training_rounds
        self.checkpoint = checkpoint_bytes(self._member.model, self._member.weights)
        context = Context(self._ledger.chain_id, self._ledger.contract, self._job_id, job.current_round)
        sealed = seal(self._job_key, self.checkpoint, context=b"checkpoint" + context.to_bytes())
        content_id = str(self._store.put(sealed))
        self._report(RoleEvent("checkpoint", self._job_id, job.current_round, {"content_id": content_id}))

    def _on_fault(self, error: ZkpflError) -> None:
        self._report(fault_event(error, self._job_id, None))


def _with_target(bundle: Bundle, target_ppm: int) -> Bundle:
    """The bundle with the order's target, so that what members read does not contradict the terms."""
    if bundle.recipe.target_ppm in (None, target_ppm):
        return bundle
    return replace(bundle, recipe=replace(bundle.recipe, target=target_ppm / PPM))
