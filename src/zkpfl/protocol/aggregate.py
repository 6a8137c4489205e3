"""What everybody can compute about a round's aggregate from public commitments alone (docs/spec.md §6)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from zkpfl.crypto.merkle import commitment_root, merkle_root
from zkpfl.crypto.points import POINT_BYTES, G1Array
from zkpfl.crypto.proofs import aggregation
from zkpfl.crypto.sharing import commitments_at, polynomial_commitments
from zkpfl.errors import BadCommitment, BadProof, InvalidEncoding, NotDelivered
from zkpfl.protocol.manifests import AggregateManifest
from zkpfl.protocol.plan import RoundPlan, members_of


def decode_commitments(plan: RoundPlan, data: bytes, root: bytes, *, party: str) -> G1Array:
    """Decode the points of a submission's commitments and compare them with the committed root.

    The norm proof after them is left as it is: see `norm_proof_of`.

    Raises
    ------
    NotDelivered
        The bytes have another length, are not valid points, or do not yield the root.
    """
    if len(data) != plan.commitments_bytes:
        raise NotDelivered(
            f"expected {plan.submission_points} points and a norm proof, {plan.commitments_bytes} bytes, "
            f"got {len(data)}",
            party=party,
            field="commitments",
        )
    return decode_points(plan, data[: plan.points_bytes], root, party=party)


def norm_proof_of(plan: RoundPlan, commitments: bytes) -> bytes:
    """The norm proof in a submission's commitments, as it is."""
    return commitments[plan.points_bytes :]


def decode_points(plan: RoundPlan, data: bytes, root: bytes, *, party: str) -> G1Array:
    """Decode as many points as a submission or an aggregate has, under a root; raises `NotDelivered`."""
    if len(data) != plan.points_bytes:
        text = f"expected {plan.submission_points} points, got {len(data)} bytes"
        raise NotDelivered(text, party=party, field="commitments")
    # The root is over the bytes: decoding accepts one encoding of a point only.
    if merkle_root(data, POINT_BYTES) != root:
        raise NotDelivered("points do not yield the commitment root", party=party, field="commitments")
    try:
        return G1Array.decode(data)
    except InvalidEncoding as error:
        raise NotDelivered(str(error), party=party, field="commitments") from error


def require_roots(accepted: int, roots: Mapping[int, bytes]) -> None:
    """Raise `BadCommitment` unless there is a commitment root of every accepted trainer."""
    missing = [trainer for trainer in members_of(accepted) if trainer not in roots]
    if missing:
        raise BadCommitment(f"no commitments of trainers {missing}", party="accepted set", field="points")


@dataclass(frozen=True)
class PublicAggregate:
    """The sum of the accepted submissions' commitments.

    Parameters
    ----------
    plan
        The round.
    accepted
        The accepted set I as a bitmap of trainers.
    roots
        Commitment roots, of the accepted trainers at least.
    sums
        Elementwise sums of the accepted submissions, each checked against its root: R + (t−1)·P points.
    """

    plan: RoundPlan
    accepted: int
    roots: Mapping[int, bytes]
    sums: G1Array

    def __post_init__(self) -> None:
        require_roots(self.accepted, self.roots)

    @cached_property
    def root(self) -> bytes:
        """The aggregate root, 32 bytes."""
        return commitment_root(self.sums)

    @cached_property
    def _polynomial(self) -> tuple[G1Array, ...]:
        """Commitments to f(0) … f(t−1) of the sum, from which those of every node follow."""
        return polynomial_commitments(self.sums, self.plan.layout, self.plan.committee)

    def share_commitments(self, node: int) -> G1Array:
        """F_p of node ``node``: commitments to the rows of its aggregate share, P points."""
        return commitments_at(self._polynomial, self.plan.committee, node)

    def statement(self, node: int, share_root: bytes, blob_hash: bytes) -> aggregation.Statement:
        """What node ``node``'s aggregation proof states."""
        return aggregation.Statement(
            context=self.plan.context,
            node=node,
            node_address=self.plan.nodes[node - 1].address,
            accepted=self.accepted,
            commitment_roots=tuple(self.roots[number] for number in members_of(self.accepted)),
            aggregate_root=self.root,
            share_root=share_root,
            blob_hash=blob_hash,
            F=self.share_commitments(node),
        )

    def require_proof(self, node: int, manifest: AggregateManifest) -> None:
        """Raise `BadProof`, naming the zk-node, unless its posted proof holds for these commitments."""
        party = f"zk-node {node}"
        if manifest.node != node:
            raise BadProof(f"the manifest is of zk-node {manifest.node}", party=party, field="node")
        if manifest.aggregate_root != self.root:
            raise BadProof("not the sum of the accepted commitments", party=party, field="aggregate_root")
        statement = self.statement(node, manifest.share_root, manifest.blob_hash)
        try:
            holds = aggregation.verify(statement, manifest.proof, self.plan.generators)
        except InvalidEncoding as error:
            raise BadProof(str(error), party=party, field="proof") from error
        if not holds:
            raise BadProof("the aggregation proof does not verify", party=party, field="proof")
