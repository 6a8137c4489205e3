"""A round in which the zk-nodes add noise to the sum, without network or ledger (docs/spec.md §8.2)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.scenarios.round_parties import (
    LAYOUT,
    Parties,
    decode,
    deliver,
    manifests_of,
    updates,
)
from zkpfl.crypto.discrete_gaussian import sample_discrete_gaussian
from zkpfl.errors import BadShare, InvalidParameter, InvalidUpdate, NotAuthorized
from zkpfl.params import FIRST_NOISE, Layout
from zkpfl.protocol.member import MemberRound
from zkpfl.protocol.plan import RoundPlan, bitmap_of
from zkpfl.protocol.trainer import PreparedSubmission, prepare_submission
from zkpfl.protocol.zk_node import NodeRound

SIGMA = 30_000.0
NOISY = replace(LAYOUT, noise_parties=3, noise_bound=20_000_000)


def noise(node: int) -> np.ndarray:
    return sample_discrete_gaussian(SIGMA, NOISY.dimension, bytes([node]) * 32)


def bring(parties: Parties, plan: RoundPlan, node: int) -> PreparedSubmission:
    return prepare_submission(plan, parties.nodes[node - 1], noise(node))


def collected(parties: Parties, plan: RoundPlan, noisy: tuple[int, ...]) -> tuple[list[NodeRound], int]:
    """Two trainers and the noise of some nodes, checked; the nodes and what they accept."""
    nodes, roots = parties.node_rounds(plan), {}
    for trainer, values in enumerate(updates(2)):
        submission = parties.submit(plan, trainer, values)
        deliver(submission, nodes)
        roots[trainer] = submission.commitment_root
    for node in noisy:
        submission = bring(parties, plan, node)
        deliver(submission, nodes)
        roots[FIRST_NOISE + node - 1] = submission.commitment_root
    verdicts = {node.report(roots).accepted for node in nodes}
    assert verdicts == {bitmap_of(roots)}
    return nodes, bitmap_of(roots)


def test_the_sum_has_the_updates_and_the_noise_exactly() -> None:
    parties = Parties.make(trainers=2)
    plan = parties.plan(layout=NOISY, noise_quorum=2)
    nodes, accepted = collected(parties, plan, (1, 3))
    shares = {node.node: parties.release(node, accepted) for node in nodes}
    public = nodes[0].public_aggregate(accepted)
    for node, manifest in manifests_of(shares).items():
        public.require_proof(node, manifest)
    total = decode(MemberRound(public, parties.member_key), shares, [1, 3])
    expected = sum(map(np.int64, updates(2))) + noise(1) + noise(3)  # type: ignore[call-overload]
    np.testing.assert_array_equal(total, expected)
    assert np.abs(noise(1)).max() > 1 << 15  # more than the 16 bits of an update


def test_nothing_is_released_without_enough_noise() -> None:
    parties = Parties.make(trainers=2)
    plan = parties.plan(layout=NOISY, noise_quorum=2)
    nodes, accepted = collected(parties, plan, (2,))
    with pytest.raises(NotAuthorized, match="noise of 1 zk-nodes is less than that of 2") as caught:
        parties.release(nodes[0], accepted)
    assert (caught.value.party, caught.value.field) == ("ledger", "accepted")
    assert parties.journals[0].recorded == {}


def test_noise_does_not_make_a_quorum_of_trainers() -> None:
    parties = Parties.make(trainers=2)
    plan = parties.plan(layout=NOISY, noise_quorum=2)
    nodes, accepted = collected(parties, plan, (1, 2, 3))
    with pytest.raises(NotAuthorized, match="1 trainers are below the quorum of 2"):
        parties.release(nodes[0], accepted & ~1)


def test_a_bad_share_of_noise_names_the_zk_node() -> None:
    parties = Parties.make(trainers=2)
    plan = parties.plan(layout=NOISY, noise_quorum=2)
    node = parties.node_round(plan, 1)
    good, other = bring(parties, plan, 2), prepare_submission(plan, parties.nodes[1], noise(3))
    message = replace(good.shares[0].signed.message, commitment_root=other.commitment_root)
    signed = message.sign(good.shares[0].signed.kind, parties.nodes[1])
    node.receive_share(signed, other.commitments, good.shares[0].blob)
    verdict = node.report({FIRST_NOISE + 1: other.commitment_root})
    assert verdict.accepted == 0
    assert [(type(fault), fault.party) for fault in verdict.faults] == [(BadShare, "noise of zk-node 2")]


def test_zk_nodes_submit_nothing_in_a_round_without_their_noise() -> None:
    parties = Parties.make(trainers=2)
    with pytest.raises(NotAuthorized, match="has no part in this round"):
        prepare_submission(parties.plan(), parties.nodes[0], updates(1)[0])
    noisy = parties.plan(layout=NOISY, noise_quorum=2)
    with pytest.raises(NotAuthorized, match="has not joined the job"):
        deliver(bring(parties, noisy, 1), parties.node_rounds(parties.plan()))


def test_noise_above_its_bound_cannot_be_submitted() -> None:
    parties = Parties.make(trainers=2)
    plan = parties.plan(layout=replace(NOISY, noise_bound=1_000_000), noise_quorum=2)
    with pytest.raises(InvalidUpdate, match="above the bound"):
        bring(parties, plan, 1)


def test_who_accepted_noise_comes_from_is_bound_by_the_record_of_a_release() -> None:
    parties = Parties.make(trainers=2)
    plan = parties.plan(layout=NOISY, noise_quorum=2)
    roots = {0: b"0" * 32, FIRST_NOISE: b"1" * 32}
    swapped = replace(plan, nodes=plan.nodes[::-1])
    assert plan.accepted_hash(bitmap_of(roots), roots) != swapped.accepted_hash(bitmap_of(roots), roots)


@pytest.mark.parametrize(
    ("layout", "noise_quorum"), [(LAYOUT, 2), (NOISY, 0), (NOISY, 4), (replace(NOISY, noise_parties=2), 2)]
)
def test_a_plan_has_room_for_the_noise_that_it_asks_for(layout: Layout, noise_quorum: int) -> None:
    with pytest.raises(InvalidParameter, match="noise"):
        Parties.make().plan(layout=layout, noise_quorum=noise_quorum)


def test_a_place_that_nobody_has_is_refused() -> None:
    plan = Parties.make(trainers=2).plan(layout=NOISY, noise_quorum=2)
    for place in (-1, 2, FIRST_NOISE - 1, FIRST_NOISE + 3):
        with pytest.raises(InvalidParameter):
            plan.account_of(place)
