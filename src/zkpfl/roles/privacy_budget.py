"""What the ledger says about the privacy that a job has spent (docs/spec.md §8.1)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from zkpfl.errors import InvalidParameter
from zkpfl.ledger.records import Round, RoundKind
from zkpfl.params import Committee
from zkpfl.privacy.client_level import ClientPrivacy
from zkpfl.privacy.levels import Privacy
from zkpfl.protocol.plan import members_of


def charged_rounds(rounds: Iterable[Round]) -> Counter[int]:
    """In how many training rounds each trainer was accepted: charged then, whatever came of them."""
    charged: Counter[int] = Counter()
    for round_ in rounds:
        if round_.kind is RoundKind.TRAINING:
            charged.update(members_of(round_.accepted_trainers))
    return charged


def most_charged(rounds: Iterable[Round]) -> int:
    """Training rounds of the trainer that was accepted most often; 0 before the first."""
    return max(charged_rounds(rounds).values(), default=0)


def require_budget(privacy: Privacy | None, training_rounds: int, party: str | None = None) -> None:
    """Raise `InvalidParameter` if a job's rounds pass its budget; without privacy there is none."""
    if privacy is None or privacy.within(training_rounds):
        return
    cost = f"ε = {privacy.epsilon_after(training_rounds):g} at δ = {privacy.delta:g}"
    text = f"{training_rounds} rounds cost {cost}, the budget is {privacy.epsilon:g}"
    most = privacy.most_rounds()
    hint = f"at most {most} rounds are within it; fewer rounds, more noise or a larger budget help"
    raise InvalidParameter(text, party=party, field="rounds", hint=hint)


def noise_quorum(privacy: Privacy | None) -> int:
    """Of how many zk-nodes a training sum needs noise; 0 where trainers themselves see to the privacy."""
    return privacy.noise_quorum if isinstance(privacy, ClientPrivacy) else 0


def require_committee(privacy: Privacy | None, committee: Committee) -> None:
    """Raise `InvalidParameter` unless a committee can bring the noise that the privacy counts on."""
    if not isinstance(privacy, ClientPrivacy):
        return
    if privacy.colluding != committee.threshold - 1:
        text = f"counts on at most {privacy.colluding} zk-nodes that collude, the committee may have"
        text += f" {committee.threshold - 1}"
        hint = f"a threshold of {privacy.colluding + 1} fits the recipe"
        raise InvalidParameter(text, field="privacy.colluding", hint=hint)
    if privacy.noise_quorum > committee.size:
        text = (
            f"the noise of {privacy.noise_quorum} zk-nodes is asked for, the committee has {committee.size}"
        )
        raise InvalidParameter(text, field="privacy.noise_quorum", hint="ask for a larger committee")


@dataclass(frozen=True)
class TrainerBudget:
    """The budget of one trainer: of each of its records, or of itself.

    Parameters
    ----------
    privacy
        Of the job's recipe.
    records
        n, how many the trainer has.
    """

    privacy: Privacy
    records: int

    def spent(self, charged: int) -> float:
        """ε after so many charged rounds."""
        if isinstance(self.privacy, ClientPrivacy):
            return self.privacy.epsilon_after(charged)
        return self.privacy.spent(charged, self.records)

    def allows_another(self, charged: int) -> bool:
        """Whether one more round than the charged ones stays within the budget."""
        return self.spent(charged + 1) <= self.privacy.epsilon
