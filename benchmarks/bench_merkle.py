"""Merkle roots over points and over the rows of a share."""

from __future__ import annotations

import hashlib

from pytest_benchmark.fixture import BenchmarkFixture

from benchmarks import material
from benchmarks.figures import Figure, Peer, Task, timed
from benchmarks.peers import python_merkle
from benchmarks.running import run_figure
from zkpfl.crypto.merkle import PIECE_COLUMNS, commitment_root, share_root
from zkpfl.crypto.points import POINT_BYTES
from zkpfl.crypto.scalars import encode_scalars


def root_of_share(dimension: int) -> Task:
    """Big leaves; OpenSSL hashes as many bytes with SHA3-256: the same permutation at the same rate."""
    layout = material.layout(dimension)
    rows = material.scalars(layout.packed_rows, layout.columns + 1)
    cuts = range(0, layout.columns + 1, PIECE_COLUMNS)
    leaves = [encode_scalars(row[start : start + PIECE_COLUMNS]) for row in rows for start in cuts]
    expected, data = python_merkle.root(leaves), rows.tobytes()

    def check(root: bytes) -> None:
        assert root == expected

    sha3 = timed(lambda: hashlib.sha3_256(data).digest(), lambda digest: _check_digests([digest]))
    peers = {
        "OpenSSL SHA3-256, no tree": Peer(len(data), sha3),
        "Python": python_merkle.rooting(leaves, len(data)),
    }
    return Task(rows.nbytes, lambda: share_root(rows), check, peers)


def root_of_points(dimension: int) -> Task:
    """Small leaves: one block of the permutation for each point and each inner node."""
    layout = material.layout(dimension)
    points = material.points(layout.lane_rows + layout.packed_rows)
    wire = points.encode()
    leaves = [wire[i : i + POINT_BYTES] for i in range(0, len(wire), POINT_BYTES)]
    expected = python_merkle.root(leaves)

    def check(root: bytes) -> None:
        assert root == expected

    sha3 = timed(lambda: [hashlib.sha3_256(leaf).digest() for leaf in leaves], _check_digests)
    peers = {
        "OpenSSL SHA3-256, no tree": Peer(len(points), sha3),
        "Python": python_merkle.rooting(leaves, len(points)),
    }
    return Task(len(points), lambda: commitment_root(points), check, peers)


def _check_digests(digests: list[bytes]) -> None:
    assert all(len(digest) == hashlib.sha3_256().digest_size for digest in digests)


FIGURES = (
    Figure("Merkle root of a share", "byte", root_of_share),
    Figure("Merkle root of a share, two threads", "byte", root_of_share, threads=2),
    Figure("Merkle root of commitments", "point", root_of_points),
)


def test_merkle(benchmark: BenchmarkFixture, figure: Figure) -> None:
    run_figure(benchmark, figure)
