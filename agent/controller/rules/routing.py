# SPDX-License-Identifier: Apache-2.0
"""Routes of a server, and the rules by which each of several NICs in one VPC answers for itself."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from agent.controller.rules.wiring import VRF_TABLES, Attachment, Wiring
from agent.model.network import DEFAULT_V4, MAIN_TABLE, Route, RouteType, Rule
from agent.model.network.routing import answered_from

PORT_TABLES = 100  # and the port's position; the rule's priority too
LAST_METRIC = 4278198272  # the kernel's own advice for the last route of a VRF


def routing_of(wiring: Wiring) -> tuple[tuple[Route, ...], tuple[Rule, ...]]:
    """A default route a VPC, by its first port; the subnets' own routes; and tables of ports' own.

    Where a VRF leads nowhere, it says so: the kernel would look into the main table next (its networking/vrf.rst).
    """
    routes: list[Route] = []
    rules: list[Rule] = []
    for place, (vpc, attachments) in enumerate(wiring.by_vpc):
        table = VRF_TABLES + vpc.number if place else MAIN_TABLE
        routes += _shared(wiring, attachments, table)
        if place:
            routes.append(Route(destination=DEFAULT_V4, type=RouteType.UNREACHABLE, table=table, metric=LAST_METRIC))
        if len(attachments) > 1:
            for one in attachments:
                own, chosen = _own(wiring, one)
                routes += own
                rules += chosen
    return _once(routes), tuple(rules)


def _shared(wiring: Wiring, attachments: tuple[Attachment, ...], table: int) -> Iterator[Route]:
    """Of a VPC's table. Where the first port has its address by DHCP, so it has the default route."""
    first = attachments[0]
    if first.interface is not None and first.gateway is not None:
        yield Route(destination=DEFAULT_V4, link=wiring.link(first), gateway=first.gateway, table=table)
    for one in attachments:
        yield from _behind(wiring, one, table)


def _behind(wiring: Wiring, one: Attachment, table: int) -> Iterator[Route]:
    """The networks behind hosts of its subnet."""
    if one.interface is not None:
        for route in sorted(one.subnet.routes, key=lambda route: route.destination):
            yield Route(destination=route.destination, link=wiring.link(one), gateway=route.next_hop, table=table)


def _own(wiring: Wiring, one: Attachment) -> tuple[tuple[Route, ...], tuple[Rule, ...]]:
    if one.interface is None:
        return (), ()
    number = PORT_TABLES + one.port.position
    routes, rules = answered_from(wiring.link(one), one.interface, one.gateway, number, number)
    return (*routes, *_behind(wiring, one, number)), rules


def _once(routes: Iterable[Route]) -> tuple[Route, ...]:
    """Two ports may lead to one network: the first one does."""
    found: dict[object, Route] = {}
    for route in routes:
        found.setdefault(route.key, route)
    return tuple(found.values())
