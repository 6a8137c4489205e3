"""Models of token ids: an embedding survives a bundle bit by bit, trains, also privately, and is bounded."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from zkpfl.errors import InvalidBundle, InvalidData
from zkpfl.learning.averaging import simulate
from zkpfl.learning.bundle import Bundle
from zkpfl.learning.evaluation import evaluate
from zkpfl.learning.export import bundle_of, export_graph
from zkpfl.learning.graph import GraphModule
from zkpfl.learning.private_training import _per_record, require_separable
from zkpfl.learning.recipe import Recipe
from zkpfl.learning.records import Records
from zkpfl.learning.training import train_locally
from zkpfl.learning.training_worker import TrainingLimits, TrainingWorker
from zkpfl.learning.user_data import load_records
from zkpfl.learning.weights import flatten
from zkpfl.learning.work import ELEMENT, Meter
from zkpfl.privacy.record_level import RecordPrivacy

TOKENS, LENGTH, CLASSES = 11, 6, 2
RECIPE = Recipe(
    tuple(f"t{i}" for i in range(LENGTH)), ("no", "yes"), clip_norm=10.0, learning_rate=0.02,
    optimizer="adam", local_epochs=30, vocabulary=TOKENS,
)  # fmt: skip
PRIVACY = RecordPrivacy(5.0, 1e-3, 1.0, 1.0, batch=96, local_steps=3, least_records=96)


class Bag(nn.Module):
    """The mean of the tokens' rows; token 0 pads."""

    def __init__(self) -> None:
        super().__init__()
        self.table, self.head = nn.Embedding(TOKENS, 8, padding_idx=0), nn.Linear(8, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.table(x).mean(1))


class Reader(nn.Module):
    """A GRU over the tokens."""

    def __init__(self) -> None:
        super().__init__()
        self.table, self.cell = nn.Embedding(TOKENS, 8), nn.GRU(8, 8, batch_first=True)
        self.head = nn.Linear(8, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        states, _ = self.cell(self.table(x))
        return self.head(states[:, -1])


class Attention(nn.Module):
    """A Transformer's layer over tokens and their places."""

    def __init__(self) -> None:
        super().__init__()
        self.table, self.head = nn.Embedding(TOKENS, 8), nn.Linear(8, CLASSES)
        self.place = nn.Parameter(torch.zeros(LENGTH, 8).normal_(std=0.1))
        self.layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.1, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.layer(self.table(x) + self.place).mean(1))


MODELS: dict[str, Callable[[], nn.Module]] = {"bag": Bag, "gru": Reader, "attention": Attention}
NAMES = [pytest.param(name, id=name) for name in MODELS]


def module(name: str) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(7)
        return MODELS[name]()


def records(count: int = 96) -> Records:
    """Yes if token 3 is among them; half of the records have it."""
    generator = np.random.default_rng(4)
    features = generator.integers(0, TOKENS, (count, LENGTH))
    features[features == 3] = 5
    features[::2, 2] = 3
    return RECIPE.checked(features, (features == 3).any(axis=1))


@pytest.mark.parametrize("name", NAMES)
def test_outputs_and_gradients_are_bit_equal_after_the_round_trip(name: str) -> None:
    native, data = module(name).eval(), records(32)
    bundle = Bundle.from_bytes(bundle_of(native, RECIPE, data).to_bytes())
    assert bundle.test_set is not None
    assert (bundle.test_set.features.dtype, bundle.recipe.vocabulary) == (np.int64, TOKENS)
    model, x, y = bundle.model().eval(), torch.from_numpy(data.features), torch.from_numpy(data.labels)
    for rows in (1, 5, 32):
        assert torch.equal(model(x[:rows]), native(x[:rows]))
    for each in (model, native):
        cross_entropy(each(x), y).backward()
    for parameter, value in native.named_parameters():
        assert torch.equal(model.tensors()[parameter].grad, value.grad), parameter
    if name == "bag":
        assert not model.tensors()["table.weight"].grad[0].any()


@pytest.mark.parametrize("name", NAMES)
def test_it_learns(name: str) -> None:
    data = records()
    bundle = bundle_of(module(name), RECIPE, data)
    (round_,) = simulate(bundle, [data], rounds=1, seed=0)
    assert round_.score.accuracy > 0.9


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_gradients_of_single_records(name: str) -> None:
    recipe, data = replace(RECIPE, privacy=PRIVACY), records()
    native = module(name)
    for layer in native.modules():
        if isinstance(layer, nn.Dropout):
            layer.p = 0.0
    model = bundle_of(native, recipe).model().train()
    require_separable(model, recipe)
    x, y = torch.from_numpy(data.features[:9]), torch.from_numpy(data.labels[:9])
    single = _per_record(model, cross_entropy)(x, y)
    for index in range(9):
        model.zero_grad()
        cross_entropy(model(x[index : index + 1]), y[index : index + 1]).backward()
        whole = torch.cat([parameter.grad.reshape(-1) for parameter in model.parameters()])
        torch.testing.assert_close(single[index], whole, rtol=1e-4, atol=1e-6)


def test_it_trains_privately() -> None:
    recipe, data = replace(RECIPE, privacy=replace(PRIVACY, local_steps=60)), records()
    model = bundle_of(Bag(), recipe, data).model()
    start = flatten(model)
    update = train_locally(model, start, data, recipe, seed=0, noise_key=bytes(32))
    assert evaluate(model, start + update, data, recipe).accuracy > 0.8


def test_the_training_process_takes_tokens() -> None:
    bundle, data = bundle_of(module("bag"), replace(RECIPE, local_epochs=1)), records()
    start = flatten(bundle.model())
    worker = TrainingWorker(TrainingLimits())
    try:
        update = worker.train(bundle, start, data, seed=1, noise_key=None, device="cpu", timeout_s=120)
    finally:
        worker.close()
    np.testing.assert_array_equal(update, train_locally(bundle.model(), start, data, bundle.recipe, seed=1))


@pytest.mark.parametrize("token", [-1, TOKENS, 0.5, float("nan")])
def test_what_is_no_token_is_refused(token: float, tmp_path: Path) -> None:
    features = np.zeros((2, LENGTH))
    features[1, 4] = token
    np.savez(tmp_path / "x.npz", features=features, labels=np.zeros(2))
    with pytest.raises(InvalidData, match="record 1") as caught:
        load_records(str(tmp_path / "x.npz"), RECIPE)
    assert caught.value.field == "features"


def test_a_csv_may_hold_tokens(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text(",".join((*RECIPE.features, "label")) + "\n1,2,3,4,5,10,yes\n")
    read = load_records(str(tmp_path / "x.csv"), RECIPE)
    assert (read.features.dtype, read.features.tolist()) == (np.int64, [[1, 2, 3, 4, 5, 10]])


def exported() -> tuple[dict[str, object], bytes]:
    graph, weights = export_graph(Bag(), torch.zeros(2, LENGTH, dtype=torch.int64), TOKENS)
    return json.loads(graph), weights


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"padding_idx": -2}, "padding_idx"),
        ({"padding_idx": {"node": 0}}, "padding_idx"),
        ({"scale_grad_by_freq": True}, "scale_grad_by_freq"),
        ({"sparse": True}, "sparse"),
        ({"weight": {"node": "tokens"}}, "weight"),
        ({"indices": {"node": "table"}}, "indices"),
        ({"indices": 3}, "indices"),
    ],
)
def test_an_embedding_takes_tokens_and_a_table(change: dict[str, object], field: str) -> None:
    body, weights = exported()
    nodes = body["nodes"]
    place = next(i for i, node in enumerate(nodes) if node["op"] == "aten.embedding.default")
    names = {"tokens": "input", "table": "parameter"}
    indices = {key: next(i for i, node in enumerate(nodes) if node["op"] == op) for key, op in names.items()}
    text = json.dumps(change)
    for key, index in indices.items():
        text = text.replace(f'"{key}"', str(index))
    nodes[place]["args"].update(json.loads(text))
    with pytest.raises(InvalidBundle) as caught:
        GraphModule(json.dumps(body).encode(), weights)
    assert caught.value.field == f"graph.nodes[{place}].args.{field}"


@pytest.mark.parametrize("vocabulary", [0, -1, (1 << 24) + 1, 2.0, None, True])
def test_a_vocabulary_that_cannot_be_is_refused(vocabulary: object) -> None:
    body, weights = exported()
    place = next(i for i, node in enumerate(body["nodes"]) if node["op"] == "input")
    body["nodes"][place]["vocabulary"] = vocabulary
    with pytest.raises(InvalidBundle) as caught:
        GraphModule(json.dumps(body).encode(), weights)
    assert caught.value.field == f"graph.nodes[{place}].vocabulary"


def test_a_table_without_a_row_for_each_token_is_refused() -> None:
    body, weights = exported()
    next(node for node in body["nodes"] if node["op"] == "input")["vocabulary"] = TOKENS + 1
    with pytest.raises(InvalidBundle, match="does not run"):
        GraphModule(json.dumps(body).encode(), weights)


def test_tokens_go_to_embeddings_only() -> None:
    class Sum(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table = nn.Embedding(TOKENS, 2)

        def forward(self, x: Tensor) -> Tensor:
            return self.table(x).mean(1) + (x * 2).sum(1, keepdim=True)

    with pytest.raises(InvalidBundle, match="must refer to one of"):
        export_graph(Sum(), torch.zeros(2, LENGTH, dtype=torch.int64), TOKENS)
    with pytest.raises(InvalidBundle, match="must be int64"):
        export_graph(Bag(), torch.zeros(2, LENGTH), TOKENS)


def test_recipe_and_graph_agree_on_the_vocabulary() -> None:
    made = bundle_of(Bag(), RECIPE)
    for vocabulary in (None, TOKENS - 1):
        with pytest.raises(InvalidBundle) as caught:
            Bundle(made.graph, made.weights, replace(RECIPE, vocabulary=vocabulary))
        assert caught.value.field == "graph.vocabulary"


def test_a_lookup_counts_the_whole_table() -> None:
    table, ids = torch.empty(1000, 4, device="meta"), torch.empty(2, 3, dtype=torch.int64, device="meta")
    result = torch.empty(2, 3, 4, device="meta")
    work = ELEMENT * (4000 + 6 + 24)
    call = ("aten.embedding.default", {"weight": table, "indices": ids}, result)
    Meter(work, 2).charge(*call)
    with pytest.raises(InvalidBundle, match="operations"):
        Meter(work - 1, 2).charge(*call)
