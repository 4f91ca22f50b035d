# SPDX-License-Identifier: Apache-2.0
"""The door to links, addresses and routes: the only module that uses pyroute2.

In: interface indexes, addresses. Out: `Link`s. One socket per call, closed at its end: 3 ms, and nothing to leak or to
resynchronise. It must not decide: which address belongs where is the planner's matter.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import IPv4Address, IPv4Interface
from typing import Any

from agent.errors import HostError
from agent.host.doors import Link

MAIN_TABLE = 254  # RT_TABLE_MAIN, linux/rtnetlink.h
IFF_UP = 0x1  # linux/if.h
IPV4 = 2  # AF_INET, sys/socket.h
DUMP_ATTEMPTS = 5


class RealNetlink:
    """`doors.Netlink` over rtnetlink."""

    def links(self) -> tuple[Link, ...]:
        """Every link of this network namespace, by index."""
        with talking("reading the network interfaces") as route:
            addresses = addresses_by_index(dump(route.get_addr, family=IPV4))
            gateways = gateways_by_index(dump(route.get_default_routes, family=IPV4, table=MAIN_TABLE))
            links = [link_of(each, addresses, gateways) for each in dump(route.get_links)]
        return tuple(sorted(links, key=lambda link: link.index))

    def set_link(self, index: int, *, up: bool = True, mtu: int | None = None) -> None:
        """Bring a link up or down, and set its MTU."""
        wanted = {} if mtu is None else {"mtu": mtu}
        with talking(f"setting link {index} {'up' if up else 'down'}{f' with MTU {mtu}' if mtu else ''}") as route:
            route.link("set", index=index, state="up" if up else "down", **wanted)

    def add_address(self, index: int, address: IPv4Interface) -> None:
        """Put an address on a link; one that is there becomes permanent (it may have had a DHCP lease's lifetime)."""
        with talking(f"adding {address} to link {index}") as route:
            route.addr("replace", index=index, **address_arguments(address))

    def remove_address(self, index: int, address: IPv4Interface) -> None:
        """Take an address off a link."""
        with talking(f"removing {address} from link {index}", fine=(errno.EADDRNOTAVAIL,)) as route:
            route.addr("del", index=index, **address_arguments(address))

    def set_default_route(self, index: int, gateway: IPv4Address) -> None:
        """Make this the default route of the main table with the best metric, in place of any such before."""
        with talking(f"setting the default route to {gateway} through link {index}") as route:
            route.route("replace", dst="default", gateway=str(gateway), oif=index, table=MAIN_TABLE)


@contextmanager
def talking(doing: str, fine: tuple[int, ...] = ()) -> Iterator[Any]:
    """A netlink socket for one call; the kernel's refusals become errors, but for the `fine` ones."""
    from pyroute2 import IPRoute, NetlinkError  # lazy: 0.1 s of import time

    try:
        with IPRoute() as route:
            yield route
    except NetlinkError as error:
        if error.code not in fine:
            raise HostError(doing, refusal(error)) from error
    except OSError as error:
        raise HostError(doing, error.strerror or str(error)) from error


def refusal(error: Any) -> str:
    """What the kernel said: pyroute2's error is (errno, text)."""
    return str(error.args[1]) if len(error.args) > 1 else str(error)


def dump(ask: Any, **arguments: Any) -> list[Any]:
    """A whole table. The kernel flags a table that changed while it was told (NLM_F_DUMP_INTR): ask again."""
    from pyroute2.netlink.exceptions import NetlinkDumpInterrupted  # lazy, as above

    for _ in range(DUMP_ATTEMPTS - 1):
        try:
            return list(ask(**arguments))
        except NetlinkDumpInterrupted:
            continue
    return list(ask(**arguments))


def link_of(message: Any, addresses: dict[int, list[IPv4Interface]], gateways: dict[int, IPv4Address]) -> Link:
    """A RTM_NEWLINK message, with what the other tables say of the same index."""
    index = int(message["index"])
    info = message.get_attr("IFLA_LINKINFO")
    mac = message.get_attr("IFLA_ADDRESS") or ""
    permanent = message.get_attr("IFLA_PERM_ADDRESS")  # told even while a bond lends the link another MAC
    return Link(
        index=index,
        name=str(message.get_attr("IFLA_IFNAME")),
        current_mac=mac.lower(),
        permanent_mac=permanent.lower() if permanent else None,
        up=bool(message["flags"] & IFF_UP),
        carrier=bool(message.get_attr("IFLA_CARRIER")),
        mtu=int(message.get_attr("IFLA_MTU") or 0),
        kind=None if info is None else info.get_attr("IFLA_INFO_KIND"),
        addresses=tuple(addresses.get(index, ())),
        gateway=gateways.get(index),
    )


def addresses_by_index(messages: list[Any]) -> dict[int, list[IPv4Interface]]:
    """Link index → its addresses. On a point-to-point link IFA_ADDRESS is the peer and IFA_LOCAL ours."""
    found: dict[int, list[IPv4Interface]] = {}
    for message in messages:
        ours = message.get_attr("IFA_LOCAL") or message.get_attr("IFA_ADDRESS")
        if ours:
            found.setdefault(int(message["index"]), []).append(IPv4Interface(f"{ours}/{message['prefixlen']}"))
    return found


def gateways_by_index(messages: list[Any]) -> dict[int, IPv4Address]:
    """Link index → gateway of its default route; the lowest metric wins, as it does in the kernel."""
    found: dict[int, IPv4Address] = {}
    for message in sorted(messages, key=lambda each: each.get_attr("RTA_PRIORITY") or 0):
        link, gateway = message.get_attr("RTA_OIF"), message.get_attr("RTA_GATEWAY")
        if link is not None and gateway:
            found.setdefault(int(link), IPv4Address(gateway))
    return found


def address_arguments(address: IPv4Interface) -> dict[str, Any]:
    """What pyroute2 wants to hear; the broadcast address is what `ip address add … brd +` sets."""
    wide = address.network.prefixlen < 31
    broadcast = {"broadcast": str(address.network.broadcast_address)} if wide else {}
    return {"address": str(address.ip), "prefixlen": address.network.prefixlen} | broadcast
