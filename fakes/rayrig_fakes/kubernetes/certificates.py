"""A certificate authority of a server's own, and what it signs: the server's certificate, and one for a client.

Needs `cryptography` (extra `rayrig[kube]`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import TYPE_CHECKING

from rayrig_core.errors import InputError
from rayrig_core.timestamps import NS

if TYPE_CHECKING:
    from cryptography import x509

_VALID = timedelta(days=365)
#: Clocks of clients may be a little behind.
_SLACK = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class ServingCertificate:
    """All in PEM: the authority that clients are to trust, the server's certificate and its key, and those of a client."""

    authority: bytes
    certificate: bytes
    key: bytes
    client_certificate: bytes
    client_key: bytes


def serving_certificate(
    hosts: Sequence[str], now_unix_ns: int, user: str, groups: Sequence[str] = ()
) -> ServingCertificate:
    """A fresh authority, a certificate for these names and addresses, and one for a user, all valid for a year.

    A user is told by the common name, its groups by the organizations (Kubernetes, "X509 client certificates").

    Keys are new each time: they come from the operating system, not from a seed. Raises `InputError` without `cryptography`.
    """
    try:
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes, serialization
        from cryptography.hazmat.primitives.asymmetric import ec
        from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
    except ImportError:
        raise InputError("cryptography is not installed", remedy="pip install 'rayrig[kube]'") from None

    begin = datetime.fromtimestamp(now_unix_ns // NS, UTC) - _SLACK

    def named(name: str, organizations: Sequence[str] = ()) -> x509.Name:
        parts = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, each) for each in organizations]
        return x509.Name([*parts, x509.NameAttribute(NameOID.COMMON_NAME, name)])

    def usage(*, signs_certificates: bool) -> x509.KeyUsage:
        return x509.KeyUsage(
            digital_signature=True,
            content_commitment=False,
            key_encipherment=False,
            data_encipherment=False,
            key_agreement=False,
            key_cert_sign=signs_certificates,
            crl_sign=signs_certificates,
            encipher_only=False,
            decipher_only=False,
        )

    def base(
        subject: str, public_key: ec.EllipticCurvePublicKey, organizations: Sequence[str] = ()
    ) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(named(subject, organizations))
            .issuer_name(named(authority_name))
            .public_key(public_key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(begin)
            .not_valid_after(begin + _VALID)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()), critical=False
            )
        )

    authority_name = "rayrig-kubernetes-ca"
    authority_key = ec.generate_private_key(ec.SECP256R1())
    authority = (
        base(authority_name, authority_key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage(signs_certificates=True), critical=True)
        .sign(authority_key, hashes.SHA256())
    )
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = (
        base("kube-apiserver", key.public_key())
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName([_general_name(host) for host in hosts]), critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    client_key = ec.generate_private_key(ec.SECP256R1())
    client = (
        base(user, client_key.public_key(), [group for group in groups if group])
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM

    def private(secret: ec.EllipticCurvePrivateKey) -> bytes:
        return secret.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())

    return ServingCertificate(
        authority.public_bytes(pem),
        certificate.public_bytes(pem),
        private(key),
        client.public_bytes(pem),
        private(client_key),
    )


def _general_name(host: str) -> x509.GeneralName:
    from cryptography import x509

    try:
        return x509.IPAddress(ip_address(host))
    except ValueError:
        return x509.DNSName(host)
