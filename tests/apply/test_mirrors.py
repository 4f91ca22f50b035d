# SPDX-License-Identifier: Apache-2.0
"""One file at several servers: whoever fails is stood in for, and nothing is mixed."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import SecretStr

from agent.apply.source.mirrors import in_turn
from agent.errors import (
    AccessDenied,
    ImageOverrun,
    LinkError,
)
from agent.host.fake import Machine, Page, Tree
from agent.model.image import OPEN, Access, ImageRef
from tests.apply.sources import DIGEST, FILE, MIRROR, SIZE, URL, a_machine, fetched, image, source
from tests.bodies import whole


def with_mirror(**more: Any) -> ImageRef:
    """The image, at two servers."""
    return image(mirrors=(MIRROR,), **more)


@pytest.mark.parametrize(
    "bad",
    [
        Page(FILE, refusals=10**6),
        Page(FILE, status=404),
        Page(FILE, status=503),
        Page(FILE, ends_at=1000),
        Page(FILE + b"x"),
        Page(FILE, breaks_at=list(range(1000, SIZE, 1000))),
        Page(FILE, access=Access(bearer=SecretStr("t"))),
    ],
)
def test_a_mirror_stands_in(bad: Page) -> None:
    """Whatever is wrong with one server, the other gives what is missing, at once."""
    for first, second in ((bad, Page(FILE)), (Page(FILE, breaks_at=[200_000], validator='"1"'), bad)):
        made = a_machine(first, second)
        made.web[URL] = Page(**vars(first))
        assert fetched(made, with_mirror(file_bytes=SIZE)) == FILE
        assert made.uptime_s < 110


def test_mirror_of_another_length() -> None:
    """The first server's length is the image's; a mirror that has another is not asked again, and nothing is mixed."""
    made = a_machine(Page(FILE, breaks_at=[1000, 200_000]), Page(FILE[:-1]))
    assert fetched(made, with_mirror()) == FILE
    assert len(made.web[MIRROR].opened_at) == 1


def test_all_are_wrong() -> None:
    """When the last one is given up, its error is the work's."""
    made = a_machine(Page(FILE, status=404), Page(FILE + b"x"))
    with pytest.raises(ImageOverrun, match=r"mirror\.example"):
        fetched(made, with_mirror(file_bytes=SIZE))


def test_mirror_without_ranges() -> None:
    """It is of no use to who reads ranges, and of use to who reads all."""
    made = a_machine(Page(FILE, breaks_at=[1000], refusals=1), Page(FILE, does_ranges=False))
    assert fetched(made, with_mirror(), 100, 5000) == FILE[100:5100]
    made = a_machine(Page(FILE, breaks_at=[1000]), Page(FILE, does_ranges=False))
    assert fetched(made, with_mirror()) == FILE


def test_distrust() -> None:
    """Who gave bytes that were wrong is asked last, by every reader; where there is no other, again."""
    made = a_machine(mirror=Page(FILE))
    with source(made, with_mirror()) as opened, opened.reader(0, 20) as first, opened.reader(10, 10) as second:
        assert whole(second) == FILE[10:20] and second.servers == {URL}
        assert first.fill(memoryview(bytearray(10))) == 10
        for _ in range(2):  # two threads find it at the same time
            opened.distrust(first.servers)
        assert first.fill(memoryview(bytearray(10))) == 10 and first.servers == {MIRROR}
        with opened.reader(0, 10) as third:
            assert whole(third) == FILE[:10] and third.servers == {MIRROR}
    assert [made.web[url].opened_at for url in (URL, MIRROR)] == [[10, 0], [10, 0]]
    with source(a_machine()) as opened:
        opened.distrust([URL])
        with opened.reader(0, 10) as reader:
            assert whole(reader) == FILE[:10] and reader.servers == {URL}


def test_both_gave_what_is_wrong() -> None:
    """Bytes that came from two servers are held against both; the one that was asked next stays before the other."""
    made = a_machine(Page(FILE, breaks_at=[5]), Page(FILE))
    with source(made, with_mirror()) as opened, opened.reader(0, 20) as reader:
        assert reader.fill(memoryview(bytearray(10))) == 10 and reader.servers == {URL, MIRROR}
        opened.distrust(reader.servers)
        assert reader.fill(memoryview(bytearray(10))) == 10 and reader.servers == {MIRROR}


def test_each_in_turn() -> None:
    """Each server once before the others, which stay in order."""
    third = "http://third.example/c.raw"
    turned = in_turn(image(mirrors=(MIRROR, third)))
    assert [(one.url, *one.mirrors) for one in turned] == [
        (URL, MIRROR, third),
        (MIRROR, URL, third),
        (third, URL, MIRROR),
    ]
    assert {one.sha256 for one in turned} == {DIGEST}


def test_turning_gives_nothing_away() -> None:
    """Credentials of an image on TLS do not go to a mirror without, also when that is asked first."""
    mine = Access(username="u", password=SecretStr("p"))
    first, second = in_turn(image(url="https://images.example/a", mirrors=(MIRROR,), access=mine))
    assert first.access == mine
    assert second.access == OPEN


@pytest.mark.parametrize(
    ("url", "mirror", "checksums", "is_known"),
    [
        (f"oci://a.example/x@sha256:{DIGEST}", f"oci://b.example/y@sha256:{DIGEST}", None, True),
        (f"oci://a.example/x@sha256:{DIGEST}", "oci://b.example/x:tag", None, False),
        (f"oci://a.example/x@sha256:{DIGEST}", f"oci://b.example/x@sha256:{'1' * 64}", None, False),
        (f"oci://a.example/x@sha256:{DIGEST}", MIRROR, None, False),
        ("http://a.example/x.raw", "http://b.example/y/x.raw", "http://a.example/SHA256SUMS", True),
        ("http://a.example/x.raw", "http://b.example/y.raw", "http://a.example/SHA256SUMS", False),
    ],
)
def test_nobody_says_himself_what_the_image_is(url: str, mirror: str, checksums: str | None, is_known: bool) -> None:
    """A mirror is asked first only where the digest is known without the URL that it would replace."""
    ref = image(url=url, mirrors=(mirror,), sha256=None, checksums=checksums)
    assert [one.url for one in in_turn(ref)] == [url, mirror][: 1 + is_known]


def test_server_that_drips() -> None:
    """A server that gives next to nothing is left for another; where all do, that is the error, and not in an hour."""
    drip = Page(FILE, fill_s=50.0, breaks_at=[10, 20, 30, 40, 50, 60])
    drip_all = Page(FILE, fill_s=130.0, breaks_at=list(range(10, 1000, 10)))
    made = a_machine(drip_all, Page(FILE))
    assert fetched(made, with_mirror()) == FILE and len(made.web[URL].opened_at) == 1
    with pytest.raises(LinkError):
        fetched(a_machine(Page(**vars(drip_all)), drip_all), with_mirror())
    assert fetched(a_machine(drip)) == FILE


def test_credentials_go_to_the_images_servers() -> None:
    """All servers that are named with the image get its credentials, but for one without TLS when the first has it."""
    mine = Access(username="u", password=SecretStr("p"))
    for first, second, gets_in in (
        (URL, MIRROR, True),
        ("https://images.example/a", "https://mirror.example/b", True),
        ("https://images.example/a", MIRROR, False),
    ):
        made = Machine.of(Tree())
        made.web = {first: Page(FILE, status=404), second: Page(FILE, access=mine)}
        ref = image(url=first, mirrors=(second,), access=mine)
        if gets_in:
            assert fetched(made, ref) == FILE
        else:
            with pytest.raises(AccessDenied):
                fetched(made, ref)
