"""Threshold sharing, and the check that names cheaters."""

from __future__ import annotations

import itertools
import os

import numpy as np
import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from zkpfl.crypto import sharing
from zkpfl.crypto.commitments import commit_lanes, commit_rows, packed_blindings
from zkpfl.crypto.encoding import pack
from zkpfl.crypto.generators import generators
from zkpfl.crypto.points import G1Array, sum_arrays
from zkpfl.crypto.scalars import ORDER, Scalars, from_int, linear_combination, random_scalars, to_int
from zkpfl.crypto.sharing import (
    BATCH,
    CombinedShare,
    ShareCheck,
    check_rows,
    combine_share,
    expand_seed,
    interpolate_at_zero,
    lagrange_coefficients,
    share_commitments,
    split,
)
from zkpfl.errors import BadCommitment, InvalidParameter
from zkpfl.params import Committee, Layout

LAYOUT = Layout(dimension=5000, norm_bound=2**18)
GENS = generators(256)


class Submission:
    """All shares of one trainer and its commitments."""

    def __init__(self, committee: Committee, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        self.values = rng.integers(-2048, 2048, LAYOUT.dimension).astype(np.int16)
        blindings = random_scalars((LAYOUT.lane_rows,))
        sigma = packed_blindings(blindings, LAYOUT)[:, np.newaxis]
        self.secret = np.concatenate([pack(self.values, LAYOUT), sigma], axis=1)
        seeds = [os.urandom(32) for _ in range(committee.threshold - 1)]
        self.shares = {
            node: expand_seed(key, LAYOUT.packed_rows, LAYOUT.columns + 1)
            for node, key in enumerate(seeds, start=1)
        }
        own = [commit_rows(rows, GENS) for rows in self.shares.values()]
        self.points = G1Array.concatenate([commit_lanes(self.values, blindings, LAYOUT, GENS), *own])
        self.shares |= split(self.secret, seeds, committee)


@pytest.fixture(scope="module", params=[(3, 2), (5, 3), (4, 2)], ids=str)
def committee(request: pytest.FixtureRequest) -> Committee:
    return Committee(*request.param)


@pytest.fixture(scope="module")
def submission(committee: Committee) -> Submission:
    return Submission(committee)


def changed(share: Scalars, row: int, column: int = 3) -> Scalars:
    bad = share.copy()
    bad[row, column] = from_int([to_int(bad[row, column])[0] + 1])[0]
    return bad


def combined(share: Scalars, commitments: G1Array) -> CombinedShare:
    """A share of node 1, which is committed to as it is; the lanes do not matter to it."""
    layout = Layout(dimension=256 * LAYOUT.lanes * len(share), norm_bound=LAYOUT.norm_bound)
    submission = G1Array.concatenate([GENS.G[: layout.lane_rows], commitments])
    return combine_share(share, submission, layout, Committee(3, 2), 1)


@pytest.mark.parametrize("width", [0, 1, 7, 57, 64, 65, 200])
def test_seeds_expand_alike_with_and_without_instructions_for_aes(width: int) -> None:
    seed = os.urandom(32)
    assert np.array_equal(expand_seed(seed, 3, width), sharing._expand_by_openssl(seed, 3, width))


def test_seeds_expand_as_specified() -> None:
    seed = os.urandom(32)
    expanded = expand_seed(seed, 3, 40)
    for row in range(3):
        counter = row.to_bytes(8, "big") + bytes(8)
        data = Cipher(algorithms.AES256(seed), modes.CTR(counter)).encryptor().update(bytes(32 * 80))
        pieces = [int.from_bytes(data[i : i + 32], "big") & (2**255 - 1) for i in range(0, len(data), 32)]
        assert to_int(expanded[row]) == [piece for piece in pieces if piece < ORDER][:40]


def test_lagrange_coefficients_evaluate_polynomials() -> None:
    for abscissae, at in [([0, 1], 2), ([0, 1, 2], 5), ([5, 2, 9], 0), ([3], 0), ([1, 2], 2)]:
        values = [7 + 3 * x + 11 * x**2 if len(abscissae) == 3 else 7 for x in abscissae]
        coefficients = to_int(lagrange_coefficients(abscissae, at))
        expected = 7 + 3 * at + 11 * at**2 if len(abscissae) == 3 else 7
        assert sum(c * v for c, v in zip(coefficients, values, strict=True)) % ORDER == expected
    for bad in ([], [1, 1]):
        with pytest.raises(InvalidParameter, match="distinct"):
            lagrange_coefficients(bad, 0)


def test_two_of_three_shares_lie_on_a_line() -> None:
    submission = Submission(Committee(3, 2))
    for node in (2, 3):
        line = linear_combination([submission.shares[1], submission.secret], from_int([node, 1 - node]))
        assert np.array_equal(submission.shares[node], line)


def test_any_threshold_of_shares_reconstructs(committee: Committee, submission: Submission) -> None:
    assert sorted(submission.shares) == list(range(1, committee.size + 1))
    for nodes in itertools.combinations(submission.shares, committee.threshold):
        rows = interpolate_at_zero({node: submission.shares[node] for node in nodes})
        assert np.array_equal(rows, submission.secret)


def test_fewer_shares_do_not_reconstruct(committee: Committee, submission: Submission) -> None:
    for nodes in itertools.combinations(submission.shares, committee.threshold - 1):
        rows = interpolate_at_zero({node: submission.shares[node] for node in nodes})
        assert not np.any(np.all(rows == submission.secret, axis=-1))


def test_every_share_fits_its_derived_commitments(committee: Committee, submission: Submission) -> None:
    for node, share in submission.shares.items():
        commitments = share_commitments(submission.points, LAYOUT, committee, node)
        assert commitments == commit_rows(share, GENS)
        assert check_rows(share, commitments) is None


def test_every_share_passes_the_check_of_its_node_and_no_changed_one(
    committee: Committee, submission: Submission
) -> None:
    for node, share in submission.shares.items():
        check = ShareCheck(GENS)
        for row in range(len(share)):
            sent = changed(share, row)
            check.add(row, combine_share(sent, submission.points, LAYOUT, committee, node))
        check.add(len(share), combine_share(share, submission.points, LAYOUT, committee, node))
        assert check.faulty() == set(range(len(share)))


def test_aggregates_fit_the_sums_of_commitments() -> None:
    committee = Committee(3, 2)
    parties = [Submission(committee, seed) for seed in range(3)]
    points = sum_arrays([party.points for party in parties])
    for node in (1, 3):
        ones = from_int([1] * 3)
        total = linear_combination([party.shares[node] for party in parties], ones)
        assert check_rows(total, share_commitments(points, LAYOUT, committee, node)) is None
        assert check_rows(changed(total, 1), share_commitments(points, LAYOUT, committee, node)) == 1


def test_a_submission_of_the_wrong_size_is_refused(committee: Committee, submission: Submission) -> None:
    for points in (submission.points[:-1], submission.points[:0]):
        with pytest.raises(BadCommitment, match="expected"):
            share_commitments(points, LAYOUT, committee, 1)
    for node in (0, committee.size + 1):
        with pytest.raises(InvalidParameter, match="node"):
            share_commitments(submission.points, LAYOUT, committee, node)


@pytest.mark.parametrize("bad_rows", [[0], [1], [2], [1, 2], [0, 1, 2]])
def test_first_bad_row_is_found(bad_rows: list[int]) -> None:
    share = random_scalars((3, 257))
    commitments = commit_rows(share, GENS)
    bad = share
    for row in bad_rows:
        bad = changed(bad, row)
    assert check_rows(bad, commitments) == bad_rows[0]


def test_errors_that_cancel_between_rows_are_found() -> None:
    share = random_scalars((2, 257))
    commitments = commit_rows(share, GENS)
    bad = changed(share, 0)
    bad[1, 3] = from_int([to_int(bad[1, 3])[0] - 1])[0]
    assert check_rows(bad, commitments) == 0


@pytest.mark.parametrize("cheaters", [[], [0], [4], [1, 2], [0, 1, 2, 3, 4]])
def test_cheaters_are_named_and_nobody_else(cheaters: list[int]) -> None:
    check = ShareCheck(GENS)
    for index in range(5):
        share = random_scalars((3, 257))
        commitments = commit_rows(share, GENS)
        sent = changed(share, index % 3) if index in cheaters else share
        check.add(10 + index, combined(sent, commitments))
    assert check.faulty() == {10 + index for index in cheaters}


def test_colluding_trainers_whose_errors_cancel_are_named() -> None:
    check, delta = ShareCheck(GENS), from_int([1, -1])
    for index in range(2):
        share = random_scalars((1, 257))
        commitments = commit_rows(share, GENS)
        bad = share.copy()
        bad[0, 0] = linear_combination([share[0, :1], delta[index : index + 1]], from_int([1, 1]))[0]
        check.add(index, combined(bad, commitments))
    assert check.faulty() == {0, 1}


def test_a_good_batch_costs_one_commitment(monkeypatch: pytest.MonkeyPatch) -> None:
    check = ShareCheck(GENS)
    for index in range(4):
        share = random_scalars((2, 257))
        check.add(index, combined(share, commit_rows(share, GENS)))
    rows: list[int] = []

    def counted(values: Scalars, gens: object) -> G1Array:
        rows.append(len(values))
        return commit_rows(values, GENS)

    monkeypatch.setattr(sharing, "commit_rows", counted)
    assert check.faulty() == frozenset()
    assert rows == [1]


def test_cheaters_are_named_in_every_batch_and_no_more_than_a_batch_is_kept() -> None:
    check, cheaters = ShareCheck(GENS), {3, BATCH - 1, BATCH, 2 * BATCH}
    share = random_scalars((2, 257))
    commitments = commit_rows(share, GENS)
    for index in range(2 * BATCH + 1):
        check.add(index, combined(changed(share, 1) if index in cheaters else share, commitments))
        assert len(check._pending) < BATCH
    assert check.faulty() == cheaters


@pytest.mark.parametrize("others", [0, BATCH])
def test_a_later_share_of_a_trainer_counts_instead_of_the_one_before(others: int) -> None:
    share = random_scalars((2, 257))
    commitments = commit_rows(share, GENS)
    good, bad = (combined(sent, commitments) for sent in (share, changed(share, 1)))
    for last, faulty in ((good, set()), (bad, {0})):
        check = ShareCheck(GENS)
        check.add(0, bad)
        for index in range(others):  # the batch of the first one is checked before the second one comes
            check.add(1 + index, good)
        check.add(0, good)
        check.add(0, last)
        assert check.faulty() == faulty


def test_an_empty_batch_is_good() -> None:
    assert ShareCheck(GENS).faulty() == frozenset()


def test_checks_refuse_what_does_not_belong_together() -> None:
    share = random_scalars((2, 257))
    commitments = commit_rows(share, GENS)
    with pytest.raises(BadCommitment, match="expected"):
        combined(share, commitments[:1])
    with pytest.raises(InvalidParameter, match="share"):
        combined(share[:, :256], commitments)
    with pytest.raises(InvalidParameter, match="share"):
        ShareCheck(generators(512)).add(2, combined(share, commitments))
    with pytest.raises(InvalidParameter, match="a commitment each"):
        check_rows(share[:0], commitments[:0])
    with pytest.raises(InvalidParameter, match="a commitment each"):
        check_rows(share, commitments[:1])
    with pytest.raises(InvalidParameter):
        check_rows(share[0], commitments)


def test_split_wants_fresh_distinct_seeds() -> None:
    secret = random_scalars((2, 257))
    for seeds in ([], [bytes(32)] * 2, [bytes(32)]):
        with pytest.raises(InvalidParameter, match="seeds"):
            split(secret, seeds, Committee(5, 3))
    with pytest.raises(InvalidParameter, match="32 bytes"):
        split(secret, [b"short"], Committee(3, 2))


def test_interpolation_refuses_node_zero() -> None:
    with pytest.raises(InvalidParameter, match="numbered from 1"):
        interpolate_at_zero({0: random_scalars((1, 2)), 1: random_scalars((1, 2))})
    with pytest.raises(InvalidParameter):
        interpolate_at_zero({})


def test_secrets_do_not_show() -> None:
    check = ShareCheck(GENS)
    share = random_scalars((1, 257))
    check.add(1, combined(share, commit_rows(share, GENS)))
    shown = repr(vars(check))
    assert "array" not in shown
    assert str(share[0, 0, 0]) not in shown
