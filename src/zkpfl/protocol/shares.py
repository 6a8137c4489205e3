"""The bytes of a share: a seed or a matrix of scalars (docs/spec.md §5)."""

from __future__ import annotations

from zkpfl.crypto.scalars import Scalars, decode_scalars, encode_scalars
from zkpfl.crypto.sharing import expand_seed
from zkpfl.errors import InvalidEncoding
from zkpfl.protocol.plan import RoundPlan

SEED_BYTES = 32
_SEED, _MATRIX = 0, 1


def encode_seed(seed: bytes) -> bytes:
    """Share of a node that expands it: kind and 32 bytes. Secret."""
    return bytes([_SEED]) + seed


def encode_matrix(rows: Scalars) -> bytes:
    """Share as scalars, row-major: kind and P·(N + 1)·32 bytes. Secret, unless it is a sum."""
    return bytes([_MATRIX]) + encode_scalars(rows)


def decode_share(plan: RoundPlan, node: int, data: bytes) -> Scalars:
    """Rows of node ``node``'s share, shape [P, N + 1, 4], from either kind.

    Raises
    ------
    InvalidEncoding
        The kind is not the one for this node, or the length is wrong.
    InvalidScalar
        A scalar is not canonical.
    """
    kind = _SEED if node < plan.committee.threshold else _MATRIX
    if data[:1] != bytes([kind]):
        raise InvalidEncoding(f"zk-node {node} expects a share of kind {kind}", field="share.kind")
    if kind == _MATRIX:
        return decode_matrix(plan, data)
    if len(data) != 1 + SEED_BYTES:
        raise InvalidEncoding(f"a seed has {SEED_BYTES} bytes, got {len(data) - 1}", field="share")
    return expand_seed(data[1:], plan.layout.packed_rows, plan.layout.columns + 1)


def decode_matrix(plan: RoundPlan, data: bytes) -> Scalars:
    """Rows of a share or sum sent as a matrix, shape [P, N + 1, 4]; raises as `decode_share`."""
    if data[:1] != bytes([_MATRIX]) or len(data) != 1 + plan.matrix_bytes:
        raise InvalidEncoding(f"a matrix has {1 + plan.matrix_bytes} bytes, got {len(data)}", field="share")
    rows, width = plan.layout.packed_rows, plan.layout.columns + 1
    return decode_scalars(memoryview(data)[1:], rows * width).reshape(rows, width, 4)
