"""The ATen operators that a stranger's graph may call, and the check of their arguments.

Every operator here is a pure function of its arguments (batch norm also moves its running statistics), the
shape of its result follows from the shapes of its arguments, and none reads files, memory addresses or code.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

import torch

from zkpfl.errors import InvalidBundle

_ATEN = torch.ops.aten

ALLOWED: dict[str, Any] = {
    str(operator): operator
    for operator in (
        _ATEN.linear.default, _ATEN.matmul.default, _ATEN.embedding.default,
        _ATEN.conv1d.default, _ATEN.conv1d.padding, _ATEN.conv2d.default, _ATEN.conv2d.padding,
        _ATEN.max_pool1d.default, _ATEN.avg_pool1d.default, _ATEN.adaptive_avg_pool1d.default,
        _ATEN.max_pool2d.default, _ATEN.avg_pool2d.default, _ATEN.adaptive_avg_pool2d.default,
        _ATEN.lstm.input, _ATEN.gru.input, _ATEN.scaled_dot_product_attention.default, _ATEN.bmm.default,
        _ATEN.relu.default, _ATEN.leaky_relu.default, _ATEN.elu.default, _ATEN.gelu.default,
        _ATEN.silu.default, _ATEN.tanh.default, _ATEN.sigmoid.default, _ATEN.softmax.int,
        _ATEN.softplus.default, _ATEN.hardtanh.default, _ATEN.mish.default, _ATEN.prelu.default,
        _ATEN.exp.default, _ATEN.neg.default, _ATEN.abs.default, _ATEN.sqrt.default, _ATEN.rsqrt.default,
        _ATEN.clamp.default, _ATEN.pow.Tensor_Scalar,
        _ATEN.log_softmax.int, _ATEN.add.Tensor, _ATEN.sub.Tensor, _ATEN.mul.Tensor, _ATEN.div.Tensor,
        _ATEN.batch_norm.default, _ATEN.group_norm.default, _ATEN.layer_norm.default, _ATEN.dropout.default,
        _ATEN.mean.dim, _ATEN.sum.dim_IntList, _ATEN.amax.default, _ATEN.cat.default, _ATEN.stack.default,
        _ATEN.chunk.default, _ATEN.select.int, _ATEN.slice.Tensor, _ATEN.expand.default, _ATEN.zeros.default,
        _ATEN.contiguous.default, _ATEN.clone.default,
        _ATEN.flatten.using_ints, _ATEN.unflatten.int, _ATEN.reshape.default, _ATEN.view.default,
        _ATEN.unsqueeze.default, _ATEN.squeeze.dim, _ATEN.transpose.int, _ATEN.permute.default,
        _ATEN.sym_size.int, _ATEN.add.int, _ATEN.sub.int, _ATEN.mul.int, _ATEN.floordiv.int,
    )
}  # fmt: skip

ITEM = "item"
"""The one operator that is not ATen's: ``of[index]``, one of the tensors that an operator returned."""

OPERATORS = frozenset(ALLOWED) | {ITEM}

MODE_ARGUMENT = {
    "aten.dropout.default": "train",
    "aten.batch_norm.default": "training",
    "aten.lstm.input": "train",
    "aten.gru.input": "train",
}
"""The argument that follows the module's train/eval mode instead of the graph."""

MAX_INTEGER = 1 << 26
MAX_NUMBER = 1e6
MAX_LIST = 64

# Torch divides by some of these: a zero must not reach its kernels. And a wide window with a long stride
# would need memory that the sizes of the results do not show.
_POSITIVE = (1, MAX_INTEGER)
_WINDOW = (1, 256)
_RANGES = {
    "groups": _POSITIVE,
    "num_groups": _POSITIVE,
    "output_size": _POSITIVE,
    "kernel_size": _WINDOW,
    "stride": _WINDOW,
    "dilation": _WINDOW,
    "padding": (0, 256),
    "num_layers": (1, 8),
    "chunks": (1, MAX_LIST),
    "step": _POSITIVE,
    "padding_idx": (-1, MAX_INTEGER),
}
_WORDS = {"none", "tanh", "same", "valid"}
_TENSORS = {"input", "parameter", "buffer", "Tensor"}
_UNSET = {"scale_grad_by_freq", "sparse"}
"""Of an embedding: gradients that depend on the other records of a batch, or that no optimizer here takes."""

TOKENS = "tokens"
"""Kind of an input of token ids: an embedding looks them up, and their shape may be asked for."""
_OF_TOKENS = {
    "aten.embedding.default": ("indices", {TOKENS}),
    "aten.sym_size.int": ("self", {*_TENSORS, TOKENS}),
}
"""The arguments that take them, and what these take."""


@dataclass(frozen=True)
class Reference:
    """The value of an earlier node."""

    node: int


def result_kind(operator: str) -> str:
    """Type that an operator returns: ``"Tensor"``, ``"int"``, or ``"Tensors"`` for several at once."""
    if operator == ITEM:
        return "Tensor"
    returns = ALLOWED[operator]._schema.returns
    return str(returns[0].type) if len(returns) == 1 and returns[0].type.kind() != "ListType" else "Tensors"


def check_arguments(
    operator: str, arguments: Mapping[str, object], kinds: Sequence[str], *, field: str
) -> dict[str, Any]:
    """Check a call against the operator's own schema.

    Parameters
    ----------
    operator
        A key of ``ALLOWED``.
    arguments
        Untrusted JSON values by argument name; ``{"node": i}`` refers to an earlier node.
    kinds
        What the earlier nodes are: ``input``, ``tokens``, ``parameter``, ``buffer``, or the type that an
        operator returns.
    field
        Where the call stands, for the error.

    Returns
    -------
    dict
        The arguments with references resolved to :class:`Reference`.

    Raises
    ------
    InvalidBundle
        An argument is missing, unknown, of the wrong type or out of bounds, or refers forwards.
    """
    if operator == ITEM:
        return _check_item(arguments, kinds, field)
    schema = {argument.name: argument for argument in ALLOWED[operator]._schema.arguments}
    if unknown := arguments.keys() - schema.keys():
        raise InvalidBundle(f"{operator} has no arguments {sorted(unknown)}", field=field)
    checked = {}
    for name, declared in schema.items():
        if name in arguments:
            special, taken = _OF_TOKENS.get(operator, ("", _TENSORS))
            tensors = taken if name == special else _TENSORS
            check = _Argument(name, kinds, f"{field}.args.{name}", tensors)
            checked[name] = check.value(str(declared.type), arguments[name])
        elif not declared.has_default_value():
            raise InvalidBundle(f"{operator} misses the argument {name}", field=field)
    if operator == "aten.batch_norm.default":
        _require_running_statistics(checked, kinds, field)
    return checked


def _check_item(arguments: Mapping[str, object], kinds: Sequence[str], field: str) -> dict[str, Any]:
    if arguments.keys() != {"of", "index"}:
        raise InvalidBundle("must be of and index", field=f"{field}.args")
    of = _Argument("of", kinds, f"{field}.args.of", {"Tensors"})._reference(arguments["of"], {"Tensors"})
    index = arguments["index"]
    if type(index) is not int or not 0 <= index < MAX_LIST:
        raise InvalidBundle(f"must be an integer from 0 to {MAX_LIST - 1}", field=f"{field}.args.index")
    return {"of": of, "index": index}


def _require_running_statistics(arguments: Mapping[str, Any], kinds: Sequence[str], field: str) -> None:
    # Without them a prediction would depend on the other records of its batch; in place, so buffers only.
    for name in ("running_mean", "running_var"):
        value = arguments[name]
        if not isinstance(value, Reference) or kinds[value.node] != "buffer":
            raise InvalidBundle("must be a buffer", field=f"{field}.args.{name}")


@dataclass(frozen=True)
class _Argument:
    """Checks one argument by the type that the schema declares."""

    name: str
    kinds: Sequence[str]
    field: str
    tensors: Set[str]

    def value(self, declared: str, value: object) -> Any:
        if declared.startswith("Optional["):
            return None if value is None else self.value(declared.removeprefix("Optional[")[:-1], value)
        if declared.startswith("List["):
            return self._list(declared.removeprefix("List[")[:-1], value)
        checks: dict[str, Callable[[object], Any]] = {
            "Tensor": self._tensor,
            "int": self._integer,
            "float": self._number,
            "number": self._number,
            "bool": self._bool,
            "str": self._word,
        }
        if self.name == "dtype" or declared not in checks:
            raise self._refuse("may not be set")
        return checks[declared](value)

    def _refuse(self, message: str) -> InvalidBundle:
        return InvalidBundle(message, field=self.field)

    def _list(self, element: str, value: object) -> list[Any]:
        if not isinstance(value, list) or len(value) > MAX_LIST:
            raise self._refuse(f"must be a list of at most {MAX_LIST}")
        return [self.value(element, item) for item in value]

    def _reference(self, value: object, wanted: Set[str]) -> Reference:
        if not isinstance(value, dict) or value.keys() != {"node"} or type(value["node"]) is not int:
            raise self._refuse('must be {"node": index}')
        if not 0 <= value["node"] < len(self.kinds):
            raise self._refuse("must refer to an earlier node")
        if self.kinds[value["node"]] not in wanted:
            raise self._refuse(f"must refer to one of {sorted(wanted)}")
        return Reference(value["node"])

    def _tensor(self, value: object) -> Reference | float:
        if self.name == "other" and not isinstance(value, dict):
            return self._number(value)
        return self._reference(value, self.tensors)

    def _integer(self, value: object) -> Reference | int:
        if (
            isinstance(value, dict) and self.name not in _RANGES
        ):  # what has a range must show that it is in it
            return self._reference(value, {"int"})
        low, high = _RANGES.get(self.name, (-MAX_INTEGER, MAX_INTEGER))
        if type(value) is not int or not low <= value <= high:
            raise self._refuse(f"must be an integer from {low} to {high}")
        return value

    def _number(self, value: object) -> float:
        if type(value) not in (int, float) or not math.isfinite(value) or abs(value) > MAX_NUMBER:  # type: ignore[arg-type]
            raise self._refuse(f"must be a number of at most {MAX_NUMBER:g} in absolute value")
        return value  # type: ignore[return-value]

    def _bool(self, value: object) -> bool:
        if type(value) is not bool:
            raise self._refuse("must be true or false")
        if value and self.name in _UNSET:
            raise self._refuse("must be false")
        return value

    def _word(self, value: object) -> str:
        if not isinstance(value, str) or value not in _WORDS:
            raise self._refuse(f"must be one of {sorted(_WORDS)}")
        return value
