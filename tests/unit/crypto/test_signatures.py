"""Accounts and EIP-712: equal to another implementation, strict about spelling, silent about secrets."""

from typing import Any

import pytest
from eth_account import Account
from eth_account.messages import encode_typed_data
from eth_utils.crypto import keccak
from hypothesis import given
from hypothesis import strategies as st

from zkpfl.crypto.signatures import (
    CURVE_ORDER,
    AccountKey,
    Domain,
    Field,
    recover,
    sign_digest,
    typed_digest,
)
from zkpfl.errors import BadSignature, InvalidEncoding, InvalidParameter

KEY = AccountKey.from_bytes(bytes(range(1, 33)))
DIGEST = keccak(b"message")
SIGNATURE = sign_digest(KEY, DIGEST)
DOMAIN = Domain(31337, bytes(range(20)))
FIELDS: tuple[Field, ...] = (
    ("job", "uint256", 7),
    ("round", "uint32", 3),
    ("delta", "int256", -5),
    ("small", "int8", -128),
    ("trainer", "address", bytes(range(20))),
    ("root", "bytes32", bytes(range(32))),
    ("tag", "bytes4", b"abcd"),
    ("data", "bytes", b"\x00\x01"),
    ("note", "string", "héllo"),
    ("accepted", "bool", True),
)


def full_message(domain: Domain, primary_type: str, fields: tuple[Field, ...]) -> dict[str, Any]:
    """The JSON form that wallets sign."""
    return {
        "types": {
            "EIP712Domain": [
                {"name": "name", "type": "string"},
                {"name": "version", "type": "string"},
                {"name": "chainId", "type": "uint256"},
                {"name": "verifyingContract", "type": "address"},
            ],
            primary_type: [{"name": name, "type": kind} for name, kind, _ in fields],
        },
        "primaryType": primary_type,
        "domain": {
            "name": "zkPFL",
            "version": "1",
            "chainId": domain.chain_id,
            "verifyingContract": "0x" + domain.contract.hex(),
        },
        "message": {
            name: "0x" + value.hex() if kind == "address" else value
            for name, kind, value in fields  # type: ignore[union-attr]
        },
    }


def assert_equals_wallet(domain: Domain, primary_type: str, fields: tuple[Field, ...]) -> None:
    message = full_message(domain, primary_type, fields)
    signable = encode_typed_data(full_message=message)
    digest = typed_digest(domain, primary_type, fields)
    assert digest == keccak(b"\x19\x01" + signable.header + signable.body)
    signed = Account.sign_typed_data(KEY.to_bytes(), full_message=message)
    assert sign_digest(KEY, digest) == bytes(signed.signature)


@pytest.mark.parametrize("count", range(len(FIELDS) + 1))
def test_every_type_is_signed_as_wallets_do(count: int) -> None:
    assert_equals_wallet(DOMAIN, "Message", FIELDS[:count])


@given(
    chain_id=st.integers(0, 2**256 - 1),
    contract=st.binary(min_size=20, max_size=20),
    job=st.integers(0, 2**256 - 1),
    root=st.binary(min_size=32, max_size=32),
    delta=st.integers(-(2**63), 2**63 - 1),
)
def test_any_value_is_signed_as_wallets_do(
    chain_id: int, contract: bytes, job: int, root: bytes, delta: int
) -> None:
    fields: tuple[Field, ...] = (
        ("job", "uint256", job),
        ("root", "bytes32", root),
        ("delta", "int64", delta),
    )
    assert_equals_wallet(Domain(chain_id, contract), "Message", fields)


@given(st.binary(min_size=32, max_size=32))
def test_signer_is_recovered(digest: bytes) -> None:
    signature = sign_digest(KEY, digest)
    assert recover(digest, signature) == KEY.address
    assert signature == sign_digest(KEY, digest)
    assert len(signature) == 65
    assert signature[64] in (27, 28)
    assert int.from_bytes(signature[32:64], "big") <= CURVE_ORDER // 2


def test_domain_type_name_and_fields_are_bound() -> None:
    digests = [
        typed_digest(DOMAIN, "Message", FIELDS),
        typed_digest(Domain(1, DOMAIN.contract), "Message", FIELDS),
        typed_digest(Domain(31337, bytes(20)), "Message", FIELDS),
        typed_digest(DOMAIN, "Receipt", FIELDS),
        typed_digest(DOMAIN, "Message", FIELDS[1:]),
        typed_digest(DOMAIN, "Message", FIELDS[::-1]),
        typed_digest(DOMAIN, "Message", (("job_", "uint256", 7), *FIELDS[1:])),
        typed_digest(DOMAIN, "Message", (("job", "uint256", 8), *FIELDS[1:])),
    ]
    assert len(set(digests)) == len(digests)


def recovered(signature: bytes) -> bytes | None:
    try:
        return recover(DIGEST, signature)
    except (BadSignature, InvalidEncoding):
        return None


def test_no_changed_signature_yields_the_signer() -> None:
    for position in range(65):
        for bit in range(8):
            changed = bytearray(SIGNATURE)
            changed[position] ^= 1 << bit
            assert recovered(bytes(changed)) != KEY.address


def spelled(r: int, s: int, v: int) -> bytes:
    return r.to_bytes(32, "big") + s.to_bytes(32, "big") + bytes((v,))


R, S, V = int.from_bytes(SIGNATURE[:32], "big"), int.from_bytes(SIGNATURE[32:64], "big"), SIGNATURE[64]


@pytest.mark.parametrize(
    "signature",
    [
        b"",
        SIGNATURE[:64],
        SIGNATURE + b"\0",
        spelled(R, CURVE_ORDER - S, 55 - V),
        spelled(R, S, V - 27),
        spelled(R, S, V + 8),
        spelled(0, S, V),
        spelled(R, 0, V),
        spelled(CURVE_ORDER, S, V),
        spelled(R, CURVE_ORDER, V),
        spelled(2**256 - 1, S, V),
    ],
    ids=["empty", "no_v", "leftover", "high_s", "low_v", "high_v", "r_0", "s_0", "r_n", "s_n", "r_max"],
)
def test_other_spellings_are_refused(signature: bytes) -> None:
    with pytest.raises(InvalidEncoding, match="signature"):
        recover(DIGEST, signature)


def test_the_high_s_twin_is_a_valid_ecdsa_signature_and_still_refused() -> None:
    twin = spelled(R, CURVE_ORDER - S, 55 - V)
    assert Account._recover_hash(DIGEST, signature=twin) == Account.from_key(KEY.to_bytes()).address
    with pytest.raises(InvalidEncoding):
        recover(DIGEST, twin)


def test_r_that_is_on_no_point_is_a_bad_signature() -> None:
    with pytest.raises(BadSignature):
        recover(DIGEST, spelled(5, S, V))


@given(st.binary(min_size=65, max_size=65))
def test_arbitrary_signatures_yield_an_address_or_a_typed_error(signature: bytes) -> None:
    address = recovered(signature[:64] + bytes((27 + signature[64] % 2,)))
    assert address is None or len(address) == 20
    assert address != KEY.address


@pytest.mark.parametrize("size", [0, 31, 33])
def test_digests_are_32_bytes(size: int) -> None:
    with pytest.raises(InvalidParameter, match="digest"):
        sign_digest(KEY, bytes(size))
    with pytest.raises(InvalidParameter, match="digest"):
        recover(bytes(size), SIGNATURE)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("uint256", -1),
        ("uint256", 2**256),
        ("uint8", 256),
        ("int8", 128),
        ("int8", -129),
        ("uint256", True),
        ("uint7", 1),
        ("uint264", 1),
        ("uint", 1),
        ("uint256[]", 1),
        ("bool", 1),
        ("address", bytes(19)),
        ("address", "0x" + "00" * 20),
        ("bytes32", bytes(31)),
        ("bytes4", bytes(5)),
        ("bytes33", bytes(33)),
        ("bytes0", b""),
        ("bytes", "text"),
        ("string", b"bytes"),
        ("Other", b""),
    ],
)
def test_values_must_fit_their_type(kind: str, value: Any) -> None:
    with pytest.raises(InvalidParameter, match="amount"):
        typed_digest(DOMAIN, "Message", (("amount", kind, value),))


@pytest.mark.parametrize("name", ["", "a b", "1a", "a,uint256 b", "a)", "é"])
def test_names_must_be_identifiers(name: str) -> None:
    with pytest.raises(InvalidParameter):
        typed_digest(DOMAIN, "Message", ((name, "bool", True),))
    with pytest.raises(InvalidParameter):
        typed_digest(DOMAIN, name, FIELDS)


def test_names_must_be_unique() -> None:
    with pytest.raises(InvalidParameter, match="job"):
        typed_digest(DOMAIN, "Message", (FIELDS[0], FIELDS[0]))


@pytest.mark.parametrize(("chain_id", "contract"), [(-1, bytes(20)), (2**256, bytes(20)), (1, bytes(19))])
def test_domain_checks_its_fields(chain_id: int, contract: bytes) -> None:
    with pytest.raises(InvalidParameter):
        Domain(chain_id, contract)


def test_account_equals_another_implementation() -> None:
    assert "0x" + KEY.address.hex() == Account.from_key(KEY.to_bytes()).address.lower()


def test_keys_round_trip_and_differ() -> None:
    key = AccountKey.generate()
    assert AccountKey.from_bytes(key.to_bytes()).address == key.address
    assert key.address != AccountKey.generate().address


@pytest.mark.parametrize(
    "secret", [b"", bytes(31), bytes(32), bytes(33), CURVE_ORDER.to_bytes(32, "big"), b"\xff" * 32]
)
def test_bad_secrets_are_refused(secret: bytes) -> None:
    with pytest.raises(InvalidParameter, match="secret"):
        AccountKey.from_bytes(secret)


def test_smallest_and_largest_secret() -> None:
    for scalar in (1, CURVE_ORDER - 1):
        key = AccountKey.from_bytes(scalar.to_bytes(32, "big"))
        assert recover(DIGEST, sign_digest(key, DIGEST)) == key.address


def test_printing_a_key_shows_the_address_only() -> None:
    assert repr(KEY) == str(KEY) == f"AccountKey(0x{KEY.address.hex()})"
