"""Who is paid what by a job, and whether all money is accounted for (docs/spec.md §9.5, G8)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from zkpfl.cli.addresses import format_address
from zkpfl.cli.decimals import format_mpc
from zkpfl.ledger.client import LedgerClient
from zkpfl.ledger.events import Convicted, Event
from zkpfl.ledger.records import MPC_COIN, Job
from zkpfl.ledger.settlement import Settlement, explain


@dataclass(frozen=True)
class Payout:
    """What a party gets from a job, in base units.

    Parameters
    ----------
    role, name
        ``model_owner``, ``zk_node``, ``trainer`` or, of a stranger, ``accuser``, and which.
    account
        20 bytes.
    reward
        Credited rewards and bounties; the refund of the owner.
    slashed
        Taken from the stake.
    stake
        As it is now.
    """

    role: str
    name: str
    account: bytes
    reward: int
    slashed: int
    stake: int

    def to_dict(self) -> dict[str, Any]:
        """Flat JSON values; amounts are exact decimals."""
        return {
            "role": self.role,
            "name": self.name,
            "account": format_address(self.account),
            "reward": format_mpc(self.reward),
            "slashed": format_mpc(self.slashed),
            "stake": format_mpc(self.stake),
        }


@dataclass(frozen=True)
class Conservation:
    """Where all tokens are, in base units.

    Parameters
    ----------
    contract_balance
        What the bank holds.
    stakes, escrow, owed
        What it owes: to registered accounts, to unfinished jobs, and from ended ones.
    burnt
        What it holds and nobody gets.
    balances
        What the known accounts and the bank hold together.
    supply
        All tokens there are.
    """

    contract_balance: int
    stakes: int
    escrow: int
    owed: int
    burnt: int
    balances: int
    supply: int

    @property
    def holds(self) -> bool:
        """Whether the bank holds exactly what it owes and burnt, and no token is missing or invented."""
        accounted = self.stakes + self.escrow + self.owed + self.burnt
        return self.contract_balance == accounted and self.balances == self.supply


def payouts(ledger: LedgerClient, job: Job, names: Mapping[bytes, str] | None = None) -> list[Payout]:
    """Return what everyone gets from a job so far: owner, zk-nodes, trainers, other accusers."""
    settlement, known = explain(ledger.events(job.id)), names or {}
    parties = (job.owner, *job.committee, *job.trainers)
    accusers = dict.fromkeys(one.accuser for one in settlement.convictions if one.accuser not in parties)
    rows = [Payout("model_owner", known.get(job.owner, "owner"), job.owner, settlement.owed(job.owner), 0, 0)]
    for role, accounts in (("zk_node", job.committee), ("trainer", job.trainers), ("accuser", [*accusers])):
        for number, account in enumerate(accounts):
            name = known.get(account, f"{role.removeprefix('zk_')} {number + (role == 'zk_node')}")
            taken = _taken(settlement, account)
            rows.append(Payout(role, name, account, settlement.owed(account), taken, _stake(ledger, account)))
    return rows


def conservation(ledger: LedgerClient, others: Iterable[bytes], supply: int) -> Conservation:
    """Sum up where all MPC are; other coins are not counted.

    Parameters
    ----------
    ledger
        The ledger.
    others
        Accounts that hold tokens or stakes besides the parties of jobs, such as the deployer.
    supply
        All tokens there are.
    """
    jobs = [ledger.job(number) for number in range(1, ledger.job_count() + 1)]
    parties = {account for job in jobs for account in _parties(job, ledger.events(job.id))}
    accounts = parties | set(others)
    held = ledger.token.balance(ledger.bank)
    return Conservation(
        contract_balance=held,
        stakes=sum(_stake(ledger, account) for account in accounts),
        escrow=sum(job.escrow for job in jobs if job.coin == MPC_COIN),
        owed=sum(ledger.owed(job.id, account) for job in jobs for account in accounts),
        burnt=ledger.burnt(),
        balances=held + sum(ledger.token.balance(account) for account in accounts),
        supply=supply,
    )


def _parties(job: Job, events: Iterable[Event]) -> set[bytes]:
    accusers = {event.accuser for event in events if isinstance(event, Convicted)}
    return {job.owner, *job.committee, *job.trainers, *accusers}


def _taken(settlement: Settlement, account: bytes) -> int:
    """What was taken from the stake of an account."""
    slashed = sum(slash.amount for slash in settlement.slashes if slash.node == account)
    return slashed + sum(one.stake for one in settlement.convictions if one.account == account)


def _stake(ledger: LedgerClient, account: bytes) -> int:
    record = ledger.node(account) or ledger.trainer(account)
    return record.stake if record and record.coin == MPC_COIN else 0
