"""Evidence on a chain: the guilty lose stake, rewards and seat, the innocent nothing (docs/spec.md §9.6)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tests.ledger.cheats import LONG, SHORT, RealRound, changed
from tests.ledger.world import CHALLENGE_S, STAKE, UNBONDING_S, World, refused

from zkpfl.crypto.merkle import commitment_root, share_root
from zkpfl.crypto.points import G1Array
from zkpfl.errors import InvalidParameter
from zkpfl.ledger.client import LedgerClient
from zkpfl.ledger.events import Convicted
from zkpfl.ledger.judge import Judge
from zkpfl.ledger.reconciliation import discrepancies
from zkpfl.ledger.records import Offence
from zkpfl.ledger.settlement import explain
from zkpfl.params import Layout
from zkpfl.protocol.evidence import openings, row_leaves, row_pieces

BOND = STAKE // 10

Open = Callable[..., RealRound]


@pytest.fixture(scope="module")
def accuser(world: World) -> LedgerClient:
    return world.party()


@pytest.fixture
def opened(world: World) -> Iterator[Open]:
    """Opens rounds; afterwards they end, and the convicted come back with a new stake."""
    rounds: list[RealRound] = []

    def open_round(*arguments: Any, **options: Any) -> RealRound:
        rounds.append(RealRound(world, *arguments, **options))
        return rounds[-1]

    yield open_round
    for real in rounds:
        finish(world, real)
    for party in (*world.nodes, *world.trainers):
        record = world.admin.node(party.account) or world.admin.trainer(party.account)
        if record and record.stake == 0:
            party.unstake()
            world.wait(UNBONDING_S)
            party.withdraw_stake()
            world.enroll(party)


def finish(world: World, real: RealRound) -> None:
    while not world.state(real.job).status.ended:
        world.pass_deadline(real.job)


def accuse_share(judge: Judge, real: RealRound, node: int, row: int, *, lie: bool = True) -> bool | None:
    """Trainer 0 signed rows for a node; hand them in as evidence."""
    rows = real.rows(0, node)
    if lie:
        rows = changed(rows, row)
    case = judge.accuse_share(real.signed(0, node, rows), row)
    for piece in row_pieces(rows, row):
        assert case.guilty is None
        case.add_piece(piece)
    case.add_openings(openings(real.points(0), row_leaves(real.plan, node, row)))
    return case.guilty


@pytest.mark.parametrize(("layout", "node", "row"), [(SHORT, 1, 0), (SHORT, 3, 1), (LONG, 2, 0)])
def test_a_row_that_fails_its_commitments_convicts_the_trainer(
    world: World, accuser: LedgerClient, opened: Open, layout: Layout, node: int, row: int
) -> None:
    real, judge = opened(layout), Judge(accuser)
    before, burnt = accuser.token.balance(accuser.account), world.burnt()
    assert accuse_share(judge, real, node, row) is True
    assert accuser.token.balance(accuser.account) == before  # the bond is back
    assert accuser.owed(real.job, accuser.account) == STAKE // 5
    assert world.burnt() - burnt == STAKE - STAKE // 5
    record = world.admin.trainer(real.plan.trainers[0])
    assert record and record.stake == 0
    with refused("not_joined"):
        world.trainers[0].submit(real.job, 1, b"r" * 32, b"m" * 32)
    (event,) = (event for event in world.admin.events(real.job) if isinstance(event, Convicted))
    assert (event.offence, event.stake, event.forfeited) == (Offence.BAD_SHARE, STAKE, 0)
    finish(world, real)
    assert discrepancies(world.admin.events(real.job)) == []


@pytest.mark.parametrize(("layout", "node"), [(SHORT, 1), (SHORT, 3), (LONG, 2)])
def test_a_good_row_costs_the_accuser_its_bond(
    world: World, accuser: LedgerClient, opened: Open, layout: Layout, node: int
) -> None:
    real, judge = opened(layout), Judge(accuser)
    accused, before = world.trainers[0], world.trainers[0].token.balance(world.trainers[0].account)
    assert accuse_share(judge, real, node, 0, lie=False) is False
    assert accused.token.balance(accused.account) - before == BOND
    record = world.admin.trainer(accused.account)
    assert record and record.stake == STAKE


def test_a_second_piece_of_evidence_is_no_false_accusation(
    world: World, accuser: LedgerClient, opened: Open
) -> None:
    real = opened(SHORT)
    second, rows = Judge(world.party()), changed(real.rows(0, 3), 1)
    case = second.accuse_share(real.signed(0, 3, rows), 1)
    assert accuse_share(Judge(accuser), real, 3, 1) is True
    case.add_piece(row_pieces(rows, 1)[0])
    before = second.ledger.token.balance(second.ledger.account)
    case.add_openings(openings(real.points(0), row_leaves(real.plan, 3, 1)))
    assert case.guilty is True
    assert second.ledger.token.balance(second.ledger.account) - before == BOND
    assert second.ledger.owed(real.job, second.ledger.account) == 0


def test_a_bad_aggregate_share_convicts_the_node_that_posted_it(
    world: World, accuser: LedgerClient, opened: Open
) -> None:
    real, judge = opened(SHORT, nodes=5, threshold=3), Judge(accuser)
    real.submit()
    accepted = world.round(real.job).accepted
    rows = changed(real.sum(4, accepted), 1)
    for node in (1, 2, 3):
        world.nodes[node - 1].post_aggregate(real.job, 1, share_root(real.sum(node, accepted)), b"m" * 32)
    world.nodes[3].post_aggregate(real.job, 1, share_root(rows), b"m" * 32)
    with refused("not_posted"):
        judge.accuse_aggregate_share(real.job, 1, 5, 0)
    others = [(1, bytes(32), bytes(32))]
    with refused("other_posts"):
        judge._write(judge._functions.accuse_aggregate_share(judge._address, real.job, 1, 1, 0, others))

    case = judge.accuse_aggregate_share(real.job, 1, 4, 1)
    leaves = row_leaves(real.plan, 4, 1)
    with refused("wrong_proof"):  # the first points are the first trainer's
        case.add_openings(openings(real.points(1), leaves))
    for trainer in range(3):
        case.add_openings(openings(real.points(trainer), leaves))
    stake = world.admin.node(world.nodes[3].account).stake
    case.add_piece(row_pieces(rows, 1)[0])
    assert case.guilty is True
    assert accuser.owed(real.job, accuser.account) == stake // 5

    honest = judge.accuse_aggregate_share(real.job, 1, 2, 0)  # node 2 is below the threshold: seeds
    for trainer in range(3):
        honest.add_openings(openings(real.points(trainer), row_leaves(real.plan, 2, 0)))
    honest.add_piece(row_pieces(real.sum(2, accepted), 0)[0])
    assert honest.guilty is False
    finish(world, real)
    assert discrepancies(world.admin.events(real.job)) == []


def test_a_false_aggregate_convicts_all_who_attested_it(
    world: World, accuser: LedgerClient, opened: Open
) -> None:
    real, judge = opened(SHORT), Judge(accuser)
    real.submit()
    accepted = world.round(real.job).accepted
    with refused("not_attested"):
        judge.accuse_attestation(real.job, 1, 0)
    world.aggregate(real.job)
    points = real.aggregate(accepted)
    false = G1Array.concatenate([points[:5], points[4:5], points[6:]])
    world.attest_root(real.job, commitment_root(false), signers=(1, 3))

    def accuse(leaf: int) -> bool | None:
        case = judge.accuse_attestation(real.job, 1, leaf)
        case.add_openings(openings(false, [leaf]))
        for trainer in range(3):
            case.add_openings(openings(real.points(trainer), [leaf]))
        return case.guilty

    before = [world.admin.token.balance(world.nodes[j].account) for j in (0, 2)]
    assert accuse(4) is False
    after = [world.admin.token.balance(world.nodes[j].account) for j in (0, 2)]
    assert [b - a for a, b in zip(before, after, strict=True)] == [BOND // 2, BOND // 2]
    assert accuse(5) is True
    convicted = [e.account for e in world.admin.events(real.job) if isinstance(e, Convicted)]
    assert convicted == [world.nodes[0].account, world.nodes[2].account]
    finish(world, real)
    assert discrepancies(world.admin.events(real.job)) == []


def test_two_attestations_of_one_round_convict_the_signer(
    world: World, accuser: LedgerClient, opened: Open
) -> None:
    real, judge = opened(SHORT), Judge(accuser)
    one, two = real.attestation(2, 0b111, b"a" * 32), real.attestation(2, 0b110, b"a" * 32)
    other = real.attestation(1, 0b110, b"a" * 32)
    with refused("same_statement"):
        judge.prove_equivocation(real.job, 1, 2, one, one)
    with refused("bad_signature"):
        judge.prove_equivocation(real.job, 1, 2, one, other)
    strange = world.bls[world.nodes[0].account].public.to_ledger()
    with refused("wrong_key"):
        judge._write(
            judge._functions.prove_equivocation(
                judge._address, real.job, 1, 2, one.to_tuple(strange), two.to_tuple(strange)
            )
        )
    with refused("bad_signature"):
        judge.prove_equivocation(real.job, 2, 2, one, two)
    for nobody in (0, 4):
        with pytest.raises(InvalidParameter, match="zk-nodes 1 to 3"):
            judge.prove_equivocation(real.job, 1, nobody, one, two)
        with refused("unknown_node"):
            judge._write(
                judge._functions.prove_equivocation(
                    judge._address, real.job, 1, nobody, one.to_tuple(strange), two.to_tuple(strange)
                )
            )
    stake = world.admin.node(world.nodes[1].account).stake
    judge.prove_equivocation(real.job, 1, 2, one, two)
    (event,) = (event for event in world.admin.events(real.job) if isinstance(event, Convicted))
    assert (event.account, event.offence) == (world.nodes[1].account, Offence.EQUIVOCATION)
    record = world.admin.node(world.nodes[1].account)
    assert record and record.stake == 0
    judge.prove_equivocation(real.job, 1, 2, one, real.attestation(2, 0b111, b"b" * 32))
    assert accuser.owed(real.job, accuser.account) == stake // 5  # once


def test_who_attests_another_set_than_the_ledgers_is_convicted(
    world: World, accuser: LedgerClient, opened: Open
) -> None:
    real, judge = opened(SHORT), Judge(accuser)
    false = real.attestation(1, 0b011, b"a" * 32)
    with refused("no_accepted_set"):
        judge.prove_other_set(real.job, 1, 1, false)
    real.submit()
    with refused("same_statement"):
        judge.prove_other_set(real.job, 1, 1, real.attestation(1, 0b111, b"a" * 32))
    judge.prove_other_set(real.job, 1, 1, false)
    (event,) = (event for event in world.admin.events(real.job) if isinstance(event, Convicted))
    assert (event.account, event.offence) == (world.nodes[0].account, Offence.FALSE_ATTESTATION)


def test_evidence_counts_until_the_job_pays(world: World, accuser: LedgerClient, opened: Open) -> None:
    real, judge = opened(SHORT), Judge(accuser)
    one, two = real.attestation(2, 0b111, b"a" * 32), real.attestation(2, 0b110, b"a" * 32)
    finish(world, real)
    world.wait(CHALLENGE_S)
    before = world.admin.node(world.nodes[1].account)
    judge.prove_equivocation(real.job, 1, 2, one, two)
    assert world.admin.node(world.nodes[1].account) == before
    assert not [e for e in world.admin.events(real.job) if isinstance(e, Convicted)]


def test_a_conviction_after_the_end_takes_the_rewards_too(
    world: World, accuser: LedgerClient, opened: Open
) -> None:
    real, judge = opened(SHORT), Judge(accuser)
    real.submit()
    world.aggregate(real.job)
    world.attest(real.job)
    world.score(real.job, {0: 950_000, 1: 950_000, 2: 950_000})
    assert world.state(real.job).status.ended
    earned = world.admin.owed(real.job, world.nodes[1].account)
    refund = world.admin.owed(real.job, world.owner.account)
    assert earned > 0
    one, two = real.attestation(2, 0b111, b"a" * 32), real.attestation(2, 0b110, b"a" * 32)
    judge.prove_equivocation(real.job, 1, 2, one, two)
    assert world.admin.owed(real.job, world.nodes[1].account) == 0
    assert world.admin.owed(real.job, world.owner.account) == refund + earned
    world.end(real.job)
    with refused("nothing_owed"):
        world.nodes[1].claim(real.job)
    for party in (world.owner, world.nodes[0], world.trainers[0], accuser):
        party.claim(real.job)
    events = world.admin.events(real.job)
    assert discrepancies(events) == []
    settlement = explain(events)
    assert settlement.owed(world.nodes[1].account) == 0
    assert settlement.convictions[0].forfeited == earned
    assert world.held() == world.promised([world.owner, *world.nodes, *world.trainers, accuser])


def test_only_the_judge_convicts(world: World, opened: Open) -> None:
    real = opened(SHORT)
    account = world.admin._functions.convict(
        real.job, 1, world.nodes[0].connection.address, *[world.admin.connection.address, 1]
    )
    with refused("not_the_judge"):
        world.admin.connection.transact(account)
