"""Completeness, cheating provers, zero knowledge (docs/notes/aggregation-proof.md)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zkpfl import _core
from zkpfl.crypto.commitments import commit_rows
from zkpfl.crypto.generators import generators
from zkpfl.crypto.points import G1Array, combine_arrays, msm, sum_arrays
from zkpfl.crypto.proofs import aggregation, folding
from zkpfl.crypto.proofs.aggregation import Statement, Witness, prove, prove_with_masks, verify
from zkpfl.crypto.scalars import (
    ORDER,
    Scalars,
    decode_scalars,
    encode_scalars,
    from_int,
    linear_combination,
    random_scalars,
    to_int,
)
from zkpfl.crypto.transcript import Context, Label, ShortChallenge, Transcript
from zkpfl.errors import InvalidEncoding, InvalidParameter, InvalidPoint, InvalidScalar

N, P = 256, 3
GENS = generators(N)
ROWS = random_scalars((P, N + 1))
WITNESS = Witness(ROWS)
IDENTITY = b"\xc0" + bytes(47)
OUTSIDE_SUBGROUP = b"\x80" + bytes(46) + b"\x04"


def statement_for(rows: Scalars, columns: int = N) -> Statement:
    return Statement(
        context=Context(31337, bytes(range(20)), 7, 3),
        node=2,
        node_address=b"\x11" * 20,
        accepted=0b10110,
        commitment_roots=(b"\1" * 32, b"\2" * 32, b"\3" * 32),
        aggregate_root=b"\4" * 32,
        share_root=b"\5" * 32,
        blob_hash=b"\6" * 32,
        F=commit_rows(rows, generators(columns)),
    )


STATEMENT = statement_for(ROWS)
PROOF = prove(STATEMENT, WITNESS, GENS)
SCALARS_AT = len(PROOF) - 32 * folding.RESPONSES


def holds(statement: Statement, proof: bytes) -> bool:
    """Accepted: neither malformed nor false."""
    try:
        return verify(statement, proof, GENS)
    except InvalidEncoding:
        return False


def identity(count: int) -> G1Array:
    return G1Array.decode(IDENTITY * count)


# ---- completeness --------------------------------------------------------------------------------


@pytest.mark.parametrize(("columns", "rows", "size"), [(256, 1, 784), (256, 5, 784), (1024, 2, 976)])
def test_honest_proof_verifies(columns: int, rows: int, size: int) -> None:
    matrix = random_scalars((rows, columns + 1))
    statement, gens = statement_for(matrix, columns), generators(columns)
    proof = prove(statement, Witness(matrix), gens)
    assert len(proof) == size == folding.proof_bytes(columns)
    assert verify(statement, proof, gens)


@given(st.lists(st.sampled_from([0, 1, ORDER - 1, 2**128, ORDER // 2]), min_size=5, max_size=5))
@settings(max_examples=10, deadline=None)
def test_extreme_rows_verify(values: list[int]) -> None:
    matrix = from_int((values * N)[: N + 1]).reshape(1, N + 1, 4)
    statement = statement_for(matrix)
    assert verify(statement, prove(statement, Witness(matrix), GENS), GENS)


def test_folded_points_are_what_plain_multiplication_gives() -> None:
    points = G1Array.concatenate([GENS.G[:6], identity(1), GENS.G[7:8]])
    challenge = ShortChallenge(2**64 - 1, 0x8000000000000001)
    folded = _core.fold_points(points, challenge.e1, challenge.e2)
    assert folded == combine_arrays([points[:4], points[4:]], from_int([1, challenge.value]))
    assert _core.fold_points(points, 1, 1) == combine_arrays(
        [points[:4], points[4:]], from_int([1, ShortChallenge(1, 1).value])
    )
    same = G1Array.concatenate([GENS.G[:1], GENS.G[:1]])
    assert _core.fold_points(same, 1, 1) == msm(GENS.G[:1], from_int([1 + ShortChallenge(1, 1).value]))


def test_folded_scalars_and_weights() -> None:
    values = random_scalars((8,))
    x = from_int([12345678901234567890])[0]
    assert np.array_equal(
        _core.fold_scalars(values, x),
        linear_combination((values[:4], values[4:]), np.stack((from_int([1])[0], x))),
    )
    assert to_int(_core.fold_weights(from_int([2, 3, 5]))) == [1, 5, 3, 15, 2, 10, 6, 30]
    assert to_int(_core.fold_weights(from_int([]))) == [1]


# ---- cheating provers ----------------------------------------------------------------------------


@pytest.mark.parametrize(("row", "column"), [(0, 0), (1, 17), (P - 1, N - 1), (P - 1, N)])
def test_wrong_witness_is_rejected(row: int, column: int) -> None:
    wrong = ROWS.copy()
    wrong[row, column] = random_scalars((1,))[0]
    assert not verify(STATEMENT, prove(STATEMENT, Witness(wrong), GENS), GENS)


def test_rows_in_another_order_are_rejected() -> None:
    assert not verify(STATEMENT, prove(STATEMENT, Witness(np.ascontiguousarray(ROWS[::-1])), GENS), GENS)


def test_errors_that_cancel_in_the_plain_sum_of_rows_are_rejected() -> None:
    """Adding δ to one row and −δ to another keeps Σ_p F_p: only the powers of e tell."""
    delta, wrong = from_int([5]), ROWS.copy()
    wrong[0, :1] = linear_combination((ROWS[0, :1], delta), from_int([1, 1]))
    wrong[1, :1] = linear_combination((ROWS[1, :1], delta), from_int([1, -1]))
    assert not verify(STATEMENT, prove(STATEMENT, Witness(wrong), GENS), GENS)


OTHER = b"\x77" * 32
REPLAYS = {
    "chain": {"context": replace(STATEMENT.context, chain_id=1)},
    "contract": {"context": replace(STATEMENT.context, contract=bytes(20))},
    "job": {"context": replace(STATEMENT.context, job=8)},
    "round": {"context": replace(STATEMENT.context, round=4)},
    "node": {"node": 3},
    "node address": {"node_address": b"\x12" * 20},
    "accepted set": {"accepted": 0b10101},
    "commitment roots": {"commitment_roots": (b"\1" * 32, b"\2" * 32, OTHER)},
    "order of roots": {"commitment_roots": (b"\2" * 32, b"\1" * 32, b"\3" * 32)},
    "aggregate root": {"aggregate_root": OTHER},
    "share root": {"share_root": OTHER},
    "blob": {"blob_hash": OTHER},
    "F + 1": {"F": sum_arrays([STATEMENT.F, G1Array.concatenate([GENS.G[:1], identity(P - 1)])])},
    "fewer rows": {"F": STATEMENT.F[:-1]},
    "a zero row more": {"F": G1Array.concatenate([STATEMENT.F, identity(1)])},
    "order of rows": {"F": STATEMENT.F[::-1]},
}


@pytest.mark.parametrize("change", REPLAYS.values(), ids=REPLAYS.keys())
def test_proof_for_another_statement_is_rejected(change: dict[str, object]) -> None:
    assert verify(STATEMENT, PROOF, GENS)
    assert not verify(replace(STATEMENT, **change), PROOF, GENS)  # type: ignore[arg-type]


def test_every_flipped_byte_is_rejected() -> None:
    accepted = []
    for position in range(len(PROOF)):
        forged = bytearray(PROOF)
        forged[position] ^= 1 << (position % 8)
        if holds(STATEMENT, bytes(forged)):
            accepted.append(position)
    assert accepted == []


@pytest.mark.parametrize("fold", range(folding.fold_count(N)))
def test_swapped_left_and_right_are_rejected(fold: int) -> None:
    at = 96 * fold
    forged = PROOF[:at] + PROOF[at + 48 : at + 96] + PROOF[at : at + 48] + PROOF[at + 96 :]
    assert not verify(STATEMENT, forged, GENS)


def test_exchanged_folds_and_responses_are_rejected() -> None:
    assert not verify(STATEMENT, PROOF[96:192] + PROOF[:96] + PROOF[192:], GENS)
    responses = [PROOF[i : i + 32] for i in range(SCALARS_AT, len(PROOF), 32)]
    assert not verify(STATEMENT, PROOF[:SCALARS_AT] + b"".join(responses[::-1]), GENS)


@pytest.mark.parametrize(
    "length", [0, 1, 48, len(PROOF) - 32, len(PROOF) - 1, len(PROOF) + 1, len(PROOF) + 96]
)
def test_truncated_or_extended_proof_is_malformed(length: int) -> None:
    with pytest.raises(InvalidEncoding, match=f"{len(PROOF)} bytes"):
        verify(STATEMENT, (PROOF + bytes(96))[:length], GENS)


def test_proof_of_another_size_is_malformed() -> None:
    with pytest.raises(InvalidEncoding):
        verify(STATEMENT, PROOF, generators(512))


@pytest.mark.parametrize("index", range(folding.RESPONSES))
def test_scalar_plus_r_is_malformed(index: int) -> None:
    """The same scalar mod r in a second encoding would make proofs malleable."""
    at = SCALARS_AT + 32 * index
    value = int.from_bytes(PROOF[at : at + 32], "big")
    for bad in (value + ORDER, ORDER, 2**256 - 1):
        with pytest.raises(InvalidScalar):
            verify(STATEMENT, PROOF[:at] + bad.to_bytes(32, "big") + PROOF[at + 32 :], GENS)


@pytest.mark.parametrize("index", [0, 1, 2 * folding.fold_count(N)])
def test_point_off_curve_or_subgroup_is_malformed(index: int) -> None:
    off_curve = b"\x80" + bytes(46) + b"\x01"
    for bad in (OUTSIDE_SUBGROUP, off_curve, bytes(48), b"\xe0" + bytes(47), b"\xff" * 48):
        with pytest.raises(InvalidPoint):
            verify(STATEMENT, PROOF[: 48 * index] + bad + PROOF[48 * (index + 1) :], GENS)


@pytest.mark.parametrize("index", [0, 1, 2 * folding.fold_count(N)])
def test_identity_points_are_rejected(index: int) -> None:
    assert not verify(STATEMENT, PROOF[: 48 * index] + IDENTITY + PROOF[48 * (index + 1) :], GENS)


def test_trivial_proof_is_rejected() -> None:
    """All points at infinity and all responses zero satisfy the equation only for F = 0."""
    trivial = IDENTITY * (2 * folding.fold_count(N) + 1) + bytes(32 * folding.RESPONSES)
    assert not verify(STATEMENT, trivial, GENS)
    assert verify(replace(STATEMENT, F=identity(P)), trivial, GENS)


def test_negated_proof_is_rejected() -> None:
    """The mirror image of every message proves −F, not F."""
    points = SCALARS_AT // 48
    mirrored = bytearray(PROOF)
    for index in range(points):
        mirrored[48 * index] ^= 0x20
    responses = [-value for value in to_int(decode_scalars(PROOF[SCALARS_AT:], folding.RESPONSES))]
    mirrored[SCALARS_AT:] = encode_scalars(from_int(responses))
    assert not verify(STATEMENT, bytes(mirrored), GENS)
    assert not verify(
        replace(STATEMENT, F=combine_arrays([STATEMENT.F], from_int([-1]))), bytes(mirrored), GENS
    )


def test_responses_chosen_after_the_challenge_are_rejected() -> None:
    """With A fixed, shifting z by δ needs A shifted by δ·Ĝ, and then y changes."""
    shifted = bytearray(PROOF)
    z = to_int(decode_scalars(PROOF[SCALARS_AT:], folding.RESPONSES))
    shifted[SCALARS_AT:] = encode_scalars(from_int([*z[:-1], z[-1] + 1]))
    mask = G1Array.decode(PROOF[SCALARS_AT - 48 : SCALARS_AT])
    shifted[SCALARS_AT - 48 : SCALARS_AT] = (mask + GENS.H).encode()
    assert not verify(STATEMENT, bytes(shifted), GENS)


# ---- zero knowledge ------------------------------------------------------------------------------


class Programmed(Transcript):
    """A transcript that answers with challenges chosen beforehand, as a simulator may."""

    def __init__(self, folds: list[ShortChallenge], final: int) -> None:
        super().__init__("programmed")
        self._folds, self._final = iter(folds), final

    def challenge_short(self, label: str) -> ShortChallenge:
        assert label == Label.FOLD_CHALLENGE
        return next(self._folds)

    def challenge_scalar(self, label: str) -> int:
        assert label == Label.FINAL_CHALLENGE
        return self._final


def simulate(commitments: G1Array, weights: list[int], folds: list[ShortChallenge], y: int) -> bytes:
    """A proof made from the statement and the challenges alone: no witness goes in."""
    sides = msm_each(random_scalars((2 * len(folds),)))
    responses = random_scalars((folding.RESPONSES,))
    points = GENS.G
    for fold in folds:
        points = _core.fold_points(points, fold.e1, fold.e2)
    challenges = [power for fold in folds for power in (fold.value, pow(fold.value, -1, ORDER))]
    public = from_int([*(-y * x for x in challenges), *(-y * weight for weight in weights)])
    mask = msm(G1Array.concatenate([points, GENS.H, sides, commitments]), np.concatenate((responses, public)))
    return sides.encode() + mask.encode() + encode_scalars(responses)


def msm_each(scalars: Scalars) -> G1Array:
    """s_i·H: uniform points."""
    return G1Array.concatenate([msm(GENS.H, scalar[None]) for scalar in scalars])


def random_folds() -> Iterator[ShortChallenge]:
    while True:
        yield ShortChallenge(*(int.from_bytes(os.urandom(8), "big") | 1 for _ in range(2)))


@pytest.mark.parametrize("_attempt", range(5))
def test_simulated_transcripts_verify(_attempt: int) -> None:
    """Zero knowledge: whoever chooses the challenges needs no witness, so an honest proof shows none."""
    weights = [to_int(random_scalars((1,)))[0] for _ in range(P)]
    folds = [fold for fold, _ in zip(random_folds(), range(folding.fold_count(N)), strict=False)]
    y = to_int(random_scalars((1,)))[0]
    proof = simulate(STATEMENT.F, weights, folds, y)
    assert folding.verify(Programmed(folds, y), GENS, STATEMENT.F, weights, proof)
    assert not folding.verify(Programmed(folds, y + 1), GENS, STATEMENT.F, weights, proof)
    assert not verify(STATEMENT, proof, GENS)  # nobody chooses the challenges of the real transcript


def test_simulator_and_prover_agree_on_equal_coins() -> None:
    """The last message is determined: given L, R, z and challenges, the honest A is the simulated one."""
    transcript, e = aggregation._start(STATEMENT, GENS)
    decoded = folding.FoldingProof.decode(PROOF, N)
    xs, y = decoded.replay(transcript)
    weights = aggregation._powers(e, P)
    sides = [power for x in xs for power in (x, pow(x, -1, ORDER))]
    public = from_int([*(-y * side for side in sides), *(-y * weight for weight in weights)])
    scalars = np.concatenate((folding._generator_scalars(xs, decoded.responses), public))
    points = G1Array.concatenate([GENS.G, GENS.H, decoded.points[:-1], STATEMENT.F])
    assert msm(points, scalars) == decoded.points[-1:]


def test_proofs_share_nothing_but_the_statement() -> None:
    other = prove(STATEMENT, WITNESS, GENS)
    pieces = range(0, SCALARS_AT, 48)
    assert all(PROOF[i : i + 48] != other[i : i + 48] for i in pieces)
    assert all(PROOF[i : i + 32] != other[i : i + 32] for i in range(SCALARS_AT, len(PROOF), 32))


def test_masks_are_hedged_against_broken_randomness(monkeypatch: pytest.MonkeyPatch) -> None:
    """With constant OS randomness masks still differ for another witness or statement."""
    monkeypatch.setattr(os, "urandom", bytes)
    base = prove(STATEMENT, WITNESS, GENS)
    assert base == prove(STATEMENT, WITNESS, GENS)
    changed = ROWS.copy()
    changed[0, 0] = random_scalars((1,))[0]
    elsewhere = replace(STATEMENT, context=replace(STATEMENT.context, round=4))
    for other in (prove(STATEMENT, Witness(changed), GENS), prove(elsewhere, WITNESS, GENS)):
        assert other[:48] != base[:48]
        assert other[SCALARS_AT - 48 : SCALARS_AT] != base[SCALARS_AT - 48 : SCALARS_AT]


def test_repeated_masks_reveal_the_row() -> None:
    """Why masks are single use: two proofs with equal masks give the folded row by a subtraction."""
    masks = random_scalars((folding.mask_count(4),))
    gens = generators(4)
    rows = random_scalars((1, 5))
    transcripts = [Transcript(name) for name in ("a", "b")]
    proofs = [folding.prove(t, gens, rows[0, :4], rows[0, 4], masks) for t in transcripts]
    z = [to_int(decode_scalars(proof[48:], 5)) for proof in proofs]
    ys = []
    for name, proof in zip(("a", "b"), proofs, strict=True):
        transcript = Transcript(name)
        transcript.absorb(Label.MASK_COMMITMENT, proof[:48])
        ys.append(transcript.challenge_scalar(Label.FINAL_CHALLENGE))
    inverse = pow(ys[0] - ys[1], -1, ORDER)
    assert [(a - b) * inverse % ORDER for a, b in zip(*z, strict=True)] == to_int(rows[0])


def test_witness_is_not_printed() -> None:
    assert str(int(ROWS[0, 0, 0])) not in repr(WITNESS)


# ---- arguments -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"node": 0}, "node"),
        ({"node": 11}, "node"),
        ({"node_address": bytes(19)}, "node_address"),
        ({"accepted": 0}, "accepted"),
        ({"accepted": 1 << 256}, "accepted"),
        ({"accepted": 0b11}, "commitment_roots"),
        ({"commitment_roots": (bytes(32), bytes(32), bytes(31))}, "roots and hashes"),
        ({"aggregate_root": bytes(33)}, "roots and hashes"),
        ({"share_root": b""}, "roots and hashes"),
        ({"blob_hash": bytes(31)}, "roots and hashes"),
        ({"F": identity(0)}, "F"),
    ],
)
def test_statement_out_of_range_is_refused(change: dict[str, object], name: str) -> None:
    with pytest.raises(InvalidParameter) as caught:
        replace(STATEMENT, **change)  # type: ignore[arg-type]
    assert caught.value.field == name


def test_witness_of_another_shape_is_refused() -> None:
    for rows in (ROWS[:, :-1], ROWS[:-1], ROWS.astype(np.int64)):
        with pytest.raises(InvalidParameter):
            prove(STATEMENT, Witness(rows), GENS)
    with pytest.raises(InvalidParameter):
        prove_with_masks(STATEMENT, WITNESS, GENS, random_scalars((folding.mask_count(N) - 1,)))


@pytest.mark.parametrize("columns", [0, 2, 3, 12, 1000])
def test_columns_that_cannot_be_folded_are_refused(columns: int) -> None:
    with pytest.raises(InvalidParameter):
        folding.fold_count(columns)
