# SPDX-License-Identifier: Apache-2.0
"""What an HTTP answer means: whether it is what was asked for, and which of our errors it is if not. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPException
from socket import gaierror
from ssl import SSLCertVerificationError, SSLError

from agent.errors import AccessDenied, AgentError, ImageTruncated, ImageUnavailable, LinkError
from agent.model.url import named

SLOWEST_BYTES_PER_S = 16 * 1024
SLOW_AFTER_S = 120.0
"""A server that gives less for so long, while we wait for it, is a server that is gone."""
OVERLOADED = (408, 425, 429)
FOREIGN = ("requests", "urllib3")
MOST_DIGITS = 18
CONTENT_RANGE = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18}|\*)", re.ASCII)
SHOWN = 200
"""So much of a server's words is told."""


@dataclass(frozen=True)
class Wanted:
    """A file, or a range of it. `length_bytes` None is up to its end."""

    url: str
    offset_bytes: int = 0
    length_bytes: int | None = None

    @property
    def is_range(self) -> bool:
        """Whether it is less than the file."""
        return self.offset_bytes > 0 or self.length_bytes is not None

    @property
    def doing(self) -> str:
        """For messages."""
        if not self.is_range:
            return f"fetching {named(self.url)}"
        last = "its end" if self.length_bytes is None else str(self.offset_bytes + self.length_bytes - 1)
        return f"fetching bytes {self.offset_bytes} to {last} of {named(self.url)}"

    def headers(self, validator: str | None) -> dict[str, str]:
        """As it is asked for. If-Range takes strong validators only (RFC 9110, section 13.1.5)."""
        headers = {"Accept-Encoding": "identity"}
        if self.is_range:
            last = "" if self.length_bytes is None else self.offset_bytes + self.length_bytes - 1
            headers["Range"] = f"bytes={self.offset_bytes}-{last}"
            if validator and validator.startswith('"'):
                headers["If-Range"] = validator
        return headers


@dataclass(frozen=True)
class Given:
    """What a server says that it gives."""

    offset_bytes: int
    length_bytes: int | None
    total_bytes: int | None


def given(wanted: Wanted, status: int, headers: Mapping[str, str]) -> Given:
    """Of a good answer. A range must be the one that was asked for: `LinkError` if not, whatever the status says."""
    length = number(headers.get("Content-Length"))
    if status not in (200, 206):
        raise ImageUnavailable(wanted.doing, f"the server answered {status}, which has no file in it")
    if status == 200:
        return Given(0, length, length)
    said = headers.get("Content-Range", "")
    found = CONTENT_RANGE.fullmatch(said.strip())
    if found is None or not wanted.is_range:
        raise LinkError(wanted.doing, f"the server gives a part, '{said[:SHOWN]}', and not that one")
    first, last, total = int(found[1]), int(found[2]), number(found[3])
    ends = [] if wanted.length_bytes is None else [wanted.offset_bytes + wanted.length_bytes - 1]
    ends += [] if total is None else [total - 1]
    right = first == wanted.offset_bytes and first <= last and (not ends or last == min(ends))
    if not right or length not in (None, last - first + 1):
        raise LinkError(wanted.doing, f"the server gives '{said}', {length} bytes long, and not that range")
    return Given(first, last - first + 1, total)


def number(text: str | None) -> int | None:
    """Digits and nothing else, no more than a file's length can have: Python itself raises for thousands of them."""
    return int(text) if text and len(text) <= MOST_DIGITS and text.isascii() and text.isdigit() else None


def must_be_good(doing: str, status: int, reason: str, headers: Mapping[str, str]) -> None:
    """Raises `LinkError` where another try may help, `AccessDenied`, or `ImageUnavailable` for all else; and
    `ImageTruncated` if a range begins behind the file's end.
    """
    told = f"the server answered {status} {reason[:SHOWN]}".rstrip()
    if status in (401, 403):
        raise AccessDenied(doing, told, challenge=headers.get("WWW-Authenticate", ""))
    if status in OVERLOADED or status >= 500:
        raise LinkError(doing, told)
    if status == 416:
        size = number(headers.get("Content-Range", "").removeprefix("bytes */"))
        raise ImageTruncated(doing, f"the file has only {size} bytes") if size is not None else LinkError(doing, told)
    if not 200 <= status < 300:
        raise ImageUnavailable(doing, told)
    coding = headers.get("Content-Encoding", "identity")
    if coding != "identity":
        raise ImageUnavailable(doing, f"the server encodes it as '{coding[:SHOWN]}'")


def cause_of(error: BaseException) -> BaseException:
    """The first error in a chain that is no library's: theirs have whole URLs in their texts, with what is secret."""
    link: BaseException | None = error
    while link is not None and type(link).__module__.partition(".")[0] in FOREIGN:
        link = link.__cause__ or link.__context__
    return link or OSError(type(error).__name__)


def ours(doing: str, cause: BaseException) -> AgentError:
    """What it is to us."""
    match cause:
        case SSLCertVerificationError():
            hint = (
                "Give the image the authority that signed its server's certificate, and look at this machine's clock."
            )
            return ImageUnavailable(
                doing, f"the server's certificate is not trusted: {cause.verify_message}", hint=hint
            )
        case SSLError():
            evidence = f"TLS failed: {cause.reason or cause}"
        case gaierror():
            evidence = "its host is not known here"
        case TimeoutError():
            evidence = f"the server does not answer in time ({cause.strerror or cause})"
        case OSError():
            evidence = cause.strerror or str(cause)
        case HTTPException():
            evidence = "the server's answer is not HTTP, or ends too early"
        case _:
            evidence = type(cause).__name__
    return LinkError(doing, evidence)
