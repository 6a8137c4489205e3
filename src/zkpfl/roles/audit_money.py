"""Audit of the money: every payout recomputed, every token accounted for (docs/spec.md §9)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from zkpfl.crypto.merkle import keccak256
from zkpfl.ledger.client import LedgerClient
from zkpfl.ledger.embedded import EmbeddedLedger
from zkpfl.ledger.events import Claimed, Convicted, Event, JobCreated, Slashed, Staked, Unstaked
from zkpfl.ledger.logs import LogFilter
from zkpfl.ledger.reconciliation import discrepancies
from zkpfl.ledger.records import MPC_COIN, Job
from zkpfl.ledger.settlement import explain
from zkpfl.ledger.token import Token
from zkpfl.roles.audit_report import Findings

_TRANSFER = int.from_bytes(keccak256(b"Transfer(address,address,uint256)"), "big")
_NOBODY = bytes(20)


def audit_settlement(ledger: LedgerClient, job: Job, events: Sequence[Event], findings: Findings) -> None:
    """Compute accepted sets, scores, rewards, slashes and refund of a job again; compare events and state.

    Parameters
    ----------
    ledger
        Client of the repeated contract.
    job, events
        The job as the ledger has it, and all its events.
    findings
        Takes one check a party, and one for all decisions if they are right.
    """
    place = f"job {job.id}"
    wrong = discrepancies(events)
    for line in wrong:
        where, _, detail = line.partition(": ")
        findings.failed("settlement", f"{place}, {where}", detail)
    if not wrong:
        findings.passed("settlement", place)
    expected = explain(events)
    held = 0 if expected.status else expected.escrow
    findings.require("escrow", place, job.escrow == held, f"is {job.escrow}, should be {held}")
    for account in sorted(_parties(job, events)):
        for coin in range(len(ledger.coins)):
            claims = [e for e in events if isinstance(e, Claimed) and (e.account, e.coin) == (account, coin)]
            due = expected.owed(account, coin) - sum(claim.amount for claim in claims)
            owed, where = ledger.owed(job.id, account, coin), f"account 0x{account.hex()}"
            findings.require("owed", f"{place}, {where}", owed == due, f"is {owed}, should be {due}")


def audit_conservation(
    chain: EmbeddedLedger,
    ledger: LedgerClient,
    jobs: Mapping[int, Job],
    events: Mapping[int, Sequence[Event]],
    findings: Findings,
) -> None:
    """Check that no token of any listed coin appears or disappears.

    Parameters
    ----------
    chain, ledger
        The repeated chain and a client of its contract.
    jobs, events
        Every job of the contract, and its events.
    findings
        Takes one check an account and one for each sum.
    """
    stakes = _audit_stakes(ledger, events, findings)
    _audit_burnt(ledger, events, findings)
    for coin in range(len(ledger.coins)):
        _audit_token(chain, ledger.coin_token(coin), coin, findings)
        debts = sum(_debts(ledger, job, events[number], coin) for number, job in jobs.items())
        owns, owes = ledger.coin_token(coin).balance(ledger.bank), debts + stakes[coin] + ledger.burnt(coin)
        detail = f"it holds {owns}; stakes, pools, unclaimed rewards and what is burnt are {owes}"
        findings.require("conservation", f"bank, coin {coin}", owns == owes, detail)


def _audit_token(chain: EmbeddedLedger, token: Token, coin: int, findings: Findings) -> None:
    """Check every balance against the transfers, and their sum against what was minted."""
    balances = _balances(chain, token.address)
    minted = -balances.pop(_NOBODY, 0)
    held = {account: token.balance(account) for account in balances}
    for account, balance in balances.items():
        detail = f"holds {held[account]}, the transfers give {balance}"
        findings.require(
            "balance", f"account 0x{account.hex()}, coin {coin}", held[account] == balance, detail
        )
    detail = f"balances sum to {sum(held.values())}, {minted} were minted"
    findings.require("token_supply", f"coin {coin}", sum(held.values()) == minted, detail)


def _audit_burnt(ledger: LedgerClient, events: Mapping[int, Sequence[Event]], findings: Findings) -> None:
    """Check what is burnt: the draw fees, and four fifths of the stakes of the convicted."""
    burnt: dict[int, int] = defaultdict(int)
    for event in (event for of_job in events.values() for event in of_job):
        if isinstance(event, JobCreated):
            burnt[event.coin] += event.draw_fee
        elif isinstance(event, Convicted):
            burnt[event.coin] += event.stake - event.bounty
    for coin in range(len(ledger.coins)):
        stated = ledger.burnt(coin)
        detail = f"is {stated}, the events give {burnt[coin]}"
        findings.require("burnt", f"bank, coin {coin}", stated == burnt[coin], detail)


def _balances(chain: EmbeddedLedger, token: bytes) -> dict[bytes, int]:
    """Balance of every account that ever received a token; what the zero address sent was minted."""
    wanted = LogFilter(frozenset({token}), (frozenset({_TRANSFER}),))
    balances: dict[bytes, int] = defaultdict(int)
    for entry in chain.logs(0, chain.head.block_number, wanted):
        sender, receiver = (topic.to_bytes(32, "big")[12:] for topic in entry.topics[1:3])
        amount = int.from_bytes(entry.data, "big")
        balances[sender] -= amount
        balances[receiver] += amount
    return balances


def _audit_stakes(
    ledger: LedgerClient, events: Mapping[int, Sequence[Event]], findings: Findings
) -> dict[int, int]:
    """Check every stake against its movements; returns the sum of what the bank says for each coin."""
    stakes: dict[bytes, int] = defaultdict(int)
    for event in ledger.account_events():
        if isinstance(event, Staked):
            stakes[event.account] += event.amount
        elif isinstance(event, Unstaked):
            stakes[event.account] -= event.amount
    for event in (event for of_job in events.values() for event in of_job):
        if isinstance(event, Slashed):
            stakes[event.node] -= event.amount
        elif isinstance(event, Convicted):
            stakes[event.account] -= event.stake
    total: dict[int, int] = defaultdict(int)
    for account, stake in stakes.items():
        record = ledger.node(account) or ledger.trainer(account)
        stated = record.stake if record else 0
        detail = f"is {stated}, its movements give {stake}"
        findings.require("stake", f"account 0x{account.hex()}", stated == stake, detail)
        total[record.coin if record else MPC_COIN] += stated
    return total


def _debts(ledger: LedgerClient, job: Job, events: Sequence[Event], coin: int) -> int:
    """What the bank holds for a job in a coin: its pool, and what it owes to those who took part."""
    pool = job.escrow if job.coin == coin else 0
    return pool + sum(ledger.owed(job.id, account, coin) for account in _parties(job, events))


def _parties(job: Job, events: Sequence[Event]) -> set[bytes]:
    accusers = {event.accuser for event in events if isinstance(event, Convicted)}
    return {job.owner, *job.committee, *job.trainers, *accusers}
