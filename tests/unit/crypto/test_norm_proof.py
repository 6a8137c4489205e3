"""Norm proofs of the package: completeness, what does not decode, batches, zero knowledge.

The argument is in docs/notes/norm-proof.md, cheating provers are in test_norm_proof_reference.py.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from tests.unit.crypto.masked_proofs import (
    IDENTITY,
    MalformedProofs,
    Programmed,
    rank,
    sent_by_masks,
    simulated,
)

from zkpfl import _core
from zkpfl.crypto.commitments import commit_lanes, commit_rows, packed_blindings
from zkpfl.crypto.encoding import pack
from zkpfl.crypto.generators import generators
from zkpfl.crypto.points import G1Array, msm
from zkpfl.crypto.proofs import masks, norm, norm_prover, norm_verifier
from zkpfl.crypto.proofs.equation import Equation, failing, hold
from zkpfl.crypto.proofs.masked_proof import MaskedProof
from zkpfl.crypto.proofs.masks import Masks
from zkpfl.crypto.proofs.norm import (
    Statement,
    Witness,
    proof_bytes,
    prove,
    prove_with_masks,
    verify,
    verify_batch,
)
from zkpfl.crypto.proofs.shape import TESTS, Shape
from zkpfl.crypto.proofs.squares import four_squares_vartime
from zkpfl.crypto.proofs.table import Integers
from zkpfl.crypto.scalars import from_int, random_scalars, to_int
from zkpfl.crypto.sharing import check_rows, expand_seed, share_commitments, split
from zkpfl.crypto.transcript import Context, Transcript
from zkpfl.errors import (
    InvalidParameter,
    InvalidUpdate,
    JobFailed,
)
from zkpfl.params import Committee, Layout

N = 256
GENS = generators(N)
CONTEXT = Context(31337, bytes(range(20)), 7, 3)
COSTLY = settings(max_examples=12, deadline=None)


@dataclass(frozen=True)
class Case:
    statement: Statement
    witness: Witness

    def prove(self) -> bytes:
        return prove(self.statement, self.witness, generators(self.statement.columns))

    def prove_with(self, key: bytes) -> bytes:
        squares = four_squares_vartime(self.statement.bound_squared - self.witness.squared_norm())
        return prove_with_masks(self.statement, self.witness, GENS, key, squares)


def case(values: Integers, slack: int = 12345, columns: int = N) -> Case:
    layout = Layout(len(values), 1 << 20, value_bits=16, columns=columns)
    blindings = random_scalars((layout.lane_rows,))
    points = commit_lanes(values, blindings, layout, generators(columns))
    witness = Witness(values, blindings)
    bound = witness.squared_norm() + slack
    trainer, checkpoint = bytes(range(20)), bytes(range(32))
    statement = Statement(CONTEXT, trainer, checkpoint, len(values), columns, points, bound_squared=bound)
    return Case(statement, witness)


def update(dimension: int, seed: int = 0) -> NDArray[np.int16]:
    return np.random.default_rng(seed).integers(-2048, 2048, dimension, dtype=np.int16)


HONEST = case(update(600))
PROOF = HONEST.prove()


# ---- completeness --------------------------------------------------------------------------------


@COSTLY
@given(
    st.integers(1, 2000),
    st.sampled_from([-32768, -1, 0, 1, 32767, None]),
    st.sampled_from([0, 1, 2, 3, 7, 12345, 1 << 40]),
    st.sampled_from([256, 512]),
)
def test_updates_within_the_bound_verify(dimension: int, value: int | None, slack: int, columns: int) -> None:
    values = update(dimension) if value is None else np.full(dimension, value, dtype=np.int16)
    made = case(values, slack, columns)
    proof = made.prove()
    assert len(proof) == proof_bytes(len(made.statement.commitments), columns)
    assert verify(made.statement, proof, generators(columns))


@COSTLY
@given(st.integers(1, 2000), st.integers(1, 1 << 27), st.sampled_from([0, 3, 1 << 40]), st.sampled_from("us"))
def test_noise_of_more_than_16_bits_verifies(dimension: int, most: int, slack: int, kind: str) -> None:
    values = np.random.default_rng(dimension).integers(-most, most + 1, dimension)
    if kind == "s":  # signs alone: all as large as may be
        values = np.where(values < 0, -most, most)
    values = (values / max(1.0, float(np.linalg.norm(values)) / 2**30)).astype(np.int64)  # B² < 2^62
    made = case(values, slack)
    assert made.witness.squared_norm() == sum(value**2 for value in values.tolist())
    assert verify(made.statement, made.prove(), GENS)


def test_both_types_of_values_give_the_same_bytes() -> None:
    wide = Witness(HONEST.witness.values.astype(np.int64), HONEST.witness.blindings)
    squares = four_squares_vartime(HONEST.statement.bound_squared - wide.squared_norm())
    first, second = (
        prove_with_masks(HONEST.statement, witness, GENS, b"k" * 32, squares)
        for witness in (HONEST.witness, wide)
    )
    assert first == second


@pytest.mark.parametrize("value", [1 << 29, -(1 << 29) - (1 << 15)])
def test_more_than_30_bits_are_refused(value: int) -> None:
    values = np.zeros(300, dtype=np.int64)
    values[7] = value
    with pytest.raises(InvalidUpdate, match="30 bits"):
        Witness(values, random_scalars((2,))).squared_norm()


def test_the_largest_bound_verifies() -> None:
    values = update(300)
    slack = (1 << 62) - 1 - Witness(values, random_scalars((2,))).squared_norm()
    made = case(values, slack)
    assert made.statement.bound_squared == (1 << 62) - 1
    assert verify(made.statement, made.prove(), GENS)


def test_a_layout_and_commitments_are_all_that_a_statement_takes() -> None:
    layout = Layout(600, 70000, columns=N)
    statement = Statement.of(CONTEXT, bytes(20), bytes(32), layout, HONEST.statement.commitments)
    assert statement.bound_squared == 70000**2
    assert (statement.dimension, statement.columns) == (600, N)
    assert statement.shape == Shape.of_norm(3, N)


def test_size_grows_with_the_logarithm() -> None:
    sizes = [proof_bytes(-(-(1 << log) // n), n) for log, n in ((16, 512), (20, 2048), (24, 4096))]
    assert sizes == [3232, 3680, 4032]


@pytest.mark.parametrize("value", [*range(40), 7 << 40, 1 << 61, (1 << 62) - 1, 2147483647**2])
def test_four_squares(value: int) -> None:
    roots = four_squares_vartime(value)
    assert sum(root * root for root in roots) == value
    assert all(0 <= root < 1 << 31 for root in roots)


@given(st.integers(0, (1 << 62) - 1))
def test_four_squares_of_any(value: int) -> None:
    assert sum(root * root for root in four_squares_vartime(value)) == value


def test_threads_and_vectors_change_no_byte(monkeypatch: pytest.MonkeyPatch) -> None:
    proofs = set()
    squares = four_squares_vartime(HONEST.statement.bound_squared - HONEST.witness.squared_norm())
    for threads, portable in (("1", "0"), ("2", "0"), ("1", "1")):
        monkeypatch.setenv("ZKPFL_NUM_THREADS", threads)
        monkeypatch.setenv("ZKPFL_NO_VECTOR", portable)
        proofs.add(prove_with_masks(HONEST.statement, HONEST.witness, GENS, bytes(32), squares))
        assert verify(HONEST.statement, PROOF, GENS)
    assert len(proofs) == 1


# ---- what is rejected, and what does not decode --------------------------------------------------


class TestMalformedNormProofs(MalformedProofs):
    kind, statement, proof, gens = norm, HONEST.statement, PROOF, GENS


REPLAYS = {
    "chain": {"context": replace(CONTEXT, chain_id=1)},
    "contract": {"context": replace(CONTEXT, contract=bytes(20))},
    "job": {"context": replace(CONTEXT, job=8)},
    "round": {"context": replace(CONTEXT, round=4)},
    "trainer": {"trainer": b"\x12" * 20},
    "model": {"checkpoint": b"\x13" * 32},
    "dimension": {"dimension": 601},
    "higher bound": {"bound_squared": HONEST.statement.bound_squared + 1},
    "lower bound": {"bound_squared": HONEST.statement.bound_squared - 1},
    "other commitments": {"commitments": case(update(600)).statement.commitments},
    "order of rows": {"commitments": HONEST.statement.commitments[::-1]},
}


@pytest.mark.parametrize("change", REPLAYS.values(), ids=REPLAYS.keys())
def test_proof_for_another_statement_is_rejected(change: dict[str, object]) -> None:
    assert verify(HONEST.statement, PROOF, GENS)
    assert not verify(replace(HONEST.statement, **change), PROOF, GENS)  # type: ignore[arg-type]


def test_wrong_blindings_or_values_are_rejected() -> None:
    other = replace(HONEST.witness, blindings=random_scalars((3,)))
    assert not verify(HONEST.statement, prove(HONEST.statement, other, GENS), GENS)
    values = HONEST.witness.values.copy()
    values[5] = 0
    other = replace(HONEST.witness, values=values)
    assert not verify(HONEST.statement, prove(HONEST.statement, other, GENS), GENS)


def test_lanes_other_than_the_packed_shares_are_found_out() -> None:
    """Shares of a large update with a proof of a small one: checked against its lanes."""
    layout, committee = Layout(600, 1 << 20, columns=N), Committee(3, 2)
    large, seed = update(600, seed=9), os.urandom(32)
    sigma = packed_blindings(HONEST.witness.blindings, layout)[:, np.newaxis]
    secret = np.concatenate([pack(large, layout), sigma], axis=1)
    own = expand_seed(seed, layout.packed_rows, N + 1)
    points = G1Array.concatenate([HONEST.statement.commitments, commit_rows(own, GENS)])
    shares = {1: own, **split(secret, [seed], committee)}
    found = {
        node: check_rows(share, share_commitments(points, layout, committee, node))
        for node, share in shares.items()
    }
    assert verify(HONEST.statement, PROOF, GENS)
    assert found == {1: None, 2: 0, 3: 0}


# ---- batches -------------------------------------------------------------------------------------


@pytest.mark.parametrize("wrong", [(), (0,), (4,), (1, 2), (0, 1, 2, 3, 4)])
def test_a_batch_names_those_that_fail(wrong: tuple[int, ...]) -> None:
    cases = [HONEST, case(update(1)), case(update(300)), HONEST, case(update(1024))]
    proofs = [made.prove() for made in cases]
    for index in wrong:
        proofs[index] = proofs[index][:-1] + bytes([proofs[index][-1] ^ 1])
    assert verify_batch([made.statement for made in cases], proofs, GENS) == wrong


def test_errors_that_cancel_in_a_plain_sum_do_not_cancel_in_a_batch() -> None:
    one, minus = (Equation(from_int([0] * (N + 1) + [value]), GENS.G[:0], from_int([])) for value in (1, -1))
    assert msm(GENS.H, from_int([0])).encode() == IDENTITY
    assert not hold([one, minus], GENS)
    assert failing([one, minus, replace(one, generators=from_int([0] * (N + 2)))], GENS) == [0, 1]
    assert hold([], GENS)


# ---- zero knowledge ------------------------------------------------------------------------------


def programmed(statement: Statement, seed: int) -> Callable[[MaskedProof], Equation]:
    return lambda proof: norm_verifier.equation(statement, proof, Programmed(seed))


@pytest.mark.parametrize("attempt", range(3))
def test_simulated_transcripts_verify(attempt: int) -> None:
    """Zero knowledge: whoever chooses the challenges needs no witness, not even one that exists."""
    commitments = G1Array.concatenate([msm(GENS.H, scalar[None]) for scalar in random_scalars((3,))])
    statement = replace(HONEST.statement, commitments=commitments, bound_squared=attempt)
    proof = simulated(statement.shape, GENS, programmed(statement, attempt))
    decoded = MaskedProof.decode(proof, statement.shape)
    assert hold([programmed(statement, attempt)(decoded)], GENS)
    assert not hold([programmed(statement, attempt + 1)(decoded)], GENS)
    assert not verify(statement, proof, GENS)


def test_masks_reach_every_scalar_of_the_sumcheck() -> None:
    """The masks' linear map to what is sent has full rank: its image is uniform, whatever x is."""
    generator = np.random.default_rng(5)
    for variables in range(8, 21):
        rho = [int(value) for value in generator.integers(2, 1 << 60, variables)]
        assert rank(sent_by_masks(rho, claims=2)) == 2 * variables + 5


def test_proofs_share_nothing_but_the_statement() -> None:
    other = HONEST.prove()
    assert PROOF[:48] != other[:48]
    pairs = list(zip(PROOF, other, strict=True))
    assert sum(a == b for a, b in pairs) < len(pairs) / 16


def chi_square(values: list[int], cells: int) -> float:
    counts, expected = Counter(values), len(values) / cells
    return sum((counts[cell] - expected) ** 2 / expected for cell in range(cells))


@pytest.mark.parametrize("value", [0, 2047])
def test_masked_sums_are_uniform(value: int) -> None:
    """The highest four bits of z over many proofs of one update; fails once in 10^9 runs by chance."""
    made = case(np.full(600, value, dtype=np.int16))
    proofs = [made.prove() for _ in range(20)]
    top = [proof[at] >> 4 for proof in proofs for at in range(48, 48 + 8 * TESTS, 8)]
    assert chi_square(top, 16) < 70


def test_masks_of_sums_cover_their_range_and_no_more() -> None:
    """y + s falls out of [0, 2^64) with probability (K + s)/(2^64 + 2K) on each side: seen with a large K."""
    shape = Shape.of_norm(1, N)
    bound = 1 << 118  # no statement has it; K is 2^63
    slack = shape.slack(bound)
    drawn = [y for attempt in range(40) for y in masks.draw(bytes(32), attempt, shape, bound).y]
    assert all(-slack <= y < (1 << 64) + slack for y in drawn)
    outside = sum(not 0 <= y < 1 << 64 for y in drawn) / len(drawn)
    assert outside == pytest.approx(2 * slack / ((1 << 64) + 2 * slack), abs=0.04)


def test_a_retry_has_masks_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Masks] = []
    attempt = norm_prover.attempt

    def fails_twice(
        statement: Statement, witness: Witness, q: list[int], own: Masks, *rest: object
    ) -> object:
        seen.append(own)
        return None if len(seen) < 3 else attempt(statement, witness, q, own, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(norm_prover, "attempt", fails_twice)
    assert verify(HONEST.statement, HONEST.prove_with(bytes(32)), GENS)
    assert len(seen) == 3
    for a, b in ((0, 1), (0, 2), (1, 2)):
        assert not set(seen[a].y) & set(seen[b].y)
        for name in ("columns", "blinding", "cross", "opening"):
            values = [to_int(getattr(seen[i], name)) for i in (a, b)]
            assert not set(values[0]) & set(values[1])


def test_a_random_source_that_never_fits_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(norm_prover, "attempt", lambda *_: None)
    with pytest.raises(JobFailed, match="in range"):
        HONEST.prove()


def test_masks_are_hedged_against_broken_randomness(monkeypatch: pytest.MonkeyPatch) -> None:
    """With constant OS randomness masks still differ for another witness or statement."""
    keys = []
    monkeypatch.setattr(os, "urandom", bytes)

    def record(statement: Statement, witness: Witness, gens: object, key: bytes, squares: object) -> bytes:
        keys.append(key)
        return b""

    monkeypatch.setattr(norm, "prove_with_masks", record)
    blindings = HONEST.witness.blindings.copy()
    blindings[0, 0] ^= 1
    prove(HONEST.statement, HONEST.witness, GENS)
    prove(HONEST.statement, HONEST.witness, GENS)
    prove(HONEST.statement, replace(HONEST.witness, blindings=blindings), GENS)
    prove(replace(HONEST.statement, checkpoint=bytes(32)), HONEST.witness, GENS)
    prove(replace(HONEST.statement, context=replace(CONTEXT, round=4)), HONEST.witness, GENS)
    assert keys[0] == keys[1]
    assert len(set(keys)) == 4


def test_a_mask_row_used_twice_shows_row_sums_of_the_update() -> None:
    """Why masks are single use: z − z' under one y is ⟨R − R', x⟩."""
    other = replace(HONEST.statement, trainer=bytes(20))
    squares = four_squares_vartime(HONEST.statement.bound_squared - HONEST.witness.squared_norm())
    shown, sums = [], []
    for statement in (HONEST.statement, other):
        proof = prove_with_masks(statement, HONEST.witness, GENS, bytes(32), squares)
        shown.append(np.frombuffer(proof[48 : 48 + 8 * TESTS], dtype=">u8").astype(np.uint64))
        sums.append(_row_sums(statement, proof[:48], squares))
    difference = (shown[0] - shown[1]).astype(np.int64)
    assert np.array_equal(difference, sums[0] - sums[1])
    assert difference.any()


def _row_sums(statement: Statement, mask_commitment: bytes, squares: tuple[int, ...]) -> NDArray[np.int64]:
    transcript = Transcript("zkpfl/v1/norm")
    statement.absorb_into(transcript)
    transcript.absorb("M", mask_commitment)
    seed = transcript.challenge_block("rows")
    padded = HONEST.witness.table(statement.shape.size).parts[0]
    of_q = _core.binary_row_sums(seed, len(padded), np.array(squares, dtype=np.int64))
    return _core.binary_row_sums(seed, 0, padded.astype(np.int64)) + of_q


def test_secrets_are_not_printed() -> None:
    drawn = masks.draw(bytes(32), 0, HONEST.statement.shape, HONEST.statement.bound_squared)
    assert str(drawn.y[0]) not in repr(drawn)
    assert str(HONEST.witness.values[:3])[1:-1] not in repr(HONEST.witness)


# ---- arguments -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"trainer": bytes(19)}, "trainer"),
        ({"checkpoint": bytes(33)}, "checkpoint"),
        ({"columns": 128}, "columns"),
        ({"columns": 384}, "columns"),
        ({"columns": 32768}, "columns"),
        ({"dimension": 0}, "dimension"),
        ({"dimension": (1 << 26) + 1}, "dimension"),
        ({"dimension": 512}, "commitments"),
        ({"dimension": 769}, "commitments"),
        ({"commitments": GENS.G[:0]}, "commitments"),
        ({"bound_squared": 1 << 62}, "bound_squared"),
        ({"bound_squared": -1}, "bound_squared"),
    ],
)
def test_statement_out_of_range_is_refused(change: dict[str, object], name: str) -> None:
    with pytest.raises(InvalidParameter) as caught:
        replace(HONEST.statement, **change)  # type: ignore[arg-type]
    assert caught.value.field == name


def witnesses() -> Iterator[Witness]:
    values, blindings = HONEST.witness.values, HONEST.witness.blindings
    yield Witness(values[:-1], blindings)
    yield Witness(values.astype(np.int32), blindings)  # type: ignore[arg-type]
    yield Witness(values[None], blindings)
    yield Witness(values, blindings[:-1])


def test_witness_of_another_shape_is_refused() -> None:
    for witness in witnesses():
        with pytest.raises(InvalidParameter):
            prove(HONEST.statement, witness, GENS)


def test_an_update_above_the_bound_is_not_proved() -> None:
    low = replace(HONEST.statement, bound_squared=HONEST.witness.squared_norm() - 1)
    with pytest.raises(InvalidUpdate, match="above the bound"):
        prove(low, HONEST.witness, GENS)


def test_wrong_squares_and_other_generators_are_refused() -> None:
    with pytest.raises(InvalidParameter, match="squares"):
        prove_with_masks(HONEST.statement, HONEST.witness, GENS, bytes(32), (1, 2, 3, 4))
    for call in (
        lambda: prove(HONEST.statement, HONEST.witness, generators(512)),
        lambda: verify(HONEST.statement, PROOF, generators(512)),
        lambda: verify_batch([HONEST.statement], [PROOF], generators(512)),
    ):
        with pytest.raises(InvalidParameter, match="columns"):
            call()
