"""One round by hand, role by role: the shortest way to see the whole protocol."""

import numpy as np
import pytest

from tests.scenarios.round_parties import CONTENT_ID, Parties, deliver, updates
from zkpfl.crypto.bls import aggregate_signatures, attestation_digest, verify_aggregate
from zkpfl.ledger.rules import posts_hash
from zkpfl.params import Committee
from zkpfl.protocol.member import MemberRound
from zkpfl.protocol.messages import MessageKind
from zkpfl.protocol.plan import bitmap_of


@pytest.mark.parametrize("committee", [Committee(3, 2), Committee(5, 3), Committee(4, 2)], ids=str)
def test_four_trainers_learn_the_sum_of_their_updates_and_nothing_else_moves(committee: Committee) -> None:
    parties = Parties.make(trainers=4, committee=committee)
    plan = parties.plan()
    secret_updates = updates(4)

    # Each trainer commits to its update, shares it, and sends one sealed share to each zk-node.
    submissions = [parties.submit(plan, trainer, values) for trainer, values in enumerate(secret_updates)]
    nodes = parties.node_rounds(plan)
    for submission in submissions:
        for node, receipt in zip(nodes, deliver(submission, nodes), strict=True):
            assert receipt.kind is MessageKind.RECEIPT
            receipt.require_signer(parties.nodes[node.node - 1].address, f"zk-node {node.node}")

    # The ledger has the roots; each node checks all shares at once and reports whom it accepts.
    roots = {trainer: submission.commitment_root for trainer, submission in enumerate(submissions)}
    verdicts = [node.report(roots) for node in nodes]
    assert all(verdict.accepted == 0b1111 and not verdict.faults for verdict in verdicts)

    # Once the accepted set is final, each node releases one proved sum of shares, sealed to the members.
    accepted = 0b1111
    shares = {node.node: parties.release(node, accepted) for node in nodes}

    # The other nodes verify the proofs from public commitments alone, and sign what they have verified.
    public = nodes[0].public_aggregate(accepted)
    posts = {node: share.manifest(node, CONTENT_ID) for node, share in shares.items()}
    for node, manifest in posts.items():
        public.require_proof(node, manifest)
    digest = attestation_digest(
        plan.context,
        accepted,
        public.root,
        bitmap_of(node - 1 for node in posts),
        posts_hash((node, posts[node].share_root, bytes(32)) for node in sorted(posts)),
    )
    signature = aggregate_signatures([key.sign(digest) for key in parties.bls_keys])
    assert verify_aggregate([key.public for key in parties.bls_keys], digest, signature)

    # A member opens any t of the aggregate shares, checks them, and decodes the exact sum.
    for first in range(1, committee.size - committee.threshold + 2):
        member = MemberRound(public, parties.member_key)
        for node in range(first, first + committee.threshold):
            member.accept_share(node, posts[node], shares[node].blob)
        assert member.is_complete
        np.testing.assert_array_equal(member.total(), np.sum(secret_updates, axis=0, dtype=np.int64))
