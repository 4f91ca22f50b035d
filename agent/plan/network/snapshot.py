# SPDX-License-Identifier: Apache-2.0
"""What a change would have to bring back, taken from the state before it."""

from __future__ import annotations

from collections.abc import Iterable

from agent.model.network import (
    Bandwidth,
    Firewall,
    Link,
    LinkState,
    Manager,
    NetworkConfig,
    NetworkState,
    Snapshot,
    Vrf,
)
from agent.model.network.step import ChangeMembers, NetworkStep, PersistNetwork, ReplaceFirewall, SetEips, SetSysctl
from agent.plan.network.proof import name_of

LEAST_MTU = 1280


def snapshot(
    state: NetworkState,
    wanted: NetworkConfig,
    was: NetworkConfig,
    steps: Iterable[NetworkStep],
    present: dict[str, str],
    manager: Manager | None,
) -> Snapshot:
    """Of all that the steps touch. `wanted` and `was` have the kernel's names; `present` are the files that are there.
    Firewall and bandwidths are known by what was desired.
    """
    steps = list(steps)
    touched = {link.name for link in (*wanted.links, *was.links)} | {name for one in steps if (name := name_of(one))}
    links = [link for link in related(state, touched) if link.config is not None]
    names = {link.name for link in links}
    own = {route.key for route in (*(wanted.routes or ()), *(was.routes or ()))}
    persisting = [step for step in steps if isinstance(step, PersistNetwork)]
    return Snapshot(
        links=tuple(kept(link, was.link(link.name)) for link in links),
        leased=tuple(link.name for link in links if link.leases),
        routes=(
            *(route for route in state.routes if route.link in names or route.key in own),
            *(route for route in state.leased_routes if route.key in own and route.link is not None),
        ),
        rules=state.rules,
        sysctls={s.key: state.sysctls[s.key] for s in steps if isinstance(s, SetSysctl) and s.key in state.sysctls},
        firewall=former(state, was) if any(isinstance(s, ReplaceFirewall | ChangeMembers) for s in steps) else None,
        eips=was.eips or () if any(isinstance(s, SetEips) for s in steps) else None,
        manager=manager,
        files={path: present.get(path) for step in persisting for path in (*step.files, *step.removed)},
    )


def former(state: NetworkState, was: NetworkConfig) -> Firewall | None:
    """The one that held last, whatever somebody has made of it since: a revert opens nothing. None where there is one,
    and nobody knows which: then the new one stays.
    """
    return Firewall() if was.firewall is None and state.firewall_digest is None else was.firewall


def related(state: NetworkState, names: set[str]) -> list[LinkState]:
    """These links, what stands on them, and the ports of all: what goes or changes when they do."""
    found = set(names)
    growing = True
    while growing:
        more = {
            link.name
            for link in state.links
            if link.name not in found
            and (link.upper in found or (link.config is not None and getattr(link.config, "parent", None) in found))
        }
        more |= {link.upper for link in state.links if link.name in found and link.upper and link.upper not in found}
        found |= more
        growing = bool(more)
    return [link for link in state.links if link.name in found]


def kept(link: LinkState, was: Link | None) -> Link:
    """As it is. An MTU that cannot be desired is not specified; a VRF has none that means anything."""
    assert link.config is not None
    limits = limits_of(link, was)
    if link.mtu < LEAST_MTU or isinstance(link.config, Vrf):
        return link.config.model_copy(update={"mtu": None, "bandwidth": limits})
    return link.config.model_copy(update={"bandwidth": limits})


def limits_of(link: LinkState, was: Link | None) -> Bandwidth | None:
    """None for limits that are loaded and were not desired: nobody knows them."""
    known = was.bandwidth if was is not None else None
    return next((each for each in (known, Bandwidth()) if each is not None and each.handle == link.shaper), None)
