"""What the norm proof is about (docs/spec.md §7)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Self

from zkpfl.crypto.points import G1Array
from zkpfl.crypto.proofs.committed_update import CommittedUpdate, Witness, require
from zkpfl.crypto.proofs.shape import Shape
from zkpfl.crypto.transcript import Context, Transcript
from zkpfl.errors import InvalidUpdate
from zkpfl.params import Layout

BOUND_LIMIT = 1 << 62
"""B² must be below: part of the argument that no sum wraps around."""


@dataclass(frozen=True)
class Statement(CommittedUpdate):
    """The integers that are committed row by row have a squared L2 norm of at most B².

    Parameters
    ----------
    context, trainer, checkpoint, dimension, columns, commitments
        See `CommittedUpdate`.
    bound_squared
        B², 0 to 2^62 − 1.
    """

    bound_squared: int = field(kw_only=True)

    def __post_init__(self) -> None:
        """Refuse statements of which the proof says nothing."""
        super().__post_init__()
        require(0 <= self.bound_squared < BOUND_LIMIT, "bound_squared", "must be 0 to 2^62 − 1")

    @classmethod
    def of(
        cls, context: Context, trainer: bytes, checkpoint: bytes, layout: Layout, commitments: G1Array
    ) -> Self:
        """Make the statement about the lane commitments of a submission under a job's layout."""
        d, columns, bound = layout.dimension, layout.columns, layout.norm_bound
        return cls(context, trainer, checkpoint, d, columns, commitments, bound_squared=bound * bound)

    @property
    def shape(self) -> Shape:
        """Sizes of the proof."""
        return Shape.of_norm(len(self.commitments), self.columns)

    def absorb_into(self, transcript: Transcript) -> None:
        """Bind all of the statement."""
        self.absorb_update(transcript, self.bound_squared.to_bytes(8, "big"))

    def check_witness(self, witness: Witness) -> None:
        """Raise InvalidParameter if shapes do not fit, InvalidUpdate if the norm is above the bound."""
        witness.check(self)
        if witness.squared_norm() > self.bound_squared:
            raise InvalidUpdate(
                "has a norm above the bound", field="values", hint="clip the update before it is committed"
            )
