# SPDX-License-Identifier: Apache-2.0
"""A node's certificate: made by the controller's authority for a few days; and judged.

Its own key is one of the agent's process, and goes with that. It says by which node a connection was opened, and by
which key the call for it was signed, and nothing else: what a call may do is decided by its credential and its
signature, whose node and key must be the certificate's. So none is kept, and there is no list of revoked ones: a node
that is revoked, or whose key is another now, is refused by its record, at every call. The dates are judged here too, by
the controller's clock, so that whoever is refused is told why.
"""

from __future__ import annotations

import base64
import hashlib
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from agent.controller.tls import Authority

BEGINS_BEFORE = timedelta(minutes=5)
"""For another process of the same controller, whose clock is behind this one's."""
URN, KEY_URN = "urn:bms-agent:node:", "urn:bms-agent:key:sha256:"
USAGE = x509.KeyUsage(
    digital_signature=True, content_commitment=False, key_encipherment=False, data_encipherment=False,
    key_agreement=False, key_cert_sign=False, crl_sign=False, encipher_only=False, decipher_only=False,
)  # fmt: skip


def issue(authority: Authority, node_id: str, node_key: str, tls_key: str, now: datetime, days: float) -> str:
    """A certificate, as PEM, for this key of TLS (base64), from now on: of the node that has that key. It opens
    connections, and answers none. Raises `ValueError` for what is no key."""
    key = Ed25519PublicKey.from_public_bytes(base64.b64decode(tls_key))
    of_authority = authority.key.public_key()
    certificate = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, node_id)]))
        .issuer_name(x509.load_pem_x509_certificate(authority.pem.encode()).subject)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BEGINS_BEFORE)
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(USAGE, critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=True)
        .add_extension(x509.SubjectAlternativeName(uris_of(node_id, node_key)), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(of_authority), critical=False)
        .sign(authority.key, SHA256())
    )
    return certificate.public_bytes(Encoding.PEM).decode()


def problem(authority: Authority, shown: bytes, node_id: str, node_key: str, now: datetime) -> str | None:
    """What is wrong with this certificate (DER) for a call of that node, signed with that key; None if nothing is."""
    try:
        certificate = x509.load_der_x509_certificate(shown)
        certificate.verify_directly_issued_by(x509.load_pem_x509_certificate(authority.pem.encode()))
        named = list(certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value)
    except (ValueError, TypeError, InvalidSignature, x509.ExtensionNotFound):
        return "is not of this controller's authority for nodes"
    of_node, of_key = uris_of(node_id, node_key)
    if of_node not in named:
        return "is another node's"
    if of_key not in named:
        return "was given to another key than the node's"
    if now < certificate.not_valid_before_utc:
        return f"begins at {spoken(certificate.not_valid_before_utc)}"
    if now > certificate.not_valid_after_utc:
        return f"ended at {spoken(certificate.not_valid_after_utc)}"
    return None


def uris_of(node_id: str, node_key: str) -> tuple[x509.GeneralName, x509.GeneralName]:
    """By which a certificate names its node and the node's key."""
    key = hashlib.sha256(base64.b64decode(node_key)).hexdigest()
    return x509.UniformResourceIdentifier(URN + node_id), x509.UniformResourceIdentifier(KEY_URN + key)


def spoken(at: datetime) -> str:
    """In the words of an error."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
