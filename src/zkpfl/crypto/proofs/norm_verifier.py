"""What a verifier makes of a norm proof: one equation between points (docs/spec.md §7)."""

from __future__ import annotations

from collections.abc import Sequence

from zkpfl import _core
from zkpfl.crypto.proofs import row_opening
from zkpfl.crypto.proofs.equation import Equation
from zkpfl.crypto.proofs.masked_proof import MaskedProof
from zkpfl.crypto.proofs.masked_sumcheck import replay
from zkpfl.crypto.proofs.norm_statement import Statement
from zkpfl.crypto.proofs.norm_sumcheck import Combination
from zkpfl.crypto.proofs.shape import CORNERS, TESTS, Shape, corner_weights, powers
from zkpfl.crypto.scalars import ORDER, Scalars, from_int, to_int
from zkpfl.crypto.transcript import Label, Transcript


def equation(statement: Statement, proof: MaskedProof, transcript: Transcript) -> Equation:
    """Replay the messages; the proof holds if and only if the equation does.

    Parameters
    ----------
    statement
        What is claimed.
    proof
        Decoded for the statement's shape.
    transcript
        Fresh, of the domain of norm proofs. Advanced.
    """
    shape = statement.shape
    statement.absorb_into(transcript)
    transcript.absorb(Label.MASK_ROW, proof.mask_commitment)
    seed = transcript.challenge_block(Label.ROW_SEED)
    transcript.absorb(Label.MASKED_SUMS, proof.masked_sums)
    gamma = transcript.challenge_scalar(Label.ROW_POWERS)
    tau = transcript.challenge_scalar(Label.NORM_WEIGHT)
    of = Combination(seed, powers(gamma, TESTS), tau)
    rho, first, last = replay(transcript, proof.polynomials, proof.scalars)
    transcript.absorb(Label.CLAIMS, proof.claims)
    theta = transcript.challenge_scalar(Label.CLAIM_POWERS)
    l1 = of.weigh(proof.z, statement.bound_squared) - first
    t = row_opening.claimed_value(proof.values, l1, _second(shape, proof.values, of, rho, last), theta)
    phi = functional(shape, of, rho, theta)
    return row_opening.equation(transcript, shape, statement.commitments, proof, rho, phi, t)


def functional(shape: Shape, of: Combination, rho: Sequence[int], theta: int) -> Scalars:
    """φ of the norm proof, shape (N, 4)."""
    a_q = to_int(_core.combine_binary_rows(of.seed, from_int(of.gammas), shape.size, CORNERS))
    cubed = pow(theta, 3, ORDER)
    corners = [theta * a + cubed * eq for a, eq in zip(a_q, corner_weights(rho), strict=True)]
    return row_opening.functional(shape, rho, theta, corners, [theta * gamma for gamma in of.gammas])


def _second(shape: Shape, values: Sequence[int], of: Combination, rho: Sequence[int], last: int) -> int:
    """Right side of L2: ``s_n(ρ_n)`` less F at ρ."""
    x, q = values
    weights = from_int(of.gammas)
    (a,) = to_int(_core.evaluate_binary_rows(of.seed, weights, shape.size, from_int(rho))[None])
    scale = of.tau * pow(2, 2 - shape.variables, ORDER)
    return last - x * (a + of.tau * x) - scale * q * q
