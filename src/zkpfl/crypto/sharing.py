"""Threshold sharing of packed rows, and the check of shares against commitments (docs/spec.md §5)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from zkpfl import _core
from zkpfl.crypto.commitments import combine_packed, commit_rows, packed_commitments
from zkpfl.crypto.generators import Generators, generators
from zkpfl.crypto.keystream import KEY_BYTES, stream
from zkpfl.crypto.points import G1Array, combine_arrays, msm, sum_arrays
from zkpfl.crypto.scalars import (
    ORDER,
    Scalars,
    check_scalars,
    collect_scalars,
    from_int,
    linear_combination,
    random_short,
    sum_scalars,
)
from zkpfl.errors import BadCommitment, InvalidParameter
from zkpfl.params import Committee, Layout

BATCH = 16
"""Shares checked by one fixed-base MSM; their combinations are all that is kept of them meanwhile."""


def expand_seed(seed: bytes, rows: int, width: int) -> Scalars:
    """Expand the seed of a share: row ``p`` from ``stream(seed, p)``, by rejection.

    Parameters
    ----------
    seed
        32 bytes, secret and single use.
    rows
        P.
    width
        N + 1.

    Returns
    -------
    Scalars
        Shape (rows, width, 4). Secret.
    """
    if len(seed) != KEY_BYTES:
        raise InvalidParameter(f"must be {KEY_BYTES} bytes, got {len(seed)}", field="seed")
    expanded = _core.expand_seed(seed, rows, width)
    return _expand_by_openssl(seed, rows, width) if expanded is None else expanded


def _expand_by_openssl(seed: bytes, rows: int, width: int) -> Scalars:
    """The same on processors without instructions for AES."""
    out = np.empty((rows, width, 4), dtype=np.uint64)
    for row in range(rows):
        out[row] = collect_scalars(stream(seed, row), width)
    return out


def lagrange_coefficients(abscissae: Sequence[int], at: int) -> Scalars:
    """Coefficients ``λ_k = Π_(i≠k) (at − x_i)/(x_k − x_i)`` mod r.

    Parameters
    ----------
    abscissae
        k distinct integers.
    at
        Where to evaluate.

    Returns
    -------
    Scalars
        Shape (k, 4).

    Raises
    ------
    InvalidParameter
        If there are no abscissae, or two are equal.
    """
    if not abscissae or len(set(abscissae)) != len(abscissae):
        raise InvalidParameter(f"must be distinct, got {list(abscissae)}", field="abscissae")
    coefficients = []
    for own in abscissae:
        numerator = denominator = 1
        for other in abscissae:
            if other != own:
                numerator *= at - other
                denominator *= own - other
        coefficients.append(numerator * pow(denominator, -1, ORDER))
    return from_int(coefficients)


def split(secret: Scalars, seeds: Sequence[bytes], committee: Committee) -> dict[int, Scalars]:
    """Share a matrix so that ``t`` nodes reconstruct and ``t − 1`` learn nothing.

    Nodes ``1 … t − 1`` get a seed (:func:`expand_seed`); the rest of the degree ``t − 1`` polynomial follows.

    Parameters
    ----------
    secret
        f(0), shape (P, N + 1, 4): packed rows and their blindings. Secret.
    seeds
        t − 1 fresh seeds of 32 bytes. Secret.
    committee
        Gives m and t.

    Returns
    -------
    dict
        The matrices of nodes ``t … m``, shape (P, N + 1, 4) each. Secret.
    """
    rows = check_scalars(secret, (None, None), field="secret")
    if len(seeds) != committee.threshold - 1 or len(set(seeds)) != len(seeds):
        raise InvalidParameter(f"must be {committee.threshold - 1} distinct seeds", field="seeds")
    known = [rows, *(expand_seed(seed, rows.shape[0], rows.shape[1]) for seed in seeds)]
    abscissae = range(committee.threshold)
    return {
        node: linear_combination(known, lagrange_coefficients(abscissae, node))
        for node in range(committee.threshold, committee.size + 1)
    }


def interpolate_at_zero(shares: Mapping[int, Scalars]) -> Scalars:
    """Reconstruct ``f(0)`` from the shares of exactly ``t`` nodes.

    Parameters
    ----------
    shares
        Matrix of each node, shape (P, N + 1, 4), by its number, 1 or more.

    Returns
    -------
    Scalars
        Shape (P, N + 1, 4).

    Raises
    ------
    InvalidParameter
        If there is no share, a number is below 1, or shapes differ.
    """
    if any(node < 1 for node in shares):
        raise InvalidParameter(f"nodes are numbered from 1, got {sorted(shares)}", field="shares")
    return linear_combination(list(shares.values()), lagrange_coefficients(list(shares), 0))


def polynomial_commitments(submission: G1Array, layout: Layout, committee: Committee) -> tuple[G1Array, ...]:
    """Commitments ``E_(k,p)`` to the rows of ``f(0) … f(t−1)``, with ``E_0 = D`` derived from the lanes.

    Parameters
    ----------
    submission
        ``R + (t − 1)·P`` points: of one trainer, or elementwise sums of several.
    layout, committee
        Give R, P and t.

    Returns
    -------
    tuple of G1Array
        t arrays of P points.

    Raises
    ------
    BadCommitment
        If the number of points is wrong.
    """
    lanes, sent = _parts(submission, layout, committee)
    return (packed_commitments(lanes, layout), *sent)


def commitments_at(known: Sequence[G1Array], committee: Committee, node: int) -> G1Array:
    """Commitments to the rows of node ``j``'s share: ``E_(j,p) = Σ_(k<t) λ_(j,k)·E_(k,p)``.

    Parameters
    ----------
    known
        What `polynomial_commitments` gives.
    committee
        Gives m and t.
    node
        j, 1 to m.

    Returns
    -------
    G1Array
        P points.
    """
    if not 1 <= node <= committee.size:
        raise InvalidParameter(f"must be 1 to {committee.size}, got {node}", field="node")
    return combine_arrays(known, lagrange_coefficients(range(committee.threshold), node))


def share_commitments(submission: G1Array, layout: Layout, committee: Committee, node: int) -> G1Array:
    """Commitments to the rows of node ``j``'s share, from a submission or a sum of several.

    `polynomial_commitments`, then `commitments_at`; who needs several nodes keeps what is between.
    """
    return commitments_at(polynomial_commitments(submission, layout, committee), committee, node)


@dataclass(frozen=True)
class CombinedShare:
    """A random combination of a share's rows and of their commitments; the two fit if the share does."""

    row: Scalars = field(repr=False)
    commitment: G1Array


def combine_share(
    share: Scalars, submission: G1Array, layout: Layout, committee: Committee, node: int
) -> CombinedShare:
    """Combine the rows of a share, and their commitments, with fresh secret weights of 128 bits.

    A share that does not fit its commitments gives a combination that does not, but with probability 2^-128.
    Commitments are combined as they were sent, ``Σ_k λ_(j,k) Σ_p β_p·E_(k,p)``: no ``E_(j,p)`` is made.

    Parameters
    ----------
    share
        Shape (P, N + 1, 4). Secret.
    submission
        ``R + (t − 1)·P`` points.
    layout, committee
        Give R, P, N, m and t.
    node
        j, 1 to m: whose share it is.

    Raises
    ------
    InvalidParameter, BadCommitment
        If the shapes do not belong together.
    """
    rows = check_scalars(share, (layout.packed_rows, layout.columns + 1), field="share")
    lanes, sent = _parts(submission, layout, committee)
    weights = random_short(layout.packed_rows)
    combined = [combine_packed(lanes, weights, layout), *(msm(points, weights) for points in sent)]
    return CombinedShare(linear_combination(rows, weights), commitments_at(combined, committee, node))


class ShareCheck:
    """A node's check of the shares of a round as they arrive: one fixed-base MSM of N + 1 a batch.

    A combination is kept until its batch is full, so what is kept does not grow with the number of trainers.
    If the sum over a batch fails, bisection finds the faulty trainers; `check_rows` then finds the failing
    row of a share.

    Parameters
    ----------
    gens
        Generators for the columns of the shares.
    """

    def __init__(self, gens: Generators) -> None:
        self._gens = gens
        self._pending: dict[int, CombinedShare] = {}
        self._faulty: set[int] = set()

    def add(self, trainer_id: int, combined: CombinedShare) -> None:
        """Take a share into the batch, in place of an earlier one of this trainer.

        Raises
        ------
        InvalidParameter
            If it does not have a column for each generator and one for the blinding.
        """
        check_scalars(combined.row, (self._gens.columns + 1,), field="share")
        self._faulty.discard(trainer_id)
        self._pending[trainer_id] = combined
        if len(self._pending) >= BATCH:
            self._check_pending()

    def faulty(self) -> frozenset[int]:
        """Trainers whose share fails its commitments; the shares since the last batch are checked now."""
        self._check_pending()
        return frozenset(self._faulty)

    def _check_pending(self) -> None:
        self._faulty.update(_bisect(list(self._pending.items()), self._gens))
        self._pending.clear()


def check_rows(share: Scalars, commitments: G1Array) -> int | None:
    """Check one share or aggregate share against its commitments.

    Parameters
    ----------
    share
        Shape (P, N + 1, 4).
    commitments
        P points.

    Returns
    -------
    int or None
        The first row that fails, None if all are good. A bad share passes with probability 2^-128.
    """
    if share.ndim != 3 or len(share) == 0 or len(share) != len(commitments):
        raise InvalidParameter(
            f"must be rows with a commitment each, got shape {share.shape} and {len(commitments)} points",
            field="share",
        )
    gens = generators(share.shape[1] - 1)
    rows = check_scalars(share, (None, None), field="share")
    return None if _all_fit([_combine(rows, commitments)], gens) else _first_bad_row(rows, commitments, gens)


def _parts(submission: G1Array, layout: Layout, committee: Committee) -> tuple[G1Array, list[G1Array]]:
    """Commitments to the lanes, and to the rows of f(1) … f(t−1)."""
    lane_rows, rows = layout.lane_rows, layout.packed_rows
    expected = lane_rows + (committee.threshold - 1) * rows
    if len(submission) != expected:
        raise BadCommitment(f"expected {expected} commitments, got {len(submission)}", field="submission")
    sent = [submission[start : start + rows] for start in range(lane_rows, expected, rows)]
    return submission[:lane_rows], sent


def _combine(rows: Scalars, commitments: G1Array) -> CombinedShare:
    weights = random_short(len(rows))
    return CombinedShare(linear_combination(rows, weights), msm(commitments, weights))


def _all_fit(parts: Sequence[CombinedShare], gens: Generators) -> bool:
    row = sum_scalars([part.row for part in parts])
    return commit_rows(row[np.newaxis], gens) == sum_arrays([part.commitment for part in parts])


def _bisect(items: Sequence[tuple[int, CombinedShare]], gens: Generators) -> list[int]:
    """Names of the items that do not fit; a list fits, almost surely, only if all of it does."""
    if not items or _all_fit([combined for _, combined in items], gens):
        return []
    if len(items) == 1:
        return [items[0][0]]
    middle = len(items) // 2
    return _bisect(items[:middle], gens) + _bisect(items[middle:], gens)


def _first_bad_row(rows: Scalars, commitments: G1Array, gens: Generators) -> int:
    """First failing row of a share that is known to fail as a whole."""
    first, last = 0, len(rows)
    while last - first > 1:
        middle = (first + last) // 2
        half = _combine(rows[first:middle], commitments[first:middle])
        first, last = (middle, last) if _all_fit([half], gens) else (first, middle)
    return first
