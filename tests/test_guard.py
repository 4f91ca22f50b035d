# SPDX-License-Identifier: Apache-2.0
"""The guard itself: it must be able to fail a test, and let loopback through."""

from __future__ import annotations

import socket
import subprocess

import pytest

from tests.guard import Escaped, is_far


def test_no_process_can_be_started() -> None:
    """A fast test that starts a command fails, even if it catches every Exception."""
    with pytest.raises(Escaped, match="started a process"):
        subprocess.run(["true"], check=False)


def test_nothing_outside_can_be_reached() -> None:
    """A fast test that connects to another machine, or looks a name up, fails before a packet leaves."""
    with socket.socket() as sock, pytest.raises(Escaped, match=r"192\.0\.2\.1"):
        sock.connect(("192.0.2.1", 80))
    with pytest.raises(Escaped, match="looked up"):
        socket.getaddrinfo("example.org", 80)


@pytest.mark.parametrize(
    ("address", "far"),
    [
        (("127.0.0.1", 80), False),
        (("::1", 80, 0, 0), False),
        (("localhost", 80), False),
        (("0.0.0.0", 0), True),
        (("10.0.0.1", 80), True),
        (("2001:db8::1", 80, 0, 0), True),
        (("example.org", 80), True),
        (("", 80), False),
        ("/run/notify", False),
        (b"\0abstract", False),
        ((0, 0), False),
    ],
)
def test_what_is_far(address: object, far: bool) -> None:
    """Loopback, local sockets and netlink are near; every other address is far."""
    assert is_far(address) is far
