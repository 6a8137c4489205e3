"""A trainer that scales its updates up: what norm proofs are against (docs/spec.md §7).

``zkpfl demo --attack boost`` runs it, so that everybody can watch it fail. It does what a hostile trainer can
do at best: it commits to the boosted update, shares it faithfully, and proves a true statement about it, but
under a larger bound than the job's.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from zkpfl.crypto.proofs import norm
from zkpfl.protocol.norm_proofs import norm_statement
from zkpfl.protocol.plan import RoundPlan
from zkpfl.protocol.trainer import PreparedSubmission, SeededShares, share_values
from zkpfl.roles.trainer import TrainerRole

BOOST = 10
"""Factor by which updates are scaled."""


class BoostingTrainer(TrainerRole):
    """Takes part like any other trainer, but for the size of its updates."""

    def _prepare(
        self, plan: RoundPlan, values: NDArray[np.int16], seeded: SeededShares
    ) -> PreparedSubmission:
        account = self._identity.account
        limits = np.iinfo(np.int16)
        boosted = np.clip(values.astype(np.int32) * BOOST, limits.min, limits.max).astype(np.int16)
        shared = share_values(plan, account, boosted, seeded)
        submitter = plan.submitter(account.address)
        assert submitter is not None  # noqa: S101  (it has joined)
        witness = shared.witness
        honest = norm_statement(plan, submitter, shared.points)
        claimed = replace(honest, bound_squared=max(honest.bound_squared, witness.squared_norm()))
        return shared.submission(norm.prove(claimed, witness, plan.generators))
