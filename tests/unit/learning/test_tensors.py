import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from safetensors.numpy import load, save

from zkpfl.errors import InvalidBundle
from zkpfl.learning import tensors

NAMES = st.from_regex(tensors.NAME, fullmatch=True)
FLOATS = arrays(
    np.float32,
    array_shapes(min_dims=0, min_side=0),
    elements=st.floats(allow_nan=False, allow_infinity=False, width=32),
)
INTEGERS = arrays(np.int64, array_shapes(min_dims=0, min_side=0))


@given(st.dictionaries(NAMES, FLOATS | INTEGERS, max_size=5))
def test_round_trip(named):
    data = tensors.pack(named)
    restored = tensors.unpack(data, field="x")
    assert list(restored) == sorted(named)
    for name, array in named.items():
        assert restored[name].dtype == array.dtype
        np.testing.assert_array_equal(restored[name], array)
    assert tensors.pack(restored) == data


def test_the_library_reads_what_we_write():
    named = {"b.weight": np.ones((2, 3), np.float32), "a": np.arange(3)}
    assert {name: array.tolist() for name, array in load(tensors.pack(named)).items()} == {
        name: array.tolist() for name, array in named.items()
    }


def test_bytes_do_not_depend_on_the_order_given():
    one, two = np.ones(2, np.float32), np.zeros(3, np.float32)
    assert tensors.pack({"a": one, "b": two}) == tensors.pack({"b": two, "a": one})


def test_every_prefix_and_extension_is_refused():
    data = tensors.pack({"w": np.ones(3, np.float32)})
    for bad in [data[:size] for size in range(len(data))] + [data + b"\0"]:
        with pytest.raises(InvalidBundle):
            tensors.unpack(bad, field="x")


@pytest.mark.parametrize(
    ("named", "field"),
    [
        ({"w": np.ones(2, np.float64)}, "x.w"),
        ({"w": np.ones(2, np.uint8)}, "x.w"),
        ({"w/x": np.ones(2, np.float32)}, "x"),
        ({"w": np.array([np.inf], np.float32)}, "x.w"),
    ],
)
def test_bad_tensor_is_refused(named, field):
    with pytest.raises(InvalidBundle) as error:
        tensors.unpack(save(named), field="x")
    assert error.value.field == field


def test_long_header_is_refused_before_it_is_read():
    with pytest.raises(InvalidBundle, match="header"):
        tensors.unpack((tensors.MAX_HEADER_BYTES + 1).to_bytes(8, "little") + b"{}", field="x")
