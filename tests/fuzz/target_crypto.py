"""Sealed blobs, shares, commitments, proofs, signatures and keys, as peers and the ledger give them."""

from __future__ import annotations

import ssl
from functools import cache
from types import SimpleNamespace
from typing import Any

import numpy as np

from tests.fuzz.registry import Reader, fuzz_target
from zkpfl.crypto import bls, sealing, signatures
from zkpfl.crypto.certificates import new_credential, vouching_account
from zkpfl.crypto.commitments import commit_lanes
from zkpfl.crypto.generators import generators
from zkpfl.crypto.points import G1Array, decode_points
from zkpfl.crypto.proofs import aggregation, contribution, norm
from zkpfl.crypto.proofs.folding import FoldingProof, proof_bytes
from zkpfl.crypto.proofs.masked_proof import MaskedProof
from zkpfl.crypto.scalars import encode_scalars, from_int
from zkpfl.crypto.signatures import Domain
from zkpfl.crypto.transcript import CONTEXT_BYTES, Context
from zkpfl.errors import (
    BadSignature,
    CorruptContent,
    InvalidEncoding,
    InvalidParameter,
    InvalidPoint,
    InvalidScalar,
    NotAuthorized,
    NotDelivered,
)
from zkpfl.params import Committee, Layout
from zkpfl.protocol.aggregate import decode_commitments
from zkpfl.protocol.shares import decode_share

KEY = bytes(range(32))
PRIVATE = sealing.EncryptionKey.from_bytes(KEY)
COLUMNS = 256
CONTEXT = Context(1, bytes(20), 1, 1)
LAYOUT = Layout(dimension=300, norm_bound=2**10, max_trainers=2, columns=COLUMNS)

# What decoding reads of a plan; a whole one needs a network of parties.
PLAN: Any = SimpleNamespace(
    committee=Committee(3, 2),
    layout=LAYOUT,
    matrix_bytes=LAYOUT.packed_rows * (COLUMNS + 1) * 32,
    submission_points=LAYOUT.lane_rows + LAYOUT.packed_rows,
    points_bytes=48 * (LAYOUT.lane_rows + LAYOUT.packed_rows),
    commitments_bytes=48 * (LAYOUT.lane_rows + LAYOUT.packed_rows)
    + norm.proof_bytes(LAYOUT.lane_rows, COLUMNS),
)


@fuzz_target("crypto")
def sealed_blobs(data: bytes) -> None:
    """Any bytes, or a blob of ours changed: sealing is random, so that this one is made once."""
    reader = Reader(data)
    plaintext, sealed, sealed_to = _sealed()
    known = sealed_to if reader.byte() & 1 else sealed
    blob = reader.damage(known) if reader.byte() & 1 else reader.rest()
    opened = None
    try:
        if known is sealed_to:
            opened = sealing.open_from(PRIVATE, blob, context=b"fuzz")
        else:
            opened = sealing.open_sealed(KEY, blob, context=b"fuzz")
    except CorruptContent:
        assert blob != known
        return
    assert (blob, opened) == (known, plaintext)


@cache
def _sealed() -> tuple[bytes, bytes, bytes]:
    plaintext = bytes(range(100))
    return (
        plaintext,
        sealing.seal(KEY, plaintext, context=b"fuzz"),
        sealing.seal_to(PRIVATE.public, plaintext, context=b"fuzz"),
    )


@fuzz_target("crypto")
def encryption_keys(data: bytes) -> None:
    """Public keys that the ledger holds, whoever registered them."""
    try:
        blob = sealing.seal_to(data, b"x", context=b"")
    except InvalidEncoding:
        return
    assert len(data) == 32
    assert len(blob) > 80


@cache
def _proof() -> tuple[aggregation.Statement, bytes]:
    gens = generators(COLUMNS)
    rows = from_int(range(COLUMNS + 1)).reshape(1, COLUMNS + 1, 4)
    point = G1Array.decode(b"\xc0" + bytes(47))
    statement = aggregation.Statement(CONTEXT, 1, bytes(20), 1, (KEY,), KEY, KEY, KEY, point)
    return statement, aggregation.prove(statement, aggregation.Witness(rows), gens)


@fuzz_target("shares")
def aggregation_proofs(data: bytes) -> None:
    """Any bytes, or a proof changed: decoding and its inverse, and no proof of what is false."""
    reader = Reader(data)
    statement, known = _proof()
    proof = reader.damage(known) if reader.byte() & 1 else reader.rest().ljust(proof_bytes(COLUMNS), b"\0")
    try:
        decoded = FoldingProof.decode(proof, COLUMNS)
    except (InvalidEncoding, InvalidPoint, InvalidScalar):
        return
    assert decoded.points.encode() == decoded.encoded
    assert decoded.encoded + encode_scalars(decoded.responses) == proof
    assert not aggregation.verify(statement, proof, generators(COLUMNS))


@cache
def _norm_proof() -> tuple[norm.Statement, bytes]:
    gens = generators(COLUMNS)
    witness = norm.Witness(np.arange(300, dtype=np.int16), from_int((1, 2)))
    points = commit_lanes(witness.values, witness.blindings, LAYOUT, gens)
    bound = witness.squared_norm()
    statement = norm.Statement(CONTEXT, bytes(20), KEY, 300, COLUMNS, points, bound_squared=bound)
    return statement, norm.prove(statement, witness, gens)


@cache
def _contribution_proof() -> tuple[contribution.Statement, bytes]:
    gens = generators(COLUMNS)
    witness = contribution.Witness(np.arange(300, dtype=np.int16), from_int((1, 2)))
    points = commit_lanes(witness.values, witness.blindings, LAYOUT, gens)
    total, update = np.arange(300) * 70000 - 9, np.arange(300, dtype=np.int16)[::-1].copy()
    direction = contribution.Direction.of(total, [update], 1 << 20)
    value = direction.contribution(witness.values)
    where = CONTEXT, bytes(20), KEY, 300, COLUMNS, points
    statement = contribution.Statement(*where, direction=direction, value=value)
    return statement, contribution.prove(statement, witness, gens)


@fuzz_target("shares")
def contribution_proofs(data: bytes) -> None:
    _masked_proof(contribution, *_contribution_proof(), Reader(data))


@fuzz_target("shares")
def norm_proofs(data: bytes) -> None:
    _masked_proof(norm, *_norm_proof(), Reader(data))


def _masked_proof(kind: Any, statement: Any, known: bytes, reader: Reader) -> None:
    """Any bytes, or a proof changed; one that decodes is given back by its parts, and is no proof."""
    proof = reader.damage(known) if reader.byte() & 1 else reader.rest().ljust(len(known), b"\0")
    gens = generators(COLUMNS)
    try:
        decoded = MaskedProof.decode(proof, statement.shape)
    except (InvalidEncoding, InvalidPoint, InvalidScalar):
        assert kind.verify_batch([statement], [proof], gens) == (0,)
        return
    parts = (
        decoded.mask_commitment,
        decoded.masked_sums,
        *decoded.polynomials,
        decoded.claims,
        decoded.cross,
    )
    assert b"".join(parts) + decoded.opening.encoded + encode_scalars(decoded.opening.responses) == proof
    assert kind.verify(statement, proof, gens) == (proof == known)


@fuzz_target("shares")
def shares(data: bytes) -> None:
    reader = Reader(data)
    node = 1 + reader.below(3)
    size = (0, 33, 1 + PLAN.matrix_bytes)[reader.below(3)]
    share = reader.rest().ljust(size, b"\0")
    try:
        rows = decode_share(PLAN, node, share)
    except (InvalidEncoding, InvalidScalar):
        return
    assert rows.shape == (LAYOUT.packed_rows, COLUMNS + 1, 4)
    assert share[0] == 0 or encode_scalars(rows) == share[1:]


@fuzz_target("shares")
def commitments(data: bytes) -> None:
    points = data.ljust(PLAN.commitments_bytes, b"\0")
    try:
        decode_commitments(PLAN, points, bytes(32), party="trainer")
    except NotDelivered:
        pass
    else:
        raise AssertionError("no points have a root of zeros")
    try:
        array = decode_points(data, len(data) // 48)
    except (InvalidEncoding, InvalidPoint):
        return
    assert array.encode() == data


@fuzz_target("crypto")
def certificates(data: bytes) -> None:
    """Any bytes, or a certificate of ours changed: it speaks for its account or for nobody."""
    reader, good = Reader(data), _certificate()
    der = reader.damage(good) if reader.byte() & 1 else reader.rest()
    try:
        account = vouching_account(der, Domain(1, bytes(20)), 1000, "peer")
    except (InvalidEncoding, BadSignature, NotAuthorized):
        return
    assert account == signatures.AccountKey.from_bytes(KEY).address


@cache
def _certificate() -> bytes:
    credential = new_credential(signatures.AccountKey.from_bytes(KEY), Domain(1, bytes(20)), 1000, 2000)
    return ssl.PEM_cert_to_DER_cert(credential.server_certificate.decode())


@fuzz_target("crypto")
def account_signatures(data: bytes) -> None:
    reader = Reader(data)
    digest, key = reader.take(32), signatures.AccountKey.from_bytes(KEY)
    signature = reader.damage(signatures.sign_digest(key, digest)) if reader.byte() & 1 else reader.rest()
    try:
        address = signatures.recover(digest, signature)
    except (InvalidEncoding, BadSignature):
        return
    assert len(address) == signatures.ADDRESS_BYTES
    assert (address == key.address) == (signature == signatures.sign_digest(key, digest))


@fuzz_target("crypto")
def bls_encodings(data: bytes) -> None:
    """Keys, signatures and proofs of possession, from peers and from the ledger."""
    for decode, encode in (
        (bls.BlsPublicKey, bls.BlsPublicKey.to_bytes),
        (bls.BlsPublicKey.from_ledger, bls.BlsPublicKey.to_ledger),
        (bls.BlsSecretKey.from_bytes, bls.BlsSecretKey.to_bytes),
        (bls.signature_from_ledger, bls.signature_to_ledger),
        (bls.signature_to_ledger, bls.signature_from_ledger),
        (lambda one: bls.aggregate_signatures([one]), lambda one: one),
    ):
        try:
            decoded: Any = decode(data)  # type: ignore[operator]
        except (InvalidEncoding, InvalidPoint, InvalidScalar):
            continue
        assert encode(decoded) == data


@fuzz_target("crypto")
def contexts(data: bytes) -> None:
    try:
        context = Context.from_bytes(data)
    except InvalidEncoding:
        assert len(data) != CONTEXT_BYTES
        return
    assert context.to_bytes() == data


@fuzz_target("crypto")
def account_keys(data: bytes) -> None:
    try:
        key = signatures.AccountKey.from_bytes(data)
    except InvalidParameter:
        return
    assert key.to_bytes() == data
