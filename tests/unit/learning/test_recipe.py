import json
from dataclasses import fields, replace

import pytest

from zkpfl.errors import InvalidBundle, InvalidParameter
from zkpfl.learning.recipe import Recipe

BAD = {
    "features": [(), ["a"], ("a", "a"), ("",), ("a\n",), (1,), ("x" * 129,)],
    "classes": [("only",), "ab"],
    "clip_norm": [0, -1.0, float("nan"), float("inf"), "1", True, 1e7],
    "learning_rate": [0.0, 101, None],
    "momentum": [1.0, -0.1],
    "weight_decay": [-1, 11],
    "local_epochs": [0, 1.0, True, 1001],
    "batch_size": [0, 4097],
    "server_learning_rate": [0, 11],
    "value_bits": [7, 17],
    "statistics": [1, None],
    "optimizer": ["lbfgs", None],
    "task": ["regression", "ranking"],
    "loss": ["hinge", None],
}


@pytest.mark.parametrize(("field", "value"), [(field, value) for field in BAD for value in BAD[field]])
def test_bad_field_is_refused_and_named(recipe, field, value):
    with pytest.raises(InvalidParameter) as error:
        replace(recipe, **{field: value})
    assert error.value.field == field


def test_momentum_belongs_to_sgd(recipe):
    with pytest.raises(InvalidParameter) as error:
        replace(recipe, optimizer="adam", momentum=0.9)
    assert error.value.field == "momentum"


def test_round_trip(recipe):
    changed = replace(
        recipe, optimizer="sgd", momentum=0.5, clip_norm=3, statistics=True, features=("ä", "b")
    )
    assert Recipe.from_json(changed.to_json()) == changed
    assert Recipe.from_json(changed.to_json()).to_json() == changed.to_json()


@pytest.mark.parametrize("name", [field.name for field in fields(Recipe)])
def test_missing_field_is_refused(recipe, name):
    body = json.loads(recipe.to_json())
    del body[name]
    with pytest.raises(InvalidBundle, match=name):
        Recipe.from_json(json.dumps(body).encode())


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"extra": 1}, "recipe"),
        ({"clip_norm": -1.0}, "recipe.clip_norm"),
        ({"clip_norm": None}, "recipe.clip_norm"),
        ({"features": "abc"}, "recipe.features"),
        ({"features": [["a"]]}, "recipe.features"),
        ({"batch_size": 10**30}, "recipe.batch_size"),
        ({"clip_norm": 1}, "recipe"),
    ],
)
def test_bad_json_field_is_refused(recipe, change, field):
    body = {**json.loads(recipe.to_json()), **change}
    data = json.dumps(body, sort_keys=True, separators=(",", ":")).encode()
    with pytest.raises(InvalidBundle) as error:
        Recipe.from_json(data)
    assert error.value.field == field


def test_another_spelling_is_refused(recipe):
    with pytest.raises(InvalidBundle, match="canonical"):
        Recipe.from_json(recipe.to_json() + b" ")
