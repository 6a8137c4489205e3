"""Generators against an independent hash to curve."""

from __future__ import annotations

from hashlib import sha256

import pytest
from py_ecc.bls.hash_to_curve import hash_to_G1
from py_ecc.bls.point_compression import compress_G1

from zkpfl.crypto.generators import DOMAIN, generators
from zkpfl.crypto.points import G1Array
from zkpfl.errors import InvalidParameter


def hashed(message: bytes) -> bytes:
    return compress_G1(hash_to_G1(message, DOMAIN, sha256)).to_bytes(48, "big")


def test_generators_are_hashed_to_the_curve() -> None:
    gens = generators(258)
    for column in (0, 1, 257):
        assert gens.G[column].encode() == hashed(b"G" + column.to_bytes(4, "big"))
    assert gens.H.encode() == hashed(b"H")
    assert gens.U.encode() == hashed(b"U")


def test_generators_of_fewer_columns_are_a_prefix() -> None:
    assert generators(64).G[:16] == generators(16).G
    assert generators(16).H == generators(64).H


def test_generators_are_made_once() -> None:
    assert generators(32) is generators(32)


def test_generators_are_distinct_points_of_the_subgroup() -> None:
    gens = generators(64)
    data = G1Array.concatenate([gens.G, gens.H, gens.U]).encode()
    assert len({data[i : i + 48] for i in range(0, len(data), 48)}) == 66
    assert len(G1Array.decode(data)) == 66


@pytest.mark.parametrize("columns", [0, -1, 16385])
def test_columns_are_bounded(columns: int) -> None:
    with pytest.raises(InvalidParameter, match="columns"):
        generators(columns)
