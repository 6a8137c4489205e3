"""Tables fit a terminal and show exact amounts."""

import dataclasses

from rich.console import Console

from zkpfl.cli.payouts import Conservation, Payout
from zkpfl.cli.tables import payouts_table

PAYOUTS = [
    Payout("model_owner", "owner", b"\x11" * 20, 41538461538461538474, 0, 0),
    Payout("zk_node", "node-1", b"\x22" * 20, 2051282051282051280, 0, 500 * 10**18),
    Payout("trainer", "va_long_beach", b"\x33" * 20, 13083191542914674048, 0, 500 * 10**18),
]


def drawn(payouts: list[Payout]) -> str:
    console = Console(width=80)
    with console.capture() as capture:
        console.print(payouts_table(payouts))
    return capture.get()


def test_amounts_are_exact() -> None:
    text = drawn(PAYOUTS)
    for word in (
        "model_owner",
        "va_long_beach",
        "0x3333…3333",
        "41.538461538461538474",
        "2.05128205128205128",
    ):
        assert word in text
    assert "slashed" not in text


def test_what_was_slashed_is_shown() -> None:
    slashed = dataclasses.replace(PAYOUTS[1], slashed=50 * 10**18, stake=450 * 10**18)
    text = drawn([slashed])
    assert "slashed" in text
    assert "450" in text


MONEY = Conservation(65, stakes=30, escrow=20, owed=10, burnt=5, balances=100, supply=100)


def test_conservation() -> None:
    assert MONEY.holds
    for name in ("contract_balance", "stakes", "escrow", "owed", "burnt", "balances", "supply"):
        assert not dataclasses.replace(MONEY, **{name: getattr(MONEY, name) + 1}).holds
