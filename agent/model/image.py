# SPDX-License-Identifier: Apache-2.0
"""OS images as they are referred to: where, in which form, with which digest, and how their servers let us in."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Field, model_validator

from agent.errors import ConfigError
from agent.model.frozen import Frozen, Secret
from agent.model.image_signature import raw_key
from agent.model.url import named

SHA256_PATTERN = r"^[0-9a-f]{64}$"
SHA512_PATTERN = r"^[0-9a-f]{128}$"
KEY_PATTERN = r"^[A-Za-z0-9+/]{43}=$"
URL_PATTERN = r"^(https?|oci|file)://\S+$|^-$"


FETCHES_IMAGES = "bms-agent"
"""User-Agent of whatever fetches what an image's URL names, which may be a tenant's: nobody shall take such a request
for one of firmware's.
"""

REMOTE = ("http://", "https://", "oci://")


class ImageFormat(StrEnum):
    """How the disk's bytes are packed in the file."""

    RAW = "raw"
    RAW_GZ = "raw.gz"
    RAW_XZ = "raw.xz"
    RAW_ZST = "raw.zst"
    RAW_BZ2 = "raw.bz2"
    QCOW2 = "qcow2"
    CHUNKED = "chunked"


class Access(Frozen):
    """How an image's servers let us in. Credentials go to the host of the URL alone, never to where it redirects."""

    bearer: Secret | None = None
    username: str | None = None
    password: Secret | None = None
    ca_pem: str | None = Field(default=None, description="the only authorities trusted for this image, as PEM")
    proxy: str | None = Field(default=None, pattern=r"^https?://", description="left out, the environment's")


OPEN = Access()


def as_raw_key(text: object) -> object:
    """In our form; what is no key is left as it is, and matches no pattern."""
    try:
        return raw_key(text) if isinstance(text, str) else text
    except ConfigError:
        return text


class Trusted(Frozen):
    """Who is trusted over TLS by all that says nothing of that: these authorities alone, the system's, or anybody."""

    ca_pem: str | None = None
    insecure: bool = False


class ImagePolicy(Frozen):
    """What this machine holds about images, whoever asks for them.

    trusted_keys   Ed25519 public keys in base64, as we, OpenSSH or minisign have them; where there are any, one of them
                   must have signed the image
    require_signature  without any such key nothing is written: an agent whose keys were lost trusts nobody
    cache          URL of a rack's cache: `http://a/b` is asked of it as `{cache}/b`, and of `a` where it fails; what
                   needs credentials, or has a query, is not
    """

    trusted_keys: tuple[Annotated[str, BeforeValidator(as_raw_key), Field(pattern=KEY_PATTERN)], ...] = ()
    require_signature: bool = False
    cache: str | None = Field(default=None, pattern=r"^https?://[^\s?#]+$")


class ImageRef(Frozen):
    """An image to be written. A digest is never optional: of the file as it travels, or, for a chunked image, of its
    manifest (`agent.model.chunked`), which holds the digest of every chunk. An `oci://` URL that names a manifest by
    digest (`oci://registry/name@sha256:…`) brings both with it.

    url        http(s); oci, for an artifact of a registry; by hand also file, and "-" for the standard input
    mirrors    the same file elsewhere, tried in turn when a server fails
    checksums  URL of a checksum file (SHA256SUMS, or BSD style) that names the file, in place of a digest
    """

    url: str = Field(pattern=URL_PATTERN)
    mirrors: tuple[str, ...] = Field(default=(), max_length=8)
    format: ImageFormat
    sha256: str | None = Field(default=None, pattern=SHA256_PATTERN)
    sha512: str | None = Field(default=None, pattern=SHA512_PATTERN)
    checksums: str | None = Field(default=None, pattern=r"^(https?|file)://\S+$")
    file_bytes: int | None = Field(default=None, gt=0, description="length of the file as it travels")
    size_bytes: int | None = Field(default=None, gt=0, description="length of the disk it unpacks to")
    access: Access = OPEN

    @property
    def is_local(self) -> bool:
        """It is read from this machine itself."""
        return not self.url.startswith(REMOTE)

    @property
    def local_places(self) -> tuple[str, ...]:
        """Whatever of it, its mirrors and its checksums is read from this machine itself: an operator may ask for that,
        a controller may not.
        """
        places = (self.url, *self.mirrors, *((self.checksums,) if self.checksums else ()))
        return tuple(place for place in places if not place.startswith(REMOTE))

    def through(self, cache: str | None) -> ImageRef:
        """The same image, asked of a cache first. What needs credentials is nobody else's to keep, and a query may be
        one: a signature.
        """
        parts = urlsplit(self.url)
        needs_more = self.access != OPEN or "@" in parts.netloc or bool(parts.query)
        if cache is None or parts.scheme not in ("http", "https") or needs_more:
            return self
        return self.model_copy(update={"url": cache.rstrip("/") + parts.path, "mirrors": (self.url, *self.mirrors)})

    @model_validator(mode="after")
    def _has_a_digest(self) -> Self:
        given = [one for one in (self.sha256, self.sha512, self.checksums) if one]
        pinned = self.url.startswith("oci://") and "@sha256:" in self.url
        if len(given) > 1 or not (given or pinned):
            raise ValueError("exactly one of sha256, sha512 and checksums is needed, or an oci:// URL with @sha256:…")
        return self

    @property
    def digest(self) -> tuple[str, str | None]:
        """(algorithm, digest) of those that it has; of a checksum file or a pinned URL, none yet."""
        return ("sha512", self.sha512) if self.sha512 else ("sha256", self.sha256)

    @property
    def digest_text(self) -> str:
        """What it is checked against, for people: `sha256 0123456789ab…`."""
        if self.checksums:
            return f"digest by {named(self.checksums)}"
        name, digest = self.digest
        return f"{name} {(digest or self.url.rpartition(':')[2])[:12]}…"
