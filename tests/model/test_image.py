# SPDX-License-Identifier: Apache-2.0
"""Images as they are referred to."""

from __future__ import annotations

import pytest
from pydantic import SecretStr, ValidationError

from agent.model.image import Access, ImageFormat, ImageRef

A, B = "a" * 64, "b" * 128
CACHE = "http://rack:8480/images/"


def ref(url: str = "http://origin/a/b.zst", **more: object) -> ImageRef:
    """An image there."""
    return ImageRef.model_validate({"url": url, "format": ImageFormat.RAW, "sha256": A} | more)


def test_a_digest_is_never_optional() -> None:
    """Exactly one of sha256, sha512, checksums; only an OCI URL that is pinned needs none."""
    ref(sha256=None, sha512=B)
    ref(sha256=None, checksums="http://origin/SHA256SUMS")
    ref("oci://registry/name@sha256:" + A, sha256=None)
    for bad in ({"sha256": None}, {"sha512": B}, {"url": "oci://registry/name:tag", "sha256": None}):
        with pytest.raises(ValidationError):
            ref(**bad)


@pytest.mark.parametrize("url", ["ftp://a/b", "/etc/passwd", "http://a b", "gopher://x", "", "--", "data:x"])
def test_other_urls_are_refused(url: str) -> None:
    """A path, or another scheme, is no URL of an image."""
    with pytest.raises(ValidationError):
        ref(url)


@pytest.mark.parametrize(
    ("url", "local"), [("file:///x", True), ("-", True), ("http://a/b", False), ("oci://a/b", False)]
)
def test_local(url: str, local: bool) -> None:
    """What is read from this machine itself."""
    assert ref(url).is_local is local


def test_through_a_cache() -> None:
    """The cache is asked first, for the same path; the origin stays as the first mirror."""
    through = ref(mirrors=("http://other/b.zst",)).through(CACHE)

    assert through.url == "http://rack:8480/images/a/b.zst"
    assert through.mirrors == ("http://origin/a/b.zst", "http://other/b.zst")
    assert ref().through(None) == ref()


@pytest.mark.parametrize(
    "image",
    [
        ref(access=Access(bearer=SecretStr("token"))),
        ref("http://user:word@origin/a"),
        ref("http://origin/a.zst?X-Amz-Signature=secret"),
        ref("file:///a"),
        ref("oci://registry/name"),
    ],
)
def test_never_through_a_cache(image: ImageRef) -> None:
    """What needs credentials, a signed URL too, what is local and what a registry has is not asked of a cache."""
    assert image.through(CACHE) == image


def test_secrets_do_not_show() -> None:
    """Credentials are stars in every text, and plain on the wire alone."""
    image = ref(access=Access(bearer=SecretStr("hush")))

    assert "hush" not in repr(image)
    assert "hush" in image.model_dump_json()
