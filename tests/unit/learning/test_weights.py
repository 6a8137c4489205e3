import hashlib
import struct

import numpy as np
import pytest
import torch

from zkpfl.errors import InvalidBundle, InvalidParameter
from zkpfl.learning import tensors
from zkpfl.learning.architectures import mlp
from zkpfl.learning.export import export_graph
from zkpfl.learning.graph import GraphModule
from zkpfl.learning.weights import (
    assign,
    checkpoint_bytes,
    checkpoint_hash,
    checkpoint_weights,
    dimension,
    flatten,
    server_step,
)


@pytest.fixture
def model(conv_net):
    return GraphModule(*export_graph(conv_net, torch.zeros(2, 64)))


def ramp(model):
    return np.arange(dimension(model), dtype=np.float32)


def test_order_is_sorted_name_then_row_major(model, conv_net):
    state = conv_net.state_dict()
    expected = [state[name].numpy().reshape(-1) for name in sorted(state) if "num_batches" not in name]
    np.testing.assert_array_equal(flatten(model), np.concatenate(expected))
    assert dimension(model) == len(flatten(model)) == sum(len(part) for part in expected)


def test_assign_inverts_flatten(model):
    assign(model, ramp(model))
    np.testing.assert_array_equal(flatten(model), ramp(model))


def test_flatten_copies(model):
    vector = flatten(model)
    before = vector.copy()
    assign(model, ramp(model))
    np.testing.assert_array_equal(vector, before)


@pytest.mark.parametrize("change", ["length", "type", "finite"])
def test_assign_refuses(model, change):
    vector = ramp(model)
    bad = {"length": vector[1:], "type": vector.astype(np.float64), "finite": np.full_like(vector, np.nan)}
    with pytest.raises(InvalidParameter):
        assign(model, bad[change])


def test_server_step_rounds_product_then_sum():
    generator = np.random.default_rng(0)
    w, mean = generator.normal(size=(2, 1000)).astype(np.float32)
    product = (mean.astype(np.float64) * np.float64(np.float32(0.7))).astype(np.float32)
    expected = (w.astype(np.float64) + product.astype(np.float64)).astype(np.float32)
    assert server_step(w, mean, 0.7).tobytes() == expected.tobytes()


@pytest.mark.parametrize(
    ("weights", "mean", "rate"),
    [
        (np.ones(3, np.float32), np.ones(2, np.float32), 1.0),
        (np.ones(3, np.float64), np.ones(3, np.float32), 1.0),
        (np.ones(3, np.float32), np.array([1, 2, np.nan], np.float32), 1.0),
        (np.ones(3, np.float32), np.ones(3, np.float32), 0.0),
        (np.ones(3, np.float32), np.ones(3, np.float32), float("nan")),
        (np.full(3, 3e38, np.float32), np.full(3, 3e38, np.float32), 1.0),
    ],
)
def test_server_step_refuses(weights, mean, rate):
    with pytest.raises(InvalidParameter):
        server_step(weights, mean, rate)


def test_checkpoint_round_trip(model):
    data = checkpoint_bytes(model, ramp(model))
    assert data == checkpoint_bytes(model, ramp(model))
    np.testing.assert_array_equal(checkpoint_weights(model, data), ramp(model))


def test_checkpoint_bytes_are_pinned():
    model = GraphModule(*export_graph(mlp(1, (), 2), torch.zeros(2, 1)))
    header = (
        b'{"0.bias":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},'
        b'"0.weight":{"dtype":"F32","shape":[2,1],"data_offsets":[8,16]}}'
    )
    header += b" " * (-len(header) % 8)
    expected = struct.pack("<Q", len(header)) + header + struct.pack("<4f", 1, 2, 3, 4)
    assert checkpoint_bytes(model, np.array([1, 2, 3, 4], np.float32)) == expected
    assert checkpoint_hash(expected) == hashlib.sha256(expected).digest()


def test_bad_checkpoint_is_refused(model):
    data = checkpoint_bytes(model, ramp(model))
    for bad in (data[:-1], data + b"\0", tensors.pack({"w": np.ones(1, np.float32)})):
        with pytest.raises(InvalidBundle):
            checkpoint_weights(model, bad)
    spaced = (int.from_bytes(data[:8], "little") + 8).to_bytes(8, "little")
    header = int.from_bytes(data[:8], "little") + 8
    with pytest.raises(InvalidBundle, match="canonical"):
        checkpoint_weights(model, spaced + data[8:header] + b" " * 8 + data[header:])
