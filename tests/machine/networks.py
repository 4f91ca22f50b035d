# SPDX-License-Identifier: Apache-2.0
"""Desired networks for the guest with two cables."""

from __future__ import annotations

from typing import Any

from tests.machine.wired import OURS

Made = dict[str, Any]

NICS: list[Made] = [
    {"kind": "ethernet", "name": f"nic{place}", "mac": mac, "mtu": 9000} for place, mac in enumerate(OURS)
]
LACP: Made = {"mode": "802.3ad", "lacp_rate": "fast", "hash_policy": "layer3+4", "min_links": 1}
VLAN_MAC = "02:00:00:00:01:00"
GATEWAY = "10.9.0.254"


def bonded(gateway: str = GATEWAY, **options: Any) -> Made:
    """A bond of both NICs; on it a VLAN that has a MAC of its own."""
    bond = {"kind": "bond", "name": "bond0", "ports": ["nic0", "nic1"], "miimon_ms": 100, "mtu": 9000}
    bond |= {"addresses": ["10.9.0.1/24", "fd09::1/64"]} | options
    routes = [
        {"destination": "0.0.0.0/0", "link": "bond0", "gateway": gateway},
        {"destination": "fd50::/16", "link": "bond0", "gateway": "fd09::254"},
    ]
    more: Made = {"mac": VLAN_MAC, "mtu": 9000, "addresses": ["10.100.0.1/24"]}
    return {"links": [*NICS, bond, vlan("bond0.100", 100, **more)], "routes": routes}


def unproven(network: Made) -> Made:
    """Without routes, and so without proofs: to a switch that speaks LACP alone, what passes is chance."""
    return network | {"routes": []}


def vlan(name: str, vlan_id: int, parent: str = "bond0", **more: Any) -> Made:
    """On the bond, if nothing else is said."""
    return {"kind": "vlan", "name": name, "parent": parent, "vlan_id": vlan_id, **more}


def with_links(network: Made, *links: Made, routes: tuple[Made, ...] = (), **more: Any) -> Made:
    """The same with more of all."""
    return {**network, "links": [*network["links"], *links], "routes": [*network["routes"], *routes], **more}
