"""The norm proof as docs/spec.md §7 reads: what it accepts, and cheating provers that it does not.

Every proof is judged by the reference and by the package, which must agree.
"""

from __future__ import annotations

from contextlib import suppress
from copy import deepcopy
from dataclasses import dataclass, replace
from random import Random
from typing import Any

import pytest
from tests.reference import norm_proof
from tests.reference.group import (
    BadEncoding,
    BadPoint,
    BadScalar,
    R,
    combine,
    commit,
    encode_point,
    encode_points,
    encode_scalar,
    generators,
    inner_product_generator,
)
from tests.reference.hashing import Transcript
from tests.reference.norm_proof import (
    BadStatement,
    Proof,
    Statement,
    Tamper,
    four_squares,
    proof_bytes,
    prove,
    square_root,
)

from zkpfl.crypto.generators import generators as product_generators
from zkpfl.crypto.points import G1Array
from zkpfl.crypto.proofs import norm
from zkpfl.crypto.transcript import Context
from zkpfl.errors import InvalidEncoding, InvalidParameter

COLUMNS = 256
BOUND_SQUARED = 3000**2


def as_product(statement: Statement) -> norm.Statement:
    return norm.Statement(
        Context.from_bytes(statement.context),
        statement.trainer,
        statement.checkpoint,
        statement.dimension,
        statement.columns,
        G1Array.decode(encode_points(statement.commitments)),
        bound_squared=statement.bound_squared,
    )


def verify(statement: Statement, proof: bytes) -> bool:
    """What both verifiers say; what the reference raises, if both do."""
    claimed, gens = as_product(statement), product_generators(statement.columns)
    try:
        valid = norm_proof.verify(statement, proof)
    except (BadEncoding, BadPoint, BadScalar):
        with pytest.raises(InvalidEncoding):
            norm.verify(claimed, proof, gens)
        assert norm.verify_batch([claimed], [proof], gens) == (0,)
        raise
    assert norm.verify(claimed, proof, gens) == valid
    return valid


@dataclass
class Committed:
    statement: Statement
    x: list[list[int]]
    blindings: list[int]

    def prove(self, random: Random, **options: Any) -> bytes:
        return prove(self.statement, self.x, self.blindings, random, **options)


def committed(x: list[list[int]], random: Random, *, dimension: int, bound_squared: int) -> Committed:
    blindings = [random.randrange(R) for _ in x]
    commitments = [commit(row, blinding) for row, blinding in zip(x, blindings, strict=True)]
    where = bytes(range(40)), bytes(range(20)), bytes(range(32))
    statement = Statement(*where, dimension, COLUMNS, bound_squared, commitments)
    return Committed(statement, x, blindings)


def an_update(random: Random, dimension: int, largest: int = 50) -> list[list[int]]:
    values = [random.randint(-largest, largest) for _ in range(dimension)]
    values += [0] * (-dimension % COLUMNS)
    return [values[i : i + COLUMNS] for i in range(0, len(values), COLUMNS)]


def squared_norm(x: list[list[int]]) -> int:
    return sum(value * value for row in x for value in row)


def seeded(seed: int) -> Random:
    return Random(seed)  # noqa: S311 (a failure must come again)


@pytest.fixture
def random() -> Random:
    return seeded(7)


@pytest.fixture(scope="module")
def honest() -> tuple[Statement, bytes]:
    random = seeded(8)
    update = committed(an_update(random, 200), random, dimension=200, bound_squared=BOUND_SQUARED)
    return update.statement, update.prove(random)


@pytest.mark.parametrize(("dimension", "largest", "slack"), [(256, 50, 0), (700, 50, 12345), (1, 0, 3)])
def test_an_update_within_the_bound_is_accepted(
    random: Random, dimension: int, largest: int, slack: int
) -> None:
    x = an_update(random, dimension, largest)
    update = committed(x, random, dimension=dimension, bound_squared=squared_norm(x) + slack)
    proof = update.prove(random)
    assert len(proof) == proof_bytes(update.statement)
    assert verify(update.statement, proof)


def test_sizes_are_those_of_the_specification() -> None:
    def size(dimension: int, columns: int) -> int:
        rows = -(-dimension // columns)
        statement = Statement(b"", b"", b"", dimension, columns, 1, [None] * rows)
        return proof_bytes(statement)

    assert (size(1 << 16, 1024), size(1 << 20, 2048), size(1 << 20, 4096)) == (3328, 3680, 3776)


def test_four_squares(random: Random) -> None:
    for value in [*range(60), 7 << 40, (1 << 62) - 1, *(random.getrandbits(62) for _ in range(50))]:
        assert sum(root * root for root in four_squares(value, random)) == value


def wrapped(name: str, value: Any) -> Any:
    """A cheat whose masked sums are out of range sends what they are mod 2^64."""
    return [v % R % (1 << 64) for v in value] if name == "z" else value


def squares_mod_order(target: int, random: Random) -> list[int]:
    """Two field elements whose squares sum to ``target`` mod r, however large they are."""
    while True:
        first = random.randrange(1 << 40)
        if (second := square_root(target - first * first)) is not None:
            return [first, second, 0, 0]


def forged(x: list[list[int]], bound_squared: int, q: list[int], random: Random) -> tuple[Statement, bytes]:
    def tamper(name: str, value: Any) -> Any:
        return q if name == "q" else wrapped(name, value)

    update = committed(x, random, dimension=200, bound_squared=bound_squared)
    return update.statement, update.prove(random, tamper=tamper)


def test_a_norm_just_above_the_bound_is_rejected(random: Random) -> None:
    x = an_update(random, 200)
    assert not verify(*forged(x, squared_norm(x) - 1, [0, 0, 0, 0], random))
    assert verify(*forged(x, squared_norm(x), [0, 0, 0, 0], random)), "nothing else is wrong with it"


def test_an_imaginary_unit_among_the_squares_is_rejected(random: Random) -> None:
    """q_0 = √−1 satisfies the equation mod r for a norm one above the bound."""
    x, unit = an_update(random, 200), square_root(-1)
    assert unit is not None
    assert unit * unit % R == R - 1
    assert not verify(*forged(x, squared_norm(x) - 1, [unit, 0, 0, 0], random))


def test_a_root_in_a_padding_column_is_rejected(random: Random) -> None:
    """√(−k) in a column that belongs to no coordinate lowers the norm mod r by k."""
    x, excess = an_update(random, 200), 1000
    while (root := square_root(-excess)) is None:
        excess += 1
    bound_squared = squared_norm(x) - excess
    x[0][COLUMNS - 1] = root
    assert squared_norm(x) % R == bound_squared
    assert not verify(*forged(x, bound_squared, [0, 0, 0, 0], random))


@pytest.mark.parametrize(
    "residue",
    [
        pytest.param(1 << 64, id="2^64"),
        pytest.param((1 << 64) - 1, id="just_below_2^64"),
        pytest.param(R - (1 << 64) + 1, id="just_above_-2^64"),
        pytest.param(R - (1 << 64), id="-2^64"),
        pytest.param((R + 1) // 2, id="half"),
        pytest.param((R - 1) // 2, id="minus_half"),
        pytest.param(square_root(2), id="root_of_two"),
    ],
)
def test_a_large_residue_is_rejected_though_its_norm_fits_mod_r(random: Random, residue: int | None) -> None:
    x = an_update(random, 200)
    assert residue is not None
    x[0][17] = residue
    q = squares_mod_order(BOUND_SQUARED - squared_norm(x), random)
    assert (squared_norm(x) + sum(v * v for v in q)) % R == BOUND_SQUARED
    assert not verify(*forged(x, BOUND_SQUARED, q, random))


@pytest.mark.parametrize("residue", [1 << 64, (R - 1) // 2, square_root(2)])
def test_many_large_residues_are_rejected(random: Random, residue: int | None) -> None:
    """Of both signs, so that a row's sum may be small again."""
    x = an_update(random, 200)
    assert residue is not None
    for column in range(40, 90):
        x[0][column] = random.choice([residue, R - residue])
    q = squares_mod_order(BOUND_SQUARED - squared_norm(x), random)
    assert (squared_norm(x) + sum(v * v for v in q)) % R == BOUND_SQUARED
    assert not verify(*forged(x, BOUND_SQUARED, q, random))


@pytest.mark.parametrize("content", ["zeros", "arbitrary", "small"])
def test_a_mask_row_of_any_content_does_not_help(random: Random, content: str) -> None:
    """An honest prover has masks of sums in a range and uniform scalars; nobody checks, and nobody need."""
    x = an_update(random, 200)
    most = {"zeros": 1, "arbitrary": R, "small": 1 << 20}[content]

    def tamper(name: str, value: Any) -> Any:
        return [random.randrange(most) for _ in value] if name == "mask" else wrapped(name, value)

    for bound_squared in (squared_norm(x) - 1, squared_norm(x) // 2):
        update = committed(x, random, dimension=200, bound_squared=bound_squared)
        assert not verify(update.statement, update.prove(random, tamper=tamper))


def off_by_one(what: str) -> Tamper:
    def tamper(name: str, value: Any) -> Any:
        if name != what:
            return value
        return [(value[0] + 1) % R, *value[1:]] if isinstance(value, list) else (value + 1) % R

    return tamper


@pytest.mark.parametrize("what", ["q", "s_1", "s_5", "s_8", "X", "Q"])
def test_a_wrong_message_is_rejected(random: Random, what: str) -> None:
    update = committed(an_update(random, 200), random, dimension=200, bound_squared=BOUND_SQUARED)
    assert not verify(update.statement, update.prove(random, tamper=off_by_one(what)))


class DrawnTooEarly(Transcript):
    """A transcript that gives c and ξ before it knows T1 and T2."""

    def __init__(self) -> None:
        super().__init__(norm_proof.DOMAIN)
        self.drawn: dict[bytes, list[int]] = {}

    def absorb(self, label: bytes, data: bytes) -> None:
        if label != b"T":
            super().absorb(label, data)

    def scalar(self, label: bytes) -> int:
        value = super().scalar(label)
        self.drawn[label] = [*self.drawn.get(label, []), value]
        return value

    def foreseen(self) -> tuple[int, int]:
        """C and ξ, as seen when T1 and T2 are about to be sent."""
        fork = deepcopy(self)
        return fork.scalar(b"c"), fork.scalar(b"xi")

    def last(self, label: bytes) -> int:
        return self.drawn[label][-1]


class ChoosesLast:
    """A prover whose norm² is one above the bound, and whose T1 makes up for it."""

    def __init__(self) -> None:
        self.transcripts: list[DrawnTooEarly] = []

    def start(self) -> DrawnTooEarly:
        self.transcripts.append(DrawnTooEarly())
        return self.transcripts[-1]

    def missing(self) -> int:
        """By how much ⟨eq, u⟩ + ⟨φ, m⟩ exceeds t: L1 claims τB² where the sum has τ(B² + 1)."""
        return self.transcripts[-1].last(b"theta") * self.transcripts[-1].last(b"tau") % R

    def after_c(self, name: str, value: Any) -> Any:
        """Adds c·missing to the value in T1, which counts c⁻¹ times."""
        if name != "T":
            return wrapped(name, value)
        c, _ = self.transcripts[-1].foreseen()
        shifted = combine([1, c * self.missing() % R], [value[0], inner_product_generator()])
        return [shifted, value[1]]

    def after_xi(self, name: str, value: Any) -> Any:
        """Hides a multiple of a generator in T1, and has another row opened than the committed one."""
        transcript = self.transcripts[-1]
        if name not in {"T", "w"}:
            return wrapped(name, value)
        if name == "w":
            return [*value[:-1], (value[-1] + self.shift) % R]
        c, xi = transcript.foreseen()
        columns = transcript.drawn[b"rho"][-8:]
        eq_of_last = 1
        for rho in columns:
            eq_of_last = eq_of_last * rho % R
        self.shift = -self.missing() * pow(eq_of_last, -1, R) % R
        weight = c * pow(xi, -1, R) * self.shift % R
        return [combine([1, weight], [value[0], generators(COLUMNS)[-1]]), value[1]]


@pytest.mark.parametrize("cheat", ["after_c", "after_xi"])
def test_cross_terms_chosen_after_the_challenges_are_rejected(random: Random, cheat: str) -> None:
    """They convince a verifier that draws c and ξ too early, so it is the order that stops them."""
    x, prover = an_update(random, 200), ChoosesLast()
    update = committed(x, random, dimension=200, bound_squared=squared_norm(x) - 1)
    proof = norm_proof.prove_with_masks(
        update.statement,
        x,
        update.blindings,
        random.randbytes(32),
        [0, 0, 0, 0],
        tamper=getattr(prover, cheat),
        transcript=prover.start,
    )
    assert norm_proof.verify(update.statement, proof, DrawnTooEarly())
    assert not verify(update.statement, proof)


@pytest.mark.parametrize(
    "false",
    [
        {"bound_squared": 1 << 62},
        {"bound_squared": -1},
        {"dimension": 257},
        {"dimension": 0, "commitments": []},
        {"columns": 128},
        {"columns": 300},
    ],
)
def test_statements_of_which_the_proof_says_nothing_are_refused(
    honest: tuple[Statement, bytes], false: dict[str, Any]
) -> None:
    with pytest.raises(BadStatement):
        replace(honest[0], **false)
    statement = as_product(honest[0])
    if "commitments" in false:
        false = {**false, "commitments": statement.commitments[:0]}
    with pytest.raises(InvalidParameter):
        replace(statement, **false)


def flipped(data: bytes, at: int) -> bytes:
    """One bit of chain, contract, job or round, by where it lies in the context."""
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def test_a_proof_is_for_one_statement_only(honest: tuple[Statement, bytes]) -> None:
    statement, proof = honest
    assert verify(statement, proof)
    for other in (
        *(replace(statement, context=flipped(statement.context, at)) for at in (7, 27, 35, 39)),
        replace(statement, trainer=bytes(20)),
        replace(statement, checkpoint=bytes(32)),
        replace(statement, dimension=201),
        replace(statement, bound_squared=BOUND_SQUARED + 1),
        replace(statement, commitments=[generators(1)[0]]),
    ):
        assert not verify(other, proof)


def test_damaged_proofs_are_rejected(honest: tuple[Statement, bytes], random: Random) -> None:
    statement, proof = honest
    for at in [0, 60, len(proof) - 1, *random.sample(range(len(proof)), 7)]:
        damaged = bytearray(proof)
        damaged[at] ^= 1 << random.randrange(8)
        with suppress(BadPoint, BadScalar):
            assert not verify(statement, bytes(damaged))
    for wrong in (proof[:-1], proof + b"\0", b""):
        with pytest.raises(BadEncoding):
            verify(statement, wrong)
    with pytest.raises(BadScalar):
        verify(statement, proof[:-32] + encode_scalar(R))
    outside = b"\x80" + bytes(46) + b"\x04"  # on the curve, of another order
    with pytest.raises(BadPoint, match="subgroup"):
        verify(statement, outside + proof[48:])


class Programmed:
    """Challenges that are chosen, not hashed."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self.drawn: dict[str, list[int]] = {}
        self._seed = random.randbytes(32)

    def absorb(self, label: bytes, data: bytes) -> None: ...

    def blocks(self, _label: bytes, _count: int) -> bytes:
        return self._seed

    def scalar(self, label: bytes) -> int:
        self.drawn.setdefault(label.decode(), []).append(self._random.randrange(1, R))
        return self.drawn[label.decode()][-1]

    short = scalar


def test_a_simulator_without_a_witness_makes_transcripts_that_verify(random: Random) -> None:
    """Everything but A is drawn at random and A solved for: what is seen says nothing about the update."""
    points = [combine([random.randrange(R)], [generators(1)[0]]) for _ in range(3)]
    statement = Statement(bytes(40), bytes(20), bytes(32), 700, COLUMNS, BOUND_SQUARED, points)
    n, folds = statement.variables, statement.column_variables - 2

    def point() -> Any:
        return combine([random.randrange(R)], [generators(1)[0]])

    def scalars(count: int) -> list[int]:
        return [random.randrange(R) for _ in range(count)]

    big_x, big_q, *responses = scalars(7)
    end = b"".join(map(encode_scalar, responses))
    before_a = encode_points([point() for _ in range(2 * folds)])
    proof = Proof(
        point(),
        [random.getrandbits(64) for _ in range(norm_proof.TESTS)],
        [scalars(5 if i == n else 3) for i in range(1, n + 1)],
        big_x,
        big_q,
        point(),
        point(),
        before_a + encode_point(None) + end,
    )
    missing = norm_proof.missing_point(statement, proof.to_bytes(), Programmed(seeded(3)))
    made = replace(proof, opening=before_a + encode_point(missing) + end).to_bytes()
    assert norm_proof.verify(statement, made, Programmed(seeded(3)))
    assert not norm_proof.verify(statement, made, Programmed(seeded(4)))
