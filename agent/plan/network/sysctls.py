# SPDX-License-Identifier: Apache-2.0
"""Settings of the kernel that a configuration needs (Documentation/networking/ip-sysctl.rst, vrf.rst)."""

from __future__ import annotations

from collections.abc import Mapping

from agent.model.network import Link, NetworkConfig, NetworkState, Vrf
from agent.model.network.step import SetSysctl

FILE = "/etc/sysctl.d/60-bms-agent-network.conf"


def sysctls_of(config: NetworkConfig) -> dict[str, str]:
    """Key below /proc/sys/net → value. The keys of each link stand behind the machine's own."""
    wanted: dict[str, str] = {}
    shared = sharing(config.links)
    if shared or any(rule.source for rule in config.rules or ()):
        wanted["ipv4/conf/all/rp_filter"] = "2"  # the way back need only exist (RFC 3704 section 2.4)
    if any(isinstance(link, Vrf) for link in config.links):
        for key in ("tcp", "udp", "raw"):  # what listens without naming a VRF listens in all of them
            wanted[f"ipv4/{key}_l3mdev_accept"] = "1"
    for name in sorted(shared):  # each NIC answers ARP for its own addresses alone, and asks with them
        wanted[f"ipv4/conf/{name}/arp_ignore"] = "1"
        wanted[f"ipv4/conf/{name}/arp_announce"] = "2"
    for link in sorted(config.links, key=lambda link: link.name):
        if link.accept_ra is not None:
            wanted[f"ipv6/conf/{link.name}/accept_ra"] = str(int(link.accept_ra))
    return wanted


def sharing(links: tuple[Link, ...]) -> set[str]:
    """Links that are in one IPv4 subnet with another one."""
    members: dict[object, set[str]] = {}
    for link in links:
        for address in link.addresses or ():
            if address.version == 4:
                members.setdefault(address.network, set()).add(link.name)
    return {name for names in members.values() if len(names) > 1 for name in names}


def change_sysctls(state: NetworkState, wanted: Mapping[str, str], made: frozenset[str]) -> list[SetSysctl]:
    """What is otherwise, or belongs to a link that has just been made. A key that this kernel does not have (no IPv6,
    `raw_l3mdev_accept` before 5.0) is left out: there is nothing to switch off, or on.
    """
    return [
        SetSysctl(key=key, value=value)
        for key, value in wanted.items()
        if (key in state.sysctls and state.sysctls[key] != value) or key.split("/")[-2] in made
    ]


def renamed_key(key: str, names: Mapping[str, str]) -> str:
    """A key of a link that has another name now."""
    *folder, link, last = key.split("/")
    return "/".join([*folder, names.get(link, link), last])


def sysctl_file(wanted: Mapping[str, str]) -> dict[str, str]:
    """The file for the next boot; none where there is nothing to say. udev sets what is a link's when it turns up."""
    if not wanted:
        return {}
    lines = ["# Written by bms-agent: changes here are overwritten."]
    lines += [f"net/{key} = {value}" for key, value in wanted.items()]  # slashes: a link's name may have a dot
    return {FILE: "\n".join(lines) + "\n"}
