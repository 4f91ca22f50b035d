# SPDX-License-Identifier: Apache-2.0
"""Whom the ramdisk trusts, for the API and for images: real TLS on loopback, with certificates of the test's own."""

from __future__ import annotations

import json
import ssl
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from pydantic import SecretStr

from agent.api.ironic.certificate import certificate
from agent.errors import ConfigError, ImageUnavailable, LinkError
from agent.host.fetch import RealFetch
from agent.link.ironic.client import Ironic
from agent.model.ironic.call import Manner
from tests.link.answers import Scripted, answering
from tests.link.test_ironic import BEAT, LOOKUP, UUID

LOCAL = "127.0.0.1"
PEM, KEY = certificate(LOCAL)
OTHER_PEM, OTHER_KEY = certificate(LOCAL)


@contextmanager
def secured(folder: Path, *, highest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3, clients: str = "") -> Iterator[Scripted]:
    """A server that answers over TLS; `clients` is the authority of those that it lets in."""
    (folder / "server.pem").write_text(PEM + KEY)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem")
    context.maximum_version = highest
    if clients:
        context.load_verify_locations(cadata=clients)
        context.verify_mode = ssl.CERT_REQUIRED
    with answering((200, json.dumps(LOOKUP))) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        yield server


def url(server: Scripted) -> str:
    """Over TLS."""
    return server.url.replace("http:", "https:")


@pytest.mark.parametrize(("ca", "insecure"), [(PEM, False), (OTHER_PEM, True)])
def test_the_api_is_trusted(tmp_path: Path, ca: str, insecure: bool, way: str | None) -> None:
    """By the authority that was named, or because nobody is to be asked for a certificate's worth."""
    with secured(tmp_path) as server:
        manner = Manner(ca_pem=ca, insecure=insecure)
        found = Ironic([url(server)], manner, socket=way).lookup([], None)

    assert found.node.uuid == UUID


@pytest.mark.parametrize("ca", [OTHER_PEM, None])
def test_the_api_is_not_trusted(tmp_path: Path, ca: str | None, way: str | None) -> None:
    """Of another authority, or none that was named: nothing is said to it."""
    with secured(tmp_path) as server:
        manner = Manner(ca_pem=ca)
        with pytest.raises(LinkError):
            Ironic([url(server)], manner, socket=way).heartbeat(UUID, BEAT)

        assert server.asked == []


def test_an_authority_that_is_none(tmp_path: Path, way: str | None) -> None:
    """A text without a certificate is an error of the link, told, not a reason to trust."""
    with secured(tmp_path) as server, pytest.raises(LinkError):
        Ironic([url(server)], Manner(ca_pem="nothing"), socket=way).lookup([], None)


@pytest.mark.parametrize(("lowest", "is_good"), [("1.2", True), ("1.3", False)])
def test_the_lowest_version(tmp_path: Path, lowest: str, is_good: bool, way: str | None) -> None:
    """A server that only has TLS 1.2 is spoken to, or not, as Ironic's operator wants it."""
    with secured(tmp_path, highest=ssl.TLSVersion.TLSv1_2) as server:
        manner = Manner(ca_pem=PEM, tls_min_version=lowest)
        if is_good:
            Ironic([url(server)], manner, socket=way).lookup([], None)
        else:
            with pytest.raises(LinkError):
                Ironic([url(server)], manner, socket=way).lookup([], None)


def test_ciphers(tmp_path: Path, way: str | None) -> None:
    """Those that were named are offered; such as nobody has are an error at once."""
    with secured(tmp_path, highest=ssl.TLSVersion.TLSv1_2) as server:
        Ironic([url(server)], Manner(ca_pem=PEM, tls_ciphers="ECDHE-ECDSA-AES256-GCM-SHA384"), socket=way).lookup(
            [], None
        )
        with pytest.raises(LinkError):
            Ironic([url(server)], Manner(ca_pem=PEM, tls_ciphers="ECDHE-RSA-AES256-GCM-SHA384"), socket=way).lookup(
                [], None
            )
    with pytest.raises(ConfigError, match="ipa-tls-cipher-suites"):
        Ironic([], Manner(tls_ciphers="NOBODYS"), socket=way).lookup([], None)


def a_client() -> tuple[str, str]:
    """(certificate, key) of somebody who is no server."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "node-1")])
    begin, end = datetime(2020, 1, 1, tzinfo=UTC), datetime(2120, 1, 1, tzinfo=UTC)
    made = x509.CertificateBuilder(name, name, key.public_key(), 1, begin, end)
    signed = made.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True).sign(key, SHA256())
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return signed.public_bytes(Encoding.PEM).decode(), private.decode()


@pytest.mark.parametrize("is_known", [True, False])
def test_we_are_known_by_a_certificate(tmp_path: Path, is_known: bool, way: str | None) -> None:
    """Where Ironic asks for one, it gets the one that was named."""
    certificate_pem, key = a_client()
    with secured(tmp_path, highest=ssl.TLSVersion.TLSv1_2, clients=certificate_pem) as server:
        pair = SecretStr(certificate_pem + key) if is_known else None
        ironic = Ironic([url(server)], Manner(ca_pem=PEM, client_pem=pair), socket=way)
        if not is_known:
            with pytest.raises(LinkError):
                ironic.lookup([], None)
        else:
            assert ironic.lookup([], None).node.uuid == UUID


@pytest.mark.parametrize(
    ("version", "sent"),
    [
        ("1.67", {"callback_url", "agent_token", "agent_version"}),
        ("1.68", {"callback_url", "agent_token", "agent_version", "agent_verify_ca"}),
        ("1.99", {"callback_url", "agent_token", "agent_version", "agent_verify_ca", "agent_status_message"}),
    ],
)
def test_an_older_ironic(version: str, sent: set[str], way: str | None) -> None:
    """It hears as much as it knows."""
    with answering((202, "")) as server:
        Ironic([server.url], Manner(api_version=version), socket=way).heartbeat(UUID, BEAT)

    assert set(json.loads(server.asked[0][2])) == sent


@pytest.mark.parametrize(("ca", "insecure"), [(PEM, False), (None, True)])
def test_images_are_trusted_alike(tmp_path: Path, ca: str | None, insecure: bool) -> None:
    """What holds for the API holds for an image's server."""
    with secured(tmp_path) as server, RealFetch().trusting(ca, insecure=insecure)(f"{url(server)}/image") as body:
        room = bytearray(9)

        assert body.fill(memoryview(room)) == 9


@pytest.mark.parametrize("ca", [OTHER_PEM, None])
def test_images_of_strangers(tmp_path: Path, ca: str | None) -> None:
    """Not fetched."""
    with secured(tmp_path) as server, pytest.raises(ImageUnavailable, match="not trusted"), ExitStack() as stack:
        stack.enter_context(RealFetch().trusting(ca)(f"{url(server)}/image"))
