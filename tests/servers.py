# SPDX-License-Identifier: Apache-2.0
"""Real servers on loopback: nginx, and Debian's docker-registry. Each runs from a folder of the test's own."""

from __future__ import annotations

import json
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

START_S = 20.0
Auth = dict[str, dict[str, str]]


class Process:
    """A server that listens on a port of loopback. It is ended by its own handle."""

    def __init__(self, folder: Path, argv: list[str], port: int) -> None:
        self._folder = folder
        self._argv = argv
        self._port = port
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Returns when it answers."""
        with (self._folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                self._argv, cwd=self._folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        end = time.monotonic() + START_S
        while time.monotonic() < end and self._process.poll() is None:
            with suppress(OSError), socket.create_connection(("127.0.0.1", self._port), timeout=1):
                return
            time.sleep(0.02)
        self.stop()
        raise AssertionError(f"{self._argv[0]} does not answer: {(self._folder / 'server.log').read_text()[-2000:]}")

    def stop(self) -> None:
        """At once, with all its connections."""
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait(10)
        self._process = None


NGINX = """
daemon off;
user root;
worker_processes 1;
pid {folder}/nginx.pid;
error_log stderr warn;
events {{}}
http {{
    access_log {folder}/access.log combined;
    {temporary}
    sendfile on;
    keepalive_requests 100;
    client_max_body_size 0;
    server {{
        listen 127.0.0.1:{port} {tls};
        {certificate}
        root {folder}/www;
        location /private/ {{ auth_basic "images"; auth_basic_user_file {folder}/users; }}
        location /plain/ {{ max_ranges 0; }}
        location /out/ {{ rewrite ^/out/(.*)$ http://127.0.0.1:{port}/$1 redirect; }}
        location /away/ {{ rewrite ^/away/(.*)$ /$1 redirect; }}
        location /upload/ {{ dav_methods PUT; create_full_put_path on; }}
    }}
}}
"""
TEMPORARY = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")


class Nginx(Process):
    """Files of `www`: at /, without ranges at /plain/, with a password at /private/ (me, pw); PUT to /upload/."""

    def __init__(self, folder: Path, certificate: tuple[Path, Path] | None = None) -> None:
        self.www = folder / "www"
        for name in ("plain", "private", "upload"):
            (self.www / name).mkdir(parents=True, exist_ok=True)
        (folder / "users").write_text("me:{PLAIN}pw\n")
        port = free_port()
        paths = (
            "" if certificate is None else f"ssl_certificate {certificate[0]}; ssl_certificate_key {certificate[1]};"
        )
        (folder / "nginx.conf").write_text(
            NGINX.format(
                folder=folder,
                port=port,
                tls="ssl" if certificate else "",
                certificate=paths,
                temporary=" ".join(f"{name}_temp_path {folder}/temporary;" for name in TEMPORARY),
            )
        )
        self.url = f"http{'s' if certificate else ''}://localhost:{port}"
        super().__init__(folder, ["/usr/sbin/nginx", "-p", str(folder), "-c", str(folder / "nginx.conf")], port)

    def asked(self) -> list[str]:
        """The lines of its access log."""
        return (self._folder / "access.log").read_text().splitlines()


class Registry(Process):
    """A registry: open, with a password (me, pw), or with tokens, as `auth` says."""

    def __init__(
        self, folder: Path, auth: dict[str, dict[str, str]], certificate: tuple[Path, Path] | None = None
    ) -> None:
        port = free_port()
        self.address = f"localhost:{port}"
        self.base = f"http{'s' if certificate else ''}://{self.address}"
        http: dict[str, object] = {"addr": f"127.0.0.1:{port}", "secret": "of a test"}
        if certificate is not None:
            http["tls"] = {"certificate": str(certificate[0]), "key": str(certificate[1])}
        storage = {"filesystem": {"rootdirectory": str(folder / "registry")}}
        config = {"version": "0.1", "log": {"level": "warn"}, "storage": storage, "http": http, "auth": auth}
        (folder / "registry.yml").write_text(json.dumps({name: value for name, value in config.items() if value}))
        super().__init__(folder, ["/usr/bin/docker-registry", "serve", str(folder / "registry.yml")], port)


@contextmanager
def running(server: Process) -> Iterator[None]:
    """For as long as the block runs."""
    server.start()
    try:
        yield
    finally:
        server.stop()


ME = "me:$2y$05$hPiiHYZgVGbpeCdxGgiPz.vnzPWTpEHutKBeTTiW0epV/KfgxsHjW"
"""The user me with the password pw. The registry takes bcrypt only, which Python cannot make."""


def htpasswd(folder: Path) -> Auth:
    """The registry's `auth` for that user."""
    (folder / "htpasswd").write_text(f"{ME}\n")
    return {"htpasswd": {"realm": "images", "path": str(folder / "htpasswd")}}


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
        return port
