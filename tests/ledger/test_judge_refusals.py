"""What the judge refuses: foreign proofs, invalid points, strangers, starved calls (docs/spec.md §9.6)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from eth.precompiles.bls12_381 import constants
from tests.ledger.cheats import SHORT, RealRound, changed
from tests.ledger.conftest import rpc
from tests.ledger.test_precompiles import outside_the_subgroup
from tests.ledger.world import CHALLENGE_S, STAKE, World, refused

import zkpfl.ledger
from zkpfl.crypto.eip2537 import encode_points
from zkpfl.crypto.generators import generators
from zkpfl.crypto.merkle import merkle_proof, merkle_root
from zkpfl.errors import TransactionFailed
from zkpfl.ledger.client import LedgerClient
from zkpfl.ledger.contracts import compiled
from zkpfl.ledger.judge import Case, Judge
from zkpfl.protocol.evidence import Opening, generators_root, openings, row_leaves, row_pieces
from zkpfl.protocol.messages import MessageKind

P = 0x1A0111EA397FE69A4B1BA7B6434BACD764774B84F38512BF6730D2A0F6B0F6241EABFFFEB153FFFFB9FEFFFFFFFFAAAB
NODE, ROW = 3, 1


@pytest.fixture(scope="module")
def real(world: World) -> RealRound:
    return RealRound(world, SHORT)


@pytest.fixture(scope="module")
def judge(world: World) -> Judge:
    return Judge(world.party())


@pytest.fixture(scope="module")
def rows(real: RealRound) -> Any:
    return changed(real.rows(0, NODE), ROW)


@pytest.fixture
def case(judge: Judge, real: RealRound, rows: Any) -> Iterator[Case]:
    opened = judge.accuse_share(real.signed(0, NODE, rows), ROW)
    yield opened
    assert opened.guilty is None


def test_the_judge_knows_the_generators_and_the_prices() -> None:
    code = compiled("judge").bytecode
    assert generators_root() in code
    h = encode_points(generators(256).H)
    assert all(word in code for word in (h[16:32], h[32:64], h[80:96], h[96:]))
    prices = b"".join(discount.to_bytes(2, "big") for discount in constants.G1_MSM_DISCOUNTS)
    assert all(prices[start : start + 32] in code for start in range(0, 256, 32))  # pushed word by word
    source = (Path(zkpfl.ledger.__file__).parent / "judge.vy").read_text()
    high, low = divmod(P // 2, 1 << 256)  # the compiler may write comparisons with them in other words
    assert f"HALF_P_HIGH: constant(uint256) = {high}\n" in source
    assert f"HALF_P_LOW: constant(uint256) = {low}\n" in source
    assert len(code) < 24_576


def test_a_piece_must_be_the_next_under_the_signed_root(case: Case, real: RealRound, rows: Any) -> None:
    piece, other = row_pieces(rows, ROW)[0], row_pieces(rows, 0)[0]
    bad = {
        "wrong_length": [
            replace(piece, scalars=piece.scalars[:-32]),
            replace(piece, generators=piece.generators[:-128]),
        ],
        "wrong_proof": [
            other,
            replace(piece, scalars=piece.scalars[:-1] + bytes([piece.scalars[-1] ^ 1])),
            replace(piece, proof=()),
            replace(piece, proof=(*piece.proof, bytes(32))),
            replace(piece, generators=piece.generators[128:] + piece.generators[:128]),
            replace(piece, generator_proofs=piece.generator_proofs[:-1]),
            replace(piece, generator_proofs=(bytes(32), *piece.generator_proofs[1:])),
        ],
    }
    for reason, pieces in bad.items():
        for one in pieces:
            with refused(reason):
                case.add_piece(one)
    case.add_piece(piece)
    with refused("no_more_pieces"):
        case.add_piece(piece)


def test_commitments_must_be_the_next_under_the_committed_root(case: Case, real: RealRound) -> None:
    leaves = row_leaves(real.plan, NODE, ROW)
    good = openings(real.points(0), leaves)
    x, y = good[0].point[:64], int.from_bytes(good[0].point[64:], "big")
    for bad in (
        good[1],
        replace(good[0], proof=()),
        replace(good[0], point=x + (P - y).to_bytes(64, "big")),  # the other sign
    ):
        with refused("wrong_proof"):
            case.add_openings([bad])
    with refused("invalid_point"):  # compresses to the same leaf, and is not on the curve
        case.add_openings([replace(good[0], point=x + (y ^ 1).to_bytes(64, "big"))])
    with refused("invalid_point"):
        case.add_openings([replace(good[0], point=b"\xff" * 16 + good[0].point[16:])])
    case.add_openings(good[:2])
    with refused("no_more_openings"):
        case.add_openings(good)
    with refused("wrong_proof"):
        case.add_openings(good[:1])


@pytest.mark.parametrize("kind", ["subgroup", "infinity"])
def test_a_committed_point_outside_the_subgroup_is_no_evidence(
    world: World, judge: Judge, real: RealRound, rows: Any, kind: str
) -> None:
    point = outside_the_subgroup() if kind == "subgroup" else bytes(128)
    y = int.from_bytes(point[64:], "big")
    first = 0xC0 if kind == "infinity" else 0xA0 if y > P // 2 else 0x80
    leaves = [bytes(48)] * real.plan.submission_points
    leaf = row_leaves(real.plan, NODE, ROW)[0]
    leaves[leaf] = bytes([point[16] | first]) + point[17:64]
    message = replace(real.signed(0, NODE, rows).message, commitment_root=merkle_root(leaves))
    signed = message.sign(MessageKind.SHARE, world.keys[message.trainer])
    opened = judge.accuse_share(signed, ROW)
    opening = Opening(point, tuple(merkle_proof(leaves, leaf)))
    if kind == "subgroup":
        with refused("invalid_point"):
            opened.add_openings([opening])
    else:
        opened.add_openings([opening])
        assert opened.state["openings"] == 1


def test_a_case_belongs_to_its_accuser_and_its_state(world: World, case: Case, rows: Any) -> None:
    piece = row_pieces(rows, ROW)[0]
    stranger = Case(Judge(world.owner), case.number, case.state)
    with refused("not_the_accuser"):
        stranger.add_piece(piece)
    with refused("unknown_case"):
        Case(case._judge, case.number + 99, case.state).add_piece(piece)
    with refused("unknown_case"):
        Case(case._judge, case.number, {**case.state, "row": 0}).add_piece(piece)
    with refused("unknown_case"):
        Case(case._judge, case.number, {**case.state, "row": 0}).dismiss()


def test_an_accusation_left_lying_loses_its_bond(
    world: World, judge: Judge, real: RealRound, rows: Any
) -> None:
    opened = judge.accuse_share(real.signed(0, NODE, rows), ROW)
    stranger = Case(Judge(world.admin), opened.number, opened.state)
    with refused("not_due"):
        stranger.dismiss()
    world.wait(CHALLENGE_S)
    accused = world.trainers[0]
    before = accused.token.balance(accused.account)
    stranger.dismiss()
    assert stranger.guilty is False
    assert accused.token.balance(accused.account) - before == STAKE // 10
    with refused("unknown_case"):
        stranger.dismiss()


def test_accusations_that_cannot_be_judged_are_refused(
    world: World, judge: Judge, real: RealRound, rows: Any
) -> None:
    signed = real.signed(0, NODE, rows)
    message = signed.message
    with refused("unknown_row"):
        judge.accuse_share(signed, 2)
    with refused("bad_signature"):
        judge.accuse_share(replace(signed, message=replace(message, share_root=bytes(32))), ROW)
    with refused("bad_signature"):
        judge.accuse_share(replace(signed, signature=bytes(64) + b"\x1b"), ROW)
    key = world.keys[world.trainers[3].account]
    with refused("not_joined"):
        stranger = replace(message, trainer=key.address)
        judge.accuse_share(stranger.sign(MessageKind.SHARE, key), ROW)
    own = world.keys[message.trainer]
    with refused("unknown_node"):
        judge.accuse_share(replace(message, node=4).sign(MessageKind.SHARE, own), ROW)
    with refused("unknown_round"):
        context = replace(message.context, round=2)
        judge.accuse_share(replace(message, context=context).sign(MessageKind.SHARE, own), ROW)
    with refused("unknown_node"):
        judge.accuse_aggregate_share(real.job, 1, 4, 0)
    with refused("not_posted"):
        judge.accuse_aggregate_share(real.job, 1, 1, 0)


@pytest.mark.parametrize(
    "shape",
    [
        0,
        255 << 96 | 1 << 64 | 1 << 32 | 8,
        512 << 104 | 1 << 32,
        256 << 96 | 1 << 64,
        256 << 96 | 20 << 32 | 13,
    ],
)
def test_terms_with_an_impossible_layout_judge_nobody(world: World, judge: Judge, shape: int) -> None:
    real = RealRound(world, SHORT)
    other = world.create(max_trainers=3, training_layout=shape)
    for trainer in world.trainers[:3]:
        trainer.join(other)
    context = replace(real.plan.context, job=other)
    message = replace(real.signed(0, NODE, real.rows(0, NODE)).message, context=context)
    with pytest.raises(TransactionFailed) as caught:
        judge.accuse_share(message.sign(MessageKind.SHARE, world.keys[message.trainer]), 0)
    assert caught.value.reason in ("bad_layout", "unknown_row")


def test_an_accuser_without_the_bond_is_refused(world: World, real: RealRound, rows: Any) -> None:
    poor = LedgerClient(world.connect(), world.admin.contract)
    with refused("insufficient_balance"):
        Judge(poor).accuse_share(real.signed(0, NODE, rows), ROW)


def test_a_starved_multiplication_never_looks_like_an_invalid_point(
    world: World, judge: Judge, case: Case, rows: Any
) -> None:
    """At every amount of gas the call succeeds, runs dry by itself, or says that it was given too little."""
    piece = row_pieces(rows, ROW)[0]
    arguments = (piece.scalars, list(piece.proof), piece.generators, list(piece.generator_proofs))
    function = judge.contract.functions.add_piece(case.number, case.state, *arguments)
    accuser = judge.ledger.connection.address
    encoded = judge.ledger.connection._request(function, 0)["data"]
    request = {"from": accuser, "to": judge.contract.address, "data": encoded}
    reasons = set()
    for gas in range(2_700_000, 5_200_000, 250_000):
        answer = rpc(world.url, "eth_call", {**request, "gas": hex(gas)}, "latest")
        reasons.add("" if "result" in answer else _reason(answer["error"]))
    assert reasons == {"", "out_of_gas"}


def _reason(error: dict[str, Any]) -> str:
    """The contract's reason, or that the execution itself ended."""
    data = error.get("data") or "0x"
    if not data.startswith("0x08c379a0"):
        return "execution"
    text = bytes.fromhex(data[10:])
    return text[64 : 64 + int.from_bytes(text[32:64], "big")].decode()
