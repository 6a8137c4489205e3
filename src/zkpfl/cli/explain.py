"""``zkpfl explain``: every payout of a job computed again from its events, term by term."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from zkpfl.cli import exit_codes
from zkpfl.cli.addresses import format_address, parse_address, short_address
from zkpfl.cli.decimals import format_mpc
from zkpfl.cli.options import Json, NetworkFile
from zkpfl.cli.output import Output

if TYPE_CHECKING:
    from rich.console import Console

    from zkpfl.ledger.settlement import Conviction, Reward, Settlement, Slash


def explain(
    job: Annotated[int, typer.Argument(min=1, metavar="JOB", help="Number of the job.")],
    network: NetworkFile,
    trainer: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="One account only; all by default.")
    ] = None,
    json: Json = False,
) -> None:
    """Show each term of each reward, slash and refund, and whether the contract paid just that."""
    account = None if trainer is None else parse_address(trainer, field="trainer")
    from zkpfl.cli.jobs import existing_job
    from zkpfl.ledger.reconciliation import discrepancies
    from zkpfl.ledger.settlement import explain as explained
    from zkpfl.roles.network import Network

    ledger = Network.load(network).connect(None)
    existing_job(ledger, job)
    events = ledger.events(job)
    wrong, result = discrepancies(events), describe(explained(events), account)
    Output(json).result(
        {"job": job, "agrees": not wrong, "discrepancies": wrong, **result},
        lambda console: _render(console, result, wrong),
    )
    if wrong:
        raise typer.Exit(exit_codes.FAILED)


def describe(settlement: Settlement, account: bytes | None) -> dict[str, Any]:
    """All terms as JSON values; amounts in MPC and factors as exact decimals."""
    split = settlement.split

    def chosen(party: bytes) -> bool:
        return account in (None, party)

    accounts = {r.account for r in settlement.rewards} | {c.accuser for c in settlement.convictions}
    return {
        "coin": settlement.coin,
        "fee": format_mpc(settlement.fee),
        "draw_fee": format_mpc(settlement.draw_fee),
        "improvement_paid": format_mpc(settlement.improvement_paid),
        "split": {
            "rounds": split.rounds,
            **{name: format_mpc(getattr(split, name)) for name in ("nodes", "flat", "improvement")},
        },
        "rounds": [
            {
                "round": result.number,
                "kind": result.kind.name.lower(),
                "closed": result.closed,
                "failure": result.failure,
                "accuracy_ppm": result.accuracy,
                "lower_bound_ppm": result.bound,
                "slice_opened": result.slice_opened,
                "rewards": [_reward(reward) for reward in result.rewards if chosen(reward.account)],
                "slashes": [_slash(slash) for slash in result.slashes if chosen(slash.node)],
            }
            for result in settlement.rounds
        ],
        "convictions": [
            _conviction(one) for one in settlement.convictions if account in (None, one.account, one.accuser)
        ],
        "refund": None if settlement.refund is None else format_mpc(settlement.refund),
        "owed": {
            format_address(party): format_mpc(settlement.owed(party))
            for party in sorted(accounts | {settlement.owner})
            if chosen(party)
        },
    }


def _reward(reward: Reward) -> dict[str, Any]:
    return {
        "account": format_address(reward.account),
        "role": reward.role.name.lower(),
        "amount": format_mpc(reward.amount),
        "flat_pot": format_mpc(reward.flat_pot),
        "improvement_pot": format_mpc(reward.improvement_pot),
        "stake": format_mpc(reward.stake),
        "time_factor": format_mpc(reward.time_factor),
        "accuracy_factor": format_mpc(reward.accuracy_factor),
        "weight": str(reward.weight),
        "total_weight": str(reward.total_weight),
        "convicted": reward.convicted,
    }


def _slash(slash: Slash) -> dict[str, Any]:
    return {
        "account": format_address(slash.node),
        "coin": slash.coin,
        "amount": format_mpc(slash.amount),
        "stake": format_mpc(slash.stake),
    }


def _conviction(one: Conviction) -> dict[str, Any]:
    return {
        "round": one.round,
        "account": format_address(one.account),
        "accuser": format_address(one.accuser),
        "offence": one.offence.name.lower(),
        "coin": one.coin,
        **{name: format_mpc(getattr(one, name)) for name in ("stake", "bounty", "burnt", "forfeited")},
    }


def _render(console: Console, result: dict[str, Any], wrong: list[str]) -> None:
    split = result["split"]
    console.print(
        f"fee {result['fee']} = nodes {split['nodes']} + flat {split['flat']} + improvement "
        f"{split['improvement']}, over {split['rounds']} rounds; draw fee {result['draw_fee']} burnt",
        soft_wrap=True,
    )
    for round_ in result["rounds"]:
        console.print(f"[bold]round {round_['round']}[/bold] {_outcome(round_)}", soft_wrap=True)
        for reward in round_["rewards"]:
            console.print(f"  {_reward_line(reward)}", soft_wrap=True)
        for slash in round_["slashes"]:
            console.print(
                f"  {short_address(slash['account'])} −{slash['amount']}: a tenth of {slash['stake']}, "
                "for not delivering",
                soft_wrap=True,
            )
    for one in result["convictions"]:
        console.print(
            f"{short_address(one['account'])} convicted of {one['offence']} in round {one['round']}: stake "
            f"{one['stake']} = bounty {one['bounty']} to {short_address(one['accuser'])} + burnt "
            f"{one['burnt']}; forfeits {one['forfeited']}",
            soft_wrap=True,
        )
    for account, amount in result["owed"].items():
        console.print(f"owed in all: {short_address(account)} {amount}", soft_wrap=True)
    if result["refund"] is not None:
        console.print(f"refund to the owner: {result['refund']}", soft_wrap=True)
    for line in wrong:
        console.print(f"✗ {line}", style="red", markup=False, soft_wrap=True)
    if not wrong:
        console.print("[green]✓[/green] the contract decided and paid just that")


def _outcome(round_: dict[str, Any]) -> str:
    if not round_["closed"]:
        return f"failed: {round_['failure']}" if round_["failure"] else "is not over"
    if round_["accuracy_ppm"] is None:
        return f"{round_['kind']}, not scored"
    return f"accuracy {round_['accuracy_ppm'] / 1e6:.6f}, surely above {round_['lower_bound_ppm'] / 1e6:.6f}"


def _reward_line(reward: dict[str, Any]) -> str:
    who = f"{short_address(reward['account'])} {reward['role']}"
    if reward["convicted"]:
        return f"{who} 0: convicted before the round closed"
    pots = f"(flat {reward['flat_pot']} + improvement {reward['improvement_pot']})"
    share = int(reward["weight"]) / int(reward["total_weight"])
    terms = (
        f"stake {reward['stake']} × time {reward['time_factor']} × accuracy {reward['accuracy_factor']}"
        if reward["role"] == "trainer"
        else "equal parts"
    )
    return f"{who} {reward['amount']} = {pots} × {share:.6f}, by {terms}"
