# SPDX-License-Identifier: Apache-2.0
"""The door to images, against answers that are no good HTTP: each is an error of ours, and soon. What a server may send
without end ends here.
"""

from __future__ import annotations

import time

import pytest

from agent.errors import AgentError, ImageUnavailable, LinkError
from agent.host.fetch import RealFetch
from tests import hostile
from tests.bodies import whole
from tests.hostile import serving

SOON_S = 20.0
"""On a machine that does much else. Each of the first took for ever."""
OK, FOUND, BUSY = (b"HTTP/1.1 " + told + b"\r\n" for told in (b"200 OK", b"302 Found", b"503 Busy"))
CHUNKED = b"Transfer-Encoding: chunked\r\n"
MANY = b"9" * 5000
LINE, CONTINUE = b"X-A: b\r\n", b"HTTP/1.1 100 Continue\r\n"
PIECE = b"400\r\n" + bytes(1024) + b"\r\n"

LIES: dict[str, hostile.Answer] = {
    "continue without end": hostile.verbatim(b"", CONTINUE + b"\r\n"),
    "continue without end, with headers": hostile.verbatim(b"", CONTINUE + LINE * 90 + b"\r\n"),
    "headers without end": hostile.verbatim(OK, LINE),
    "a header without end": hostile.verbatim(OK + b"X-A: ", b"b"),
    "a status without end": hostile.verbatim(OK[:-2], b"b"),
    "trailers without end": hostile.verbatim(OK + CHUNKED + b"\r\n3\r\nabc\r\n0\r\n", LINE),
    "a chunk's extension without end": hostile.verbatim(OK + CHUNKED + b"\r\n3;", b"a=b;"),
    "a redirect's body without end": hostile.verbatim(
        FOUND + b"Location: ftp://a/\r\nContent-Length: 5\r\n" + CHUNKED + b"\r\n", PIECE
    ),
    "a refusal's body without end": hostile.verbatim(BUSY + b"Content-Length: 5\r\n" + CHUNKED + b"\r\n", PIECE),
    **{
        f"a chunk of {size!r}": hostile.verbatim(OK + CHUNKED + b"\r\n" + size + b"\r\n" + bytes(20_000))
        for size in (b"-5", b"+5", b"0x5", b"0_5", b"", b"f" * 16)
    },
    "a chunk of 5000 digits": hostile.verbatim(OK + CHUNKED + b"\r\n" + MANY + b"\r\n" + bytes(20_000)),
    "a redirect to a host with a NUL": hostile.verbatim(
        FOUND + b"Content-Length: 0\r\nLocation: http://a%00b/\r\n\r\n"
    ),
    "a redirect to a port of 5000 digits": hostile.verbatim(
        FOUND + b"Content-Length: 0\r\nLocation: http://a:" + MANY + b"/\r\n\r\n"
    ),
    "a file of no known length": hostile.verbatim(b"HTTP/1.1 416 No\r\nContent-Range: bytes */" + MANY + b"\r\n\r\n"),
    "another protocol": hostile.verbatim(b"SSH-2.0-OpenSSH_9.9\r\n"),
    "a status of 60 KB": hostile.verbatim(b"HTTP/1.1 404 \x1b[31m" + b"y" * 60_000 + b"\r\n\r\n"),
    "a coding of 60 KB": hostile.verbatim(OK + b"Content-Encoding: " + b"y" * 60_000 + b"\r\n\r\n"),
}


@pytest.mark.parametrize("name", sorted(LIES))
def test_lies(name: str) -> None:
    """Refused, or an error after which another try may help, in a few words."""
    with serving(b"image") as server:
        server.script = [LIES[name]]
        began_s = time.monotonic()
        with pytest.raises(AgentError) as caught, RealFetch()(server.url) as body:
            whole(body)
    assert time.monotonic() - began_s < SOON_S
    assert isinstance(caught.value, LinkError | ImageUnavailable) and len(str(caught.value)) < 400


@pytest.mark.parametrize("length", [MANY, b"-3", b"3, 3", b"+3", b"3x"])
def test_length_that_is_none(length: bytes) -> None:
    """It is taken for one that was not told: the body ends with the connection, and its digest will judge."""
    with serving(b"image") as server:
        server.script = [hostile.verbatim(OK + b"Content-Length: " + length + b"\r\n\r\nabc")]
        with RealFetch()(server.url) as body:
            assert body.length_bytes is None and whole(body) == b"abc"


@pytest.mark.parametrize("size", [b"3", b"03", b"3 ", b"3;a=b", b"3 ;a"])
def test_chunks_as_they_may_be(size: bytes) -> None:
    """With an extension, with zeroes in front, and with a few trailers behind the last."""
    with serving(b"image") as server:
        begin = CONTINUE + b"\r\n" + OK + CHUNKED + b"\r\n"
        server.script = [hostile.verbatim(begin + size + b"\r\nabc\r\n0\r\n" + LINE * 9 + b"\r\n")]
        with RealFetch()(server.url) as body:
            assert whole(body) == b"abc"
