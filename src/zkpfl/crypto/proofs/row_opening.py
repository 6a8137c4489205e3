"""Both rows of a masked proof are opened at once: x folded at ρ, and the mask row (docs/spec.md §7)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from zkpfl import _core
from zkpfl.crypto.generators import Generators
from zkpfl.crypto.points import G1Array, msm
from zkpfl.crypto.proofs import folding
from zkpfl.crypto.proofs.equation import Equation
from zkpfl.crypto.proofs.folding import Functional
from zkpfl.crypto.proofs.masked_proof import MaskedProof
from zkpfl.crypto.proofs.masks import Masks
from zkpfl.crypto.proofs.shape import Shape, bubble, mask_weights, powers
from zkpfl.crypto.proofs.table import Table
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


def functional(
    shape: Shape, rho: Sequence[int], theta: int, corners: Sequence[int], sums: Sequence[int] = ()
) -> Scalars:
    """φ: coefficients of the mask row in L3 + θ·L1 + θ²·L2 + θ³·L4 + …, shape (N, 4).

    Parameters
    ----------
    shape
        Of the statement.
    rho, theta
        Challenges.
    corners, sums
        Coefficients of its first columns; the others follow from the challenges.
    """
    lift = bubble(rho[-1])
    lifts = [lift, *(lift * power for power in powers(theta, 2 + shape.claims)[3:])]
    meaningful = [*corners, *sums, *mask_weights(shape, rho, theta), *lifts]
    phi = np.zeros((shape.columns, 4), dtype=np.uint64)
    phi[: shape.masks] = from_int(meaningful)
    return phi


def claimed_value(values: Sequence[int], first: int, second: int, theta: int) -> int:
    """T, the right side of L3 + θ·L1 + θ²·L2 + θ³·L4 + ….

    Parameters
    ----------
    values
        What was sent of x' and the corners at ρ: the right sides of L3, L4, ….
    first, second
        The right sides of L1 and L2.
    theta
        θ.
    """
    sides = (values[0], first, second, *values[1:])
    return sum(power * side for power, side in zip(powers(theta, len(sides)), sides, strict=True)) % ORDER


def open_rows(
    transcript: Transcript, gens: Generators, rows: Rows, rho: Sequence[int], phi: Scalars
) -> bytes:
    """T1, T2 and the folding argument for ``w = u + c·m`` with ``f = eq + c⁻¹φ``."""
    u, u_blinding = rows.folded(rho)
    eq = column_weights(rows.shape, rho)
    r1, r2 = to_int(rows.masks.cross)
    products = (inner_product(phi, u), r1), (inner_product(eq, rows.mask), r2)
    bases = G1Array.concatenate([gens.U, gens.H])
    cross = b"".join(msm(bases, from_int(scalars)).encode() for scalars in products)
    c, xi, f = _merge(transcript, cross, eq, phi)
    w = linear_combination((u, rows.mask), from_int((1, c)))
    (mask_blinding,) = to_int(rows.masks.blinding)
    (beta,) = from_int((u_blinding + c * mask_blinding + xi * (pow(c, -1, ORDER) * r1 + c * r2),))
    return cross + folding.prove(transcript, gens, w, beta, rows.masks.opening, f)


def equation(
    transcript: Transcript,
    shape: Shape,
    commitments: G1Array,
    proof: MaskedProof,
    rho: Sequence[int],
    phi: Scalars,
    value: int,
) -> Equation:
    """What a verifier checks of the opening.

    Parameters
    ----------
    transcript
        As the prover's before the opening. Advanced.
    shape
        Of the statement.
    commitments
        The lane commitments.
    proof
        Decoded.
    rho, phi, value
        The claim ``⟨eq(ρ_cols), u⟩ + ⟨φ, m⟩ = value``.
    """
    c, xi, f = _merge(transcript, proof.cross, column_weights(shape, rho), phi)
    own = from_int((c, xi * pow(c, -1, ORDER), xi * c))
    weights = np.concatenate((row_weights(shape, rho), own))
    points = G1Array.concatenate([commitments, proof.points])
    return folding.equation(transcript, points, weights, proof.opening, Functional(f, xi * value % ORDER))


def _merge(transcript: Transcript, cross: bytes, eq: Scalars, phi: Scalars) -> tuple[int, int, Scalars]:
    """c, ξ (both after T1 and T2) and ``ξ·f``."""
    transcript.absorb(Label.CROSS_TERMS, cross)
    c = transcript.challenge_scalar(Label.MASK_WEIGHT)
    xi = transcript.challenge_scalar(Label.INNER_PRODUCT_WEIGHT)
    return c, xi, linear_combination((eq, phi), from_int((xi, xi * pow(c, -1, ORDER))))
