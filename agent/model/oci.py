# SPDX-License-Identifier: Apache-2.0
"""Images as OCI artifacts: how they are referred to, and what of a manifest is the image. Pure.

In: `oci://host[:port]/repository[:tag][@digest]`, with `?plain-http=1` for a registry without TLS; manifests as
registries give them (OCI image-spec v1.1). Out: a `Reference`; the one layer that is the image, or a refusal.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

from pydantic import Field

from agent.errors import DigestMismatch, ImageRefused, InputError
from agent.model.frozen import Reply
from agent.model.url import named, without_user

MANIFEST_TYPES = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
CONTAINER_CONFIGS = ("application/vnd.oci.image.config.v1+json", "application/vnd.docker.container.image.v1+json")
TITLE = "org.opencontainers.image.title"
MANIFEST_SHA256 = "io.bms-agent.manifest.sha256"
"""Annotation of a layer that is a chunked image: the digest of its own manifest."""

# distribution-spec v1.1, "Pulling manifests"; image-spec, "Digests"
PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
DIGEST = r"(?:sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})"
PATH = re.compile(rf"/({PART}(?:/{PART})*)(?::([A-Za-z0-9_][A-Za-z0-9._-]{{0,127}}))?(?:@({DIGEST}))?")


@dataclass(frozen=True)
class Reference:
    """A manifest in a registry. `version` is its digest, or else its tag."""

    registry: str
    repository: str
    version: str

    @property
    def is_pinned(self) -> bool:
        """It names its bytes."""
        return ":" in self.version

    def manifest_url(self, version: str) -> str:
        """Where it is."""
        return f"{self.registry}/v2/{self.repository}/manifests/{version}"

    def blob_url(self, digest: str) -> str:
        """Where a blob is."""
        return f"{self.registry}/v2/{self.repository}/blobs/{digest}"


def reference(url: str) -> Reference:
    """Raises `InputError`."""
    doing = f"reading {named(url)}"
    try:
        parts = urlsplit(without_user(url)[0])
        options = parse_qs(parts.query, strict_parsing=True) if parts.query else {}
    except ValueError as error:
        raise InputError(doing, "it is no URL") from error
    found = PATH.fullmatch(parts.path)
    if parts.scheme != "oci" or not parts.netloc or not found or options not in ({}, {"plain-http": ["1"]}):
        raise InputError(
            doing, "it is not oci://host[:port]/repository[:tag][@sha256:…], with or without ?plain-http=1"
        )
    scheme = "http" if options else "https"
    return Reference(f"{scheme}://{parts.netloc}", found[1], found[3] or found[2] or "latest")


class Descriptor(Reply):
    """A blob, or another manifest."""

    digest: str = Field(pattern=rf"^{DIGEST}$")
    size: int = Field(ge=0)
    media_type: str = Field(default="", alias="mediaType")
    annotations: dict[str, str] | None = None

    @property
    def title(self) -> str | None:
        """A file name."""
        return (self.annotations or {}).get(TITLE)

    @property
    def digest_parts(self) -> tuple[str, str]:
        """sha256 or sha512, and its digits."""
        algorithm, _, digits = self.digest.partition(":")
        return algorithm, digits


class Manifest(Reply):
    """A manifest, or an index of manifests."""

    config: Descriptor | None = None
    layers: tuple[Descriptor, ...] = ()
    manifests: tuple[Descriptor, ...] | None = None


def must_have_digest(content: bytes, digest: str, doing: str) -> None:
    """Raises `DigestMismatch`."""
    algorithm = digest.partition(":")[0]
    found = f"{algorithm}:{hashlib.new(algorithm, content).hexdigest()}"
    if found != digest:
        raise DigestMismatch(doing, f"the registry gave a manifest with {found}, not with {digest}")


def only_one(index: tuple[Descriptor, ...], doing: str) -> Descriptor:
    """The manifest of an index that has one. Which of several is meant, nobody guesses. Raises `ImageRefused`."""
    if len(index) == 1:
        return index[0]
    told = ", ".join(each.digest for each in index[:8]) or "none"
    raise ImageRefused(doing, f"it is an index of {len(index)} manifests: {told}", hint="Name the one by its digest.")


def layer_of(manifest: Manifest, doing: str) -> Descriptor:
    """The layer that is the image: the only one, or the only one with a title. Raises `ImageRefused`."""
    if manifest.config is not None and manifest.config.media_type in CONTAINER_CONFIGS:
        hint = "Push the image itself as an artifact: oras push registry/name:tag image.zst"
        raise ImageRefused(doing, "it is a container's image, not a disk's", hint=hint)
    for candidates in (manifest.layers, tuple(each for each in manifest.layers if each.title)):
        if len(candidates) == 1:
            return candidates[0]
    told = ", ".join(f"{each.title or 'no title'} ({each.digest})" for each in manifest.layers[:8])
    hint = f"Push an artifact with one layer, or give only the image the annotation {TITLE}."
    raise ImageRefused(doing, f"which of its {len(manifest.layers)} layers is the image? {told}".rstrip(), hint=hint)
