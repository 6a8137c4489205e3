"""``zkpfl trainer``: a trainer's process."""

from __future__ import annotations

from contextlib import closing
from enum import StrEnum
from typing import Annotated

import typer

from zkpfl.cli.addresses import parse_addresses
from zkpfl.cli.decimals import parse_mpc
from zkpfl.cli.lifeline import stop_on_signals
from zkpfl.cli.options import IdentityFile, Json, NetworkFile, Stake, WaitSeconds
from zkpfl.cli.output import Output
from zkpfl.cli.sources import DATA_HINT, data_source

app = typer.Typer(help="Take part in a job as a trainer.")


class Device(StrEnum):
    """Where a trainer computes."""

    CPU = "cpu"
    CUDA = "cuda"


@app.callback()
def trainer() -> None:
    """Take part in a job as a trainer."""


@app.command("run")
def run(
    network: NetworkFile,
    identity: IdentityFile,
    job: Annotated[int, typer.Option(min=1, help="Number of the job.")],
    data: Annotated[str, typer.Option(metavar="SOURCE", help=f"{DATA_HINT}; never leaves this process.")],
    seed: Annotated[
        int | None, typer.Option(min=0, help="Reproducible training; by default drawn afresh.")
    ] = None,
    device: Annotated[Device, typer.Option(help="Where to compute.")] = Device.CPU,
    smallest_set: Annotated[
        int, typer.Option(min=2, max=256, help="Refuse a job that allows sums of fewer trainers.")
    ] = 2,
    known_nodes: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS,…", help="Refuse a job whose sums other zk-nodes than these could open."
        ),
    ] = None,
    most_epsilon: Annotated[
        float,
        typer.Option(
            min=0,
            help="Refuse a job that may spend more on a record; inf admits jobs without privacy.",
        ),
    ] = 8.0,
    most_delta: Annotated[float, typer.Option(min=0, max=0.1, help="Refuse a larger delta.")] = 1e-3,
    memory: Annotated[
        float,
        typer.Option(metavar="GIB", min=0.0625, help="Memory that training may use, in a process apart."),
    ] = 8.0,
    stake: Stake = "500",
    wait: WaitSeconds = 0,
    attack: Annotated[str | None, typer.Option(hidden=True)] = None,  # zkpfl demo --attack
    json: Json = False,
) -> None:
    """Join a job, train on data that stays here, and collect the reward."""
    amount = parse_mpc(stake, field="stake")
    known = () if known_nodes is None else parse_addresses(known_nodes, field="known_nodes")
    stop, output = stop_on_signals(), Output(json)
    source = data_source(data, seed or 0)
    from zkpfl.cli.jobs import job_result, require_success, wait_for_job
    from zkpfl.learning.training_worker import TrainingLimits
    from zkpfl.roles.attack import BoostingTrainer
    from zkpfl.roles.identity import Identity
    from zkpfl.roles.job_reader import JobReader
    from zkpfl.roles.network import Network
    from zkpfl.roles.policy import JoinPolicy
    from zkpfl.roles.trainer import TrainerRole, TrainerSettings

    where, keys = Network.load(network), Identity.load(identity)
    ledger = where.connect(keys.account, stop)
    wait_for_job(ledger, job, wait, stop)
    policy = JoinPolicy(smallest_set, frozenset(known), most_epsilon, most_delta)
    limits = TrainingLimits(memory_bytes=int(memory * (1 << 30)))
    settings = TrainerSettings(amount, seed, source.stream, device.value, policy, limits)
    with closing(where.open_store()) as store:
        role = TrainerRole if attack is None else BoostingTrainer
        ended = role(ledger, store, keys, source.load, job, settings, output).run(stop)
        require_success(ended)
        output.result(job_result(ledger, ended, JobReader(ledger, store, job)))
