"""Threshold sharing of packed rows, and the check of shares against commitments (docs/spec.md §5)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from zkpfl import _core
from zkpfl.crypto.commitments import commit_rows, packed_commitments
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


def share_commitments(submission: G1Array, layout: Layout, committee: Committee, node: int) -> G1Array:
    """Commitments to the rows of node ``j``'s share: ``E_(j,p) = Σ_(k<t) λ_(j,k)·E_(k,p)``, ``E_0 = D``.

    Parameters
    ----------
    submission
        ``R + (t − 1)·P`` points: of one trainer, or elementwise sums of several.
    layout, committee
        Give R, P, m and t.
    node
        j, 1 to m.

    Returns
    -------
    G1Array
        P points.

    Raises
    ------
    BadCommitment
        If the number of points is wrong.
    """
    lane_rows, rows = layout.lane_rows, layout.packed_rows
    expected = lane_rows + (committee.threshold - 1) * rows
    if len(submission) != expected:
        raise BadCommitment(f"expected {expected} commitments, got {len(submission)}", field="submission")
    if not 1 <= node <= committee.size:
        raise InvalidParameter(f"must be 1 to {committee.size}, got {node}", field="node")
    known = [packed_commitments(submission[:lane_rows], layout)]
    known += [submission[start : start + rows] for start in range(lane_rows, expected, rows)]
    return combine_arrays(known, lagrange_coefficients(range(committee.threshold), node))


@dataclass(frozen=True)
class FaultyRow:
    """A row of a trainer's share that fails its commitment: evidence against that trainer."""

    trainer_id: int
    row: int


@dataclass(frozen=True)
class _Combined:
    """A random combination of a share's rows and of their commitments; the two fit if the share does."""

    row: Scalars = field(repr=False)
    commitment: G1Array


@dataclass(frozen=True)
class _Received:
    trainer_id: int
    share: Scalars = field(repr=False)
    commitments: G1Array
    combined: _Combined = field(repr=False)


class ShareCheck:
    """A node's check of all shares of a round, batched: one fixed-base MSM of N + 1 if all are good.

    Each row gets a secret random 128-bit weight, so a bad share passes with probability 2^-128. If the sum
    over all trainers fails, bisection finds the faulty trainers and then the first failing row of each.

    Parameters
    ----------
    gens
        Generators for the columns of the shares.
    """

    def __init__(self, gens: Generators) -> None:
        self._gens = gens
        self._received: list[_Received] = []

    def add(self, trainer_id: int, share: Scalars, commitments_to_share: G1Array) -> None:
        """Take a share into the batch.

        Parameters
        ----------
        trainer_id
            Names the trainer in the result; once in a batch.
        share
            Shape (P, N + 1, 4), kept by reference until the check. Secret.
        commitments_to_share
            P points (:func:`share_commitments`).

        Raises
        ------
        InvalidParameter
            If a shape is wrong or the trainer is already in the batch.
        """
        if any(received.trainer_id == trainer_id for received in self._received):
            raise InvalidParameter(f"trainer {trainer_id} is already in the batch", field="trainer_id")
        rows = _check_share(share, commitments_to_share, self._gens)
        combined = _combine(rows, commitments_to_share)
        self._received.append(_Received(trainer_id, rows, commitments_to_share, combined))

    def faulty(self) -> list[FaultyRow]:
        """First failing row of every trainer whose share fails; empty if all are good."""
        bad = _bisect(self._received, lambda part: _all_fit([one.combined for one in part], self._gens))
        return [FaultyRow(one.trainer_id, _first_bad_row(one, self._gens)) for one in bad]


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
    gens = generators(share.shape[1] - 1 if share.ndim == 3 else 0)
    rows = _check_share(share, commitments, gens)
    combined = _combine(rows, commitments)
    if _all_fit([combined], gens):
        return None
    return _first_bad_row(_Received(0, rows, commitments, combined), gens)


def _check_share(share: Scalars, commitments: G1Array, gens: Generators) -> Scalars:
    rows = check_scalars(share, (None, gens.columns + 1), field="share")
    if len(rows) == 0 or len(rows) != len(commitments):
        raise InvalidParameter(
            f"expected a commitment to each of {len(rows)} rows, got {len(commitments)}", field="commitments"
        )
    return rows


def _combine(rows: Scalars, commitments: G1Array) -> _Combined:
    weights = random_short(len(rows))
    return _Combined(linear_combination(rows, weights), msm(commitments, weights))


def _all_fit(parts: Sequence[_Combined], gens: Generators) -> bool:
    row = sum_scalars([part.row for part in parts])
    return commit_rows(row[np.newaxis], gens) == sum_arrays([part.commitment for part in parts])


def _bisect(items: list[_Received], good: Callable[[list[_Received]], bool]) -> list[_Received]:
    """Items that are not good by themselves, where a list is good if (almost surely only if) all of it is."""
    if not items or good(items):
        return []
    if len(items) == 1:
        return items
    middle = len(items) // 2
    return _bisect(items[:middle], good) + _bisect(items[middle:], good)


def _first_bad_row(received: _Received, gens: Generators) -> int:
    """First failing row of a share that is known to fail as a whole."""
    first, last = 0, len(received.share)
    while last - first > 1:
        middle = (first + last) // 2
        half = _combine(received.share[first:middle], received.commitments[first:middle])
        first, last = (middle, last) if _all_fit([half], gens) else (first, middle)
    return first
