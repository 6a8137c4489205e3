"""The rules by which the contract decides and pays, as pure functions (docs/spec.md §6, §9.3, §9.5).

Written apart from the contract, so that an audit computes every decision and amount a second time. Sets are
bitmaps: bit i for trainer i, bit j − 1 for node j.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import isqrt

from eth_abi.abi import encode

from zkpfl.crypto.merkle import keccak256
from zkpfl.crypto.transcript import Context
from zkpfl.ledger.records import MILLION, JobTerms

ONE = 10**18
"""Unit of factors."""

MIN_RECORDS = 100
"""Fewer test records say nothing about accuracy."""

SPAN = 65535
"""Units of time in which the contract divides Collect."""

_REVEALED = 1 << 64
_SCORE_TAG = keccak256(b"ZKPFL-V1-SCORE")


def choose_accepted(reports: Mapping[int, int], threshold: int) -> tuple[int, int]:
    """Choose the accepted set I and the group Q of nodes that stands behind it.

    Q is the group of at least ``threshold`` reporting nodes whose common set is largest; among equals the one
    of most nodes, then the one of lowest bitmap.

    Parameters
    ----------
    reports
        The reported set of each reporting node, by node number from 1.
    threshold
        t; there are at least as many reports.

    Returns
    -------
    tuple[int, int]
        I (trainers) and Q (nodes).
    """
    best, best_rank = (0, 0), (-1, 0, 0)
    for size in range(threshold, len(reports) + 1):
        for group in combinations(sorted(reports), size):
            common = (1 << 256) - 1
            for node in group:
                common &= reports[node]
            bitmap = sum(1 << (node - 1) for node in group)
            rank = (common.bit_count(), size, -bitmap)
            if rank > best_rank:
                best, best_rank = (common, bitmap), rank
    return best


def leading_checkpoint(scores: Iterable[tuple[bytes, int]]) -> bytes:
    """Return the checkpoint with most stake behind it, the lowest hash among equals.

    Parameters
    ----------
    scores
        Checkpoint (bytes[32]) and stake of each scorer; at least one.
    """
    support: dict[bytes, int] = {}
    for checkpoint, stake in scores:
        support[checkpoint] = support.get(checkpoint, 0) + stake
    return min(support, key=lambda checkpoint: (-support[checkpoint], checkpoint))


def weighted_median(scores: Iterable[tuple[int, int]]) -> int:
    """Return the lowest accuracy at which at least half of the stake is reached.

    Parameters
    ----------
    scores
        Accuracy (ppm) and stake of each scorer; at least one.
    """
    ordered = sorted(scores)
    total, reached = sum(stake for _, stake in ordered), 0
    for accuracy, stake in ordered:
        reached += stake
        if 2 * reached >= total:
            return accuracy
    raise AssertionError("unreachable: all of the stake is at least half of it")


def time_factor(time: int, opened: int, collect_deadline: int) -> int:
    """Fall linearly from 1.1 at ``opened`` to 0.9 at ``collect_deadline``; units of 10**-18."""
    elapsed = SPAN * (time - opened) // (collect_deadline - opened)
    return 11 * ONE // 10 - ONE * elapsed // (5 * SPAN)


def lower_bound(accuracy: int, records: int) -> int:
    """Accuracy less two standard errors of a share of ``records``, ppm; 0 where these are too few."""
    if records < MIN_RECORDS:
        return 0
    return max(0, accuracy - isqrt(4 * accuracy * (MILLION - accuracy) // records))


def weight(stake: int, time: int, accuracy: int) -> int:
    """Weight of a trainer in the division of a pot: its stake when it joined, times its factors."""
    return stake * time * accuracy // ONE


@dataclass(frozen=True)
class FeeSplit:
    """How a fee is divided (docs/spec.md §9.5); base units.

    Parameters
    ----------
    nodes
        A fifth, for nodes.
    flat, improvement
        The rest: half and half, or all flat where no training round or no test set can show improvement.
    rounds
        T; each closed round pays ``nodes // rounds`` and ``flat // rounds``.
    """

    nodes: int
    flat: int
    improvement: int
    rounds: int

    @classmethod
    def of(cls, fee: int, terms: JobTerms) -> FeeSplit:
        """Divide the fee of a job."""
        nodes = fee // 5
        measured = terms.slices > 0 and terms.slice_records >= MIN_RECORDS
        improvement = (fee - nodes) // 2 if measured else 0
        return cls(nodes, fee - nodes - improvement, improvement, terms.rounds)

    def improvement_pot(self, terms: JobTerms, best: int, bound: int) -> int:
        """Return what a round pays that takes the accuracy paid for from ``best`` to ``bound``, both ppm."""
        gained = min(bound, terms.target) - best
        if gained <= 0 or self.improvement == 0:
            return 0
        return self.improvement * gained // (terms.target - terms.baseline)

    def unopened_pot(self, terms: JobTerms) -> int:
        """Return what a round pays whose slice was due and stayed closed, within what is left."""
        return self.improvement // terms.slices


def draw(seed: bytes, weights: Sequence[int], count: int) -> list[int]:
    """Draw a committee: indices of candidates, with chances in proportion to their weights, none twice.

    Member k is where ``keccak(seed ‖ u256(k)) mod (sum of the weights left)`` falls (docs/spec.md §9.2).

    Parameters
    ----------
    seed
        bytes[32].
    weights
        Worth of each candidate's stake, in the order of the bank's list; 0 for who is none.
    count
        How many to draw; at least as many weights are positive.
    """
    left, drawn = list(weights), []
    for k in range(count):
        target = int.from_bytes(keccak256(seed + k.to_bytes(32, "big")), "big") % sum(left)
        index = 0
        while target >= left[index]:
            target -= left[index]
            index += 1
        left[index] = 0
        drawn.append(index)
    return drawn


def posts_hash(posts: Iterable[tuple[int, bytes, bytes]]) -> bytes:
    """Hash of what was posted, bytes[32]: node, share root and manifest digest of each, in its order."""
    found = bytes(32)
    for node, share_root, manifest in posts:
        found = keccak256(found + node.to_bytes(32, "big") + share_root + manifest)
    return found


def slice_keys(last: bytes, count: int) -> list[bytes]:
    """Keys of the slices of a test set, in order: each is the hash of the one after it (docs/spec.md §9.5).

    Parameters
    ----------
    last
        Key of the last slice, bytes[32]. Secret, as every key is until it is opened.
    count
        How many slices there are.
    """
    keys = [last]
    while len(keys) < count:
        keys.append(keccak256(keys[-1]))
    return keys[:count][::-1]


def slice_due(trained: int, opened: int, terms: JobTerms) -> bool:
    """Whether a slice is opened in the training round after ``trained`` others, of which ``opened`` are."""
    slices, rounds = terms.slices, terms.training_rounds
    if opened >= slices:
        return False
    return -(-(trained + 1) * slices // rounds) > -(-trained * slices // rounds)


def score_commitment(
    context: Context, trainer: bytes, checkpoint: bytes, accuracy: int, salt: bytes
) -> bytes:
    """What a trainer commits to before anyone's score is known, bytes[32] (docs/spec.md §9.3).

    Parameters
    ----------
    context
        Chain, contract, job and round.
    trainer
        Account, bytes[20].
    checkpoint
        bytes[32].
    accuracy
        Parts per million.
    salt
        bytes[32], not to be guessed: accuracies are few.
    """
    kinds = [
        "bytes32",
        "uint256",
        "address",
        "uint256",
        "uint256",
        "address",
        "bytes32",
        "uint256",
        "bytes32",
    ]
    values = [
        _SCORE_TAG, context.chain_id, context.contract, context.job, context.round,
        trainer, checkpoint, accuracy, salt,
    ]  # fmt: skip
    commitment = int.from_bytes(keccak256(encode(kinds, values)), "big") & ~_REVEALED
    return commitment.to_bytes(32, "big")
