"""What trainers earn by contributions: ``python -m benchmarks.contribution_pay``.

Federated averaging of the heart-disease data under the private recipe, in the open, with the integers and the
rule of the protocol (docs/spec.md §7.2, §9.5): honest hospitals beside somebody who wants pay for nothing.
Who has no data joins beside all four; who has data is the first of them. The accounts of one attacker send
the same update, each rounded by itself.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zkpfl.crypto.encoding import decode_mean, encode_update
from zkpfl.crypto.merkle import keccak256
from zkpfl.crypto.proofs.direction import Direction
from zkpfl.learning.evaluation import evaluate
from zkpfl.learning.graph import GraphModule
from zkpfl.learning.heart_disease import EPSILON, PRIVATE_ROUNDS, heart_disease, heart_disease_bundle
from zkpfl.learning.recipe import Recipe
from zkpfl.learning.records import Records
from zkpfl.learning.scaling import scaled
from zkpfl.learning.training import local_noise_key, local_seed, train_locally
from zkpfl.learning.weights import Vector, flatten, server_step
from zkpfl.ledger.factors import percents
from zkpfl.params import PUBLIC_UPDATES
from zkpfl.protocol.contributions import in_round
from zkpfl.roles.layouts import fixed_point

STAKE = 1_000_000
"""Of a party, in any unit."""


@dataclass(frozen=True)
class View:
    """What an attacker knows when it chooses its update.

    Parameters
    ----------
    own
        Update that it trained, zero without data.
    public
        Mean updates of earlier rounds, the latest first.
    norm
        To what norm updates may be scaled.
    random
        Of this attack in this round.
    """

    own: Vector
    public: Sequence[Vector]
    norm: float
    random: np.random.Generator

    def largest(self, update: Vector) -> Vector:
        """Scale an update to the norm that is allowed; zero stays zero."""
        length = float(np.linalg.norm(update))
        return np.float32(update * (self.norm / length if length else 0.0))  # type: ignore[return-value]

    def direction(self) -> Vector:
        """A random update of the largest norm."""
        return self.largest(np.float32(self.random.normal(size=len(self.own))))  # type: ignore[arg-type]

    def earlier(self, start: int, stop: int | None) -> Vector:
        """Sum of public updates from so many rounds ago, of the largest norm."""
        return self.largest(np.sum([np.zeros_like(self.own), *self.public[start:stop]], axis=0))


@dataclass(frozen=True)
class Attack:
    """One way to ask for pay.

    Parameters
    ----------
    name
        In the table.
    update
        What all accounts of the attacker send.
    accounts
        How many there are.
    stake
        Of each.
    has_data
        Whether the attacker is the first hospital.
    """

    name: str
    update: Callable[[View], Vector]
    accounts: int = 1
    stake: int = STAKE
    has_data: bool = False


ATTACKS = (
    Attack("none: the first hospital is honest", lambda view: view.own, has_data=True),
    Attack("its update scaled to the bound", lambda view: view.largest(view.own), has_data=True),
    Attack("its update by 4 accounts, stake split", lambda view: view.own, 4, STAKE // 4, has_data=True),
    Attack("its update with the sign flipped", lambda view: -view.own, has_data=True),
    Attack("zero", lambda view: view.own),
    Attack("noise at the bound", View.direction),
    Attack("replay of the last update", lambda view: view.earlier(0, 1)),
    Attack("replay of the one before", lambda view: view.earlier(1, 2)),
    Attack("replay of the third last", lambda view: view.earlier(2, 3)),
    Attack("replay of all before the last two", lambda view: view.earlier(2, None)),
    Attack("noise by 4 accounts, stake split", View.direction, 4, STAKE // 4),
    Attack("noise by 2 accounts, full stake each", View.direction, 2),
    Attack("noise by 4 accounts, full stake each", View.direction, 4),
)


@dataclass(frozen=True)
class Run:
    """Means over the rounds of one run, and accuracy after the last.

    Parameters
    ----------
    attacker, honest
        Factors; 1 in rounds without.
    pay
        The attacker's part of the pot over its part of the stake.
    decided
        Part of the rounds that have factors.
    accuracy
        On the whole test set.
    """

    attacker: float
    honest: float
    pay: float
    decided: float
    accuracy: float


def simulate(attack: Attack, seed: int, rounds: int, epsilon: float) -> Run:
    """Train, with the attacker's updates in the mean, and divide a pot in each round."""
    bundle = heart_disease_bundle(seed, epsilon=epsilon, rounds=rounds)
    assert bundle.test_set is not None
    ranges, integers = bundle.recipe.feature_ranges, fixed_point(bundle)
    hospitals = [scaled(split.train, ranges) for split in heart_disease(seed)]
    test = scaled(bundle.test_set, ranges)
    model = bundle.model()
    weights = flatten(model)
    public: list[Vector] = []
    earned: list[tuple[float, ...]] = []
    for number in range(1, rounds + 1):
        trained = _trained(model, weights, hospitals, bundle.recipe, (seed, number))
        own = trained.pop(0) if attack.has_data else np.zeros_like(weights)
        view = View(own, public, bundle.recipe.clip_norm, np.random.default_rng([seed, number]))
        updates = [attack.update(view)] * attack.accounts + trained
        rotation = keccak256(f"rotation {seed} {number}".encode())
        values = [
            encode_update(update, integers, rotation, keccak256(f"rounding {seed} {number} {i}".encode()))
            for i, update in enumerate(updates)
        ]
        total: NDArray[np.int64] = np.sum(values, axis=0, dtype=np.int64)
        recent = [in_round(update, integers, rotation) for update in public[:PUBLIC_UPDATES]]
        along = Direction.of(total, recent, integers.norm_bound)
        stakes = {i: attack.stake if i < attack.accounts else STAKE for i in range(len(updates))}
        contributions = {i: along.contribution(update) for i, update in enumerate(values)}
        factors = percents(contributions, stakes, along.squared_norm)
        earned.append(_earned(factors, stakes, attack.accounts))
        public.insert(0, decode_mean(total, integers, rotation, len(updates)))
        weights = server_step(weights, public[0], bundle.recipe.server_learning_rate)
    accuracy = evaluate(model, weights, test, bundle.recipe).accuracy
    attacker, honest, pay, decided = np.mean(earned, axis=0).tolist()
    return Run(attacker, honest, pay, decided, accuracy)


def _trained(
    model: GraphModule, weights: Vector, hospitals: Sequence[Records], recipe: Recipe, run: tuple[int, int]
) -> list[Vector]:
    """Updates of all hospitals in a round of a run (seed and round)."""
    return [
        train_locally(
            model,
            weights,
            records,
            recipe,
            seed=local_seed(*run, index),
            noise_key=local_noise_key(*run, index),
        )
        for index, records in enumerate(hospitals)
    ]


def _earned(percent: Mapping[int, int], stakes: Mapping[int, int], accounts: int) -> tuple[float, ...]:
    """All of a `Run` but accuracy, in one round."""
    factor = {i: percent.get(i, 100) / 100 for i in stakes}
    weight = {i: stakes[i] * factor[i] for i in stakes}
    own, others = range(accounts), range(accounts, len(stakes))
    part = sum(weight[i] for i in own) / sum(weight.values())
    due = sum(stakes[i] for i in own) / sum(stakes.values())
    means = [float(np.mean([factor[i] for i in group])) for group in (own, others)]
    return *means, part / due, float(bool(percent))


def mean_and_error(values: Sequence[float]) -> str:
    """Mean over seeds and its standard error."""
    return f"{np.mean(values):.3f} ± {np.std(values, ddof=1) / np.sqrt(len(values)):.3f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=PRIVATE_ROUNDS)
    parser.add_argument("--epsilon", type=float, default=EPSILON)
    arguments = parser.parse_args()
    print("| attack | factor | of the honest | pay / stake | rounds with factors | accuracy |")
    print("|---|---|---|---|---|---|")
    for attack in ATTACKS:
        runs = [
            simulate(attack, seed, arguments.rounds, arguments.epsilon) for seed in range(arguments.seeds)
        ]
        names = ("attacker", "honest", "pay", "decided", "accuracy")
        cells = [mean_and_error([getattr(run, name) for run in runs]) for name in names]
        print(f"| {attack.name} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
