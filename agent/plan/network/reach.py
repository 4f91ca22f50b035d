# SPDX-License-Identifier: Apache-2.0
"""Whether the controller can still be reached once a configuration holds. Pure: a lookup in the tables to come."""

from __future__ import annotations

from collections.abc import Iterable

from agent.errors import InputError
from agent.model.network import (
    MAIN_TABLE,
    Bond,
    Bridge,
    IPAddress,
    Link,
    NetworkConfig,
    NetworkState,
    Route,
    RouteType,
    Vrf,
)
from agent.model.network.proof import ControllerAddress
from agent.model.network.step import NetworkStep, RemoveAddress, RemoveRoute


def refuse_to_cut(
    state: NetworkState, desired: NetworkConfig, steps: Iterable[NetworkStep], controller: ControllerAddress | None
) -> None:
    """Raises `InputError` if there is a way to the controller now, and none afterwards."""
    if controller is None or desired.allow_disconnect:
        return
    steps = list(steps)
    for address in controller.addresses:
        now = leads(address, connected_now(state), (*state.routes, *state.leased_routes))
        if now and not leads(address, *afterwards(state, desired, steps)):
            raise InputError(
                "planning the network",
                f"links, routes: nothing would lead to the controller at {address} any more",
                hint="Keep a route to it, or set allow_disconnect if this is what you want.",
            )


def connected_now(state: NetworkState) -> dict[str, list[object]]:
    """Link → its networks, of links that are up."""
    return {
        link.name: [one.network for one in (*link.addresses, *link.leases)]
        for link in state.links
        if link.up and not of_vrf(link.upper, state)
    }


def of_vrf(upper: str | None, state: NetworkState) -> bool:
    """Whether a link routes in another table than the main one."""
    found = state.link(upper) if upper is not None else None
    return found is not None and found.kind == "vrf"


def afterwards(
    state: NetworkState, desired: NetworkConfig, steps: list[NetworkStep]
) -> tuple[dict[str, list[object]], tuple[Route, ...]]:
    """(networks of each link, routes) once the steps are done."""
    connected = connected_now(state)
    apart = {port for link in desired.links if isinstance(link, Vrf) for port in link.ports}
    bare = {port for link in desired.links if isinstance(link, Bond | Bridge) for port in link.ports}
    deleted = {step.name for step in steps if step.kind == "delete_link"}
    down = {step.name for step in steps if step.kind == "set_link" and step.up is False}
    removed = {(step.name, step.address) for step in steps if isinstance(step, RemoveAddress)}
    wanted = {link.name: link for link in desired.links}
    after: dict[str, list[object]] = {}
    for name in {*connected, *wanted}:
        link = wanted.get(name)
        present = state.link(name)
        if name in apart or name in bare or (link is None and name in deleted | down) or (link and not link.up):
            continue
        kept = (
            []
            if present is None or name in deleted
            else [one.network for one in (*present.addresses, *present.leases) if (name, one) not in removed]
        )
        after[name] = [*kept, *networks_of(link)]
    gone = {step.route for step in steps if isinstance(step, RemoveRoute)}
    keys = {route.key for route in desired.routes or ()}
    old = [one for one in (*state.routes, *state.leased_routes) if one not in gone and one.key not in keys]
    leased = [link.name for link in desired.links if link.dhcp4 and link.up]
    after.update({name: [*after.get(name, []), None] for name in leased})
    return after, (*(desired.routes or ()), *(route for route in old if route.link in after))


def networks_of(link: Link | None) -> list[object]:
    """Of the addresses that it shall have."""
    return [] if link is None else [one.network for one in link.addresses or ()]


def leads(address: IPAddress, connected: dict[str, list[object]], routes: Iterable[Route]) -> bool:
    """By a link's own network, or by the best route of the main table. A lease to come may lead anywhere."""
    if any(None in networks for networks in connected.values()):
        return True
    if any(address in network for networks in connected.values() for network in networks):  # type: ignore[operator]
        return True
    fitting = [
        route
        for route in routes
        if route.table == MAIN_TABLE and route.destination.version == address.version and address in route.destination
    ]
    if not fitting:
        return False
    best = max(fitting, key=lambda route: (route.destination.prefixlen, -route.key[2]))
    return best.type is RouteType.UNICAST and (best.link is None or best.link in connected)
