# SPDX-License-Identifier: Apache-2.0
"""One file at several servers: whoever fails is stood in for, and nothing is mixed."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import SecretStr

from agent.errors import (
    AccessDenied,
    ImageOverrun,
    LinkError,
)
from agent.host.fake import Machine, Page, Tree
from agent.model.image import Access, ImageRef
from tests.apply.sources import FILE, MIRROR, SIZE, URL, a_machine, fetched, image, source
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
    """Bytes that were wrong are asked of the next mirror; where there is none, of the same server again."""
    made = a_machine(mirror=Page(FILE))
    with source(made, with_mirror()) as opened:
        for _ in range(3):
            with opened.reader(0, 10) as reader:
                whole(reader)
            opened.distrust()
    assert [len(made.web[url].opened_at) for url in (URL, MIRROR)] == [2, 1]
    with source(a_machine()) as opened:
        opened.distrust()
        with opened.reader(0, 10) as reader:
            assert whole(reader) == FILE[:10]


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
