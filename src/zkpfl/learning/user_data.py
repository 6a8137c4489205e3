"""A trainer's own data: a CSV file, an NPZ file, or a function that returns a torch dataset."""

from __future__ import annotations

import csv
import importlib
from pathlib import Path
from typing import Any

import numpy as np
import torch

from zkpfl.errors import InvalidData
from zkpfl.learning.recipe import Recipe
from zkpfl.learning.records import Records

_MAX_DIGITS = 100


def load_records(source: str, recipe: Recipe, *, label: str = "label") -> Records:
    """Load the records that ``source`` names.

    Parameters
    ----------
    source
        ``data.csv``, ``data.npz`` or ``package.module:function``.
    recipe
        Of the job: its features and classes are what the data must have.
    label
        Column of the label, in a CSV.

    Raises
    ------
    InvalidData
        The source cannot be read or does not fit the recipe.
    """
    path = Path(source)
    match path.suffix.lower():
        case ".csv":
            return load_csv(path, recipe, label=label)
        case ".npz":
            return load_npz(path, recipe)
    if source.count(":") == 1:
        return load_function(source, recipe)
    hint = "give FILE.csv, FILE.npz or module:function"
    raise InvalidData(f"{source} is no known kind", field="data", hint=hint)


def load_csv(path: Path, recipe: Recipe, *, label: str | None = "label") -> Records:
    """Read a CSV with a header: the columns of the recipe's features, in any order, and a label column.

    A label is the name of a class or, where it is none, the number of a class; of a regression it is a
    number. Other columns are left out. Without a label column (None), as statistics need none, every label
    is 0.

    Raises
    ------
    InvalidData
        Unreadable, a column is missing or named twice, a row is short, a value is not a finite number, or a
        label is no class. The message names line and column, never the value.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.reader(file, strict=True))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InvalidData(f"cannot read {path}: {type(error).__name__}", field="data") from error
    if not rows:
        raise InvalidData(f"{path} is empty", field="data")
    columns = _columns(rows[0], (*recipe.features, *([] if label is None else [label])))
    body = [(number, row) for number, row in enumerate(rows[1:], start=2) if row]
    features = [[_cell(row, number, columns, name) for name in recipe.features] for number, row in body]
    labels = [0.0 if label is None else _label(row, number, columns, label, recipe) for number, row in body]
    if not labels:
        raise InvalidData(f"{path} has no records", field="data")
    return recipe.checked(features, labels)


def _columns(header: list[str], wanted: tuple[str, ...]) -> dict[str, int]:
    for name in wanted:
        if header.count(name) != 1:
            count = "is missing" if name not in header else "appears more than once"
            raise InvalidData(f"the column {count}", field=name, hint=f"the file has {len(header)} columns")
    return {name: header.index(name) for name in wanted}


def _cell(row: list[str], number: int, columns: dict[str, int], name: str) -> float:
    try:
        return float(row[columns[name]])
    except (IndexError, ValueError):
        raise InvalidData(f"line {number} does not hold a number", field=name) from None


def _label(row: list[str], number: int, columns: dict[str, int], name: str, recipe: Recipe) -> float:
    if recipe.task == "regression":
        return _cell(row, number, columns, name)
    column, classes = columns[name], recipe.classes
    text = row[column].strip() if column < len(row) else ""
    if text in classes:
        return classes.index(text)
    # Python refuses to read numbers of thousands of digits, which are no class either.
    if text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS and int(text) < len(classes):
        return int(text)
    raise InvalidData(f"line {number} does not hold one of the {len(classes)} classes", field="label")


def load_npz(path: Path, recipe: Recipe) -> Records:
    """Read the arrays ``features`` ``[n, f]`` and ``labels`` ``[n]`` of an NPZ file; nothing is unpickled.

    Raises
    ------
    InvalidData
        Unreadable, an array is missing, or :meth:`.Records.checked` refuses them.
    """
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            features, labels = archive["features"], archive["labels"]
    except KeyError as error:
        raise InvalidData(f"{path} must hold the arrays features and labels", field="data") from error
    except Exception as error:  # from damaged archives zipfile, zlib and NumPy raise a dozen unrelated types
        raise InvalidData(f"cannot read {path}: {type(error).__name__}", field="data") from error
    return recipe.checked(features, labels)


def load_function(source: str, recipe: Recipe) -> Records:
    """Call the trainer's own ``module:function``; it returns a torch dataset of ``(features, label)`` pairs.

    The module is imported and runs: this is code of the trainer, named by the trainer, never by a job.

    Raises
    ------
    InvalidData
        No such module or function, no map-style dataset, an item that is no pair, or records that do not fit.
    """
    module, _, name = source.partition(":")
    try:
        function = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise InvalidData(f"cannot import {source}: {type(error).__name__}", field="data") from error
    dataset: Any = function() if callable(function) else None
    if not hasattr(dataset, "__getitem__") or not hasattr(dataset, "__len__"):
        raise InvalidData(f"{source} does not return a map-style torch dataset", field="data")
    pairs = [_pair(dataset[index], index) for index in range(len(dataset))]
    if not pairs:
        raise InvalidData("there are no records", field="data")
    features, labels = zip(*pairs, strict=True)
    return recipe.checked(features, labels)


def _pair(item: Any, index: int) -> tuple[np.ndarray[Any, Any], float]:
    try:
        features, label = item
        return torch.as_tensor(features).detach().cpu().numpy().reshape(-1), float(label)
    except (TypeError, ValueError, RuntimeError):
        raise InvalidData(f"item {index} is no pair of numeric features and a label", field="data") from None
