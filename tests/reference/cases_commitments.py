"""Vectors of docs/spec.md §2, §4 and §5: wire forms, generators, commitments, sharing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.reference import group, hashing, sharing
from tests.reference import key_sharing as reference_key_sharing
from tests.reference.cases_encoding import SMALL, WIDE, shape_fields
from tests.reference.material import Case, refused, scalars, secret, words

P, R = group.P, group.R


def decode_scalars() -> Iterator[Case]:
    values = [0, 1, R - 1, 2**200 + 12345]
    yield "canonical", {"wire": scalars(values)}, {"values": [str(value) for value in values]}
    bad = {"order": R, "order_plus_one": R + 1, "largest": 2**256 - 1}
    for name, value in bad.items():
        wire = scalars([5, value])
        yield (
            f"bad_{name}",
            {"wire": wire},
            refused("InvalidScalar", lambda wire=wire: group.decode_scalars(bytes.fromhex(wire))),
        )
    short = scalars([5])[:-2]
    yield (
        "bad_length",
        {"wire": short},
        refused("InvalidEncoding", lambda: group.decode_scalars(bytes.fromhex(short))),
    )


def decode_points() -> Iterator[Case]:
    points = [group.GENERATOR, group.times(R - 1, group.GENERATOR), None, group.blinding_generator()]
    coordinates = [[hex(part) for part in point] if point else None for point in points]
    yield "canonical", {"wire": group.encode_points(points).hex()}, {"points": coordinates}
    for name, wire in _bad_points().items():
        yield (
            f"bad_{name}",
            {"wire": wire.hex()},
            refused("InvalidPoint", lambda wire=wire: group.decode_points(wire)),
        )
    short = group.encode_point(group.GENERATOR)[:-1]
    yield "bad_length", {"wire": short.hex()}, refused("InvalidEncoding", lambda: group.decode_points(short))


def _bad_points() -> dict[str, bytes]:
    good = group.encode_point(group.GENERATOR)
    not_reduced = (4 + P).to_bytes(48, "big")
    return {
        "off_curve": b"\x80" + bytes(46) + b"\x01",
        "outside_subgroup": b"\x80" + bytes(46) + b"\x04",
        "not_compressed": bytes([good[0] & 0x7F]) + good[1:],
        "coordinate_not_below_p": bytes([not_reduced[0] | 0x80]) + not_reduced[1:],
        "infinity_with_sign": b"\xe0" + bytes(47),
        "infinity_with_coordinate": b"\xc0" + bytes(46) + b"\x01",
        "all_ones": b"\xff" * 48,
        "zeros": bytes(48),
    }


def generators() -> Iterator[Case]:
    yield (
        "columns_8",
        {"columns": 8},
        {
            "G": group.encode_points(group.generators(8)).hex(),
            "H": group.encode_point(group.blinding_generator()).hex(),
            "U": group.encode_point(group.inner_product_generator()).hex(),
        },
    )


def expand_seed() -> Iterator[Case]:
    seed = secret("expand")
    given = {"seed": seed.hex(), "rows": 2, "width": 20}
    yield "rows_2", given, {"rows": [scalars(row) for row in sharing.expand_seed(seed, 2, 20)]}


def lagrange() -> Iterator[Case]:
    for abscissae, at in (
        ([0, 1], 3),
        ([0, 1, 2], 5),
        ([1, 3], 0),
        ([2, 4, 5], 0),
        ([3, 1], 0),
        ([0, 1, 2], 1),
    ):
        name = "_".join(map(str, abscissae)) + f"_at_{at}"
        given = {"abscissae": abscissae, "at": at}
        yield name, given, {"coefficients": scalars(sharing.lagrange(abscissae, at))}


def submission() -> Iterator[Case]:
    """Everything a trainer computes, and what each node receives."""
    yield "threshold_2_of_3", *_submission(SMALL, 2, 3)
    yield "threshold_3_of_5", *_submission(SMALL, 3, 5)
    yield "threshold_2_of_3_two_packed_rows", *_submission(WIDE, 2, 3)


def _submission(shape: sharing.Shape, threshold: int, size: int) -> tuple[dict[str, Any], dict[str, Any]]:
    x = [int(word % 4096) - 2048 for word in words("submission", shape.d)]
    blindings = sharing.expand_seed(secret("blindings"), 1, shape.R)[0]
    seeds = [secret(f"share {node}") for node in range(1, threshold)]
    packed, sigma = sharing.pack(x, shape), sharing.packed_blindings(blindings, shape)
    matrix = [[*row, blinding] for row, blinding in zip(packed, sigma, strict=True)]
    points = sharing.submission(x, blindings, seeds, shape)
    nodes = []
    for node in range(1, size + 1):
        rows = sharing.share(matrix, seeds, node)
        commitments = sharing.share_commitments(points, shape, threshold, node)
        assert node < size or commitments == sharing.commit_rows(rows)  # one interpolated node is enough
        nodes.append(
            {
                "share_root": sharing.share_root(rows).hex(),
                "commitments": group.encode_points(commitments).hex(),
            }
        )
    last = {node: sharing.share(matrix, seeds, node) for node in range(size - threshold + 1, size + 1)}
    assert sharing.interpolate_at_zero(last) == matrix
    given = {
        **shape_fields(shape),
        "values": x,
        "blindings": scalars(blindings),
        "seeds": [seed.hex() for seed in seeds],
        "threshold": threshold,
        "size": size,
    }
    return given, {
        "packed_blindings": scalars(sigma),
        "points": group.encode_points(points).hex(),
        "commitment_root": sharing.commitment_root(points).hex(),
        "nodes": nodes,
    }


def keccak() -> Iterator[Case]:
    for data in (b"", b"abc", bytes(135), bytes(136), bytes(137), bytes(1000)):
        yield f"length_{len(data)}", {"data": data.hex()}, {"digest": hashing.keccak(data).hex()}


def key_sharing() -> Iterator[Case]:
    key, seed = secret("job key"), secret("key sharing seed")
    for size, threshold in ((3, 2), (5, 3), (10, 5)):
        mask, shares = reference_key_sharing.share(key, size, threshold, seed)
        given = {"key": key.hex(), "seed": seed.hex(), "size": size, "threshold": threshold}
        digests = [
            reference_key_sharing.share_digest(node, share).hex()
            for node, share in enumerate(shares, start=1)
        ]
        yield (
            f"{threshold}_of_{size}",
            given,
            {
                "mask": mask.hex(),
                "shares": [share.hex() for share in shares],
                "share_digests": digests,
                "key_digest": reference_key_sharing.key_digest(key).hex(),
            },
        )


def key_recovery() -> Iterator[Case]:
    key = secret("job key")
    mask, shares = reference_key_sharing.share(key, 5, 3, secret("key sharing seed"))
    some = {node: shares[node - 1] for node in (2, 3, 5)}
    given = {"mask": mask.hex(), "threshold": 3, "digest": reference_key_sharing.key_digest(key).hex()}
    wire = {str(node): share.hex() for node, share in some.items()}
    yield "nodes_2_3_5", given | {"shares": wire}, {"key": reference_key_sharing.recover(mask, some).hex()}
    beyond = some | {3: R.to_bytes(32, "big")}
    yield (
        "bad_share_not_below_r",
        given | {"shares": wire | {"3": beyond[3].hex()}},
        refused("InvalidEncoding", lambda: reference_key_sharing.recover(mask, beyond)),
    )


OPERATIONS = {
    "key_sharing": key_sharing,
    "key_recovery": key_recovery,
    "decode_scalars": decode_scalars,
    "decode_points": decode_points,
    "generators": generators,
    "expand_seed": expand_seed,
    "lagrange": lagrange,
    "submission": submission,
    "keccak": keccak,
}
