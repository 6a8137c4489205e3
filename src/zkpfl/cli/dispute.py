"""``zkpfl dispute``: bring evidence before the judge, built from local files."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from zkpfl.cli import exit_codes
from zkpfl.cli.options import IdentityFile, JobKeyFile, Json, NetworkFile
from zkpfl.cli.output import Output
from zkpfl.errors import InvalidParameter

if TYPE_CHECKING:
    from zkpfl.ledger.judge import Judge, SignedAttestation
    from zkpfl.roles.accusation import Accuser
    from zkpfl.roles.identity import Identity

app = typer.Typer(
    help="Prove to the ledger that a trainer or zk-node cheated; the bond comes back if it did."
)

JobNumber = Annotated[int, typer.Argument(min=1, metavar="JOB", help="Number of the job.")]
RoundNumber = Annotated[int, typer.Argument(min=1, metavar="ROUND", help="Number of the round.")]
NodeNumber = Annotated[int, typer.Argument(min=1, max=10, metavar="NODE", help="The zk-node, from 1.")]


@app.command("share")
def share(
    job: JobNumber,
    round_number: RoundNumber,
    trainer: Annotated[int, typer.Argument(min=0, metavar="TRAINER", help="The trainer, from 0.")],
    network: NetworkFile,
    identity: IdentityFile,
    json: Json = False,
) -> None:
    """As the zk-node that got it: a row of a trainer's signed share fails the commitments."""
    with _accuser(network, identity, job, round_number, json) as (accuser, keys, output):
        guilty = accuser.accuse_trainer(trainer, _own_number(network, keys, job), keys.encryption)
    _verdict(output, guilty)


@app.command("aggregate")
def aggregate(
    job: JobNumber,
    round_number: RoundNumber,
    node: NodeNumber,
    network: NetworkFile,
    identity: IdentityFile,
    job_key: JobKeyFile,
    json: Json = False,
) -> None:
    """As a member: a row of the aggregate share that a zk-node posted fails the sum of the commitments."""
    from zkpfl.roles.job_key import load_job_key

    with _accuser(network, identity, job, round_number, json) as (accuser, _, output):
        guilty = accuser.accuse_node(node, load_job_key(job_key))
    _verdict(output, guilty)


@app.command("attestation")
def attestation(
    job: JobNumber,
    round_number: RoundNumber,
    points: Annotated[Path, typer.Argument(metavar="POINTS", help="The points under the attested root.")],
    network: NetworkFile,
    identity: IdentityFile,
    json: Json = False,
) -> None:
    """As anyone who has them: the attested aggregate is not the sum of the accepted commitments."""
    with _accuser(network, identity, job, round_number, json) as (accuser, _, output):
        guilty = accuser.accuse_signers(_read(points))
    _verdict(output, guilty)


@app.command("equivocation")
def equivocation(
    job: JobNumber,
    round_number: RoundNumber,
    node: NodeNumber,
    statements: Annotated[
        list[Path],
        typer.Argument(metavar="FILE [FILE]", help="Signed attestations, as JSON; one if the ledger has I."),
    ],
    network: NetworkFile,
    identity: IdentityFile,
    json: Json = False,
) -> None:
    """As anyone who has them: a zk-node signed two sets or aggregates of one round, or not the ledger's."""
    signed = [_attestation(path) for path in statements]
    judge, output = _judge(network, identity), Output(json)
    match signed:
        case [one]:
            judge.prove_other_set(job, round_number, node, one)
        case [one, two]:
            judge.prove_equivocation(job, round_number, node, one, two)
        case _:
            raise InvalidParameter("give one attestation or two", field="FILE")
    _verdict(output, guilty=True)


@app.command("dismiss")
def dismiss(
    case: Annotated[int, typer.Argument(min=1, metavar="CASE", help="Number of the case.")],
    network: NetworkFile,
    identity: IdentityFile,
    json: Json = False,
) -> None:
    """Close a case that its accuser left lying; the bond goes to the accused."""
    _judge(network, identity).case(case).dismiss()
    Output(json).result({"case": case, "guilty": False})


def _verdict(output: Output, guilty: bool) -> None:
    output.result({"guilty": guilty})
    if not guilty:
        raise typer.Exit(exit_codes.FAILED)


@contextmanager
def _accuser(
    network: Path, identity: Path, job: int, round_number: int, json: bool
) -> Iterator[tuple[Accuser, Identity, Output]]:
    from zkpfl.cli.jobs import existing_job
    from zkpfl.roles.accusation import Accuser
    from zkpfl.roles.identity import Identity
    from zkpfl.roles.network import Network

    where, keys, output = Network.load(network), Identity.load(identity), Output(json)
    ledger = where.connect(keys.account)
    existing_job(ledger, job)
    with closing(where.open_store()) as store:
        yield Accuser(ledger, store, job, round_number, output), keys, output


def _judge(network: Path, identity: Path) -> Judge:
    from zkpfl.ledger.judge import Judge
    from zkpfl.roles.identity import Identity
    from zkpfl.roles.network import Network

    return Judge(Network.load(network).connect(Identity.load(identity).account))


def _own_number(network: Path, keys: Identity, job: int) -> int:
    """Number of this zk-node in the committee of a job."""
    from zkpfl.roles.network import Network

    committee = Network.load(network).connect(None).job(job).committee
    if keys.account.address not in committee:
        raise InvalidParameter(f"is not a zk-node of job {job}", field="identity")
    return committee.index(keys.account.address) + 1


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InvalidParameter(f"cannot read {path}: {error.strerror}", field="FILE") from error


def _attestation(path: Path) -> SignedAttestation:
    """A signed attestation from JSON: integers, and bytes in hexadecimal, under the names of its fields."""
    from zkpfl import strict_json
    from zkpfl.ledger.judge import SignedAttestation

    sizes = {"aggregate_root": 32, "posts": 32, "signature": 128}
    value: dict[str, Any] = strict_json.require_keys(
        strict_json.parse(_read(path), field=str(path), max_size_bytes=4096, error=InvalidParameter),
        {"accepted", "valid", *sizes},
        field=str(path),
        error=InvalidParameter,
    )
    try:
        data = {name: bytes.fromhex(value[name]) for name in sizes}
        accepted, valid = int(value["accepted"]), int(value["valid"])
    except (TypeError, ValueError) as error:
        raise InvalidParameter("is not a signed attestation", field=str(path)) from error
    if any(len(data[name]) != size for name, size in sizes.items()):
        raise InvalidParameter("is not a signed attestation", field=str(path))
    return SignedAttestation(accepted, data["aggregate_root"], valid, data["posts"], data["signature"])
