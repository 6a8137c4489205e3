"""Tables for people."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich import box
from rich.table import Table

from zkpfl.cli.addresses import short_address
from zkpfl.cli.payouts import Payout

if TYPE_CHECKING:
    from zkpfl.ledger.gas import GasReport


def payouts_table(payouts: Sequence[Payout]) -> Table:
    """Who gets what, exactly; the column of what was taken from stakes appears where anything was."""
    table = Table(title="payouts, in MPC", title_justify="left", box=box.SIMPLE)
    for name in ("role", "name", "account"):
        table.add_column(name, no_wrap=True)
    amounts = (
        ["reward", "stake", "slashed"] if any(payout.slashed for payout in payouts) else ["reward", "stake"]
    )
    for name in amounts:
        table.add_column(name, justify="right", no_wrap=True)
    for payout in payouts:
        row = payout.to_dict()
        table.add_row(
            row["role"], row["name"], short_address(row["account"]), *(row[name] for name in amounts)
        )
    return table


def jobs_table(jobs: Iterable[Mapping[str, Any]]) -> Table:
    """One line a job."""
    table = Table(box=box.SIMPLE)
    for name in ("job", "status", "owner", "rounds", "accuracy", "target", "trainers"):
        table.add_column(name)
    for job in jobs:
        accuracy = "" if job["accuracy"] is None else f"{job['accuracy']:.3f}"
        rounds = f"{job['rounds']}/{job['max_rounds']}"
        table.add_row(
            str(job["job"]),
            job["status"],
            short_address(job["owner"]),
            rounds,
            accuracy,
            f"{job['target']:.3f}",
            str(job["trainers"]),
        )
    return table


def gas_table(report: GasReport) -> Table:
    """Gas of every call, least and most, and the largest calldata."""
    title = f"{report.trainers} trainers, {report.nodes} zk-nodes: rounds of {report.rounds} gas"
    table = Table(title=title, title_justify="left", box=box.SIMPLE)
    table.add_column("call")
    for name in ("least", "most", "calldata"):
        table.add_column(name, justify="right")
    for use in report.calls:
        table.add_row(use.call, f"{use.least:,}", f"{use.most:,}", f"{use.calldata:,}")
    return table
