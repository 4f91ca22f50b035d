# SPDX-License-Identifier: Apache-2.0
"""Who answers: gateways, name servers, controllers, and what switches say. All are asked side by side."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from ipaddress import ip_address
from typing import TypeVar

from agent.diagnose.seen import Gateway, InCharge, NameServer
from agent.errors import AgentError, HostError
from agent.host.doors import Files, Host
from agent.inventory.network import nics
from agent.inventory.side_by_side import side_by_side
from agent.model.fact import Unknown, known
from agent.model.ladder import Ladder
from agent.model.lldp import LldpNeighbour, neighbour
from agent.model.network import IPAddress, LinkState, Route

SMALL_BYTES = 84
LATE_S = 0.2
"""Who keeps to a limit of its own answers after it, not at it."""
RESOLVERS = ("/run/systemd/resolve/resolv.conf", "/etc/resolv.conf")
"""systemd-resolved's own file comes first: the other one then names only itself."""
S = TypeVar("S")
T = TypeVar("T")


def each(ask: Callable[[S], T], of: Iterable[S], limit_s: float) -> tuple[T, ...]:
    """The same question to all of them, side by side, in their order. Raises `HostError` where one brings nothing: half
    of the answers would look like all of them.
    """
    told = side_by_side({str(place): partial(ask, one) for place, one in enumerate(of)}, limit_s + LATE_S)
    for one in told.values():
        if isinstance(one, Unknown):
            raise HostError("asking around", one.unknown)
    return tuple(one for one in told.values() if not isinstance(one, Unknown))


def gateways(host: Host, timeout_s: float) -> tuple[Gateway, ...]:
    """Of every default route. A gateway that is there may still answer no echo: then nothing is known of the MTU."""
    tables = host.netlink.tables()
    links = {link.name: link for link in tables.links}
    routes = [route for route in (*tables.routes, *tables.leased_routes) if route.is_default and route.gateway]
    found = {(route.link, route.gateway): route for route in routes if route.link in links}
    return each(lambda route: gateway(host, route, links[str(route.link)], timeout_s / 2), found.values(), timeout_s)


def gateway(host: Host, route: Route, link: LinkState, timeout_s: float) -> Gateway:
    """One: by ARP or neighbour discovery, then by two echoes side by side."""
    address = route.gateway
    assert address is not None
    if not host.probe.neighbour(link.name, address, timeout_s):
        return Gateway(link.name, address, link.mtu, answers=False)
    sizes = (SMALL_BYTES, link.mtu)
    small, whole = each(lambda size: host.probe.echo(link.name, address, size, timeout_s), sizes, timeout_s)
    return Gateway(link.name, address, link.mtu, answers=True, carries_small=small, carries_whole=whole)


def name_servers(host: Host, timeout_s: float) -> tuple[NameServer, ...]:
    """Those that the resolver asks."""
    found = configured(host.files)
    return each(lambda server: NameServer(server, host.probe.dns(server, timeout_s)), found, timeout_s)


def configured(files: Files) -> tuple[IPAddress, ...]:
    """From resolv.conf(5); a zone behind an address says by which link."""
    for path in RESOLVERS:
        if files.exists(path):
            words = [line.split() for line in files.read_text(path).splitlines()]
            return tuple(address(word[1]) for word in words if word[:1] == ["nameserver"] and is_address(word[1:2]))
    return ()


def is_address(words: list[str]) -> bool:
    """Whether there is one."""
    try:
        return bool(words) and bool(address(words[0]))
    except ValueError:
        return False


def address(word: str) -> IPAddress:
    """Without its zone. Raises `ValueError`."""
    return ip_address(word.partition("%")[0])


def ladders(host: Host, controllers: tuple[InCharge, ...], timeout_s: float) -> tuple[Ladder, ...]:
    """The way to each controller."""

    def climbed(one: InCharge) -> Ladder:
        return host.probe.climb(one.url, timeout_s, insecure=one.insecure, ca_pem=one.ca_pem)

    return each(climbed, controllers, timeout_s)


def neighbours(host: Host, timeout_s: float) -> dict[str, LldpNeighbour]:
    """What switches announce on NICs with a carrier. An announcement that is damaged is as if it had not been heard."""
    names = [nic.name for nic in nics(host) if known(nic.carrier)]
    found = {}
    for name, unit in (host.lldp(names, timeout_s) if names else {}).items():
        try:
            found[name] = neighbour(unit)
        except AgentError:
            continue
    return found
