# SPDX-License-Identifier: Apache-2.0
"""The lab's web server: whole files, and any one part of a file."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from lab.files import Files, span

CONTENT = bytes(range(256)) * 20_000


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    """A file on a server that runs."""
    (tmp_path / "image").write_bytes(CONTENT)
    server = Files(("127.0.0.1", 0), tmp_path)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, name="files")
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}/image"
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_file_is_sent_whole(url: str) -> None:
    """Without a range: all of it, and the offer of ranges."""
    answer = requests.get(url, timeout=5)

    assert (answer.status_code, answer.headers["Accept-Ranges"]) == (200, "bytes")
    assert answer.content == CONTENT


def test_parts_come_over_one_connection(url: str) -> None:
    """Each part is exactly what was asked for, wherever it lies, and the connection goes on with the next."""
    with requests.Session() as session:
        for start, end in ((0, 1), (1, 3_000_000), (5_119_999, 5_120_000)):
            answer = session.get(url, headers={"Range": f"bytes={start}-{end - 1}"}, timeout=5)
            assert (answer.status_code, answer.content) == (206, CONTENT[start:end])
            assert answer.headers["Content-Range"] == f"bytes {start}-{end - 1}/{len(CONTENT)}"


def test_a_part_that_is_not_there_is_told(url: str) -> None:
    """Behind the end there is nothing, and the answer says how long the file is."""
    answer = requests.get(url, headers={"Range": f"bytes={len(CONTENT)}-"}, timeout=5)

    assert (answer.status_code, answer.headers["Content-Range"]) == (416, f"bytes */{len(CONTENT)}")


@pytest.mark.parametrize(
    ("header", "wanted"),
    [
        ("bytes=0-0", (0, 1)),
        ("bytes=90-", (90, 100)),
        ("bytes=90-500", (90, 100)),
        ("bytes=-10", (90, 100)),
        ("bytes=-500", (0, 100)),
        ("bytes=-0", None),
        ("bytes=100-", None),
        ("bytes=5-4", None),
        ("bytes=-", None),
        ("bytes=0-1,5-6", (0, 100)),
        ("lines=0-1", (0, 100)),
    ],
)
def test_ranges_are_read(header: str, wanted: tuple[int, int] | None) -> None:
    """From, to, both, the last so many; what cannot be served is none; what is not understood is the whole."""
    assert span(header, 100) == wanted
