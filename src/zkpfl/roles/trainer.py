"""A trainer's process: join, receive the model, train on data that stays here, submit, score."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, as_completed, wait
from contextlib import suppress
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from zkpfl.crypto.encoding import encode_integers, encode_update
from zkpfl.crypto.sealing import derive_key
from zkpfl.crypto.transcript import Context
from zkpfl.errors import (
    CorruptContent,
    DeadlineExceeded,
    InvalidBundle,
    InvalidData,
    JobFailed,
    LedgerError,
    NotAuthorized,
    ProtocolFault,
    WrongContext,
    ZkpflError,
)
from zkpfl.learning.recipe import Recipe
from zkpfl.learning.records import Records
from zkpfl.learning.statistics import local_statistics, to_fixed
from zkpfl.learning.training import local_noise_key, local_seed, require_trainable, train_locally
from zkpfl.learning.training_worker import TrainingLimits, TrainingWorker
from zkpfl.ledger.client import LedgerClient
from zkpfl.ledger.records import Job, JobStatus, Phase, Round, RoundKind
from zkpfl.ledger.rules import score_commitment
from zkpfl.protocol.messages import MessageKind, SignedMessage
from zkpfl.protocol.plan import RoundPlan
from zkpfl.protocol.trainer import PreparedSubmission, SealedShare, SeededShares, prepare_submission
from zkpfl.roles.claiming import claim_or_tell
from zkpfl.roles.contribution import Contributions
from zkpfl.roles.events import Reporter, RoleEvent, Value, fault_event
from zkpfl.roles.identity import Identity
from zkpfl.roles.job_reader import JobReader
from zkpfl.roles.job_storage import JobStore, job_label, publish_submission, release_if_over
from zkpfl.roles.key_custody import JOB_KEY, KeyCollector
from zkpfl.roles.layouts import fixed_point
from zkpfl.roles.loop import RoleLoop, advance_if_due
from zkpfl.roles.member import Member, rounding_seed
from zkpfl.roles.node_clients import NodeClients
from zkpfl.roles.policy import JoinPolicy
from zkpfl.roles.privacy_budget import TrainerBudget, charged_rounds
from zkpfl.storage.store import Store

PATIENCE_S = 2.0
UPLOAD_TIMEOUT_S = 60.0
LAGGARD_GRACE_S = 0.5
START_TIMEOUT_S = 120.0


@dataclass(frozen=True)
class TrainerSettings:
    """How a trainer takes part.

    Parameters
    ----------
    stake
        Registered if the account is not registered yet, in base units.
    seed
        Makes local training, rounding and private noise reproducible, so whoever knows it sees through the
        noise; None draws from the operating system.
    stream
        Number of this trainer's random streams under ``seed``; None takes the number under which it joined,
        which may differ from run to run.
    device
        ``cpu`` or ``cuda``.
    policy
        Which jobs are joined at all.
    limits
        What one round of training may use; None trains in this process, without limits.
    """

    stake: int
    seed: int | None = None
    stream: int | None = None
    device: str = "cpu"
    policy: JoinPolicy = field(default_factory=JoinPolicy)
    limits: TrainingLimits | None = field(default_factory=TrainingLimits)


class TrainerRole:
    """Takes part in one job, from joining to the reward.

    Parameters
    ----------
    ledger
        Client with the trainer's account.
    store
        Content-addressed storage.
    identity
        Account and encryption key.
    load_records
        Gives the trainer's own records for the job's recipe; they never leave this process.
    job_id
        The job.
    settings
        Stake, seed and device.
    report
        Told of progress and faults.
    """

    def __init__(
        self,
        ledger: LedgerClient,
        store: Store,
        identity: Identity,
        load_records: Callable[[Recipe], Records],
        job_id: int,
        settings: TrainerSettings,
        report: Reporter,
    ) -> None:
        self._ledger = ledger
        self._store = JobStore(store, job_label(ledger, job_id))
        self._identity = identity
        self._load_records = load_records
        self._records: Records | None = None
        self._job_id = job_id
        self._settings = settings
        self._report = report
        self._reader = JobReader(ledger, store, job_id)
        self._member: Member | None = None
        self._clients = NodeClients(ledger, self._reader, identity.account)
        self._keys = KeyCollector(
            ledger, self._reader, identity.encryption, JOB_KEY, self._clients.of, self._on_fault
        )
        self._worker: TrainingWorker | None = None
        self._number: int | None = None
        self._submitted = 0
        self._contributions = Contributions(ledger, self._reader, self._store, report)
        self._budget_spent = False
        self._scored = 0
        self._revealed = 0
        self._pool = ThreadPoolExecutor(max_workers=12, thread_name_prefix="trainer")
        self._uploads: dict[int, Future[SignedMessage]] = {}

    def run(self, stop: threading.Event) -> Job:
        """Take part until the job ends or ``stop`` is set; returns the job as it then is.

        Raises
        ------
        NotAuthorized
            The job is full and this account is not in it, or the policy refuses it.
        JobFailed
            The job cannot be carried out as it stands on the ledger, so it has not been joined; or its keys
            or bundle are not what the owner announced, so it has been left, with the stake.
        InvalidData
            The trainer's records do not fit the job's recipe; the job has been left.
        """
        if self._settings.limits is not None:
            self._worker = TrainingWorker(self._settings.limits)
        try:
            self._register()
            if self._worker is not None:
                self._worker.wait_until_ready(START_TIMEOUT_S)
            RoleLoop(self._ledger, stop, self._report).run(self._step)
            job = self._reader.job()
            if job.status.ended:
                claim_or_tell(self._ledger, job, stop, self._report)
                release_if_over(self._ledger, self._store, job)
            return job
        finally:
            self._pool.shutdown(wait=False, cancel_futures=True)
            self._clients.close()
            if self._worker is not None:
                self._worker.close()

    def _register(self) -> None:
        if self._ledger.trainer(self._identity.account.address) is None:
            self._ledger.register_trainer(self._identity.encryption.public, self._settings.stake)

    def _step(self) -> bool:
        job = self._reader.job()
        if job.status.ended:
            return True
        if self._number is None:
            self._join(job)
            return False
        # First, so that a job in which this trainer can do nothing more still comes to its end.
        advanced = advance_if_due(self._ledger, job, patience_s=PATIENCE_S)
        if not advanced and self._has_model(job) and job.status is JobStatus.RUNNING:
            self._require_member().catch_up(job)
            self._step_round(job)
        return False

    def _join(self, job: Job) -> None:
        address = self._identity.account.address
        if job.status is JobStatus.DRAWING:
            advance_if_due(self._ledger, job, patience_s=PATIENCE_S)
            return
        if address not in job.trainers:
            if len(job.trainers) == job.terms.max_trainers:
                text, party = f"job {self._job_id} is full", f"trainer 0x{address.hex()}"
                raise NotAuthorized(text, party=party, hint="join another job")
            # Joining binds the stake until the job ends.
            self._settings.policy.require(job)
            self._reader.require_servable(job)
            self._settings.policy.require_privacy(job, self._reader.manifest.privacy)
            self._ledger.join(self._job_id)
            job = self._reader.job()
            self._report(RoleEvent("joined", self._job_id))
        self._number = job.trainers.index(address)

    def _has_model(self, job: Job) -> bool:
        """Get the job key and check what it opens; leave a job that is not as its owner announced."""
        if self._member is None:
            try:
                job_key = self._keys.collect(job)
                if job_key is None:
                    return False
                member = Member(self._reader, self._store, job_key, self._on_fault)
                self._records = self._checked_records(member)
            except (ProtocolFault, InvalidBundle, CorruptContent) as error:
                self._leave(error)
                raise JobFailed(
                    f"left job {self._job_id} before training: {error.message}",
                    party=error.party or f"owner of job {self._job_id}",
                    field=error.field,
                    hint="the stake is free; join another job",
                ) from error
            except InvalidData as error:
                self._leave(error)
                raise
            self._member = member
            self._report(RoleEvent("model_received", self._job_id))
        return True

    def _leave(self, error: ZkpflError) -> None:
        """Free the stake; whoever has submitted before, and was started again, stays bound until the end."""
        self._on_fault(error)
        with suppress(LedgerError):
            self._ledger.leave(self._job_id)
            self._report(RoleEvent("left", self._job_id))

    def _checked_records(self, member: Member) -> Records:
        records = self._load_records(member.bundle.recipe)
        expected, got = len(member.bundle.recipe.features), records.features.shape[1]
        if expected != got:
            raise InvalidData(
                f"the model takes {expected} features, the data has {got}",
                party=f"trainer {self._number}",
                field="data",
                hint="choose the columns that the job's recipe names",
            )
        recipe = member.bundle.recipe
        records = recipe.checked(records.features, records.labels)
        require_trainable(member.model, len(records), recipe)
        return records

    def _step_round(self, job: Job) -> None:
        number = job.current_round
        round_ = self._reader.round(number)
        if round_.phase is Phase.COLLECT and self._submitted < number:
            may = self._own_number < round_.members and not round_.submitted >> self._own_number & 1
            if may and self._within_budget(number, round_.kind):
                self._try_to_submit(job, number, round_)
            self._submitted = number
        elif round_.phase is Phase.SCORE and self._scored < number:
            if round_.accepted >> self._own_number & 1:
                self._score(job, number, round_)
            self._scored = number
        elif round_.phase is Phase.REVEAL and self._revealed < number:
            if round_.accepted >> self._own_number & 1:
                self._reveal(job, number, round_)
            self._revealed = number

    def _within_budget(self, number: int, kind: RoundKind) -> bool:
        """Whether this trainer's records may be in another sum; tells once when they may not."""
        privacy = self._require_member().bundle.recipe.privacy
        if privacy is None or kind is not RoundKind.TRAINING or self._budget_spent:
            return not self._budget_spent
        budget = TrainerBudget(privacy, len(self._require_records()))
        charged = charged_rounds(map(self._reader.round, range(1, number)))[self._own_number]
        if not budget.allows_another(charged):
            self._budget_spent = True
            fields: dict[str, Value] = {"epsilon": budget.spent(charged), "delta": privacy.delta}
            self._report(RoleEvent("budget_spent", self._job_id, number, fields))
        return not self._budget_spent

    def _try_to_submit(self, job: Job, number: int, round_: Round) -> None:
        """Submit, or sit the round out if training does not end in time: the next may be quicker."""
        try:
            self._submit(job, number, round_)
        except DeadlineExceeded as error:
            if error.field != "training":
                raise
            self._on_fault(error)

    def _submit(self, job: Job, number: int, round_: Round) -> None:
        began = time.monotonic()
        plan = self._reader.plan(job, round_)
        seeded = self._pool.submit(SeededShares, plan)  # independent of the data: made while the model trains
        values = self._values(plan, round_)
        submission = self._prepare(plan, values, seeded.result())
        manifest_digest = self._publish(submission)
        patience_s = max(1.0, (round_.collect_deadline - time.time()) / 2)
        sent = self._upload(plan, submission, patience_s)
        self._ledger.submit(self._job_id, number, submission.commitment_root, manifest_digest)
        self._contributions.remember(round_, submission)
        fields: dict[str, Value] = {
            "seconds": round(time.monotonic() - began, 3),
            "bytes": sent + len(submission.commitments),
        }
        self._report(RoleEvent("submitted", self._job_id, number, fields))

    def _prepare(
        self, plan: RoundPlan, values: NDArray[np.int16], seeded: SeededShares
    ) -> PreparedSubmission:
        return prepare_submission(plan, self._identity.account, values, seeded)

    def _values(self, plan: RoundPlan, round_: Round) -> NDArray[np.int16]:
        member, records = self._require_member(), self._require_records()
        if round_.kind is RoundKind.STATISTICS:
            return encode_integers(to_fixed(local_statistics(records.features)), plan.layout.value_bits)
        training_round = member.training_rounds + 1
        run_seed = self._settings.seed
        if run_seed is None:
            training, rounding, noise = secrets.randbits(63), secrets.token_bytes(32), None
        else:
            stream = self._own_number if self._settings.stream is None else self._settings.stream
            training = local_seed(run_seed, training_round, stream)
            rounding = rounding_seed(run_seed, training_round, stream)
            noise = local_noise_key(run_seed, training_round, stream)
        update = self._update(member, records, round_, training, noise)
        return encode_update(update, fixed_point(member.bundle), plan.rotation_seed, rounding)

    def _update(
        self, member: Member, records: Records, round_: Round, seed: int, noise_key: bytes | None
    ) -> NDArray[np.float32]:
        data, device = member.standardized(records), self._settings.device
        if self._worker is None:
            recipe = member.bundle.recipe
            return train_locally(
                member.model, member.weights, data, recipe, seed=seed, noise_key=noise_key, device=device
            )
        timeout_s = max(1.0, round_.collect_deadline - time.time())
        return self._worker.train(
            member.bundle,
            member.weights,
            data,
            seed=seed,
            noise_key=noise_key,
            device=device,
            timeout_s=timeout_s,
        )

    def _publish(self, submission: PreparedSubmission) -> bytes:
        return publish_submission(self._store, submission)

    def _upload(self, plan: RoundPlan, submission: PreparedSubmission, patience_s: float) -> int:
        """Stream the shares until t nodes acknowledge; the others find the same bytes in storage."""
        uploads = self._start_uploads(submission)
        finished: set[Future[SignedMessage]] = set()
        with suppress(TimeoutError):
            for future in as_completed(uploads, timeout=patience_s):
                finished.add(future)
                if len(finished) >= plan.committee.threshold:
                    break
        finished |= wait(uploads, timeout=LAGGARD_GRACE_S).done
        return sum(self._acknowledged(plan, future, uploads[future]) for future in finished)

    def _start_uploads(self, submission: PreparedSubmission) -> dict[Future[SignedMessage], SealedShare]:
        uploads = {}
        for share in submission.shares:
            node = share.signed.message.node
            if node in self._uploads and not self._uploads[node].done():
                continue  # still trying to reach this node with the last round's share
            self._uploads[node] = self._pool.submit(self._upload_one, share, submission.commitments)
            uploads[self._uploads[node]] = share
        return uploads

    def _upload_one(self, share: SealedShare, commitments: bytes) -> SignedMessage:
        node = share.signed.message.node
        client = self._clients.of(node)
        return client.upload_share(share.signed, commitments, share.blob, timeout_s=UPLOAD_TIMEOUT_S)

    def _acknowledged(self, plan: RoundPlan, future: Future[SignedMessage], share: SealedShare) -> int:
        message = share.signed.message
        party = f"zk-node {message.node}"
        try:
            receipt = future.result()
            if receipt.kind is not MessageKind.RECEIPT or receipt.message != message:
                raise WrongContext("the receipt is for another share", party=party, field="receipt")
            receipt.require_signer(plan.nodes[message.node - 1].address, party)
        except ZkpflError as error:
            self._on_fault(error)
            return 0
        return len(share.blob)

    def _score(self, job: Job, number: int, round_: Round) -> None:
        if self._identity.account.address in self._ledger.score_commitments(self._job_id, number):
            return  # before this process was started again
        checkpoint, accuracy = self._verdict(job, number, round_)
        self._contributions.contribute(job, round_, self._require_member())
        context, address = self._context(number), self._identity.account.address
        commitment = score_commitment(context, address, checkpoint, accuracy, self._salt(context))
        self._ledger.score(self._job_id, number, commitment)
        fields: dict[str, Value] = {
            "accuracy": accuracy / 1e6,
            "accepted": round_.accepted_trainers.bit_count(),
        }
        self._report(RoleEvent("scored", self._job_id, number, fields))

    def _reveal(self, job: Job, number: int, round_: Round) -> None:
        address = self._identity.account.address
        committed = address in self._ledger.score_commitments(self._job_id, number)
        if not committed or address in self._ledger.revealed_scores(self._job_id, number):
            return
        self._contributions.attest(job, round_, self._require_member())
        salt = self._salt(self._context(number))
        self._ledger.reveal(self._job_id, number, *self._verdict(job, number, round_), salt)
        self._report(RoleEvent("revealed", self._job_id, number))

    def _verdict(self, job: Job, number: int, round_: Round) -> tuple[bytes, int]:
        """The checkpoint that the round's aggregate gives, and its accuracy in ppm."""
        candidate = self._require_member().candidate(job, number, round_)
        return candidate.checkpoint_hash, candidate.accuracy_ppm

    def _context(self, number: int) -> Context:
        return Context(self._ledger.chain_id, self._ledger.contract, self._job_id, number)

    def _salt(self, context: Context) -> bytes:
        """What hides the score until it is revealed; the same again for a process that was restarted."""
        secret = self._identity.encryption.to_bytes()
        return derive_key(secret, purpose="score-salt", context=context.to_bytes())

    @property
    def _own_number(self) -> int:
        if self._number is None:
            raise JobFailed("not joined yet")
        return self._number

    def _require_member(self) -> Member:
        if self._member is None:
            raise JobFailed("the job key has not arrived")
        return self._member

    def _require_records(self) -> Records:
        if self._records is None:
            raise JobFailed("the model has not arrived, so no records are loaded")
        return self._records

    def _on_fault(self, error: ZkpflError) -> None:
        self._report(fault_event(error, self._job_id, None))
