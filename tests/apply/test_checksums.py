# SPDX-License-Identifier: Apache-2.0
"""Checksum files: whose digest is whose, and what happens where that is not clear."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from agent.apply.source.checksums import digest_of
from agent.errors import AgentError, ImageRefused, ImageUnavailable, InputError
from agent.host.fake import Page
from agent.model.image import Access, ImageFormat, ImageRef
from tests.apply.sources import FILE, SIZE, URL, a_machine, source
from tests.bodies import whole

A, B, LONG = "a" * 64, "b" * 64, "c" * 128
SUMS = "http://images.example/SHA256SUMS"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"{B}  other.raw\n{A}  disk.raw\n", ("sha256", A)),
        (f"{A} *disk.raw\r\n", ("sha256", A)),
        (f"{A.upper()}  disk.raw", ("sha256", A)),
        (f"{A}  ./images/disk.raw\n{B}  disk.raw.zst\n", ("sha256", A)),
        (f"{LONG}  disk.raw\n", ("sha512", LONG)),
        (f"{LONG}  disk.raw\n{A}  disk.raw\n", ("sha256", A)),
        (f"SHA256 (disk.raw) = {A}\nSHA256 (x) = {B}", ("sha256", A)),
        (f"SHA512 (disk.raw) = {LONG}", ("sha512", LONG)),
        (f"SHA256(disk.raw)= {A}", ("sha256", A)),
        (f"# made today\n-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\n{A}  disk.raw\n", ("sha256", A)),
        (f"{A}  disk.raw\n{A}  disk.raw\n", ("sha256", A)),
        (f"{A}\n", ("sha256", A)),
    ],
)
def test_forms(text: str, expected: tuple[str, str]) -> None:
    """All forms that are in use are read; the file is found by its name, wherever it lies."""
    assert digest_of("https://images.example/12/disk.raw?x=1#y", text, "looking") == expected


def test_escaped_name() -> None:
    """A name is compared as the URL means it."""
    assert digest_of("file:///srv/my%20disk", f"{A}  my disk", "looking") == ("sha256", A)


@pytest.mark.parametrize(
    ("text", "evidence"),
    [
        ("", "no sha256 or sha512 of disk.raw"),
        (f"{A}  other.raw\n", "no sha256"),
        (f"{A}\n{B}\n", "no sha256"),
        (f"{A}  disk.raw\n{B}  disk.raw\n", "2 different sha256"),
        ("d41d8cd98f00b204e9800998ecf8427e  disk.raw\n", "no sha256"),
        (f"SHA256 (disk.raw) = {LONG}\n", "no sha256"),
        (f"{A}  Disk.raw\n", "no sha256"),
        (f"{A[:-1]}x  disk.raw\n", "no sha256"),
    ],
)
def test_what_is_not_clear(text: str, evidence: str) -> None:
    """A file that is not there, or twice, or has a weak digest only, is refused with a reason."""
    with pytest.raises(ImageRefused, match=evidence):
        digest_of(URL, text, "looking")


@given(st.text())
def test_any_text(text: str) -> None:
    """Whatever the text is: a digest, or a refusal."""
    try:
        algorithm, digest = digest_of(URL, text, "looking")
    except ImageRefused:
        return
    assert len(digest) == {"sha256": 64, "sha512": 128}[algorithm]


def ref(**more: Any) -> ImageRef:
    """An image that has a checksum file."""
    return ImageRef.model_validate({"url": URL, "format": ImageFormat.RAW, "checksums": SUMS} | more)


def test_image_gets_its_digest() -> None:
    """The image comes with the digest that its checksum file has, over a bad link too."""
    made = a_machine()
    made.web[SUMS] = Page(f"{A}  disk.raw\n".encode(), refusals=3, breaks_at=[10])
    with source(made, ref()) as opened:
        assert (opened.image.sha256, opened.image.checksums) == (A, None)
        assert opened.size_bytes is None
        with opened.reader() as reader:
            assert whole(reader) == FILE and opened.size_bytes == SIZE


def test_local_checksums() -> None:
    """Both may be files of this machine."""
    made = a_machine()
    made.tree.put("/srv/disk.raw", FILE)
    made.tree.put("/srv/SHA512SUMS", f"{LONG}  disk.raw".encode())
    with source(made, ref(url="file:///srv/disk.raw", checksums="file:///srv/SHA512SUMS")) as opened:
        assert (opened.image.sha256, opened.image.sha512) == (None, LONG)


@pytest.mark.parametrize(
    ("more", "sums", "error", "evidence"),
    [
        ({}, Page(b"", status=404), ImageUnavailable, "SHA256SUMS: .*404"),
        ({}, Page(bytes(1024 * 1024 + 1)), ImageRefused, "longer than 1048576"),
        ({}, Page(b"nothing"), ImageRefused, "looking for .*disk.raw in .*SHA256SUMS"),
        ({"format": ImageFormat.CHUNKED}, Page(b""), InputError, "a chunked image is known by its own"),
        ({"url": "-"}, Page(b""), InputError, "no name"),
        ({"url": "oci://registry.example/disk:12"}, Page(b""), InputError, "registry"),
        ({"url": "http://["}, Page(b""), InputError, "none"),
    ],
)
def test_checksum_files_that_do_not_help(
    more: dict[str, Any], sums: Page, error: type[AgentError], evidence: str
) -> None:
    """An image whose digest is not found that way is not opened."""
    made = a_machine()
    made.web[SUMS] = sums
    with pytest.raises(error, match=evidence), source(made, ref(**more)):
        pass


def test_credentials_stay_at_home() -> None:
    """A checksum file on the image's server is asked for with its credentials, one elsewhere without."""
    access = Access(bearer=SecretStr("t"))
    made = a_machine()
    far = "http://far.example/SHA256SUMS"
    made.web |= {url: Page(f"{A}  disk.raw".encode(), access=access) for url in (SUMS, far)}
    with source(made, ref(access=access)) as opened:
        assert opened.image.sha256 == A
    with pytest.raises(ImageUnavailable, match="401"), source(made, ref(access=access, checksums=far)):
        pass
