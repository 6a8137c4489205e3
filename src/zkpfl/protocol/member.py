"""A member's part of a round: open t aggregate shares, check them, decode the exact sum (docs/spec.md §6).

Members are the model owner and the trainers of the job; the auditor does the same from the ledger and
storage alone.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from zkpfl.crypto.encoding import unpack_sum
from zkpfl.crypto.merkle import hash_blob, share_root
from zkpfl.crypto.scalars import Scalars
from zkpfl.crypto.sealing import EncryptionKey, open_from
from zkpfl.crypto.sharing import check_rows, interpolate_at_zero
from zkpfl.errors import BadAggregateShare, BadSum, CorruptContent, InvalidEncoding, NotDelivered
from zkpfl.protocol.aggregate import PublicAggregate
from zkpfl.protocol.manifests import AggregateManifest
from zkpfl.protocol.plan import RoundPlan
from zkpfl.protocol.shares import decode_matrix


class MemberRound:
    """Collects checked aggregate shares of one round until t are there.

    Parameters
    ----------
    public
        The sum of the accepted commitments.
    member_key
        The job's member key, which opens aggregate shares. Secret.
    """

    def __init__(self, public: PublicAggregate, member_key: EncryptionKey) -> None:
        self._public = public
        self._member_key = member_key
        self._shares: dict[int, Scalars] = {}

    @property
    def is_complete(self) -> bool:
        """Whether t shares have been accepted."""
        return len(self._shares) >= self._public.plan.committee.threshold

    def accept_share(self, node: int, manifest: AggregateManifest, blob: bytes) -> None:
        """Open, decode and check the aggregate share of one zk-node.

        Raises
        ------
        NotDelivered
            The blob is not the posted one, does not open or does not yield the share root: no evidence.
        BadAggregateShare
            A row under the share root fails the commitments: evidence.
        """
        party = f"zk-node {node}"
        rows = opened_share(self._public.plan, node, manifest, blob, self._member_key)
        bad_row = check_rows(rows, self._public.share_commitments(node))
        if bad_row is not None:
            raise BadAggregateShare(
                f"row {bad_row} fails the sum of the commitments", party=party, field=f"row {bad_row}"
            )
        self._shares[node] = rows

    def total(self) -> NDArray[np.int64]:
        """The exact integer sum of the accepted updates, int64 [d]; needs t accepted shares.

        Raises
        ------
        NotDelivered
            Fewer than t shares have been accepted.
        BadSum
            The sum is the committed one, but some accepted submission did not keep to the norm bound.
        """
        packed = interpolate_at_zero(self._first_shares())
        try:
            return unpack_sum(np.ascontiguousarray(packed[:, :-1]), self._public.plan.layout)
        except InvalidEncoding as error:
            raise BadSum(error.message, party="accepted set", field="lanes") from error

    def _first_shares(self) -> dict[int, Scalars]:
        threshold = self._public.plan.committee.threshold
        if not self.is_complete:
            raise NotDelivered(
                f"{len(self._shares)} of {threshold} aggregate shares arrived",
                party="committee",
                field="shares",
            )
        return dict(sorted(self._shares.items())[:threshold])


def opened_share(
    plan: RoundPlan, node: int, manifest: AggregateManifest, blob: bytes, key: EncryptionKey
) -> Scalars:
    """Rows of an aggregate share, under its posted root but not yet compared with the commitments.

    Raises
    ------
    NotDelivered
        The blob is not the posted one, does not open or does not yield the share root.
    """
    party = f"zk-node {node}"
    if hash_blob(blob) != manifest.blob_hash:
        raise NotDelivered("the sealed share is not the posted one", party=party, field="blob")
    try:
        rows = decode_matrix(plan, open_from(key, blob, context=plan.aggregate_share_context(node)))
    except (CorruptContent, InvalidEncoding) as error:
        raise NotDelivered(str(error), party=party, field="blob") from error
    if share_root(rows) != manifest.share_root:
        raise NotDelivered("rows do not yield the share root", party=party, field="share_root")
    return rows
