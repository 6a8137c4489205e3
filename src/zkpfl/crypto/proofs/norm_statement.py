"""What the norm proof is about, and what its prover knows (docs/spec.md §7)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Self

import numpy as np

from zkpfl.crypto.generators import MAX_COLUMNS, Generators
from zkpfl.crypto.points import G1Array
from zkpfl.crypto.proofs.norm_shape import Shape
from zkpfl.crypto.proofs.norm_table import Integers, Table
from zkpfl.crypto.scalars import Scalars, check_scalars
from zkpfl.crypto.transcript import Context, Label, Transcript
from zkpfl.errors import InvalidParameter, InvalidUpdate
from zkpfl.params import Layout

ADDRESS_BYTES = 20
HASH_BYTES = 32
LEAST_COLUMNS = 256
MOST_DIMENSION = 1 << 26
BOUND_LIMIT = 1 << 62
"""B² must be below: part of the argument that no sum wraps around."""


@dataclass(frozen=True)
class Statement:
    """The integers that are committed row by row have a squared L2 norm of at most B².

    Parameters
    ----------
    context
        Chain, contract, job and round.
    trainer
        Account of the trainer, 20 bytes.
    checkpoint
        Hash of the model that the round starts from, 32 bytes.
    dimension
        d, 1 to 2^26.
    columns
        N, a power of two from 256 to 16384.
    bound_squared
        B², 0 to 2^62 − 1.
    commitments
        ``C_λ``, ceil(d / N) points.
    """

    context: Context
    trainer: bytes
    checkpoint: bytes
    dimension: int
    columns: int
    bound_squared: int
    commitments: G1Array

    def __post_init__(self) -> None:
        """Refuse statements of which the proof says nothing."""
        n, rows = self.columns, len(self.commitments)
        _require(len(self.trainer) == ADDRESS_BYTES, "trainer", "must be an address of 20 bytes")
        _require(len(self.checkpoint) == HASH_BYTES, "checkpoint", "must be a hash of 32 bytes")
        _require(
            LEAST_COLUMNS <= n <= MAX_COLUMNS and n & (n - 1) == 0,
            "columns",
            f"must be a power of two from {LEAST_COLUMNS} to {MAX_COLUMNS}, got {n}",
        )
        _require(
            1 <= self.dimension <= MOST_DIMENSION, "dimension", f"must be 1 to 2^26, got {self.dimension}"
        )
        wanted = -(-self.dimension // n)
        _require(rows == wanted, "commitments", f"must be {wanted}, one a lane row, got {rows}")
        _require(0 <= self.bound_squared < BOUND_LIMIT, "bound_squared", "must be 0 to 2^62 − 1")

    @classmethod
    def of(
        cls, context: Context, trainer: bytes, checkpoint: bytes, layout: Layout, commitments: G1Array
    ) -> Self:
        """Make the statement about the lane commitments of a submission under a job's layout."""
        bound = layout.norm_bound
        return cls(context, trainer, checkpoint, layout.dimension, layout.columns, bound * bound, commitments)

    @property
    def shape(self) -> Shape:
        """Sizes of the proof."""
        return Shape(len(self.commitments), self.columns)

    def absorb_into(self, transcript: Transcript) -> None:
        """Bind all of the statement."""
        rows = len(self.commitments)
        transcript.absorb(Label.CONTEXT, self.context.to_bytes())
        transcript.absorb(Label.TRAINER, self.trainer)
        transcript.absorb(Label.CHECKPOINT, self.checkpoint)
        table = self.dimension.to_bytes(8, "big") + self.columns.to_bytes(4, "big")
        shape = table + rows.to_bytes(4, "big") + self.bound_squared.to_bytes(8, "big")
        transcript.absorb(Label.SHAPE, shape)
        transcript.absorb(Label.LANE_COMMITMENTS, self.commitments.encode())

    def check_generators(self, gens: Generators) -> None:
        """Raise InvalidParameter unless the generators are for N columns."""
        _require(gens.columns == self.columns, "gens", f"has {gens.columns} columns, the rows {self.columns}")


@dataclass(frozen=True)
class Witness:
    """What the trainer knows.

    Parameters
    ----------
    values
        x, int16 or (noise) int64 of at most 30 bits, shape (d,). Secret.
    blindings
        ρ of the lane commitments, shape (rows, 4). Secret.
    """

    values: Integers = field(repr=False)
    blindings: Scalars = field(repr=False)

    def check(self, statement: Statement) -> None:
        """Raise InvalidParameter if shapes do not fit, InvalidUpdate if the norm is above the bound."""
        wanted = (statement.dimension,)
        _require(
            self.values.dtype in (np.int16, np.int64) and self.values.shape == wanted,
            "values",
            f"must be int16 or int64 of shape {wanted}, got {self.values.dtype} of shape {self.values.shape}",
        )
        check_scalars(self.blindings, (len(statement.commitments),), field="blindings")
        if self.squared_norm() > statement.bound_squared:
            raise InvalidUpdate(
                "has a norm above the bound", field="values", hint="clip the update before it is committed"
            )

    def squared_norm(self) -> int:
        """``‖x‖²``, exact."""
        return self.table(len(self.values)).squared_norm()

    def table(self, size: int) -> Table:
        """Values of whole rows, as the kernels read them."""
        return Table.of(self.values, size)


def _require(condition: bool, name: str, message: str) -> None:
    if not condition:
        raise InvalidParameter(message, field=name)
