"""What a demo is asked to do, checked."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from zkpfl.cli.sources import PrivacyOptions
from zkpfl.errors import InvalidParameter
from zkpfl.params import Committee

HOSPITALS = ("cleveland", "hungary", "switzerland", "va_long_beach")
DEFAULT_TRAINERS = {"heart": 4, "digits": 8}
ATTACKER = 0
"""Which trainer attacks: the hospital with most records."""

ATTACK_ROUNDS, ATTACK_TARGET = 6, "0.99"
"""Of a run with an attack, unless told otherwise: so long that the damage shows."""

PHASES = "60,20,10,10,10,20,10"
"""Seconds of each phase: a party that is killed delays a round by no more than one of them."""


class DemoData(StrEnum):
    """Data that ships with the package, or with scikit-learn."""

    HEART = "heart"
    DIGITS = "digits"


class Attack(StrEnum):
    """What a hostile trainer does."""

    BOOST = "boost"


class Partition(StrEnum):
    """How digits are spread over their holders."""

    IID = "iid"
    DIRICHLET = "dirichlet"


@dataclass(frozen=True)
class DemoSettings:
    """One demo run.

    Parameters
    ----------
    data
        What the trainers hold.
    trainers
        How many: 2 to 4 hospitals, or 2 to 64 holders of digits.
    seed
        Of data split, model and training.
    rounds, target
        None for what suits the model.
    nodes, threshold
        Committee of zk-nodes.
    data_dir
        New or empty folder for everything that the run leaves.
    partition, alpha
        How digits are spread; hospitals are what they are.
    privacy
        Budget of a record.
    attack
        What the first trainer does to its updates; None in an honest run.

    Raises
    ------
    InvalidParameter
        Out of range, or the folder is not empty.
    """

    data: DemoData
    trainers: int
    seed: int
    rounds: int | None
    target: str | None
    nodes: int
    threshold: int
    data_dir: Path
    partition: Partition = Partition.IID
    alpha: float = 0.5
    privacy: PrivacyOptions = field(default_factory=PrivacyOptions)
    attack: Attack | None = None

    def __post_init__(self) -> None:
        Committee(self.nodes, self.threshold)
        most = len(HOSPITALS) if self.data is DemoData.HEART else 64
        if not 2 <= self.trainers <= most:
            raise InvalidParameter(
                f"must be 2 to {most} for {self.data.value}, got {self.trainers}", field="trainers"
            )
        if self.attack and self.trainers < 3:
            text, hint = "the others must be a quorum without the attacker", "take 3 trainers or more"
            raise InvalidParameter(text, field="trainers", hint=hint)
        if self.data is DemoData.HEART and self.partition is not Partition.IID:
            raise InvalidParameter("spreads digits only", field="partition", hint="add --data digits")
        if self.data_dir.exists() and (not self.data_dir.is_dir() or any(self.data_dir.iterdir())):
            hint = "choose a new folder: a ledger is never overwritten"
            raise InvalidParameter(f"{self.data_dir} is not an empty folder", field="data_dir", hint=hint)

    @property
    def quorum(self) -> int:
        """One trainer may be missing."""
        return max(2, self.trainers - 1)

    @property
    def trainer_names(self) -> list[str]:
        """Names for display and files."""
        if self.data is DemoData.HEART:
            return list(HOSPITALS[: self.trainers])
        return [f"trainer-{number}" for number in range(self.trainers)]

    def source(self, number: int) -> str:
        """What trainer ``number`` gets as ``--data``."""
        if self.data is DemoData.HEART:
            return f"heart:{HOSPITALS[number]}"
        part = f"digits:{number}/{self.trainers}"
        return part if self.partition is Partition.IID else f"{part}:dirichlet:{self.alpha:f}"
