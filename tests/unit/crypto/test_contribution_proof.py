"""Contribution proofs: completeness, cheating provers, what does not decode, batches, zero knowledge.

The argument is in docs/notes/contribution-proof.md. Cheating provers are the reference's; every proof of
theirs is judged by the reference and by the package, which must agree.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from tests.reference import contribution_proof as reference
from tests.reference.group import decode_points
from tests.unit.crypto.masked_proofs import (
    MalformedProofs,
    Programmed,
    rank,
    sent_by_masks,
    simulated,
)

from zkpfl.crypto.commitments import commit_lanes
from zkpfl.crypto.generators import generators
from zkpfl.crypto.points import G1Array, msm
from zkpfl.crypto.proofs import contribution, masks, norm
from zkpfl.crypto.proofs.contribution import (
    Direction,
    Statement,
    Witness,
    proof_bytes,
    prove,
    prove_with_masks,
    verify,
    verify_batch,
)
from zkpfl.crypto.proofs.equation import Equation, hold
from zkpfl.crypto.proofs.masked_proof import MaskedProof
from zkpfl.crypto.scalars import ORDER, random_scalars, to_int
from zkpfl.crypto.transcript import Context, Transcript
from zkpfl.errors import InvalidParameter, InvalidUpdate
from zkpfl.params import Layout

N = 256
GENS = generators(N)
CONTEXT = Context(31337, bytes(range(20)), 7, 3)
TRAINER, CHECKPOINT = bytes(range(20)), bytes(range(32))
BOUND = 1 << 18
COSTLY = settings(max_examples=12, deadline=None)


def vector(dimension: int, most: int, seed: int) -> NDArray[np.int16]:
    return np.random.default_rng(seed).integers(-most, most + 1, dimension).astype(np.int16)


@dataclass(frozen=True)
class Case:
    statement: Statement
    witness: Witness

    def prove(self) -> bytes:
        return prove(self.statement, self.witness, generators(self.statement.columns))

    @property
    def as_reference(self) -> reference.Statement:
        of, direction = self.statement, self.statement.direction
        return reference.Statement(
            of.context.to_bytes(),
            of.trainer,
            of.checkpoint,
            of.dimension,
            of.columns,
            decode_points(of.commitments.encode()),
            direction.total.tolist(),
            [update.tolist() for update in direction.updates],
            BOUND,
            of.value,
        )

    def prove_as_reference(self, **options: Any) -> bytes:
        values = [*self.witness.values.tolist(), *[0] * (-self.statement.dimension % N)]
        rows = [values[i : i + N] for i in range(0, len(values), N)]
        blindings = to_int(self.witness.blindings)
        return reference.prove_with_masks(self.as_reference, rows, blindings, bytes(32), **options)

    def accepts(self, proof: bytes) -> bool:
        """What both verifiers say."""
        valid = verify(self.statement, proof, GENS)
        assert reference.verify(self.as_reference, proof) == valid
        return valid


def case(values: NDArray[np.int16], direction: Direction, columns: int = N) -> Case:
    layout = Layout(len(values), 1 << 20, value_bits=16, columns=columns)
    blindings = random_scalars((layout.lane_rows,))
    points = commit_lanes(values, blindings, layout, generators(columns))
    value = direction.contribution(values)
    where = CONTEXT, TRAINER, CHECKPOINT, len(values), columns, points
    return Case(Statement(*where, direction=direction, value=value), Witness(values, blindings))


def a_case(dimension: int, updates: int, seed: int = 0, columns: int = N) -> Case:
    x = vector(dimension, 2047, seed)
    total = x.astype(np.int64) + 9 * vector(dimension, 20000, seed + 1)
    public = [vector(dimension, 1000, seed + 2 + k) for k in range(updates)]
    return case(x, Direction.of(total, public, BOUND), columns)


HONEST = a_case(600, 2)
PROOF = HONEST.prove()


# ---- what is measured ----------------------------------------------------------------------------


@given(st.integers(1, 40), st.integers(0, 4), st.integers(0, 1 << 30))
def test_contributions_are_those_of_exact_fractions(dimension: int, updates: int, seed: int) -> None:
    x, total = vector(dimension, 2047, seed), vector(dimension, 30000, seed + 1).astype(np.int64) * 70000
    public = [vector(dimension, 3, seed + 2 + k) for k in range(updates)]
    direction = Direction.of(total, public, BOUND)
    lists = [update.tolist() for update in public]
    kept = reference.independent(lists)
    assert [update.tolist() for update in direction.updates] == kept
    exact = reference.contribution(x.tolist(), total.tolist(), kept)
    assert Fraction(direction.contribution(x), direction.denominator) == exact


def test_a_trainer_alone_contributes_nothing() -> None:
    """The self term does not count: where the sum is one's own update, the others went nowhere."""
    x = vector(300, 2047, 1)
    for public in ([], [vector(300, 100, 2)]):
        assert Direction.of(x.astype(np.int64), public, BOUND).contribution(x) == 0


def test_a_replay_of_public_updates_contributes_nothing() -> None:
    first, second = vector(300, 100, 1), vector(300, 100, 2)
    total = 7 * vector(300, 2000, 3).astype(np.int64) + 30 * first
    direction = Direction.of(total, [first, second], BOUND)
    for replayed in (first, second, 3 * first - 2 * second, -first):
        assert direction.contribution(replayed) == 0
    assert Direction.of(total, [second], BOUND).contribution(first) != 0


@given(st.integers(1, 40), st.integers(0, 4), st.integers(0, 1 << 30))
def test_the_whole_is_all_contributions_and_self_terms(dimension: int, updates: int, seed: int) -> None:
    total = vector(dimension, 30000, seed).astype(np.int64)
    public = [vector(dimension, 3, seed + 1 + k).tolist() for k in range(updates)]
    direction = Direction.of(total, [np.array(update, dtype=np.int16) for update in public], BOUND)
    v = reference.orthogonal_part(total.tolist(), reference.independent(public))
    assert Fraction(direction.squared_norm, direction.denominator) == sum(value**2 for value in v)


def test_updates_that_say_nothing_new_are_dropped() -> None:
    first, second = vector(300, 100, 1), vector(300, 100, 2)
    total, zero = vector(300, 2000, 3).astype(np.int64), np.zeros(300, dtype=np.int16)
    dropped = Direction.of(total, [zero, first, 2 * first, second], BOUND)
    plain = Direction.of(total, [first, second], BOUND)
    assert dropped.digests == plain.digests
    assert dropped.denominator == plain.denominator > 0
    assert Direction.of(total, [zero], BOUND).denominator == 1


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"total": np.zeros(300, dtype=np.int32)}, "total"),
        ({"total": np.zeros((2, 150), dtype=np.int64)}, "total"),
        ({"total": np.zeros(0, dtype=np.int64)}, "total"),
        ({"updates": [np.zeros(299, dtype=np.int16)]}, "updates"),
        ({"updates": [np.zeros(300, dtype=np.int64)]}, "updates"),
        ({"updates": [vector(300, 9, k) for k in range(5)]}, "updates"),
        ({"norm_bound": 1 << 130}, "updates"),
    ],
)
def test_a_direction_that_is_none_is_refused(change: dict[str, Any], name: str) -> None:
    good = {"total": np.ones(300, dtype=np.int64), "updates": [], "norm_bound": BOUND}
    assert Direction.of(**good).limit > 0  # type: ignore[arg-type]
    with pytest.raises(InvalidParameter) as caught:
        Direction.of(**(good | change))  # type: ignore[arg-type]
    assert caught.value.field == name


def test_sums_that_fill_64_bits_are_exact() -> None:
    total = np.array([(1 << 62) - 1, -(1 << 62), 0, 12345], dtype=np.int64)
    x = np.array([32767, -32768, 5, -1], dtype=np.int16)
    expected = sum(a * b for a, b in zip(total.tolist(), x.tolist(), strict=True))
    squares = sum(value**2 for value in x.tolist())
    assert Direction.of(total, [], BOUND).contribution(x) == expected - squares


# ---- completeness --------------------------------------------------------------------------------


@COSTLY
@given(st.integers(1, 2000), st.integers(0, 4), st.sampled_from([256, 512]))
def test_true_contributions_verify(dimension: int, updates: int, columns: int) -> None:
    made = a_case(dimension, updates, dimension, columns)
    proof = made.prove()
    assert len(proof) == proof_bytes(len(made.statement.commitments), columns)
    assert verify(made.statement, proof, generators(columns))


@pytest.mark.parametrize("value", [-32768, 0, 32767])
def test_extreme_updates_verify(value: int) -> None:
    x = np.full(700, value, dtype=np.int16)
    direction = Direction.of(
        np.full(700, -(1 << 40), dtype=np.int64), [np.full(700, 32767, np.int16)], 1 << 20
    )
    made = case(x, direction)
    assert made.statement.value == 0  # along the public update, all of it
    assert verify(made.statement, made.prove(), GENS)


def test_size_grows_with_the_logarithm() -> None:
    sizes = [proof_bytes(-(-(1 << log) // n), n) for log, n in ((16, 512), (20, 2048), (24, 4096))]
    assert sizes == [2240, 2688, 3040]


def test_threads_and_vectors_change_no_byte(monkeypatch: pytest.MonkeyPatch) -> None:
    proofs = set()
    for threads, portable in (("1", "0"), ("2", "0"), ("1", "1")):
        monkeypatch.setenv("ZKPFL_NUM_THREADS", threads)
        monkeypatch.setenv("ZKPFL_NO_VECTOR", portable)
        proofs.add(prove_with_masks(HONEST.statement, HONEST.witness, GENS, bytes(32)))
        assert verify(HONEST.statement, PROOF, GENS)
    assert proofs == {HONEST.prove_as_reference()}


# ---- cheating provers ----------------------------------------------------------------------------


@pytest.mark.parametrize("more", [1, -1, 1 << 40])
def test_another_value_is_rejected(more: int) -> None:
    lie = replace(HONEST, statement=replace(HONEST.statement, value=HONEST.statement.value + more))
    assert not lie.accepts(lie.prove_as_reference())
    assert not lie.accepts(PROOF)


def test_an_unproved_contribution_is_not_made() -> None:
    with pytest.raises(InvalidUpdate, match="contribute"):
        prove(replace(HONEST.statement, value=HONEST.statement.value + 1), HONEST.witness, GENS)


@pytest.mark.parametrize("place", range(4))
def test_another_product_with_a_public_update_is_rejected(place: int) -> None:
    """With p_1 changed the sum comes out at another value, which the prover states; μ ties p to x."""
    made = a_case(300, 3, seed=50)
    direction, x = made.statement.direction, made.witness.values.astype(np.int64)
    along = [int(x @ table) for table in (*direction.parts, *direction.updates)]
    p = [*along[len(direction.parts) :], 0]
    p[place] += 1
    claimed = direction.value([*along[: len(direction.parts)], *p[:3]], int(x @ x))
    assert (claimed != made.statement.value) == (place < 3)
    lie = replace(made, statement=replace(made.statement, value=claimed))
    proof = lie.prove_as_reference(tamper=lambda name, value: p if name == "p" else value)
    assert not lie.accepts(proof)


def off_by_one(what: str) -> Callable[[str, Any], Any]:
    return lambda name, value: [(value[0] + 1) % ORDER, *value[1:]] if name == what else value


@pytest.mark.parametrize("what", ["s_1", "s_5", "s_10", "claims", "p"])
def test_a_wrong_message_is_rejected(what: str) -> None:
    assert not HONEST.accepts(HONEST.prove_as_reference(tamper=off_by_one(what)))


@pytest.mark.parametrize("place", [1, 2])
def test_a_wrong_claim_of_the_corners_is_rejected(place: int) -> None:
    def tamper(name: str, value: Any) -> Any:
        return [v + (i == place) for i, v in enumerate(value)] if name == "claims" else value

    assert not HONEST.accepts(HONEST.prove_as_reference(tamper=tamper))


def test_what_lies_in_the_padding_counts_against_the_prover() -> None:
    """Entries beyond d are committed too. The sum has zeros there: they only lower the contribution."""
    values = np.zeros(512, dtype=np.int16)
    values[:300] = HONEST.witness.values[:300]
    values[400] = 1000
    total = np.zeros(300, dtype=np.int64) + 77
    padded = np.concatenate((total, np.zeros(212, dtype=np.int64)))
    made = case(values, Direction.of(padded, [], BOUND))
    honest_value = Direction.of(total, [], BOUND).contribution(values[:300])
    assert made.statement.value == honest_value - 1000**2
    short = replace(
        made.statement, dimension=300, direction=Direction.of(total, [], BOUND), value=honest_value
    )
    lie = Case(short, Witness(values[:300], made.witness.blindings))
    assert not lie.accepts(lie.prove_as_reference())


TOTAL, PUBLIC = HONEST.statement.direction.total, HONEST.statement.direction.updates
REPLAYS = {
    "chain": {"context": replace(CONTEXT, chain_id=1)},
    "contract": {"context": replace(CONTEXT, contract=bytes(20))},
    "job": {"context": replace(CONTEXT, job=8)},
    "round": {"context": replace(CONTEXT, round=4)},
    "trainer": {"trainer": b"\x12" * 20},
    "model": {"checkpoint": b"\x13" * 32},
    "value": {"value": HONEST.statement.value - 1},
    "sign": {"value": -HONEST.statement.value},
    "other commitments": {"commitments": a_case(600, 2).statement.commitments},
    "order of rows": {"commitments": HONEST.statement.commitments[::-1]},
    "sum": {"direction": Direction.of(TOTAL + 1, PUBLIC, BOUND)},
    "public update": {"direction": Direction.of(TOTAL, [PUBLIC[0], vector(600, 1000, 99)], BOUND)},
    "order of updates": {"direction": Direction.of(TOTAL, PUBLIC[::-1], BOUND)},
}


@pytest.mark.parametrize("change", REPLAYS.values(), ids=REPLAYS.keys())
def test_proof_for_another_statement_is_rejected(change: dict[str, Any]) -> None:
    assert verify(HONEST.statement, PROOF, GENS)
    assert not verify(replace(HONEST.statement, **change), PROOF, GENS)


def test_wrong_blindings_are_rejected() -> None:
    other = replace(HONEST.witness, blindings=random_scalars((3,)))
    assert not verify(HONEST.statement, prove(HONEST.statement, other, GENS), GENS)


def test_a_norm_proof_is_no_contribution_proof() -> None:
    statement = HONEST.statement
    assert norm.proof_bytes(3, N) != proof_bytes(3, N)
    start, other = statement.start(), Transcript("zkpfl/v1/norm")
    statement.absorb_update(other)
    assert start.state != other.state


# ---- what does not decode ------------------------------------------------------------------------


class TestMalformedContributionProofs(MalformedProofs):
    kind, statement, proof, gens = contribution, HONEST.statement, PROOF, GENS


# ---- batches -------------------------------------------------------------------------------------


@pytest.mark.parametrize("wrong", [(), (0,), (4,), (1, 2), (0, 1, 2, 3, 4)])
def test_a_batch_names_those_that_fail(wrong: tuple[int, ...]) -> None:
    cases = [HONEST, a_case(1, 1), a_case(300, 0), HONEST, a_case(1024, 4)]
    proofs = [made.prove() for made in cases]
    for index in wrong:
        proofs[index] = proofs[index][:-1] + bytes([proofs[index][-1] ^ 1])
    assert verify_batch([made.statement for made in cases], proofs, GENS) == wrong


# ---- zero knowledge ------------------------------------------------------------------------------


def programmed(
    statement: Statement, seed: int, patch: pytest.MonkeyPatch
) -> Callable[[MaskedProof], Equation]:
    def equation(proof: MaskedProof) -> Equation:
        with patch.context() as within:
            within.setattr(Statement, "start", lambda _: Programmed(seed))
            return contribution.equation(statement, proof)

    return equation


@pytest.mark.parametrize("attempt", range(3))
def test_simulated_transcripts_verify(attempt: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Zero knowledge: whoever chooses the challenges needs no witness, not even one that exists."""
    commitments = G1Array.concatenate([msm(GENS.H, scalar[None]) for scalar in random_scalars((3,))])
    statement = replace(HONEST.statement, commitments=commitments, value=attempt)
    simulate = programmed(statement, attempt, monkeypatch)
    proof = simulated(statement.shape, GENS, simulate)
    decoded = MaskedProof.decode(proof, statement.shape)
    assert hold([simulate(decoded)], GENS)
    assert not hold([programmed(statement, attempt + 1, monkeypatch)(decoded)], GENS)
    assert not verify(statement, proof, GENS)


def test_masks_reach_every_scalar_of_the_sumcheck() -> None:
    """The masks' linear map to what is sent has full rank: its image is uniform, whatever x is."""
    generator = np.random.default_rng(5)
    for variables in range(8, 21):
        rho = [int(value) for value in generator.integers(2, 1 << 60, variables)]
        assert rank(sent_by_masks(rho, claims=3)) == 2 * variables + 6


def test_proofs_share_nothing_but_the_statement() -> None:
    pairs = list(zip(PROOF, HONEST.prove(), strict=True))
    assert sum(a == b for a, b in pairs) < len(pairs) / 16


def test_masks_depend_on_statement_and_witness_if_the_system_has_no_randomness(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(masks.os, "urandom", bytes)  # type: ignore[attr-defined]
    other = replace(HONEST.witness, blindings=random_scalars((3,)))
    keys = {
        masks.hedged_key(HONEST.statement.start(), HONEST.witness),
        masks.hedged_key(HONEST.statement.start(), other),
        masks.hedged_key(replace(HONEST.statement, checkpoint=bytes(32)).start(), HONEST.witness),
    }
    assert len(keys) == 3


def test_secrets_are_not_printed() -> None:
    assert str(HONEST.witness.values[:3])[1:-1] not in repr(HONEST.witness)


# ---- arguments -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"value": HONEST.statement.direction.limit + 1}, "value"),
        ({"value": -HONEST.statement.direction.limit - 1}, "value"),
        ({"direction": Direction.of(np.ones(599, dtype=np.int64), [], BOUND)}, "direction"),
        ({"trainer": bytes(19)}, "trainer"),
        ({"columns": 384}, "columns"),
        ({"commitments": GENS.G[:0]}, "commitments"),
    ],
)
def test_statement_out_of_range_is_refused(change: dict[str, Any], name: str) -> None:
    with pytest.raises(InvalidParameter) as caught:
        replace(HONEST.statement, **change)
    assert caught.value.field == name


def test_witness_of_another_shape_is_refused() -> None:
    values, blindings = HONEST.witness.values, HONEST.witness.blindings
    for witness in (
        Witness(values[:-1], blindings),
        Witness(values.astype(np.int64), blindings),
        Witness(values[None], blindings),
        Witness(values, blindings[:-1]),
    ):
        with pytest.raises(InvalidParameter):
            prove(HONEST.statement, witness, GENS)


def test_other_generators_are_refused() -> None:
    for call in (
        lambda: prove(HONEST.statement, HONEST.witness, generators(512)),
        lambda: verify(HONEST.statement, PROOF, generators(512)),
        lambda: verify_batch([HONEST.statement], [PROOF], generators(512)),
    ):
        with pytest.raises(InvalidParameter, match="columns"):
            call()
