"""``zkpfl verify``: an independent audit of what a run left on disk."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from zkpfl.cli import exit_codes
from zkpfl.cli.options import Json
from zkpfl.cli.output import Output

if TYPE_CHECKING:
    from rich.console import Console

    from zkpfl.roles.audit_report import AuditReport


def verify(
    data_dir: Annotated[Path, typer.Option(help="Folder with network.json, ledger and storage.")],
    job: Annotated[int | None, typer.Option(min=1, help="One job only; all by default.")] = None,
    job_key: Annotated[
        Path | None, typer.Option("--job-key", metavar="FILE", help="Opens the encrypted parts too.")
    ] = None,
    json: Json = False,
) -> None:
    """Audit from ledger and storage alone: signatures, sums, proofs, payouts; with the key, the model."""
    from zkpfl.roles.auditor import audit
    from zkpfl.roles.job_key import load_job_key

    key = None if job_key is None else load_job_key(job_key)
    output = Output(json)
    with _progress(output) as progress:
        task = progress.add_task("reading", total=None)
        report = audit(
            data_dir,
            jobs=None if job is None else [job],
            job_key=key,
            progress=lambda stage, done, total: progress.update(
                task, description=stage, completed=done, total=total
            ),
        )
    output.result({"verified": report.ok, **report.to_dict()}, lambda console: _render(console, report))
    if not report.ok:
        raise typer.Exit(exit_codes.FAILED)


def _progress(output: Output) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        console=output.console,
        transient=True,
        disable=output.as_json or not output.console.is_terminal,
    )


def _render(console: Console, report: AuditReport) -> None:
    for check in report.failures:
        console.print(
            f"✗ {check.name}  {check.place}: {check.detail}", style="red", markup=False, soft_wrap=True
        )
    for text in report.not_checked:
        console.print(f"not checked  {text}", style="yellow", markup=False, soft_wrap=True)
    count = len(report.checks)
    if report.ok:
        console.print(f"[green]✓[/green] {count} checks, all of them hold")
    else:
        console.print(f"[red]✗[/red] {len(report.failures)} of {count} checks failed")
