"""What norm proofs show of an update, by experiment: nothing that a classifier finds, and no restarts.

Test of the argument in docs/notes/norm-proof.md. All is seeded: a test that passes once passes always. Bounds
are such that a sound proof fails a test for one seed in a million. Broken masks show that the tests can fail.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.stats import binom, nbinom

from zkpfl.crypto.commitments import commit_lanes
from zkpfl.crypto.generators import generators
from zkpfl.crypto.keystream import stream
from zkpfl.crypto.proofs import masks, norm_prover
from zkpfl.crypto.proofs.masks import Masks
from zkpfl.crypto.proofs.norm import Statement, Witness, prove_with_masks, verify
from zkpfl.crypto.proofs.norm_sumcheck import RowSums
from zkpfl.crypto.proofs.shape import SUM_BYTES, TESTS, Shape
from zkpfl.crypto.scalars import ORDER, Scalars, from_int
from zkpfl.crypto.transcript import Context
from zkpfl.params import Layout

N = 256
GENS = generators(N)
LAYOUT = Layout(N, 1 << 20, value_bits=16, columns=N)
SHAPE = Shape.of_norm(1, N)
ERROR = 1e-6
"""Probability that a sound proof fails a test, over all seeds."""

LARGE = 2047
BOUND = 16 * LARGE  # of 256 values
UPDATES = {
    0: (np.zeros(N, dtype=np.int16), (BOUND, 0, 0, 0)),
    1: (np.full(N, LARGE, dtype=np.int16), (0, 0, 0, 0)),
}
"""The two that differ most: x is nothing and q all of the bound, or the other way round."""

STEPS = 100
"""Of training, on all transcripts of one half."""

Features = NDArray[np.float32]


def scalars(generator: np.random.Generator, count: int) -> Scalars:
    return from_int([int.from_bytes(generator.bytes(48), "big") % ORDER for _ in range(count)])


def prove_one(values: NDArray[np.int16], squares: Sequence[int], key: bytes, blindings: Scalars) -> Any:
    """A statement with commitments of its own, and its proof; all else of the statement is the same."""
    points = commit_lanes(values, blindings, LAYOUT, GENS)
    context, checkpoint = Context(31337, bytes(range(20)), 7, 3), bytes(range(32))
    statement = Statement(context, bytes(20), checkpoint, N, N, points, bound_squared=BOUND**2)
    return statement, prove_with_masks(statement, Witness(values, blindings), GENS, key, squares)


# ---- a classifier of transcripts -----------------------------------------------------------------


def transcripts(count: int, seed: int, key: bytes | None = None) -> tuple[list[bytes], NDArray[np.int64]]:
    """Commitments and proofs of both updates in turn, and which it was."""
    generator = np.random.default_rng(seed)
    found = []
    for index in range(count):
        own_key, blindings = generator.bytes(32), scalars(generator, 1)
        statement, proof = prove_one(*UPDATES[index % 2], key or own_key, blindings)
        found.append(statement.commitments.encode() + proof)
    return found, np.arange(count) % 2


def bits(of: Sequence[bytes]) -> Features:
    """Every bit by itself, as ±1."""
    table = np.frombuffer(b"".join(of), dtype=np.uint8).reshape(len(of), -1)
    return np.unpackbits(table, axis=1).astype(np.float32) * 2 - 1


def pooled(of: Sequence[bytes]) -> Features:
    """Each bit of a masked sum, scalar or point, summed over all that are alike and standardised.

    Finds what the whole would show too faintly: a slight tendency of all 128 sums, say.
    """
    point, at = 48, 2 * 48  # the commitment, and that of the mask row
    sums = SUM_BYTES * SHAPE.sums
    head = 48 + SHAPE.head_bytes - 2 * point
    parts = (
        ([*range(at, at + sums, SUM_BYTES)], SUM_BYTES),
        ([*range(at + sums, head, 32), -128, -96, -64, -32], 32),
        ([0, 48, *range(head, len(of[0]) - 128 - point + 1, point)], point),
    )
    columns = []
    for places, width in parts:
        cut = [bits([data[i % len(data) :][:width] for data in of]) for i in places]
        columns.append(np.sum(cut, axis=0) / np.sqrt(np.float32(len(places))))
    return np.concatenate(columns, axis=1)


def standardised(features: Features, half: int) -> Features:
    """By mean and deviation of the first half; if they are many, their products with those of the first half.

    Linear classifiers of such products are those of the features that training could find.
    """
    centred = features - features[:half].mean(axis=0)
    centred /= np.maximum(centred[:half].std(axis=0), 0.1)
    if centred.shape[1] > 8 * half:
        centred = centred @ centred[:half].T / np.float32(np.sqrt(centred.shape[1]))
    return centred


def accuracy(features: Features, labels: NDArray[np.int64], hidden: int) -> tuple[int, int]:
    """Train on one half; how many of the other half are told right, and how many there are.

    Logistic regression, or a perceptron with one hidden layer.
    """
    torch.manual_seed(1)
    half = len(labels) // 2
    x = torch.from_numpy(standardised(features, half))
    y = torch.from_numpy(labels.astype(np.float32))
    layers = [torch.nn.Linear(x.shape[1], hidden), torch.nn.ReLU()] if hidden else []
    model = torch.nn.Sequential(*layers, torch.nn.Linear(hidden or x.shape[1], 1))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3 if hidden else 3e-3, weight_decay=1e-3)
    for _ in range(STEPS):
        optimizer.zero_grad()
        loss = torch.nn.functional.binary_cross_entropy_with_logits(model(x[:half]).squeeze(1), y[:half])
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    with torch.no_grad():
        told = model(x[half:]).squeeze(1) > 0
    return int((told == (y[half:] > 0)).sum()), len(labels) - half


CLASSIFIERS = [(kind, hidden) for kind in (bits, pooled) for hidden in (0, 32)]


def told_apart(of: Sequence[bytes], labels: NDArray[np.int64]) -> list[str]:
    """The classifiers that are not within what guessing gives, ERROR for all of them together."""
    found = []
    for kind, hidden in CLASSIFIERS:
        right, count = accuracy(kind(of), labels, hidden)
        low, high = binom.interval(1 - ERROR / len(CLASSIFIERS), count, 0.5)
        if not low <= right <= high:
            found.append(f"{kind.__name__}, {hidden} hidden: {right} of {count}")
    return found


@pytest.mark.parametrize(
    "count",
    [300, pytest.param(4000, marks=[pytest.mark.slow, pytest.mark.timeout(900)])],
)
def test_no_classifier_tells_two_updates_apart(count: int) -> None:
    """Zero knowledge: the zero update and one at the bound, with fresh blindings and masks."""
    assert told_apart(*transcripts(count, seed=count)) == []


CENTRE = 1 << 63


def no_masks_of_sums(drawn: Masks) -> Masks:
    return replace(drawn, y=[CENTRE] * TESTS)


def no_masks_of_the_sumcheck(drawn: Masks) -> Masks:
    return replace(drawn, columns=np.zeros_like(drawn.columns))


def no_change(drawn: Masks) -> Masks:
    return drawn


@pytest.mark.parametrize(
    ("change", "key"),
    [
        (no_masks_of_sums, None),
        (no_masks_of_the_sumcheck, None),
        (no_change, bytes(32)),
    ],
    ids=["no y", "no g", "one mask row for all"],
)
def test_broken_masks_are_found_by_the_same_classifiers(
    monkeypatch: pytest.MonkeyPatch, change: Callable[[Masks], Masks], key: bytes | None
) -> None:
    draw = masks.draw
    monkeypatch.setattr(masks, "draw", lambda *arguments: change(draw(*arguments)))
    assert told_apart(*transcripts(80, seed=7, key=key)) != []


# ---- restarts ------------------------------------------------------------------------------------

SLACK = 1 << 55
"""K for tests. That of statements is at most 2^44: one attempt in 4000 fails there, below 2^-20 here."""


def in_range(slack: int) -> float:
    """Probability that a single sum is in range."""
    return (1 << 64) / ((1 << 64) + 2 * slack)


ROWS = {"zero": 0, "largest": SLACK, "smallest": -SLACK, "small": 12345}


def sums_of(value: int) -> RowSums:
    """Row sums that are all alike; no update has them, but the proof must hide them as well."""
    return RowSums([([value if place == 0 else 0] * TESTS, 0) for place in range(9)])


def restarts(value: int, slack: int, count: int, y: Callable[[bytes], Sequence[int]] | None = None) -> int:
    """How many of so many attempts fail, all but the commitments as in a proof."""
    nothing = np.zeros((0, 4), dtype=np.uint64)
    found, sums = 0, sums_of(value)
    for number in range(count):
        key = number.to_bytes(32, "big")
        drawn = y(key) if y else masks._integers(stream(key, 0), TESTS, slack)
        own = Masks(drawn, nothing, nothing, nothing, nothing)
        found += norm_prover._masked_sums(key, SHAPE, sums, [0, 0, 0, 0], own) is None
    return found


@pytest.mark.parametrize("value", ROWS.values(), ids=ROWS.keys())
def test_restarts_are_as_frequent_as_predicted_for_all_row_sums(value: int) -> None:
    """1 − (2^64/(2^64 + 2K))^128, driven with a K that no statement has, since restarts are too rare else."""
    count, predicted = 4000, 1 - in_range(SLACK) ** TESTS
    assert 0.3 < predicted < 0.5
    low, high = binom.interval(1 - ERROR / len(ROWS), count, predicted)
    assert low <= restarts(value, SLACK, count) <= high


def test_masks_without_slack_let_restarts_show_the_update() -> None:
    """What K is for: y uniform below 2^64 never restarts for zero, and often for large row sums."""

    def plain(key: bytes) -> list[int]:
        words = np.frombuffer(stream(key, 0)(SUM_BYTES * TESTS), dtype=">u8")
        return [int(word) for word in words]

    assert restarts(0, 0, 500, plain) == 0
    assert restarts(SLACK, 0, 500, plain) > 50


@pytest.mark.parametrize("which", UPDATES)
def test_whole_proofs_restart_as_often_for_any_update(monkeypatch: pytest.MonkeyPatch, which: int) -> None:
    """The loop of real proofs with K raised to 2^55: attempts until so many succeed, negative binomial."""
    monkeypatch.setattr(Shape, "slack", lambda *_: SLACK)
    attempt, attempts = norm_prover.attempt, []

    def counted(*arguments: Any) -> bytes | None:
        proof = attempt(*arguments)
        attempts.append(proof is not None)
        return proof

    monkeypatch.setattr(norm_prover, "attempt", counted)
    count, generator = 100, np.random.default_rng(which)
    for _ in range(count):
        statement, proof = prove_one(*UPDATES[which], generator.bytes(32), scalars(generator, 1))
    assert verify(statement, proof, GENS)
    low, high = nbinom.interval(1 - ERROR / len(UPDATES), count, in_range(SLACK) ** TESTS)
    assert low <= attempts.count(False) <= high
