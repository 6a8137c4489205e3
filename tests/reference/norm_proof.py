"""Norm proof (docs/spec.md §7): the committed rows have squared L2 norm at most B², over the integers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count, islice
from math import isqrt
from random import Random
from typing import Any

from tests.reference.aggregation import inner, open_commitment
from tests.reference.group import (
    BadEncoding,
    Point,
    R,
    blinding_generator,
    combine,
    decode_points,
    decode_scalars,
    encode_point,
    encode_points,
    encode_scalar,
    generators,
    inner_product_generator,
)
from tests.reference.hashing import Challenges, Transcript, stream

DOMAIN = b"zkpfl/v1/norm"
TESTS = 128
SQUARES = 4

Poly = list[int]
"""Coefficients, lowest first."""
Tamper = Callable[[str, Any], Any]
"""What a cheating prover makes of a value that it is about to use, by its name."""


class BadStatement(ValueError):
    pass


class CommittedRows:
    """What all statements about committed rows have."""

    dimension: int
    columns: int
    commitments: list[Point]

    def check_rows(self) -> None:
        if self.columns < 256 or self.columns & (self.columns - 1):
            raise BadStatement("columns must be a power of two, at least 256")
        if self.dimension < 1 or len(self.commitments) != -(-self.dimension // self.columns):
            raise BadStatement("rows must be ceil(dimension / columns)")

    @property
    def rows(self) -> int:
        return len(self.commitments)

    @property
    def row_variables(self) -> int:
        return (self.rows - 1).bit_length()

    @property
    def column_variables(self) -> int:
        return self.columns.bit_length() - 1

    @property
    def variables(self) -> int:
        return self.row_variables + self.column_variables

    def padded(self, values: Sequence[int]) -> list[int]:
        """A table over the whole cube."""
        return [*values, *[0] * ((1 << self.variables) - len(values))]


@dataclass(frozen=True)
class Statement(CommittedRows):
    context: bytes
    trainer: bytes
    checkpoint: bytes
    dimension: int
    columns: int
    bound_squared: int
    commitments: list[Point]

    def __post_init__(self) -> None:
        """The proof says nothing of other statements: the bound on B² is what keeps sums below r."""
        self.check_rows()
        if not 0 <= self.bound_squared < 1 << 62:
            raise BadStatement("bound_squared must be below 2^62")


@dataclass
class Proof:
    mask_commitment: Point
    z: list[int]
    polynomials: list[Poly]
    X: int
    Q: int
    T1: Point
    T2: Point
    opening: bytes

    def to_bytes(self) -> bytes:
        first, *middle, last = self.polynomials
        sent = [*first, *(c for s in middle for c in (s[0], s[2])), last[0], *last[2:], self.X, self.Q]
        return (
            encode_point(self.mask_commitment)
            + b"".join(value.to_bytes(8, "big") for value in self.z)
            + b"".join(map(encode_scalar, sent))
            + encode_points([self.T1, self.T2])
            + self.opening
        )


def start(statement: Statement, transcript: Challenges) -> None:
    transcript.absorb(b"context", statement.context)
    transcript.absorb(b"trainer", statement.trainer)
    transcript.absorb(b"checkpoint", statement.checkpoint)
    shape = statement.dimension.to_bytes(8, "big") + statement.columns.to_bytes(4, "big")
    bound = statement.bound_squared.to_bytes(8, "big")
    transcript.absorb(b"shape", shape + statement.rows.to_bytes(4, "big") + bound)
    transcript.absorb(b"C", encode_points(statement.commitments))


def binary_rows(statement: Statement, seed: bytes) -> list[int]:
    """For each coordinate, then for each of the four squares, an integer whose bit k is that of row k."""
    count = statement.rows * statement.columns + SQUARES
    data = stream(seed, 0, 16 * count)
    return [int.from_bytes(data[16 * i : 16 * i + 16], "little") for i in range(count)]


def weighted_rows(bits: Sequence[int], gamma: int) -> list[int]:
    """A = Σ_k γ^k R_k."""
    powers = [pow(gamma, k, R) for k in range(TESTS)]
    return [sum(power for k, power in enumerate(powers) if word >> k & 1) % R for word in bits]


def evaluate(poly: Poly, x: int) -> int:
    return sum(c * pow(x, e, R) for e, c in enumerate(poly)) % R


def interpolate(values: Sequence[int]) -> Poly:
    """Coefficients of the polynomial with these values at 0, 1, 2, …"""
    result = [0] * len(values)
    for i, value in enumerate(values):
        basis, scale = [1], value
        for j in range(len(values)):
            if j != i:
                basis = [(a - j * b) % R for a, b in zip([0, *basis], [*basis, 0], strict=True)]
                scale = scale * pow(i - j, -1, R) % R
        result = [(total + scale * c) % R for total, c in zip(result, basis, strict=True)]
    return result


def bind(table: Sequence[int], x: int) -> list[int]:
    """Fix the top variable of a multilinear table."""
    half = len(table) // 2
    return [(lo + x * (hi - lo)) % R for lo, hi in zip(table[:half], table[half:], strict=True)]


def equality(point: Sequence[int]) -> list[int]:
    """eq(point, ·) over the cube, top variable first."""
    table = [1]
    for x in point:
        table = [value * side % R for value in table for side in (1 - x, x)]
    return table


def bubble(x: int) -> int:
    """Z(X) = X(1 − X), zero on the cube."""
    return x * (1 - x) % R


@dataclass
class Mask:
    """The mask row by the meaning of its columns."""

    row: list[int]
    variables: int

    @property
    def q(self) -> list[int]:
        return self.row[:SQUARES]

    @property
    def y(self) -> list[int]:
        return self.row[SQUARES : SQUARES + TESTS]

    @property
    def g(self) -> list[Poly]:
        """The masks of each variable, without constant term; the constant g_0 is of its own."""
        at, result = SQUARES + TESTS + 1, []
        for i in range(self.variables):
            degree = 2 if i < self.variables - 1 else 4
            result.append([0, *self.row[at : at + degree]])
            at += degree
        return result

    @property
    def g_0(self) -> int:
        return self.row[SQUARES + TESTS]

    @property
    def a(self) -> tuple[int, int]:
        at = SQUARES + TESTS + 1 + 2 * (self.variables - 1) + 4
        return self.row[at], self.row[at + 1]

    def free_sum(self, bound: Sequence[int], x: int) -> int:
        """Σ of g over the variables after ``bound`` and ``x``."""
        g, free = self.g, self.variables - len(bound) - 1
        known = self.g_0 + sum(evaluate(s, r) for s, r in zip(g, [*bound, x], strict=False))
        rest = sum(sum(s) for s in g[len(bound) + 1 :])
        return ((known << free) + (rest << free >> 1)) % R


def prove(
    statement: Statement,
    x: Sequence[Sequence[int]],
    blindings: Sequence[int],
    random: Random,
    *,
    tamper: Tamper = lambda _name, value: value,
) -> bytes:
    """Prove, without asking whether the statement is true."""
    left = statement.bound_squared - sum(value * value for row in x for value in row)
    q = tamper("q", four_squares(left, random))
    return prove_with_masks(statement, x, blindings, random.randbytes(32), q, tamper=tamper)


def prove_with_masks(
    statement: Statement,
    x: Sequence[Sequence[int]],
    blindings: Sequence[int],
    key: bytes,
    q: Sequence[int],
    *,
    tamper: Tamper = lambda _name, value: value,
    transcript: Callable[[], Challenges] = lambda: Transcript(DOMAIN),
) -> bytes:
    """Prove with the masks that follow from a key."""
    for attempt in count():
        masks = Masks(statement, key, attempt)
        proof = _attempt(statement, x, blindings, masks, q, tamper, transcript())
        if proof is not None:
            return proof.to_bytes()
    raise AssertionError


class Masks:
    """What an attempt draws, from three streams of its own."""

    def __init__(self, statement: Statement, key: bytes, attempt: int) -> None:
        columns = statement.columns - SQUARES - TESTS
        scalars = uniform_scalars(key, 3 * attempt + 1)
        self.y = list(islice(_masks_of_sums(statement, key, 3 * attempt), TESTS))
        self.columns = list(islice(scalars, columns))
        self.blinding = next(scalars)
        self.opening = uniform_scalars(key, 3 * attempt + 2)


def uniform_scalars(key: bytes, number: int) -> Iterator[int]:
    for piece in _pieces(key, number, 32):
        value = int.from_bytes(piece, "big") % (1 << 255)
        if value < R:
            yield value


def _masks_of_sums(statement: Statement, key: bytes, number: int) -> Iterator[int]:
    """Integers in [−K, 2^64 + K)."""
    square = (statement.rows * statement.columns + SQUARES) * statement.bound_squared
    bound = isqrt(square)
    bound += bound * bound < square
    for piece in _pieces(key, number, 9):
        value = int.from_bytes(piece, "big") % (1 << 65)
        if value < (1 << 64) + 2 * bound:
            yield value - bound


def _pieces(key: bytes, number: int, size: int) -> Iterator[bytes]:
    data = stream(key, number, size << 12)
    return (data[i : i + size] for i in range(0, len(data), size))


def _attempt(
    statement: Statement,
    x: Sequence[Sequence[int]],
    blindings: Sequence[int],
    masks: Masks,
    q: Sequence[int],
    tamper: Tamper,
    transcript: Challenges,
) -> Proof | None:
    n, columns = statement.variables, statement.columns
    start(statement, transcript)

    flat = [value for row in x for value in row]
    mask = Mask(tamper("mask", [*q, *masks.y, *masks.columns]), n)
    mask_blinding = masks.blinding
    mask_commitment = _commit(mask.row, mask_blinding)
    transcript.absorb(b"M", encode_point(mask_commitment))

    bits = binary_rows(statement, transcript.blocks(b"rows", 1))
    known = [*flat, *mask.q]
    z = [
        _signed(y) + sum(value for value, word in zip(known, bits, strict=True) if word >> k & 1)
        for k, y in enumerate(mask.y)
    ]
    z = tamper("z", z)
    if not all(0 <= value < 1 << 64 for value in z):
        return None
    transcript.absorb(b"z", b"".join(value.to_bytes(8, "big") for value in z))
    gamma, tau = transcript.scalar(b"gamma"), transcript.scalar(b"tau")

    weights = weighted_rows(bits, gamma)
    a_table, a_q = statement.padded(weights[:-SQUARES]), weights[-SQUARES:]
    polynomials, rho, big_x, big_q = _sumcheck(
        transcript, statement.padded(flat), a_table, mask, tau, n, tamper
    )
    big_x, big_q = tamper("X", big_x), tamper("Q", big_q)
    transcript.absorb(b"claims", encode_scalar(big_x) + encode_scalar(big_q))
    theta = transcript.scalar(b"theta")

    row_weights = equality(rho[: statement.row_variables])[: statement.rows]
    u = [inner(row_weights, column) for column in zip(*x, strict=True)]
    u_blinding = inner(row_weights, blindings)
    eq = equality(rho[statement.row_variables :])
    phi = functional(columns, n, rho, gamma, theta, a_q)

    r1, r2 = next(masks.opening), next(masks.opening)
    cross = inner_product_generator(), blinding_generator()
    t1, t2 = combine([inner(phi, u), r1], cross), combine([inner(eq, mask.row), r2], cross)
    t1, t2 = tamper("T", [t1, t2])
    transcript.absorb(b"T", encode_points([t1, t2]))
    c, xi = transcript.scalar(b"c"), transcript.scalar(b"xi")
    inverse = pow(c, -1, R)
    w = tamper("w", [(a + c * b) % R for a, b in zip(u, mask.row, strict=True)])
    f = [xi * (a + inverse * b) % R for a, b in zip(eq, phi, strict=True)]
    beta = (u_blinding + c * mask_blinding + xi * (inverse * r1 + c * r2)) % R
    opening = open_commitment(transcript, w, beta, masks.opening, f)
    return Proof(mask_commitment, z, polynomials, big_x, big_q, t1, t2, opening)


def _signed(value: int) -> int:
    """The representative nearest to zero."""
    value %= R
    return value - R if value > R // 2 else value


def _commit(values: Sequence[int], blinding: int) -> Point:
    scalars = [value % R for value in (*values, blinding)]
    return combine(scalars, [*generators(len(values)), blinding_generator()])


def _sumcheck(
    transcript: Transcript,
    x: list[int],
    a: list[int],
    mask: Mask,
    tau: int,
    n: int,
    tamper: Tamper,
) -> tuple[list[Poly], list[int], int, int]:
    q, scale = mask.q, pow(2, 2 - n, R) * tau % R
    rho: list[int] = []
    polynomials: list[Poly] = []

    def at(i: int, point: int) -> int:
        """s_i(point): what the variables after i leave of F + g."""
        x_at, a_at, q_at = bind(x, point), bind(a, point), bind(q, point) if i > n - 2 else q
        if i == n:
            lift, lift_q = (value * bubble(point) for value in mask.a)
            x_at, q_at = [x_at[0] + lift], [q_at[0] + lift_q]
        squares = scale * inner(q_at, q_at) * pow(2, max(0, n - 2 - i), R)
        return (sum(v * (w + tau * v) for v, w in zip(x_at, a_at, strict=True)) + squares) % R

    for i in range(1, n + 1):
        points = range(5 if i == n else 3)
        s = interpolate([(at(i, point) + mask.free_sum(rho, point)) % R for point in points])
        s = tamper(f"s_{i}", s)
        polynomials.append(s)
        _absorb_polynomial(transcript, s, first=i == 1)
        rho.append(transcript.scalar(b"rho"))
        x, a, q = bind(x, rho[-1]), bind(a, rho[-1]), bind(q, rho[-1]) if i > n - 2 else q
    lift, lift_q = (value * bubble(rho[-1]) for value in mask.a)
    big_x, big_q = (x[0] + lift) % R, (q[0] + lift_q) % R
    return polynomials, rho, big_x, big_q


def _absorb_polynomial(transcript: Challenges, s: Poly, *, first: bool) -> None:
    sent = s if first else [s[0], *s[2:]]
    transcript.absorb(b"s", b"".join(map(encode_scalar, sent)))


def functional(
    columns: int, n: int, rho: Sequence[int], gamma: int, theta: int, a_q: Sequence[int]
) -> list[int]:
    """φ: the coefficients of the mask row in L3 + θL1 + θ²L2 + θ³L4."""
    squared, cubed = theta * theta % R, pow(theta, 3, R)
    corner = equality(rho[-2:])
    phi = [theta * a + cubed * e for a, e in zip(a_q, corner, strict=True)]
    phi += [theta * pow(gamma, k, R) for k in range(TESTS)]
    phi.append(squared - (theta << n))
    for i, r in enumerate(rho, start=1):
        degrees = range(1, 5 if i == n else 3)
        phi += [squared * pow(r, e, R) - (theta << (n - 1)) for e in degrees]
    phi += [bubble(rho[-1]), cubed * bubble(rho[-1])]
    return [value % R for value in phi] + [0] * (columns - len(phi))


def proof_bytes(statement: Statement) -> int:
    scalars = 3 + 2 * (statement.variables - 2) + 4 + 2
    folds = statement.column_variables - 2
    return 48 + 8 * TESTS + 32 * scalars + 96 + 96 * folds + 48 + 160


def verify(statement: Statement, proof: bytes, transcript: Challenges | None = None) -> bool:
    """Whether a proof holds; ``transcript`` is another one where challenges are programmed."""
    point = _Reader(proof[-208:]).points(1)[0] if len(proof) == proof_bytes(statement) else None
    return missing_point(statement, proof, transcript) == point


def missing_point(statement: Statement, proof: bytes, transcript: Challenges | None = None) -> Point:
    """The only A_pt with which a proof holds, as one sum of points."""
    if len(proof) != proof_bytes(statement):
        raise BadEncoding("wrong length")
    transcript = transcript or Transcript(DOMAIN)
    n, reader = statement.variables, _Reader(proof)
    start(statement, transcript)
    (mask_commitment,) = reader.points(1)
    transcript.absorb(b"M", encode_point(mask_commitment))
    bits = binary_rows(statement, transcript.blocks(b"rows", 1))
    z_wire = reader.take(8 * TESTS)
    z = [int.from_bytes(z_wire[8 * k : 8 * k + 8], "big") for k in range(TESTS)]
    transcript.absorb(b"z", z_wire)
    gamma, tau = transcript.scalar(b"gamma"), transcript.scalar(b"tau")

    claimed, first, rho = 0, 0, []
    for i in range(1, n + 1):
        sent = reader.scalars(3 if i == 1 else 4 if i == n else 2)
        if i == 1:
            s = sent
            first = (2 * s[0] + s[1] + s[2]) % R
        else:
            s = [sent[0], (claimed - 2 * sent[0] - sum(sent[1:])) % R, *sent[1:]]
        _absorb_polynomial(transcript, s, first=i == 1)
        rho.append(transcript.scalar(b"rho"))
        claimed = evaluate(s, rho[-1])
    big_x, big_q = reader.scalars(2)
    transcript.absorb(b"claims", encode_scalar(big_x) + encode_scalar(big_q))
    theta = transcript.scalar(b"theta")

    weights = weighted_rows(bits, gamma)
    row_weights = equality(rho[: statement.row_variables])[: statement.rows]
    eq = equality(rho[statement.row_variables :])
    phi = functional(statement.columns, n, rho, gamma, theta, weights[-SQUARES:])
    a_at = inner([r * e % R for r in row_weights for e in eq], weights[:-SQUARES])
    l1 = sum(pow(gamma, k, R) * value for k, value in enumerate(z)) + tau * statement.bound_squared - first
    l2 = claimed - big_x * (a_at + tau * big_x) - pow(2, 2 - n, R) * tau * big_q * big_q
    t = (big_x + theta * l1 + theta * theta * l2 + pow(theta, 3, R) * big_q) % R

    t1, t2 = reader.points(2)
    transcript.absorb(b"T", encode_points([t1, t2]))
    c, xi = transcript.scalar(b"c"), transcript.scalar(b"xi")
    inverse = pow(c, -1, R)
    f = [(a + inverse * b) % R for a, b in zip(eq, phi, strict=True)]
    # P, and what the folds add to it
    scalars = [*row_weights, c, xi * inverse % R, xi * c % R]
    points = [*statement.commitments, mask_commitment, t1, t2]
    coefficients = [1]
    for _ in range(statement.column_variables - 2):
        left, right = reader.points(2)
        transcript.absorb(b"L", encode_point(left))
        transcript.absorb(b"R", encode_point(right))
        e = transcript.short(b"x")
        scalars += [e, pow(e, -1, R)]
        points += [left, right]
        half = len(f) // 2
        f = [(a + e * b) % R for a, b in zip(f[:half], f[half:], strict=True)]
        coefficients = [value * side % R for value in coefficients for side in (1, e)]
    (a_point,) = reader.points(1)
    transcript.absorb(b"A", encode_point(a_point))
    epsilon = transcript.scalar(b"y")
    *responses, response_h = reader.scalars(5)
    folded = [value * coefficient % R for coefficient in coefficients for value in responses]
    scalars = [
        *folded,
        xi * (inner(responses, f) - epsilon * t),
        response_h,
        *(-epsilon * s for s in scalars),
    ]
    bases = [*generators(statement.columns), inner_product_generator(), blinding_generator(), *points]
    return combine([scalar % R for scalar in scalars], bases)


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data = data

    def take(self, count: int) -> bytes:
        taken, self._data = self._data[:count], self._data[count:]
        return taken

    def points(self, count: int) -> list[Point]:
        return decode_points(self.take(48 * count))

    def scalars(self, count: int) -> list[int]:
        return decode_scalars(self.take(32 * count))


def four_squares(value: int, random: Random) -> list[int]:
    """Lagrange: four integers whose squares sum to ``value``; zeros if it is negative."""
    if value <= 0:
        return [0] * SQUARES
    if value % 4 == 0:
        return [2 * root for root in four_squares(value // 4, random)]
    while True:
        a = random.randrange(isqrt(value) + 1)
        b = random.randrange(isqrt(value - a * a) + 1)
        two = _two_squares(value - a * a - b * b, random)
        if two is not None:
            return [a, b, *two]


def _two_squares(value: int, random: Random) -> tuple[int, int] | None:
    """Cornacchia, for zero, one, two and primes that are 1 mod 4; None for others."""
    if value <= 2:
        return ((0, 0), (1, 0), (1, 1))[value]
    if value % 4 != 1:
        return None
    for _ in range(8):
        root = pow(random.randrange(1, value), (value - 1) // 4, value)
        if root * root % value == value - 1:
            a, b = value, root
            while b * b > value:
                a, b = b, a % b
            other = isqrt(value - b * b)
            return (b, other) if b * b + other * other == value else None
    return None


def square_root(value: int) -> int | None:
    """A square root mod r (Tonelli–Shanks), None if there is none."""
    value %= R
    if value == 0:
        return 0
    if pow(value, (R - 1) // 2, R) != 1:
        return None
    odd, twos = R - 1, 0
    while odd % 2 == 0:
        odd, twos = odd // 2, twos + 1
    generator, root, error, order = pow(7, odd, R), pow(value, (odd + 1) // 2, R), pow(value, odd, R), twos
    while error != 1:
        steps, power = 0, error
        while power != 1:
            power, steps = power * power % R, steps + 1
        factor = pow(generator, 1 << (order - steps - 1), R)
        root, generator = root * factor % R, factor * factor % R
        error, order = error * generator % R, steps
    return root
