# SPDX-License-Identifier: Apache-2.0
"""Networks that nobody thought of: sound ones of every kind of link, for hypothesis."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address

from hypothesis import strategies as st
from pydantic import ValidationError

from agent.model.network import NetworkConfig

Made = dict[str, object]

flags = st.sampled_from([None, True, False])
names = st.from_regex(r"[a-z!$*'\"\\;][a-z0-9.!$*'\"\\;=#_-]{0,8}", fullmatch=True)
v4 = st.integers(0x0A000001, 0x0A00FFFE).map(IPv4Address).map(str)
v6 = st.integers(0xFD << 120, (0xFD << 120) + 0xFFFF).map(IPv6Address).map(str)
addresses = st.lists(v4.map("{}/32".format) | v6.map("{}/128".format), max_size=3, unique=True)
tables = st.sampled_from([100, 254, 1001])
BARE: Made = {"addresses": None, "dhcp4": None}


@st.composite
def settings(draw: st.DrawFn) -> Made:
    """What links of every kind have."""
    return {
        "up": draw(st.booleans()),
        "mtu": draw(st.sampled_from([None, 1500])),
        "addresses": draw(st.none() | addresses),
        "dhcp4": draw(flags),
        "dhcp6": draw(flags),
        "accept_ra": draw(flags),
    }


@st.composite
def links(draw: st.DrawFn) -> list[Made]:
    """NICs, and on top of them what comes; a bond and a bridge have ports that are nothing else."""
    given = draw(st.lists(names, min_size=4, max_size=10, unique=True))
    made: list[Made] = []
    for place, name in enumerate(given):
        lower = draw(st.sampled_from([str(link["name"]) for link in made])) if made else name
        kinds = ["ethernet", "bond", "vlan", "vxlan", "vrf", "bridge", "macvlan"]
        kind = draw(st.sampled_from(kinds)) if place > 2 else "ethernet"
        link = {"kind": kind, "name": name} | draw(settings())
        made.append(link | draw(options(kind, place, lower)))
        ports = link_ports(made[-1])
        made = [one | BARE if one["name"] in ports and kind != "vrf" else one for one in made]
    return made


def link_ports(link: Made) -> list[str]:
    """Names of its ports."""
    ports = link.get("ports", [])
    assert isinstance(ports, list)
    return ports


@st.composite
def options(draw: st.DrawFn, kind: str, place: int, lower: str) -> Made:
    """What a kind has of its own."""
    match kind:
        case "ethernet":
            return {"mac": f"52:54:00:00:00:{place:02x}"}
        case "bond":
            return {"mode": draw(st.sampled_from(["802.3ad", "active-backup"])), "ports": [lower], "miimon_ms": 100}
        case "vlan":
            return {
                "parent": lower,
                "vlan_id": place + 1,
                "protocol": draw(st.sampled_from(["802.1q", "802.1ad"])),
                "mac": draw(st.sampled_from([None, f"fa:16:3e:00:00:{place:02x}"])),
            }
        case "vxlan":
            remotes = draw(st.none() | st.lists(v4, max_size=2))
            return {"vni": place + 1, "local": "192.0.2.1", "remotes": remotes, "mtu": None}
        case "vrf":
            return {"table": 2000 + place, "ports": [lower]}
        case "bridge":
            return {"ports": [lower], "stp": draw(flags)}
        case _:
            return {"parent": lower, "mode": draw(st.sampled_from(["private", "bridge"]))}


@st.composite
def routing(draw: st.DrawFn, given: list[Made]) -> Made:
    """Routes, rules, name servers."""
    link = st.sampled_from([str(each["name"]) for each in given])
    route = st.fixed_dictionaries(
        {"destination": st.sampled_from(["0.0.0.0/0", "::/0", "198.51.100.0/24", "fd00:1::/64"]), "table": tables},
        optional={"metric": st.integers(0, 9)},
    )
    way = st.one_of(
        st.fixed_dictionaries({"link": link}),
        st.fixed_dictionaries({"type": st.sampled_from(["blackhole", "unreachable", "prohibit"])}),
    )
    rule = st.fixed_dictionaries(
        {"priority": st.integers(1, 32765), "table": tables, "version": st.sampled_from([4, 6])},
        optional={"in_link": link, "mark": st.integers(0, 9)},
    )
    return {
        "routes": draw(st.none() | st.lists(st.builds(lambda one, two: one | two, route, way), max_size=4)),
        "rules": draw(st.none() | st.lists(rule, max_size=3)),
        "dns": draw(st.none() | st.fixed_dictionaries({"servers": st.lists(v4 | v6, max_size=3)})),
    }


@st.composite
def configs(draw: st.DrawFn) -> NetworkConfig:
    """A sound configuration."""
    given = draw(links())
    try:
        return NetworkConfig.model_validate({"links": given} | draw(routing(given)))
    except ValidationError:
        return draw(st.nothing())
