"""What a zk-node received lies in its archive: replaced uploads, lost content, constant memory."""

from __future__ import annotations

import gc
from types import FunctionType, ModuleType
from typing import Any

import numpy as np
import pytest

from tests.scenarios.round_parties import MemoryArchive, Parties, decode, deliver, updates
from tests.scenarios.test_cheaters import MATRIX_NODE, reseal, shifted_rows
from zkpfl.crypto.merkle import share_root
from zkpfl.crypto.points import G1Array
from zkpfl.errors import BadShare, NotDelivered, StorageError
from zkpfl.params import Layout
from zkpfl.protocol.member import MemberRound
from zkpfl.protocol.plan import RoundPlan, members_of
from zkpfl.protocol.shares import encode_matrix
from zkpfl.protocol.trainer import PreparedSubmission
from zkpfl.protocol.zk_node import MAX_UPLOADS, NodeRound

EVERYBODY = 0b1111


@pytest.fixture
def parties() -> Parties:
    return Parties.make()


@pytest.fixture
def plan(parties: Parties) -> RoundPlan:
    return parties.plan()


@pytest.fixture
def sent(parties: Parties, plan: RoundPlan) -> list[PreparedSubmission]:
    return [parties.submit(plan, trainer, values) for trainer, values in enumerate(updates(4))]


@pytest.fixture
def archive() -> MemoryArchive:
    return MemoryArchive()


@pytest.fixture
def nodes(
    parties: Parties, plan: RoundPlan, archive: MemoryArchive, sent: list[PreparedSubmission]
) -> list[NodeRound]:
    """Two zk-nodes that hold every trainer's share."""
    nodes = [parties.node_round(plan, node, archive) for node in (2, MATRIX_NODE)]
    for submission in sent:
        deliver(submission, nodes)
    return nodes


def roots_of(sent: list[PreparedSubmission]) -> dict[int, bytes]:
    return {trainer: submission.commitment_root for trainer, submission in enumerate(sent)}


def total(parties: Parties, nodes: list[NodeRound], accepted: int) -> np.ndarray:
    """What members decode from the nodes' aggregate shares."""
    shares = {node.node: parties.release(node, accepted) for node in nodes}
    member = MemberRound(nodes[0].public_aggregate(accepted), parties.member_key)
    return decode(member, shares, [node.node for node in nodes])


def expected(accepted: int) -> np.ndarray:
    values = updates(4)
    return np.sum([values[trainer] for trainer in members_of(accepted)], axis=0, dtype=np.int64)


def blob_of(sent: list[PreparedSubmission], trainer: int, node: int = MATRIX_NODE) -> bytes:
    return sent[trainer].shares[node - 1].blob


@pytest.mark.parametrize("accepted", [0b1111, 0b0111, 0b1010])
def test_trainers_that_others_did_not_accept_are_left_out(
    parties: Parties, nodes: list[NodeRound], sent: list[PreparedSubmission], accepted: int
) -> None:
    for node in nodes:
        assert node.report(roots_of(sent)).accepted == EVERYBODY
    np.testing.assert_array_equal(total(parties, nodes, accepted), expected(accepted))


def require_sum_of_everybody(
    parties: Parties, nodes: list[NodeRound], sent: list[PreparedSubmission]
) -> None:
    """Every node accepts all trainers, and their sum is what they meant."""
    for node in nodes:
        assert node.report(roots_of(sent)).accepted == EVERYBODY
    np.testing.assert_array_equal(total(parties, nodes, EVERYBODY), expected(EVERYBODY))


class TestReplacedUpload:
    """A trainer may send another submission before the check; the last one counts, once."""

    def test_only_the_last_one_is_summed(
        self, parties: Parties, plan: RoundPlan, nodes: list[NodeRound], sent: list[PreparedSubmission]
    ) -> None:
        for values in (updates(1, seed=9)[0], updates(1, seed=10)[0], updates(4)[1]):
            sent[1] = parties.submit(plan, 1, values)
            deliver(sent[1], nodes)
        require_sum_of_everybody(parties, nodes, sent)

    def test_sent_again_it_is_summed_once(
        self, parties: Parties, nodes: list[NodeRound], sent: list[PreparedSubmission]
    ) -> None:
        first, second = deliver(sent[2], nodes), deliver(sent[2], nodes)
        assert first == second
        require_sum_of_everybody(parties, nodes, sent)

    def test_bad_share_can_be_replaced_and_a_good_one_too(
        self, parties: Parties, plan: RoundPlan, nodes: list[NodeRound], sent: list[PreparedSubmission]
    ) -> None:
        rows = shifted_rows(parties, plan, sent[0])
        bad = reseal(parties, plan, sent[0], encode_matrix(rows), share_root(rows))
        for _ in range(2):
            nodes[-1].receive_share(bad.signed, sent[0].commitments, bad.blob)
            deliver(sent[0], nodes)
        require_sum_of_everybody(parties, nodes, sent)

    def test_the_one_on_the_ledger_must_be_the_last(
        self, parties: Parties, plan: RoundPlan, nodes: list[NodeRound], sent: list[PreparedSubmission]
    ) -> None:
        deliver(parties.submit(plan, 3, updates(1, seed=9)[0]), nodes)
        verdict = nodes[0].report(roots_of(sent))
        assert verdict.accepted == 0b0111
        assert [(type(fault), fault.party) for fault in verdict.faults] == [(NotDelivered, "trainer 3")]

    def test_it_is_refused_where_the_one_before_is_lost(
        self,
        parties: Parties,
        plan: RoundPlan,
        nodes: list[NodeRound],
        archive: MemoryArchive,
        sent: list[PreparedSubmission],
    ) -> None:
        kept = dict(archive.content)
        archive.content.clear()
        with pytest.raises(StorageError, match="zk-node 2, share of trainer 0"):
            deliver(parties.submit(plan, 0, updates(1, seed=9)[0]), nodes)
        archive.content.update(kept)
        require_sum_of_everybody(parties, nodes, sent)


class TestFaultyArchive:
    """The node's own storage fails: it says so itself, and never releases a wrong sum."""

    @pytest.mark.parametrize("altered", [None, "cut", "flipped", "an earlier upload"])
    def test_share_that_must_be_left_out_is_lost_or_altered(
        self,
        parties: Parties,
        plan: RoundPlan,
        nodes: list[NodeRound],
        archive: MemoryArchive,
        sent: list[PreparedSubmission],
        altered: str | None,
    ) -> None:
        for node in nodes:
            node.report(roots_of(sent))
        blob = blob_of(sent, 3)
        (name,) = (name for name, data in archive.content.items() if data == blob)
        change(archive, name, altered, blob_of([parties.submit(plan, 3, updates(1)[0])], 0))

        with pytest.raises(StorageError) as caught:
            parties.release(nodes[1], 0b0111)
        assert (caught.value.party, caught.value.field) == ("zk-node 3", "share of trainer 3")

        archive.content[name] = blob
        np.testing.assert_array_equal(total(parties, nodes, 0b0111), expected(0b0111))

    def test_shares_that_are_summed_are_not_read_again(
        self, parties: Parties, nodes: list[NodeRound], archive: MemoryArchive, sent: list[PreparedSubmission]
    ) -> None:
        archive.content.clear()
        require_sum_of_everybody(parties, nodes, sent)

    def test_commitments_that_must_be_left_out_are_lost(
        self, parties: Parties, nodes: list[NodeRound], archive: MemoryArchive, sent: list[PreparedSubmission]
    ) -> None:
        nodes[0].report(roots_of(sent))
        del archive.content[archive.put(sent[3].commitments)]
        with pytest.raises(StorageError, match="zk-node 2, share of trainer 3"):
            parties.release(nodes[0], 0b0111)

    def test_bad_share_that_is_lost_is_refused_all_the_same(
        self, parties: Parties, plan: RoundPlan, archive: MemoryArchive, sent: list[PreparedSubmission]
    ) -> None:
        node = parties.node_round(plan, MATRIX_NODE, archive)
        rows = shifted_rows(parties, plan, sent[0])
        bad = reseal(parties, plan, sent[0], encode_matrix(rows), share_root(rows))
        node.receive_share(bad.signed, sent[0].commitments, bad.blob)
        archive.content.clear()
        verdict = node.report({0: sent[0].commitment_root})
        assert verdict.accepted == 0
        (fault,) = verdict.faults
        assert isinstance(fault, BadShare)
        assert (fault.party, fault.field) == ("trainer 0", "rows")

    def test_no_receipt_for_what_is_not_stored(
        self, parties: Parties, plan: RoundPlan, sent: list[PreparedSubmission]
    ) -> None:
        class Full(MemoryArchive):
            def put(self, data: bytes) -> bytes:
                raise StorageError("no space left on device")

        archive: MemoryArchive = Full()
        node = parties.node_round(plan, 1, archive)
        for _ in range(MAX_UPLOADS + 1):  # not the trainer's fault, so not counted against it
            with pytest.raises(StorageError, match="no space"):
                deliver(sent[0], [node])
        assert node.report({0: sent[0].commitment_root}).accepted == 0


def change(archive: MemoryArchive, name: bytes, how: str | None, earlier: bytes) -> None:
    blob = archive.content.pop(name)
    if how == "cut":
        archive.content[name] = blob[:-1]
    elif how == "flipped":
        archive.content[name] = blob[:-1] + bytes([blob[-1] ^ 1])
    elif how == "an earlier upload":
        archive.content[name] = earlier


def held_bytes(root: Any, archive: MemoryArchive) -> int:
    """Bytes of arrays, points and byte strings that an object keeps alive, its archive left out."""
    seen, stack, size = {id(archive)}, [root], 0
    while stack:
        thing = stack.pop()
        if id(thing) in seen or isinstance(thing, type | ModuleType | FunctionType):
            continue
        seen.add(id(thing))
        if isinstance(thing, np.ndarray):
            size += thing.nbytes if thing.base is None else 0
            stack.append(thing.base)
        elif isinstance(thing, bytes):
            size += len(thing)
        elif isinstance(thing, G1Array):
            size += 96 * len(thing)
        stack.extend(gc.get_referents(thing))
    return size


def test_memory_does_not_grow_with_the_trainers() -> None:
    """As many combinations are pending after two trainers as after a full batch more."""
    layout = Layout(dimension=30_000, norm_bound=1_000_000, max_trainers=32, columns=256)
    parties, archive = Parties.make(trainers=18), MemoryArchive()
    plan = parties.plan(layout=layout)
    node, held = parties.node_round(plan, MATRIX_NODE, archive), {}
    (values,) = updates(1, layout=layout)
    for trainer in range(18):
        deliver(parties.submit(plan, trainer, values), [node])
        held[trainer + 1] = held_bytes(node, archive)
    assert plan.matrix_bytes < held[2]
    assert held[18] - held[2] < plan.matrix_bytes // 8
