"""What an owner uploads: graph, initial weights, recipe and test set in one checked container.

Container ``ZKPFLB01``: the eight magic bytes, then graph, weights, recipe and test set, each as its length in
eight bytes big-endian and its bytes; an absent test set has length 0. Equal content gives equal bytes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from zkpfl.errors import InvalidBundle, InvalidData, InvalidParameter
from zkpfl.learning import tensors
from zkpfl.learning.graph import MAX_GRAPH_BYTES, GraphModule
from zkpfl.learning.private_training import require_separable
from zkpfl.learning.recipe import MAX_RECIPE_BYTES, Recipe
from zkpfl.learning.records import Records
from zkpfl.learning.weights import checkpoint_bytes, dimension, flatten
from zkpfl.params import FixedPoint
from zkpfl.privacy.record_level import RecordPrivacy

MAGIC = b"ZKPFLB01"
MAX_TENSOR_BYTES = 8 + tensors.MAX_HEADER_BYTES + 4 * tensors.MAX_ELEMENTS
MAX_BUNDLE_BYTES = len(MAGIC) + 4 * 8 + MAX_GRAPH_BYTES + MAX_RECIPE_BYTES + 2 * MAX_TENSOR_BYTES

_SECTIONS = (
    ("graph", MAX_GRAPH_BYTES),
    ("weights", MAX_TENSOR_BYTES),
    ("recipe", MAX_RECIPE_BYTES),
    ("test_set", MAX_TENSOR_BYTES),
)


@dataclass(frozen=True, eq=False, repr=False)
class Bundle:
    """A model with the way to train it, confidential to the members of its job.

    Parameters
    ----------
    graph
        JSON of :mod:`zkpfl.learning.graph`.
    weights
        safetensors of the initial weights, as :func:`.tensors.pack` writes them.
    recipe
        Training recipe; the graph has one input for each feature, and the outputs that the recipe's loss
        takes: one for each class, or one alone.
    test_set
        The owner's test records, not standardised; None if the owner has none, and in the bundle of a job,
        whose members get them slice by slice.

    Raises
    ------
    InvalidBundle
        The parts are invalid or do not fit each other.
    """

    graph: bytes
    weights: bytes
    recipe: Recipe
    test_set: Records | None = None

    def __post_init__(self) -> None:
        model = self.model()
        inputs, outputs = len(self.recipe.features), self.recipe.outputs
        if (model.inputs, model.outputs) != (inputs, outputs):
            message = f"is {model.inputs} → {model.outputs}, the recipe says {inputs} → {outputs}"
            raise InvalidBundle(message, field="graph")
        if model.graph.vocabulary != self.recipe.vocabulary:
            message = f"is {model.graph.vocabulary}, the recipe says {self.recipe.vocabulary}"
            raise InvalidBundle(message, field="graph.vocabulary")
        if dimension(model) > tensors.MAX_ELEMENTS:
            raise InvalidBundle(f"has more than {tensors.MAX_ELEMENTS} weights", field="weights")
        if checkpoint_bytes(model, flatten(model)) != self.weights:
            raise InvalidBundle("not canonical", field="weights")  # such as a tensor twice
        model.require_batch(self.recipe.batch_size)
        if isinstance(self.recipe.privacy, RecordPrivacy):
            require_separable(model, self.recipe)
        self._check_noise(model)
        if self.test_set is not None:
            _check_records(self.test_set.features, self.test_set.labels, self.recipe)

    def _check_noise(self, model: GraphModule) -> None:
        """The noise must fit a model of this size: its lattice, or what a zk-node can draw."""
        privacy = self.recipe.privacy
        try:
            if isinstance(privacy, RecordPrivacy):
                privacy.lattice(sum(parameter.numel() for parameter in model.parameters()))
            elif privacy is not None:
                scale = FixedPoint(dimension(model), self.recipe.clip_norm, self.recipe.value_bits)
                privacy.node_sigma(scale.norm_bound)
        except InvalidParameter as error:
            field = f"recipe.privacy.{error.field}"
            raise InvalidBundle(error.message, field=field, hint=error.hint) from error

    @property
    def test_records(self) -> int:
        """How many records measure accuracy; 0 without a test set."""
        return 0 if self.test_set is None else len(self.test_set.labels)

    def __repr__(self) -> str:
        return f"Bundle({len(self.graph)} bytes of graph, {len(self.weights)} bytes of weights)"

    def model(self) -> GraphModule:
        """Build a fresh module with the initial weights."""
        return GraphModule(self.graph, self.weights)

    def to_bytes(self) -> bytes:
        """Encode as a container."""
        parts = [self.graph, self.weights, self.recipe.to_json(), pack_records(self.test_set)]
        return b"".join([MAGIC, *(len(part).to_bytes(8, "big") + part for part in parts)])

    @classmethod
    def from_bytes(cls, data: bytes) -> Bundle:
        """Decode and check an untrusted container.

        Raises
        ------
        InvalidBundle
            Another format, truncated, too large, bytes left over, or an invalid part; names the place.
        """
        graph, weights, recipe_json, test_set = _sections(data)
        recipe = Recipe.from_json(recipe_json)
        return cls(graph, weights, recipe, unpack_records(test_set, recipe) if test_set else None)


def _sections(data: bytes) -> list[bytes]:
    if not data.startswith(MAGIC):
        raise InvalidBundle("not a bundle of format 1", field="magic")
    sections: list[bytes] = []
    position = len(MAGIC)
    for field, limit in _SECTIONS:
        start = position + 8
        size = int.from_bytes(data[position:start], "big")
        if size > limit:
            raise InvalidBundle(f"{size} bytes, at most {limit} are accepted", field=field)
        position = start + size
        if position > len(data):
            raise InvalidBundle("truncated", field=field)
        sections.append(data[start:position])
    if position != len(data):
        raise InvalidBundle("bytes are left over", field="container")
    return sections


def pack_records(records: Records | None) -> bytes:
    """Encode records as safetensors, canonically; none as no bytes."""
    if records is None:
        return b""
    return tensors.pack({"features": records.features, "labels": records.labels})


def unpack_records(data: bytes, recipe: Recipe) -> Records:
    """Decode and check untrusted records of a recipe; raises `InvalidBundle` naming the place."""
    arrays = tensors.unpack(data, field="test_set")
    if set(arrays) != {"features", "labels"}:
        raise InvalidBundle("must hold features and labels", field="test_set")
    records = _check_records(arrays["features"], arrays["labels"], recipe)
    if pack_records(records) != data:
        raise InvalidBundle("not canonical", field="test_set")
    return records


def _check_records(features: object, labels: object, recipe: Recipe) -> Records:
    x, y = np.asarray(features), np.asarray(labels)
    if (x.dtype, y.dtype) != (recipe.feature_dtype, recipe.label_dtype):
        text = f"must be {recipe.feature_dtype} features and {recipe.label_dtype} labels"
        raise InvalidBundle(text, field="test_set")
    try:
        return recipe.checked(x, y)
    except InvalidData as error:
        raise InvalidBundle(error.message, field=f"test_set.{error.field}") from error
