"""What a running role reports: one flat event for each thing that a person might want to see."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

Value = str | int | float | bool | None


@dataclass(frozen=True)
class RoleEvent:
    """Something that happened in a role; never holds a secret.

    Parameters
    ----------
    kind
        Snake-case name, such as ``share_received``.
    job, round
        Where it belongs; None where it does not.
    fields
        Further flat values.
    """

    kind: str
    job: int | None = None
    round: int | None = None
    fields: dict[str, Value] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Value]:
        """One flat object, for JSON lines."""
        place = {"job": self.job, "round": self.round}
        return {"event": self.kind, **{k: v for k, v in place.items() if v is not None}, **self.fields}


class Reporter(Protocol):
    """Takes events; called from several threads."""

    def __call__(self, event: RoleEvent) -> None:
        """Take one event."""


def fault_event(error: Exception, job: int | None, round_number: int | None) -> RoleEvent:
    """A refused message or broken rule as an event: code, party and text of the error."""
    fields: dict[str, Value] = {
        "code": getattr(error, "code", "internal"),
        "party": getattr(error, "party", None),
        "text": str(error),
    }
    return RoleEvent("fault", job, round_number, fields)
