"""Certificates that an account vouches for: what counts, and each way in which one does not (spec §11)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key

from zkpfl.crypto.certificates import (
    CLOCK_SKEW_S,
    MAX_CERTIFICATE_BYTES,
    MAX_LIFETIME_S,
    VOUCHER,
    authority_certificate,
    authority_key,
    new_credential,
    vouching_account,
)
from zkpfl.crypto.signatures import AccountKey, Domain
from zkpfl.errors import BadSignature, InvalidEncoding, NotAuthorized, ZkpflError

ACCOUNT, OTHER = (AccountKey.from_bytes(bytes(31) + bytes([n])) for n in (1, 2))
DOMAIN = Domain(31337, bytes(range(20)))
BEGIN, END = 1_800_000_000, 1_800_003_600
CREDENTIAL = new_credential(ACCOUNT, DOMAIN, BEGIN, END)


def account_of(certificate: bytes, now: float = BEGIN, domain: Domain = DOMAIN) -> bytes:
    return vouching_account(certificate, domain, now, "zk-node 2")


def rebuilt(*, key: object = None, voucher: bytes | None = None, shift_s: int = 0, count: int = 1) -> bytes:
    """The server's certificate again, signed by a thief, with something changed."""
    old = x509.load_pem_x509_certificate(CREDENTIAL.server_certificate)
    value = old.extensions.get_extension_for_oid(VOUCHER).value
    assert isinstance(value, x509.UnrecognizedExtension)
    thief = ec.generate_private_key(ec.SECP256R1())
    move = timedelta(seconds=shift_s)
    builder = x509.CertificateBuilder().subject_name(old.subject).issuer_name(old.issuer).serial_number(1)
    builder = builder.not_valid_before(old.not_valid_before_utc).not_valid_after(
        old.not_valid_after_utc + move
    )
    builder = builder.public_key(key or old.public_key())  # type: ignore[arg-type]
    for _ in range(count):
        changed = x509.UnrecognizedExtension(VOUCHER, value.value if voucher is None else voucher)
        builder = builder.add_extension(changed, critical=False)
    return builder.sign(thief, hashes.SHA256()).public_bytes(Encoding.DER)


def test_both_certificates_speak_for_the_account_in_both_encodings() -> None:
    for pem in (CREDENTIAL.server_certificate, CREDENTIAL.client_certificate):
        assert account_of(pem) == ACCOUNT.address
        assert account_of(x509.load_pem_x509_certificate(pem).public_bytes(Encoding.DER)) == ACCOUNT.address
    key = load_pem_private_key(CREDENTIAL.private_key, None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    certificate = x509.load_pem_x509_certificate(CREDENTIAL.client_certificate)
    assert certificate.public_key() == key.public_key()


def test_who_signed_the_certificate_does_not_matter_as_the_account_vouches_for_its_key() -> None:
    assert account_of(rebuilt()) == ACCOUNT.address  # of no use to the thief, who lacks the key


@pytest.mark.parametrize("now", [BEGIN - CLOCK_SKEW_S - 1, END, END + 10**9])
def test_it_counts_for_its_time_only(now: int) -> None:
    with pytest.raises(NotAuthorized, match="counts from") as caught:
        account_of(CREDENTIAL.server_certificate, now)
    assert (caught.value.party, caught.value.field) == ("zk-node 2", "certificate")
    assert caught.value.hint


def test_nobody_vouches_for_long() -> None:
    long = new_credential(ACCOUNT, DOMAIN, BEGIN, BEGIN + MAX_LIFETIME_S + CLOCK_SKEW_S + 1)
    with pytest.raises(NotAuthorized):
        account_of(long.server_certificate)


@pytest.mark.parametrize("domain", [Domain(1, DOMAIN.contract), Domain(DOMAIN.chain_id, bytes(20))])
def test_it_counts_on_one_chain_and_contract_only(domain: Domain) -> None:
    with pytest.raises(BadSignature, match="for this chain, contract, key and time"):
        account_of(CREDENTIAL.server_certificate, domain=domain)
    assert authority_key(domain).private_numbers() != authority_key(DOMAIN).private_numbers()


def changes() -> dict[str, bytes]:
    old = x509.load_pem_x509_certificate(CREDENTIAL.server_certificate)
    value = old.extensions.get_extension_for_oid(VOUCHER).value
    assert isinstance(value, x509.UnrecognizedExtension)
    good = value.value
    return {
        "another key": rebuilt(key=ec.generate_private_key(ec.SECP256R1()).public_key()),
        "a longer time": rebuilt(shift_s=1),
        "another account": rebuilt(voucher=OTHER.address + good[20:]),
        "another signature": rebuilt(voucher=good[:-2] + bytes([good[-2] ^ 1]) + good[-1:]),
        "no signature": rebuilt(voucher=good[:20] + bytes(65)),
    }


@pytest.mark.parametrize("name", list(changes()))
def test_what_the_account_did_not_sign_is_refused(name: str) -> None:
    with pytest.raises(BadSignature) as caught:
        account_of(changes()[name])
    assert caught.value.party == "zk-node 2"


@pytest.mark.parametrize(
    "certificate",
    [
        b"",
        b"-----BEGIN CERTIFICATE-----\n",
        bytes(100),
        CREDENTIAL.server_certificate * 10,
        bytes(MAX_CERTIFICATE_BYTES + 1),
        rebuilt(voucher=b""),
        rebuilt(voucher=bytes(86)),
        rebuilt(count=0),
        rebuilt(key=ec.generate_private_key(ec.SECP384R1()).public_key()),
        rebuilt(key=ed25519.Ed25519PrivateKey.generate().public_key()),
        authority_certificate(DOMAIN),
    ],
    ids=range(11),
)
def test_what_is_no_such_certificate_is_refused(certificate: bytes) -> None:
    with pytest.raises(InvalidEncoding) as caught:
        account_of(certificate)
    assert (caught.value.party, caught.value.field) == ("zk-node 2", "certificate")


def test_no_flipped_bit_speaks_for_another_account() -> None:
    der = x509.load_pem_x509_certificate(CREDENTIAL.server_certificate).public_bytes(Encoding.DER)
    for index in range(0, len(der), 3):
        try:
            found = account_of(der[:index] + bytes([der[index] ^ (1 << index % 8)]) + der[index + 1 :])
        except ZkpflError:
            continue
        assert found == ACCOUNT.address  # in its own signature, its name: nothing that counts


def test_the_authority_is_the_same_for_everybody_and_lasts() -> None:
    first, second = (x509.load_pem_x509_certificate(authority_certificate(DOMAIN)) for _ in range(2))
    assert first.public_key() == second.public_key()
    assert first.subject == second.subject
    assert first.not_valid_after_utc > datetime(2100, 1, 1, tzinfo=UTC)


def test_keys_are_not_printed() -> None:
    assert "PRIVATE" not in repr(CREDENTIAL)
    assert "BEGIN" in repr(CREDENTIAL)
