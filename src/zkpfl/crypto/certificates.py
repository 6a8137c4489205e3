"""Certificates that an account on the ledger vouches for: who is at the other end of a connection.

TLS proves that a peer has the key of its certificate. Here the account that the peer acts for signs that key
and the time for which it counts, in the domain of one chain and contract; the signature is an extension of
the certificate (docs/spec.md §11). Nothing else in a certificate means anything.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from cryptography.x509.oid import NameOID

from zkpfl.crypto.signatures import (
    ADDRESS_BYTES,
    SIGNATURE_BYTES,
    AccountKey,
    Domain,
    recover,
    sign_digest,
    typed_digest,
)
from zkpfl.errors import BadSignature, InvalidEncoding, NotAuthorized

SERVER_NAME = "zkpfl"
"""Name in every certificate, for which TLS looks: hosts and ports prove nothing."""

VOUCHER = x509.ObjectIdentifier("2.25.306184593027583916025718349265170347961")
"""Extension ``account ‖ signature``, 20 and 65 bytes."""

MAX_LIFETIME_S = 7 * 24 * 3600
CLOCK_SKEW_S = 300
"""A certificate counts from so long before it was made: clocks differ."""

MAX_CERTIFICATE_BYTES = 4096
_CURVE_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551  # of P-256


@dataclass(frozen=True)
class Credential:
    """A fresh key with its certificates, all PEM.

    Parameters
    ----------
    private_key
        PKCS 8. Secret; only ever in memory.
    server_certificate
        Signed by its own key: who connects pins it.
    client_certificate
        Signed by the network's authority: a server must name one to ask clients for certificates at all.
    expires_at
        Seconds of Unix time.
    """

    private_key: bytes = field(repr=False)
    server_certificate: bytes
    client_certificate: bytes
    expires_at: int


def new_credential(account: AccountKey, domain: Domain, begin: int, end: int) -> Credential:
    """Draw a key, and have an account vouch for it in a domain from ``begin`` to ``end``, Unix time."""
    key = ec.generate_private_key(ec.SECP256R1())
    voucher = account.address + sign_digest(
        account, _digest(domain, account.address, key.public_key(), begin, end)
    )
    name, times = f"0x{account.address.hex()}", (begin, end)
    own = _certificate(key, name, times, key, name, voucher)
    issued = _certificate(key, name, times, authority_key(domain), _authority_name(domain), voucher)
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return Credential(secret, _pem(own), _pem(issued), end)


def vouching_account(certificate: bytes, domain: Domain, now: float, party: str) -> bytes:
    """Account that vouches for a certificate, bytes[20].

    That the peer has the certificate's key is for TLS to show.

    Parameters
    ----------
    certificate
        PEM or DER, from a stranger.
    domain
        Chain and contract in which it must count.
    now
        Seconds of Unix time.
    party
        How errors name the peer.

    Raises
    ------
    InvalidEncoding
        Not a certificate of a P-256 key with one voucher.
    BadSignature
        The voucher is not the account's: for another key, time, chain or contract.
    NotAuthorized
        It does not count yet, or no longer, or for longer than certificates may.
    """
    if len(certificate) > MAX_CERTIFICATE_BYTES:
        raise _malformed(f"has more than {MAX_CERTIFICATE_BYTES} bytes", party)
    try:
        key, voucher, begin, end = _read(certificate)
    except Exception:  # a stranger's bytes: the library has many ways to refuse them
        raise _malformed("is no certificate with one voucher of an account", party) from None
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise _malformed("has no key on P-256", party)
    if not 0 <= begin < end:
        raise _malformed("counts from before 1970, or for no time", party)
    if len(voucher) != ADDRESS_BYTES + SIGNATURE_BYTES:
        raise _malformed("has a voucher of another length", party)
    account, signature = voucher[:ADDRESS_BYTES], voucher[ADDRESS_BYTES:]
    digest = _digest(domain, account, key, begin, end)
    try:
        signer = recover(digest, signature)
    except (InvalidEncoding, BadSignature) as error:
        raise BadSignature(error.message, party=party, field="certificate") from error
    if signer != account:
        text = "the certificate is not signed by its account for this chain, contract, key and time"
        raise BadSignature(text, party=party, field="certificate", hint="do both use the same network file?")
    if not begin - CLOCK_SKEW_S <= now < end or end - begin > MAX_LIFETIME_S + CLOCK_SKEW_S:
        text = f"the certificate counts from {_time(begin)} to {_time(end)}"
        hint = "are both clocks right? certificates count for 7 days at most"
        raise NotAuthorized(text, party=party, field="certificate", hint=hint)
    return account


def authority_key(domain: Domain) -> ec.EllipticCurvePrivateKey:
    """Key under which clients' certificates of a network are issued. Everybody knows it.

    It gives nobody any trust: a TLS server must name an authority to ask for certificates, that is all.
    """
    secret = int.from_bytes(hashlib.sha512(b"ZKPFL-V1-TRANSPORT" + domain.separator).digest(), "big")
    return ec.derive_private_key(1 + secret % (_CURVE_ORDER - 1), ec.SECP256R1())


def authority_certificate(domain: Domain) -> bytes:
    """Certificate of `authority_key`, PEM."""
    key, name = authority_key(domain), _authority_name(domain)
    return _pem(_certificate(key, name, (0, 1 << 32), key, name, None))


def _authority_name(domain: Domain) -> str:
    return f"zkPFL network {domain.separator.hex()[:32]}"


def _certificate(
    key: ec.EllipticCurvePrivateKey,
    subject: str,
    times: tuple[int, int],
    signer: ec.EllipticCurvePrivateKey,
    issuer: str,
    voucher: bytes | None,
) -> x509.Certificate:
    builder = x509.CertificateBuilder().subject_name(_name(subject)).issuer_name(_name(issuer))
    builder = builder.public_key(key.public_key()).serial_number(x509.random_serial_number())
    builder = builder.not_valid_before(_when(times[0])).not_valid_after(_when(times[1]))
    if voucher is None:
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    else:
        names = x509.SubjectAlternativeName([x509.DNSName(SERVER_NAME)])
        builder = builder.add_extension(names, critical=False)
        builder = builder.add_extension(x509.UnrecognizedExtension(VOUCHER, voucher), critical=False)
    return builder.sign(signer, hashes.SHA256())


def _read(certificate: bytes) -> tuple[object, bytes, int, int]:
    """Key, voucher, begin and end of a certificate, PEM or DER."""
    pem = certificate.startswith(b"-----BEGIN")
    parsed = (x509.load_pem_x509_certificate if pem else x509.load_der_x509_certificate)(certificate)
    voucher = parsed.extensions.get_extension_for_oid(VOUCHER).value
    if not isinstance(voucher, x509.UnrecognizedExtension):
        raise TypeError("a known extension under the voucher's name")
    begin, end = parsed.not_valid_before_utc, parsed.not_valid_after_utc
    return parsed.public_key(), voucher.value, int(begin.timestamp()), int(end.timestamp())


def _digest(domain: Domain, account: bytes, key: ec.EllipticCurvePublicKey, begin: int, end: int) -> bytes:
    encoded = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return typed_digest(
        domain,
        "Transport",
        (
            ("account", "address", account),
            ("key", "bytes32", hashlib.sha256(encoded).digest()),
            ("notBefore", "uint256", begin),
            ("notAfter", "uint256", end),
        ),
    )


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _when(seconds: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)


def _time(seconds: int) -> str:
    return _when(seconds).isoformat(timespec="seconds")


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(Encoding.PEM)


def _malformed(message: str, party: str) -> InvalidEncoding:
    return InvalidEncoding(message, party=party, field="certificate", hint="does it run this version?")
