# SPDX-License-Identifier: Apache-2.0
"""Links, from what they are to what they shall be: made from below to above, taken away from above to below."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from agent.model.network import Bond, Bridge, Ethernet, Link, LinkState, NetworkState, Vlan, Vrf, Vxlan
from agent.model.network.step import (
    AddRemote,
    ChangeLink,
    CreateLink,
    DeleteLink,
    NetworkStep,
    RemoveRemote,
    SetLink,
    SetUpper,
)

CHANGEABLE = {
    "bond": ("miimon_ms", "lacp_rate", "hash_policy", "primary", "min_links"),
    "bridge": ("stp",),
}
ONLY_DOWN = ("lacp_rate",)  # BOND_OPTFLAG_IFDOWN, drivers/net/bonding/bond_options.c
NO_OPTIONS: dict[str, None] = {"addresses": None, "bandwidth": None, "port_id": None}
FIXED = {
    "bond": ("mode",),
    "vlan": ("parent", "vlan_id", "protocol"),
    "vxlan": ("vni", "local", "port", "parent"),
    "vrf": ("table",),
    "macvlan": ("parent", "mode"),
}


@dataclass(frozen=True)
class LinkChange:
    """What becomes of the links: `first` what is in the way goes, `build` makes and changes, `last` the surplus goes.

    `made` are links on which there is nothing yet; `disturbed` are those that may lose addresses and routes on the way.
    """

    first: tuple[NetworkStep, ...]
    build: tuple[NetworkStep, ...]
    last: tuple[NetworkStep, ...]
    made: frozenset[str]
    disturbed: frozenset[str]


def change_links(state: NetworkState, desired: tuple[Link, ...], before: tuple[Link, ...]) -> LinkChange:
    """`before` is what was desired last: what is in it and not desired any more goes."""
    there = {link.name: link for link in state.links}
    wanted = {link.name: link for link in desired}
    masters = {port: link.name for link in desired for port in getattr(link, "ports", ())}
    recreated = {
        link.name for link in desired if link.name in there and not isinstance(link, Ethernet) and is_other(link, there)
    }
    surplus = [
        link for link in before if link.name not in wanted and link.name in there and link.kind == there[link.name].kind
    ]
    in_the_way = [link for link in surplus if any(clash(link, other) for other in desired)]
    gone = above(recreated | {link.name for link in in_the_way}, state)
    build = Build(there, gone, masters)
    ordered = bottom_up(desired)
    steps = [
        *build.shrink(ordered),
        *(step for link in ordered for step in (*build.made(link), *build.grow(link))),
        *build.ports(ordered),
        *(step for link in ordered for step in build.set(link)),
    ]
    return LinkChange(
        first=tuple(DeleteLink(name=name) for name in gone if not there[name].is_nic),
        build=tuple(steps),
        last=tuple(
            step
            for link in reversed(bottom_up(surplus))
            if link.name not in gone
            for step in taken(link, there, masters)
        ),
        made=frozenset(build.anew | set(gone)),
        disturbed=frozenset(build.disturbed | build.anew | set(gone)),
    )


@dataclass
class Build:
    """Links that come to be, or change."""

    there: dict[str, LinkState]
    gone: tuple[str, ...]
    masters: dict[str, str]

    def __post_init__(self) -> None:
        self.anew: set[str] = set()
        self.disturbed: set[str] = set()

    def now(self, name: str) -> LinkState | None:
        """The link, if it lives on."""
        return None if name in self.gone else self.there.get(name)

    def made(self, link: Link) -> Iterator[NetworkStep]:
        """It comes to be, or its options change."""
        now = self.now(link.name)
        if now is None and not isinstance(link, Ethernet):
            self.anew.add(link.name)
            yield CreateLink(link=link.model_copy(update=NO_OPTIONS))
        elif now is not None and now.config is not None and differ(link, now.config, CHANGEABLE.get(link.kind, ())):
            if now.up and differ(link, now.config, ONLY_DOWN):
                self.disturbed.add(link.name)
                yield SetLink(name=link.name, up=False)
            # the kernel refuses some options while a bond is up, even with the value that they have
            kept = {field: None for field in CHANGEABLE[link.kind] if not differ(link, now.config, (field,))}
            yield ChangeLink(link=link.model_copy(update=NO_OPTIONS | kept))

    def ports(self, ordered: list[Link]) -> Iterator[NetworkStep]:
        """Ports go where they belong. A bond takes links that are down; a VRF takes their IPv6 addresses away."""
        named = {link.name: link for link in ordered}
        for link in ordered:
            now = self.now(link.name)
            upper, present = self.masters.get(link.name), now.upper if now else None
            if present is not None and present in self.gone:
                present = None
            if upper == present or (upper is None and present not in named):
                continue  # what somebody else made it a port of stays
            if isinstance(named.get(upper or ""), Bond) and now is not None and now.up:
                yield SetLink(name=link.name, up=False)
            self.disturbed.add(link.name)
            yield SetUpper(name=link.name, upper=upper)

    def shrink(self, ordered: list[Link]) -> Iterator[NetworkStep]:
        """A smaller MTU comes from above to below: no link may be wider than what carries it."""
        for link in reversed(ordered):
            now = self.now(link.name)
            if now is not None and link.mtu is not None and link.mtu < now.mtu:
                yield SetLink(name=link.name, mtu=link.mtu)

    def grow(self, link: Link) -> Iterator[NetworkStep]:
        """A larger MTU comes from below to above, before what takes its own from it is made."""
        now = self.now(link.name)
        if now is not None and link.mtu is not None and link.mtu > now.mtu:
            yield SetLink(name=link.name, mtu=link.mtu)

    def set(self, link: Link) -> Iterator[NetworkStep]:
        """MAC, up or down; and a VXLAN's remotes."""
        now = self.now(link.name)
        own = link.mac if now is not None and not isinstance(link, Ethernet) else None
        mac = own if now is not None and own != now.mac else None
        wrong = link.up if now is None else now.up != link.up or self.downed(link)
        if wrong or mac is not None:
            yield SetLink(name=link.name, up=link.up if wrong else None, mac=mac)
        if wrong:
            self.disturbed.add(link.name)
        if isinstance(link, Vxlan) and link.remotes is not None:
            present = now.config.remotes or () if now is not None and isinstance(now.config, Vxlan) else ()
            yield from (AddRemote(name=link.name, remote=one) for one in link.remotes if one not in present)
            yield from (RemoveRemote(name=link.name, remote=one) for one in present if one not in link.remotes)

    def downed(self, link: Link) -> bool:
        """Whether it was set down on the way: to become a bond's port, or for an option."""
        return link.name in self.disturbed


def is_other(link: Link, there: dict[str, LinkState]) -> bool:
    """Whether the link of that name is another one, which must go before this can be made."""
    now = there[link.name]
    if now.config is None or now.config.kind != link.kind:
        return True
    return differ(link, now.config, FIXED.get(link.kind, ()))


def differ(link: Link, now: Link, fields: Iterable[str]) -> bool:
    """Whether anything that is specified is otherwise."""
    return any(getattr(link, field, None) not in (None, getattr(now, field, None)) for field in fields)


def clash(old: Link, new: Link) -> bool:
    """Whether the kernel would refuse the new one while the old one is there, or they would fight for a port."""
    match old, new:
        case Vlan(), Vlan():
            return (old.parent, old.vlan_id, old.protocol) == (new.parent, new.vlan_id, new.protocol)
        case Vxlan(), Vxlan():
            return (old.vni, old.port) == (new.vni, new.port)
        case Vrf(), Vrf():
            return old.table == new.table
        case _:
            return isinstance(old, Bond | Bridge) and new.name in old.lower and isinstance(new, Ethernet)


def above(names: Iterable[str], state: NetworkState) -> tuple[str, ...]:
    """These, and the virtual links that stand on them and go with them; the highest first."""
    parents = {link.name: getattr(link.config, "parent", None) for link in state.links}
    found = set(names)
    found |= {name for name in parents if found & set(ancestors(name, parents))}
    return tuple(sorted(found, key=lambda name: (-len(ancestors(name, parents)), name)))


def ancestors(name: str, parents: dict[str, str | None]) -> list[str]:
    """Its parent, its parent's parent and so on."""
    line: list[str] = []
    while (parent := parents.get(name)) is not None and parent not in line:
        line.append(parent)
        name = parent
    return line


def taken(link: Link, there: dict[str, LinkState], masters: dict[str, str]) -> Iterator[NetworkStep]:
    """A link that is not wanted any more: what is virtual goes; a NIC is released and set down."""
    if not isinstance(link, Ethernet):
        yield DeleteLink(name=link.name)
    elif there[link.name].up and link.name not in masters:
        yield SetLink(name=link.name, up=False)


def bottom_up(links: Iterable[Link]) -> list[Link]:
    """What others stand on comes first; a VRF before its ports, since it must be there to take them. In order of names
    otherwise, so that the order of the input does not matter.
    """
    named = {link.name: link for link in sorted(links, key=lambda link: link.name)}
    ordered: dict[str, Link] = {}

    def visit(link: Link) -> None:
        if link.name not in ordered:
            for lower in () if isinstance(link, Vrf) else link.lower:
                if lower in named:
                    visit(named[lower])
            ordered[link.name] = link

    for link in sorted(named.values(), key=lambda link: not isinstance(link, Vrf)):
        visit(link)
    return list(ordered.values())
