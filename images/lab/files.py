# SPDX-License-Identifier: Apache-2.0
"""A folder over HTTP, with ranges (RFC 9110, section 14): the web server beside Ironic, for boot files and images.

A process of its own: `python -m lab.files FOLDER PORT`.
"""

from __future__ import annotations

import functools
import os
import re
import sys
from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from typing import Any

ONE_RANGE = re.compile(r"bytes=(\d*)-(\d*)")


def span(header: str, size: int) -> tuple[int, int] | None:
    """First byte and end of the one range that is asked for; None says that nothing of it is there."""
    found = ONE_RANGE.fullmatch(header)
    if found is None:  # several ranges, or none that can be read: the whole may be sent
        return 0, size
    first, last = found.groups()
    if not first:
        return (max(0, size - int(last)), size) if last and int(last) else None
    start, end = int(first), min(int(last) + 1 if last else size, size)
    return (start, end) if start < end else None


class Part:
    """Some bytes of a file, as something to be read and closed."""

    def __init__(self, path: Path, start: int, end: int) -> None:
        self._file = path.open("rb")
        self._file.seek(start)
        self._left = end - start

    def read(self, size: int) -> bytes:
        piece = self._file.read(min(size, self._left))
        self._left -= len(piece)
        return piece

    def close(self) -> None:
        self._file.close()


class Handler(SimpleHTTPRequestHandler):
    """What the standard library's does, and one range of it."""

    protocol_version = "HTTP/1.1"

    def send_head(self) -> BytesIO | Any:
        """The file, positioned; only a request for a part of a file is answered here."""
        path, header = Path(self.translate_path(self.path)), self.headers.get("Range")
        if header is None or not path.is_file():
            return super().send_head()
        size = path.stat().st_size
        wanted = span(header, size)
        if wanted is None:
            self.send_response(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE)
            self.send_header("Content-Range", f"bytes */{size}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return None
        return self._part(path, *wanted, size)

    def _part(self, path: Path, start: int, end: int, size: int) -> Part:
        self.send_response(HTTPStatus.PARTIAL_CONTENT)
        self.send_header("Content-Type", self.guess_type(str(path)))
        self.send_header("Content-Range", f"bytes {start}-{end - 1}/{size}")
        self.send_header("Content-Length", str(end - start))
        self.send_header("Last-Modified", self.date_time_string(path.stat().st_mtime))
        self.end_headers()
        return Part(path, start, end)

    def end_headers(self) -> None:
        self.send_header("Accept-Ranges", "bytes")
        super().end_headers()


class Files(ThreadingHTTPServer):
    """The server of one folder."""

    daemon_threads = True

    def __init__(self, address: tuple[str, int], folder: Path) -> None:
        super().__init__(address, functools.partial(Handler, directory=os.fspath(folder)))


def main() -> None:
    """Serve the folder that is named on the command line, on every address."""
    folder, port = sys.argv[1:]
    Files(("", int(port)), Path(folder)).serve_forever()


if __name__ == "__main__":
    main()
