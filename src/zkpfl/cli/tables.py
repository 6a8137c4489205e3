"""Tables for people."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from rich import box
from rich.table import Table

from zkpfl.cli.addresses import short_address
from zkpfl.cli.payouts import Payout


def payouts_table(payouts: Iterable[Payout]) -> Table:
    """Who gets what; amounts are exact."""
    table = Table(title="payouts, in MPC", title_justify="left", box=box.SIMPLE)
    for name in ("role", "name", "account"):
        table.add_column(name)
    for name in ("reward", "slashed", "stake"):
        table.add_column(name, justify="right", no_wrap=True)
    for payout in payouts:
        row = payout.to_dict()
        account = short_address(row["account"])
        table.add_row(row["role"], row["name"], account, row["reward"], row["slashed"], row["stake"])
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
