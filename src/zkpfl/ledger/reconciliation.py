"""What the contract says it decided and paid, compared with `zkpfl.ledger.settlement` (docs/spec.md §9)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from zkpfl.ledger.events import (
    AcceptedSetFixed,
    Claimed,
    Convicted,
    Event,
    JobCreated,
    JobEnded,
    Rewarded,
    RoundClosed,
    Slashed,
)
from zkpfl.ledger.records import JobStatus, RoundKind
from zkpfl.ledger.settlement import RoundResult, Settlement, explain


def discrepancies(events: Sequence[Event]) -> list[str]:
    """Compare what the contract decided and paid with `explain`.

    Parameters
    ----------
    events
        All events of one job, in chain order.

    Returns
    -------
    list[str]
        One line for each difference, naming round and party; empty if all agree.
    """
    settlement = explain(events)
    found = [line for result in settlement.rounds for line in _round_differences(events, result)]
    convicted = [event for event in events if isinstance(event, Convicted)]
    for event, one in zip(convicted, settlement.convictions, strict=True):
        if event.forfeited != one.forfeited:
            found.append(
                f"round {event.round}: conviction of 0x{event.account.hex()}: "
                f"forfeited {event.forfeited}, expected {one.forfeited}"
            )
    ended = [event for event in events if isinstance(event, JobEnded)]
    if ended and ended[0].refund != settlement.refund:
        found.append(f"job: refund {ended[0].refund}, expected {settlement.refund}")
    if ended and ended[0].status is not _expected_status(events, settlement, ended[0].status):
        found.append(f"job: ended as {ended[0].status.name.lower()}")
    for claim in (event for event in events if isinstance(event, Claimed)):
        if claim.amount != settlement.owed(claim.account, claim.coin):
            found.append(f"job: 0x{claim.account.hex()} was paid {claim.amount}")
    return found


def _round_differences(events: Sequence[Event], result: RoundResult) -> Iterator[str]:
    expected: dict[str, object] = {
        f"reward of 0x{r.account.hex()}": (r.role, r.amount, r.time_factor, r.accuracy_factor)
        for r in result.rewards
    } | {f"slash of 0x{s.node.hex()}": s.amount for s in result.slashes}
    if result.quorum:
        expected["accepted set"] = (result.accepted, result.quorum)
    if result.closed:
        expected["checkpoint and accuracy"] = (result.checkpoint or bytes(32), result.accuracy or 0)
    recorded = _recorded(events, result.number)
    for place in sorted(expected.keys() | recorded.keys()):
        if expected.get(place) != recorded.get(place):
            yield f"round {result.number}: {place}: {recorded.get(place)}, expected {expected.get(place)}"


def _recorded(events: Sequence[Event], number: int) -> dict[str, object]:
    """Return what the contract says about a round, in the terms of `_round_differences`."""
    recorded: dict[str, object] = {}
    for event in events:
        if getattr(event, "round", None) != number:
            continue
        if isinstance(event, Rewarded):
            values = (event.role, event.amount, event.time_factor, event.accuracy_factor)
            recorded[f"reward of 0x{event.account.hex()}"] = values
        elif isinstance(event, Slashed):
            recorded[f"slash of 0x{event.node.hex()}"] = event.amount
        elif isinstance(event, AcceptedSetFixed):
            recorded["accepted set"] = (event.accepted, event.quorum)
        elif isinstance(event, RoundClosed):
            recorded["checkpoint and accuracy"] = (event.checkpoint, event.accuracy)
    return recorded


def _expected_status(events: Sequence[Event], settlement: Settlement, recorded: JobStatus) -> JobStatus:
    """Return how the job had to end; before the first round only its owner decides between two ends."""
    created = next(event for event in events if isinstance(event, JobCreated))
    trained = [r for r in settlement.rounds if r.closed and r.kind is RoundKind.TRAINING]
    if not settlement.rounds:
        return recorded if recorded is JobStatus.CANCELLED else JobStatus.FAILED
    reached = any((result.accuracy or 0) >= created.terms.target for result in trained)
    statistics_done = settlement.rounds[-1].closed or bool(trained)
    complete = len(trained) == created.terms.training_rounds and statistics_done
    return JobStatus.DONE if reached or complete else JobStatus.FAILED
