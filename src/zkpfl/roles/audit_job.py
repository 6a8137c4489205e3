"""Audit of one job: its content, its rounds and, with the key, its model."""

from __future__ import annotations

from collections.abc import Sequence

from zkpfl.errors import WrongContext, ZkpflError
from zkpfl.ledger.client import LedgerClient
from zkpfl.ledger.events import Event, KeysShared
from zkpfl.ledger.records import Job
from zkpfl.privacy.record_level import RecordPrivacy
from zkpfl.protocol.aggregate import PublicAggregate
from zkpfl.protocol.manifests import KeyManifest
from zkpfl.roles.audit_keys import NodeKeys
from zkpfl.roles.audit_report import Findings, Progress
from zkpfl.roles.audit_round import audit_round
from zkpfl.roles.job_reader import JobReader
from zkpfl.roles.key_custody import MAX_SEALED_SHARES_BYTES
from zkpfl.roles.privacy_budget import most_charged
from zkpfl.storage.cid import ContentId
from zkpfl.storage.store import Store


class JobAudit:
    """Checks what one job left on ledger and storage.

    Parameters
    ----------
    ledger, store
        Client of the repeated ledger, and the audited store.
    job, events
        The job as the ledger has it, and all its events.
    keys
        The zk-nodes' registered BLS keys.
    findings
        Takes the checks.
    """

    def __init__(
        self,
        ledger: LedgerClient,
        store: Store,
        job: Job,
        events: Sequence[Event],
        keys: NodeKeys,
        findings: Findings,
    ) -> None:
        self._store = store
        self._reader = JobReader(ledger, store, job.id)
        self._job = job
        self._events = events
        self._keys = keys
        self._findings = findings
        self._place = f"job {job.id}"

    def run(self, job_key: bytes | None, progress: Progress) -> None:
        """Check content and rounds, and with the job's key (32 bytes, secret) the model."""
        self._check_content()
        publics = self._audit_rounds(progress)
        self._check_privacy()
        if job_key is None:
            text = "bundle, aggregate shares, sums, checkpoints and scores: they need the job key"
            self._findings.not_checked.append(f"{self._place}: {text}")
            return
        from zkpfl.roles.audit_model import audit_model  # noqa: PLC0415  needs torch, the public parts do not

        audit_model(
            self._reader, self._store, self._job, self._events, publics, job_key, self._findings, progress
        )

    def _check_content(self) -> None:
        """What the ledger names besides the rounds' messages is stored."""
        with self._findings.check("job_manifest", f"{self._place}, manifest"):
            bundle = ContentId.parse(self._reader.manifest.bundle)
            with self._findings.check("bundle_stored", f"{self._place}, bundle {bundle}"):
                for _ in self._store.stream(bundle, max_size_bytes=1 << 62):
                    pass
        for event in self._events:
            if isinstance(event, KeysShared):
                with self._findings.check("key_shares", f"{self._place}, shares of the keys"):
                    self._require_key_shares(event.digest)

    def _require_key_shares(self, digest: bytes) -> None:
        """Every zk-node finds something that is sealed to it; what it is, only the node can see."""
        shares = KeyManifest.from_bytes(self._reader.content_by_digest(digest)).shares
        if len(shares) != len(self._job.committee):
            text = f"{len(shares)} for a committee of {len(self._job.committee)}"
            raise WrongContext(text, party=f"owner of {self._place}", field="key_shares")
        for content_id in shares:
            self._store.get(ContentId.parse(content_id), max_size_bytes=MAX_SEALED_SHARES_BYTES)

    def _check_privacy(self) -> None:
        """Count the rounds in which each trainer was accepted, and ask the accountant what they cost."""
        place = f"{self._place}, privacy"
        try:
            privacy = self._reader.manifest.privacy
            charged = most_charged(map(self._reader.round, range(1, self._job.current_round + 1)))
        except ZkpflError as error:
            self._findings.failed("privacy_budget", place, str(error))
            return
        if privacy is None:
            self._findings.passed("privacy_budget", place, "the job promises none")
            return
        spent, budget = privacy.epsilon_after(charged), f"{privacy.epsilon:g} at δ = {privacy.delta:g}"
        of = "of a trainer"
        if isinstance(privacy, RecordPrivacy):
            of = f"of a record among {privacy.least_records} or more"
        text = f"ε = {spent:g} of {budget}, {charged} rounds, {of}"
        if spent <= privacy.epsilon and privacy.within(self._job.terms.training_rounds):
            self._findings.passed("privacy_budget", place, text)
        else:
            self._findings.failed("privacy_budget", place, text)

    def _audit_rounds(self, progress: Progress) -> dict[int, PublicAggregate]:
        publics = {}
        for number in range(1, self._job.current_round + 1):
            audited = None
            try:
                round_ = self._reader.round(number)
                audited = audit_round(
                    self._reader, self._job, round_, self._events, self._keys, self._findings
                )
            except ZkpflError as error:
                self._findings.failed("round", f"{self._place}, round {number}", str(error))
            if audited is not None and audited.public is not None:
                publics[number] = audited.public
            progress("rounds", number, self._job.current_round)
        return publics
