"""Packing, commitments, threshold sharing (docs/spec.md §3 to §5). A matrix is a list of rows of integers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

from tests.reference.group import Point, R, combine, commit, encode_point, encode_scalar
from tests.reference.hashing import merkle_root, stream

Matrix = list[list[int]]


@dataclass(frozen=True)
class Shape:
    """d, N, B, n_max of a submission, and m, B_noise of what zk-nodes add."""

    d: int
    N: int
    B: int
    n_max: int
    m: int = 0
    B_noise: int = 0

    @property
    def w(self) -> int:
        exact = self.n_max * self.B + self.m * self.B_noise + 1
        return 1 + (exact - 1).bit_length()  # ceil(log2(exact))

    @property
    def L(self) -> int:  # noqa: N802
        return 254 // self.w

    @property
    def R(self) -> int:  # noqa: N802
        return ceil(self.d / self.N)

    @property
    def P(self) -> int:  # noqa: N802
        return ceil(self.R / self.L)


def lane_rows(x: Sequence[int], shape: Shape) -> Matrix:
    padded = list(x) + [0] * (shape.R * shape.N - len(x))
    return [padded[i * shape.N : (i + 1) * shape.N] for i in range(shape.R)]


def pack_rows(lanes: Matrix, shape: Shape) -> Matrix:
    packed = []
    for p in range(shape.P):
        group = lanes[p * shape.L : (p + 1) * shape.L]
        packed.append(
            [
                sum(v << (shape.w * lane) for lane, v in enumerate(column)) % R
                for column in zip(*group, strict=True)
            ]
        )
    return packed


def pack(x: Sequence[int], shape: Shape) -> Matrix:
    return pack_rows(lane_rows(x, shape), shape)


def unpack(packed: Matrix, shape: Shape) -> list[int]:
    offset = sum(1 << (shape.w * lane + shape.w - 1) for lane in range(shape.L))
    rows: Matrix = []
    for row in packed:
        shifted = [(value + offset) % R for value in row]
        if any(value >> (shape.L * shape.w) for value in shifted):
            raise OverflowError("sum does not fit")
        mask, half = (1 << shape.w) - 1, 1 << (shape.w - 1)
        rows += [[(value >> (shape.w * lane) & mask) - half for value in shifted] for lane in range(shape.L)]
    return [value for row in rows for value in row][: shape.d]


def commit_lanes(x: Sequence[int], blindings: Sequence[int], shape: Shape) -> list[Point]:
    return [commit(row, blinding) for row, blinding in zip(lane_rows(x, shape), blindings, strict=True)]


def commit_rows(rows: Matrix) -> list[Point]:
    """Commitments to rows whose last column is the blinding."""
    return [commit(row[:-1], row[-1]) for row in rows]


def packed_commitments(lanes: Sequence[Point], shape: Shape) -> list[Point]:
    groups = [lanes[p * shape.L : (p + 1) * shape.L] for p in range(shape.P)]
    return [combine([1 << (shape.w * lane) for lane in range(len(group))], group) for group in groups]


def packed_blindings(blindings: Sequence[int], shape: Shape) -> list[int]:
    return [row[0] for row in pack_rows([[blinding] for blinding in blindings], shape)]


def expand_seed(seed: bytes, rows: int, width: int) -> Matrix:
    return [_expand_row(seed, row, width) for row in range(rows)]


def _expand_row(seed: bytes, row: int, width: int) -> list[int]:
    data = stream(seed, row, 32 * 3 * width)  # a piece is kept with probability r / 2^255 > 0.9
    pieces = (int.from_bytes(data[i : i + 32], "big") & (2**255 - 1) for i in range(0, len(data), 32))
    kept = [piece for piece in pieces if piece < R]
    assert len(kept) >= width
    return kept[:width]


def lagrange(abscissae: Sequence[int], at: int) -> list[int]:
    coefficients = []
    for k in abscissae:
        value = 1
        for other in abscissae:
            if other != k:
                value = value * (at - other) * pow(k - other, -1, R) % R
        coefficients.append(value)
    return coefficients


def combine_matrices(coefficients: Sequence[int], matrices: Sequence[Matrix]) -> Matrix:
    return [
        [
            sum(c * v for c, v in zip(coefficients, values, strict=True)) % R
            for values in zip(*rows, strict=True)
        ]
        for rows in zip(*matrices, strict=True)
    ]


def share(secret: Matrix, seeds: Sequence[bytes], node: int) -> Matrix:
    """f(node), where f(0) = secret and f(k) is expanded from seeds[k − 1] for 1 ≤ k < t."""
    width = len(secret[0])
    seeded = [expand_seed(seed, len(secret), width) for seed in seeds]
    if node <= len(seeds):
        return seeded[node - 1]
    return combine_matrices(lagrange(range(len(seeds) + 1), node), [secret, *seeded])


def submission(
    x: Sequence[int], blindings: Sequence[int], seeds: Sequence[bytes], shape: Shape
) -> list[Point]:
    """C_0 … C_(R−1), E_(1,0) … E_(t−1,P−1)."""
    points = commit_lanes(x, blindings, shape)
    for seed in seeds:
        points += commit_rows(expand_seed(seed, shape.P, shape.N + 1))
    return points


def share_commitments(points: Sequence[Point], shape: Shape, threshold: int, node: int) -> list[Point]:
    assert len(points) == shape.R + (threshold - 1) * shape.P
    rest = points[shape.R :]
    known = [packed_commitments(points[: shape.R], shape)]
    known += [list(rest[k * shape.P : (k + 1) * shape.P]) for k in range(threshold - 1)]
    coefficients = lagrange(range(threshold), node)
    return [combine(coefficients, column) for column in zip(*known, strict=True)]


def interpolate_at_zero(shares: dict[int, Matrix]) -> Matrix:
    nodes = sorted(shares)
    return combine_matrices(lagrange(nodes, 0), [shares[node] for node in nodes])


def commitment_root(points: Sequence[Point]) -> bytes:
    return merkle_root([encode_point(point) for point in points])


def share_root(rows: Matrix) -> bytes:
    return merkle_root(
        [
            b"".join(encode_scalar(v) for v in row[i : i + 512])
            for row in rows
            for i in range(0, len(row), 512)
        ]
    )
