# SPDX-License-Identifier: Apache-2.0
"""Images out of a real registry, pushed over its API: by tag and digest, with and without TLS, passwords and tokens."""

from __future__ import annotations

import hashlib
import json
import random
import time
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding
from pydantic import SecretStr

from agent.apply.meter import Meter
from agent.apply.source import Source
from agent.apply.source.open import open_source
from agent.errors import AccessDenied, DigestMismatch, ImageUnavailable
from agent.host.clock import RealClock
from agent.host.fake import FakeHost
from agent.host.fetch import RealFetch
from agent.model.image import OPEN, Access, ImageFormat, ImageRef
from agent.model.oci import TITLE
from tests.apply.disks import MIB, gpt_image
from tests.apply.real import carry_out, partitions
from tests.authority import Authority
from tests.bodies import whole
from tests.controller.chunks import manifest_of, packed
from tests.loops import command, loop
from tests.servers import Auth, Registry, htpasswd, running

pytestmark = pytest.mark.root

FILE = random.Random(8).randbytes(5 * 1024 * 1024 + 3)
SIZE = len(FILE)
DISK = 192 * MIB
MINE = Access(username="me", password=SecretStr("pw"))
TYPE = "application/vnd.oci.image.manifest.v1+json"
EMPTY = "application/vnd.oci.empty.v1+json"


def sha256(content: bytes) -> str:
    """As registries write it."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


class Pushing:
    """What puts artifacts into a registry: the distribution-spec's own way, by another client than ours."""

    def __init__(self, registry: Registry, ca: Path | None = None, authorization: str | None = None) -> None:
        self._base = f"{registry.base}/v2/team/debian"
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.verify = str(ca) if ca else True
        if authorization:
            self._session.headers["Authorization"] = authorization

    def blob(self, content: bytes, **more: Any) -> dict[str, Any]:
        """Its descriptor."""
        begun = self._session.post(f"{self._base}/blobs/uploads/", timeout=30)
        assert begun.status_code == 202, begun.text
        url = requests.compat.urljoin(self._base, begun.headers["Location"])
        done = self._session.put(url, params={"digest": sha256(content)}, data=content, timeout=30)
        assert done.status_code == 201, done.text
        return {"mediaType": "application/x", "digest": sha256(content), "size": len(content)} | more

    def artifact(self, *layers: dict[str, Any], tag: str = "12") -> str:
        """Its manifest's digest."""
        config = self.blob(b"{}", mediaType=EMPTY)
        content = json.dumps({"schemaVersion": 2, "mediaType": TYPE, "config": config, "layers": layers}).encode()
        for version in (tag, sha256(content)):
            url = f"{self._base}/manifests/{version}"
            done = self._session.put(url, data=content, headers={"Content-Type": TYPE}, timeout=30)
            assert done.status_code == 201, done.text
        return sha256(content)


@contextmanager
def source(url: str, access: Access = OPEN, **more: object) -> Iterator[Source]:
    """Through the real door."""
    host = replace(FakeHost.with_files({}), fetch=RealFetch(), clock=RealClock())
    image = ImageRef.model_validate({"url": url, "format": ImageFormat.RAW, "access": access} | more)
    with open_source(host, image, Event(), Meter(host.clock)) as opened:
        yield opened


def test_pull(tmp_path: Path) -> None:
    """An artifact is pulled by its digest and by its tag, whole and in ranges, over a restart too."""
    registry = Registry(tmp_path, {})
    with running(registry):
        push = Pushing(registry)
        digest = push.artifact(push.blob(b"readme"), push.blob(FILE, annotations={TITLE: "disk.raw"}))
        name = f"oci://{registry.address}/team/debian"
        with source(f"{name}@{digest}?plain-http=1") as opened:
            assert (opened.image.sha256, opened.size_bytes, opened.does_ranges) == (sha256(FILE)[7:], SIZE, True)
            with opened.reader(SIZE - 10, 100) as reader:
                assert whole(reader) == FILE[-10:]
            with opened.reader() as reader:
                first = memoryview(bytearray(100_000))
                reader.fill(first)
                registry.stop()
                registry.start()
                assert bytes(first) + whole(reader) == FILE
        for url in (f"{name}:12?plain-http=1", f"{name}:12@{digest}?plain-http=1"):
            with source(url, sha256=sha256(FILE)[7:]) as opened, opened.reader() as reader:
                assert whole(reader) == FILE
        with pytest.raises(DigestMismatch), source(f"{name}:12?plain-http=1", sha256="0" * 64):
            pass
        with pytest.raises(ImageUnavailable, match="404"), source(f"{name}:13?plain-http=1", sha256="0" * 64):
            pass


def test_chunked(tmp_path: Path) -> None:
    """A chunked image out of a registry, named by nothing but its artifact's digest, is on the disk byte for byte. The
    annotation is as people type it, who follow the README."""
    image = gpt_image(40 * MIB)
    file = packed(image)
    digest = manifest_of(file).digest
    registry = Registry(tmp_path, {})
    with running(registry):
        push = Pushing(registry)
        artifact = push.artifact(
            push.blob(file, annotations={"io.bms-agent.manifest.sha256": digest, TITLE: "disk.bmi"})
        )
        url = f"oci://{registry.address}/team/debian@{artifact}?plain-http=1"
        with source(url, format=ImageFormat.CHUNKED) as opened:
            assert opened.image.sha256 == digest and opened.image.file_bytes == len(file)
        with loop(tmp_path, DISK) as node:
            result = carry_out(node, ImageRef(url=url, format=ImageFormat.CHUNKED), tmp_path)
            command("blockdev", "--flushbufs", node)
            assert medium(node, MIB, 39 * MIB) == image[MIB:]
            assert partitions(node)
    assert result["sha256"] == digest and int(result["fetched_bytes"]) < len(file) + MIB


def medium(node: str, offset: int, length: int) -> bytes:
    """What is there."""
    with Path(node).open("rb") as file:
        file.seek(offset)
        return file.read(length)


def test_password_and_tls(tmp_path: Path) -> None:
    """A registry with TLS and a password lets in who has the authority and the password, and nobody else."""
    authority = Authority()
    (tmp_path / "ca.pem").write_text(authority.pem)
    registry = Registry(tmp_path, htpasswd(tmp_path), authority.issue(tmp_path, "localhost"))
    mine = MINE.model_copy(update={"ca_pem": authority.pem})
    with running(registry):
        push = Pushing(registry, tmp_path / "ca.pem", f"Basic {b64encode(b'me:pw').decode()}")
        url = f"oci://{registry.address}/team/debian@{push.artifact(push.blob(FILE))}"
        with source(url, mine) as opened, opened.reader() as reader:
            assert whole(reader) == FILE
        user = url.replace("//", "//me:pw@")
        with source(user, Access(ca_pem=authority.pem)) as opened, opened.reader(5, 5) as reader:
            assert whole(reader) == FILE[5:10]
        for access in (Access(ca_pem=authority.pem), mine.model_copy(update={"password": SecretStr("x")})):
            with pytest.raises(AccessDenied, match="401"), source(url, access):
                pass
        with pytest.raises(ImageUnavailable, match="not trusted"), source(url, MINE):
            pass


def test_tokens(tmp_path: Path) -> None:
    """A registry that sends to a token server: a token is got for the one repository, with the password, and used."""
    authority = Authority()
    (tmp_path / "bundle.pem").write_text(authority.pem)
    with tokens(authority) as (realm, asked):
        bundle = str(tmp_path / "bundle.pem")
        auth: Auth = {"token": {"realm": realm, "service": "images", "issuer": "tests", "rootcertbundle": bundle}}
        registry = Registry(tmp_path, auth)
        with running(registry):
            pushing = Pushing(registry, None, f"Bearer {token(authority, ['pull', 'push'])}")
            url = f"oci://{registry.address}/team/debian@{pushing.artifact(pushing.blob(FILE))}?plain-http=1"
            with source(url, MINE) as opened, opened.reader() as reader:
                assert whole(reader) == FILE
            assert asked == [{"service": ["images"], "scope": ["repository:team/debian:pull"]}]
            with pytest.raises(AccessDenied, match="token"), source(url):
                pass


@contextmanager
def tokens(authority: Authority) -> Iterator[tuple[str, list[dict[str, list[str]]]]]:
    """A token server for who has the password; its URL, and what it was asked for with it."""
    asked: list[dict[str, list[str]]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            is_in = self.headers["Authorization"] == f"Basic {b64encode(b'me:pw').decode()}"
            if is_in:
                asked.append(parse_qs(urlsplit(self.path).query))
            body = json.dumps({"token": token(authority, ["pull"])} if is_in else {}).encode()
            self.send_response(200 if is_in else 401)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Quietly."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, name="token-server")
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/token", asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def token(authority: Authority, actions: list[str]) -> str:
    """As the registry wants it: a JWT that is signed with a key whose certificate is in its bundle."""
    der = b64encode(authority.certificate.public_bytes(Encoding.DER)).decode()
    header = {"typ": "JWT", "alg": "ES256", "x5c": [der]}
    access = [{"type": "repository", "name": "team/debian", "actions": actions}]
    now = int(time.time())
    times = {"iat": now, "nbf": now - 10, "exp": now + 300}
    claims = {"iss": "tests", "sub": "me", "aud": "images", "jti": "1", "access": access} | times
    signed = b".".join(urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in (header, claims))
    r, s = decode_dss_signature(authority.key.sign(signed, ec.ECDSA(hashes.SHA256())))
    signature = urlsafe_b64encode(r.to_bytes(32, "big") + s.to_bytes(32, "big")).rstrip(b"=")
    return f"{signed.decode()}.{signature.decode()}"
