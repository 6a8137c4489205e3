"""What a demo checks itself about every round, from ledger and storage, trusting none of its own children."""

from __future__ import annotations

from collections.abc import Callable

from zkpfl.crypto.bls import BlsPublicKey, attestation_digest, signature_from_ledger, verify_aggregate
from zkpfl.errors import BadSignature, WrongContext, ZkpflError
from zkpfl.learning.evaluation import evaluate
from zkpfl.learning.records import Records
from zkpfl.ledger.client import LedgerClient
from zkpfl.ledger.events import Attested
from zkpfl.ledger.records import Job, Round
from zkpfl.protocol.aggregate import PublicAggregate
from zkpfl.protocol.plan import members_of
from zkpfl.roles.job_reader import JobReader
from zkpfl.roles.member import Member
from zkpfl.storage.store import Store


class RoundAudit:
    """Checks closed rounds: as an outsider, then as a member.

    Parameters
    ----------
    ledger, store
        Without an account.
    job_id
        The job.
    job_key
        32 bytes. Secret.
    on_fault
        Told of every party that is at fault.
    """

    def __init__(
        self,
        ledger: LedgerClient,
        store: Store,
        job_id: int,
        job_key: bytes,
        on_fault: Callable[[ZkpflError], None],
    ) -> None:
        self._ledger = ledger
        self._on_fault = on_fault
        self.reader = JobReader(ledger, store, job_id)
        self.member = Member(self.reader, store, job_key, on_fault)

    def accuracy_on(self, test_set: Records | None) -> float:
        """Accuracy in [0, 1] of the model as it is now; 0 without a test set."""
        if test_set is None:
            return 0.0
        member, test = self.member, self.member.standardized(test_set)
        return evaluate(member.model, member.weights, test, member.bundle.recipe).accuracy

    def check(self, job: Job, round_: Round) -> bool:
        """Whether everything about a closed round holds.

        The sum of the commitments, every attested proof, the attestation's signature, and, with the job key,
        the decoded aggregate and the checkpoint that follows from it.
        """
        try:
            self._check_public(job, round_)
            self.member.catch_up(job)
        except ZkpflError as error:
            self._on_fault(error)
            return False
        return True

    def _check_public(self, job: Job, round_: Round) -> None:
        plan = self.reader.plan(job, round_)
        public = self.reader.public_aggregate(plan, round_.accepted)
        if public.root != round_.aggregate_root:
            raise WrongContext("attests another sum", party="committee", field=f"round {round_.number}")
        for index in members_of(round_.valid):
            public.require_proof(index + 1, self.reader.aggregate_manifest(plan, index + 1))
        self._check_attestation(job, round_, public)

    def _check_attestation(self, job: Job, round_: Round, public: PublicAggregate) -> None:
        digest = attestation_digest(
            public.plan.context, round_.accepted, public.root, round_.valid, round_.posts
        )
        records = [self._ledger.node(job.committee[index]) for index in members_of(round_.signers)]
        keys = [BlsPublicKey.from_ledger(record.bls_key) for record in records if record is not None]
        if len(keys) < job.terms.threshold or not verify_aggregate(keys, digest, self._signature(round_)):
            raise BadSignature("the attestation does not verify", party="committee", field="signature")

    def _signature(self, round_: Round) -> bytes:
        for event in self._ledger.events(round_.job):
            if isinstance(event, Attested) and event.round == round_.number:
                return signature_from_ledger(event.signature)
        raise BadSignature("there is no attestation", party="committee", field=f"round {round_.number}")
