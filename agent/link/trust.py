# SPDX-License-Identifier: Apache-2.0
"""Whom an agent takes for its controller: whoever has a certificate of the one authority whose digest it was told.

The authority is the controller's own and certifies no other server, so the name in a certificate says no more: a
controller that got another address is the same. (What nodes have of it opens connections, and is no server's.) The
system's authorities count for nothing here.
"""

from __future__ import annotations

import hashlib
import os
import ssl
from http.client import HTTPException, HTTPSConnection
from typing import Any
from urllib.parse import urlsplit

from agent.errors import ConfigError, LinkError
from agent.link.leash import CUT, Leash, Leashed

CA_PATH = "/boot/ca.pem"
TIMEOUT_S = 15.0
"""For the connection, and again for TLS."""
CA_BYTES = 64 * 1024
OTHER = (
    "Somebody may be in between. Or the controller has lost its authority: then it is to have it back from a backup, "
    "or controller and ca in agent.toml are to name the new one."
)


def authority(url: str, pin: str, leash: Leash, within_s: float) -> str:
    """The authority's certificate, as PEM, from the controller itself: whoever sends it, the digest says whether it is
    the one. It is there within that time, or not at all. Raises `LinkError`, `ConfigError`."""
    parts, doing = urlsplit(url), f"asking {url} for its authority"
    if parts.scheme != "https" or not parts.hostname:
        raise ConfigError(doing, "an authority is pinned, and the URL is not https", hint="Correct bms.controller.")
    connection = HTTPSConnection(parts.hostname, parts.port, context=_context(None), timeout=TIMEOUT_S)
    try:
        with leash.within(within_s):
            connection.connect()
            leash.hold(connection.sock)
            connection.request("GET", f"{parts.path.rstrip('/')}{CA_PATH}")
            der = ssl.PEM_cert_to_DER_cert(connection.getresponse().read(CA_BYTES).decode("ascii"))
    except (OSError, HTTPException, ValueError) as error:
        raise LinkError(doing, CUT if leash.is_cut else type(error).__name__) from error
    finally:
        connection.close()
    found = f"sha256:{hashlib.sha256(der).hexdigest()}"
    if found != pin:
        raise LinkError(doing, f"its authority is {found}, and not {pin}", hint=OTHER)
    return ssl.DER_cert_to_PEM_cert(der)  # what was judged, and nothing else: OpenSSL trusts each certificate of a text


class Pinned(Leashed):
    """TLS with servers that this authority certifies; opened with a certificate and its key (PEM), if there is one."""

    def __init__(self, pem: str, leash: Leash, shown: str | None = None) -> None:
        context = _context(pem)
        if shown is not None:
            show(context, shown)
        super().__init__(leash, context)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Called by the constructor."""
        super().init_poolmanager(*args, assert_hostname=False, **kwargs)

    def cert_verify(self, conn: Any, url: str, verify: Any, cert: Any) -> None:
        """requests would add the system's authorities."""


def _context(pem: str | None) -> ssl.SSLContext:
    """That trusts this authority alone, or, for what is judged by its digest, anybody."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.check_hostname = False
    context.verify_mode = ssl.CERT_REQUIRED if pem else ssl.CERT_NONE
    if pem:
        context.load_verify_locations(cadata=pem)
    return context


def show(context: ssl.SSLContext, pem: str) -> None:
    """By it, connections are opened. ssl reads paths alone: this is one in memory, and no disk has the key."""
    descriptor = os.memfd_create("certificate", os.MFD_CLOEXEC)
    try:
        os.write(descriptor, pem.encode())
        context.load_cert_chain(f"/proc/self/fd/{descriptor}")
    finally:
        os.close(descriptor)
