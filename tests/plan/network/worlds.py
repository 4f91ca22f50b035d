# SPDX-License-Identifier: Apache-2.0
"""Networks that follow one another on one machine with four NICs, for hypothesis.

Bonds, bridges and VRFs take ports from each other, links change parents, addresses and routes move.
"""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from pydantic import ValidationError

from agent.model.network import NetworkConfig

NICS = {f"eno{number}": f"52:54:00:00:00:0{number}" for number in range(1, 5)}
Made = dict[str, Any]

addresses = st.lists(
    st.sampled_from([f"10.{net}.0.{host}/24" for net in range(3) for host in (1, 2)] + ["fd00::1/64", "fd00:1::1/64"]),
    max_size=2,
    unique=True,
)


@st.composite
def virtual(draw: st.DrawFn, free: list[str], named: list[str]) -> Made:
    """A virtual link on what there is."""
    name = draw(st.sampled_from(["bond0", "br0", "vrf1", "web", "db", "vx1"]))
    kind = {"bond0": "bond", "br0": "bridge", "vrf1": "vrf", "vx1": "vxlan"}.get(name, "vlan")
    kind = draw(st.sampled_from(["vlan", "macvlan"])) if kind == "vlan" else kind
    ports = draw(st.lists(st.sampled_from(free), min_size=1, max_size=2, unique=True)) if free else []
    parent = draw(st.sampled_from(named))
    own: dict[str, Made] = {
        "bond": {"mode": draw(st.sampled_from(["802.3ad", "active-backup"])), "ports": ports, "miimon_ms": 100},
        "bridge": {"ports": ports, "stp": draw(st.booleans())},
        "vrf": {"table": draw(st.sampled_from([10, 11])), "ports": ports},
        "vxlan": {
            "vni": draw(st.integers(1, 2)),
            "local": "10.0.0.1",
            "remotes": draw(st.sampled_from([[], ["10.0.0.9"]])),
        },
        "vlan": {"parent": parent, "vlan_id": draw(st.integers(1, 2))},
        "macvlan": {"parent": parent, "mode": draw(st.sampled_from(["private", "bridge"]))},
    }
    return {"kind": kind, "name": name, "mac": None} | own[kind]


@st.composite
def networks(draw: st.DrawFn) -> NetworkConfig:
    """A sound one."""
    chosen = draw(st.lists(st.sampled_from(sorted(NICS)), min_size=1, max_size=4, unique=True))
    links: list[Made] = [{"kind": "ethernet", "name": name, "mac": NICS[name]} for name in chosen]
    for _ in range(draw(st.integers(0, 4))):
        taken = {port for link in links for port in link.get("ports", [])}
        link = draw(virtual([one["name"] for one in links if one["name"] not in taken], [one["name"] for one in links]))
        if all(one["name"] != link["name"] for one in links):
            links.append(link)
    taken = {port for link in links for port in link.get("ports", []) if link["kind"] != "vrf"}
    for link in links:
        link["addresses"] = None if link["name"] in taken else draw(st.none() | addresses)
        link["mtu"] = draw(st.sampled_from([None, 1400, 1500])) if link["kind"] in ("ethernet", "vlan") else None
        link["up"] = draw(st.sampled_from([True, True, True, False])) if link["name"] not in taken else True
    return sound({"links": links} | draw(routing(links)), draw)


@st.composite
def routing(draw: st.DrawFn, links: list[Made]) -> Made:
    """Routes and rules that fit the links."""
    routes: list[Made] = []
    for link in links:
        for address in link["addresses"] or [] if link["up"] else []:
            if "." in address and draw(st.booleans()):
                gateway = address.rpartition(".")[0] + ".254"
                destination = draw(st.sampled_from(["0.0.0.0/0", "192.0.2.0/24"]))
                table = draw(st.sampled_from([254, 100]))
                routes.append({"destination": destination, "link": link["name"], "gateway": gateway, "table": table})
    if draw(st.booleans()):
        routes.append({"destination": "198.51.100.0/24", "type": "blackhole"})
    rules = draw(
        st.none()
        | st.lists(
            st.builds(lambda p: {"priority": p, "table": 100, "source": "10.0.0.1/32"}, st.integers(1, 3)),
            max_size=2,
            unique_by=str,
        )
    )
    return {"routes": draw(st.sampled_from([routes, routes, None])), "rules": rules}


def sound(made: Made, draw: st.DrawFn) -> NetworkConfig:
    """Or another one."""
    try:
        return NetworkConfig.model_validate(made)
    except ValidationError:
        return draw(st.nothing())
