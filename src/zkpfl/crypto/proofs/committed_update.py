"""What the proofs of a trainer are about: an update that is committed to row by row (docs/spec.md §7)."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from zkpfl.crypto.generators import MAX_COLUMNS, Generators
from zkpfl.crypto.points import G1Array
from zkpfl.crypto.proofs.table import Integers, Table
from zkpfl.crypto.scalars import Scalars, check_scalars
from zkpfl.crypto.transcript import Context, Label, Transcript
from zkpfl.errors import InvalidParameter

ADDRESS_BYTES = 20
HASH_BYTES = 32
LEAST_COLUMNS = 256
MOST_DIMENSION = 1 << 26


@dataclass(frozen=True)
class CommittedUpdate:
    """The lane commitments of a submission, and whose they are.

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
    commitments
        ``C_λ``, ceil(d / N) points.
    """

    context: Context
    trainer: bytes
    checkpoint: bytes
    dimension: int
    columns: int
    commitments: G1Array

    def __post_init__(self) -> None:
        """Refuse updates of which the proofs say nothing."""
        n, rows = self.columns, len(self.commitments)
        require(len(self.trainer) == ADDRESS_BYTES, "trainer", "must be an address of 20 bytes")
        require(len(self.checkpoint) == HASH_BYTES, "checkpoint", "must be a hash of 32 bytes")
        require(
            LEAST_COLUMNS <= n <= MAX_COLUMNS and n & (n - 1) == 0,
            "columns",
            f"must be a power of two from {LEAST_COLUMNS} to {MAX_COLUMNS}, got {n}",
        )
        require(
            1 <= self.dimension <= MOST_DIMENSION, "dimension", f"must be 1 to 2^26, got {self.dimension}"
        )
        wanted = -(-self.dimension // n)
        require(rows == wanted, "commitments", f"must be {wanted}, one a lane row, got {rows}")

    def absorb_update(self, transcript: Transcript, terms: bytes = b"") -> None:
        """Bind all of the above, and what else the shape of a statement is made of."""
        rows = len(self.commitments)
        transcript.absorb(Label.CONTEXT, self.context.to_bytes())
        transcript.absorb(Label.TRAINER, self.trainer)
        transcript.absorb(Label.CHECKPOINT, self.checkpoint)
        table = self.dimension.to_bytes(8, "big") + self.columns.to_bytes(4, "big")
        transcript.absorb(Label.SHAPE, table + rows.to_bytes(4, "big") + terms)
        transcript.absorb(Label.LANE_COMMITMENTS, self.commitments.encode())

    def check_generators(self, gens: Generators) -> None:
        """Raise InvalidParameter unless the generators are for N columns."""
        require(gens.columns == self.columns, "gens", f"has {gens.columns} columns, the rows {self.columns}")


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

    def check(self, update: CommittedUpdate) -> None:
        """Raise InvalidParameter if shapes do not fit."""
        wanted = (update.dimension,)
        require(
            self.values.dtype in (np.int16, np.int64) and self.values.shape == wanted,
            "values",
            f"must be int16 or int64 of shape {wanted}, got {self.values.dtype} of shape {self.values.shape}",
        )
        check_scalars(self.blindings, (len(update.commitments),), field="blindings")

    def squared_norm(self) -> int:
        """``‖x‖²``, exact."""
        return self.table(len(self.values)).squared_norm()

    def table(self, size: int) -> Table:
        """Values of whole rows, as the kernels read them."""
        return Table.of(self.values, size)


def require(condition: bool, name: str, message: str) -> None:
    """Raise InvalidParameter unless the condition holds."""
    if not condition:
        raise InvalidParameter(message, field=name)
