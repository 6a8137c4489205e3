"""Which submissions of a round prove that their norm is within its bound (docs/spec.md §5, §7)."""

from __future__ import annotations

from dataclasses import replace
from threading import Lock

from zkpfl.crypto.points import G1Array
from zkpfl.crypto.proofs import norm
from zkpfl.protocol.plan import RoundPlan

AT_ONCE = 16
"""Proofs in one check: their points wait in memory, and more save little."""


def norm_statement(plan: RoundPlan, submitter: int, points: G1Array) -> norm.Statement:
    """What a submission must prove: by its lane commitments, the bound of a trainer or of noise.

    Parameters
    ----------
    plan
        The round.
    submitter
        Place among its trainers.
    points
        All points of the submission.
    """
    layout = plan.layout
    if plan.is_noise(submitter):
        layout = replace(layout, norm_bound=layout.noise_bound)
    account, lanes = plan.account_of(submitter), points[: layout.lane_rows]
    return norm.Statement.of(plan.context, account, plan.checkpoint, layout, lanes)


class NormProofs:
    """The norm proofs of a round: added as they arrive, verified many at once.

    Parameters
    ----------
    plan
        The round.
    """

    def __init__(self, plan: RoundPlan) -> None:
        self._plan = plan
        self._lock = Lock()
        self._waiting: dict[int, tuple[bytes, norm.Statement, bytes]] = {}
        self._proved: dict[int, bytes] = {}

    def add(self, submitter: int, root: bytes, points: G1Array, proof: bytes) -> None:
        """Add the proof of a submission, whose points yield the commitment root ``root``."""
        statement = norm_statement(self._plan, submitter, points)
        with self._lock:
            self._waiting[submitter] = root, statement, proof
        if len(self._waiting) >= AT_ONCE:
            self.verify()

    def verify(self) -> None:
        """Verify what waits, at once. Other threads may add meanwhile."""
        with self._lock:
            waiting, self._waiting = self._waiting, {}
        if not waiting:
            return
        _, statements, proofs = zip(*waiting.values(), strict=True)
        failing = norm.verify_batch(statements, proofs, self._plan.generators)
        good = {submitter for index, submitter in enumerate(waiting) if index not in failing}
        self._proved |= {submitter: root for submitter, (root, _, _) in waiting.items() if submitter in good}

    def is_proved(self, submitter: int, root: bytes) -> bool:
        """Whether a submission with this commitment root has a proof that was verified."""
        return self._proved.get(submitter) == root
