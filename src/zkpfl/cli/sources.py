"""What ``--data`` and ``--model`` name: records of a trainer, bundles of an owner."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from zkpfl.errors import InvalidParameter

if TYPE_CHECKING:
    from zkpfl.learning.bundle import Bundle
    from zkpfl.learning.recipe import Recipe
    from zkpfl.learning.records import Records

DATA_HINT = "heart:HOSPITAL, digits:K/N[:dirichlet:ALPHA], csv:FILE:LABEL, npz:FILE or module:function"

_NUMBER = "[0-9]{1,4}"
_DIGITS = re.compile(
    rf"(?P<part>{_NUMBER})/(?P<parts>{_NUMBER})(?::dirichlet:(?P<alpha>{_NUMBER}(?:\.[0-9]+)?))?"
)


@dataclass(frozen=True)
class DataSource:
    """A trainer's data.

    Parameters
    ----------
    load
        Gives the records for a job's recipe.
    stream
        Number of the trainer's random streams where the data has parts with numbers, so that a seeded run
        does not depend on who joins first; else None.
    """

    load: Callable[[Recipe], Records]
    stream: int | None = None


def data_source(text: str, seed: int) -> DataSource:
    """Return the data that ``--data`` names; built-in data is split by the run's ``seed``.

    Raises
    ------
    InvalidParameter
        Of no known kind, or a file that does not exist.
    """
    kind, _, rest = text.partition(":")
    if not rest:
        raise InvalidParameter(f"{text!r} names no data", field="data", hint=DATA_HINT)
    match kind:
        case "heart":
            return _hospital(rest, seed)
        case "digits":
            return _digits(rest, seed)
        case "csv":
            path, separator, label = rest.rpartition(":")
            return _csv(*((path, label) if separator else (rest, "label")))
        case "npz":
            return _npz(rest)
    from zkpfl.learning.user_data import load_function

    return DataSource(lambda recipe: load_function(text, recipe))


@dataclass(frozen=True)
class ModelSource:
    """A model to train, and how long and how far if the owner does not say.

    Parameters
    ----------
    bundle
        Model, recipe and test set.
    rounds, target
        Training rounds, and the accuracy in [0, 1] that ends the job, that suit the model; None if unknown.
    """

    bundle: Bundle
    rounds: int | None = None
    target: str | None = None


@dataclass(frozen=True)
class PrivacyOptions:
    """How private a model is to be trained.

    Parameters
    ----------
    private
        Whether at all.
    epsilon, delta
        Budget of a record; None takes the model's own.
    """

    private: bool = True
    epsilon: float | None = None
    delta: float | None = None

    def __post_init__(self) -> None:
        if not self.private and (self.epsilon is not None or self.delta is not None):
            text = "a budget and --no-privacy exclude each other"
            raise InvalidParameter(text, field="privacy", hint="leave one of them out")


def model_source(
    text: str, seed: int, privacy: PrivacyOptions | None = None, rounds: int | None = None
) -> ModelSource:
    """Return the model that ``--model`` names: ``heart``, ``digits``, ``stats:COLUMN,…``, or a bundle file.

    Parameters
    ----------
    text
        The name.
    seed
        Of the built-in models.
    privacy
        Budget of a record; None for the model's own.
    rounds
        Training rounds that the budget must last for; None for the model's own.

    Raises
    ------
    InvalidParameter
        No such model or file, or it is not private and nobody said ``--no-privacy``.
    InvalidBundle
        The file is not a bundle.
    """
    privacy = privacy or PrivacyOptions()
    match text:
        case "heart":
            return _heart_model(seed, privacy, rounds)
        case "digits":
            return _digits_model(seed, privacy, rounds)
    if text.startswith("stats:"):
        from zkpfl.learning.export import statistics_bundle

        if privacy.private:
            text = "exact statistics are not private"
            raise InvalidParameter(text, field="model", hint="add --no-privacy if their holders agree")
        return ModelSource(statistics_bundle(tuple(text.removeprefix("stats:").split(","))), 0, "1")
    bundle = _as_private(read_bundle(Path(text)), privacy, rounds)
    target = bundle.recipe.target
    return ModelSource(bundle, target=None if target is None else f"{target:.6f}")


def read_bundle(path: Path) -> Bundle:
    """Read a bundle file, whoever made it, with all the checks that a trainer makes.

    Raises
    ------
    InvalidParameter
        No such file, or larger than any bundle.
    InvalidBundle
        The file is not a bundle.
    """
    from zkpfl.learning.bundle import MAX_BUNDLE_BYTES, Bundle

    file = _existing(path, field="model", hint="heart, digits, stats:COLUMN,… or a bundle file")
    if file.stat().st_size > MAX_BUNDLE_BYTES:
        raise InvalidParameter(f"{file} is larger than any bundle", field="model")
    return Bundle.from_bytes(file.read_bytes())


def _heart_model(seed: int, privacy: PrivacyOptions, rounds: int | None) -> ModelSource:
    from zkpfl.learning import heart_disease as heart

    target = str(heart.TARGET_ACCURACY)
    if not privacy.private:
        return ModelSource(heart.heart_disease_bundle(seed, private=False), heart.ROUNDS, target)
    bundle = heart.heart_disease_bundle(
        seed,
        epsilon=privacy.epsilon or heart.EPSILON,
        delta=privacy.delta or heart.DELTA,
        rounds=rounds or heart.PRIVATE_ROUNDS,
    )
    return ModelSource(bundle, heart.PRIVATE_ROUNDS, target)


def _digits_model(seed: int, privacy: PrivacyOptions, rounds: int | None) -> ModelSource:
    from zkpfl.learning import digits

    # The test set does not depend on over how many trainers the rest is spread.
    test = digits.digits(seed, 2).test
    if not privacy.private:
        bundle = digits.digits_bundle(seed, test, private=False)
        return ModelSource(bundle, digits.ROUNDS, str(digits.TARGET_ACCURACY))
    bundle = digits.digits_bundle(
        seed,
        test,
        epsilon=privacy.epsilon or digits.EPSILON,
        delta=privacy.delta or digits.DELTA,
        rounds=rounds or digits.PRIVATE_ROUNDS,
    )
    return ModelSource(bundle, digits.PRIVATE_ROUNDS, str(digits.PRIVATE_TARGET_ACCURACY))


def _as_private(bundle: Bundle, options: PrivacyOptions, rounds: int | None) -> Bundle:
    """An owner's bundle with the privacy that was asked for."""
    stated = bundle.recipe.privacy
    if not options.private:
        return replace(bundle, recipe=replace(bundle.recipe, privacy=None))
    if stated is None:
        hint = "state privacy in its recipe, or add --no-privacy"
        raise InvalidParameter("the bundle does not train privately", field="model", hint=hint)
    if options.epsilon is None and options.delta is None:
        return bundle
    if rounds is None:
        raise InvalidParameter("noise depends on the rounds", field="rounds", hint="give --rounds")
    terms = stated.to_dict() | {
        "epsilon": options.epsilon or stated.epsilon,
        "delta": options.delta or stated.delta,
    }
    del terms["noise_multiplier"]
    planned = type(stated).planned(rounds=rounds, **terms)
    return replace(bundle, recipe=replace(bundle.recipe, privacy=planned))


def _hospital(name: str, seed: int) -> DataSource:
    from zkpfl.learning.heart_disease import HOSPITALS, heart_disease

    if name not in HOSPITALS:
        raise InvalidParameter(f"no hospital {name!r}", field="data", hint=f"one of {', '.join(HOSPITALS)}")
    index = HOSPITALS.index(name)
    return DataSource(lambda _recipe: heart_disease(seed)[index].train, index)


def _digits(text: str, seed: int) -> DataSource:
    from zkpfl.learning.digits import digits

    match = _DIGITS.fullmatch(text)
    if not match or int(match["part"]) >= int(match["parts"]):
        hint = "digits:K/N or digits:K/N:dirichlet:ALPHA, with K from 0 to N − 1"
        raise InvalidParameter(f"{text!r} is no part", field="data", hint=hint)
    index, count, alpha = int(match["part"]), int(match["parts"]), match["alpha"]
    if alpha is None:
        return DataSource(lambda _recipe: digits(seed, count).trainers[index], index)
    concentration = float(alpha)
    return DataSource(
        lambda _recipe: digits(seed, count, partition="dirichlet", alpha=concentration).trainers[index], index
    )


def _csv(path: str, label: str) -> DataSource:
    from zkpfl.learning.user_data import load_csv

    file = _existing(Path(path), field="data", hint=DATA_HINT)
    return DataSource(lambda recipe: load_csv(file, recipe, label=None if label == "-" else label))


def _npz(path: str) -> DataSource:
    from zkpfl.learning.user_data import load_npz

    file = _existing(Path(path), field="data", hint=DATA_HINT)
    return DataSource(lambda recipe: load_npz(file, recipe))


def _existing(path: Path, *, field: str, hint: str) -> Path:
    if not path.is_file():
        raise InvalidParameter(f"{path} is no file", field=field, hint=hint)
    return path
