"""Norm proof: the hidden update of a trainer has an exact integer L2 norm of at most B (docs/spec.md §7).

Statement: the trainer knows integers x with ``C_λ = ⟨x_λ, G⟩ + ρ_λ·H`` for every lane row and ``‖x‖² ≤ B²``.
Nothing else about x is revealed. Four squares make the bound an equality, random binary rows show that
nothing wraps around mod r, a masked sumcheck carries both to one row, and the folding argument opens it.
docs/notes/norm-proof.md has the argument.
"""

from __future__ import annotations

from collections.abc import Sequence

from zkpfl.crypto.generators import Generators
from zkpfl.crypto.proofs import masks, norm_prover, norm_verifier
from zkpfl.crypto.proofs.committed_update import Witness
from zkpfl.crypto.proofs.equation import Equation, failing_of, hold
from zkpfl.crypto.proofs.masked_proof import MaskedProof
from zkpfl.crypto.proofs.norm_statement import Statement
from zkpfl.crypto.proofs.shape import CORNERS, Shape
from zkpfl.crypto.proofs.squares import four_squares_vartime
from zkpfl.crypto.transcript import Domain, Transcript
from zkpfl.errors import InvalidParameter, JobFailed

__all__ = ["Statement", "Witness", "proof_bytes", "prove", "prove_with_masks", "verify", "verify_batch"]

MOST_ATTEMPTS = 64
"""An attempt fails with probability ``K·2^-56``, about 2^-12 at most: so many in a row never do."""


def proof_bytes(rows: int, columns: int) -> int:
    """Size of a proof, whatever the update: 3,680 for d = 2^20 and N = 2048."""
    return Shape.of_norm(rows, columns).proof_bytes


def prove(statement: Statement, witness: Witness, gens: Generators) -> bytes:
    """Prove ``statement`` with hedged masks.

    The masks come from the operating system's randomness hashed with witness and transcript: a broken random
    source alone does not repeat masks for another statement or witness.

    Parameters
    ----------
    statement
        What is claimed.
    witness
        Values and blindings. Secret.
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
        If the norm is above the bound.

    Notes
    -----
    Kernels run on all threads without the GIL. Multi-scalar multiplications and the four squares take a time
    that depends on secrets; all else is constant time (docs/notes/norm-proof.md).
    """
    statement.check_witness(witness)
    squares = four_squares_vartime(statement.bound_squared - witness.squared_norm())
    return prove_with_masks(statement, witness, gens, masks.hedged_key(_start(statement), witness), squares)


def prove_with_masks(
    statement: Statement, witness: Witness, gens: Generators, key: bytes, squares: Sequence[int]
) -> bytes:
    """Prove with the masks that are expanded from a key of 32 bytes, and given four squares.

    For test vectors only: two proofs under the same key reveal the update.
    """
    statement.check_witness(witness)
    statement.check_generators(gens)
    left = statement.bound_squared - witness.squared_norm()
    if len(squares) != CORNERS or sum(root * root for root in squares) != left:
        raise InvalidParameter("must be four integers whose squares sum to what is left", field="squares")
    for attempt in range(MOST_ATTEMPTS):
        own = masks.draw(key, attempt, statement.shape, statement.bound_squared)
        proof = norm_prover.attempt(statement, witness, squares, own, gens)
        if proof is not None:
            return proof
    raise JobFailed("no attempt at a norm proof had its sums in range", hint="the random source is broken")


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

    A proof that does not decode fails. Failing ones are found by halving, so that one costs the others
    little.

    Parameters
    ----------
    statements
        Of rows of one length; rows may differ in number.
    proofs
        One for each statement, untrusted bytes.
    gens
        Generators for N columns.
    """
    return failing_of(_equation, statements, proofs, gens)


def _equation(statement: Statement, proof: bytes, gens: Generators) -> Equation:
    statement.check_generators(gens)
    decoded = MaskedProof.decode(proof, statement.shape)
    return norm_verifier.equation(statement, decoded, Transcript(Domain.NORM))


def _start(statement: Statement) -> Transcript:
    """The transcript after the statement."""
    transcript = Transcript(Domain.NORM)
    statement.absorb_into(transcript)
    return transcript
