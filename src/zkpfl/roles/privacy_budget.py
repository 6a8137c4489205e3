"""What the ledger says about the privacy that a job has spent (docs/spec.md §8.1)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from zkpfl.errors import InvalidParameter
from zkpfl.ledger.records import Round, RoundKind
from zkpfl.privacy.record_level import RecordPrivacy
from zkpfl.protocol.plan import members_of


def charged_rounds(rounds: Iterable[Round]) -> Counter[int]:
    """In how many training rounds each trainer was accepted: charged then, whatever came of them."""
    charged: Counter[int] = Counter()
    for round_ in rounds:
        if round_.kind is RoundKind.TRAINING:
            charged.update(members_of(round_.accepted))
    return charged


def most_charged(rounds: Iterable[Round]) -> int:
    """Training rounds of the trainer that was accepted most often; 0 before the first."""
    return max(charged_rounds(rounds).values(), default=0)


def require_budget(privacy: RecordPrivacy | None, training_rounds: int, party: str | None = None) -> None:
    """Raise `InvalidParameter` if a job's rounds pass its budget; without privacy there is none."""
    if privacy is None or privacy.within(training_rounds):
        return
    most = privacy.most_rounds(privacy.least_records)
    cost = f"ε = {privacy.epsilon_after(training_rounds):g} at δ = {privacy.delta:g}"
    text = f"{training_rounds} rounds cost {cost}, the budget is {privacy.epsilon:g}"
    hint = f"at most {most} rounds are within it; fewer rounds, more noise or a larger budget help"
    raise InvalidParameter(text, party=party, field="rounds", hint=hint)


@dataclass(frozen=True)
class RecordBudget:
    """The budget of one trainer's own records.

    Parameters
    ----------
    privacy
        Of the job's recipe.
    records
        n, how many the trainer has.
    """

    privacy: RecordPrivacy
    records: int

    def spent(self, charged: int) -> float:
        """ε of a record after so many charged rounds."""
        return self.privacy.spent(charged, self.records)

    def allows_another(self, charged: int) -> bool:
        """Whether one more round than the charged ones stays within the budget."""
        return self.spent(charged + 1) <= self.privacy.epsilon
