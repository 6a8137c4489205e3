"""One attempt at a norm proof: messages 1 to 8 of docs/spec.md §7."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from zkpfl import _core
from zkpfl.crypto.commitments import commit_rows
from zkpfl.crypto.generators import Generators
from zkpfl.crypto.proofs.committed_update import Witness
from zkpfl.crypto.proofs.masked_sumcheck import Prover
from zkpfl.crypto.proofs.masks import Masks
from zkpfl.crypto.proofs.norm_statement import Statement
from zkpfl.crypto.proofs.norm_sumcheck import Combination, NormSummand, RowSums
from zkpfl.crypto.proofs.norm_verifier import functional
from zkpfl.crypto.proofs.row_opening import Rows, open_rows
from zkpfl.crypto.proofs.shape import SUM_BYTES, SUM_LIMIT, TESTS, MaskRow, Shape, powers
from zkpfl.crypto.scalars import encode_scalars, from_int, to_int
from zkpfl.crypto.transcript import Domain, Label, Transcript


def attempt(
    statement: Statement, witness: Witness, q: Sequence[int], masks: Masks, gens: Generators
) -> bytes | None:
    """Make a proof, or None if a masked sum is out of range: then again, with other masks.

    Parameters
    ----------
    statement, witness
        The witness has been checked.
    q
        Four integers whose squares sum to ``B² − ‖x‖²``. Secret.
    masks
        Of this attempt alone. Secret.
    gens
        Generators for N columns.
    """
    shape = statement.shape
    transcript = Transcript(Domain.NORM)
    statement.absorb_into(transcript)
    row = np.concatenate((from_int([*q, *masks.y]), masks.columns))
    mask_commitment = commit_rows(np.vstack((row, masks.blinding))[None], gens).encode()
    transcript.absorb(Label.MASK_ROW, mask_commitment)
    seed = transcript.challenge_block(Label.ROW_SEED)
    x = witness.table(shape.size)
    sums = RowSums.of(seed, x, shape.variables)
    masked = _masked_sums(seed, shape, sums, q, masks)
    if masked is None:
        return None
    transcript.absorb(Label.MASKED_SUMS, masked)
    gamma = transcript.challenge_scalar(Label.ROW_POWERS)
    tau = transcript.challenge_scalar(Label.NORM_WEIGHT)

    of = Combination(seed, powers(gamma, TESTS), tau)
    mask = MaskRow(to_int(row[: shape.masks]), shape)
    prover = Prover(transcript, shape, mask, NormSummand(of, x, sums, mask))
    claims = encode_scalars(from_int(prover.run()[: shape.claims]))
    transcript.absorb(Label.CLAIMS, claims)
    theta = transcript.challenge_scalar(Label.CLAIM_POWERS)
    rows = Rows(shape, x, witness.blindings, row, masks)
    opening = open_rows(transcript, gens, rows, prover.rho, functional(shape, of, prover.rho, theta))
    return mask_commitment + masked + prover.sent + claims + opening


def _masked_sums(seed: bytes, shape: Shape, sums: RowSums, q: Sequence[int], masks: Masks) -> bytes | None:
    """``z_k = y_k + ⟨R_k, (x, q)⟩``, encoded."""
    of_q = _core.binary_row_sums(seed, shape.size, np.array(q, dtype=np.int64))
    z = [sum(parts) for parts in zip(masks.y, sums.rows, of_q.tolist(), strict=True)]
    if not all(0 <= value < SUM_LIMIT for value in z):
        return None
    return b"".join(value.to_bytes(SUM_BYTES, "big") for value in z)
