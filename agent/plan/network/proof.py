# SPDX-License-Identifier: Apache-2.0
"""Which self-tests a change needs: what it touches must be seen to work, and the controller must be within reach."""

from __future__ import annotations

from collections.abc import Iterable

from agent.model.network import Link, NetworkConfig
from agent.model.network.proof import (
    ControllerAddress,
    ControllerAnswers,
    DnsAnswers,
    GatewayAnswers,
    LeaseArrives,
    PathCarries,
    Proof,
)
from agent.model.network.step import (
    AddRemote,
    ChangeMembers,
    CreateLink,
    DeleteLink,
    LimitBandwidth,
    NetworkStep,
    RemoveRemote,
    SetLink,
    SetRoute,
    SetUpper,
)

LOCAL = (LimitBandwidth, ChangeMembers, AddRemote, RemoveRemote)
"""Steps that lead nothing another way."""


def proofs_of(
    desired: NetworkConfig, steps: Iterable[NetworkStep], waiting: Iterable[str], controller: ControllerAddress | None
) -> tuple[Proof, ...]:
    """For these steps; `waiting` are links whose client is to bring a lease."""
    steps = list(steps)
    touched = touched_links(desired, steps)
    set_now = {step.route for step in steps if isinstance(step, SetRoute)}
    resized = resized_links(steps)
    named = {link.name: link for link in desired.links if link.up}
    proofs: list[Proof] = [
        LeaseArrives(link=name, version=4 if named[name].dhcp4 else 6) for name in waiting if name in named
    ]
    for route in sorted(desired.routes or (), key=lambda route: (str(route.link), str(route.gateway))):
        if route.gateway is None or route.link not in named or not route.is_default:
            continue  # what one subnet is reached by may be down: that must not keep the rest from coming up
        if route in set_now or route.link in touched:
            proofs.append(GatewayAnswers(link=route.link, gateway=route.gateway))
            mtu = named[route.link].mtu
            if mtu is not None and resized & {route.link, *below(named, route.link)}:
                proofs.append(PathCarries(link=route.link, peer=route.gateway, mtu=mtu))
    far = not desired.allow_disconnect and any(not isinstance(step, LOCAL) for step in steps)
    if far and desired.dns is not None and desired.dns.servers:
        proofs.append(DnsAnswers(servers=desired.dns.servers))
    if far and controller is not None and controller.answers:
        proofs.append(ControllerAnswers(host=controller.host, port=controller.port))
    return tuple(dict.fromkeys(proofs))


def touched_links(desired: NetworkConfig, steps: Iterable[NetworkStep]) -> set[str]:
    """Links that a step names, and those that stand on them."""
    touched = {name for step in steps if (name := name_of(step)) is not None}
    growing = True
    while growing:
        more = {link.name for link in desired.links if touched & set(link.lower)} - touched
        touched |= more
        growing = bool(more)
    return touched


def name_of(step: NetworkStep) -> str | None:
    """The link that a step is about."""
    if isinstance(step, CreateLink):
        return step.link.name
    return getattr(step, "name", None)


def resized_links(steps: Iterable[NetworkStep]) -> set[str]:
    """Links whose MTU is not what it was: made, widened, or given other ports."""
    return {
        name
        for step in steps
        if isinstance(step, CreateLink | SetUpper | DeleteLink) or (isinstance(step, SetLink) and step.mtu is not None)
        if (name := name_of(step)) is not None
    }


def below(named: dict[str, Link], name: str) -> set[str]:
    """What a link stands on."""
    found: set[str] = set()
    left = [name]
    while left:
        link = named.get(left.pop())
        fresh = set(link.lower) - found if link is not None else set()
        found |= fresh
        left += fresh
    return found
