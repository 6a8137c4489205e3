"""An independent audit of a ledger and its storage, from their files alone (docs/spec.md).

Nothing that a party said is believed: the chain is executed again, every stored block is hashed, every round
is verified from its messages and every payout is computed a second time. With the job key the model is
trained again from the decoded sums too.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from zkpfl import strict_json
from zkpfl.errors import InvalidParameter, ZkpflError
from zkpfl.ledger.client import LedgerClient
from zkpfl.ledger.events import Event, KeyGranted
from zkpfl.ledger.in_process import InProcessConnection
from zkpfl.ledger.records import Job
from zkpfl.ledger.replay import RepeatedLedger
from zkpfl.protocol.aggregate import PublicAggregate
from zkpfl.roles.audit_chain import audit_chain, audit_code
from zkpfl.roles.audit_keys import NodeKeys
from zkpfl.roles.audit_money import audit_conservation, audit_settlement
from zkpfl.roles.audit_report import AuditReport, Findings, Progress
from zkpfl.roles.audit_round import audit_round
from zkpfl.roles.audit_storage import AuditedStore, audit_store
from zkpfl.roles.job_reader import JobReader
from zkpfl.roles.network import Network
from zkpfl.storage.cid import ContentId
from zkpfl.storage.store import Store

NETWORK_FILE = "network.json"
CHAIN_FILE = Path("ledger", "chain.db")
_MAX_WRAPPED_KEY_BYTES = 4096


def audit(
    data_dir: Path,
    *,
    jobs: Sequence[int] | None = None,
    job_key: bytes | None = None,
    progress: Progress = lambda _stage, _done, _total: None,
) -> AuditReport:
    """Audit a data folder: ``network.json``, the embedded ledger's ``ledger/chain.db``, and the store.

    Parameters
    ----------
    data_dir
        The folder; only read. No process needs to run, and none should write there.
    jobs
        Numbers of the jobs whose rounds are audited; all if None.
    job_key
        32 bytes that open one of these jobs, or None for the public parts only. Secret.
    progress
        Told of stages.

    Returns
    -------
    AuditReport
        Every check with its place. What is damaged is a failed check, not an exception.

    Raises
    ------
    InvalidParameter
        ``data_dir`` is no such folder, or a job does not exist.
    """
    if not (data_dir / CHAIN_FILE).is_file():
        hint = "give the folder that `zkpfl demo` printed as data_dir"
        raise InvalidParameter(f"{data_dir} has no {CHAIN_FILE}", field="data_dir", hint=hint)
    findings = Findings()
    network = None
    with findings.check("network_file", NETWORK_FILE):
        network = _load_network(data_dir / NETWORK_FILE)
    if network is None:
        findings.not_checked.append("everything else: the network file does not tell chain and contract")
        return findings.report()
    audit_store(network.store, findings, progress)
    chain = audit_chain(data_dir / CHAIN_FILE, network.chain_id, findings, progress)
    if chain is None:
        findings.not_checked.append("contract and jobs: no block could be repeated")
        return findings.report()
    with chain:
        _audit_contract(chain, network, jobs, job_key, findings, progress)
    return findings.report()


def _load_network(path: Path) -> Network:
    """Read a network file as `Network.save` writes it; of its URL only the kind can be judged."""
    network, data = Network.load(path), path.read_bytes()
    value = strict_json.parse(data, field="network file", max_size_bytes=len(data))
    schemes = ("http://", "https://")
    if value["version"] != 1 or strict_json.dump(value) != data or not network.ledger_url.startswith(schemes):
        raise InvalidParameter("is not as it was written", field="network file")
    return network


def _audit_contract(
    chain: RepeatedLedger,
    network: Network,
    jobs: Sequence[int] | None,
    job_key: bytes | None,
    findings: Findings,
    progress: Progress,
) -> None:
    with findings.check("contract", f"{NETWORK_FILE}: 0x{network.contract.hex()}"):
        ledger = LedgerClient(InProcessConnection(chain), network.contract)
        numbers = range(1, ledger.job_count() + 1)
    if not findings.checks[-1].ok:
        findings.not_checked.append("jobs: the contract cannot be read")
        return
    if unknown := sorted(set(jobs or ()) - set(numbers)):
        hint = f"there are {len(numbers)}"
        raise InvalidParameter(f"there is no job {unknown[0]}", field="job", hint=hint)
    audit_code(chain, ledger, findings)
    keys = NodeKeys(ledger)
    keys.audit(chain, findings)
    states = {number: ledger.job(number) for number in numbers}
    events = {number: ledger.events(number) for number in numbers}
    audit_conservation(chain, ledger, states, events, findings)
    store = AuditedStore(network.store)
    for number in jobs or numbers:
        audit_settlement(ledger, states[number], events[number], findings)
        _JobAudit(ledger, store, states[number], events[number], keys, findings).run(job_key, progress)


class _JobAudit:
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
        self._check_content()
        publics = self._audit_rounds(progress)
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
            if isinstance(event, KeyGranted):
                cid = ContentId.from_digest(event.digest)
                with self._findings.check("key_grant", f"{self._place}, trainer 0x{event.trainer.hex()}"):
                    self._store.get(cid, max_size_bytes=_MAX_WRAPPED_KEY_BYTES)

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
