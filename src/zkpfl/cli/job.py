"""``zkpfl job``: a model owner's commands, and what anyone may ask about jobs."""

from __future__ import annotations

import threading
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from zkpfl.cli.lifeline import stop_on_signals
from zkpfl.cli.options import (
    Delta,
    Epsilon,
    IdentityFile,
    JobKeyFile,
    Json,
    NetworkFile,
    Privacy,
    WaitSeconds,
)
from zkpfl.cli.output import Output
from zkpfl.errors import InvalidParameter, JobFailed

if TYPE_CHECKING:
    from rich.console import Console

app = typer.Typer(help="Submit a job, follow it, take its result.")

PHASES = "60,20,10,10,10,20,10"

JobNumber = Annotated[int, typer.Argument(min=1, metavar="JOB", help="Number of the job.")]
ModelFile = Annotated[
    Path | None, typer.Option("--out", metavar="FILE", help="Where to write the model, as safetensors.")
]


@app.command("submit")
def submit(
    network: NetworkFile,
    identity: IdentityFile,
    job_key: Annotated[
        Path,
        typer.Option(metavar="FILE", help="New file for the job's key: whoever has it can read the model."),
    ],
    model: Annotated[
        str, typer.Option(metavar="SOURCE", help="heart, digits, stats:COLUMN,…, or a bundle file.")
    ],
    nodes: Annotated[
        int, typer.Option(min=3, max=10, help="Size of the committee; it is drawn by stake.")
    ] = 3,
    threshold: Annotated[int, typer.Option(min=2, max=5, help="How many zk-nodes reconstruct a sum.")] = 2,
    rounds: Annotated[
        int | None, typer.Option(min=0, max=1000, help="Most training rounds; the model's own by default.")
    ] = None,
    target: Annotated[
        str | None,
        typer.Option(
            metavar="ACCURACY",
            help="Accuracy that ends the job; the model's own, or its recipe's, by default.",
        ),
    ] = None,
    baseline: Annotated[
        str, typer.Option(metavar="ACCURACY", help="Accuracy from which improvement is paid.")
    ] = "0.5",
    slices: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=1000,
            help="Parts of the test set, opened one by one; as many as say something by default.",
        ),
    ] = None,
    fee: Annotated[
        str, typer.Option(metavar="AMOUNT", help="What the job can pay; the draw fee comes on top.")
    ] = "100",
    coin: Annotated[int, typer.Option(min=0, max=7, help="Listed coin of the fee; 0 is MPC.")] = 0,
    quorum: Annotated[int, typer.Option(min=2, max=256, help="Fewest trainers in a sum.")] = 2,
    max_trainers: Annotated[
        int, typer.Option(min=2, max=256, help="Most trainers; the job starts when full.")
    ] = 256,
    phases: Annotated[
        str,
        typer.Option(
            metavar="S,S,S,S,S,S,S",
            help="Seconds to join, collect, check, aggregate, attest, score, reveal.",
        ),
    ] = PHASES,
    deadline: Annotated[
        int, typer.Option(min=1, metavar="SECONDS", help="From now until the job fails.")
    ] = 86400,
    epsilon: Epsilon = None,
    delta: Delta = None,
    privacy: Privacy = True,
    seed: Annotated[int, typer.Option(min=0, help="Of the built-in models' weights and test set.")] = 0,
    follow: Annotated[bool, typer.Option("--follow", help="Stay and wait for the end.")] = False,
    out: ModelFile = None,
    wait: WaitSeconds = 0,
    json: Json = False,
) -> None:
    """Seal a model, pay the fee, open a job and hand its keys to the committee: then it needs no owner."""
    from zkpfl.cli.ordering import OrderOptions, submit_job
    from zkpfl.cli.sources import PrivacyOptions

    options = OrderOptions(
        fee, rounds, target, baseline, threshold, quorum, max_trainers, phases, deadline,
        nodes, slices, coin, PrivacyOptions(privacy, epsilon, delta),
    )  # fmt: skip
    _require_new(out)
    stop, output = stop_on_signals(), Output(json)
    job = submit_job(network, identity, job_key, model, seed, options, wait, stop, output)
    if follow:
        _follow(job, network, identity, job_key, out, output, stop)
    else:
        _hand_over(job, network, identity, job_key, output, stop)


@app.command("follow")
def follow_job(
    job: JobNumber,
    network: NetworkFile,
    identity: IdentityFile,
    job_key: JobKeyFile,
    out: ModelFile = None,
    json: Json = False,
) -> None:
    """Go on as the owner of a job: follow every round, keep the model, take the refund."""
    _require_new(out)
    _follow(job, network, identity, job_key, out, Output(json), stop_on_signals())


@app.command("list")
def list_jobs(network: NetworkFile, json: Json = False) -> None:
    """List all jobs of the ledger."""
    from zkpfl.cli.jobs import job_result
    from zkpfl.cli.tables import jobs_table
    from zkpfl.roles.network import Network

    ledger = Network.load(network).connect(None)
    jobs = [job_result(ledger, ledger.job(number)) for number in range(1, ledger.job_count() + 1)]
    Output(json).result({"jobs": jobs}, lambda console: console.print(jobs_table(jobs)))


@app.command("status")
def status(job: JobNumber, network: NetworkFile, json: Json = False) -> None:
    """Show where a job is: its rounds so far, and who is paid what."""
    from zkpfl.cli.jobs import existing_job, has_ended, job_result, rounds_of, spent_after, summarize
    from zkpfl.cli.payouts import payouts
    from zkpfl.cli.tables import payouts_table
    from zkpfl.roles.job_reader import JobReader
    from zkpfl.roles.network import Network

    where = Network.load(network)
    ledger = where.connect(None)
    record = existing_job(ledger, job)
    with closing(where.open_store()) as store:
        reader = JobReader(ledger, store, job)
        rounds = [
            summarize(record, round_, spent=spent_after(reader, round_.number))
            for round_ in rounds_of(ledger, record)
            if has_ended(round_)
        ]
        fields, paid = job_result(ledger, record, reader), payouts(ledger, record)
    output = Output(json)
    for summary in rounds:
        output.event(summary.to_dict(job)) if json else output.text(summary.to_line())

    def render(console: Console) -> None:
        for name, value in fields.items():
            console.print(f"[bold]{name}[/bold]: {value}", soft_wrap=True)
        console.print(payouts_table(paid))

    output.result(
        {**fields, "phase": record.phase.name.lower(), "payouts": [p.to_dict() for p in paid]}, render
    )


@app.command("result")
def result(
    job: JobNumber,
    network: NetworkFile,
    job_key: JobKeyFile,
    out: ModelFile = None,
    json: Json = False,
) -> None:
    """Rebuild statistics and model from ledger and storage, checking every aggregate and checkpoint."""
    from zkpfl.cli.jobs import existing_job, job_result
    from zkpfl.cli.replay import replay
    from zkpfl.learning.weights import checkpoint_bytes
    from zkpfl.roles.job_key import load_job_key
    from zkpfl.roles.job_reader import JobReader
    from zkpfl.roles.network import Network

    _require_new(out)
    where, key, output = Network.load(network), load_job_key(job_key), Output(json)
    ledger = where.connect(None)
    record = existing_job(ledger, job)
    if out is not None and record.checkpoint is None:
        raise JobFailed(f"job {job} has no model yet", hint="its first training round has not been scored")
    with closing(where.open_store()) as store:
        member = replay(ledger, store, record, key, output)
        if out is not None:
            out.write_bytes(checkpoint_bytes(member.model, member.weights))
        reader = JobReader(ledger, store, job)
        result = {**job_result(ledger, record, reader), "statistics": member.statistics}
    output.result({**result, "model": str(out) if out else None})


@app.command("claim")
def claim(job: JobNumber, network: NetworkFile, identity: IdentityFile, json: Json = False) -> None:
    """Take what an ended job owes this account, as owner, trainer, zk-node or accuser."""
    from zkpfl.cli.decimals import format_mpc
    from zkpfl.cli.jobs import existing_job
    from zkpfl.roles.identity import Identity
    from zkpfl.roles.network import Network

    ledger = Network.load(network).connect(Identity.load(identity).account)
    existing_job(ledger, job)
    amount = ledger.owed(job, ledger.account)
    ledger.claim(job)
    Output(json).result({"job": job, "claimed": format_mpc(amount)})


def _hand_over(
    job: int, network: Path, identity: Path, job_key: Path, output: Output, stop: threading.Event
) -> None:
    from zkpfl.roles.identity import Identity
    from zkpfl.roles.job_key import load_job_key
    from zkpfl.roles.model_owner import ModelOwnerRole
    from zkpfl.roles.network import Network

    where, keys = Network.load(network), Identity.load(identity)
    with closing(where.open_store()) as store:
        role = ModelOwnerRole(where.connect(keys.account, stop), store, keys, output)
        handed_over = role.hand_over(job, load_job_key(job_key), stop)
    if stop.is_set() or handed_over.status.ended:
        status = handed_over.status.name.lower()
        raise JobFailed(
            f"job {job} is on the ledger, but its keys are not handed over: {status}",
            hint=f"go on with: zkpfl job follow {job}",
        )
    output.result({"job": job, "job_key": str(job_key)})


def _follow(
    job: int,
    network: Path,
    identity: Path,
    job_key: Path,
    out: Path | None,
    output: Output,
    stop: threading.Event,
) -> None:
    from zkpfl.cli.jobs import existing_job, job_result, require_success
    from zkpfl.roles.identity import Identity
    from zkpfl.roles.job_key import load_job_key
    from zkpfl.roles.job_reader import JobReader
    from zkpfl.roles.model_owner import ModelOwnerRole
    from zkpfl.roles.network import Network

    where, keys, key = Network.load(network), Identity.load(identity), load_job_key(job_key)
    ledger = where.connect(keys.account, stop)
    existing_job(ledger, job)
    with closing(where.open_store()) as store:
        ended = ModelOwnerRole(ledger, store, keys, output).follow(job, key, stop)
        if out is not None and ended.checkpoint is not None:
            out.write_bytes(ended.checkpoint)
        require_success(ended.job)
        if ended.error is not None:
            raise ended.error
        reader = JobReader(ledger, store, job)
        result = {**job_result(ledger, ended.job, reader), "statistics": ended.statistics}
    output.result({**result, "model": str(out) if out else None})


def _require_new(out: Path | None) -> None:
    if out is not None and out.exists():
        raise InvalidParameter(f"{out} exists already", field="out", hint="choose another file")
