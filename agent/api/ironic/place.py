# SPDX-License-Identifier: Apache-2.0
"""The socket that Ironic calls: opened by root, held by systemd, lent to whoever serves."""

from __future__ import annotations

import socket

from agent.host.doors import Files

QUEUE = 64
"""Connections that wait in the kernel while nobody serves."""


def listening(address: tuple[str, int], held: socket.socket | None = None) -> socket.socket:
    """Of both families where the kernel has both. `held`: that of an earlier process, on which callers may wait; it
    counts if it is at this port. Raises `OSError`.
    """
    if held is not None and held.getsockname()[1] == address[1]:
        return held
    if held is not None:
        held.close()
    is_6 = ":" in address[0]
    is_both = is_6 and socket.has_dualstack_ipv6()
    return socket.create_server(
        address, family=socket.AF_INET6 if is_6 else socket.AF_INET, backlog=QUEUE, dualstack_ipv6=is_both
    )


def everywhere(files: Files) -> str:
    """All addresses, of both families where the kernel has both."""
    return "::" if files.exists("/proc/net/if_inet6") else "0.0.0.0"  # noqa: S104 - whoever calls has the token
