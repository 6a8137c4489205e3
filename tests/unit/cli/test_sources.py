"""What --data and --model name."""

from pathlib import Path

import numpy as np
import pytest

from zkpfl.cli.sources import PrivacyOptions, data_source, model_source
from zkpfl.errors import InvalidBundle, InvalidData, InvalidParameter
from zkpfl.learning.digits import digits, digits_recipe
from zkpfl.learning.heart_disease import heart_disease, heart_disease_recipe


def test_a_hospital_gives_its_training_records_only() -> None:
    source = data_source("heart:hungary", 3)
    records = source.load(heart_disease_recipe())
    split = heart_disease(3)[1]
    np.testing.assert_array_equal(records.features, split.train.features)
    assert source.stream == 1


def test_a_part_of_the_digits() -> None:
    parts = [data_source(f"digits:{number}/3", 0) for number in range(3)]
    assert [part.stream for part in parts] == [0, 1, 2]
    for part, records in zip(parts, digits(0, 3).trainers, strict=True):
        np.testing.assert_array_equal(part.load(digits_recipe()).features, records.features)


def test_a_csv_is_read_by_the_recipe(tmp_path: Path) -> None:
    recipe = heart_disease_recipe()
    path = tmp_path / "own:data.csv"
    path.write_text(",".join((*recipe.features, "sick")) + "\n" + ",".join("1" for _ in range(14)) + "\n")
    source = data_source(f"csv:{path}:sick", 0)
    assert source.stream is None
    assert source.load(recipe).labels.tolist() == [1]
    with pytest.raises(InvalidData, match="well"):
        data_source(f"csv:{path}:well", 0).load(recipe)


@pytest.mark.parametrize(
    "text",
    [
        "heart",
        "heart:",
        "heart:utrecht",
        "digits:3",
        "digits:3/3",
        "digits:-1/3",
        "digits:a/b",
        "digits:0/3:dirichlet",
        "digits:0/3:dirichlet:",
        "digits:0/3:uneven:1",
        "digits:0/3:dirichlet:-1",
        "csv:no:y",
        "",
    ],
)
def test_no_such_data(text: str) -> None:
    with pytest.raises(InvalidParameter) as caught:
        data_source(text, 0)
    assert caught.value.field == "data"
    assert caught.value.hint


def test_a_function_that_is_not_there() -> None:
    with pytest.raises(InvalidData, match="cannot import"):
        data_source("no_such_module:records", 0).load(heart_disease_recipe())


def test_models(tmp_path: Path) -> None:
    model = model_source("heart", 0)
    assert model.rounds
    assert model.target
    path = tmp_path / "model.bundle"
    path.write_bytes(model.bundle.to_bytes())
    loaded = model_source(str(path), 0)
    assert loaded.bundle.to_bytes() == model.bundle.to_bytes()
    assert (loaded.rounds, loaded.target) == (None, None)


def test_models_are_private_unless_told_otherwise(tmp_path: Path) -> None:
    private = model_source("digits", 0, PrivacyOptions(epsilon=2.0, delta=1e-4), rounds=3)
    privacy = private.bundle.recipe.privacy
    assert privacy is not None
    assert (privacy.epsilon, privacy.delta) == (2.0, 1e-4)
    assert privacy.most_rounds(180) == 3
    for name in ("heart", "digits"):
        assert model_source(name, 0).bundle.recipe.privacy is not None
        assert model_source(name, 0, PrivacyOptions(private=False)).bundle.recipe.privacy is None
    path = tmp_path / "private.bundle"
    path.write_bytes(private.bundle.to_bytes())
    assert model_source(str(path), 0).bundle.recipe == private.bundle.recipe
    assert model_source(str(path), 0, PrivacyOptions(private=False)).bundle.recipe.privacy is None
    more = model_source(str(path), 0, PrivacyOptions(epsilon=4.0), rounds=3).bundle.recipe.privacy
    assert more is not None
    assert more.noise_multiplier < privacy.noise_multiplier
    with pytest.raises(InvalidParameter, match="rounds"):
        model_source(str(path), 0, PrivacyOptions(epsilon=4.0))


def test_what_is_not_private_must_be_asked_for(tmp_path: Path) -> None:
    open_model = model_source("heart", 0, PrivacyOptions(private=False))
    path = tmp_path / "open.bundle"
    path.write_bytes(open_model.bundle.to_bytes())
    for source in (str(path), "stats:age"):
        with pytest.raises(InvalidParameter, match="no-privacy"):
            model_source(source, 0)
        assert model_source(source, 0, PrivacyOptions(private=False)).bundle.recipe.privacy is None
    with pytest.raises(InvalidParameter, match="exclude"):
        PrivacyOptions(private=False, epsilon=1.0)


def test_no_such_model(tmp_path: Path) -> None:
    with pytest.raises(InvalidParameter, match="no file"):
        model_source("bert", 0)
    (tmp_path / "x").write_bytes(b"\x80\x04pickled")
    with pytest.raises(InvalidBundle):
        model_source(str(tmp_path / "x"), 0)


def test_a_part_of_digits_that_are_spread_unevenly() -> None:
    parts = digits(0, 3, partition="dirichlet", alpha=0.5).trainers
    for number, records in enumerate(parts):
        source = data_source(f"digits:{number}/3:dirichlet:0.5", 0)
        assert source.stream == number
        np.testing.assert_array_equal(source.load(digits_recipe()).features, records.features)


def test_statistics_of_ones_own_columns_need_no_model_and_no_label(tmp_path: Path) -> None:
    model = model_source("stats:age,weight", 0, PrivacyOptions(private=False))
    assert (model.rounds, model.bundle.recipe.statistics) == (0, True)
    assert model.bundle.recipe.features == ("age", "weight")
    path = tmp_path / "patients.csv"
    path.write_text("name,weight,age\nx,70,40\ny,80,50\n")
    records = data_source(f"csv:{path}:-", 0).load(model.bundle.recipe)
    assert records.features.tolist() == [[40, 70], [50, 80]]
    with pytest.raises(InvalidParameter, match="features"):
        model_source("stats:age,age", 0, PrivacyOptions(private=False))
