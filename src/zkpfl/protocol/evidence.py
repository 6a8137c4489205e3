"""Evidence that a contract can judge: one row of a share against the commitments (docs/spec.md §9.6).

A row travels in the pieces that are the leaves of a share root, each with the generators of its columns and
their proof under a root that the judge knows; a commitment travels as affine coordinates with the proof that
its compressed form lies under the commitment root.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from zkpfl.crypto.eip2537 import POINT_BYTES, encode_points
from zkpfl.crypto.generators import MAX_COLUMNS, generators
from zkpfl.crypto.merkle import PIECE_COLUMNS, merkle_proof, merkle_root, share_leaf, share_proof
from zkpfl.crypto.points import POINT_BYTES as COMPRESSED_BYTES
from zkpfl.crypto.points import G1Array
from zkpfl.crypto.scalars import Scalars
from zkpfl.protocol.plan import RoundPlan

HALF_COLUMNS = 256
"""Columns of one leaf of the generators' tree: every row has a multiple of them."""


@dataclass(frozen=True)
class Piece:
    """A piece of a row: scalars, their proof under the share root, their generators and the proofs of these.

    Parameters
    ----------
    scalars
        32 bytes each; of the last piece, the last is the blinding.
    proof
        Siblings under the share root.
    generators
        Points of 128 bytes, without H.
    generator_proofs
        Siblings under the generators' root: of each 256 columns, one after the other.
    """

    scalars: bytes
    proof: tuple[bytes, ...]
    generators: bytes
    generator_proofs: tuple[bytes, ...]


@dataclass(frozen=True)
class Opening:
    """A commitment in affine coordinates (128 bytes) and the siblings of its leaf."""

    point: bytes
    proof: tuple[bytes, ...]


@cache
def _generator_leaves() -> tuple[bytes, ...]:
    points = encode_points(generators(MAX_COLUMNS).G)
    size = HALF_COLUMNS * POINT_BYTES
    return tuple(points[start : start + size] for start in range(0, len(points), size))


def generators_root() -> bytes:
    """Merkle root over all generators ``G_c``, 256 points of 128 bytes a leaf; the judge has it built in.

    Made once a process, in seconds.
    """
    return merkle_root(_generator_leaves())


def row_pieces(rows: Scalars, row: int) -> tuple[Piece, ...]:
    """Cut a row of a share into what the judge takes one after the other.

    Parameters
    ----------
    rows
        The whole share, shape [P, N + 1, 4]; public once one row is evidence.
    row
        p, which row.
    """
    columns = rows.shape[1] - 1
    return tuple(_piece(rows, row, number, columns) for number in range(-(-(columns + 1) // PIECE_COLUMNS)))


def _piece(rows: Scalars, row: int, number: int, columns: int) -> Piece:
    first = number * PIECE_COLUMNS // HALF_COLUMNS
    last = min((number + 1) * PIECE_COLUMNS, columns) // HALF_COLUMNS
    leaves = _generator_leaves()
    proofs = [merkle_proof(leaves, half) for half in range(first, last)]
    return Piece(
        scalars=share_leaf(rows, row, number),
        proof=tuple(share_proof(rows, row, number)),
        generators=b"".join(leaves[first:last]),
        generator_proofs=tuple(sibling for proof in proofs for sibling in proof),
    )


def row_leaves(plan: RoundPlan, node: int, row: int) -> tuple[int, ...]:
    """Which commitments of a submission make up row ``row`` of node ``node``'s share, in the judge's order.

    The lanes of the row and then rows of f(1) … f(t−1); of a node below t, only the row of its own f.
    """
    layout, threshold = plan.layout, plan.committee.threshold
    published = [layout.lane_rows + k * layout.packed_rows + row for k in range(threshold - 1)]
    if node < threshold:
        return (published[node - 1],)
    first = row * layout.lanes
    return (*range(first, min(first + layout.lanes, layout.lane_rows)), *published)


def openings(points: G1Array, leaves: Sequence[int]) -> tuple[Opening, ...]:
    """Open leaves of a commitment root over ``points``."""
    compressed = points.encode()
    return tuple(
        Opening(
            encode_points(points[leaf : leaf + 1]), tuple(merkle_proof(compressed, leaf, COMPRESSED_BYTES))
        )
        for leaf in leaves
    )
