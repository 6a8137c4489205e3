"""Vectors of docs/spec.md §6: aggregation proof, BLS signatures, the digests that they sign."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from tests.reference import aggregation, bls, group, sharing
from tests.reference.material import Case, refused, scalars, secret

N = 256
SECRETS = [int.from_bytes(secret(f"bls {node}"), "big") % group.R for node in range(3)]
DIGEST = secret("digest")
CONTEXT = (31337).to_bytes(8, "big") + bytes(range(20)) + (7).to_bytes(8, "big") + (3).to_bytes(4, "big")


def aggregation_proof() -> Iterator[Case]:
    for rows in (1, 3):
        matrix, masks = _witness(rows), _masks()
        statement = _statement(matrix)
        given = {**_fields(statement), "rows": [scalars(row) for row in matrix], "masks": scalars(masks)}
        proof = aggregation.prove(statement, matrix, iter(masks))
        assert aggregation.verify(statement, proof)
        yield f"rows_{rows}", given, {"proof": proof.hex()}


def verify_aggregation() -> Iterator[Case]:
    matrix = _witness(2)
    statement = _statement(matrix)
    proof = aggregation.prove(statement, matrix, iter(_masks()))
    yield "honest", {**_fields(statement), "proof": proof.hex()}, {"valid": True}
    wrong = [row[:] for row in matrix]
    wrong[1][17] = (wrong[1][17] + 1) % group.R
    forgeries = {
        "wrong_witness": (statement, aggregation.prove(statement, wrong, iter(_masks()))),
        "left_and_right_swapped": (statement, proof[48:96] + proof[:48] + proof[96:]),
        "other_round": (replace(statement, context=CONTEXT[:-1] + b"\x04"), proof),
        "other_node": (replace(statement, node=3), proof),
        "other_accepted_set": (replace(statement, accepted=0b101), proof),
        "other_share_root": (replace(statement, share_root=secret("other")), proof),
        "identity_in_place_of_A": (statement, proof[:-208] + b"\xc0" + bytes(47) + proof[-160:]),
        "response_plus_one": (statement, proof[:-1] + bytes([proof[-1] ^ 1])),
    }
    for name, (claimed, forged) in forgeries.items():
        assert not aggregation.verify(claimed, forged)
        yield name, {**_fields(claimed), "proof": forged.hex()}, {"valid": False}
    yield from _malformed(statement, proof)


def _malformed(statement: aggregation.Statement, proof: bytes) -> Iterator[Case]:
    last = int.from_bytes(proof[-32:], "big") + group.R
    cases = {
        "bad_truncated": ("InvalidEncoding", proof[:-1]),
        "bad_extended": ("InvalidEncoding", proof + b"\0"),
        "bad_response_plus_r": ("InvalidScalar", proof[:-32] + last.to_bytes(32, "big")),
        "bad_point_outside_subgroup": ("InvalidPoint", b"\x80" + bytes(46) + b"\x04" + proof[48:]),
        "bad_point_off_curve": ("InvalidPoint", proof[:48] + b"\x80" + bytes(46) + b"\x01" + proof[96:]),
    }
    for name, (error, forged) in cases.items():
        yield (
            name,
            {**_fields(statement), "proof": forged.hex()},
            refused(error, lambda forged=forged: aggregation.verify(statement, forged)),
        )


def _witness(rows: int) -> sharing.Matrix:
    return sharing.expand_seed(secret(f"witness {rows}"), rows, N + 1)


def _masks() -> list[int]:
    return sharing.expand_seed(secret("masks"), 1, 17)[0]


def _statement(matrix: sharing.Matrix) -> aggregation.Statement:
    return aggregation.Statement(
        context=CONTEXT,
        node=2,
        node_address=bytes(range(100, 120)),
        accepted=0b11,
        commitment_roots=[secret("root 0"), secret("root 1")],
        aggregate_root=secret("aggregate root"),
        share_root=sharing.share_root(matrix),
        blob_hash=secret("blob"),
        columns=N,
        F=sharing.commit_rows(matrix),
    )


def _fields(statement: aggregation.Statement) -> dict[str, Any]:
    return {
        "context": statement.context.hex(),
        "node": statement.node,
        "node_address": statement.node_address.hex(),
        "accepted": hex(statement.accepted),
        "commitment_roots": [root.hex() for root in statement.commitment_roots],
        "aggregate_root": statement.aggregate_root.hex(),
        "share_root": statement.share_root.hex(),
        "blob_hash": statement.blob_hash.hex(),
        "columns": statement.columns,
        "F": group.encode_points(statement.F).hex(),
    }


def bls_key() -> Iterator[Case]:
    for name, value in (("one", 1), ("some", SECRETS[0]), ("largest", group.R - 1)):
        key = bls.public_key(value)
        yield (
            name,
            {"secret": group.encode_scalar(value).hex()},
            {
                "public": key.hex(),
                "ledger": bls.key_to_ledger(key).hex(),
            },
        )
    for name, value in (("zero", 0), ("order", group.R), ("largest", 2**256 - 1)):
        wire = group.encode_scalar(value)
        yield f"bad_{name}", {"secret": wire.hex()}, refused("InvalidScalar", lambda wire=wire: _secret(wire))


def _secret(wire: bytes) -> int:
    (value,) = group.decode_scalars(wire)
    if value == 0:
        raise group.BadScalar("zero")
    return value


def bls_public_key() -> Iterator[Case]:
    good = bls.public_key(SECRETS[0])
    bad = {
        "infinity": b"\xc0" + bytes(95),
        "outside_subgroup": b"\x80" + bytes(94) + b"\x02",
        "not_compressed": bytes([good[0] & 0x7F]) + good[1:],
        "all_ones": b"\xff" * 96,
    }
    for name, wire in bad.items():
        yield (
            f"bad_{name}",
            {"public": wire.hex()},
            refused("InvalidPoint", lambda wire=wire: bls.decode_key(wire)),
        )


def bls_signature() -> Iterator[Case]:
    for node, value in enumerate(SECRETS[:2]):
        signature = bls.sign(value, DIGEST, bls.SIGNATURE_DST)
        assert bls.verify(bls.public_key(value), DIGEST, bls.SIGNATURE_DST, signature)
        yield (
            f"node_{node}",
            {"secret": group.encode_scalar(value).hex(), "digest": DIGEST.hex()},
            {
                "signature": signature.hex(),
                "ledger": bls.signature_to_ledger(signature).hex(),
                "possession": bls.sign(value, DIGEST, bls.POSSESSION_DST).hex(),
            },
        )


def bls_verify() -> Iterator[Case]:
    keys = [bls.public_key(value) for value in SECRETS]
    signatures = [bls.sign(value, DIGEST, bls.SIGNATURE_DST) for value in SECRETS]
    total = bls.aggregate_signatures(signatures[:2])
    possession = bls.sign(SECRETS[0], DIGEST, bls.POSSESSION_DST)
    cases = {
        "one_signer": (keys[:1], signatures[0], True),
        "two_signers": (keys[:2], total, True),
        "a_signer_too_few": (keys[:1], total, False),
        "a_signer_too_many": (keys, total, False),
        "possession_is_no_signature": (keys[:1], possession, False),
    }
    for name, (signers, signature, valid) in cases.items():
        combined = bls.aggregate_keys(signers)
        assert bls.verify(combined, DIGEST, bls.SIGNATURE_DST, signature) == valid
        given = {"keys": [key.hex() for key in signers], "digest": DIGEST.hex(), "signature": signature.hex()}
        yield name, given, {"valid": valid, "aggregate_key": combined.hex()}
    for name, wire in (
        ("infinity", b"\xc0" + bytes(47)),
        ("outside_subgroup", b"\x80" + bytes(46) + b"\x04"),
    ):
        given = {"keys": [keys[0].hex()], "digest": DIGEST.hex(), "signature": wire.hex()}
        yield f"bad_{name}", given, refused("InvalidPoint", lambda wire=wire: bls.decode_signature(wire))


def possession_digest() -> Iterator[Case]:
    contract, account, key = bytes(range(20)), bytes(range(40, 60)), bls.public_key(SECRETS[0])
    given = {"chain_id": 31337, "contract": contract.hex(), "account": account.hex(), "public": key.hex()}
    yield "node", given, {"digest": bls.possession_digest(31337, contract, account, key).hex()}


def attestation_digest() -> Iterator[Case]:
    for count, valid in ((2, 0b101), (3, 0b111)):
        posts = secret(f"{count} posts")
        accepted, root = (1 << 255) | 0b1011, secret("aggregate root")
        given = {
            "context": CONTEXT.hex(),
            "accepted": hex(accepted),
            "aggregate_root": root.hex(),
            "valid": valid,
            "posts": posts.hex(),
        }
        digest = bls.attestation_digest(CONTEXT, accepted, root, valid, posts)
        yield f"posts_{count}", given, {"digest": digest.hex()}


OPERATIONS = {
    "aggregation_proof": aggregation_proof,
    "verify_aggregation": verify_aggregation,
    "bls_key": bls_key,
    "bls_public_key": bls_public_key,
    "bls_signature": bls_signature,
    "bls_verify": bls_verify,
    "possession_digest": possession_digest,
    "attestation_digest": attestation_digest,
}
