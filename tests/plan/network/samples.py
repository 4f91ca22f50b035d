# SPDX-License-Identifier: Apache-2.0
"""Configurations that the renderers are tried with, resolved as the planner would hand them over."""

from __future__ import annotations

from agent.model.network import NetworkConfig

CLOUD = NetworkConfig.model_validate(
    {
        "links": [
            {"kind": "ethernet", "name": "eth0", "mac": "2c:55:d3:9a:06:35", "mtu": 8888},
            {"kind": "ethernet", "name": "eth1", "mac": "2c:55:d3:9a:06:36", "mtu": 8888},
            {
                "kind": "bond",
                "name": "bond0",
                "mac": "fa:16:3e:3f:15:55",
                "mtu": 8888,
                "mode": "active-backup",
                "miimon_ms": 100,
                "ports": ["eth0", "eth1"],
                "dhcp4": True,
            },
            {
                "kind": "vlan",
                "name": "bond0.2315",
                "mac": "fa:16:3e:87:0b:67",
                "mtu": 8888,
                "parent": "bond0",
                "vlan_id": 2315,
                "dhcp4": True,
            },
            {
                "kind": "vlan",
                "name": "bond0.3966",
                "mac": "fa:16:3e:fc:a9:28",
                "mtu": 8888,
                "parent": "bond0",
                "vlan_id": 3966,
                "addresses": ["192.168.81.99/22"],
            },
        ],
        "dns": {"servers": ["100.125.4.25", "8.8.8.8"]},
    }
)
"""What bare-metal clouds hand out as network_data.json: two NICs in a bond, a primary network and an extension by
DHCP, a high-speed network with a static address."""

RICH = NetworkConfig.model_validate(
    {
        "links": [
            {
                "kind": "ethernet",
                "name": "eth0",
                "mac": "52:54:00:00:00:01",
                "mtu": 9000,
                "addresses": ["192.0.2.10/24", "192.0.2.11/24", "2001:db8::10/64"],
                "dhcp4": False,
                "dhcp6": False,
                "accept_ra": False,
            },
            {"kind": "ethernet", "name": "eth1", "mac": "52:54:00:00:00:02", "mtu": 9000},
            {"kind": "ethernet", "name": "eth2", "mac": "52:54:00:00:00:03", "mtu": 9000},
            {"kind": "ethernet", "name": "eth3", "mac": "52:54:00:00:00:04", "dhcp6": True, "accept_ra": True},
            {"kind": "ethernet", "name": "eth4", "mac": "52:54:00:00:00:05", "dhcp4": True},
            {"kind": "ethernet", "name": "eth5", "mac": "52:54:00:00:00:06", "up": False},
            {
                "kind": "bond",
                "name": "bond1",
                "mtu": 9000,
                "mode": "802.3ad",
                "miimon_ms": 100,
                "lacp_rate": "fast",
                "hash_policy": "layer3+4",
                "min_links": 1,
                "ports": ["eth2", "eth1"],
            },
            {"kind": "vlan", "name": "storage", "parent": "bond1", "vlan_id": 300, "addresses": ["198.51.100.9/24"]},
            {
                "kind": "vlan",
                "name": "outer",
                "parent": "bond1",
                "vlan_id": 40,
                "protocol": "802.1ad",
                "mac": "52:54:00:00:01:01",
            },
            {"kind": "vrf", "name": "red", "table": 1001, "ports": ["storage"]},
            {
                "kind": "vxlan",
                "name": "vx7",
                "vni": 7,
                "local": "192.0.2.10",
                "parent": "eth0",
                "remotes": ["192.0.2.21", "192.0.2.20"],
                "mtu": 8950,
            },
            {"kind": "vxlan", "name": "vx8", "vni": 8, "local": "2001:db8::10", "port": 8472},
            {"kind": "bridge", "name": "br0", "ports": ["vx7"], "stp": False, "addresses": ["10.7.0.1/16"]},
            {
                "kind": "macvlan",
                "name": "mv0",
                "parent": "eth0",
                "mode": "bridge",
                "mac": "52:54:00:00:01:02",
                "addresses": ["192.0.2.50/24"],
            },
        ],
        "routes": [
            {"destination": "0.0.0.0/0", "gateway": "192.0.2.1", "link": "eth0"},
            {"destination": "::/0", "gateway": "fe80::1", "link": "eth0"},
            {"destination": "192.0.2.0/24", "link": "mv0", "source": "192.0.2.50", "table": 252},
            {"destination": "0.0.0.0/0", "gateway": "192.0.2.1", "link": "mv0", "table": 252},
            {"destination": "10.0.0.0/8", "gateway": "198.51.100.1", "link": "storage", "table": 1001, "metric": 50},
            {"destination": "203.0.113.0/24", "gateway": "203.0.113.1", "link": "eth0", "onlink": True},
            {"destination": "172.16.0.0/12", "type": "blackhole"},
            {"destination": "fd00::/8", "type": "unreachable"},
        ],
        "rules": [
            {"priority": 1000, "table": 252, "source": "192.0.2.50/32"},
            {"priority": 1001, "table": 1001, "in_link": "eth4", "mark": 7},
            {"priority": 1002, "table": 254, "version": 6, "destination": "2001:db8:1::/48"},
        ],
        "dns": {"servers": ["192.0.2.53", "2001:db8::53"], "search": ["example.org", "example.net"]},
    }
)
"""Every kind of link, and everything that can be said of routes and rules."""

SAMPLES = {"cloud": CLOUD, "rich": RICH}
