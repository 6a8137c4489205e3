"""What the bits of a value cost and what they buy: accuracy, commitment time and bytes a parameter.

Federated averaging as in ``zkpfl.learning.averaging``, with every update encoded to integers and the mean
decoded from their sum, as in a verified round but without its cryptography.
``python -m benchmarks.value_bits`` prints the table of docs/benchmarks.md.

Each accuracy is measured twice: with the clip norm of the recipe, and with one thirty times as large, as if
it had been chosen badly or updates had become small. Rounding errors grow with the clip norm, updates do not.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from benchmarks import bench_commit, material
from benchmarks.figures import Figure, measure
from zkpfl.crypto.encoding import decode_mean, encode_update
from zkpfl.learning import digits, heart_disease
from zkpfl.learning.averaging import common_standardizer, simulate
from zkpfl.learning.bundle import Bundle
from zkpfl.learning.evaluation import evaluate
from zkpfl.learning.records import Records
from zkpfl.learning.training import local_seed, train_locally
from zkpfl.learning.weights import flatten, server_step
from zkpfl.params import Committee, FixedPoint

VALUE_BITS = (8, 10, 12, 16)
SEEDS = range(5)
DIGITS_TRAINERS = 8
LARGE = 1 << 20
COMMITTEE = Committee(3, 2)
SLACK = 30.0
"""How many times too large the second clip norm is."""


@dataclass(frozen=True)
class Costs:
    """One row of the table; accuracies in [0, 1] are means over the seeds; 0 bits stand for float32.

    The rounding error is that of one update of 2^20 parameters, as a part of the clip norm.
    """

    value_bits: int
    digits: float
    heart_disease: float
    loose_digits: float
    loose_heart_disease: float
    rounding_error: float
    commit_nanoseconds: float
    upload_bytes: float


def encoded_accuracy(
    bundle: Bundle, trainers: Sequence[Records], *, rounds: int, seed: int, value_bits: int, slack: float
) -> float:
    """Accuracy after ``rounds`` of averaging encoded updates, with ``slack`` times the clip norm."""
    assert bundle.test_set is not None
    test, data = bundle.test_set, list(trainers)
    if bundle.recipe.statistics:
        standardizer = common_standardizer(data)
        test, *data = (Records(standardizer.apply(r.features), r.labels) for r in (test, *data))
    model = bundle.model()
    weights = flatten(model)
    for number in range(1, rounds + 1):
        updates = [
            train_locally(model, weights, records, bundle.recipe, seed=local_seed(seed, number, index))
            for index, records in enumerate(data)
        ]
        fixed_point = FixedPoint(len(weights), slack * bundle.recipe.clip_norm, value_bits)
        mean = encoded_mean(updates, fixed_point, np.random.default_rng([seed, number]))
        weights = server_step(weights, mean, bundle.recipe.server_learning_rate)
    return evaluate(model, weights, test, bundle.recipe).accuracy


def encoded_mean(
    updates: Sequence[NDArray[np.float32]], fixed_point: FixedPoint, generator: np.random.Generator
) -> NDArray[np.float32]:
    """Mean of the updates through integers."""
    rotation_seed = generator.bytes(32)
    total = np.zeros(fixed_point.dimension, dtype=np.int64)
    for update in updates:
        total += encode_update(update, fixed_point, rotation_seed, generator.bytes(32))
    return decode_mean(total, fixed_point, rotation_seed, len(updates))


def upload_bytes(value_bits: int) -> float:
    """Bytes that a trainer uploads for each of 2^20 parameters (three zk-nodes, threshold two)."""
    layout = material.layout(LARGE, value_bits)
    points = layout.lane_rows + (COMMITTEE.threshold - 1) * layout.packed_rows
    matrices = COMMITTEE.size - COMMITTEE.threshold + 1
    return (48 * points + matrices * 32 * layout.packed_rows * (layout.columns + 1)) / LARGE


def rounding_error(value_bits: int) -> float:
    """Norm of what rounding adds to an update of 2^20 parameters, as a part of the clip norm."""
    fixed_point = material.fixed_point(LARGE, value_bits)
    update = material.update(LARGE)
    update *= np.float32(0.99 * fixed_point.clip_norm / float(np.linalg.norm(update)))  # nothing to clip
    mean = encoded_mean([update], fixed_point, np.random.default_rng(0))
    return float(np.linalg.norm(mean - update)) / fixed_point.clip_norm


def commit_nanoseconds(value_bits: int) -> float:
    """Time to commit to a value, one thread, 2^20 values as an update has them."""
    figure = Figure("commit", "value", partial(bench_commit.commit_update, value_bits=value_bits))
    return measure(figure, LARGE, repeats=3).nanoseconds


def rows() -> list[Costs]:
    """All rows; the first is plain averaging in float32."""
    table = [Costs(0, *_accuracies(None), rounding_error=0, commit_nanoseconds=0, upload_bytes=4)]
    for bits in VALUE_BITS:
        costs = rounding_error(bits), commit_nanoseconds(bits), upload_bytes(bits)
        table.append(Costs(bits, *_accuracies(bits), *costs))
    return table


def _accuracies(value_bits: int | None) -> tuple[float, float, float, float]:
    def mean(accuracy: Callable[[int, int | None, float], float], slack: float) -> float:
        return float(np.mean([accuracy(seed, value_bits, slack) for seed in SEEDS]))

    return mean(_digits, 1.0), mean(_heart_disease, 1.0), mean(_digits, SLACK), mean(_heart_disease, SLACK)


def _digits(seed: int, value_bits: int | None, slack: float) -> float:
    split = digits.digits(seed, DIGITS_TRAINERS)
    bundle = digits.digits_bundle(seed, split.test, private=False)
    return _accuracy(bundle, split.trainers, digits.ROUNDS, seed, value_bits, slack)


def _heart_disease(seed: int, value_bits: int | None, slack: float) -> float:
    trainers = [split.train for split in heart_disease.heart_disease(seed)]
    bundle = heart_disease.heart_disease_bundle(seed, private=False)
    return _accuracy(bundle, trainers, heart_disease.ROUNDS, seed, value_bits, slack)


def _accuracy(
    bundle: Bundle, trainers: Sequence[Records], rounds: int, seed: int, value_bits: int | None, slack: float
) -> float:
    if value_bits is None:
        return simulate(bundle, trainers, rounds=rounds, seed=seed)[-1].score.accuracy
    return encoded_accuracy(bundle, trainers, rounds=rounds, seed=seed, value_bits=value_bits, slack=slack)


def as_markdown(table: Sequence[Costs]) -> str:
    """The table of docs/benchmarks.md."""
    names = [
        "value bits",
        "digits",
        "heart disease",
        "digits, loose clip norm",
        "heart disease, loose clip norm",
    ]
    names += ["rounding error", "commit, ns a value", "upload, bytes a parameter"]
    lines = [f"| {' | '.join(names)} |", "|---" * len(names) + "|"]
    for row in table:
        name = str(row.value_bits) if row.value_bits else "float32, plain"
        commit = f"{row.commit_nanoseconds:.0f}" if row.value_bits else "–"
        accuracies = (row.digits, row.heart_disease, row.loose_digits, row.loose_heart_disease)
        error = f"{100 * row.rounding_error:.2f} %" if row.value_bits else "–"
        cells = [name, *(f"{accuracy:.4f}" for accuracy in accuracies), error, commit]
        cells.append(f"{row.upload_bytes:.2f}")
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.value_bits", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args()
    table = rows()
    print(json.dumps([asdict(row) for row in table], indent=1) if options.json else as_markdown(table))


if __name__ == "__main__":
    main()
