# SPDX-License-Identifier: Apache-2.0
"""The servers of one file: which one is asked, what each was seen to be, and which are not asked any more."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from threading import Lock
from urllib.parse import urlsplit

from agent.errors import AccessDenied, AgentError, ImageChanged, ImageError, ImageOverrun, ImageTruncated
from agent.host.doors import Body, Fetch
from agent.model.image import Access, ImageRef
from agent.model.url import named
from agent.program.log import Logger

Renew = Callable[[AccessDenied], Access]
"""Gets other credentials after a refusal, or raises."""

log = Logger("image")


@dataclass(eq=False)
class Mirror:
    """One server's copy. `validator` is what its file had when it was first seen; `wrongs` is how often it gave
    what was not the image's.
    """

    url: str
    access: Access
    renew: Renew | None = None
    accept: str | None = None
    is_seen: bool = False
    validator: str | None = None
    does_ranges: bool | None = None
    is_slow: bool = False
    wrongs: int = 0
    lock: Lock = field(default_factory=Lock, repr=False)

    @property
    def doing(self) -> str:
        """For messages."""
        return f"fetching {named(self.url)}"

    def ask(self, fetch: Fetch, offset: int, length: int | None) -> AbstractContextManager[Body]:
        """One request."""
        return fetch(
            self.url,
            offset_bytes=offset,
            length_bytes=length,
            validator=self.validator,
            access=self.access,
            accept=self.accept,
        )

    def let_in_anew(self, refused: Access, denied: AccessDenied) -> None:
        """Get other credentials than those that were refused, unless another thread has them. Raises the refusal."""
        if self.renew is None:
            raise denied
        with self.lock:
            if self.access is refused:
                self.access = self.renew(denied)

    def must_be_the_same(self, body: Body) -> None:
        """Raises `ImageChanged` if it is not the file that was seen at first."""
        with self.lock:
            if not self.is_seen:
                self.is_seen, self.validator = True, body.validator
        if body.validator != self.validator:
            raise ImageChanged(self.doing, f"the file was '{self.validator}', and is '{body.validator}' now")


def access_of(image: ImageRef, url: str) -> Access:
    """Whoever names the image's servers gives one access for all of them; but it does not go out of TLS."""
    if is_plain(url) and not is_plain(image.url):
        return image.access.model_copy(update={"bearer": None, "username": None, "password": None})
    return image.access


def in_turn(image: ImageRef) -> list[ImageRef]:
    """The same image, each of its servers in turn before the others. None gets credentials so that it else would not,
    and none is asked what the image is.
    """
    urls = (image.url, *image.mirrors)
    return [
        image.model_copy(
            update={"url": url, "mirrors": (*urls[:number], *urls[number + 1 :]), "access": access_of(image, url)}
        )
        for number, url in enumerate(urls)
        if not number or is_known_by(image, url)
    ]


def is_known_by(image: ImageRef, url: str) -> bool:
    """Whether there is a digest of the image when that URL is in the place of its own: the digest is given; or the
    checksum file has that name, too; or both name a manifest of a registry by the same digest.
    """
    if image.sha256 or image.sha512:
        return True
    mark = "/" if image.checksums else "@"
    own, other = (urlsplit(each).path.rpartition(mark) for each in (image.url, url))
    return own[1:] == other[1:] and bool(own[1])


def is_plain(url: str) -> bool:
    """Whoever listens can read along."""
    return url.startswith("http:") or (url.startswith("oci:") and "plain-http=1" in url)


class Mirrors:
    """In turn: all readers ask the same one, until it fails. Any thread may call."""

    def __init__(self, mirrors: Sequence[Mirror], total_bytes: int | None) -> None:
        self._lock = Lock()
        self._usable = list(mirrors)
        self.total_bytes = total_bytes
        """The file's length, where it is known: nobody is asked who has another."""

    @property
    def current(self) -> Mirror:
        """Who is asked next."""
        return self._usable[0]

    @property
    def others(self) -> int:
        """How many more there are."""
        return len(self._usable) - 1

    def turn(self, mirror: Mirror) -> None:
        """It failed: ask the next, unless somebody else saw to that."""
        with self._lock:
            if self._usable[0] is mirror:
                self._usable = [*self._usable[1:], mirror]

    def slow(self, mirror: Mirror) -> bool:
        """It drips: ask it last. Whether they all do."""
        with self._lock:
            mirror.is_slow = True
            self._usable = sorted(self._usable, key=lambda one: one.is_slow)
            return all(one.is_slow for one in self._usable)

    def distrust(self, urls: Collection[str]) -> None:
        """What they gave was wrong: ask them last. So whoever was found wrong before is asked before them, and all are
        asked before one is asked again.
        """
        with self._lock:
            for mirror in self._usable:
                mirror.wrongs += mirror.url in urls
            self._usable = sorted(self._usable, key=lambda one: one.url in urls)

    def drop(self, mirror: Mirror, error: AgentError) -> None:
        """Never ask it again. Raises the error if there is no other."""
        with self._lock:
            left = [one for one in self._usable if one is not mirror]
            if not left:
                raise error
            self._usable = left
        log.warning("image server given up", error=str(error), left=len(left))

    def wrong_length(self, mirror: Mirror, told_bytes: int | None) -> ImageError | None:
        """What is wrong with a server that has so many bytes. The first that tells a length is believed."""
        with self._lock:
            if self.total_bytes is None:
                self.total_bytes = told_bytes
            total = self.total_bytes
        if told_bytes is None or total is None or told_bytes == total:
            return None
        kind = ImageTruncated if told_bytes < total else ImageOverrun
        return kind(mirror.doing, f"the server has {told_bytes} bytes, the image should have {total}")
