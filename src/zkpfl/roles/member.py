"""A holder of the job key: follows the aggregates and keeps the common model (docs/spec.md §6, §9.4, §10)."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zkpfl.crypto.encoding import decode_integers, decode_mean
from zkpfl.crypto.merkle import keccak256
from zkpfl.crypto.proofs.contribution import Direction
from zkpfl.crypto.sealing import member_key, open_sealed
from zkpfl.errors import (
    BadSum,
    Equivocation,
    InvalidEncoding,
    InvalidInput,
    ProtocolFault,
    StorageError,
    WrongContext,
)
from zkpfl.learning.bundle import MAX_BUNDLE_BYTES, Bundle
from zkpfl.learning.evaluation import Score, evaluate, require_evaluable
from zkpfl.learning.records import Records
from zkpfl.learning.scaling import scaled
from zkpfl.learning.slices import MAX_SLICE_BYTES, open_slice
from zkpfl.learning.statistics import Standardizer
from zkpfl.learning.weights import Vector, checkpoint_bytes, checkpoint_hash, flatten, server_step
from zkpfl.ledger.records import Job, Phase, Round, RoundKind
from zkpfl.params import PUBLIC_UPDATES
from zkpfl.protocol.contributions import round_direction
from zkpfl.roles.job_reader import FaultHandler, JobReader
from zkpfl.roles.key_custody import bundle_hash
from zkpfl.roles.layouts import fixed_point, statistics_layout, training_layout
from zkpfl.storage.cid import ContentId
from zkpfl.storage.store import Contents

BUNDLE_CONTEXT = b"bundle"


@dataclass(frozen=True)
class DecodedSum:
    """What a training round's aggregate says, for members' eyes.

    Parameters
    ----------
    total
        Exact sum of the accepted updates, int64 [d].
    mean
        Mean update, float32 [d].
    """

    total: NDArray[np.int64]
    mean: Vector


@dataclass(frozen=True)
class Candidate:
    """What a round's aggregate makes of the model; one that does not decode leaves it as it was.

    Parameters
    ----------
    weights
        float32 [d], confidential to the members.
    checkpoint
        safetensors of the weights.
    checkpoint_hash
        Its SHA-256, 32 bytes.
    score
        On the slice of the owner's test set that was opened last; None before the first.
    sum
        The sum that it was made of; None if that does not decode.
    """

    weights: Vector
    checkpoint: bytes
    checkpoint_hash: bytes
    score: Score | None
    sum: DecodedSum | None

    @property
    def accuracy_ppm(self) -> int:
        """Accuracy in parts per million, rounded down; 0 without a slice to measure it on."""
        return 0 if self.score is None else self.score.correct * 1_000_000 // self.score.total


class Member:
    """Keeps a job's model in step with the ledger.

    Parameters
    ----------
    reader
        The job.
    store
        Where the sealed bundle lies.
    job_key
        32 bytes. Secret.
    on_fault
        Told of zk-nodes whose aggregate share is refused.

    Raises
    ------
    WrongContext
        The bundle does not have the layouts that the job manifest states, or the member key is another.
    InvalidBundle
        It is none, or its graph does not work for as many records as a slice of the test set has.
    """

    def __init__(self, reader: JobReader, store: Contents, job_key: bytes, on_fault: FaultHandler) -> None:
        self._reader = reader
        self._store = store
        self._job_key = job_key
        self._on_fault = on_fault
        self._member_key = member_key(job_key)
        self.bundle = self._open_bundle(store, job_key)
        self.model = self.bundle.model()
        require_evaluable(self.model, reader.job().terms.slice_records)
        self.weights = flatten(self.model)
        self.standardizer: Standardizer | None = None
        self.training_rounds = 0
        self._applied = 0
        self._candidates: dict[int, Candidate] = {}
        self._directions: dict[int, Direction] = {}
        self._public_updates: deque[Vector] = deque(maxlen=PUBLIC_UPDATES)
        self._slices: dict[int, Records | None] = {}

    def catch_up(self, job: Job) -> None:
        """Apply every round that the ledger has closed since the last call.

        Raises
        ------
        Equivocation
            The ledger's checkpoint of a round is not the one that its aggregate gives.
        BadSum
            The common statistics do not decode, so nobody can train or score by the rules any more.
        """
        for number in range(self._applied + 1, job.current_round + 1):
            round_ = self._reader.round(number)
            if round_.phase not in (Phase.CLOSED, Phase.ABORTED):
                return
            if round_.phase is Phase.CLOSED:
                self._apply(job, number, round_)
            self._applied = number

    def candidate(self, job: Job, number: int, round_: Round) -> Candidate:
        """The model after a training round's attested aggregate; the same bytes for every member."""
        if number not in self._candidates:
            self._candidates = {number: self._compute(job, round_)}
        return self._candidates[number]

    def direction(self, job: Job, round_: Round) -> Direction | None:
        """Along what a training round's updates are measured, before it is applied.

        None if the round's sum does not decode.
        """
        decoded = self.candidate(job, round_.number, round_).sum
        if decoded is not None and round_.number not in self._directions:
            plan, scale = self._reader.plan(job, round_), fixed_point(self.bundle)
            direction = round_direction(plan, decoded.total, self._public_updates, scale)
            self._directions = {round_.number: direction}
        return self._directions.get(round_.number)

    @property
    def statistics(self) -> dict[str, Any] | None:
        """The common statistics by name of the feature; None before the statistics round."""
        if self.standardizer is None:
            return None
        return self.standardizer.describe(self.bundle.recipe.features)

    def standardized(self, records: Records) -> Records:
        """Records standardised by the common statistics or public ranges, if the recipe asks for it."""
        if self.standardizer is None:
            return scaled(records, self.bundle.recipe.feature_ranges)
        return Records(self.standardizer.apply(records.features), records.labels)

    def _apply(self, job: Job, number: int, round_: Round) -> None:
        if round_.kind is RoundKind.STATISTICS:
            self.standardizer = self._standardizer(job, round_)
            return
        self.training_rounds += 1
        if round_.checkpoint is None:
            return  # nobody scored it: the next round trains from the last scored checkpoint
        candidate = self.candidate(job, number, round_)
        if candidate.checkpoint_hash != round_.checkpoint:
            raise Equivocation(
                "the ledger's checkpoint is not the one that the aggregate gives",
                party="members",
                field=f"round {number}: checkpoint",
            )
        self.weights = candidate.weights
        if candidate.sum is not None:
            self._public_updates.appendleft(candidate.sum.mean)

    def _standardizer(self, job: Job, round_: Round) -> Standardizer:
        plan = self._reader.plan(job, round_)
        total = self._reader.total(plan, round_, self._member_key, self._on_fault)
        try:
            return Standardizer.from_sums(decode_integers(total, plan.layout.value_bits))
        except InvalidEncoding as error:
            raise BadSum(error.message, party="accepted set", field="digits") from error

    def _compute(self, job: Job, round_: Round) -> Candidate:
        decoded, weights = None, self.weights
        try:
            decoded = self._decoded(job, round_)
            weights = server_step(weights, decoded.mean, self.bundle.recipe.server_learning_rate)
        except BadSum as fault:
            # Members who stayed silent would leave the score to whoever spoilt the sum; so they all score the
            # model as it was.
            self._on_fault(fault)
        checkpoint = checkpoint_bytes(self.model, weights)
        return Candidate(weights, checkpoint, checkpoint_hash(checkpoint), self._score(job, weights), decoded)

    def _decoded(self, job: Job, round_: Round) -> DecodedSum:
        plan = self._reader.plan(job, round_)
        total = self._reader.total(plan, round_, self._member_key, self._on_fault)
        count = round_.accepted_trainers.bit_count()
        return DecodedSum(total, decode_mean(total, fixed_point(self.bundle), plan.rotation_seed, count))

    def _score(self, job: Job, weights: np.ndarray) -> Score | None:
        opened = self._slice(job)
        if opened is None:
            return None
        return evaluate(self.model, weights, self.standardized(opened), self.bundle.recipe)

    def _slice(self, job: Job) -> Records | None:
        """The slice of the test set that was opened last; None before the first, or if it is no good."""
        number = job.slices_opened
        if number and number not in self._slices:
            try:
                self._slices[number] = self._open_slice(job, number)
            except (ProtocolFault, InvalidEncoding, InvalidInput, StorageError) as error:
                # All members find the same, so they still agree on the score: none.
                self._slices[number] = None
                party = f"owner of job {self._reader.job_id}"
                text = f"slice {number} of the test set does not open: {error}"
                self._on_fault(ProtocolFault(text, party=party, field="test_slices"))
        return self._slices.get(number)

    def _open_slice(self, job: Job, number: int) -> Records:
        content_id = ContentId.parse(self._reader.manifest.test_slices[number - 1])
        blob = self._store.get(content_id, max_size_bytes=MAX_SLICE_BYTES)
        records = open_slice(blob, number, job.slice_key, self._job_key, self.bundle.recipe)
        if len(records.labels) != job.terms.slice_records:
            text = f"holds {len(records.labels)} records, the terms state {job.terms.slice_records}"
            raise WrongContext(text, field="slice_records")
        return records

    def _open_bundle(self, store: Contents, job_key: bytes) -> Bundle:
        job = self._reader.job()
        party = f"owner of job {self._reader.job_id}"
        if self._member_key.public != job.terms.member_key:
            raise WrongContext("the job key is not the one of the terms", party=party, field="member_key")
        manifest = self._reader.manifest
        sealed = store.get(ContentId.parse(manifest.bundle), max_size_bytes=2 * MAX_BUNDLE_BYTES)
        plain = open_sealed(job_key, sealed, context=BUNDLE_CONTEXT)
        if bundle_hash(job_key, plain) != manifest.bundle_hash:
            raise WrongContext("the bundle is another than was announced", party=party, field="bundle_hash")
        bundle = Bundle.from_bytes(plain)
        trainers = job.terms.max_trainers
        # An owner is a member before there is a committee, so the manifest says how many bring noise.
        nodes = manifest.training.noise_parties if manifest.training else 0
        training = training_layout(bundle, trainers, nodes) if job.terms.training_rounds else None
        if manifest.training != training or manifest.statistics != statistics_layout(bundle, trainers):
            raise WrongContext("the job manifest does not describe the bundle", party=party, field="layout")
        if manifest.privacy != bundle.recipe.privacy:
            raise WrongContext("the job manifest states another privacy", party=party, field="privacy")
        if bundle.recipe.target_ppm not in (None, job.terms.target):
            raise WrongContext("the recipe states another target", party=party, field="target")
        if bundle.test_set is not None:
            raise WrongContext("the bundle has the test set in it", party=party, field="test_set")
        return bundle


def rounding_seed(run_seed: int, number: int, trainer: int) -> bytes:
    """Rounding seed of a reproducible run; a run without a seed draws it from the operating system."""
    return keccak256(f"ZKPFL-V1-ROUNDING {run_seed} {number} {trainer}".encode())
