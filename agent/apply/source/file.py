# SPDX-License-Identifier: Apache-2.0
"""Stage 1 from this machine itself: a file or a device, in ranges by several threads; or the standard input, once."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from threading import Event
from urllib.parse import unquote, urlsplit

from agent.apply.crew import Stopped
from agent.apply.meter import Meter, Stage
from agent.errors import ImageOverrun, ImageTruncated, ImageUnavailable
from agent.host.doors import LargeFile
from agent.model.image import ImageRef

STDIN = "-"


class FileSource:
    """`Source` of a file that is open."""

    def __init__(self, file: LargeFile, image: ImageRef, stop: Event, meter: Meter) -> None:
        """Raises `ImageTruncated` or `ImageOverrun` if the file has another length than it should have."""
        self._file = file
        self._stop = stop
        self._meter = meter
        self.image = image
        self.name = "the standard input" if image.url == STDIN else path_of(image.url)
        self.size_bytes = image.file_bytes if file.size_bytes is None else file.size_bytes
        self.does_ranges = file.size_bytes is not None
        if image.file_bytes is not None and self.size_bytes != image.file_bytes:
            kind = ImageTruncated if (self.size_bytes or 0) < image.file_bytes else ImageOverrun
            raise kind(self._doing, f"it has {self.size_bytes} bytes, the image should have {image.file_bytes}")

    @contextmanager
    def reader(self, offset_bytes: int = 0, length_bytes: int | None = None) -> Iterator[FileReader]:
        """A stream has one, for all of it."""
        if not self.does_ranges and (offset_bytes or length_bytes is not None):
            hint = "Put the image into a file, or into a URL."
            raise ImageUnavailable(self._doing, "a stream is read from its beginning to its end", hint=hint)
        ends = (None if length_bytes is None else offset_bytes + length_bytes, self.size_bytes)
        end = min((each for each in ends if each is not None), default=None)
        yield FileReader(self._file, offset_bytes, end, self._stop, self._meter, self._doing)

    def distrust(self, servers: Collection[str]) -> None:
        """There is no other."""

    @property
    def _doing(self) -> str:
        return f"reading {self.name}"


class FileReader:
    """`SourceReader` of one range."""

    servers = ()

    def __init__(self, file: LargeFile, offset: int, end: int | None, stop: Event, meter: Meter, doing: str) -> None:
        self._file = file
        self._at = offset
        self._end = end
        self._stop = stop
        self._meter = meter
        self._doing = doing

    def fill(self, view: memoryview) -> int:
        """The whole view, or less at the end of range or file. Raises `HostError`, too."""
        if self._stop.is_set():
            raise Stopped
        part = view if self._end is None else view[: max(self._end - self._at, 0)]
        with self._meter.busy(Stage.SOURCE):
            got = self._file.read_into(self._at, part)
        self._meter.add(Stage.SOURCE, 0.0, got)
        self._at += got
        if self._end is not None and got < len(part):
            raise ImageTruncated(self._doing, f"it ended after {self._at} of {self._end} bytes")
        if self._file.size_bytes is None and self._at == self._end and self._goes_on():
            raise ImageOverrun(self._doing, f"it is longer than the {self._end} bytes it should have")
        return got

    def _goes_on(self) -> bool:
        return self._file.read_into(self._at, memoryview(bytearray(1))) > 0


def path_of(url: str) -> str:
    """file:///path, or file://localhost/path (RFC 8089)."""
    parts = urlsplit(url)
    if parts.netloc not in ("", "localhost"):
        raise ImageUnavailable(f"reading {url}", f"a file is on this machine, not on {parts.netloc}")
    return unquote(parts.path)
