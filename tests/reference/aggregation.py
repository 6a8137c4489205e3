"""Aggregation proof (docs/spec.md §6), deterministic in its masks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

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
    plus,
    times,
)
from tests.reference.hashing import Challenges, Transcript


@dataclass(frozen=True)
class Statement:
    context: bytes
    node: int
    node_address: bytes
    accepted: int
    commitment_roots: list[bytes]
    aggregate_root: bytes
    share_root: bytes
    blob_hash: bytes
    columns: int
    F: list[Point]


def start(statement: Statement) -> tuple[Transcript, int]:
    """Transcript after the statement, and the row challenge e."""
    transcript = Transcript(b"zkpfl/v1/aggregation")
    transcript.absorb(b"context", statement.context)
    transcript.absorb(b"node", bytes([statement.node]) + statement.node_address)
    transcript.absorb(b"accepted", statement.accepted.to_bytes(32, "big"))
    transcript.absorb(b"commitment-roots", b"".join(statement.commitment_roots))
    transcript.absorb(b"aggregate-root", statement.aggregate_root)
    transcript.absorb(b"share-root", statement.share_root)
    transcript.absorb(b"blob", statement.blob_hash)
    shape = statement.columns.to_bytes(4, "big") + len(statement.F).to_bytes(4, "big")
    transcript.absorb(b"shape", shape)
    transcript.absorb(b"F", encode_points(statement.F))
    return transcript, transcript.scalar(b"e")


def powers(e: int, count: int) -> list[int]:
    return [pow(e, p, R) for p in range(count)]


def prove(statement: Statement, rows: Sequence[Sequence[int]], masks: Iterator[int]) -> bytes:
    """Masks are taken in the order l, r of each fold, then k_0 … k_3, κ."""
    transcript, e = start(statement)
    combined = [
        sum(c * v for c, v in zip(powers(e, len(rows)), column, strict=True)) % R
        for column in zip(*rows, strict=True)
    ]
    return open_commitment(transcript, combined[:-1], combined[-1], masks)


def inner(a: Sequence[int], b: Sequence[int]) -> int:
    return sum(x * y for x, y in zip(a, b, strict=True)) % R


def open_commitment(
    transcript: Challenges, w: list[int], beta: int, masks: Iterator[int], f: list[int] | None = None
) -> bytes:
    """Open ⟨w, G⟩ + ⟨f, w⟩U + βH; without f only ⟨w, G⟩ + βH."""
    g, ends = generators(len(w)), [inner_product_generator(), blinding_generator()]
    f = f or [0] * len(w)
    proof = b""
    while len(w) > 4:
        half = len(w) // 2
        left_mask, right_mask = next(masks), next(masks)
        left = encode_point(combine([*w[:half], inner(w[:half], f[half:]), left_mask], [*g[half:], *ends]))
        right = encode_point(combine([*w[half:], inner(w[half:], f[:half]), right_mask], [*g[:half], *ends]))
        transcript.absorb(b"L", left)
        transcript.absorb(b"R", right)
        proof += left + right
        x = transcript.short(b"x")
        inverse = pow(x, -1, R)
        g = [plus(a, times(x, b)) for a, b in zip(g[:half], g[half:], strict=True)]
        f = [(a + x * b) % R for a, b in zip(f[:half], f[half:], strict=True)]
        w = [(a + inverse * b) % R for a, b in zip(w[:half], w[half:], strict=True)]
        beta = (beta + x * left_mask + inverse * right_mask) % R
    k, kappa = [next(masks) for _ in range(4)], next(masks)
    a = encode_point(combine([*k, inner(k, f), kappa], [*g, *ends]))
    transcript.absorb(b"A", a)
    y = transcript.scalar(b"y")
    responses = [(mask + y * value) % R for mask, value in zip([*k, kappa], [*w, beta], strict=True)]
    return proof + a + b"".join(encode_scalar(value) for value in responses)


def verify(statement: Statement, proof: bytes) -> bool:
    """Fold generators and commitment step by step, as the text of the protocol reads."""
    transcript, e = start(statement)
    g, h = generators(statement.columns), blinding_generator()
    folds = (len(g) // 4).bit_length() - 1
    if len(proof) != 96 * folds + 48 + 160:
        raise BadEncoding("wrong length")
    points = decode_points(proof[: 96 * folds + 48])
    *z, z_h = decode_scalars(proof[96 * folds + 48 :])
    commitment = combine(powers(e, len(statement.F)), statement.F)
    for left, right in zip(points[:-1:2], points[1:-1:2], strict=True):
        half = len(g) // 2
        transcript.absorb(b"L", encode_point(left))
        transcript.absorb(b"R", encode_point(right))
        x = transcript.short(b"x")
        g = [plus(a, times(x, b)) for a, b in zip(g[:half], g[half:], strict=True)]
        commitment = combine([1, x, pow(x, -1, R)], [commitment, left, right])
    transcript.absorb(b"A", encode_point(points[-1]))
    y = transcript.scalar(b"y")
    return combine([*z, z_h], [*g, h]) == plus(points[-1], times(y, commitment))
