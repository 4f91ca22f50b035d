# SPDX-License-Identifier: Apache-2.0
"""The fake door to links, addresses, routes and rules: a small kernel, with the side effects that the real one has.

A link takes what stands on it with it when it goes; a link that goes down loses its routes and its IPv6 addresses; an
address takes the routes with it whose source it is; a bond takes only ports that are down.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from ipaddress import ip_address
from typing import Any, assert_never

from agent.errors import HostError
from agent.host.fake.faults import FakeDoor, counted
from agent.host.fake.watch import FakeWatch
from agent.host.network_doors import KernelStep, Tables, Watch
from agent.model.ladder import Ladder, Rung, Step
from agent.model.network import Bond, IPAddress, LinkState, Route, Vxlan
from agent.model.network.step import (
    AddAddress,
    AddRemote,
    AddRule,
    ChangeLink,
    CreateLink,
    DeleteLink,
    RemoveAddress,
    RemoveRemote,
    RemoveRoute,
    RemoveRule,
    SetLink,
    SetRoute,
    SetUpper,
)
from agent.model.network.values import in_order
from agent.model.url import named


class FakeNetlink(FakeDoor):
    """`doors.Netlink` over the links of the machine, which change as they are set."""

    noun = "netlink"

    @counted
    def tables(self) -> Tables:
        """As they are."""
        machine = self.machine
        return Tables(
            links=tuple(sorted(machine.links.values(), key=lambda link: link.index)),
            routes=tuple(machine.routes.values()),
            leased_routes=machine.leased_routes,
            rules=tuple(machine.rules),
        )

    def change(self, steps: Sequence[KernelStep]) -> None:
        """One counted call a step, so that the agent can die between any two."""
        for step in steps:
            self.one(step)

    @counted
    def one(self, step: KernelStep) -> None:
        """A step, as the kernel does it."""
        self.machine.network_changes += 1
        match step:
            case CreateLink():
                self._create(step)
            case ChangeLink():
                options = step.link.model_dump(exclude_none=True, exclude={"addresses", "mtu", "mac", "up", "ports"})
                self._configure(self._link(step.link.name), **{k: getattr(step.link, k) for k in options})
            case DeleteLink():
                self._delete(step.name)
            case SetLink():
                self._set(step)
            case SetUpper():
                self._set_upper(step)
            case AddAddress() | RemoveAddress():
                self._address(step)
            case SetRoute():
                self._route(step.route)
            case RemoveRoute():
                self._drop_routes(lambda route: route == step.route)
            case AddRule():
                self.machine.rules = [*(rule for rule in self.machine.rules if rule != step.rule), step.rule]
            case RemoveRule():
                self.machine.rules = [rule for rule in self.machine.rules if rule != step.rule]
            case AddRemote() | RemoveRemote():
                self._remote(step)
            case _:
                assert_never(step)

    @contextmanager
    def watching(self) -> Iterator[Watch]:
        """From now on."""
        yield FakeWatch(lambda: self.machine.network_changes)

    def _link(self, name: str) -> LinkState:
        if name not in self.machine.links:
            raise HostError(f"changing {name}", "there is no link of that name")
        return self.machine.links[name]

    def _put(self, link: LinkState, **changes: Any) -> LinkState:
        new = link.model_copy(update=changes)
        if new.config is not None:
            said = {"up": new.up, "mtu": new.mtu, "addresses": new.addresses}
            new = new.model_copy(update={"config": new.config.model_copy(update=said)})
        self.machine.links[new.name] = new
        return new

    def _configure(self, link: LinkState, **changes: Any) -> None:
        assert link.config is not None
        self._put(link, config=link.config.model_copy(update=changes))

    def _create(self, step: CreateLink) -> None:
        link = step.link
        doing = f"creating {link.kind} {link.name}"
        if link.name in self.machine.links:
            raise HostError(doing, "File exists")
        below = getattr(link, "parent", None)
        if below is not None and below not in self.machine.links:
            raise HostError(doing, "No such device")
        if (isinstance(link, Bond) and link.ports) or hasattr(link, "ports"):
            link = link.model_copy(update={"ports": ()})
        if isinstance(link, Vxlan):
            link = link.model_copy(update={"remotes": ()})
        index = 1 + max((one.index for one in self.machine.links.values()), default=1)
        mac = link.mac or (self.machine.links[below].mac if below else f"02:00:00:00:00:{index:02x}")
        mtu = link.mtu or (self.machine.links[below].mtu if below else 1500)
        state = LinkState(
            name=link.name,
            index=index,
            kind=link.kind,
            mac=mac,
            carrier=True,
            up=False,
            mtu=mtu,
            config=link.model_copy(update={"mac": mac}),
        )
        self._put(state)

    def _delete(self, name: str) -> None:
        self._link(name)
        for link in list(self.machine.links.values()):
            if link.name in self.machine.links and getattr(link.config, "parent", None) == name:
                self._delete(link.name)
            elif link.upper == name:
                self._put(link, upper=None)
        gone = self.machine.links.pop(name)
        self._leave_upper(gone)
        self._drop_routes(lambda route: route.link == name)

    def _leave_upper(self, link: LinkState) -> None:
        upper = self.machine.links.get(link.upper or "")
        if upper is not None and upper.config is not None:
            ports = tuple(port for port in getattr(upper.config, "ports", ()) if port != link.name)
            self._configure(upper, ports=ports)

    def _set(self, step: SetLink) -> None:
        link = self._link(step.name)
        changes: dict[str, Any] = {"mtu": step.mtu or link.mtu, "mac": step.mac or link.mac}
        if step.up is False and link.up:
            self._drop_routes(lambda route: route.link == step.name)
            changes["addresses"] = tuple(one for one in link.addresses if one.version == 4)
        new = self._put(link, up=link.up if step.up is None else step.up, **changes)
        if step.mac is not None and new.config is not None and new.kind != "ethernet":
            self._configure(new, mac=step.mac)

    def _set_upper(self, step: SetUpper) -> None:
        link = self._link(step.name)
        upper = self._link(step.upper) if step.upper else None
        if upper is not None and upper.kind == "bond" and link.up:
            raise HostError(f"making {step.name} a port of {step.upper}", "Operation not permitted: Device is up")
        self._leave_upper(link)
        self._put(link, upper=step.upper, up=link.up or (upper is not None and upper.kind == "bond"))
        if upper is not None:
            upper = self._link(upper.name)
            self._configure(upper, ports=tuple(sorted({*getattr(upper.config, "ports", ()), link.name})))

    def _address(self, step: AddAddress | RemoveAddress) -> None:
        link = self._link(step.name)
        left = tuple(one for one in link.addresses if one != step.address)
        leases = tuple(one for one in link.leases if one != step.address)
        if isinstance(step, AddAddress):
            self._put(link, addresses=in_order((*left, step.address)), leases=leases)
            return
        self._put(link, addresses=left, leases=leases)
        bare = not any(one.version == step.address.version for one in (*left, *leases))
        self._drop_routes(
            lambda route: (
                route.link == step.name
                and route.destination.version == step.address.version
                and (bare or route.source == step.address.ip)
            )
        )

    def _route(self, route: Route) -> None:
        doing = f"setting the route to {route.destination} in table {route.table}"
        link = self._link(route.link) if route.link else None
        if link is not None and not link.up:
            raise HostError(doing, "Network is down")
        if route.gateway is not None and link is not None and not (route.onlink or route.gateway.is_link_local):
            near = any(route.gateway in one.network for one in (*link.addresses, *link.leases))
            if not near and not any(route.gateway in one.destination for one in self._beside(route)):
                raise HostError(doing, "Network is unreachable: Nexthop has invalid gateway")
        self.machine.routes[route.key] = route

    def _beside(self, route: Route) -> Iterator[Route]:
        found = self.machine.routes.values()
        return (one for one in found if one.link == route.link and one.gateway is None)

    def _drop_routes(self, chosen: Any) -> None:
        self.machine.routes = {key: route for key, route in self.machine.routes.items() if not chosen(route)}

    def _remote(self, step: AddRemote | RemoveRemote) -> None:
        link = self._link(step.name)
        remotes = {one for one in getattr(link.config, "remotes", None) or () if one != step.remote}
        if isinstance(step, AddRemote):
            remotes.add(step.remote)
        self._configure(link, remotes=in_order(remotes))


class FakeProbe(FakeDoor):
    """`doors.Probe`: everybody answers but those in `machine.silent` (addresses, names), through links that are up."""

    noun = "probe"

    @counted
    def neighbour(self, link: str, address: IPAddress, timeout_s: float) -> bool:
        """On a link that is up."""
        found = self.machine.links.get(link)
        return found is not None and found.up and str(address) not in self.machine.silent

    def echo(self, link: str, address: IPAddress, size_bytes: int, timeout_s: float) -> bool:
        """As a neighbour, up to the link's MTU."""
        return self.neighbour(link, address, timeout_s) and size_bytes <= self.machine.links[link].mtu

    @counted
    def dns(self, server: IPAddress, timeout_s: float) -> bool:
        """From anywhere."""
        return str(server) not in self.machine.silent

    @counted
    def connects(self, host: str, port: int, timeout_s: float) -> bool:
        """From anywhere with a link that is up and has an address."""
        up = any(link.up and (link.addresses or link.leases) for link in self.machine.links.values())
        return up and host not in self.machine.silent

    @counted
    def addresses(self, host: str) -> tuple[IPAddress, ...]:
        """By `machine.names`."""
        return (ip_address(self.machine.names[host]),) if host in self.machine.names else ()

    @counted
    def source(self, host: str, port: int) -> IPAddress | None:
        """The first address of the first link that has one."""
        found = [one.ip for link in self.machine.links.values() for one in link.addresses]
        return found[0] if found else None

    @counted
    def climb(self, url: str, timeout_s: float, *, insecure: bool = False, ca_pem: str | None = None) -> Ladder:
        """As learnt in `machine.ladders`; a server that is not known there has no name."""
        nameless = Rung(step=Step.DNS, took_ms=0.0, fault="Name or service not known")
        return self.machine.ladders.get(url, Ladder(url=named(url), rungs=(nameless,)))
