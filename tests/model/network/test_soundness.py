# SPDX-License-Identifier: Apache-2.0
"""Bad networks are refused before anything is touched, by the name of the field."""

from __future__ import annotations

import json
from typing import Any

import pytest

from agent.errors import DecodeError
from agent.model.frozen import decode
from agent.model.network import NetworkConfig

A = {"kind": "ethernet", "name": "a", "mac": "52:54:00:00:00:01"}
B = {"kind": "ethernet", "name": "b", "mac": "52:54:00:00:00:02"}
V4 = "0.0.0.0/0"


def on(link: dict[str, Any], *addresses: str, **more: Any) -> dict[str, Any]:
    """With these addresses."""
    return link | {"addresses": list(addresses)} | more


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "MAC": ({"links": [A | {"mac": "5254"}]}, r"links\.0\.ethernet\.mac"),
    "name": ({"links": [A | {"name": "a" * 16}]}, r"links\.0\.ethernet\.name"),
    "name with a path": ({"links": [A | {"name": "../x"}]}, r"links\.0\.ethernet\.name"),
    "VLAN id": (
        {"links": [A, {"kind": "vlan", "name": "v", "parent": "a", "vlan_id": 4095}]},
        r"links\.1\.vlan\.vlan_id",
    ),
    "VNI": ({"links": [{"kind": "vxlan", "name": "v", "vni": 1 << 24, "local": "10.0.0.1"}]}, r"links\.0\.vxlan\.vni"),
    "MTU": ({"links": [A | {"mtu": 576}]}, r"links\.0\.ethernet\.mtu"),
    "unknown kind": ({"links": [{"kind": "token ring", "name": "t"}]}, r"links\.0"),
    "unknown field": ({"links": [A | {"colour": "red"}]}, r"links\.0\.ethernet\.colour"),
    "name for a shell": (
        {"links": [A, {"kind": "vlan", "name": "$(reboot)", "parent": "a", "vlan_id": 5}]},
        r"links\.1\.name: '\$\(reboot\)' has more",
    ),
    "two of a name": ({"links": [A, B | {"name": "a"}]}, r"links\.1\.name"),
    "two of a MAC": ({"links": [A, B | {"mac": A["mac"]}]}, r"links\.1\.ethernet: b is the same as a"),
    "two of a tag": (
        {"links": [A, *({"kind": "vlan", "name": n, "parent": "a", "vlan_id": 5} for n in ("v", "w"))]},
        r"links\.2\.vlan: w is the same as v",
    ),
    "unknown parent": (
        {"links": [{"kind": "vlan", "name": "v", "parent": "x", "vlan_id": 5}]},
        r"links\.0\.parent: v needs x",
    ),
    "unknown port": ({"links": [{"kind": "bridge", "name": "r", "ports": ["x"]}]}, r"links\.0\.ports: r needs x"),
    "bond of nothing": ({"links": [{"kind": "bond", "name": "o", "mode": "802.3ad", "ports": []}]}, r"links\.0\.ports"),
    "port of two": (
        {"links": [A, *({"kind": "bridge", "name": n, "ports": ["a"]} for n in ("r", "s"))]},
        r"links\.2\.ports: a is a port of r already",
    ),
    "port with an address": (
        {"links": [on(A, "10.0.0.1/24"), {"kind": "bridge", "name": "r", "ports": ["a"]}]},
        r"links\.1\.ports: a has addresses",
    ),
    "loop": (
        {"links": [{"kind": "vlan", "name": n, "parent": p, "vlan_id": 5} for n, p in (("v", "w"), ("w", "v"))]},
        "stands on itself",
    ),
    "MTU above its carrier's": (
        {"links": [A | {"mtu": 1500}, {"kind": "vlan", "name": "v", "parent": "a", "vlan_id": 5, "mtu": 9000}]},
        r"links\.1\.mtu: 9000 of v does not fit into 1500 of a",
    ),
    "VXLAN's MTU": (
        {
            "links": [
                A | {"mtu": 1500},
                {"kind": "vxlan", "name": "x", "vni": 1, "local": "10.0.0.1", "parent": "a", "mtu": 1500},
            ]
        },
        r"links\.1\.mtu: 1500 of x does not fit into 1450",
    ),
    "LACP of another mode": (
        {"links": [A, {"kind": "bond", "name": "o", "mode": "active-backup", "ports": ["a"], "lacp_rate": "fast"}]},
        r"links\.1\.lacp_rate: only 802\.3ad",
    ),
    "primary that is no port": (
        {"links": [A, B, {"kind": "bond", "name": "o", "mode": "active-backup", "ports": ["a"], "primary": "b"}]},
        r"links\.2\.primary: b is no port",
    ),
    "one address twice": (
        {"links": [on(A, "10.0.0.1/24"), on(B, "10.0.0.1/24")]},
        r"links\.1\.addresses: 10\.0\.0\.1 of b",
    ),
    "overlapping subnets": (
        {"links": [on(A, "10.0.0.1/16"), on(B, "10.0.5.1/24")]},
        r"links\.1\.addresses: .*overlaps",
    ),
    "route over no link": (
        {"links": [A], "routes": [{"destination": V4, "link": "x"}]},
        r"routes\.0\.link: x is no link",
    ),
    "gateway out of reach": (
        {"links": [on(A, "10.0.0.1/24")], "routes": [{"destination": V4, "link": "a", "gateway": "10.0.1.1"}]},
        r"routes\.0\.gateway: 10\.0\.1\.1 is on no network of a",
    ),
    "gateway of another version": (
        {"links": [on(A, "fd00::1/64")], "routes": [{"destination": V4, "link": "a", "gateway": "fd00::2"}]},
        r"routes\.0\.gateway: fd00::2 is of another version",
    ),
    "a route twice": (
        {"links": [A], "routes": [{"destination": "10.0.0.0/8", "link": "a"}] * 2},
        r"routes\.1: a second one",
    ),
    "host bits in a destination": (
        {"links": [A], "routes": [{"destination": "10.0.0.1/8", "link": "a"}]},
        r"routes\.0",
    ),
    "rule for no link": ({"rules": [{"priority": 1, "table": 9, "in_link": "x"}]}, r"rules\.0\.in_link: x is no link"),
    "rule of two versions": (
        {"rules": [{"priority": 1, "table": 9, "source": "fd00::/64"}]},
        r"rules\.0.*source: fd00::/64",
    ),
    "the kernel's own rule": ({"rules": [{"priority": 32766, "table": 254}]}, r"rules\.0\.priority"),
    "EIP of no address": (
        {"links": [on(A, "10.0.0.1/24")], "eips": [{"address": "203.0.113.1", "private": "10.0.0.2", "link": "a"}]},
        r"eips\.0\.private: 10\.0\.0\.2 is not on a",
    ),
    "group of no link": ({"links": [A], "firewall": {"links": {"x": []}}}, r"firewall\.links\.x: it is no link"),
    "a line in a domain": ({"dns": {"search": ["example.org\n[Match]"]}}, r"dns\.search\.0"),
    "unknown group": ({"links": [A], "firewall": {"links": {"a": ["g"]}}}, r"firewall.*links\.a: there is no group g"),
}


@pytest.mark.parametrize("name", BAD)
def test_refused(name: str) -> None:
    """Each is refused, and the field is named."""
    made, evidence = BAD[name]
    with pytest.raises(DecodeError, match=evidence):
        decode(NetworkConfig, json.dumps(made), "reading a network")


def test_what_is_sound_passes() -> None:
    """Two NICs in one subnet, one address in two VRFs, a link-local address on each: none of that is wrong."""
    vrfs = [{"kind": "vrf", "name": f"vrf{n}", "table": n, "ports": [n_port]} for n, n_port in ((1, "a"), (2, "b"))]
    made = {"links": [on(A, "10.0.0.1/24", "fe80::1/64"), on(B, "10.0.0.1/24", "fe80::1/64"), *vrfs]}
    assert decode(NetworkConfig, json.dumps(made), "reading a network").link("vrf2")

    same = {"links": [on(A, "10.0.0.1/24"), on(B, "10.0.0.2/24")]}
    assert decode(NetworkConfig, json.dumps(same), "reading a network").link("b")
