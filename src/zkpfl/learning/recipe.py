"""How a model is trained: everything that trainers, members and the owner must agree on besides the graph."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from zkpfl import strict_json
from zkpfl.errors import InvalidBundle, InvalidParameter
from zkpfl.learning.records import Records
from zkpfl.learning.scaling import Range, Ranges
from zkpfl.privacy.client_level import ClientPrivacy
from zkpfl.privacy.levels import Privacy, privacy_from_dict
from zkpfl.privacy.record_level import RecordPrivacy

MAX_RECIPE_BYTES = 4 << 20
MAX_FEATURES = 1 << 16
MAX_CLASSES = 4096
DEFAULTS = {"learning_rate": 0.05, "clip_norm": 1.0}
"""Of what a recipe must say, for owners who do not."""
_STRUCTURED = frozenset({"features", "classes", "feature_ranges", "label_range", "privacy"})
"""What is no single word."""
MAX_RANGE = 1e12
MAX_VOCABULARY = 1 << 24
PPM = 1_000_000

TASKS = {
    "cross_entropy": "classification",
    "binary_cross_entropy": "classification",
    "mse": "regression",
}
"""By the loss."""
METRICS = {"classification": "accuracy", "regression": "within_tolerance"}
"""By the task."""


@dataclass(frozen=True)
class Recipe:
    """Training recipe of a job.

    Parameters
    ----------
    features
        Names of the f input columns in their order, unique, 1 to 65536.
    classes
        Names of the c classes, unique, 2 to 4096; label k means ``classes[k]``. None in a regression.
    clip_norm
        C, L2 norm to which an update ``w_local − w_global`` is clipped, in (0, 1e6].
    learning_rate
        Of the local optimizer, in (0, 100].
    optimizer
        ``sgd`` or ``adam``; it starts afresh every round.
    momentum
        Of ``sgd``, in [0, 1).
    weight_decay
        L2 penalty of the local optimizer, in [0, 10].
    local_epochs
        Passes over the trainer's records in one round, 1 to 1000.
    batch_size
        Most records in one local step, 1 to 4096.
    server_learning_rate
        Factor of the mean update in the server step, in (0, 10].
    value_bits
        b, bits of one encoded coordinate, 8 to 16 (docs/spec.md §3).
    statistics
        Whether a first secure-sum round computes the common statistics that standardise the features.
    feature_ranges
        ``(low, high)`` of each feature, known without looking at data, by which features are scaled to
        [−1, 1] instead; None without.
    privacy
        Noise and budget: of private training, whose steps take the place of ``local_epochs`` and
        ``batch_size``, or of sums to which zk-nodes add noise; None without. It excludes ``statistics``, a
        release that nobody would charge.
    task, loss
        ``classification`` with ``cross_entropy``, or of two classes with ``binary_cross_entropy`` on one
        logit; ``regression`` with ``mse``, the mean squared error of one output.
    metric
        What the ledger calls accuracy, a share of test records: of a classification ``accuracy``, those
        classified right; of a regression ``within_tolerance``, those predicted to within ``tolerance``.
    tolerance
        Most absolute error of a prediction that counts as right, in the unit of the labels, in (0, 1e12];
        None but in a regression.
    label_range
        ``(low, high)`` of the labels of a regression, known without looking at data: they are scaled to
        [−1, 1] for training, and predictions back. None takes the labels as they are.
    target
        Accuracy that ends the job unless its order says otherwise, in [0, 1] with at most six decimals; None
        leaves it to the order.
    vocabulary
        v: features are token ids, whole numbers in [0, v), v at most 2^24; None if they are numbers. It
        excludes ``statistics`` and ``feature_ranges``.

    Raises
    ------
    InvalidParameter
        A field has the wrong type or is out of range, or fields do not fit each other.
    """

    features: tuple[str, ...]
    classes: tuple[str, ...]
    clip_norm: float
    learning_rate: float
    optimizer: Literal["sgd", "adam"] = "sgd"
    momentum: float = 0.0
    weight_decay: float = 0.0
    local_epochs: int = 1
    batch_size: int = 32
    server_learning_rate: float = 1.0
    value_bits: int = 12
    statistics: bool = False
    feature_ranges: Ranges | None = None
    privacy: Privacy | None = None
    task: Literal["classification", "regression"] = "classification"
    loss: Literal["cross_entropy", "binary_cross_entropy", "mse"] = "cross_entropy"
    metric: Literal["accuracy", "within_tolerance"] = "accuracy"
    tolerance: float | None = None
    label_range: Range | None = None
    target: float | None = None
    vocabulary: int | None = None

    def __post_init__(self) -> None:
        self._check_names("features", 1, MAX_FEATURES)
        self._check_task()
        self._check_number("clip_norm", 0, 1e6, above=True)
        self._check_number("learning_rate", 0, 100, above=True)
        self._check_number("server_learning_rate", 0, 10, above=True)
        self._check_number("momentum", 0, math.nextafter(1, 0))
        self._check_number("weight_decay", 0, 10)
        self._check_integer("local_epochs", 1, 1000)
        self._check_integer("batch_size", 1, 4096)
        self._check_integer("value_bits", 8, 16)
        self._check_choice("optimizer", ("sgd", "adam"))
        self._require(type(self.statistics) is bool, "statistics", "must be true or false")
        self._require(self.optimizer == "sgd" or self.momentum == 0, "momentum", "belongs to sgd only")
        self._check_target()
        self._check_ranges()
        self._check_vocabulary()
        self._check_privacy()

    @property
    def outputs(self) -> int:
        """How many outputs the model has: one for each class, or one alone."""
        return len(self.classes) if self.loss == "cross_entropy" else 1

    @property
    def feature_dtype(self) -> np.dtype[Any]:
        """Of the features of records: float32, or int64 for token ids."""
        return np.dtype(np.float32 if self.vocabulary is None else np.int64)

    @property
    def label_dtype(self) -> np.dtype[Any]:
        """Of the labels of records: int64, or float32 in a regression."""
        return np.dtype(np.int64 if self.task == "classification" else np.float32)

    @property
    def target_ppm(self) -> int | None:
        """The target in parts per million, as the ledger has it."""
        return None if self.target is None else round(self.target * PPM)

    def checked(self, features: ArrayLike, labels: ArrayLike) -> Records:
        """Records that fit the recipe; raises as :meth:`.Records.checked` does."""
        classes = len(self.classes) if self.task == "classification" else None
        inputs = len(self.features)
        return Records.checked(features, labels, inputs=inputs, classes=classes, vocabulary=self.vocabulary)

    @classmethod
    def from_values(
        cls,
        features: tuple[str, ...],
        classes: tuple[str, ...],
        values: Mapping[str, str],
        feature_ranges: Ranges | None = None,
        label_range: Range | None = None,
    ) -> Recipe:
        """Make a recipe from words of a command line: `DEFAULTS`, but for what ``values`` says.

        The loss gives task and metric where they are not said.

        Raises
        ------
        InvalidParameter
            An unknown name, or a value of another type or out of range; names it.
        """
        kinds = {item.name: str(item.type) for item in fields(cls)}
        chosen: dict[str, Any] = dict(DEFAULTS)
        chosen["task"] = TASKS.get(values.get("loss", "cross_entropy"), "classification")
        chosen["metric"] = METRICS[chosen["task"]]
        for name, text in values.items():
            if name not in kinds or name in _STRUCTURED:
                known = ", ".join(sorted(kinds.keys() - _STRUCTURED))
                raise InvalidParameter("is no value of a recipe", field=name, hint=f"known are {known}")
            chosen[name] = _from_word(text, kinds[name], name)
        ranges: dict[str, Any] = {"feature_ranges": feature_ranges, "label_range": label_range}
        return cls(features=features, classes=classes, **ranges, **chosen)

    def to_json(self) -> bytes:
        """Canonical JSON of all fields."""
        return strict_json.dump(asdict(self))

    @classmethod
    def from_json(cls, data: bytes) -> Recipe:
        """Decode the output of :meth:`to_json`.

        Raises
        ------
        InvalidBundle
            Not canonical JSON, or a field is missing, unknown, of the wrong type or out of range.
        """
        body = strict_json.parse(data, field="recipe", error=InvalidBundle, max_size_bytes=MAX_RECIPE_BYTES)
        strict_json.require_keys(
            body, {item.name for item in fields(cls)}, field="recipe", error=InvalidBundle
        )
        try:
            if body["privacy"] is not None:
                body["privacy"] = privacy_from_dict(body["privacy"])
            recipe = cls(**_tuples(body))
        except InvalidParameter as error:
            raise InvalidBundle(error.message, field=f"recipe.{error.field}") from error
        if recipe.to_json() != data:
            raise InvalidBundle("not canonical JSON", field="recipe")
        return recipe

    def _require(self, condition: bool, field: str, message: str) -> None:
        if not condition:
            raise InvalidParameter(message, field=field)

    def _check_names(self, field: str, low: int, high: int) -> None:
        names = getattr(self, field)
        self._require(isinstance(names, tuple), field, "must be a tuple of names")
        self._require(low <= len(names) <= high, field, f"must be {low} to {high} names, got {len(names)}")
        for name in names:
            valid = isinstance(name, str) and 1 <= len(name) <= 128 and name.isprintable()
            self._require(valid, field, "every name must be 1 to 128 printable characters")
        self._require(len(set(names)) == len(names), field, "every name must be unique")

    def _check_task(self) -> None:
        self._check_choice("loss", tuple(TASKS))
        self._check_choice("task", (TASKS[self.loss],))
        self._check_choice("metric", (METRICS[self.task],))
        if self.task == "classification":
            self._check_names("classes", 2, 2 if self.outputs == 1 else MAX_CLASSES)
            for field in ("tolerance", "label_range"):
                self._require(getattr(self, field) is None, field, "belongs to a regression only")
            return
        self._require(self.classes == (), "classes", "a regression has none")
        self._check_number("tolerance", 0, MAX_RANGE, above=True)
        if self.label_range is not None:
            self._check_pair(self.label_range, "label_range", "must be a pair of numbers, low below high")
            object.__setattr__(self, "label_range", tuple(map(float, self.label_range)))

    def _check_target(self) -> None:
        if self.target is None:
            return
        self._check_number("target", 0, 1)
        whole = round(self.target * PPM) / PPM == self.target
        self._require(whole, "target", "must have at most six decimals")

    def _check_vocabulary(self) -> None:
        if self.vocabulary is None:
            return
        self._check_integer("vocabulary", 1, MAX_VOCABULARY)
        plain = not self.statistics and self.feature_ranges is None
        self._require(plain, "vocabulary", "token ids are not scaled: no statistics, no feature_ranges")

    def _check_pair(self, pair: Any, field: str, text: str) -> None:
        numbers = isinstance(pair, tuple) and all(type(end) in (int, float) for end in pair)
        self._require(numbers and len(pair) == 2, field, text)
        self._require(-MAX_RANGE <= pair[0] < pair[1] <= MAX_RANGE, field, text)

    def _check_ranges(self) -> None:
        ranges = self.feature_ranges
        if ranges is None:
            return
        field, text = "feature_ranges", "must be a pair of numbers, low below high, for each feature"
        self._require(isinstance(ranges, tuple) and len(ranges) == len(self.features), field, text)
        for pair in ranges:
            self._check_pair(pair, field, text)
        self._require(not self.statistics, field, "takes the place of statistics: only one of them")
        object.__setattr__(self, field, tuple((float(low), float(high)) for low, high in ranges))

    def _check_privacy(self) -> None:
        kind = self.privacy is None or isinstance(self.privacy, RecordPrivacy | ClientPrivacy)
        self._require(kind, "privacy", "must be a RecordPrivacy, a ClientPrivacy or nothing")
        hint = "statistics of private data are not charged: state feature_ranges instead"
        self._require(self.privacy is None or not self.statistics, "statistics", hint)

    def _check_number(self, field: str, low: float, high: float, *, above: bool = False) -> None:
        value = getattr(self, field)
        self._require(type(value) in (int, float), field, "must be a number")
        inside = low <= value <= high and not (above and value == low)
        self._require(inside, field, f"must be in {'(' if above else '['}{low}, {high}], got {value}")
        object.__setattr__(self, field, float(value))

    def _check_integer(self, field: str, low: int, high: int) -> None:
        value = getattr(self, field)
        inside = type(value) is int and low <= value <= high
        self._require(inside, field, f"must be an integer from {low} to {high}, got {value!r}")

    def _check_choice(self, field: str, choices: tuple[str, ...]) -> None:
        value = getattr(self, field)
        self._require(isinstance(value, str) and value in choices, field, f"must be one of {choices}")


def _from_word(text: str, kind: str, field: str) -> Any:
    words = {"true": True, "false": False}
    kind = kind.removesuffix(" | None")
    try:
        if kind == "bool":
            return words[text]
        return int(text) if kind == "int" else float(text) if kind == "float" else text
    except (ValueError, KeyError):
        raise InvalidParameter(f"{text!r} is not of type {kind}", field=field) from None


def _tuples(body: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _tuple(value) for name, value in body.items()}


def _tuple(value: Any) -> Any:
    return tuple(_tuple(item) for item in value) if isinstance(value, list) else value
