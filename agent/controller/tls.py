# SPDX-License-Identifier: Apache-2.0
"""The controller's own certificate authority, made on first use; and what it serves TLS with.

Agents are told the authority's digest on the kernel command line, and go by that alone. So none of its own has an
end (RFC 5280 section 4.1.2.5 has a date for that): a machine whose clock is years off is served as any other, and
nothing is to be renewed.

Servers that were deployed go by that digest, too: with another authority none of them hears its controller. So one that
was made once is not made again where its file has gone: its digest lies beside it, and who means it removes both.
"""

from __future__ import annotations

import hashlib
import os
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from agent.controller.keys import kept
from agent.errors import ConfigError

CA_FILE, PIN_FILE = "ca-key.pem", "ca-pin"
WAY_BACK = (
    "Put it back from a backup. If there is none: remove ca-pin, too, and a new one is made; then each deployed server "
    "needs controller and ca, the new digest, in its /etc/bms-agent/agent.toml, or is reinstalled."
)
NO_CHECK_TIME = 0x200000
"""X509_V_FLAG_NO_CHECK_TIME (openssl/x509_vfy.h), which Python has no name for."""
BEGIN, END = datetime(2000, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)


@dataclass(frozen=True, repr=False)
class Authority:
    """Its certificate and its key, as PEM; the file has both."""

    pem: str
    key: ec.EllipticCurvePrivateKey

    @property
    def pin(self) -> str:
        """By which agents know it: `sha256:` and the digest of its certificate."""
        return f"sha256:{hashlib.sha256(ssl.PEM_cert_to_DER_cert(self.pem)).hexdigest()}"


def load_authority(data: Path) -> Authority:
    """The one of this directory, made on first use. Raises `ConfigError`, if it is not the one that was there."""
    path, pin = data / CA_FILE, data / PIN_FILE
    doing = f"reading {path}"
    told = pin.read_text(encoding="ascii", errors="replace").strip() if pin.exists() else None
    if told is not None and not path.exists():
        raise ConfigError(doing, f"the authority {told} is gone, by which deployed servers go", hint=WAY_BACK)
    text = kept(path, _new_authority).decode()
    try:
        key = load_pem_private_key(text.encode(), None)
        pem = x509.load_pem_x509_certificate(text.encode()).public_bytes(Encoding.PEM).decode()
    except ValueError as error:
        raise ConfigError(doing, "it holds no certificate with its key") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise ConfigError(doing, "its key is of another kind")
    found = Authority(pem, key)
    if told is not None and told != found.pin:
        raise ConfigError(doing, f"it is {found.pin}, and deployed servers go by {told}", hint=WAY_BACK)
    kept(pin, found.pin.encode)
    return found


def server_context(authority: Authority, data: Path, names: tuple[str, ...]) -> ssl.SSLContext:
    """TLS 1.2 or newer, with a certificate that is made anew at each start. Raises `OSError`."""
    key = ec.generate_private_key(ec.SECP256R1())
    issuer = x509.load_pem_x509_certificate(authority.pem.encode()).subject
    alternative = x509.SubjectAlternativeName([_general(name) for name in names])
    certificate = (
        _builder(names[0], key)
        .issuer_name(issuer)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(alternative, critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.key.public_key()), critical=False)
        .sign(authority.key, SHA256())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_mode = ssl.CERT_OPTIONAL  # agents show one, people none: `flow.certify` knows who must
    context.load_verify_locations(cadata=authority.pem)
    context.verify_flags |= NO_CHECK_TIME  # `certificates.problem` does, and says so
    path = data / f".tls.{os.getpid()}"  # ssl reads files alone
    path.touch(mode=0o600)
    try:
        path.write_text(_pem(key) + certificate.public_bytes(Encoding.PEM).decode(), encoding="ascii")
        context.load_cert_chain(path)
    finally:
        path.unlink()
    return context


def _new_authority() -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    builder = _builder("bms-agent controller", key)
    certificate = (
        builder.issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "bms-agent controller")]))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, SHA256())
    )
    return _pem(key).encode() + certificate.public_bytes(Encoding.PEM)


def _builder(name: str, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:64])]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(BEGIN)
        .not_valid_after(END)
    )


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _pem(key: ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
