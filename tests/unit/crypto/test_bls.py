from __future__ import annotations

import eth_abi
import pytest
from eth_hash.auto import keccak
from py_ecc.bls.point_compression import decompress_G1, decompress_G2
from py_ecc.bls.typing import G1Compressed, G2Compressed

from zkpfl.crypto import eip2537
from zkpfl.crypto.bls import (
    BlsPublicKey,
    BlsSecretKey,
    aggregate_public_keys,
    aggregate_signatures,
    attestation_digest,
    possession_digest,
    signature_from_ledger,
    signature_to_ledger,
    verify_aggregate,
)
from zkpfl.crypto.scalars import ORDER
from zkpfl.crypto.transcript import Context
from zkpfl.errors import InvalidEncoding, InvalidParameter, InvalidPoint, InvalidScalar

DIGEST = bytes(range(32))
KEYS = [BlsSecretKey((k + 1).to_bytes(32, "big")) for k in range(4)]
CONTEXT = Context(31337, bytes(range(20)), 7, 3)
INFINITY_G1 = b"\xc0" + bytes(47)
INFINITY_G2 = b"\xc0" + bytes(95)


def test_generated_keys_sign_and_verify() -> None:
    key, other = BlsSecretKey.generate(), BlsSecretKey.generate()
    signature = key.sign(DIGEST)
    assert len(signature) == 48
    assert key.public.verify(DIGEST, signature)
    assert not other.public.verify(DIGEST, signature)
    assert not key.public.verify(bytes(32), signature)


def test_secret_key_survives_its_bytes_and_prints_nothing() -> None:
    key = BlsSecretKey.generate()
    again = BlsSecretKey.from_bytes(key.to_bytes())
    assert again.public == key.public
    assert key.to_bytes().hex() not in f"{key!r}{key}{key.public!r}"
    assert str(int.from_bytes(key.to_bytes(), "big")) not in f"{key!r}{key}"


def test_possession_is_not_a_signature() -> None:
    proof = KEYS[0].prove_possession(DIGEST)
    assert KEYS[0].public.verify_possession(DIGEST, proof)
    assert not KEYS[0].public.verify(DIGEST, proof)
    assert not KEYS[0].public.verify_possession(DIGEST, KEYS[0].sign(DIGEST))
    assert not KEYS[1].public.verify_possession(DIGEST, proof)


def test_aggregate_verifies_for_exactly_its_signers() -> None:
    total = aggregate_signatures([key.sign(DIGEST) for key in KEYS[:3]])
    public = [key.public for key in KEYS]
    assert verify_aggregate(public[:3], DIGEST, total)
    assert verify_aggregate(public[2::-1], DIGEST, total)
    assert not verify_aggregate(public[:2], DIGEST, total)
    assert not verify_aggregate(public, DIGEST, total)
    assert not verify_aggregate(public[:3], bytes(32), total)
    assert aggregate_public_keys(public[:1]) == public[0]


def test_a_key_may_count_once() -> None:
    public = KEYS[0].public
    with pytest.raises(InvalidParameter):
        verify_aggregate([public, public], DIGEST, aggregate_signatures([KEYS[0].sign(DIGEST)] * 2))
    with pytest.raises(InvalidParameter):
        aggregate_public_keys([])
    with pytest.raises(InvalidParameter):
        aggregate_signatures([])


def test_key_and_signature_on_the_ledger_pass_the_pairing_check() -> None:
    """What the contract computes: e(H(m), pk) · e(σ, −g₂) = 1, with the point H(m) = σ of secret key 1."""
    message_point = signature_to_ledger(BlsSecretKey((1).to_bytes(32, "big")).sign(DIGEST))
    minus_g2 = BlsSecretKey((ORDER - 1).to_bytes(32, "big")).public.to_ledger()
    key = KEYS[2]
    pairs = message_point + key.public.to_ledger() + signature_to_ledger(key.sign(DIGEST)) + minus_g2
    assert int.from_bytes(eip2537.pairing_check(pairs), "big") == 1


def test_ledger_encoding_of_keys() -> None:
    public = KEYS[1].public
    assert len(public.to_ledger()) == 256
    assert BlsPublicKey.from_ledger(public.to_ledger()) == public
    assert BlsPublicKey(public.to_bytes()).to_ledger() == public.to_ledger()


def test_ledger_encoding_of_signatures() -> None:
    signature = KEYS[1].sign(DIGEST)
    ledger = signature_to_ledger(signature)
    assert signature_from_ledger(ledger) == signature
    for bad in (
        bytes(128),
        ledger[:-1] + bytes([ledger[-1] ^ 1]),
        b"\1" + ledger[1:],
        ledger[:-1],
        ledger + b"\0",
    ):
        with pytest.raises(InvalidEncoding):
            signature_from_ledger(bad)


@pytest.mark.parametrize("secret", [0, ORDER, ORDER + 1, 2**256 - 1])
def test_secret_out_of_range_is_refused(secret: int) -> None:
    with pytest.raises(InvalidScalar):
        BlsSecretKey(secret.to_bytes(32, "big"))


@pytest.mark.parametrize("length", [0, 31, 33])
def test_secret_of_another_length_is_refused(length: int) -> None:
    with pytest.raises(InvalidEncoding):
        BlsSecretKey(b"\1" * length)


def test_infinity_is_refused_everywhere() -> None:
    with pytest.raises(InvalidPoint):
        BlsPublicKey(INFINITY_G2)
    with pytest.raises(InvalidPoint):
        BlsPublicKey.from_ledger(bytes(256))
    with pytest.raises(InvalidPoint):
        KEYS[0].public.verify(DIGEST, INFINITY_G1)
    with pytest.raises(InvalidPoint):
        signature_to_ledger(INFINITY_G1)
    with pytest.raises(InvalidPoint, match="point 1 "):
        aggregate_signatures([KEYS[0].sign(DIGEST), INFINITY_G1])


def test_sums_that_cancel_are_refused() -> None:
    opposite = BlsSecretKey((ORDER - 1).to_bytes(32, "big"))
    with pytest.raises(InvalidEncoding, match="infinity"):
        aggregate_public_keys([KEYS[0].public, opposite.public])
    with pytest.raises(InvalidEncoding, match="infinity"):
        aggregate_signatures([KEYS[0].sign(DIGEST), opposite.sign(DIGEST)])


def outside_subgroup(length: int) -> bytes:
    """The first small x on the curve: the subgroup is a negligible part of it."""
    return next(
        encoded for x in range(1, 300) if on_curve(encoded := b"\x80" + x.to_bytes(length - 1, "big"))
    )


def on_curve(encoded: bytes) -> bool:
    halves = [int.from_bytes(encoded[i : i + 48], "big") for i in range(0, len(encoded), 48)]
    try:
        if len(halves) == 1:
            decompress_G1(G1Compressed(halves[0]))
        else:
            decompress_G2(G2Compressed((halves[0], halves[1])))
    except ValueError:
        return False
    return True


def test_points_outside_the_subgroup_are_refused() -> None:
    with pytest.raises(InvalidPoint, match="subgroup"):
        KEYS[0].public.verify(DIGEST, outside_subgroup(48))
    with pytest.raises(InvalidPoint, match="subgroup"):
        BlsPublicKey(outside_subgroup(96))


def test_every_flipped_byte_of_a_signature_is_refused_or_fails() -> None:
    signature = KEYS[0].sign(DIGEST)
    for position in range(len(signature)):
        forged = bytearray(signature)
        forged[position] ^= 0x01 << (position % 8)
        try:
            assert not KEYS[0].public.verify(DIGEST, bytes(forged))
        except InvalidPoint:
            continue


@pytest.mark.parametrize("change", [lambda s: s[:-1], lambda s: s + b"\0", lambda s: b""])
def test_wrong_lengths_are_refused(change) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(InvalidEncoding):
        KEYS[0].public.verify(DIGEST, change(KEYS[0].sign(DIGEST)))
    with pytest.raises(InvalidEncoding):
        aggregate_signatures([change(KEYS[0].sign(DIGEST))])
    with pytest.raises(InvalidEncoding):
        BlsPublicKey(change(KEYS[0].public.to_bytes()))
    with pytest.raises(InvalidEncoding):
        BlsPublicKey.from_ledger(change(KEYS[0].public.to_ledger()))


def test_only_digests_are_signed() -> None:
    with pytest.raises(InvalidParameter):
        KEYS[0].sign(b"message")
    with pytest.raises(InvalidParameter):
        KEYS[0].public.verify(b"message", KEYS[0].sign(DIGEST))


def test_possession_digest_is_abi_encode() -> None:
    contract, account, key = bytes(range(20)), bytes(range(20, 40)), KEYS[0].public
    words = eth_abi.encode(
        ["bytes32", "uint256", "address", "address", "bytes32"],
        [keccak(b"ZKPFL-V1-POSSESSION"), 31337, contract, account, keccak(key.to_ledger())],
    )
    assert possession_digest(31337, contract, account, key) == keccak(words)


def test_attestation_digest_is_abi_encode() -> None:
    posts = b"\1" * 32
    words = eth_abi.encode(
        ["bytes32", "uint256", "address", "uint256", "uint256", "uint256", "bytes32", "uint256", "bytes32"],
        [
            keccak(b"ZKPFL-V1-ATTESTATION"),
            CONTEXT.chain_id,
            CONTEXT.contract,
            CONTEXT.job,
            CONTEXT.round,
            0b1011,
            b"\5" * 32,
            0b101,
            posts,
        ],
    )
    assert attestation_digest(CONTEXT, 0b1011, b"\5" * 32, 0b101, posts) == keccak(words)


def test_digest_arguments_are_checked() -> None:
    with pytest.raises(InvalidParameter):
        attestation_digest(CONTEXT, 1 << 256, bytes(32), 0b1, bytes(32))
    with pytest.raises(InvalidParameter):
        attestation_digest(CONTEXT, 1, bytes(31), 0b1, bytes(32))
    with pytest.raises(InvalidParameter):
        attestation_digest(CONTEXT, 1, bytes(32), 0b1, bytes(31))
    with pytest.raises(InvalidParameter):
        possession_digest(1, bytes(19), bytes(20), KEYS[0].public)
