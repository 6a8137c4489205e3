"""What a trainer contributed to a round's sum, stated and proved (docs/spec.md §7.2, §9.5)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from zkpfl.crypto.encoding import FloatVector, rotate
from zkpfl.crypto.points import G1Array
from zkpfl.crypto.proofs import contribution
from zkpfl.crypto.proofs.contribution import Direction
from zkpfl.errors import InvalidParameter
from zkpfl.params import FixedPoint
from zkpfl.protocol.manifests import ContributionManifest
from zkpfl.protocol.plan import RoundPlan


def round_direction(
    plan: RoundPlan, total: NDArray[np.int64], updates: Sequence[FloatVector], fixed_point: FixedPoint
) -> Direction:
    """Along what the contributions of a round are measured.

    Parameters
    ----------
    plan
        The round.
    total
        Its exact sum, int64, shape (d,).
    updates
        Mean updates of earlier rounds, the latest first, float32, shape (d,).
    fixed_point
        Gives the scale s.
    """
    public = [in_round(update, fixed_point, plan.rotation_seed) for update in updates]
    return Direction.of(total, public, plan.layout.norm_bound)


def in_round(update: FloatVector, fixed_point: FixedPoint, rotation_seed: bytes) -> NDArray[np.int16]:
    """Encode a mean update as one trainer would have to send it in a round.

    Parameters
    ----------
    update
        float32, shape (d,).
    fixed_point
        Gives the scale s.
    rotation_seed
        Of the round, 32 bytes.

    Returns
    -------
    ndarray
        int16, shape (d,), rounded half to even and cut to 16 bits: the same for every member.
    """
    limits = np.iinfo(np.int16)
    scaled = np.rint(rotate(update, rotation_seed).astype(np.float64) * fixed_point.scale)
    return np.clip(scaled, limits.min, limits.max).astype(np.int16)


def contribution_statement(
    plan: RoundPlan, trainer: int, points: G1Array, direction: Direction, value: int
) -> contribution.Statement:
    """What a trainer states about its submission.

    Parameters
    ----------
    plan
        The round.
    trainer
        Number of the trainer.
    points
        All points of its submission, or the lane commitments alone.
    direction, value
        What the update is measured along, and what came out.

    Raises
    ------
    InvalidParameter
        No update can have this value.
    """
    account, lanes = plan.account_of(trainer), points[: plan.layout.lane_rows]
    return contribution.Statement.of(
        plan.context, account, plan.checkpoint, plan.layout, lanes, direction, value
    )


def proved_values(
    plan: RoundPlan, direction: Direction, claims: Mapping[int, tuple[G1Array, ContributionManifest]]
) -> dict[int, int]:
    """Return the values that are proved, by number of the trainer.

    Parameters
    ----------
    plan, direction
        The round, and along what its updates are measured.
    claims
        Points of the submission and contribution manifest of each trainer that sent one. Untrusted.
    """
    statements, proofs = {}, []
    for trainer, (points, manifest) in claims.items():
        try:
            statement = contribution_statement(plan, trainer, points, direction, manifest.value)
        except InvalidParameter:
            continue
        if manifest.trainer == statement.trainer:
            statements[trainer] = statement
            proofs.append(manifest.proof)
    failing = contribution.verify_batch(list(statements.values()), proofs, plan.generators)
    good = [trainer for index, trainer in enumerate(statements) if index not in failing]
    return {trainer: claims[trainer][1].value for trainer in good}
