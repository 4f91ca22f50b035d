# SPDX-License-Identifier: Apache-2.0
"""Stage 1 out of a registry (OCI distribution-spec v1.1): from a reference to the blob that is the image.

The manifest says which blob that is; its digest becomes the image's. The blob is then read as any file is: in ranges,
over breaks, from the next registry if one fails. Tokens are got, and got anew, as registries ask for them.
"""

from __future__ import annotations

import re
from threading import Event
from urllib.parse import urlencode, urlsplit

from pydantic import SecretStr

from agent.apply.meter import Meter
from agent.apply.source.document import read_small
from agent.apply.source.http import HttpSource
from agent.apply.source.mirrors import Mirror, access_of
from agent.errors import AccessDenied, DigestMismatch, ImageOverrun, ImageRefused, ImageTruncated, InputError
from agent.host.doors import Host
from agent.model.destination import is_here, with_its_user
from agent.model.frozen import Reply, decode
from agent.model.image import Access, ImageFormat, ImageRef
from agent.model.oci import (
    MANIFEST_SHA256,
    MANIFEST_TYPES,
    Descriptor,
    Manifest,
    layer_of,
    must_have_digest,
    only_one,
    reference,
)
from agent.model.url import named

LARGEST_MANIFEST_BYTES = 4 * 1024 * 1024
LARGEST_TOKEN_BYTES = 64 * 1024
PARAMETER = re.compile(r'(\w+)="([^"]*)"')
SCHEME = "oci://"


class Token(Reply):
    """What a registry's token server gives: one or the other name, or both."""

    token: SecretStr | None = None
    access_token: SecretStr | None = None


class Registry:
    """One registry's copy of the artifact, and how it lets us in."""

    def __init__(self, host: Host, url: str, access: Access) -> None:
        """Raises `InputError`."""
        self._host = host
        self.reference = reference(url)
        _, self._credentials = with_its_user(f"fetching {named(url)}", url, access)
        self._access = self._credentials

    def manifest(self, version: str | None, accept: str) -> Mirror:
        """Its copy of a manifest; of its own one without a version."""
        return Mirror(self.reference.manifest_url(version or self.reference.version), self._access, self.let_in, accept)

    def blob(self, digest: str) -> Mirror:
        """Its copy of a blob."""
        return Mirror(self.reference.blob_url(digest), self._access, self.let_in)

    def let_in(self, denied: AccessDenied) -> Access:
        """A token, by the server that the challenge names (distribution-spec, "Token authentication"). Raises the
        refusal where there is no such server, or where what was refused is a token already that was given to us.
        """
        scheme, _, rest = denied.challenge.partition(" ")
        told = dict(PARAMETER.findall(rest))
        realm = told.get("realm", "")
        if scheme.lower() != "bearer" or self._credentials.bearer is not None or not self._may_let_in(realm):
            raise denied
        scope = told.get("scope") or f"repository:{self.reference.repository}:pull"
        query = urlencode([*({"service": told["service"]}.items() if "service" in told else ()), ("scope", scope)])
        url = f"{realm}{'&' if urlsplit(realm).query else '?'}{query}"
        view = memoryview(bytearray(LARGEST_TOKEN_BYTES))
        with self._host.fetch(url, access=self._credentials) as body:
            got = body.fill(view)
        answer = decode(Token, bytes(view[:got]), f"asking {named(realm)} for a token")
        token = answer.token or answer.access_token
        if token is None:
            raise denied
        self._access = self._credentials.model_copy(update={"bearer": token, "username": None, "password": None})
        return self._access

    def _may_let_in(self, realm: str) -> bool:
        """As a redirect may lead there: not out of TLS, and not to this machine itself."""
        registry = self.reference.registry
        try:
            is_secure = urlsplit(realm).scheme == "https" or registry.startswith("http:")
            return is_secure and (is_here(registry) or not is_here(realm))
        except ValueError:
            return False


def located(host: Host, image: ImageRef, stop: Event, meter: Meter) -> tuple[ImageRef, list[Mirror]]:
    """The image with its digest and length, and where it is. Mirrors are registries, or have the blob as a file.

    Raises `InputError`, `ImageError`; `LinkError` when patience is over.
    """
    doing = f"finding {named(image.url)}"
    if image.checksums:
        raise InputError(doing, "a checksum file does not name what is in a registry", hint="Name it by its digest.")
    places = (image.url, *image.mirrors)
    registries = [Registry(host, url, access_of(image, url)) for url in places if url.startswith(SCHEME)]

    def manifest(digest: str | None) -> Manifest:
        mirrors = [one.manifest(digest, ", ".join(MANIFEST_TYPES)) for one in registries]
        plain = image.model_copy(update={"file_bytes": None})
        content = read_small(HttpSource(host, plain, mirrors, stop, meter), LARGEST_MANIFEST_BYTES)
        if digest is not None:
            must_have_digest(content, digest, doing)
        return decode(Manifest, content, doing)

    meant = registries[0].reference
    found = manifest(meant.version if meant.is_pinned else None)
    if found.manifests is not None:
        found = manifest(only_one(found.manifests, doing).digest)
    layer = layer_of(found, doing)
    files = [Mirror(url, access_of(image, url)) for url in image.mirrors if not url.startswith(SCHEME)]
    return agreed(image, layer, doing), [*(one.blob(layer.digest) for one in registries), *files]


def agreed(image: ImageRef, layer: Descriptor, doing: str) -> ImageRef:
    """The image with what the manifest says of its layer. Raises `ImageError` where that is not what was asked for."""
    algorithm, digest = layer.digest_parts
    if image.format is ImageFormat.CHUNKED:
        algorithm, digest = "sha256", (layer.annotations or {}).get(MANIFEST_SHA256, image.sha256 or "")
    own = {"sha256": image.sha256, "sha512": image.sha512}
    if own[algorithm] not in (None, digest):
        raise DigestMismatch(doing, f"its layer has {algorithm} {digest}, the image should have {own[algorithm]}")
    if image.file_bytes not in (None, layer.size):
        kind = ImageTruncated if layer.size < (image.file_bytes or 0) else ImageOverrun
        raise kind(doing, f"its layer has {layer.size} bytes, the image should have {image.file_bytes}")
    if not any(own.values()):
        if not digest:
            hint = f"Give the image the sha256 of its own manifest, or push it with the annotation {MANIFEST_SHA256}."
            raise ImageRefused(doing, "nothing says which digest this chunked image's own manifest has", hint=hint)
        own[algorithm] = digest
    return image.model_copy(update={"file_bytes": layer.size, **own})
