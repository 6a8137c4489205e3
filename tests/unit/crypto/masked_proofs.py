"""What the tests of norm and contribution proofs share: bytes that are no proof, a simulator, ranks mod r."""

from __future__ import annotations

import os
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from zkpfl.crypto.generators import Generators
from zkpfl.crypto.points import G1Array, msm
from zkpfl.crypto.proofs import folding
from zkpfl.crypto.proofs.equation import Equation
from zkpfl.crypto.proofs.masked_proof import MaskedProof
from zkpfl.crypto.proofs.shape import SUM_BYTES, Shape
from zkpfl.crypto.scalars import ORDER, encode_scalars, random_scalars
from zkpfl.crypto.transcript import ShortChallenge, Transcript
from zkpfl.errors import InvalidEncoding, InvalidPoint, InvalidScalar

OUTSIDE_SUBGROUP = b"\x80" + bytes(46) + b"\x04"
OFF_CURVE = b"\x80" + bytes(46) + b"\x01"
IDENTITY = b"\xc0" + bytes(47)


class MalformedProofs:
    """Bytes that are no proof of a statement: damaged, cut, or with numbers and points that are none.

    Subclasses say of what: the module with ``verify``, and a statement with its proof.
    """

    kind: ModuleType
    statement: Any
    proof: bytes
    gens: Generators

    def verify(self, proof: bytes) -> bool:
        valid: bool = self.kind.verify(self.statement, proof, self.gens)
        return valid

    def holds(self, proof: bytes) -> bool:
        try:
            return self.verify(proof)
        except InvalidEncoding:
            return False

    @pytest.mark.parametrize("part", range(8))
    def test_every_flipped_byte_is_rejected(self, part: int) -> None:
        accepted = []
        for position in range(part, len(self.proof), 8):
            forged = bytearray(self.proof)
            forged[position] ^= 1 << (position // 8 % 8)
            if self.holds(bytes(forged)):
                accepted.append(position)
        assert accepted == []

    @pytest.mark.parametrize("more", [-10_000, -1, 1, 96])
    def test_truncated_or_extended_proof_is_malformed(self, more: int) -> None:
        length = max(0, len(self.proof) + more)
        with pytest.raises(InvalidEncoding, match=f"{len(self.proof)} bytes"):
            self.verify((self.proof + bytes(96))[:length])

    def test_scalar_plus_r_is_malformed(self) -> None:
        shape: Shape = self.statement.shape
        proof, head = self.proof, shape.head_bytes - 96
        first, last = 48 + SUM_BYTES * shape.sums, len(proof) - 32 * folding.RESPONSES
        for at in (*range(first, head, 32), *range(last, len(proof), 32)):
            value = int.from_bytes(proof[at : at + 32], "big")
            for bad in (value + ORDER, ORDER, 2**256 - 1):
                with pytest.raises(InvalidScalar):
                    self.verify(proof[:at] + bad.to_bytes(32, "big") + proof[at + 32 :])

    def test_point_off_curve_or_subgroup_is_malformed(self) -> None:
        proof, head = self.proof, self.statement.shape.head_bytes
        for at in (0, head - 96, head - 48, head, len(proof) - 208):
            for bad in (OUTSIDE_SUBGROUP, OFF_CURVE, bytes(48), b"\xff" * 48):
                with pytest.raises(InvalidPoint):
                    self.verify(proof[:at] + bad + proof[at + 48 :])
            assert not self.holds(proof[:at] + IDENTITY + proof[at + 48 :])

    def test_a_batch_counts_what_does_not_decode_as_failed(self) -> None:
        proofs = [self.proof, self.proof[:-1], OUTSIDE_SUBGROUP + self.proof[48:], self.proof, b""]
        assert self.kind.verify_batch([self.statement] * 5, proofs, self.gens) == (1, 2, 4)


class Programmed(Transcript):
    """Answers with challenges that are chosen beforehand, as a simulator may."""

    def __init__(self, seed: int) -> None:
        super().__init__("programmed")
        self._random = np.random.default_rng(seed)

    def challenge_block(self, label: str) -> bytes:
        return self._random.bytes(32)

    def challenge_scalar(self, label: str) -> int:
        return 1 + int.from_bytes(self._random.bytes(48), "big") % (ORDER - 1)

    def challenge_short(self, label: str) -> ShortChallenge:
        return ShortChallenge(*(int.from_bytes(self._random.bytes(8), "big") | 1 for _ in range(2)))


def simulated(shape: Shape, gens: Generators, equation: Callable[[MaskedProof], Equation]) -> bytes:
    """Everything but A at random, and A solved for: no witness goes in.

    ``equation`` makes what a verifier checks, under programmed challenges.
    """
    count = 3 + 2 * folding.fold_count(shape.columns)
    points = [msm(gens.H, scalar[None]).encode() for scalar in random_scalars((count,))]
    sums = os.urandom(SUM_BYTES * shape.sums)
    scalars = encode_scalars(random_scalars((sum(shape.polynomial_scalars) + shape.claims,)))
    responses = encode_scalars(random_scalars((folding.RESPONSES,)))
    before = points[0] + sums + scalars + b"".join(points[1:])
    without = equation(MaskedProof.decode(before + IDENTITY + responses, shape))
    bases = G1Array.concatenate([gens.G, gens.U, gens.H, without.points])
    missing = msm(bases, np.concatenate((without.generators, without.scalars)))
    return before + missing.encode() + responses


def sent_by_masks(rho: list[int], claims: int) -> list[list[int]]:
    """For each of g_0, g_(i,e), a, a', …: what it adds to the coefficients and the values at ρ that are sent.

    The values are linear in a, a', …; so are the coefficients of s_n as far as rank matters: they have masks
    of their own.
    """
    n = len(rho)
    places = [(i, e) for i in range(1, n + 1) for e in range(1, 3 if i < n else 5)]
    sent = [
        (i, e) for i in range(1, n + 1) for e in ((0, 1, 2) if i == 1 else (0, 2) if i < n else (0, 2, 3, 4))
    ]
    none = [0] * claims
    rows = [[pow(2, n - i, ORDER) if e == 0 else 0 for i, e in sent] + none]
    for j, e in places:
        row = []
        for i, coefficient in sent:
            if coefficient == 0:
                later = pow(2, n - i - 1, ORDER) if j > i else 0
                row.append(pow(2, n - i, ORDER) * pow(rho[j - 1], e, ORDER) if j < i else later)
            else:
                row.append(pow(2, n - i, ORDER) if (i, coefficient) == (j, e) else 0)
        rows.append(row + none)
    bubble = rho[-1] * (1 - rho[-1]) % ORDER
    lifts = [[bubble * (i == j) for j in range(claims)] for i in range(claims)]
    return rows + [[0] * len(sent) + lift for lift in lifts]


def rank(rows: list[list[int]]) -> int:
    """Of a matrix mod r."""
    rows, found = [row[:] for row in rows], 0
    for column in range(len(rows[0])):
        pivot = next((row for row in rows[found:] if row[column] % ORDER), None)
        if pivot is None:
            continue
        rows.remove(pivot)
        rows.insert(found, pivot)
        inverse = pow(pivot[column], -1, ORDER)
        for row in rows[found + 1 :]:
            factor = row[column] * inverse % ORDER
            for i in range(column, len(row)):
                row[i] = (row[i] - factor * pivot[i]) % ORDER
        found += 1
    return found
