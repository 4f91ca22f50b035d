# SPDX-License-Identifier: Apache-2.0
"""What stands on a bond in the ramdisk: VLANs, VRFs with the same addresses, tunnels; filters of what is in a VRF."""

from __future__ import annotations

from typing import Any

import pytest

from agent.model.network import Vlan, VlanProtocol
from tests.machine.networks import LACP, Made, bonded, vlan, with_links
from tests.machine.wired import Wired

pytestmark = pytest.mark.machine

SAME = ["192.168.7.1/24", "fd77::1/64"]
FAR = "192.168.7.254"
VRFS = (
    {"kind": "vrf", "name": "red", "table": 101, "ports": ["bond0.301"]},
    {"kind": "vrf", "name": "blue", "table": 102, "ports": ["bond0.302"]},
    vlan("bond0.301", 301, mac="02:00:00:00:03:01", mtu=9000, addresses=SAME),
    vlan("bond0.302", 302, mac="02:00:00:00:03:02", addresses=SAME),
)
ROUTES: tuple[Made, ...] = (
    {"destination": "0.0.0.0/0", "link": "bond0.301", "gateway": FAR, "table": 101},
    {"destination": "0.0.0.0/0", "link": "bond0.302", "gateway": FAR, "table": 102},
)
SERVE = """
import socket, threading
def serve(port):
    server = socket.create_server(("", port))
    while True:
        server.accept()[0].sendall(b"served")
for port in (8001, 8002):
    threading.Thread(target=serve, args=(port,)).start()
"""


def allowed(direction: str, protocol: str, port: int) -> Made:
    """A rule."""
    return {"direction": direction, "protocol": protocol, "first_port": port, "last_port": port}


def served(wired: Wired, space: str, port: int) -> bool:
    """Whether that namespace gets through to our address by TCP, in its own VLAN."""
    said = wired.shell(f"ip netns exec {space} timeout 3 bash -c 'head -c 6 </dev/tcp/192.168.7.1/{port}' 2>&1 || true")
    return said == "served"


def test_tags(wired: Wired) -> None:
    """A tag of a provider, and a customer's in it, each as wide as it may be; the bond gets smaller and wider again."""
    tags = (
        vlan("outer", 200, protocol="802.1ad", mtu=9000),
        vlan("inner", 5, parent="outer", mtu=1500, addresses=["10.200.5.1/24"]),
    )
    wired.change(with_links(bonded(**LACP), *tags))
    outer = wired.details("outer")
    assert (outer["mtu"], outer["linkinfo"]["info_data"]["protocol"]) == (9000, "802.1ad")
    config = wired.link("outer").config
    assert isinstance(config, Vlan) and config.protocol is VlanProtocol.SERVICE
    small = [link | ({"mtu": 1500} if "mtu" in link else {}) for link in with_links(bonded(**LACP), *tags)["links"]]
    wired.change(bonded(**LACP) | {"links": small})
    assert {wired.details(name)["mtu"] for name in ("bond0", "outer", "inner", "bond0.100")} == {1500}
    wired.change(bonded(**LACP))
    assert wired.show().link("outer") is None


def test_every_other_kind(wired: Wired) -> None:
    """Macvlan, bridge and VXLAN come, and go with what is no longer ordered."""
    more: tuple[Made, ...] = (
        {"kind": "macvlan", "name": "mv0", "parent": "bond0", "mode": "bridge", "addresses": ["10.44.0.1/24"]},
        vlan("bond0.400", 400),
        {"kind": "bridge", "name": "br0", "ports": ["bond0.400"], "stp": False, "addresses": ["10.45.0.1/24"]},
        {"kind": "vxlan", "name": "vx0", "vni": 77, "local": "10.9.0.1", "parent": "bond0", "mtu": 8950}
        | {"remotes": ["10.9.0.254", "10.9.0.253"], "addresses": ["10.46.0.1/24"]},
    )
    made = {"mv0": "02:00:00:00:04:01", "br0": "02:00:00:00:05:01", "vx0": "02:00:00:00:06:01"}
    links = tuple(link | ({"mac": made[link["name"]]} if link["name"] in made else {}) for link in more)
    wired.change(with_links(bonded(**LACP), *links))
    assert {name: wired.details(name)["address"] for name in made} == made
    assert wired.link("bond0.400").upper == "br0"
    wired.change(with_links(bonded(**LACP), *({**link, "remotes": []} if "vni" in link else link for link in links)))
    wired.change(bonded(**LACP))
    assert [link.name for link in wired.show().links if link.kind in ("macvlan", "bridge", "vxlan")] == []


def test_two_vrfs_with_the_same_addresses(wired: Wired) -> None:
    """Each has a table, a gateway that answers, and packets of its own; nothing of it is in the main table."""
    wired.change(with_links(bonded(**LACP), *VRFS, routes=ROUTES))
    assert [wired.ask("echo", FAR, vrf) for vrf in ("red", "blue")] == ["anybody peer", "anybody far"]
    assert {wired.link(f"bond0.{tag}").upper for tag in (301, 302)} == {"red", "blue"}
    assert [str(one) for one in wired.link("bond0.301").addresses] == SAME
    assert FAR.rpartition(".")[0] not in wired.shell("ip route show table main")


def test_security_groups_in_vrfs(wired: Wired) -> None:
    """A link in a VRF is filtered by its own groups, in both directions; what is in no group is not."""
    wired.shell(f"setsid python3 -I -S -c '{SERVE}' &>/dev/null &")
    spaces = [(space, port) for space in ("peer", "far") for port in (8001, 8002)]
    wired.within(10, "servers", lambda: all(served(wired, *one) for one in spaces))
    groups: list[dict[str, Any]] = [
        {"id": "web", "rules": [allowed("in", "tcp", 8001), allowed("out", "udp", 7)]},
        {"id": "db", "rules": [allowed("in", "tcp", 8002)]},
    ]
    firewall = {"groups": groups, "links": {"bond0.301": ["web"], "bond0.302": ["db"]}}
    wired.change(with_links(bonded(**LACP), *VRFS, routes=ROUTES, firewall=firewall))

    assert [served(wired, *one) for one in spaces] == [True, False, False, True]
    assert [wired.ask("echo", FAR, vrf) for vrf in ("red", "blue")] == ["anybody peer", None]
    assert wired.ask("echo", "10.9.0.254", "bond0") == "anybody peer"
