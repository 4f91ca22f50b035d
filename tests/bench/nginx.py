# SPDX-License-Identifier: Apache-2.0
"""Real nginx processes for measurements and tests: one that serves a folder, and the one that we ship for a rack.

Each lives in a folder of its own, on a port of its own, and is ended by its pid. What it sent is known from its log.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

START_TIMEOUT_S = 10.0
END_TIMEOUT_S = 10.0
SERVE = Path(__file__).parents[2] / "images/cache/serve"
LOG_FORMAT = '\'$status $bytes_sent "$request_method $uri" "$http_range" $upstream_cache_status\''

ORIGIN = """
daemon off;
worker_processes 2;
user {user};
pid {folder}/pid;
error_log {folder}/error.log warn;
events {{ worker_connections 1024; }}
http {{
    log_format bytes {log_format};
    access_log {folder}/access.log bytes;
    sendfile on;
    tcp_nopush on;
    keepalive_requests 100000;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen {address}:{port};
        root {root};
        types {{ }}
        default_type application/octet-stream;
        {more}
    }}
}}
"""


@dataclass(frozen=True)
class Request:
    """A line of the log."""

    status: int
    sent_bytes: int
    method: str
    path: str
    cache: str


class Server:
    """A running nginx. `kill` ends it without a word, as a power cut would."""

    def __init__(self, process: subprocess.Popen[bytes], folder: Path, address: str, port: int) -> None:
        self._process = process
        self._log = folder / "access.log"
        self.folder = folder
        self.address = address
        self.port = port

    @property
    def url(self) -> str:
        """Without a slash at the end."""
        return f"http://{self.address}:{self.port}"

    def requests(self, since: int = 0) -> list[Request]:
        """What it answered, from this many on."""
        lines = self._log.read_text().splitlines()[since:] if self._log.exists() else []
        return [parsed(line) for line in lines]

    def sent_bytes(self, since: int = 0) -> int:
        """All of it, with headers."""
        return sum(one.sent_bytes for one in self.requests(since))

    def kill(self) -> None:
        """The whole process group at once."""
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(END_TIMEOUT_S)

    def end(self) -> None:
        """In order, where it still runs."""
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(END_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                self.kill()


def parsed(line: str) -> Request:
    """A line as `LOG_FORMAT` has it."""
    status, sent, rest = line.split(" ", 2)
    method, path = rest.split('"')[1].split(" ", 1)
    return Request(int(status), int(sent), method, path, rest.rpartition(" ")[2])


@contextmanager
def origin(
    root: Path, folder: Path, *, address: str = "127.0.0.1", port: int = 0, inside: Sequence[str] = (), more: str = ""
) -> Iterator[Server]:
    """An image server for the files below `root`. `more` goes into its configuration."""
    port = port or free_port()
    words = {"user": "root", "folder": folder, "log_format": LOG_FORMAT, "address": address, "port": port}
    with running(ORIGIN.format(**words, root=root, more=more), folder, address, port, inside) as server:
        yield server


@contextmanager
def cache(
    origin_url: str,
    folder: Path,
    *,
    address: str = "127.0.0.1",
    port: int = 0,
    inside: Sequence[str] = (),
    size: str = "1g",
) -> Iterator[Server]:
    """What we ship for a rack, by its own command."""
    port = port or free_port()
    argv = [str(SERVE), "--origin", origin_url, "--listen", f"{address}:{port}", "--folder", str(folder / "cache")]
    with started([*inside, *argv, "--size", "1g", "--user", "root"], folder / "cache", address, port) as server:
        yield server


@contextmanager
def running(text: str, folder: Path, address: str, port: int, inside: Sequence[str] = ()) -> Iterator[Server]:
    """An nginx with this configuration, from when it answers on. `inside` is put before its command."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "nginx.conf").write_text(text)
    argv = [*inside, "nginx", "-e", str(folder / "error.log"), "-c", str(folder / "nginx.conf")]
    with started(argv, folder, address, port) as server:
        yield server


@contextmanager
def started(argv: Sequence[str], folder: Path, address: str, port: int) -> Iterator[Server]:
    """By a command that stays in the foreground and writes into that folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "pid").unlink(missing_ok=True)
    with (folder / "output").open("wb") as output:
        process = subprocess.Popen(argv, stdout=output, stderr=output, process_group=0)
    server = Server(process, folder, address, port)
    try:
        wait_until_it_listens(process, folder)
        yield server
    finally:
        server.end()


def wait_until_it_listens(process: subprocess.Popen[bytes], folder: Path) -> None:
    """It writes its pid once it listens."""
    until = time.monotonic() + START_TIMEOUT_S
    while not (folder / "pid").exists() or not (folder / "pid").read_text().strip():
        told = "".join((folder / name).read_text() for name in ("output", "error.log") if (folder / name).exists())
        assert process.poll() is None, f"nginx ended: {told}"
        assert time.monotonic() < until, f"nginx does not start: {told}"
        time.sleep(0.02)


def free_port() -> int:
    """A port of the loopback that nobody has now."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])
