# SPDX-License-Identifier: Apache-2.0
"""IPv6 link-local addresses by link. The kernel makes them, so the network's state leaves them out; an inspection that
tells which NICs have an address of any kind does not.
"""

from __future__ import annotations

from ipaddress import IPv6Address

from agent.host.doors import Files

TABLE = "/proc/net/if_inet6"  # address, index, prefix length, scope, flags, name (net/ipv6/addrconf.c, if6_seq_show)


def link_locals(files: Files) -> dict[str, IPv6Address]:
    """The first of each link; none of a kernel without IPv6. Raises `HostError`."""
    found: dict[str, IPv6Address] = {}
    if not files.exists(TABLE):
        return found
    for row in (line.split() for line in files.read_text(TABLE).splitlines()):
        address = IPv6Address(bytes.fromhex(row[0]))
        if address.is_link_local:
            found.setdefault(row[-1], address)
    return found
