"""An independent audit of a ledger and its storage, from their files alone (docs/spec.md).

Nothing that a party said is believed: the chain is executed again, every stored block is hashed, every round
is verified from its messages and every payout is computed a second time. With the job key the model is
trained again from the decoded sums too.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from zkpfl import strict_json
from zkpfl.crypto.sealing import member_key
from zkpfl.errors import InvalidParameter, WrongContext
from zkpfl.ledger.client import LedgerClient
from zkpfl.ledger.in_process import InProcessConnection
from zkpfl.ledger.records import Job
from zkpfl.ledger.replay import RepeatedLedger
from zkpfl.roles.audit_chain import audit_chain, audit_code
from zkpfl.roles.audit_job import JobAudit
from zkpfl.roles.audit_keys import NodeKeys
from zkpfl.roles.audit_money import audit_conservation, audit_settlement
from zkpfl.roles.audit_report import AuditReport, Findings, Progress
from zkpfl.roles.audit_storage import AuditedStore, audit_store
from zkpfl.roles.network import Network
from zkpfl.roles.store_place import place_from_json
from zkpfl.storage.store import Store

NETWORK_FILE = "network.json"
MODEL_FILE = "model.safetensors"
CHAIN_FILE = Path("ledger", "chain.db")


def audit(
    data_dir: Path,
    *,
    jobs: Sequence[int] | None = None,
    job_key: bytes | None = None,
    progress: Progress = lambda _stage, _done, _total: None,
) -> AuditReport:
    """Audit a data folder: ``network.json``, the embedded ledger's ``ledger/chain.db``, the store, the model.

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
        network = Network.load(data_dir / NETWORK_FILE)
    if network is None:
        findings.not_checked.append("everything else: the network file does not tell chain and contract")
        return findings.report()
    as_written = _is_as_written(data_dir / NETWORK_FILE, network)
    findings.require("network_digest", NETWORK_FILE, as_written, "is not as it was written")
    audit_store(network.store, findings, progress)
    chain = audit_chain(data_dir / CHAIN_FILE, network.chain_id, findings, progress)
    if chain is None:
        findings.not_checked.append("contract and jobs: no block could be repeated")
        return findings.report()
    with chain:
        _audit_contract(chain, network, jobs, job_key, findings, progress)
        _audit_model_file(data_dir / MODEL_FILE, chain, network, findings)
    return findings.report()


def _is_as_written(path: Path, network: Network) -> bool:
    """Whether a network file is, byte for byte, what `Network.save` wrote: no chain tells its URL."""
    data = path.read_bytes()
    value = strict_json.parse(data, field="network file", max_size_bytes=len(data))
    return replace(network, store=place_from_json(value["store"], Path())).to_bytes() == data


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
    chosen = _chosen(jobs, numbers, findings)
    own = audit_code(chain, ledger, findings)
    try:
        _audit_jobs(chain, ledger, AuditedStore(network.store), numbers, chosen, job_key, findings, progress)
    except Exception as error:
        if own:
            raise
        findings.failed(
            "contract", f"contract 0x{network.contract.hex()}", f"its answers make no sense: {error}"
        )


def _audit_model_file(path: Path, chain: RepeatedLedger, network: Network, findings: Findings) -> None:
    """Check that the model that the owner wrote out, if it is here, is the last checkpoint of a job."""
    if not path.is_file():
        return
    with findings.check("model_file", path.name):
        ledger = LedgerClient(InProcessConnection(chain), network.contract)
        checkpoints = {ledger.job(number).checkpoint for number in range(1, ledger.job_count() + 1)}
        if hashlib.sha256(path.read_bytes()).digest() not in checkpoints:
            raise WrongContext("is not the last checkpoint of any job", party="owner", field="checkpoint")


def _chosen(jobs: Sequence[int] | None, numbers: range, findings: Findings) -> list[int]:
    wanted = sorted(set(numbers if jobs is None else jobs))
    if unknown := [number for number in wanted if number not in numbers]:
        if all(check.ok for check in findings.checks):
            hint = f"there are {len(numbers)}"
            raise InvalidParameter(f"there is no job {unknown[0]}", field="job", hint=hint)
        findings.not_checked.append(f"job {unknown[0]}: not on the part of the chain that could be repeated")
    return [number for number in wanted if number in numbers]


def _audit_jobs(
    chain: RepeatedLedger,
    ledger: LedgerClient,
    store: Store,
    numbers: range,
    chosen: list[int],
    job_key: bytes | None,
    findings: Findings,
    progress: Progress,
) -> None:
    keys = NodeKeys(ledger)
    keys.audit(chain, findings)
    states = {number: ledger.job(number) for number in numbers}
    events = {number: ledger.events(number) for number in numbers}
    audit_conservation(chain, ledger, states, events, findings)
    opened = [number for number in chosen if _opens(job_key, states[number])]
    if job_key is not None and not opened:
        findings.failed("job_key", "job key", f"opens none of the jobs {chosen}")
    for number in chosen:
        audit_settlement(ledger, states[number], events[number], findings)
        audited = JobAudit(ledger, store, states[number], events[number], keys, findings)
        audited.run(job_key if number in opened else None, progress)


def _opens(job_key: bytes | None, job: Job) -> bool:
    return job_key is not None and member_key(job_key).public == job.terms.member_key
