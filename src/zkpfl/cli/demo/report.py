"""How a demo ended, for programs and for people."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from zkpfl.cli.decimals import format_mpc
from zkpfl.cli.payouts import Conservation, Payout
from zkpfl.cli.tables import payouts_table


@dataclass(frozen=True)
class AttackOutcome:
    """What became of an attack.

    Parameters
    ----------
    kind, trainer
        What was done, and by whom.
    accepted, rounds
        In how many of the training rounds its updates were accepted.
    unstopped_accuracy
        Of plain averaging with these updates, on the whole test set: what happens without norm proofs.
    """

    kind: str
    trainer: str
    accepted: int
    rounds: int
    unstopped_accuracy: float


@dataclass(frozen=True)
class DemoReport:
    """Outcome of a demo.

    Parameters
    ----------
    job
        What the ledger says about the job (`cli.jobs.job_result`).
    verified
        Whether this process checked every aggregate and attestation itself, and all held.
    conservation
        Where all tokens are.
    payouts
        Who got what.
    model_accuracy, baseline_accuracy
        Of the job's model, and of plain federated averaging in as many rounds, on the whole test set: the
        ledger's accuracy is that on the slice which was opened last.
    stages
        Seconds of each stage.
    wall_s
        Seconds altogether.
    seed, data_dir
        The run's.
    factors
        Accuracy factors in percent by name of the trainer, by number of the round; of rounds where
        contributions decided them.
    attack
        What became of it; None in an honest run.
    """

    job: dict[str, Any]
    verified: bool
    conservation: Conservation
    payouts: list[Payout]
    model_accuracy: float
    baseline_accuracy: float
    stages: dict[str, float]
    wall_s: float
    seed: int
    data_dir: Path
    factors: dict[int, dict[str, int]]
    attack: AttackOutcome | None = None

    @property
    def good(self) -> bool:
        """Whether the job is done, everything verified and no money lost."""
        stopped = self.attack is None or self.attack.accepted == 0
        return self.job["status"] == "done" and self.verified and self.conservation.holds and stopped

    def to_dict(self) -> dict[str, Any]:
        """The last line of ``zkpfl demo --json``."""
        rewards = {
            payout.name: format_mpc(payout.reward) for payout in self.payouts if payout.role == "trainer"
        }
        return {
            **self.job,
            "model_accuracy": round(self.model_accuracy, 6),
            "baseline_accuracy": round(self.baseline_accuracy, 6),
            "verified": self.verified,
            "conserved": self.conservation.holds,
            "rewards": rewards,
            "factors": {str(number): by_name for number, by_name in self.factors.items()},
            "payouts": [payout.to_dict() for payout in self.payouts],
            "seed": self.seed,
            "attack": asdict(self.attack) if self.attack else None,
            "stages": self.stages,
            "wall_s": self.wall_s,
            "data_dir": str(self.data_dir),
        }

    def render(self, console: Console) -> None:
        """Draw the table of payouts and the conclusions."""
        console.print(payouts_table(self.payouts))
        money = self.conservation
        held = f"the bank holds {format_mpc(money.contract_balance)} MPC = stakes {format_mpc(money.stakes)}"
        owed = f"escrow {format_mpc(money.escrow)} + owed {format_mpc(money.owed)}"
        burnt = f"burnt {format_mpc(money.burnt)}"
        self._say(console, money.holds, f"money conserved: {held} + {owed} + {burnt}")
        self._say(console, self.verified, "every aggregate, proof, attestation and checkpoint verified here")
        accuracy = self.job["accuracy"] or 0.0
        target, status = self.job["target"], self.job["status"]
        text = f"accuracy {accuracy:.4f} after {self.job['rounds']} rounds (target {target:g}), job {status}"
        self._say(console, status == "done", text)
        if self.job["epsilon"] is not None:
            spent, budget = self.job["epsilon"], self.job["epsilon_budget"]
            text = f"private: ε = {spent:.3f} of {budget:g} at δ = {self.job['delta']:g} for each record"
            self._say(console, spent <= budget, text)
        for number, by_name in self.factors.items():
            earned = ", ".join(f"{name} {percent} %" for name, percent in by_name.items())
            self._say(console, True, f"proved contributions weigh the pay of round {number}: {earned}")
        difference = self.model_accuracy - self.baseline_accuracy
        baseline = f"plain federated averaging {self.baseline_accuracy:.4f} (difference {difference:+.4f})"
        console.print(f"  on the whole test set: {self.model_accuracy:.4f}, {baseline}", soft_wrap=True)
        if self.attack is not None:
            self._render_attack(console, self.attack)
        stages = "  ".join(f"{name} {seconds:.1f}" for name, seconds in self.stages.items())
        console.print(f"  {self.wall_s:.1f} s ({stages}); everything is in {self.data_dir}", soft_wrap=True)

    def _render_attack(self, console: Console, attack: AttackOutcome) -> None:
        of = f"in {attack.accepted} of {attack.rounds} rounds"
        text = f"attack {attack.kind}: the zk-nodes accepted the updates of {attack.trainer} {of}"
        self._say(console, attack.accepted == 0, text)
        text = f"  without norm proofs the model would have reached {attack.unstopped_accuracy:.4f}"
        console.print(text, soft_wrap=True)

    @staticmethod
    def _say(console: Console, good: bool, text: str) -> None:
        mark = "[green]✓[/green]" if good else "[red]✗[/red]"
        console.print(f"{mark} {text}", soft_wrap=True)
