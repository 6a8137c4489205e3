"""The package against the vectors, and the vectors against the reference that wrote them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.reference import make_vectors

from zkpfl import errors
from zkpfl.crypto import bls, encoding, key_sharing, sharing
from zkpfl.crypto.commitments import commit_lanes, commit_rows, packed_blindings
from zkpfl.crypto.discrete_gaussian import sample_discrete_gaussian
from zkpfl.crypto.generators import generators
from zkpfl.crypto.keystream import stream
from zkpfl.crypto.merkle import commitment_root, hash_blob, keccak256, merkle_root, share_root
from zkpfl.crypto.points import G1Array
from zkpfl.crypto.proofs import aggregation, contribution, norm
from zkpfl.crypto.scalars import Scalars, decode_scalars, encode_scalars, to_int
from zkpfl.crypto.transcript import Context, Transcript
from zkpfl.ledger import rules
from zkpfl.params import Committee, FixedPoint, Layout
from zkpfl.protocol.plan import CommitteeMember, RoundPlan

Given = dict[str, Any]
unhex = bytes.fromhex


def scalars(wire: str) -> Scalars:
    return decode_scalars(unhex(wire), len(wire) // 64)


def vector(wire: str) -> np.ndarray[Any, np.dtype[np.float32]]:
    return np.frombuffer(unhex(wire), dtype="<f4").astype(np.float32)


def layout(given: Given) -> Layout:
    return Layout(
        dimension=given["dimension"],
        norm_bound=given["norm_bound"],
        max_trainers=given["max_trainers"],
        columns=given["columns"],
        noise_parties=given["noise_parties"],
        noise_bound=given["noise_bound"],
    )


# ---- docs/spec.md §2, §3 -------------------------------------------------------------------------


def transcript(given: Given) -> Given:
    running, challenges = Transcript(given["domain"]), []
    for kind, label, *data in given["steps"]:
        if kind == "absorb":
            running.absorb(label, unhex(data[0]))
        elif kind == "scalar":
            challenges.append(running.challenge_scalar(label))
        else:
            challenges.append(running.challenge_short(label).value)
    wire = [value.to_bytes(32, "big").hex() for value in challenges]
    return {"challenges": wire, "state": running.state.hex()}


def key_stream(given: Given) -> Given:
    return {"stream": stream(unhex(given["key"]), int(given["number"]))(given["length"]).hex()}


def discrete_gaussian(given: Given) -> Given:
    samples = sample_discrete_gaussian(given["sigma"], given["count"], unhex(given["seed"]))
    return {"samples": samples.tolist()}


def merkle(given: Given) -> Given:
    return {"root": merkle_root([unhex(leaf) for leaf in given["leaves"]]).hex()}


def blob_hashes(given: Given) -> Given:
    return {"hash": hash_blob(stream(unhex(given["seed"]), 0)(given["length"])).hex()}


def share_roots(given: Given) -> Given:
    rows = sharing.expand_seed(unhex(given["seed"]), given["rows"], given["width"])
    return {"root": share_root(rows).hex()}


def rotation(given: Given) -> Given:
    rotated = encoding.rotate(vector(given["vector"]), unhex(given["seed"]))
    back = encoding.unrotate(rotated, unhex(given["seed"]))
    return {"rotated": rotated.tobytes().hex(), "unrotated": back.tobytes().hex()}


def rotation_seed(given: Given) -> Given:
    nodes = tuple(CommitteeMember(bytes(20), bytes(32)) for _ in range(3))
    context = Context.from_bytes(unhex(given["context"]))
    plan = RoundPlan(context, Layout(600, 1000), Committee(), nodes, (), 2, bytes(32))
    return {"seed": plan.rotation_seed.hex()}


def rounding(given: Given) -> Given:
    v = vector(given["vector"])
    fixed_point = FixedPoint(len(v), given["clip_norm"], given["value_bits"])
    integers = encoding.quantize(v, fixed_point, unhex(given["seed"]))
    return {"integers": integers.tolist(), "norm_bound": fixed_point.norm_bound}


def mean_update(given: Given) -> Given:
    total = np.array(given["total"], dtype=np.int64)
    fixed_point = FixedPoint(len(total), given["clip_norm"], given["value_bits"])
    mean = encoding.decode_mean(total, fixed_point, unhex(given["seed"]), given["count"])
    return {"mean": mean.tobytes().hex()}


def integers(given: Given) -> Given:
    bits = given["value_bits"]
    digits = encoding.encode_integers(np.array(given["values"], dtype=np.int64), bits)
    total = 3 * digits.astype(np.int64)
    return {"digits": digits.tolist(), "sum_of_three": encoding.decode_integers(total, bits).tolist()}


def packing(given: Given) -> Given:
    shape = layout(given)
    packed = encoding.pack(np.array(given["values"], dtype=np.int64), shape)
    return {
        "lane_width": shape.lane_width,
        "lanes": shape.lanes,
        "packed_root": share_root(packed).hex(),
        "total": encoding.unpack_sum(packed, shape).tolist(),
    }


def unpacking(given: Given) -> Given:
    packed = np.stack([scalars(row) for row in given["packed"]])
    return {"total": encoding.unpack_sum(packed, layout(given)).tolist()}


# ---- docs/spec.md §2, §4, §5 ---------------------------------------------------------------------


def keccak(given: Given) -> Given:
    return {"digest": keccak256(unhex(given["data"])).hex()}


def scalar_encoding(given: Given) -> Given:
    wire = unhex(given["wire"])
    decoded = decode_scalars(wire, -(-len(wire) // 32))
    assert encode_scalars(decoded) == wire
    return {"values": [str(value) for value in to_int(decoded)]}


def point_encoding(given: Given) -> Given:
    """Coordinates by the signature encoding of the ledger: 16 zero bytes and 48 of a coordinate each."""
    points = G1Array.decode(unhex(given["wire"]))
    assert points.encode() == unhex(given["wire"])
    return {"points": [_coordinates(points[index].encode()) for index in range(len(points))]}


def _coordinates(point: bytes) -> list[str] | None:
    if point[0] & 0x40:
        return None
    ledger = bls.signature_to_ledger(point)
    return [hex(int.from_bytes(half, "big")) for half in (ledger[:64], ledger[64:])]


def generator_points(given: Given) -> Given:
    gens = generators(given["columns"])
    return {name: getattr(gens, name).encode().hex() for name in ("G", "H", "U")}


def share_key(given: Given) -> Given:
    committee = Committee(given["size"], given["threshold"])
    key = unhex(given["key"])
    sharing = key_sharing.share_key(key, committee, unhex(given["seed"]))
    shares = enumerate(sharing.shares, start=1)
    return {
        "mask": sharing.mask.hex(),
        "shares": [share.hex() for share in sharing.shares],
        "share_digests": [key_sharing.share_digest(node, share).hex() for node, share in shares],
        "key_digest": key_sharing.key_digest(key).hex(),
    }


def recover_key(given: Given) -> Given:
    shares = {int(node): unhex(share) for node, share in given["shares"].items()}
    is_key = lambda key: key_sharing.key_digest(key) == unhex(given["digest"])  # noqa: E731
    key = key_sharing.recover_key(unhex(given["mask"]), shares, given["threshold"], is_key)
    assert key is not None
    return {"key": key.hex()}


def expand_seed(given: Given) -> Given:
    rows = sharing.expand_seed(unhex(given["seed"]), given["rows"], given["width"])
    return {"rows": [encode_scalars(row).hex() for row in rows]}


def lagrange(given: Given) -> Given:
    coefficients = sharing.lagrange_coefficients(given["abscissae"], given["at"])
    return {"coefficients": encode_scalars(coefficients).hex()}


def submission(given: Given) -> Given:
    shape, gens = layout(given), generators(given["columns"])
    committee = Committee(given["size"], given["threshold"])
    values, blindings = np.array(given["values"], dtype=np.int16), scalars(given["blindings"])
    seeds = [unhex(seed) for seed in given["seeds"]]
    sigma = packed_blindings(blindings, shape)
    secret = np.concatenate((encoding.pack(values, shape), sigma[:, None]), axis=1)
    seeded = {
        node: sharing.expand_seed(seed, shape.packed_rows, shape.columns + 1)
        for node, seed in enumerate(seeds, start=1)
    }
    shares = seeded | sharing.split(secret, seeds, committee)
    seeded_points = [commit_rows(seeded[node], gens) for node in sorted(seeded)]
    points = G1Array.concatenate([commit_lanes(values, blindings, shape, gens), *seeded_points])
    return {
        "packed_blindings": encode_scalars(sigma).hex(),
        "points": points.encode().hex(),
        "commitment_root": commitment_root(points).hex(),
        "nodes": [
            {
                "share_root": share_root(shares[node]).hex(),
                "commitments": sharing.share_commitments(points, shape, committee, node).encode().hex(),
            }
            for node in range(1, committee.size + 1)
        ],
    }


# ---- docs/spec.md §6 -----------------------------------------------------------------------------


def statement(given: Given) -> aggregation.Statement:
    return aggregation.Statement(
        context=Context.from_bytes(unhex(given["context"])),
        node=given["node"],
        node_address=unhex(given["node_address"]),
        accepted=int(given["accepted"], 16),
        commitment_roots=tuple(unhex(root) for root in given["commitment_roots"]),
        aggregate_root=unhex(given["aggregate_root"]),
        share_root=unhex(given["share_root"]),
        blob_hash=unhex(given["blob_hash"]),
        F=G1Array.decode(unhex(given["F"])),
    )


def aggregation_proof(given: Given) -> Given:
    witness = aggregation.Witness(np.stack([scalars(row) for row in given["rows"]]))
    gens = generators(given["columns"])
    proof = aggregation.prove_with_masks(statement(given), witness, gens, scalars(given["masks"]))
    return {"proof": proof.hex()}


def verify_aggregation(given: Given) -> Given:
    return {
        "valid": aggregation.verify(statement(given), unhex(given["proof"]), generators(given["columns"]))
    }


# ---- docs/spec.md §7 -----------------------------------------------------------------------------


def norm_statement(given: Given) -> norm.Statement:
    return norm.Statement(
        context=Context.from_bytes(unhex(given["context"])),
        trainer=unhex(given["trainer"]),
        checkpoint=unhex(given["checkpoint"]),
        dimension=given["dimension"],
        columns=given["columns"],
        bound_squared=given["bound_squared"],
        commitments=G1Array.decode(unhex(given["commitments"])),
    )


def norm_proof(given: Given) -> Given:
    values = np.array(given["values"], dtype=np.int64)
    if np.all(np.abs(values) < 1 << 15):  # an update, else noise
        values = values.astype(np.int16)
    witness = norm.Witness(values, scalars(given["blindings"]))
    gens, key = generators(given["columns"]), unhex(given["key"])
    proof = norm.prove_with_masks(norm_statement(given), witness, gens, key, given["squares"])
    return {"proof": proof.hex()}


def verify_norm(given: Given) -> Given:
    statement, proof = norm_statement(given), unhex(given["proof"])
    valid = norm.verify(statement, proof, generators(given["columns"]))
    assert norm.verify_batch([statement], [proof], generators(given["columns"])) == (() if valid else (0,))
    return {"valid": valid}


def contribution_statement(given: Given) -> contribution.Statement:
    total, updates = given["total"], given["updates"]
    public = [np.array(update, dtype=np.int16) for update in updates]
    direction = contribution.Direction.of(np.array(total, dtype=np.int64), public, given["norm_bound"])
    return contribution.Statement(
        context=Context.from_bytes(unhex(given["context"])),
        trainer=unhex(given["trainer"]),
        checkpoint=unhex(given["checkpoint"]),
        dimension=given["dimension"],
        columns=given["columns"],
        commitments=G1Array.decode(unhex(given["commitments"])),
        direction=direction,
        value=given["value"],
    )


def contribution_proof(given: Given) -> Given:
    values = np.array(given["values"], dtype=np.int16)
    witness = contribution.Witness(values, scalars(given["blindings"]))
    gens, statement = generators(given["columns"]), contribution_statement(given)
    proof = contribution.prove_with_masks(statement, witness, gens, unhex(given["key"]))
    return {"proof": proof.hex(), "value": statement.direction.contribution(values)}


def verify_contribution(given: Given) -> Given:
    statement, proof = contribution_statement(given), unhex(given["proof"])
    gens = generators(given["columns"])
    valid = contribution.verify(statement, proof, gens)
    assert contribution.verify_batch([statement], [proof], gens) == (() if valid else (0,))
    return {"valid": valid}


def bls_key(given: Given) -> Given:
    key = bls.BlsSecretKey(unhex(given["secret"]))
    return {"public": key.public.to_bytes().hex(), "ledger": key.public.to_ledger().hex()}


def bls_public_key(given: Given) -> Given:
    return {"ledger": bls.BlsPublicKey(unhex(given["public"])).to_ledger().hex()}


def bls_signature(given: Given) -> Given:
    key, digest = bls.BlsSecretKey(unhex(given["secret"])), unhex(given["digest"])
    signature = key.sign(digest)
    return {
        "signature": signature.hex(),
        "ledger": bls.signature_to_ledger(signature).hex(),
        "possession": key.prove_possession(digest).hex(),
    }


def bls_verify(given: Given) -> Given:
    keys = [bls.BlsPublicKey(unhex(key)) for key in given["keys"]]
    valid = bls.verify_aggregate(keys, unhex(given["digest"]), unhex(given["signature"]))
    return {"valid": valid, "aggregate_key": bls.aggregate_public_keys(keys).to_bytes().hex()}


def possession_digest(given: Given) -> Given:
    key = bls.BlsPublicKey(unhex(given["public"]))
    addresses = unhex(given["contract"]), unhex(given["account"])
    return {"digest": bls.possession_digest(given["chain_id"], *addresses, key).hex()}


def attestation_digest(given: Given) -> Given:
    digest = bls.attestation_digest(
        Context.from_bytes(unhex(given["context"])),
        int(given["accepted"], 16),
        unhex(given["aggregate_root"]),
        given["valid"],
        unhex(given["posts"]),
    )
    return {"digest": digest.hex()}


def posts_hash(given: Given) -> Given:
    posts = [(node, unhex(root), unhex(manifest)) for node, root, manifest in given["posts"]]
    return {"hash": rules.posts_hash(posts).hex()}


def score_commitment(given: Given) -> Given:
    context = Context.from_bytes(unhex(given["context"]))
    trainer, checkpoint, salt = (unhex(given[name]) for name in ("trainer", "checkpoint", "salt"))
    commitment = rules.score_commitment(context, trainer, checkpoint, given["accuracy"], salt)
    return {"commitment": commitment.hex()}


def slice_keys(given: Given) -> Given:
    return {"keys": [key.hex() for key in rules.slice_keys(unhex(given["last"]), given["count"])]}


def committee_draw(given: Given) -> Given:
    weights = [int(weight) for weight in given["weights"]]
    return {"drawn": rules.draw(unhex(given["seed"]), weights, given["count"])}


OPERATIONS: dict[str, Callable[[Given], Given]] = {
    "transcript": transcript,
    "key_stream": key_stream,
    "discrete_gaussian": discrete_gaussian,
    "merkle": merkle,
    "posts_hash": posts_hash,
    "score_commitment": score_commitment,
    "slice_keys": slice_keys,
    "committee_draw": committee_draw,
    "blob_hash": blob_hashes,
    "share_root": share_roots,
    "rotation": rotation,
    "rotation_seed": rotation_seed,
    "rounding": rounding,
    "mean_update": mean_update,
    "integers": integers,
    "packing": packing,
    "unpacking": unpacking,
    "keccak": keccak,
    "decode_scalars": scalar_encoding,
    "decode_points": point_encoding,
    "generators": generator_points,
    "expand_seed": expand_seed,
    "key_sharing": share_key,
    "key_recovery": recover_key,
    "lagrange": lagrange,
    "submission": submission,
    "aggregation_proof": aggregation_proof,
    "verify_aggregation": verify_aggregation,
    "norm_proof": norm_proof,
    "verify_norm": verify_norm,
    "contribution_proof": contribution_proof,
    "verify_contribution": verify_contribution,
    "bls_key": bls_key,
    "bls_public_key": bls_public_key,
    "bls_signature": bls_signature,
    "bls_verify": bls_verify,
    "possession_digest": possession_digest,
    "attestation_digest": attestation_digest,
}
CASES = sorted(path for operation in OPERATIONS for path in (make_vectors.VECTORS / operation).glob("*.json"))


@pytest.mark.parametrize("path", CASES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_vector(path: Path) -> None:
    case = json.loads(path.read_text(encoding="utf-8"))
    run = OPERATIONS[path.parent.name]
    assert path.name.startswith("bad_") == ("error" in case)
    if "output" in case:
        assert run(case["input"]) == case["output"]
    else:
        with pytest.raises(errors.ZkpflError) as caught:
            run(case["input"])
        assert type(caught.value).__name__ == case["error"]


def test_every_operation_of_the_reference_is_run() -> None:
    assert OPERATIONS.keys() == make_vectors.OPERATIONS.keys()
    assert {path.parent.name for path in CASES} == OPERATIONS.keys()


@pytest.mark.parametrize("operation", make_vectors.OPERATIONS)
def test_regenerating_gives_the_same_bytes(operation: str) -> None:
    directory = make_vectors.VECTORS / operation
    stored = {path.name: path.read_text(encoding="utf-8") for path in directory.iterdir()}
    assert make_vectors.make(operation) == stored
