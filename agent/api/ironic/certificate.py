# SPDX-License-Identifier: Apache-2.0
"""The certificate that Ironic pins for as long as this boot lasts (`agent_verify_ca`).

It is valid for ever: it ends with its key, which lives in memory only, and a server's clock may be decades off. It is
its own authority, with all that Python 3.13 (VERIFY_X509_STRICT) asks of one: RFC 5280, section 4.2.1.
"""

from __future__ import annotations

from datetime import UTC, datetime
from ipaddress import IPv4Address, IPv6Address, ip_address

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

BEGIN = datetime(2000, 1, 1, tzinfo=UTC)
END = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
"""No end: RFC 5280, section 4.1.2.5."""
SIGNING_ONLY = x509.KeyUsage(
    digital_signature=True,
    key_cert_sign=True,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    crl_sign=False,
    encipher_only=False,
    decipher_only=False,
)


CURVES: dict[str, type[ec.EllipticCurve]] = {"p256": ec.SECP256R1, "p384": ec.SECP384R1, "p521": ec.SECP521R1}


def certificate(host: str, curve: str = "p384") -> tuple[str, str]:
    """(certificate, key) as PEM for a server that is called by this address or name."""
    key = ec.generate_private_key(CURVES[curve]())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host[:64])])
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(BEGIN)
        .not_valid_after(END)
        .add_extension(x509.SubjectAlternativeName([alternative(host)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(SIGNING_ONLY, critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(identifier, critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier), critical=False)
    )
    signed = builder.sign(key, hashes.SHA384())
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return signed.public_bytes(serialization.Encoding.PEM).decode(), private.decode()


def alternative(host: str) -> x509.GeneralName:
    """As clients compare it: addresses are no names."""
    try:
        address: IPv4Address | IPv6Address = ip_address(host)
    except ValueError:
        return x509.DNSName(host)
    return x509.IPAddress(address)
