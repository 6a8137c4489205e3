"""Contribution proof: how far a hidden update goes the way that the others go (docs/spec.md §7.2).

Statement: the trainer knows x with ``C_λ = ⟨x_λ, G⟩ + ρ_λ·H`` for every lane row, and ``D·⟨x, V − x_V⟩``
is the stated value, V and x_V being the parts of the sum and of x that are orthogonal to the last public
updates. Nothing else about x is revealed. That the equation mod r is one between integers follows from the
norm proof of the same commitments. docs/notes/contribution-proof.md has the argument.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Self

import numpy as np

from zkpfl import _core
from zkpfl.crypto.commitments import commit_rows
from zkpfl.crypto.generators import Generators
from zkpfl.crypto.points import G1Array
from zkpfl.crypto.proofs import masks, row_opening
from zkpfl.crypto.proofs.committed_update import CommittedUpdate, Witness, require
from zkpfl.crypto.proofs.direction import Direction, applied, products
from zkpfl.crypto.proofs.equation import Equation, failing_of, hold
from zkpfl.crypto.proofs.masked_proof import MaskedProof
from zkpfl.crypto.proofs.masked_sumcheck import Prover, replay
from zkpfl.crypto.proofs.row_opening import Rows, column_weights, open_rows, row_weights
from zkpfl.crypto.proofs.shape import CORNERS, MaskRow, Shape, corner_weights, powers
from zkpfl.crypto.proofs.table import Part, Table
from zkpfl.crypto.scalars import (
    ORDER,
    Scalars,
    encode_scalars,
    from_int,
    inner_product,
    linear_combination,
    to_int,
)
from zkpfl.crypto.transcript import Context, Domain, Label, Transcript
from zkpfl.errors import InvalidParameter, InvalidUpdate
from zkpfl.params import Layout

__all__ = [
    "Direction",
    "Statement",
    "Witness",
    "proof_bytes",
    "prove",
    "prove_with_masks",
    "verify",
    "verify_batch",
]

VALUE_BYTES = 32
_PLACES = ((1, 0), (0, 1), (-1, 1))
"""A variable at 0, 1 and ∞, as a combination of both halves of a table."""


@dataclass(frozen=True)
class Statement(CommittedUpdate):
    """The committed update has this contribution.

    Parameters
    ----------
    context, trainer, checkpoint, dimension, columns, commitments
        See `CommittedUpdate`.
    direction
        Along what it is measured.
    value
        ``D·⟨x, V − x_V⟩``, at most ``direction.limit`` on either side.
    """

    direction: Direction = field(kw_only=True)
    value: int = field(kw_only=True)

    def __post_init__(self) -> None:
        """Refuse statements of which the proof says nothing."""
        super().__post_init__()
        require(len(self.direction) == self.dimension, "direction", f"must have {self.dimension} coordinates")
        limit = self.direction.limit
        require(-limit <= self.value <= limit, "value", "is more than any update can contribute")

    @classmethod
    def of(
        cls,
        context: Context,
        trainer: bytes,
        checkpoint: bytes,
        layout: Layout,
        commitments: G1Array,
        direction: Direction,
        value: int,
    ) -> Self:
        """Make the statement about the lane commitments of a submission under a job's layout."""
        d, columns = layout.dimension, layout.columns
        return cls(context, trainer, checkpoint, d, columns, commitments, direction=direction, value=value)

    @property
    def shape(self) -> Shape:
        """Sizes of the proof."""
        return Shape.of_contribution(len(self.commitments), self.columns)

    def start(self) -> Transcript:
        """The transcript after the statement."""
        transcript = Transcript(Domain.CONTRIBUTION)
        self.absorb_update(transcript)
        of_total, of_updates = self.direction.digests
        transcript.absorb(Label.AGGREGATE, of_total)
        transcript.absorb(Label.PUBLIC_UPDATES, of_updates)
        transcript.absorb(Label.VALUE, self.value.to_bytes(VALUE_BYTES, "big", signed=True))
        return transcript


def proof_bytes(rows: int, columns: int) -> int:
    """Size of a proof, whatever the update: 2,688 for d = 2^20 and N = 2048."""
    return Shape.of_contribution(rows, columns).proof_bytes


def prove(statement: Statement, witness: Witness, gens: Generators) -> bytes:
    """Prove ``statement`` with hedged masks, as those of a norm proof are.

    Parameters
    ----------
    statement
        What is claimed.
    witness
        Values (int16) and blindings. Secret.
    gens
        Generators for N columns.

    Returns
    -------
    bytes
        ``proof_bytes(rows, N)`` bytes. Wrong blindings give a proof too, which does not verify.

    Raises
    ------
    InvalidParameter
        If the shape of the witness does not fit the statement.
    InvalidUpdate
        If the update does not contribute what is stated.

    Notes
    -----
    Kernels run on all threads without the GIL. Multi-scalar multiplications take a time that depends on
    secrets.
    """
    return prove_with_masks(statement, witness, gens, masks.hedged_key(statement.start(), witness))


def prove_with_masks(statement: Statement, witness: Witness, gens: Generators, key: bytes) -> bytes:
    """Prove with the masks that are expanded from a key of 32 bytes.

    For test vectors only: two proofs under the same key reveal the update.
    """
    witness.check(statement)
    statement.check_generators(gens)
    shape, own, transcript = statement.shape, masks.draw(key, 0, statement.shape), statement.start()
    measured = _Measured.of(statement.direction, witness.table(1 << shape.variables))
    if measured.value != statement.value:
        raise InvalidUpdate("does not contribute what is stated", field="values")
    row = np.concatenate((from_int(measured.along_updates), own.columns))
    mask_commitment = commit_rows(np.vstack((row, own.blinding))[None], gens).encode()
    transcript.absorb(Label.MASK_ROW, mask_commitment)
    mu = transcript.challenge_scalar(Label.UPDATE_POWERS)
    mask = MaskRow(to_int(row[: shape.masks]), shape)
    prover = Prover(transcript, shape, mask, _Summand(measured, mu, mask))
    claims = encode_scalars(from_int(prover.run()))
    transcript.absorb(Label.CLAIMS, claims)
    theta = transcript.challenge_scalar(Label.CLAIM_POWERS)
    phi = _functional(statement, prover.rho, mu, theta)
    rows = Rows(shape, witness.table(shape.size), witness.blindings, row, own)
    return mask_commitment + prover.sent + claims + open_rows(transcript, gens, rows, prover.rho, phi)


def verify(statement: Statement, proof: bytes, gens: Generators) -> bool:
    """Whether ``proof`` shows that the statement is true.

    Raises
    ------
    InvalidEncoding, InvalidPoint, InvalidScalar
        The proof does not decode.
    """
    return hold([_equation(statement, proof, gens)], gens)


def verify_batch(
    statements: Sequence[Statement], proofs: Sequence[bytes], gens: Generators
) -> tuple[int, ...]:
    """Check many proofs by one multi-scalar multiplication; return the indices of those that fail, ascending.

    A proof that does not decode fails. See `norm.verify_batch`.
    """
    return failing_of(_equation, statements, proofs, gens)


@dataclass(frozen=True)
class _Measured:
    """The prover's update against all tables. Secret.

    Parameters
    ----------
    direction
        What it is measured along.
    x
        Padded to the whole cube.
    tables
        For each table of the direction's stack, and then for x itself, the 4 × 4 products of the quarters of
        x and of the table: quarters as the two top variables are.
    """

    direction: Direction
    x: Part = field(repr=False)
    tables: list[list[list[int]]] = field(repr=False)

    @classmethod
    def of(cls, direction: Direction, table: Table) -> Self:
        if len(table.parts) > 1:  # noise of zk-nodes, which contributes nothing
            raise InvalidParameter("must be int16", field="values")
        x = table.parts[0]
        stack = np.concatenate((direction.stack(len(x)), x[None]))
        found = products(x.reshape(4, -1), stack.reshape(4 * len(stack), -1))
        return cls(direction, x, found.reshape(4, len(stack), 4).transpose(1, 0, 2).tolist())

    @property
    def along_updates(self) -> list[int]:
        """P: ``⟨x, U_j⟩``, and zeros."""
        p = self._sums[len(self.direction.parts) : -1]
        return p + [0] * (CORNERS - len(p))

    @property
    def value(self) -> int:
        """The contribution."""
        return self.direction.value(self._sums[:-1], self._sums[-1])

    @property
    def _sums(self) -> list[int]:
        """Products of x with whole tables."""
        return [sum(table[i][i] for i in range(4)) for table in self.tables]


@dataclass(frozen=True)
class _Summand:
    """``x·(A − x) + 2^-(n-2)·p·(G⁻¹·p)``: see `masked_sumcheck.Summand`."""

    measured: _Measured = field(repr=False)
    mu: int
    mask: MaskRow = field(repr=False)

    @property
    def y_lift(self) -> int:
        return -1

    @property
    def corners(self) -> tuple[Sequence[int], Sequence[int]]:
        p = self.mask.corners
        return p, [value % ORDER for value in applied(self.measured.direction.partner, p)]

    @property
    def corner_lifts(self) -> tuple[int, int]:
        _, first, second = self.mask.lifts
        return first, second

    def grid(self) -> list[list[int]]:
        weights = [*self.measured.direction.coefficients(self.mu), -1]
        tables = self.measured.tables
        quarters = [
            [_weighed(weights, [table[i][j] for table in tables]) for j in range(4)] for i in range(4)
        ]
        return [[_at(quarters, first, second) for second in _PLACES] for first in _PLACES]

    def bind_first(self, rho: Scalars) -> tuple[Scalars, Scalars]:
        x, eq = self.measured.x, _core.equality_table(rho)
        bound = _core.fold_rows(x, eq)
        stack = self.measured.direction.stack(len(x))
        y = _core.fold_rows(stack.reshape(-1), _weights(self.measured.direction, self.mu, eq))
        return bound, linear_combination((y, bound), from_int((1, -1)))


def _at(quarters: list[list[int]], first: tuple[int, int], second: tuple[int, int]) -> int:
    """The product of both tables, quarters given, with the two top variables at two places."""
    corner = [a * b for a in first for b in second]
    return sum(a * b * quarters[i][j] for i, a in enumerate(corner) for j, b in enumerate(corner)) % ORDER


def _weighed(weights: Sequence[int], values: Sequence[int]) -> int:
    return sum(weight * value for weight, value in zip(weights, values, strict=True))


def _weights(direction: Direction, mu: int, eq: Scalars) -> Scalars:
    """Of the rows of all tables in the direction's stack, if each has the weights ``eq``."""
    of_tables = from_int(direction.coefficients(mu))
    return np.concatenate([linear_combination((eq,), weight[None]) for weight in of_tables])


def _equation(statement: Statement, proof: bytes, gens: Generators) -> Equation:
    statement.check_generators(gens)
    return equation(statement, MaskedProof.decode(proof, statement.shape))


def equation(statement: Statement, proof: MaskedProof) -> Equation:
    """Replay the messages of a decoded proof, which holds if and only if the equation does."""
    shape, direction, transcript = statement.shape, statement.direction, statement.start()
    transcript.absorb(Label.MASK_ROW, proof.mask_commitment)
    mu = transcript.challenge_scalar(Label.UPDATE_POWERS)
    rho, first, last = replay(transcript, proof.polynomials, proof.scalars)
    transcript.absorb(Label.CLAIMS, proof.claims)
    theta = transcript.challenge_scalar(Label.CLAIM_POWERS)
    x, p, partner = proof.values
    l1 = statement.value * pow(direction.denominator, -1, ORDER) - first
    corners = pow(2, 2 - shape.variables, ORDER) * p * partner
    l2 = last - x * (_evaluated(statement, mu, rho) - x) - corners
    t = row_opening.claimed_value(proof.values, l1, l2, theta)
    phi = _functional(statement, rho, mu, theta)
    return row_opening.equation(transcript, shape, statement.commitments, proof, rho, phi, t)


def _evaluated(statement: Statement, mu: int, rho: Sequence[int]) -> int:
    """``Ã(ρ)``."""
    shape, direction = statement.shape, statement.direction
    weights = _weights(direction, mu, row_weights(shape, rho))
    folded = _core.fold_rows(direction.stack(shape.size).reshape(-1), weights)
    return inner_product(folded, column_weights(shape, rho))


def _functional(statement: Statement, rho: Sequence[int], mu: int, theta: int) -> Scalars:
    """φ of the contribution proof, shape (N, 4)."""
    cubed, eq = pow(theta, 3, ORDER), corner_weights(rho)
    of_partner = applied(statement.direction.partner, eq)  # symmetric
    corners = [
        -theta * power + cubed * own + cubed * theta * other
        for power, own, other in zip(powers(mu, 1 + CORNERS)[1:], eq, of_partner, strict=True)
    ]
    return row_opening.functional(statement.shape, rho, theta, corners)
