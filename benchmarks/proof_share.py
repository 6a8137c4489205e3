"""What the norm proofs of a round cost beside its commitments, and what a trainer computes in total.

Commitments are all that there would be without norm proofs to make and check them: lanes and seeded rows
committed to by trainers, decoded by every zk-node, each in its subgroup, and compared with the shares.
Adding them up, hashing them and the proof of the sum count on neither side.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from benchmarks import simulation
from benchmarks.simulation import CHECK, COMMIT, COMMITTEE, DECODE, SEAL, Costs

TRAINER = (simulation.OFFLINE, simulation.ENCODE, simulation.SHARE, simulation.PROVE)


@dataclass(frozen=True)
class Compared:
    """Seconds that go into norm proofs, and those that go into commitments."""

    proofs: float
    commitments: float

    @property
    def ratio(self) -> float:
        """Proofs over commitments."""
        return self.proofs / self.commitments

    def __mul__(self, count: int) -> Compared:
        return Compared(count * self.proofs, count * self.commitments)

    def __add__(self, other: Compared) -> Compared:
        return Compared(self.proofs + other.proofs, self.commitments + other.commitments)


@dataclass(frozen=True)
class ProofShare:
    """A simulated round read for its proofs.

    Parameters
    ----------
    threads
        Of the kernels: CPU time for one, time on the wall for more.
    costs
        Of the round.
    """

    threads: int
    costs: Costs

    @property
    def compared(self) -> dict[str, Compared]:
        """By role: one trainer, one zk-node for all trainers, and the round as a whole."""
        trainer = Compared(
            self._seconds(simulation.PROVE),
            self._part(simulation.OFFLINE, COMMIT) + self._part(simulation.SHARE, COMMIT),
        )
        a_trainer = self._part(simulation.RECEIVE, DECODE) + self._part(simulation.RECEIVE, CHECK)
        node = Compared(
            self._seconds(simulation.VERIFY),
            self.costs.trainers * a_trainer + self._part(simulation.RELEASE, CHECK),
        )
        return {
            "a trainer": trainer,
            "a zk-node": node,
            "the round": trainer * self.costs.trainers + node * COMMITTEE.size,
        }

    @property
    def trainer(self) -> dict[str, float]:
        """Seconds of a trainer's stages, of the parts of them, and of all together but for sealing."""
        rows = {}
        for name in TRAINER:
            rows[name] = self._seconds(name)
            rows |= {f"{name}: {part}": own for part, own in self.costs.stages[name].parts.items()}
        total = sum(map(self._seconds, TRAINER)) - self._part(simulation.SHARE, SEAL)
        online = total - self._seconds(simulation.OFFLINE)
        return rows | {"trainer: online, but for sealing": online, "trainer: offline and online": total}

    def table(self) -> str:
        """A text table."""
        costs = self.costs
        lines = [f"d = {costs.dimension}, N = {costs.columns}, {costs.trainers} trainers, {self._threads}"]
        lines += [f"  {name:<47}{1e3 * seconds:>10.1f} ms" for name, seconds in self.trainer.items()]
        lines.append(f"  {'':<47}{'proofs':>13}{'commitments':>13}{'ratio':>7}")
        for role, own in self.compared.items():
            times = f"{1e3 * own.proofs:>10.1f} ms{1e3 * own.commitments:>10.1f} ms"
            lines.append(f"  {role:<47}{times}{own.ratio:>7.2f}")
        return "\n".join(lines)

    def as_json(self) -> dict[str, Any]:
        """The same, and every stage."""
        compared = {role: asdict(own) | {"ratio": own.ratio} for role, own in self.compared.items()}
        return {
            "threads": self.threads,
            "trainer": self.trainer,
            "compared": compared,
            "costs": asdict(self.costs),
        }

    @property
    def _threads(self) -> str:
        return "one thread, CPU time" if self.threads == 1 else f"{self.threads} threads, on the wall"

    def _seconds(self, stage: str) -> float:
        return self.costs.stages[stage].seconds

    def _part(self, stage: str, part: str) -> float:
        return self.costs.stages[stage].parts[part]
