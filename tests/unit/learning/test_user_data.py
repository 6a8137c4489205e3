import contextlib

import numpy as np
import pytest
import torch
from torch.utils.data import TensorDataset

from zkpfl.errors import InvalidData
from zkpfl.learning.records import Records
from zkpfl.learning.user_data import load_records


@pytest.fixture
def csv_file(tmp_path):
    def write(text):
        path = tmp_path / "data.csv"
        path.write_text(text)
        return str(path)

    return write


def test_csv_takes_columns_by_name_and_labels_by_name_or_number(csv_file, recipe):
    records = load_records(csv_file("c,label,a,x,b\n3,yes,1,?,2\n\n6,0,4,?,5e0\n"), recipe)
    np.testing.assert_array_equal(records.features, np.array([[1, 2, 3], [4, 5, 6]], np.float32))
    assert records.labels.tolist() == [1, 0]
    assert records.features.dtype == np.float32
    assert records.labels.dtype == np.int64


def test_csv_with_another_label_column(csv_file, recipe):
    assert load_records(csv_file("a,b,c,ill\n1,2,3,no\n"), recipe, label="ill").labels.tolist() == [0]


@pytest.mark.parametrize(
    ("text", "field", "place"),
    [
        ("", "data", "empty"),
        ("a,b,c,label\n", "data", "no records"),
        ("a,b,label\n1,2,0\n", "c", "missing"),
        ("a,b,c\n1,2,3\n", "label", "missing"),
        ("a,b,b,c,label\n1,2,2,3,0\n", "b", "more than once"),
        ("a,b,c,label\n1,2,3,0\n1,secret,3,0\n", "b", "line 3"),
        ("a,b,c,label\n1,,3,0\n", "b", "line 2"),
        ("a,b,label,c\n1,2,0\n", "c", "line 2"),
        ("a,b,c,label\n1,nan,3,0\n", "features", "finite"),
        ("a,b,c,label\n1,1e39,3,0\n", "features", "finite"),
        ("a,b,c,label\n1,2,3,2\n", "label", "line 2"),
        ("a,b,c,label\n1,2,3,-1\n", "label", "line 2"),
        ("a,b,c,label\n1,2,3,maybe\n", "label", "line 2"),
        (f"a,b,c,label\n1,2,3,{'1' * 5000}\n", "label", "line 2"),
        ("a,b,c,label\n1,2,3\n", "label", "line 2"),
    ],
)
def test_bad_csv_is_refused_without_showing_values(csv_file, recipe, text, field, place):
    with pytest.raises(InvalidData, match=place) as error:
        load_records(csv_file(text), recipe)
    assert error.value.field == field
    assert "secret" not in str(error.value)


def test_unreadable_files_are_refused(tmp_path, recipe):
    (tmp_path / "latin.csv").write_bytes(b"a,b,c,label\n\xff,2,3,0\n")
    (tmp_path / "text.npz").write_bytes(b"no archive")
    for name in ("latin.csv", "missing.csv", "text.npz", "missing.npz"):
        with pytest.raises(InvalidData) as error:
            load_records(str(tmp_path / name), recipe)
        assert error.value.field == "data"


def test_npz(tmp_path, recipe):
    path = tmp_path / "data.npz"
    np.savez(path, features=np.arange(6).reshape(2, 3), labels=np.array([0.0, 1.0]))
    records = load_records(str(path), recipe)
    assert records.features.tolist() == [[0, 1, 2], [3, 4, 5]]
    assert records.labels.tolist() == [0, 1]


@pytest.mark.parametrize(
    ("arrays", "field"),
    [
        ({"features": np.ones((2, 3))}, "data"),
        ({"features": np.ones((2, 2)), "labels": np.zeros(2)}, "features"),
        ({"features": np.ones((2, 3)), "labels": np.zeros(3)}, "labels"),
        ({"features": np.ones((2, 3)), "labels": np.array([0, 2])}, "labels"),
        ({"features": np.ones((2, 3)), "labels": np.array([0, 0.5])}, "labels"),
        ({"features": np.ones((2, 3)), "labels": np.array([0, np.nan])}, "labels"),
        ({"features": np.full((2, 3), "x"), "labels": np.zeros(2)}, "features"),
        ({"features": np.ones((0, 3)), "labels": np.zeros(0)}, "features"),
    ],
)
def test_bad_npz_is_refused(tmp_path, recipe, arrays, field):
    path = tmp_path / "data.npz"
    np.savez(path, **arrays)
    with pytest.raises(InvalidData) as error:
        load_records(str(path), recipe)
    assert error.value.field == field


def test_damaged_npz_is_refused(tmp_path, recipe):
    path = tmp_path / "data.npz"
    np.savez_compressed(path, features=np.arange(6).reshape(2, 3), labels=np.array([0.0, 1.0]))
    original = path.read_bytes()
    for place in range(len(original)):
        path.write_bytes(original[:place] + bytes([original[place] ^ 0xFF]) + original[place + 1 :])
        with contextlib.suppress(InvalidData):  # some bytes do not matter
            load_records(str(path), recipe)


def test_npz_is_not_unpickled(tmp_path, recipe):
    path = tmp_path / "data.npz"
    np.savez(path, features=np.array([{"a": 1}], dtype=object), labels=np.zeros(1))
    with pytest.raises(InvalidData):
        load_records(str(path), recipe)


@pytest.fixture
def module(tmp_path, monkeypatch):
    def write(body):
        (tmp_path / "own_hospital_data.py").write_text(
            f"import torch\nfrom torch.utils.data import TensorDataset\n{body}"
        )
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.delitem(__import__("sys").modules, "own_hospital_data", raising=False)
        return "own_hospital_data:records"

    return write


def test_function_that_returns_a_torch_dataset(module, recipe):
    source = module("def records():\n    return TensorDataset(torch.ones(2, 3), torch.tensor([0, 1]))\n")
    records = load_records(source, recipe)
    assert records.features.tolist() == [[1.0] * 3] * 2
    assert records.labels.tolist() == [0, 1]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ("records = 3\n", "data"),
        ("def other(): pass\n", "data"),
        ("def records(): return None\n", "data"),
        ("def records(): return []\n", "data"),
        ("def records(): return [1, 2]\n", "data"),
        ("def records(): return TensorDataset(torch.ones(2, 4), torch.zeros(2))\n", "features"),
        ("def records(): return [(torch.ones(3), 0), (torch.ones(2), 0)]\n", "features"),
        ("def records(): return [(torch.ones(3), 5)]\n", "labels"),
    ],
)
def test_bad_function_is_refused(module, recipe, body, field):
    with pytest.raises(InvalidData) as error:
        load_records(module(body), recipe)
    assert error.value.field == field


@pytest.mark.parametrize("source", ["data.parquet", "no_such_module:f", "a:b:c", ":f", "json:"])
def test_unknown_source_is_refused(recipe, source):
    with pytest.raises(InvalidData) as error:
        load_records(source, recipe)
    assert error.value.field == "data"


def test_records_never_print_their_values():
    assert repr(Records(np.ones((2, 3), np.float32), np.zeros(2, np.int64))) == "Records(2 × 3)"


def test_dataset_of_images_is_flattened(module, recipe):
    assert isinstance(TensorDataset(torch.ones(1)), TensorDataset)
    source = module("def records(): return TensorDataset(torch.ones(2, 1, 3), torch.zeros(2))\n")
    assert load_records(source, recipe).features.shape == (2, 3)
