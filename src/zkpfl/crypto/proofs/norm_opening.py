"""Both rows of the norm proof are opened at once: x folded at ρ, and the mask row (docs/spec.md §7)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from zkpfl import _core
from zkpfl.crypto.generators import Generators
from zkpfl.crypto.points import G1Array, msm
from zkpfl.crypto.proofs import folding
from zkpfl.crypto.proofs.norm_masks import Masks
from zkpfl.crypto.proofs.norm_shape import Shape, functional
from zkpfl.crypto.proofs.norm_sumcheck import Combination
from zkpfl.crypto.proofs.norm_table import Table
from zkpfl.crypto.proofs.squares import SQUARES
from zkpfl.crypto.scalars import ORDER, Scalars, from_int, inner_product, linear_combination, to_int
from zkpfl.crypto.transcript import Label, Transcript


class Rows:
    """The two rows that are opened. Secret.

    Parameters
    ----------
    shape
        Of the statement.
    x
        Values of whole rows.
    blindings
        Of the lane commitments.
    mask
        The mask row, shape (N, 4).
    masks
        Its blinding, and what hides the opening.
    """

    def __init__(self, shape: Shape, x: Table, blindings: Scalars, mask: Scalars, masks: Masks) -> None:
        self.shape = shape
        self.mask = mask
        self.masks = masks
        self._x = x
        self._blindings = blindings

    def folded(self, rho: Sequence[int]) -> tuple[Scalars, int]:
        """``u = Σ_row eq(ρ_rows, row)·x_row`` and its blinding."""
        weights = row_weights(self.shape, rho)
        return self._x.folded(weights), inner_product(weights, self._blindings)


def row_weights(shape: Shape, rho: Sequence[int]) -> Scalars:
    """``eq(ρ_rows, row)`` of the rows that are committed, shape (rows, 4)."""
    return _core.equality_table(from_int(rho[: shape.row_variables]))[: shape.rows]


def column_weights(shape: Shape, rho: Sequence[int]) -> Scalars:
    """``eq(ρ_cols, ·)``, shape (N, 4)."""
    return _core.equality_table(from_int(rho[shape.row_variables :]))


def mask_functional(shape: Shape, combination: Combination, rho: Sequence[int], theta: int) -> Scalars:
    """φ, shape (N, 4)."""
    weights = from_int(combination.gammas)
    a_q = to_int(_core.combine_binary_rows(combination.seed, weights, shape.size, SQUARES))
    phi = np.zeros((shape.columns, 4), dtype=np.uint64)
    phi[: shape.masks] = from_int(functional(shape, rho, combination.gammas, theta, a_q))
    return phi


def open_rows(
    transcript: Transcript,
    gens: Generators,
    rows: Rows,
    combination: Combination,
    rho: Sequence[int],
    theta: int,
) -> bytes:
    """T1, T2 and the folding argument for ``w = u + c·m`` with ``f = eq + c⁻¹φ``."""
    u, u_blinding = rows.folded(rho)
    eq = column_weights(rows.shape, rho)
    phi = mask_functional(rows.shape, combination, rho, theta)
    r1, r2 = to_int(rows.masks.cross)
    products = (inner_product(phi, u), r1), (inner_product(eq, rows.mask), r2)
    bases = G1Array.concatenate([gens.U, gens.H])
    cross = b"".join(msm(bases, from_int(scalars)).encode() for scalars in products)
    transcript.absorb(Label.CROSS_TERMS, cross)
    c = transcript.challenge_scalar(Label.MASK_WEIGHT)
    xi = transcript.challenge_scalar(Label.INNER_PRODUCT_WEIGHT)
    inverse = pow(c, -1, ORDER)
    w = linear_combination((u, rows.mask), from_int((1, c)))
    f = linear_combination((eq, phi), from_int((xi, xi * inverse)))
    (mask_blinding,) = to_int(rows.masks.blinding)
    (beta,) = from_int((u_blinding + c * mask_blinding + xi * (inverse * r1 + c * r2),))
    return cross + folding.prove(transcript, gens, w, beta, rows.masks.opening, f)
