"""Contribution proof (docs/spec.md §7.2): ⟨x, V − x_V⟩ of the committed rows is what is stated.

V and x_V are the parts of the sum X and of x that are orthogonal to public updates. Everything here is done
the long way: exact fractions for what is public, tables of the whole cube for the sumcheck.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

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
from tests.reference.hashing import Challenges, Transcript
from tests.reference.norm_proof import (
    BadStatement,
    CommittedRows,
    Poly,
    Tamper,
    bind,
    bubble,
    equality,
    evaluate,
    interpolate,
    uniform_scalars,
)

DOMAIN = b"zkpfl/v1/contribution"
CORNERS = 4

Vector = Sequence[int]


def gram(updates: Sequence[Vector]) -> list[list[int]]:
    return [[sum(a * b for a, b in zip(u, v, strict=True)) for v in updates] for u in updates]


def determinant(matrix: Sequence[Sequence[int]]) -> int:
    """By elimination over the rationals."""
    rows, result = [[Fraction(value) for value in row] for row in matrix], Fraction(1)
    for i in range(len(rows)):
        pivot = next((k for k in range(i, len(rows)) if rows[k][i]), None)
        if pivot is None:
            return 0
        if pivot != i:
            rows[i], rows[pivot], result = rows[pivot], rows[i], -result
        result *= rows[i][i]
        for k in range(i + 1, len(rows)):
            factor = rows[k][i] / rows[i][i]
            rows[k] = [a - factor * b for a, b in zip(rows[k], rows[i], strict=True)]
    assert result.denominator == 1
    return result.numerator


def independent(updates: Sequence[Vector]) -> list[Vector]:
    """Those that are no combination of the ones before."""
    kept: list[Vector] = []
    for update in updates:
        if determinant(gram([*kept, update])):
            kept.append(update)
    return kept


def coordinates(vector: Vector, updates: Sequence[Vector]) -> list[Fraction]:
    """Of the part of a vector in the span of independent updates: G⁻¹·(⟨vector, U_j⟩), by Cramer's rule."""
    g = gram(updates)
    right = [sum(a * b for a, b in zip(vector, u, strict=True)) for u in updates]
    whole = determinant(g)
    return [
        Fraction(determinant([[*row[:j], b, *row[j + 1 :]] for row, b in zip(g, right, strict=True)]), whole)
        for j in range(len(updates))
    ]


def orthogonal_part(vector: Vector, updates: Sequence[Vector]) -> list[Fraction]:
    weights = coordinates(vector, updates)
    return [
        Fraction(value) - sum((w * u[i] for w, u in zip(weights, updates, strict=True)), Fraction(0))
        for i, value in enumerate(vector)
    ]


def contribution(x: Vector, total: Vector, updates: Sequence[Vector]) -> Fraction:
    """⟨x, V − x_V⟩."""
    v, x_v = orthogonal_part(total, updates), orthogonal_part(x, updates)
    return sum((a * (b - c) for a, b, c in zip(x, v, x_v, strict=True)), Fraction(0))


@dataclass(frozen=True)
class Statement(CommittedRows):
    context: bytes
    trainer: bytes
    checkpoint: bytes
    dimension: int
    columns: int
    commitments: list[Point]
    total: Vector
    updates: Sequence[Vector]  # all that are public, dependent ones too
    norm_bound: int
    value: int  # times the determinant

    def __post_init__(self) -> None:
        self.check_rows()
        if len(self.updates) > CORNERS or any(len(u) != self.dimension for u in (self.total, *self.updates)):
            raise BadStatement("the sum and at most four updates of the dimension")
        if 2 * self.limit >= R or abs(self.value) > self.limit:
            raise BadStatement("a contribution must not wrap around")

    @property
    def kept(self) -> list[Vector]:
        return independent(self.updates)

    @property
    def denominator(self) -> int:
        return determinant(gram(self.kept))

    @property
    def limit(self) -> int:
        norm = _root(sum(value * value for value in self.total))
        return self.denominator * self.norm_bound * (norm + 1 + self.norm_bound)

    def weighed_total(self, mu: int) -> list[int]:
        """A = V + Σ_j μ^j·U_j mod r, over the cube."""
        v = [_mod(value) for value in orthogonal_part(self.total, self.kept)]
        for j, update in enumerate(self.kept, start=1):
            v = [(a + pow(mu, j, R) * b) % R for a, b in zip(v, update, strict=True)]
        return self.padded(v)

    def partner(self, p: Vector) -> list[int]:
        """G⁻¹·p mod r, zeros after the updates."""
        g, k = gram(self.kept), len(self.kept)
        whole = determinant(g)

        def entry(i: int, j: int) -> int:
            """Cramer's rule for the j-th unit vector."""
            replaced = [[*row[:i], int(k_ == j), *row[i + 1 :]] for k_, row in enumerate(g)]
            return _mod(Fraction(determinant(replaced), whole))

        inverse = [[entry(i, j) for j in range(k)] for i in range(k)]
        return [inner(row, p[:k]) for row in inverse] + [0] * (CORNERS - k)


def _root(square: int) -> int:
    """Largest integer whose square is not larger, by bisection."""
    low, high = 0, 1 << (square.bit_length() // 2 + 1)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if middle * middle <= square else (low, middle)
    return low


def _mod(value: Fraction) -> int:
    return value.numerator * pow(value.denominator, -1, R) % R


def start(statement: Statement, transcript: Challenges) -> None:
    transcript.absorb(b"context", statement.context)
    transcript.absorb(b"trainer", statement.trainer)
    transcript.absorb(b"checkpoint", statement.checkpoint)
    shape = statement.dimension.to_bytes(8, "big") + statement.columns.to_bytes(4, "big")
    transcript.absorb(b"shape", shape + statement.rows.to_bytes(4, "big"))
    transcript.absorb(b"C", encode_points(statement.commitments))
    transcript.absorb(b"X", _digest(statement.total, 8))
    transcript.absorb(b"U", b"".join(_digest(update, 2) for update in statement.kept))
    transcript.absorb(b"value", statement.value.to_bytes(32, "big", signed=True))


def _digest(values: Vector, size: int) -> bytes:
    return hashlib.sha256(b"".join(value.to_bytes(size, "big", signed=True) for value in values)).digest()


class Mask:
    """The mask row by the meaning of its columns: p, g_0, the g_(i,e), a, a', a''."""

    def __init__(self, row: list[int], variables: int) -> None:
        self.row, self.variables = row, variables
        self.p, self.g_0 = row[:CORNERS], row[CORNERS]
        self.g: list[Poly] = []
        at = CORNERS + 1
        for i in range(variables):
            degree = 2 if i < variables - 1 else 4
            self.g.append([0, *row[at : at + degree]])
            at += degree
        self.a = row[at : at + 3]

    def free_sum(self, bound: Sequence[int], x: int) -> int:
        """Σ of g over the variables after ``bound`` and ``x``."""
        free = self.variables - len(bound) - 1
        known = self.g_0 + sum(evaluate(s, r) for s, r in zip(self.g, [*bound, x], strict=False))
        rest = sum(sum(s) for s in self.g[len(bound) + 1 :])
        return ((known << free) + (rest << free >> 1)) % R


def prove_with_masks(
    statement: Statement,
    x: Sequence[Sequence[int]],
    blindings: Sequence[int],
    key: bytes,
    *,
    tamper: Tamper = lambda _name, value: value,
    transcript: Challenges | None = None,
) -> bytes:
    """Prove, without asking whether the statement is true."""
    transcript = transcript or Transcript(DOMAIN)
    n = statement.variables
    scalars, masks = uniform_scalars(key, 1), uniform_scalars(key, 2)
    start(statement, transcript)
    flat = [value for row in x for value in row]
    products = [inner(flat[: statement.dimension], update) for update in statement.kept]
    p = tamper("p", products + [0] * (CORNERS - len(products)))
    row = tamper("mask", [*p, *(next(scalars) for _ in range(statement.columns - CORNERS))])
    mask, mask_blinding = Mask(row, n), next(scalars)
    committed = [value % R for value in (*row, mask_blinding)]
    mask_commitment = combine(committed, [*generators(len(row)), blinding_generator()])
    transcript.absorb(b"M", encode_point(mask_commitment))
    mu = transcript.scalar(b"mu")

    sent, rho, claims = _sumcheck(statement, transcript, statement.padded(flat), mask, mu, tamper)
    claims = tamper("claims", claims)
    encoded = b"".join(map(encode_scalar, claims))
    transcript.absorb(b"claims", encoded)
    theta = transcript.scalar(b"theta")

    row_weights = equality(rho[: statement.row_variables])[: statement.rows]
    u = [inner(row_weights, column) for column in zip(*x, strict=True)]
    eq, phi = equality(rho[statement.row_variables :]), functional(statement, rho, mu, theta)
    r1, r2 = next(masks), next(masks)
    cross = inner_product_generator(), blinding_generator()
    t1, t2 = combine([inner(phi, u), r1], cross), combine([inner(eq, mask.row), r2], cross)
    t1, t2 = tamper("T", [t1, t2])
    transcript.absorb(b"T", encode_points([t1, t2]))
    c, xi = transcript.scalar(b"c"), transcript.scalar(b"xi")
    inverse = pow(c, -1, R)
    w = [(a + c * b) % R for a, b in zip(u, mask.row, strict=True)]
    f = [xi * (a + inverse * b) % R for a, b in zip(eq, phi, strict=True)]
    beta = (inner(row_weights, blindings) + c * mask_blinding + xi * (inverse * r1 + c * r2)) % R
    opening = open_commitment(transcript, w, beta, masks, f)
    return encode_point(mask_commitment) + sent + encoded + encode_points([t1, t2]) + opening


def _sumcheck(
    statement: Statement, transcript: Challenges, x: list[int], mask: Mask, mu: int, tamper: Tamper
) -> tuple[bytes, list[int], list[int]]:
    n, scale = statement.variables, pow(2, 2 - statement.variables, R)
    a, p, partner = statement.weighed_total(mu), mask.p, statement.partner(mask.p)
    sent, rho = b"", list[int]()

    def lifted(i: int, values: list[int], lift: int, point: int) -> list[int]:
        return [values[0] + lift * bubble(point)] if i == n else values

    def at(i: int, point: int) -> int:
        """s_i(point): what the variables after i leave of F + g."""
        x_at, a_at = lifted(i, bind(x, point), mask.a[0], point), bind(a, point)
        corners = [bind(q, point) if i > n - 2 else q for q in (p, partner)]
        p_at, partner_at = (lifted(i, q, lift, point) for q, lift in zip(corners, mask.a[1:], strict=True))
        small = scale * inner(p_at, partner_at) * pow(2, max(0, n - 2 - i), R)
        return (sum(v * (b - v) for v, b in zip(x_at, a_at, strict=True)) + small) % R

    for i in range(1, n + 1):
        points = range(5 if i == n else 3)
        s = interpolate([(at(i, point) + mask.free_sum(rho, point)) % R for point in points])
        s = tamper(f"s_{i}", s)
        wire = b"".join(map(encode_scalar, s if i == 1 else [s[0], *s[2:]]))
        transcript.absorb(b"s", wire)
        sent += wire
        rho.append(transcript.scalar(b"rho"))
        x, a = bind(x, rho[-1]), bind(a, rho[-1])
        if i > n - 2:
            p, partner = bind(p, rho[-1]), bind(partner, rho[-1])
    ends = (x[0], p[0], partner[0])
    return sent, rho, [(end + lift * bubble(rho[-1])) % R for end, lift in zip(ends, mask.a, strict=True)]


def functional(statement: Statement, rho: Sequence[int], mu: int, theta: int) -> list[int]:
    """φ: the coefficients of the mask row in L3 + θL1 + θ²L2 + θ³L4 + θ⁴L5."""
    n, corner = statement.variables, equality(rho[-2:])
    of_partner = statement.partner(corner)  # G⁻¹ is symmetric
    phi = [
        -theta * pow(mu, j + 1, R) + pow(theta, 3, R) * corner[j] + pow(theta, 4, R) * of_partner[j]
        for j in range(CORNERS)
    ]
    phi.append(theta * theta - (theta << n))
    for i, r in enumerate(rho, start=1):
        phi += [theta * theta * pow(r, e, R) - (theta << (n - 1)) for e in range(1, 5 if i == n else 3)]
    phi += [pow(theta, e, R) * bubble(rho[-1]) for e in (0, 3, 4)]
    return [value % R for value in phi] + [0] * (statement.columns - len(phi))


def proof_bytes(statement: Statement) -> int:
    scalars = 3 + 2 * (statement.variables - 2) + 4 + 3
    folds = statement.column_variables - 2
    return 48 + 32 * scalars + 96 + 96 * folds + 48 + 160


def verify(statement: Statement, proof: bytes, transcript: Challenges | None = None) -> bool:
    """Whether a proof holds; ``transcript`` is another one where challenges are programmed."""
    point = decode_points(proof[-208:-160])[0] if len(proof) == proof_bytes(statement) else None
    return missing_point(statement, proof, transcript) == point


def missing_point(statement: Statement, proof: bytes, transcript: Challenges | None = None) -> Point:
    """The only A_pt with which a proof holds, as one sum of points."""
    if len(proof) != proof_bytes(statement):
        raise BadEncoding("wrong length")
    transcript, n, left_over = transcript or Transcript(DOMAIN), statement.variables, [proof]

    def take(count: int) -> bytes:
        taken, left_over[0] = left_over[0][:count], left_over[0][count:]
        return taken

    start(statement, transcript)
    wire = take(48)
    (mask_commitment,) = decode_points(wire)
    transcript.absorb(b"M", wire)
    mu = transcript.scalar(b"mu")
    claimed, first, rho = 0, 0, list[int]()
    for i in range(1, n + 1):
        wire = take(32 * (3 if i == 1 else 4 if i == n else 2))
        sent = decode_scalars(wire)
        s = sent if i == 1 else [sent[0], (claimed - 2 * sent[0] - sum(sent[1:])) % R, *sent[1:]]
        first = (s[0] + sum(s)) % R if i == 1 else first
        transcript.absorb(b"s", wire)
        rho.append(transcript.scalar(b"rho"))
        claimed = evaluate(s, rho[-1])
    wire = take(96)
    x, p, partner = decode_scalars(wire)
    transcript.absorb(b"claims", wire)
    theta = transcript.scalar(b"theta")

    a_at = inner(equality(rho), statement.weighed_total(mu))
    l1 = _mod(Fraction(statement.value, statement.denominator)) - first
    l2 = claimed - x * (a_at - x) - pow(2, 2 - n, R) * p * partner
    t = (x + theta * l1 + theta**2 * l2 + theta**3 * p + theta**4 * partner) % R
    wire = take(96)
    t1, t2 = decode_points(wire)
    transcript.absorb(b"T", wire)
    c, xi = transcript.scalar(b"c"), transcript.scalar(b"xi")
    inverse = pow(c, -1, R)
    eq, phi = equality(rho[statement.row_variables :]), functional(statement, rho, mu, theta)
    f = [(a + inverse * b) % R for a, b in zip(eq, phi, strict=True)]
    row_weights = equality(rho[: statement.row_variables])[: statement.rows]
    scalars = [*row_weights, c, xi * inverse % R, xi * c % R]
    points = [*statement.commitments, mask_commitment, t1, t2]
    coefficients = [1]
    for _ in range(statement.column_variables - 2):
        wires = take(48), take(48)
        left, right = (decode_points(wire)[0] for wire in wires)
        transcript.absorb(b"L", wires[0])
        transcript.absorb(b"R", wires[1])
        e = transcript.short(b"x")
        scalars += [e, pow(e, -1, R)]
        points += [left, right]
        half = len(f) // 2
        f = [(a + e * b) % R for a, b in zip(f[:half], f[half:], strict=True)]
        coefficients = [value * side % R for value in coefficients for side in (1, e)]
    wire = take(48)
    decode_points(wire)
    transcript.absorb(b"A", wire)
    epsilon = transcript.scalar(b"y")
    *responses, response_h = decode_scalars(take(160))
    folded = [value * coefficient % R for coefficient in coefficients for value in responses]
    scalars = [
        *folded,
        xi * (inner(responses, f) - epsilon * t),
        response_h,
        *(-epsilon * s for s in scalars),
    ]
    bases = [*generators(statement.columns), inner_product_generator(), blinding_generator(), *points]
    return combine([scalar % R for scalar in scalars], bases)
