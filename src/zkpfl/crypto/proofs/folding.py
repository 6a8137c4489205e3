"""Folding argument: knowledge of the opening of a committed row, in logarithmic size (docs/spec.md §6).

For ``F = ⟨w, G⟩ + β·H`` each fold halves ``w`` and ``G`` by a challenge; at length 4 a Schnorr proof
ends it. Every message carries a fresh multiple of H, so the proof is perfectly zero knowledge.
With public coefficients ``f`` it opens ``⟨w, G⟩ + ⟨f, w⟩·U + β·H``: the row and a linear functional of it.
docs/notes/aggregation-proof.md has the argument, docs/notes/norm-proof.md that for the functional.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from zkpfl import _core
from zkpfl.crypto.commitments import commit_rows
from zkpfl.crypto.generators import Generators
from zkpfl.crypto.points import POINT_BYTES, G1Array, decode_points, msm
from zkpfl.crypto.proofs.equation import Equation, hold
from zkpfl.crypto.scalars import (
    ORDER,
    SCALAR_BYTES,
    Scalars,
    check_scalars,
    decode_scalars,
    encode_scalars,
    from_int,
    inner_product,
    linear_combination,
)
from zkpfl.crypto.transcript import Label, ShortChallenge, Transcript
from zkpfl.errors import InvalidEncoding, InvalidParameter

END = 4
"""Length at which folding stops: four responses cost less than two more folds."""

RESPONSES = END + 1


def fold_count(columns: int) -> int:
    """Folds from ``columns`` down to 4.

    Raises
    ------
    InvalidParameter
        If ``columns`` is not a power of two of at least 4.
    """
    if columns < END or columns & (columns - 1):
        raise InvalidParameter(f"must be a power of two of at least {END}, got {columns}", field="columns")
    return (columns // END).bit_length() - 1


def proof_bytes(columns: int) -> int:
    """Size of a proof: two points a fold, one point, five scalars; 976 for 1024 columns."""
    return POINT_BYTES * (2 * fold_count(columns) + 1) + SCALAR_BYTES * RESPONSES


def mask_count(columns: int) -> int:
    """Secret uniform scalars that a prover needs: l, r of each fold, then k_0 … k_3 and κ."""
    return 2 * fold_count(columns) + RESPONSES


@dataclass(frozen=True)
class FoldingProof:
    """A decoded proof; every point and scalar has been checked.

    Parameters
    ----------
    points
        L and R of each fold, then A.
    encoded
        The bytes of the points, as the transcript absorbs them.
    responses
        z_0 … z_3 and z_H, shape (5, 4).
    """

    points: G1Array
    encoded: bytes
    responses: Scalars

    @classmethod
    def decode(cls, data: bytes, columns: int) -> Self:
        """Decode the proof for rows of ``columns``.

        Raises
        ------
        InvalidEncoding, InvalidPoint, InvalidScalar
            Wrong length; a point not canonical, on the curve and in the subgroup; a scalar not below r.
        """
        if len(data) != proof_bytes(columns):
            raise InvalidEncoding(f"must be {proof_bytes(columns)} bytes, got {len(data)}", field="proof")
        count = 2 * fold_count(columns) + 1
        encoded, responses = data[: POINT_BYTES * count], data[POINT_BYTES * count :]
        return cls(decode_points(encoded, count), encoded, decode_scalars(responses, RESPONSES))

    def replay(self, transcript: Transcript) -> tuple[list[int], int]:
        """Absorb the messages; return the challenge x of each fold and the final challenge y."""
        messages = self._messages()
        folds = [
            _fold_challenge(transcript, next(messages), next(messages)) for _ in range(len(self.points) // 2)
        ]
        return [fold.value for fold in folds], _final_challenge(transcript, next(messages))

    def _messages(self) -> Iterator[bytes]:
        return (self.encoded[i : i + POINT_BYTES] for i in range(0, len(self.encoded), POINT_BYTES))


@dataclass(frozen=True)
class Functional:
    """A public linear functional of the row, of which the value is claimed.

    Parameters
    ----------
    coefficients
        f, shape (N, 4).
    value
        ``⟨f, w⟩`` as claimed.
    """

    coefficients: Scalars
    value: int


def prove(
    transcript: Transcript,
    gens: Generators,
    row: Scalars,
    blinding: Scalars,
    masks: Scalars,
    coefficients: Scalars | None = None,
) -> bytes:
    """Prove knowledge of ``row`` and ``blinding`` of ``F = ⟨row, G⟩ + ⟨coefficients, row⟩·U + blinding·H``.

    Parameters
    ----------
    transcript
        Has absorbed the statement, F included. Advanced.
    gens
        Generators for N columns.
    row
        w, shape (N, 4). Secret.
    blinding
        β, shape (4,). Secret.
    masks
        Shape (``mask_count(N)``, 4), uniform, single use: the same masks twice reveal the row. Secret.
    coefficients
        f, shape (N, 4), public; without, there is no multiple of U.

    Returns
    -------
    bytes
        ``proof_bytes(N)`` bytes: L, R of each fold, A, z_0 … z_3, z_H.

    Notes
    -----
    Two multi-scalar multiplications a fold over secrets: their running time and memory access depend on them.
    """
    row = check_scalars(row, (gens.columns,), field="row")
    blinding = check_scalars(blinding, (), field="blinding")
    masks = check_scalars(masks, (mask_count(gens.columns),), field="masks")
    f = None if coefficients is None else check_scalars(coefficients, row.shape[:1], field="coefficients")
    points, proof = gens.G, b""
    for left_mask, right_mask in masks[:-RESPONSES].reshape(-1, 2, 4):
        low, high = slice(len(row) // 2), slice(len(row) // 2, None)
        if points is gens.G:
            left, right = _commit_halves(gens, row, (left_mask, right_mask), f)
        else:
            left = _commit(gens, points[high], row[low], left_mask, None if f is None else f[high])
            right = _commit(gens, points[low], row[high], right_mask, None if f is None else f[low])
        proof += left + right
        challenge = _fold_challenge(transcript, left, right)
        one, x, inverse = from_int((1, challenge.value, pow(challenge.value, -1, ORDER)))
        points = _core.fold_points(points, challenge.e1, challenge.e2)
        row, f = _core.fold_scalars(row, inverse), None if f is None else _core.fold_scalars(f, x)
        blinding = linear_combination((blinding, left_mask, right_mask), np.stack((one, x, inverse)))
    final = masks[-RESPONSES:]
    mask_commitment = _commit(gens, points, final[:-1], final[-1], f)
    y = _final_challenge(transcript, mask_commitment)
    responses = linear_combination((final, np.vstack((row, blinding))), from_int((1, y)))
    return proof + mask_commitment + encode_scalars(responses)


def verify(
    transcript: Transcript, gens: Generators, commitments: G1Array, weights: Sequence[int], proof: bytes
) -> bool:
    """Check a proof for ``F = Σ_p weights[p]·commitments[p]`` by one multi-scalar multiplication.

    Parameters
    ----------
    transcript
        In the state in which the prover started. Advanced.
    gens
        Generators for N columns.
    commitments
        P ≥ 1 points.
    weights
        P integers.
    proof
        Untrusted bytes.

    Returns
    -------
    bool
        Whether the proof holds.

    Raises
    ------
    InvalidEncoding, InvalidPoint, InvalidScalar
        The proof does not decode.
    """
    decoded = FoldingProof.decode(proof, gens.columns)
    return hold([equation(transcript, commitments, from_int(weights), decoded)], gens)


def equation(
    transcript: Transcript,
    commitments: G1Array,
    weights: Scalars,
    proof: FoldingProof,
    functional: Functional | None = None,
) -> Equation:
    """Build what a verifier checks of a proof for ``F = Σ_p weights[p]·commitments[p] + value·U``.

    ``Σ_b z_b·Ĝ_b + ⟨z, f̂⟩·U + z_H·H − A − y·(F + Σ_k x_k·L_k + x_k⁻¹·R_k) = 0``, every folded generator
    ``Ĝ_b`` written as a combination of the original ones.
    """
    folds, y = proof.replay(transcript)
    sides = [power for x in folds for power in (x, pow(x, -1, ORDER))]
    public = from_int([*(-y * side for side in sides), -1])
    generators = _generator_scalars(folds, proof.responses)
    multiple = 0 if functional is None else _multiple_of_u(functional, folds, y, proof.responses)
    return Equation(
        np.concatenate((generators[:-1], from_int((multiple,)), generators[-1:])),
        G1Array.concatenate([proof.points, commitments]),
        np.concatenate((public, linear_combination((weights,), from_int((-y,))))),
    )


def _multiple_of_u(functional: Functional, folds: Sequence[int], y: int, responses: Scalars) -> int:
    """``⟨z, f̂⟩ − y·value``."""
    folded = functional.coefficients
    for x in from_int(folds):
        folded = _core.fold_scalars(folded, x)
    return inner_product(responses[:-1], folded) - y * functional.value


def _generator_scalars(folds: Sequence[int], responses: Scalars) -> Scalars:
    """Coefficients of G and H in ``Σ_b z_b·Ĝ_b + z_H·H``, shape (N + 1, 4)."""
    weights = _core.fold_weights(from_int(folds))
    blocks = [linear_combination((weights,), response[None]) for response in responses[:-1]]
    return np.concatenate((np.stack(blocks, axis=1).reshape(-1, 4), responses[-1:]))


def _commit_halves(
    gens: Generators, row: Scalars, blindings: tuple[Scalars, Scalars], coefficients: Scalars | None
) -> tuple[bytes, bytes]:
    """L and R over generators that are not folded yet, for which there may be a table."""
    half = len(row) // 2
    rows = np.zeros((2, len(row) + 1, 4), dtype=np.uint64)
    rows[0, half:-1], rows[1, :half] = row[:half], row[half:]
    rows[:, -1] = blindings
    both = commit_rows(rows, gens)
    left, right = both[:1], both[1:]
    if coefficients is not None:
        products = (
            inner_product(row[:half], coefficients[half:]),
            inner_product(row[half:], coefficients[:half]),
        )
        left, right = (
            point + msm(gens.U, from_int((product,)))
            for point, product in zip((left, right), products, strict=True)
        )
    return left.encode(), right.encode()


def _commit(
    gens: Generators, points: G1Array, row: Scalars, blinding: Scalars, coefficients: Scalars | None
) -> bytes:
    bases, scalars = [points, gens.H], [row, blinding[None]]
    if coefficients is not None:
        bases.append(gens.U)
        scalars.append(from_int((inner_product(row, coefficients),)))
    return msm(G1Array.concatenate(bases), np.concatenate(scalars)).encode()


def _fold_challenge(transcript: Transcript, left: bytes, right: bytes) -> ShortChallenge:
    transcript.absorb(Label.LEFT, left)
    transcript.absorb(Label.RIGHT, right)
    return transcript.challenge_short(Label.FOLD_CHALLENGE)


def _final_challenge(transcript: Transcript, mask_commitment: bytes) -> int:
    transcript.absorb(Label.MASK_COMMITMENT, mask_commitment)
    return transcript.challenge_scalar(Label.FINAL_CHALLENGE)
