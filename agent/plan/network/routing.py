# SPDX-License-Identifier: Apache-2.0
"""Addresses, routes and rules, from what they are to what they shall be.

New ones come before old ones go. What goes is what was desired before and is not any more; and, on a link that is taken
over (it was not in the configuration before), whatever is not desired. The rest is somebody else's: a virtual IP of a
failover daemon, a route of a VPN. With `exact` it is not spared: a revert restores what was, and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

from agent.errors import PreconditionError
from agent.model.network import (
    Bond,
    Bridge,
    IPInterface,
    Link,
    LinkState,
    NetworkConfig,
    NetworkState,
    Route,
    RouteType,
    Rule,
)
from agent.model.network.step import (
    AddAddress,
    AddRule,
    NetworkStep,
    RemoveAddress,
    RemoveRoute,
    RemoveRule,
    SetRoute,
    SetSysctl,
)


@dataclass(frozen=True)
class Scene:
    """What is compared: the state, what is desired, and what was desired before. `made` are links on which there is
    nothing yet; `disturbed` are those that may have lost something on the way.
    """

    state: NetworkState
    desired: NetworkConfig
    before: NetworkConfig
    made: frozenset[str] = frozenset()
    disturbed: frozenset[str] = frozenset()
    exact: bool = False

    @cached_property
    def known(self) -> frozenset[str]:
        """Links that were in the configuration before."""
        return frozenset(link.name for link in self.before.links)

    def taken_over(self, link: str) -> bool:
        """Whether nothing on it is somebody else's."""
        return self.exact or link not in self.known


def change_addresses(scene: Scene) -> Iterator[NetworkStep]:
    """Of every link whose addresses are specified; and of links that are not in the configuration any more."""
    there = {link.name: link for link in scene.state.links}
    bare = {port for link in scene.desired.links if isinstance(link, Bond | Bridge) for port in link.ports}
    before = {link.name: link for link in scene.before.links}
    for link in sorted(scene.desired.links, key=lambda link: link.name):
        wanted = () if link.name in bare else link.addresses
        if wanted is None:
            continue
        now = None if link.name in scene.made else there.get(link.name)
        have = () if now is None or link.name in scene.disturbed else present(now, scene.taken_over(link.name))
        yield from (AddAddress(name=link.name, address=one) for one in wanted if one not in have)
        if now is not None:
            surplus = surplus_addresses(
                link, now, wanted, before.get(link.name), taken_over=scene.taken_over(link.name)
            )
            yield from (RemoveAddress(name=link.name, address=one) for one in surplus)
    yield from abandoned(scene, there)


def present(now: LinkState, taken_over: bool) -> tuple[IPInterface, ...]:
    """Addresses that are there. One that is also leased becomes ours when the link is taken over; later a client that
    still runs may make it a lease again and again, and that is fine.
    """
    return now.addresses if taken_over else (*now.addresses, *now.leases)


def surplus_addresses(
    link: Link, now: LinkState, wanted: Iterable[IPInterface], old: Link | None, *, taken_over: bool
) -> Iterator[IPInterface]:
    """What must go. What a DHCP client or a router gave is theirs."""
    owned = set(old.addresses or ()) if old is not None else set()
    client = {4: link.dhcp4, 6: link.dhcp6 or link.accept_ra}
    for one in now.addresses:
        if one not in wanted and (one in owned or (taken_over and not client[one.version])):
            yield one
    for one in now.leases:
        if one not in wanted and client[one.version] is False and (taken_over or (old is not None and old.dhcp4)):
            yield one


def promotions(scene: Scene, steps: Iterable[NetworkStep]) -> list[SetSysctl]:
    """Of IPv4 addresses in one network the first is the primary one, and takes the others along when it goes
    (__inet_del_ifa() in net/ipv4/devinet.c), unless the kernel is told to promote the next. systemd tells it at boot.
    """
    steps = list(steps)
    added = [(step.name, step.address) for step in steps if isinstance(step, AddAddress)]
    removed = [(step.name, step.address) for step in steps if isinstance(step, RemoveAddress)]
    there = [(link.name, one) for link in scene.state.links for one in (*link.addresses, *link.leases)]
    staying = {(name, one.network) for name, one in (*there, *added) if (name, one) not in removed}
    links = sorted({name for name, one in removed if one.version == 4 and (name, one.network) in staying})
    return [SetSysctl(key=f"ipv4/conf/{name}/promote_secondaries", value="1") for name in links]


def abandoned(scene: Scene, there: dict[str, LinkState]) -> Iterator[NetworkStep]:
    """NICs that were in the configuration give back the addresses that they had from it."""
    wanted = {link.name for link in scene.desired.links}
    for link in scene.before.links:
        now = there.get(link.name)
        if link.name not in wanted and link.kind == "ethernet" and now is not None:
            mine = [one for one in link.addresses or () if one in now.addresses]
            yield from (RemoveAddress(name=link.name, address=one) for one in mine)


def change_routes(scene: Scene, dropped: frozenset[str]) -> tuple[list[NetworkStep], list[NetworkStep]]:
    """(set, remove). `dropped` are links on which an address goes: the kernel drops the routes that stood on it, so
    they are set again.
    """
    if scene.desired.routes is None:
        return [], []
    static = {route.key: route for route in scene.state.routes}
    there = {route.key: route for route in scene.state.leased_routes} | static
    wanted = {route.key: route for route in scene.desired.routes}
    for route in wanted.values():
        if not scene.exact and is_opaque(there.get(route.key)):
            raise PreconditionError(
                "planning the routes",
                f"the present route to {route.destination} in table {route.table} has several gateways, or one of "
                "another kind: it could not be brought back",
                hint="Take it away, or give the new one another metric.",
            )
    lost = scene.disturbed | dropped
    setting: list[NetworkStep] = [
        SetRoute(route=route)
        for route in in_order(wanted.values())
        if there.get(route.key) != route or (route.link in lost)
    ]
    owned = set(scene.before.routes or ())
    mine = {
        (link.name, version)
        for link in scene.desired.links
        if scene.taken_over(link.name)
        for version, client in ((4, link.dhcp4), (6, link.dhcp6 or link.accept_ra))
        if scene.exact or not client  # a client's script may say that its routes are anybody's
    }
    removing: list[NetworkStep] = [
        RemoveRoute(route=route)
        for route in in_order(static.values())
        if route.key not in wanted and route.link not in scene.made
        if route in owned or (route.link, route.destination.version) in mine
    ]
    return setting, removing


def is_opaque(route: Route | None) -> bool:
    """Whether it has more than our model can say."""
    return route is not None and route.type is RouteType.UNICAST and route.link is None


def in_order(routes: Iterable[Route]) -> list[Route]:
    """What needs no gateway comes first: it makes gateways neighbours."""
    return sorted(
        routes,
        key=lambda route: (
            route.gateway is not None,
            route.table,
            route.destination.version,
            -route.destination.prefixlen,
            int(route.destination.network_address),
            route.metric,
        ),
    )


def change_rules(scene: Scene) -> tuple[list[NetworkStep], list[NetworkStep]]:
    """(add, remove)."""
    if scene.desired.rules is None:
        return [], []
    present, wanted = set(scene.state.rules), set(scene.desired.rules)
    owned = set(scene.before.rules or ())
    adding: list[NetworkStep] = [AddRule(rule=rule) for rule in ordered(wanted - present)]
    removing: list[NetworkStep] = [RemoveRule(rule=rule) for rule in ordered((present - wanted) & owned)]
    return adding, removing


def ordered(rules: Iterable[Rule]) -> list[Rule]:
    """By priority; what is the same there in an order of its own."""
    return sorted(rules, key=lambda rule: (rule.priority, rule.version, str(rule.source), rule.table, repr(rule)))
