"""Keccak-256 and Merkle roots against a twin written from the specification."""

from __future__ import annotations

import os

import pytest
from eth_hash.auto import keccak
from hypothesis import given
from hypothesis import strategies as st

from zkpfl.crypto.generators import generators
from zkpfl.crypto.merkle import (
    commitment_root,
    keccak256,
    merkle_proof,
    merkle_root,
    share_leaf,
    share_leaf_index,
    share_proof,
    share_root,
    verify_merkle,
)
from zkpfl.crypto.scalars import encode_scalars, random_scalars
from zkpfl.errors import InvalidEncoding, InvalidParameter

LEAVES = st.lists(st.binary(max_size=200), min_size=1, max_size=20)


def root_by_the_book(leaves: list[bytes]) -> bytes:
    level = [keccak(b"\x00" + i.to_bytes(8, "big") + leaf) for i, leaf in enumerate(leaves)]
    while len(level) > 1:
        pairs = [level[i : i + 2] for i in range(0, len(level), 2)]
        level = [keccak(b"\x01" + b"".join(pair)) if len(pair) == 2 else pair[0] for pair in pairs]
    return keccak(b"\x02" + len(leaves).to_bytes(8, "big") + level[0])


@given(st.binary(max_size=600))
def test_keccak_is_ethereums(data: bytes) -> None:
    assert keccak256(data) == keccak(data)


@given(LEAVES)
def test_root_is_the_specified_one(leaves: list[bytes]) -> None:
    assert merkle_root(leaves) == root_by_the_book(leaves)


def test_root_of_equal_leaves_in_one_string() -> None:
    data = os.urandom(48 * 11)
    assert merkle_root(data, 48) == root_by_the_book([data[i : i + 48] for i in range(0, len(data), 48)])


@given(LEAVES, st.data())
def test_every_leaf_has_a_proof(leaves: list[bytes], data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(leaves) - 1))
    proof, root = merkle_proof(leaves, index), merkle_root(leaves)
    assert verify_merkle(root, len(leaves), index, leaves[index], proof)
    assert not verify_merkle(root, len(leaves), index, leaves[index] + b"\x00", proof)
    assert not verify_merkle(keccak256(root), len(leaves), index, leaves[index], proof)


def test_root_binds_index_count_and_siblings() -> None:
    leaves = [b"same"] * 6
    root, proof = merkle_root(leaves), merkle_proof(leaves, 2)
    assert verify_merkle(root, 6, 2, b"same", proof)
    assert not verify_merkle(root, 6, 3, b"same", proof)
    assert not verify_merkle(root, 5, 2, b"same", proof)
    for level in range(len(proof)):
        flipped = [*proof]
        flipped[level] = bytes(byte ^ 1 for byte in proof[level])
        assert not verify_merkle(root, 6, 2, b"same", flipped)


def test_malformed_proofs_are_errors() -> None:
    leaves = [b"a", b"b", b"c"]
    root, proof = merkle_root(leaves), merkle_proof(leaves, 0)
    for bad in (proof[:-1], [*proof, root], [proof[0][:31], proof[1]]):
        with pytest.raises(InvalidEncoding):
            verify_merkle(root, 3, 0, b"a", bad)
    with pytest.raises(InvalidEncoding):
        verify_merkle(root[:31], 3, 0, b"a", proof)
    with pytest.raises(InvalidParameter, match="index"):
        verify_merkle(root, 3, 3, b"a", proof)
    with pytest.raises(InvalidParameter, match="index"):
        merkle_proof(leaves, -1)


def test_trees_without_leaves_do_not_exist() -> None:
    for empty in ([], b""):
        with pytest.raises(InvalidParameter):
            merkle_root(empty, 48)
    with pytest.raises(InvalidParameter, match="leaf_size"):
        merkle_root(bytes(50), 48)
    with pytest.raises(InvalidParameter, match="leaf_size"):
        merkle_root(bytes(48))


def test_commitment_root_is_over_compressed_points() -> None:
    points = generators(8).G
    data = points.encode()
    assert commitment_root(points) == root_by_the_book([data[i : i + 48] for i in range(0, len(data), 48)])


@pytest.mark.parametrize("width", [1, 257, 512, 513, 1025])
def test_share_root_cuts_rows_into_pieces_of_512(width: int) -> None:
    rows = random_scalars((3, width))
    leaves = [encode_scalars(row[start : start + 512]) for row in rows for start in range(0, width, 512)]
    root = share_root(rows)
    assert root == root_by_the_book(leaves)
    pieces = -(-width // 512)
    for row, piece in [(0, 0), (2, pieces - 1)]:
        index = share_leaf_index(width, row, piece)
        leaf, proof = share_leaf(rows, row, piece), share_proof(rows, row, piece)
        assert leaf == leaves[index]
        assert verify_merkle(root, len(leaves), index, leaf, proof)


def test_pieces_that_do_not_exist_are_refused() -> None:
    rows = random_scalars((2, 513))
    for row, piece in [(0, 2), (0, -1), (-1, 0), (2, 0)]:
        with pytest.raises(InvalidParameter):
            share_leaf(rows, row, piece)
        with pytest.raises(InvalidParameter):
            share_proof(rows, row, piece)
    with pytest.raises(InvalidParameter):
        share_root(random_scalars((0, 5)))
