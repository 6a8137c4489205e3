"""Each way to cheat in a round, written out, refused and named; the honest rest is not disturbed."""

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.scenarios.round_parties import CONTENT_ID, LAYOUT, MemoryJournal, Parties, decode, deliver, updates
from zkpfl.crypto.merkle import hash_blob, merkle_root, share_root
from zkpfl.crypto.proofs import aggregation
from zkpfl.crypto.scalars import ORDER, from_int
from zkpfl.crypto.sealing import open_from, seal_to
from zkpfl.errors import (
    BadAggregateShare,
    BadProof,
    BadShare,
    BadSignature,
    Equivocation,
    InvalidParameter,
    InvalidUpdate,
    NotAuthorized,
    NotDelivered,
    ProtocolFault,
    WrongContext,
)
from zkpfl.protocol.member import MemberRound
from zkpfl.protocol.messages import MessageKind, ShareMessage
from zkpfl.protocol.plan import RoundPlan
from zkpfl.protocol.shares import decode_matrix, encode_matrix
from zkpfl.protocol.trainer import PreparedSubmission, SealedShare
from zkpfl.protocol.zk_node import MAX_UPLOADS, AggregateShare, NodeRound
from zkpfl.roles.journal import SqliteReleaseJournal

MATRIX_NODE = 3


@pytest.fixture(scope="module")
def parties() -> Parties:
    return Parties.make()


@pytest.fixture
def plan(parties: Parties) -> RoundPlan:
    return parties.plan()


def reseal(
    parties: Parties,
    plan: RoundPlan,
    submission: PreparedSubmission,
    plaintext: bytes,
    root: bytes | None = None,
) -> SealedShare:
    """Trainer 0 seals and signs another plaintext for the matrix node."""
    trainer = parties.trainers[0]
    context = plan.share_context(trainer.address, MATRIX_NODE)
    blob = seal_to(plan.nodes[MATRIX_NODE - 1].encryption_key, plaintext, context=context)
    old = submission.shares[MATRIX_NODE - 1].signed.message
    message = replace(old, share_root=root or old.share_root, blob_hash=hash_blob(blob))
    return SealedShare(message.sign(MessageKind.SHARE, trainer), blob)


def shifted_rows(parties: Parties, plan: RoundPlan, submission: PreparedSubmission) -> np.ndarray:
    """The matrix node's share with one scalar changed."""
    context = plan.share_context(parties.trainers[0].address, MATRIX_NODE)
    blob = submission.shares[MATRIX_NODE - 1].blob
    rows = decode_matrix(plan, open_from(parties.node_keys[MATRIX_NODE - 1], blob, context=context))
    rows[0, 5, 0] ^= np.uint64(1)
    return rows


def test_inconsistent_share_is_named_and_the_others_are_accepted(parties: Parties, plan: RoundPlan) -> None:
    submissions = [parties.submit(plan, trainer, values) for trainer, values in enumerate(updates(4))]
    node = parties.node_round(plan, MATRIX_NODE)
    rows = shifted_rows(parties, plan, submissions[0])
    bad = reseal(parties, plan, submissions[0], encode_matrix(rows), share_root(rows))
    node.receive_share(bad.signed, submissions[0].commitments, bad.blob)
    for submission in submissions[1:]:
        deliver(submission, [node])

    verdict = node.report({i: s.commitment_root for i, s in enumerate(submissions)})

    assert verdict.accepted == 0b1110
    (fault,) = verdict.faults
    assert isinstance(fault, BadShare)
    assert (fault.party, fault.field) == ("trainer 0", "row 0")


@pytest.mark.parametrize("kind", ["flipped", "of another trainer", "of another update"])
def test_a_submission_that_does_not_prove_its_norm_is_named(
    parties: Parties, plan: RoundPlan, kind: str
) -> None:
    sent = [parties.submit(plan, trainer, values) for trainer, values in enumerate(updates(4))]
    good, start = sent[1].commitments, plan.points_bytes
    proof = {
        "flipped": good[start:-1] + bytes([good[-1] ^ 1]),
        "of another trainer": sent[0].commitments[start:],
        "of another update": parties.submit(plan, 1, updates(1)[0]).commitments[start:],
    }[kind]
    sent[1] = replace(sent[1], commitments=good[:start] + proof)
    node = parties.node_round(plan, MATRIX_NODE)
    for submission in sent:
        deliver(submission, [node])
    verdict = node.report({trainer: one.commitment_root for trainer, one in enumerate(sent)})
    assert verdict.accepted == 0b1101
    (fault,) = verdict.faults
    assert (type(fault), fault.party, fault.field) == (BadProof, "trainer 1", "norm_proof")


def test_an_update_above_the_bound_cannot_be_submitted(parties: Parties) -> None:
    values = updates(1)[0]
    squared_norm = int(values.astype(np.int64) @ values)
    bound = math.isqrt(squared_norm)
    assert bound**2 < squared_norm
    with pytest.raises(InvalidUpdate, match="above the bound"):
        parties.submit(parties.plan(layout=replace(LAYOUT, norm_bound=bound)), 0, values)
    parties.submit(parties.plan(layout=replace(LAYOUT, norm_bound=bound + 1)), 0, values)


def test_share_that_never_arrived_is_named(parties: Parties, plan: RoundPlan) -> None:
    submissions = [parties.submit(plan, trainer, values) for trainer, values in enumerate(updates(3))]
    node = parties.node_round(plan, 1)
    for submission in submissions[1:]:
        deliver(submission, [node])
    verdict = node.report({i: s.commitment_root for i, s in enumerate(submissions)})
    assert verdict.accepted == 0b110
    assert [(type(fault), fault.party) for fault in verdict.faults] == [(NotDelivered, "trainer 0")]


def test_share_exchanged_after_the_check_is_refused(parties: Parties, plan: RoundPlan) -> None:
    """Else a trainer could have a node sum an unchecked share, and the node would be blamed."""
    submissions = [parties.submit(plan, trainer, values) for trainer, values in enumerate(updates(2))]
    node = parties.node_round(plan, MATRIX_NODE)
    for submission in submissions:
        deliver(submission, [node])
    node.report({i: s.commitment_root for i, s in enumerate(submissions)})
    rows = shifted_rows(parties, plan, submissions[0])
    late = reseal(parties, plan, submissions[0], encode_matrix(rows), share_root(rows))
    with pytest.raises(WrongContext, match="trainer 0"):
        node.receive_share(late.signed, submissions[0].commitments, late.blob)


Tamper = Callable[[Parties, RoundPlan, PreparedSubmission], tuple[SealedShare, bytes]]


def truncated_blob(_p: Parties, _plan: RoundPlan, s: PreparedSubmission) -> tuple[SealedShare, bytes]:
    share = s.shares[MATRIX_NODE - 1]
    return replace(share, blob=share.blob[:-1]), s.commitments


def truncated_plaintext(p: Parties, plan: RoundPlan, s: PreparedSubmission) -> tuple[SealedShare, bytes]:
    plaintext = encode_matrix(shifted_rows(p, plan, s))[:-32]
    return reseal(p, plan, s, plaintext), s.commitments


def non_canonical_scalar(p: Parties, plan: RoundPlan, s: PreparedSubmission) -> tuple[SealedShare, bytes]:
    """A scalar under the signed root spelled as itself plus r: only strict decoding tells the two apart."""
    rows = shifted_rows(p, plan, s)
    rows[0, 5] = from_int([7])[0]
    plaintext = bytearray(encode_matrix(rows))
    start = 1 + 5 * 32
    assert plaintext[start : start + 32] == (7).to_bytes(32, "big")
    plaintext[start : start + 32] = (7 + ORDER).to_bytes(32, "big")
    return reseal(p, plan, s, bytes(plaintext), share_root(rows)), s.commitments


def rows_not_under_the_root(p: Parties, plan: RoundPlan, s: PreparedSubmission) -> tuple[SealedShare, bytes]:
    return reseal(p, plan, s, encode_matrix(shifted_rows(p, plan, s))), s.commitments


def seed_for_a_matrix_node(p: Parties, plan: RoundPlan, s: PreparedSubmission) -> tuple[SealedShare, bytes]:
    return reseal(p, plan, s, bytes(33)), s.commitments


def missing_commitment(_p: Parties, _plan: RoundPlan, s: PreparedSubmission) -> tuple[SealedShare, bytes]:
    return s.shares[MATRIX_NODE - 1], s.commitments[:-48]


def swapped_commitments(_p: Parties, _plan: RoundPlan, s: PreparedSubmission) -> tuple[SealedShare, bytes]:
    return s.shares[MATRIX_NODE - 1], s.commitments[48:96] + s.commitments[:48] + s.commitments[96:]


def point_outside_subgroup(p: Parties, plan: RoundPlan, s: PreparedSubmission) -> tuple[SealedShare, bytes]:
    """The trainer signs the Merkle root over the bytes as they are: only the subgroup check refuses them."""
    # x = 4 is on the curve and not in the subgroup of prime order
    commitments = (b"\x80" + bytes(46) + b"\x04") + s.commitments[48:]
    message = s.shares[MATRIX_NODE - 1].signed.message
    root = merkle_root(commitments[: plan.points_bytes], 48)
    signed = replace(message, commitment_root=root).sign(MessageKind.SHARE, p.trainers[0])
    return SealedShare(signed, s.shares[MATRIX_NODE - 1].blob), commitments


NOT_DELIVERED: list[tuple[Tamper, str]] = [
    (truncated_blob, "the sealed share is not the signed one"),
    (truncated_plaintext, "bytes"),
    (non_canonical_scalar, "is not below the group order"),
    (rows_not_under_the_root, "rows do not yield the share root"),
    (seed_for_a_matrix_node, "kind"),
    (missing_commitment, "expected"),
    (swapped_commitments, "points do not yield the commitment root"),
    (point_outside_subgroup, "subgroup"),
]


@pytest.mark.parametrize(("tamper", "why"), NOT_DELIVERED, ids=lambda v: getattr(v, "__name__", ""))
def test_bytes_that_do_not_yield_what_was_signed_are_refused(
    parties: Parties, plan: RoundPlan, tamper: Tamper, why: str
) -> None:
    submission = parties.submit(plan, 0, updates(1)[0])
    share, commitments = tamper(parties, plan, submission)
    node = parties.node_round(plan, MATRIX_NODE)
    with pytest.raises(NotDelivered) as caught:
        node.receive_share(share.signed, commitments, share.blob)
    assert caught.value.party == "trainer 0"
    assert why in caught.value.message
    deliver(submission, [node])  # the honest share is still welcome
    assert node.report({0: submission.commitment_root}).accepted == 1


def test_replays_and_misdirected_shares_are_refused(parties: Parties, plan: RoundPlan) -> None:
    submission = parties.submit(plan, 0, updates(1)[0])
    share = submission.shares[0]
    elsewhere = {
        "next round": parties.node_round(parties.plan(round_number=2), 1),
        "another job": parties.node_round(parties.plan(job=8), 1),
        "another node": parties.node_round(plan, 2),
    }
    for node in elsewhere.values():
        with pytest.raises(WrongContext) as caught:
            node.receive_share(share.signed, submission.commitments, share.blob)
        assert caught.value.party == f"trainer 0x{parties.trainers[0].address.hex()}"


def test_another_trainers_name_or_a_stranger_is_refused(parties: Parties, plan: RoundPlan) -> None:
    submission = parties.submit(plan, 0, updates(1)[0])
    share, node = submission.shares[0], parties.node_round(plan, 1)
    impersonated = replace(share.signed.message, trainer=parties.trainers[1].address)
    with pytest.raises(BadSignature):
        node.receive_share(replace(share.signed, message=impersonated), submission.commitments, share.blob)
    stranger = Parties.make(trainers=1)
    foreign = stranger.submit(replace(plan, trainers=(stranger.trainers[0].address,)), 0, updates(1)[0])
    with pytest.raises(NotAuthorized):
        node.receive_share(foreign.shares[0].signed, foreign.commitments, foreign.shares[0].blob)


def test_floods_of_shares_are_refused(parties: Parties, plan: RoundPlan) -> None:
    """Attempts count, whatever they bring; what its trainer did not sign does not, and storage needs none."""
    submission = parties.submit(plan, 0, updates(1)[0])
    share, node = submission.shares[0], parties.node_round(plan, 1)
    forged = replace(share.signed, signature=bytes(65))
    for _ in range(MAX_UPLOADS):
        with pytest.raises(BadSignature, match="trainer 0"):
            node.admit(forged)
        node.admit(share.signed)
        with pytest.raises(NotDelivered):
            node.receive_share(share.signed, submission.commitments, share.blob[:-1])
    with pytest.raises(NotAuthorized, match="trainer 0"):
        node.admit(share.signed)
    deliver(submission, [node])  # the zk-node takes it from storage
    assert node.report({0: submission.commitment_root}).accepted == 1


def test_storage_must_have_what_was_streamed(parties: Parties, plan: RoundPlan) -> None:
    """Else a trainer is accepted for what it streamed, and an audit finds another share or signature."""
    submission = parties.submit(plan, 0, updates(1)[0])
    share, node = submission.shares[0], parties.node_round(plan, 1)
    deliver(submission, [node])
    node.require_same(0, share.signed, submission.commitments, share.blob)
    other = replace(share.signed.message, share_root=bytes(32)).sign(MessageKind.SHARE, parties.trainers[0])
    for signed, commitments, blob, error in (
        (other, submission.commitments, share.blob, NotDelivered),
        (replace(share.signed, signature=bytes(65)), submission.commitments, share.blob, BadSignature),
        (share.signed, submission.commitments[:-48], share.blob, NotDelivered),
        (share.signed, submission.commitments, share.blob[:-1], NotDelivered),
    ):
        with pytest.raises(error, match="trainer 0"):
            node.require_same(0, signed, commitments, blob)


def test_receipt_cannot_pass_as_a_share(parties: Parties, plan: RoundPlan) -> None:
    submission = parties.submit(plan, 0, updates(1)[0])
    node = parties.node_round(plan, 1)
    (receipt,) = deliver(submission, [node])
    with pytest.raises(WrongContext, match="trainer 0"):
        node.receive_share(receipt, submission.commitments, submission.shares[0].blob)


class TestRelease:
    """What a zk-node lets out of its hands."""

    @pytest.fixture
    def nodes(self, parties: Parties, plan: RoundPlan) -> list[NodeRound]:
        submissions = [parties.submit(plan, trainer, values) for trainer, values in enumerate(updates(4))]
        nodes = parties.node_rounds(plan)
        for submission in submissions:
            deliver(submission, nodes)
        for node in nodes:
            node.report({i: s.commitment_root for i, s in enumerate(submissions)})
        return nodes

    @pytest.fixture
    def fresh(self) -> Parties:
        return Parties.make()

    def test_nothing_for_a_second_accepted_set(self, fresh: Parties, nodes: list[NodeRound]) -> None:
        fresh.release(nodes[0], 0b1111)
        with pytest.raises(Equivocation):
            fresh.release(nodes[0], 0b0111)
        fresh.release(nodes[0], 0b1111)  # the same set again is harmless

    def test_nothing_below_the_quorum_or_for_the_unchecked(
        self, fresh: Parties, plan: RoundPlan, nodes: list[NodeRound]
    ) -> None:
        for accepted in (0, 0b0001, 0b10011):
            with pytest.raises(NotAuthorized):
                fresh.release(nodes[0], accepted)
        with pytest.raises(NotAuthorized):
            fresh.release(fresh.node_round(plan, 2), 0b0011)
        assert not fresh.journals[0].recorded

    def test_wrong_sum_has_no_proof(self, fresh: Parties, plan: RoundPlan, nodes: list[NodeRound]) -> None:
        """A node that changes one value can neither keep its proof nor make one."""
        public = nodes[0].public_aggregate(0b1111)
        honest = fresh.release(nodes[1], 0b1111)
        rows = decode_matrix(plan, self._open(honest, plan, 2))
        rows[1, 7, 0] ^= np.uint64(1)
        root = share_root(rows)
        statement = public.statement(2, root, honest.blob_hash)
        forged = aggregation.prove(statement, aggregation.Witness(rows), plan.generators)
        for proof in (honest.proof, forged):
            manifest = replace(honest, share_root=root, proof=proof).manifest(2, CONTENT_ID)
            with pytest.raises(BadProof, match="zk-node 2"):
                public.require_proof(2, manifest)

    def test_proof_of_another_node_round_or_sum_is_refused(
        self, fresh: Parties, nodes: list[NodeRound]
    ) -> None:
        public = nodes[0].public_aggregate(0b1111)
        share = fresh.release(nodes[0], 0b1111)
        manifest = share.manifest(1, CONTENT_ID)
        public.require_proof(1, manifest)
        with pytest.raises(BadProof):
            public.require_proof(2, replace(manifest, node=2))
        with pytest.raises(BadProof):
            nodes[0].public_aggregate(0b0111).require_proof(1, manifest)
        with pytest.raises(BadProof):
            public.require_proof(1, replace(manifest, proof=manifest.proof[:-1]))

    def test_wrong_aggregate_share_is_named_and_another_is_used(
        self, fresh: Parties, parties: Parties, plan: RoundPlan, nodes: list[NodeRound]
    ) -> None:
        public = nodes[0].public_aggregate(0b1111)
        shares = {node.node: fresh.release(node, 0b1111) for node in nodes}
        rows = decode_matrix(plan, self._open(shares[1], plan, 1))
        rows[0, 0, 0] ^= np.uint64(1)
        lie = self._seal(plan, 1, encode_matrix(rows))
        manifest = replace(
            shares[1], share_root=share_root(rows), blob=lie, blob_hash=hash_blob(lie)
        ).manifest(1, CONTENT_ID)
        member = MemberRound(public, parties.member_key)
        with pytest.raises(BadAggregateShare, match="zk-node 1, row 0"):
            member.accept_share(1, manifest, lie)
        total = decode(member, shares, [2, 3])
        np.testing.assert_array_equal(total, np.sum(updates(4), axis=0, dtype=np.int64))

    def test_blob_that_does_not_yield_the_root_is_not_delivered(
        self, fresh: Parties, parties: Parties, plan: RoundPlan, nodes: list[NodeRound]
    ) -> None:
        public = nodes[0].public_aggregate(0b1111)
        share = fresh.release(nodes[0], 0b1111)
        manifest = share.manifest(1, CONTENT_ID)
        member = MemberRound(public, parties.member_key)
        garbage = self._seal(plan, 1, b"\x01" + bytes(plan.matrix_bytes))
        for blob, claimed in (
            (share.blob[:-1], manifest),
            (garbage, manifest),
            (garbage, replace(manifest, blob_hash=hash_blob(garbage))),
        ):
            with pytest.raises(NotDelivered, match="zk-node 1"):
                member.accept_share(1, claimed, blob)
        with pytest.raises(NotDelivered):
            member.total()

    @pytest.fixture(autouse=True)
    def _member_key(self, parties: Parties) -> None:
        self._parties = parties

    def _open(self, share: AggregateShare, plan: RoundPlan, node: int) -> bytes:
        return open_from(self._parties.member_key, share.blob, context=plan.aggregate_share_context(node))

    def _seal(self, plan: RoundPlan, node: int, plaintext: bytes) -> bytes:
        return seal_to(plan.member_key, plaintext, context=plan.aggregate_share_context(node))


def test_evidence_is_data_about_the_party() -> None:
    fault = BadShare("row 3 fails its commitment", party="trainer 2", field="row 3")
    assert isinstance(fault, ProtocolFault)
    assert str(fault) == "trainer 2, row 3: row 3 fails its commitment"


def test_message_fields_are_checked(plan: RoundPlan) -> None:
    with pytest.raises(InvalidParameter):
        ShareMessage(plan.context, b"\x01" * 19, 1, bytes(32), bytes(32), bytes(32))
    with pytest.raises(InvalidParameter):
        ShareMessage(plan.context, b"\x01" * 20, 0, bytes(32), bytes(32), bytes(32))


def test_restarted_node_does_not_release_for_a_second_set(
    parties: Parties, plan: RoundPlan, tmp_path: Path
) -> None:
    """The ledger answers differently after a crash: the sum without one trainer would reveal that trainer."""
    submissions = [parties.submit(plan, trainer, values) for trainer, values in enumerate(updates(4))]
    roots = {i: s.commitment_root for i, s in enumerate(submissions)}

    def started() -> tuple[NodeRound, SqliteReleaseJournal]:
        node = parties.node_round(plan, 1)
        for submission in submissions:
            deliver(submission, [node])
        node.report(roots)
        return node, SqliteReleaseJournal(tmp_path / "released.db")

    node, journal = started()
    node.release(0b1111, journal)
    journal.close()

    node, journal = started()
    for other in (0b0111, 0b1110):
        with pytest.raises(Equivocation):
            node.release(other, journal)
    node.release(0b1111, journal)
    journal.close()


def test_restarted_node_does_not_release_for_other_people_behind_the_same_bitmap(
    parties: Parties, plan: RoundPlan, tmp_path: Path
) -> None:
    """The ledger lists the trainers in another order after a crash: the same bits are other people."""
    submissions = {t.address: parties.submit(plan, i, updates(4)[i]) for i, t in enumerate(parties.trainers)}

    def started(order: list[int]) -> tuple[NodeRound, SqliteReleaseJournal]:
        addresses = tuple(plan.trainers[i] for i in order)
        node = parties.node_round(replace(plan, trainers=addresses), 1)
        for submission in submissions.values():
            deliver(submission, [node])
        node.report({i: submissions[address].commitment_root for i, address in enumerate(addresses)})
        return node, SqliteReleaseJournal(tmp_path / "released.db")

    node, journal = started([0, 1, 2, 3])
    node.release(0b0111, journal)
    journal.close()

    node, journal = started([0, 1, 3, 2])
    with pytest.raises(Equivocation):
        node.release(0b0111, journal)
    node.release(0b1011, journal)  # the same people by their new numbers
    journal.close()


def test_restarted_node_does_not_release_for_other_commitments_of_the_same_people(
    parties: Parties, plan: RoundPlan
) -> None:
    journal = MemoryJournal()
    for seed in (1, 2):
        node = parties.node_round(plan, 1)
        submissions = [parties.submit(plan, i, values) for i, values in enumerate(updates(2, seed))]
        for submission in submissions:
            deliver(submission, [node])
        node.report({i: s.commitment_root for i, s in enumerate(submissions)})
        if seed == 1:
            node.release(0b11, journal)
    with pytest.raises(Equivocation):
        node.release(0b11, journal)
