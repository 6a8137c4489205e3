"""Vectors of docs/spec.md §7.2: the contribution proof."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from typing import Any

from tests.reference import contribution_proof, group
from tests.reference.cases_proofs import CONTEXT
from tests.reference.contribution_proof import Statement
from tests.reference.material import Case, refused, scalars, secret, words
from tests.reference.sharing import expand_seed

N = 256
TRAINER, CHECKPOINT = bytes(range(70, 90)), secret("contribution checkpoint")
BOUND = 1 << 17
Committed = tuple[Statement, list[list[int]], list[int]]


def contribution_proof_bytes() -> Iterator[Case]:
    """Same masks, same bytes; with no, one, two and four public updates, one of which may say nothing new."""
    for name, dimension, updates in [("first_round", 256, 0), ("rows_3", 700, 2), ("one_value", 1, 1)]:
        yield _proved(name, *committed(name, dimension, updates))
    statement, x, blindings = committed("four_updates", 300, 4)
    yield _proved("four_updates", statement, x, blindings)
    doubled = [*statement.updates[:2], [-value for value in statement.updates[0]], [0] * 300]
    value = _value(x, statement.total, doubled)
    yield _proved("dependent_updates", replace(statement, updates=doubled, value=value), x, blindings)


def _proved(name: str, statement: Statement, x: list[list[int]], blindings: list[int]) -> Case:
    key = secret(f"contribution masks {name}")
    proof = contribution_proof.prove_with_masks(statement, x, blindings, key)
    assert contribution_proof.verify(statement, proof)
    witness = {"values": _flat(statement, x), "blindings": scalars(blindings), "key": key.hex()}
    return name, {**_fields(statement), **witness}, {"proof": proof.hex(), "value": statement.value}


def verify_contribution() -> Iterator[Case]:
    statement, proof = _honest()
    yield "honest", {**_fields(statement), "proof": proof.hex()}, {"valid": True}
    for name, (claimed, forged) in _forgeries(statement, proof).items():
        assert not contribution_proof.verify(claimed, forged)
        yield name, {**_fields(claimed), "proof": forged.hex()}, {"valid": False}
    for name, (error, forged) in _malformed(proof).items():
        yield (
            f"bad_{name}",
            {**_fields(statement), "proof": forged.hex()},
            refused(error, lambda forged=forged: contribution_proof.verify(statement, forged)),
        )
    for name, change in _refused_statements(statement).items():
        given = {**_fields(statement), **change(), "proof": proof.hex()}
        yield f"bad_{name}", given, refused("InvalidParameter", lambda given=given: _statement(given))


@cache
def _honest() -> tuple[Statement, bytes]:
    statement, x, blindings = committed("contributed", 300, 2)
    return statement, contribution_proof.prove_with_masks(
        statement, x, blindings, secret("contribution masks")
    )


def _forgeries(statement: Statement, proof: bytes) -> dict[str, tuple[Statement, bytes]]:
    more, x, blindings = committed("contributed", 300, 2)
    more = replace(more, value=more.value + 1)
    lie = contribution_proof.prove_with_masks(more, x, blindings, secret("lying masks"))
    other_point = [*statement.commitments[:-1], group.generators(1)[0]]
    other_total = [statement.total[0] + 1, *statement.total[1:]]
    return {
        "value_and_one": (more, lie),
        "value_changed": (more, proof),
        "negative_value": (replace(statement, value=-statement.value), proof),
        "other_round": (replace(statement, context=CONTEXT[:-1] + b"\x04"), proof),
        "other_trainer": (replace(statement, trainer=bytes(20)), proof),
        "other_checkpoint": (replace(statement, checkpoint=bytes(32)), proof),
        "other_commitment": (replace(statement, commitments=other_point), proof),
        "other_total": (replace(statement, total=other_total), proof),
        "updates_in_another_order": (replace(statement, updates=statement.updates[::-1]), proof),
        "identity_in_place_of_A": (statement, proof[:-208] + b"\xc0" + bytes(47) + proof[-160:]),
        "response_changed": (statement, proof[:-1] + bytes([proof[-1] ^ 1])),
    }


def _malformed(proof: bytes) -> dict[str, tuple[str, bytes]]:
    last = (int.from_bytes(proof[-32:], "big") + group.R).to_bytes(32, "big")
    first = (int.from_bytes(proof[48:80], "big") + group.R).to_bytes(32, "big")
    return {
        "truncated": ("InvalidEncoding", proof[:-1]),
        "extended": ("InvalidEncoding", proof + b"\0"),
        "empty": ("InvalidEncoding", b""),
        "response_plus_r": ("InvalidScalar", proof[:-32] + last),
        "coefficient_plus_r": ("InvalidScalar", proof[:48] + first + proof[80:]),
        "point_outside_subgroup": ("InvalidPoint", b"\x80" + bytes(46) + b"\x04" + proof[48:]),
        "point_off_curve": ("InvalidPoint", b"\x80" + bytes(46) + b"\x01" + proof[48:]),
    }


def _refused_statements(statement: Statement) -> dict[str, Callable[[], dict[str, Any]]]:
    points = group.encode_points(statement.commitments)
    return {
        "value_above_the_limit": lambda: {"value": statement.limit + 1},
        "value_below_the_limit": lambda: {"value": -statement.limit - 1},
        "five_updates": lambda: {"updates": [*statement.updates, *statement.updates, statement.updates[0]]},
        "updates_that_could_wrap": lambda: {"norm_bound": 1 << 120},
        "a_row_too_few": lambda: {"commitments": points[:-48].hex()},
        "total_of_another_length": lambda: {"total": statement.total[:-1], "updates": []},
    }


def committed(name: str, dimension: int, updates: int) -> Committed:
    x = _vector(f"{name} x", dimension, 12)
    total = [a + b for a, b in zip(x, _vector(f"{name} others", dimension, 16), strict=True)]
    public = [_vector(f"{name} update {k}", dimension, 11) for k in range(updates)]
    padded = [*x, *[0] * (-dimension % N)]
    rows = [padded[i : i + N] for i in range(0, len(padded), N)]
    blindings = expand_seed(secret(f"contribution blindings {name}"), 1, len(rows))[0]
    points = [group.commit(row, blinding) for row, blinding in zip(rows, blindings, strict=True)]
    value = _value(rows, total, public)
    statement = Statement(CONTEXT, TRAINER, CHECKPOINT, dimension, N, points, total, public, BOUND, value)
    return statement, rows, blindings


def _value(x: list[list[int]], total: list[int], updates: list[list[int]]) -> int:
    flat = [value for row in x for value in row][: len(total)]
    kept = contribution_proof.independent(updates)
    whole = contribution_proof.determinant(contribution_proof.gram(kept))
    scaled = whole * contribution_proof.contribution(flat, total, kept)
    assert scaled.denominator == 1
    return scaled.numerator


def _vector(name: str, dimension: int, bits: int) -> list[int]:
    half = 1 << (bits - 1)
    return [int(word) % (2 * half) - half for word in words(f"contribution {name}", dimension)]


def _flat(statement: Statement, x: list[list[int]]) -> list[int]:
    return [value for row in x for value in row][: statement.dimension]


def _statement(given: dict[str, Any]) -> Statement:
    return Statement(
        bytes.fromhex(given["context"]),
        bytes.fromhex(given["trainer"]),
        bytes.fromhex(given["checkpoint"]),
        given["dimension"],
        given["columns"],
        group.decode_points(bytes.fromhex(given["commitments"])),
        given["total"],
        given["updates"],
        given["norm_bound"],
        given["value"],
    )


def _fields(statement: Statement) -> dict[str, Any]:
    return {
        "context": statement.context.hex(),
        "trainer": statement.trainer.hex(),
        "checkpoint": statement.checkpoint.hex(),
        "dimension": statement.dimension,
        "columns": statement.columns,
        "commitments": group.encode_points(statement.commitments).hex(),
        "total": list(statement.total),
        "updates": [list(update) for update in statement.updates],
        "norm_bound": statement.norm_bound,
        "value": statement.value,
    }


OPERATIONS = {
    "contribution_proof": contribution_proof_bytes,
    "verify_contribution": verify_contribution,
}
