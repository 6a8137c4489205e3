"""Vectors of docs/spec.md §7: the norm proof."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from random import Random
from typing import Any

from tests.reference import group, norm_proof
from tests.reference.cases_proofs import CONTEXT
from tests.reference.material import Case, refused, scalars, secret, words
from tests.reference.norm_proof import Statement
from tests.reference.sharing import expand_seed

N = 256
TRAINER, CHECKPOINT = bytes(range(50, 70)), secret("checkpoint")
Committed = tuple[Statement, list[list[int]], list[int]]


def norm_proof_bytes() -> Iterator[Case]:
    """Same masks, same bytes; what zk-nodes bring as noise has more than 16 bits."""
    cases = [("one_row", 256, 0), ("rows_3", 700, 12345), ("one_value", 1, 3), ("noise", 300, 7)]
    for name, dimension, slack in cases:
        statement, x, blindings = _committed(name, dimension, slack, bits=23 if name == "noise" else 12)
        key, squares = secret(f"norm masks {name}"), norm_proof.four_squares(slack, _coins())
        proof = norm_proof.prove_with_masks(statement, x, blindings, key, squares)
        assert norm_proof.verify(statement, proof)
        flat = [value for row in x for value in row][:dimension]
        witness = {"values": flat, "blindings": scalars(blindings), "key": key.hex(), "squares": squares}
        yield name, {**_fields(statement), **witness}, {"proof": proof.hex()}


def verify_norm() -> Iterator[Case]:
    statement, proof = _honest()
    yield "honest", {**_fields(statement), "proof": proof.hex()}, {"valid": True}
    for name, (claimed, forged) in _forgeries(statement, proof).items():
        assert not norm_proof.verify(claimed, forged)
        yield name, {**_fields(claimed), "proof": forged.hex()}, {"valid": False}
    for name, (error, forged) in _malformed(proof).items():
        yield (
            f"bad_{name}",
            {**_fields(statement), "proof": forged.hex()},
            refused(error, lambda forged=forged: norm_proof.verify(statement, forged)),
        )
    for name, change in _refused_statements(statement).items():
        given = {**_fields(statement), **change(), "proof": proof.hex()}
        yield f"bad_{name}", given, refused("InvalidParameter", lambda given=given: _statement(given))


@cache
def _honest() -> tuple[Statement, bytes]:
    statement, x, blindings = _committed("verified", 300, 54321)
    squares = norm_proof.four_squares(54321, _coins())
    return statement, norm_proof.prove_with_masks(statement, x, blindings, secret("verified masks"), squares)


def _forgeries(statement: Statement, proof: bytes) -> dict[str, tuple[Statement, bytes]]:
    above, x, blindings = _committed("above", 256, -1)
    cheat = norm_proof.prove_with_masks(above, x, blindings, secret("above masks"), [0, 0, 0, 0])
    padding = _root_in_padding()
    other_point = [*statement.commitments[:-1], group.generators(1)[0]]
    first_sum = bytes([proof[55] ^ 1])
    return {
        "norm_above_the_bound": (above, cheat),
        "root_in_a_padding_column": padding,
        "other_round": (replace(statement, context=CONTEXT[:-1] + b"\x04"), proof),
        "other_trainer": (replace(statement, trainer=bytes(20)), proof),
        "other_checkpoint": (replace(statement, checkpoint=bytes(32)), proof),
        "other_dimension": (replace(statement, dimension=301), proof),
        "other_bound": (replace(statement, bound_squared=statement.bound_squared + 1), proof),
        "other_commitment": (replace(statement, commitments=other_point), proof),
        "masked_sum_changed": (statement, proof[:55] + first_sum + proof[56:]),
        "identity_in_place_of_A": (statement, proof[:-208] + b"\xc0" + bytes(47) + proof[-160:]),
        "response_changed": (statement, proof[:-1] + bytes([proof[-1] ^ 1])),
    }


def _root_in_padding() -> tuple[Statement, bytes]:
    """√(−k) where no coordinate is: the squares mod r sum to the bound, which is k below the norm."""
    x = _values("padding", 200)
    excess = 1000
    while (root := norm_proof.square_root(-excess)) is None:
        excess += 1
    bound = _squared_norm(x) - excess
    x[0][N - 1] = root
    statement, blindings = _commit("padding", x, 200, bound)

    def wrap(name: str, value: Any) -> Any:
        return [masked % group.R % (1 << 64) for masked in value] if name == "z" else value

    masks = secret("padding masks")
    return statement, norm_proof.prove_with_masks(statement, x, blindings, masks, [0] * 4, tamper=wrap)


def _malformed(proof: bytes) -> dict[str, tuple[str, bytes]]:
    last = (int.from_bytes(proof[-32:], "big") + group.R).to_bytes(32, "big")
    at = 48 + 8 * norm_proof.TESTS
    first = (int.from_bytes(proof[at : at + 32], "big") + group.R).to_bytes(32, "big")
    return {
        "truncated": ("InvalidEncoding", proof[:-1]),
        "extended": ("InvalidEncoding", proof + b"\0"),
        "empty": ("InvalidEncoding", b""),
        "response_plus_r": ("InvalidScalar", proof[:-32] + last),
        "coefficient_plus_r": ("InvalidScalar", proof[:at] + first + proof[at + 32 :]),
        "point_outside_subgroup": ("InvalidPoint", b"\x80" + bytes(46) + b"\x04" + proof[48:]),
        "point_off_curve": ("InvalidPoint", b"\x80" + bytes(46) + b"\x01" + proof[48:]),
    }


def _refused_statements(statement: Statement) -> dict[str, Callable[[], dict[str, Any]]]:
    points = group.encode_points(statement.commitments)
    return {
        "bound_of_2_to_the_62": lambda: {"bound_squared": 1 << 62},
        "bound_below_zero": lambda: {"bound_squared": -1},
        "a_row_too_few": lambda: {"commitments": points[:-48].hex()},
        "a_row_too_many": lambda: {"commitments": (points + points[:48]).hex()},
        "no_coordinates": lambda: {"dimension": 0, "commitments": ""},
        "columns_too_few": lambda: {"columns": 128, "dimension": 256},
        "columns_no_power_of_two": lambda: {"columns": 320, "dimension": 640},
    }


def _statement(given: dict[str, Any]) -> Statement:
    return Statement(
        bytes.fromhex(given["context"]),
        bytes.fromhex(given["trainer"]),
        bytes.fromhex(given["checkpoint"]),
        given["dimension"],
        given["columns"],
        given["bound_squared"],
        group.decode_points(bytes.fromhex(given["commitments"])),
    )


def _committed(name: str, dimension: int, slack: int, bits: int = 12) -> Committed:
    x = _values(name, dimension, bits)
    statement, blindings = _commit(name, x, dimension, _squared_norm(x) + slack)
    return statement, x, blindings


def _values(name: str, dimension: int, bits: int = 12) -> list[list[int]]:
    values = [int(word) % (1 << bits) - (1 << (bits - 1)) for word in words(f"norm {name}", dimension)]
    values += [0] * (-dimension % N)
    return [values[i : i + N] for i in range(0, len(values), N)]


def _squared_norm(x: list[list[int]]) -> int:
    return sum(value * value for row in x for value in row)


def _commit(name: str, x: list[list[int]], dimension: int, bound: int) -> tuple[Statement, list[int]]:
    blindings = expand_seed(secret(f"norm blindings {name}"), 1, len(x))[0]
    points = [group.commit(row, blinding) for row, blinding in zip(x, blindings, strict=True)]
    return Statement(CONTEXT, TRAINER, CHECKPOINT, dimension, N, bound, points), blindings


def _coins() -> Random:
    return Random(1)  # noqa: S311 (vectors are the same at every run)


def _fields(statement: Statement) -> dict[str, Any]:
    return {
        "context": statement.context.hex(),
        "trainer": statement.trainer.hex(),
        "checkpoint": statement.checkpoint.hex(),
        "dimension": statement.dimension,
        "columns": statement.columns,
        "bound_squared": statement.bound_squared,
        "commitments": group.encode_points(statement.commitments).hex(),
    }


OPERATIONS = {"norm_proof": norm_proof_bytes, "verify_norm": verify_norm}
