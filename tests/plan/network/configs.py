# SPDX-License-Identifier: Apache-2.0
"""Networks that nobody thought of, for hypothesis: every kind of link, every field, names that a shell would run."""

from __future__ import annotations

from typing import Any

from hypothesis import reject
from hypothesis import strategies as st
from pydantic import ValidationError

from agent.model.network import NetworkConfig

Made = dict[str, Any]

NAMES = ("eth0", "$(reboot)", "`x`", "a'b", 'a"b', "a\\b", "!eth", "*", "[x]", "bond0.7", "#1", "a;b", "x=y")
KINDS = ("ethernet", "bond", "vlan", "vxlan", "vrf", "bridge", "macvlan")
flags = st.sampled_from([None, True, False])
tables = st.sampled_from([100, 254, 1001])


@st.composite
def link(draw: st.DrawFn, place: int, lower: list[Made]) -> Made:
    """A link of any kind that can stand on those before it; the first is a NIC."""
    free = [one["name"] for one in lower if not one["is_port"]]
    kind = draw(st.sampled_from(KINDS)) if free else "ethernet"
    own = {"ports": [draw(st.sampled_from(free))]} if kind in ("bond", "vrf", "bridge") else {}
    if kind in ("vlan", "macvlan"):
        own = {"parent": draw(st.sampled_from([one["name"] for one in lower]))}
    addresses = st.sampled_from([f"10.{place}.0.1/24", f"10.{place}.0.2/24", f"fd00:{place}::1/64"])
    return (
        {
            "kind": kind,
            "is_port": False,
            "up": draw(st.booleans()),
            "mtu": draw(st.sampled_from([None, 1500])) if kind != "vxlan" else None,
            "addresses": draw(st.none() | st.lists(addresses, max_size=3)),
            "dhcp4": draw(flags),
            "dhcp6": draw(flags),
            "accept_ra": draw(flags),
            "mac": f"52:54:00:00:00:{place:02x}" if kind == "ethernet" or draw(st.booleans()) else None,
        }
        | own
        | draw(options(kind, place))
    )


def options(kind: str, place: int) -> st.SearchStrategy[Made]:
    """What a kind has of its own."""
    remotes = st.none() | st.lists(st.sampled_from(["192.0.2.1", "192.0.2.2"]), max_size=2)
    own: dict[str, st.SearchStrategy[Made]] = {
        "bond": st.fixed_dictionaries({"mode": st.sampled_from(["802.3ad", "active-backup"])}),
        "vlan": st.fixed_dictionaries({"vlan_id": st.just(place), "protocol": st.sampled_from(["802.1q", "802.1ad"])}),
        "vxlan": st.fixed_dictionaries({"vni": st.just(place), "local": st.just("192.0.2.9"), "remotes": remotes}),
        "vrf": st.just({"table": 2000 + place}),
        "bridge": st.fixed_dictionaries({"stp": flags}),
    }
    return own.get(kind, st.just({}))


@st.composite
def configs(draw: st.DrawFn) -> NetworkConfig:
    """A sound configuration."""
    links: list[Made] = []
    for place, name in enumerate(draw(st.permutations(NAMES))[: draw(st.integers(1, 7))], 1):
        links.append({"name": name} | draw(link(place, links)))
        for one in links:
            if one["name"] in links[-1].get("ports", []):
                one.update({"is_port": True} if links[-1]["kind"] == "vrf" else {"is_port": True, "addresses": None})
    names = st.sampled_from([one["name"] for one in links])
    routes = st.fixed_dictionaries(
        {"destination": st.sampled_from(["0.0.0.0/0", "::/0", "198.51.100.0/24"]), "table": tables},
        optional={"metric": st.integers(1, 9)},
    )
    nowhere = st.sampled_from(["blackhole", "unreachable", "prohibit"]).map(lambda kind: {"type": kind})
    way = names.map(lambda name: {"link": name}) | nowhere
    rules = st.fixed_dictionaries(
        {"priority": st.integers(1, 32765), "table": tables, "version": st.sampled_from([4, 6])},
        optional={"in_link": names, "mark": st.integers(0, 9)},
    )
    servers = st.lists(st.sampled_from(["192.0.2.53", "2001:db8::53"]), max_size=2)
    config = {
        "links": [{key: value for key, value in one.items() if key != "is_port"} for one in links],
        "routes": draw(st.none() | st.lists(st.builds(lambda one, two: one | two, routes, way), max_size=3)),
        "rules": draw(st.none() | st.lists(rules, max_size=3)),
        "dns": draw(st.none() | servers.map(lambda each: {"servers": each, "search": ["example.org"]})),
    }
    try:
        return NetworkConfig.model_validate(config)
    except ValidationError:
        reject()
