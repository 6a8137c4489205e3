"""What calls cost: no transaction comes near the limits of a block (EIP-7825) or of a node's calldata."""

from __future__ import annotations

import pytest

from zkpfl.ledger.gas import GasReport, measure


@pytest.fixture(scope="module")
def report() -> GasReport:
    return measure(3, 2, 3, dispute=True)


def test_every_call_is_far_from_the_limits(report: GasReport) -> None:
    assert {use.call for use in report.calls} >= {
        "register_node", "register_trainer", "create_job", "join", "share_keys", "submit", "report",
        "post_aggregate", "open_slice", "attest", "contribute", "score", "attest_factors", "reveal",
        "accuse_share", "add_piece", "add_openings",
    }  # fmt: skip
    for use in report.calls:
        assert use.least <= use.most < 16_700_000, use
        assert use.calldata < 128_000, use


def test_what_a_round_costs_does_not_creep_up(report: GasReport) -> None:
    most = {use.call: use.most for use in report.calls}
    least = {use.call: use.least for use in report.calls}
    assert most["submit"] < 90_000
    assert most["score"] < 70_000
    assert least["reveal"] < 56_000
    assert most["attest"] < 230_000
    assert most["accuse_share"] < 165_000
    assert most["add_piece"] < 6_300_000
    assert most["contribute"] < 75_000
    assert least["attest_factors"] < 95_000
    assert report.rounds[1] < report.rounds[0] < 2_200_000
