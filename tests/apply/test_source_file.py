# SPDX-License-Identifier: Apache-2.0
"""Stage 1 from this machine itself: files, and the standard input."""

from __future__ import annotations

from threading import Event

import pytest

from agent.apply.crew import Stopped
from agent.errors import (
    HostError,
    ImageOverrun,
    ImageTruncated,
    ImageUnavailable,
    InputError,
)
from agent.host.fake import Machine, Tree
from tests.apply.sources import FILE, SIZE, a_machine, image, source
from tests.bodies import whole


def local() -> Machine:
    """With the file on its own disk."""
    made = Machine.of(Tree.of({"/srv/my disk.raw": FILE}))
    made.stdin = FILE
    return made


def test_local_file() -> None:
    """A file of this machine is read as a URL is: whole, and in ranges; another length is seen at once."""
    for url in ("file:///srv/my%20disk.raw", "file://localhost/srv/my%20disk.raw"):
        with source(local(), image(url=url)) as opened:
            assert (opened.size_bytes, opened.does_ranges, opened.name) == (SIZE, True, "/srv/my disk.raw")
            for offset, length in ((0, None), (5, 10), (SIZE - 5, 10), (SIZE, None)):
                with opened.reader(offset, length) as reader:
                    assert whole(reader) == FILE[offset:][:length] and not reader.servers
            opened.distrust(())
    for said, error in ((SIZE + 1, ImageTruncated), (SIZE - 1, ImageOverrun)):
        with pytest.raises(error), source(local(), image(url=url, file_bytes=said)):
            pass
    with pytest.raises(ImageUnavailable, match=r"far\.example"), source(local(), image(url="file://far.example/x")):
        pass
    with pytest.raises(HostError, match="/nowhere"), source(local(), image(url="file:///nowhere")):
        pass


def test_standard_input() -> None:
    """It is read once, from its beginning to its end; it has no ranges, and no length but the one that was said."""
    with source(local(), image(url="-")) as opened:
        assert (opened.size_bytes, opened.does_ranges, opened.name) == (None, False, "the standard input")
        with pytest.raises(ImageUnavailable, match="beginning"), opened.reader(10):
            pass
        with opened.reader() as reader:
            assert whole(reader) == FILE
    for said, error in ((SIZE + 1, ImageTruncated), (SIZE - 1, ImageOverrun)):
        ref = image(url="-", file_bytes=said)
        with pytest.raises(error), source(local(), ref) as opened, opened.reader() as reader:
            whole(reader)
    stop = Event()
    stop.set()
    with source(local(), image(url="-"), stop) as opened, opened.reader() as reader, pytest.raises(Stopped):
        whole(reader)


def test_nonsense() -> None:
    """A URL that is none is told so."""
    with pytest.raises(InputError, match="none"), source(a_machine(), image(url="http://[")):
        pass
