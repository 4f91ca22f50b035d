# SPDX-License-Identifier: Apache-2.0
"""Chunked images at several servers, of which some give what is wrong: one that is right is enough."""

from __future__ import annotations

import random
from functools import cache
from urllib.parse import urlsplit

import pytest

from agent.errors import DigestMismatch
from agent.host.fake import Machine, Page
from agent.model.image import ImageFormat, ImageRef
from tests.apply.chunks import KIB, serve_store
from tests.apply.chunks import serve as serve_file
from tests.apply.disks import MIB, URL, gpt_image, machine
from tests.apply.packed import file_of
from tests.apply.writing import must_be_unverified, must_hold, write

DISK = 64 * MIB
PLAIN = gpt_image(10 * MIB)
IMAGE = PLAIN[: 2 * MIB] + random.Random(1).randbytes(6 * MIB) + PLAIN[8 * MIB :]
GOOD, BAD, WORSE = "http://good.example", "http://bad.example", "http://worse.example"


def damaged(body: bytes) -> bytes:
    """Every few kilobytes a bit is another, but for the first chunks and for what leads to the manifest."""
    out = bytearray(body)
    for at in range(3 * MIB, len(body) - 16 * KIB, 8 * KIB):
        out[at] ^= 1
    return bytes(out)


@cache
def packed(*, store: bool) -> tuple[ImageRef, dict[str, bytes]]:
    """The image, and its files by their paths."""
    made = machine(DISK)
    image = serve_store(made, IMAGE) if store else serve_file(made, IMAGE)
    return image, {urlsplit(url).path: page.body for url, page in made.web.items()}


def image_at(made: Machine, *servers: str, store: bool) -> ImageRef:
    """The image, at these in this order; the bad ones have it damaged."""
    image, files = packed(store=store)
    for path, body in files.items():
        wrong = bytes(len(body)) if "/chunks/" in path else body if store else damaged(body)
        made.web |= {GOOD + path: Page(body), BAD + path: Page(wrong), WORSE + path: Page(wrong)}
    urls = [server + urlsplit(image.url).path for server in servers]
    return image.model_copy(update={"url": urls[0], "mirrors": tuple(urls[1:])})


@pytest.mark.parametrize("store", [False, True])
@pytest.mark.parametrize(
    "servers", [(BAD, GOOD), (GOOD, BAD), (BAD, WORSE, GOOD), (WORSE, GOOD, BAD)], ids=lambda each: str(len(each))
)
def test_one_good_server_is_enough(servers: tuple[str, ...], store: bool) -> None:
    """However many hands find the others wrong at the same time, and in whatever order they were named."""
    for _ in range(2):
        made = machine(DISK)
        image = image_at(made, *servers, store=store)
        write(made, image)
        must_hold(made, IMAGE)


@pytest.mark.parametrize("store", [False, True])
def test_a_bad_server_is_left(store: bool) -> None:
    """Who gave one wrong frame is asked no more while there is another: what it costs is a few frames."""
    made = machine(DISK)
    image = image_at(made, BAD, GOOD, store=store)
    write(made, image)
    asked = sum(len(page.opened_at) for url, page in made.web.items() if url.startswith(BAD))
    assert asked < 24


@pytest.mark.parametrize("store", [False, True])
def test_no_good_server(store: bool) -> None:
    """Where all are wrong each was asked three times, and nothing can boot."""
    made = machine(DISK)
    image = image_at(made, BAD, WORSE, store=store)
    with pytest.raises(DigestMismatch, match="wrong 6 times"):
        write(made, image)
    must_be_unverified(made)


@pytest.mark.parametrize("with_length", [False, True])
@pytest.mark.parametrize("stale", [gpt_image(8 * MIB, seed=2), gpt_image(6 * MIB, seed=3)])
def test_stale_cache(stale: bytes, with_length: bool) -> None:
    """A cache that has the image of yesterday under the same name, which is longer, does not hide that of today."""
    made = machine(DISK)
    today = serve_file(made, IMAGE)
    if with_length:
        today = today.model_copy(update={"file_bytes": len(made.web[URL].body)})
    made.web["http://rack.example/image"] = Page(file_of(stale, ImageFormat.CHUNKED))
    write(made, today.through("http://rack.example"))
    must_hold(made, IMAGE)


def test_server_without_ranges() -> None:
    """A first server that gives no ranges is no reason not to take the image from the second."""
    made = machine(DISK)
    image = image_at(made, BAD, GOOD, store=False)
    made.web[image.url].does_ranges = False
    write(made, image)
    must_hold(made, IMAGE)
