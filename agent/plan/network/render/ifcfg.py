# SPDX-License-Identifier: Apache-2.0
"""RHEL's network scripts, before NetworkManager was all there is: ifcfg-, route-, route6-, rule-, rule6- for each link.

/usr/share/doc/initscripts/sysconfig.txt. A NIC is found, and named, by `HWADDR`. NetworkManager, which reads these
files too, is told to leave them to the scripts.

The scripts know no VXLAN, VRF, macvlan or 802.1ad: the agent makes those links when it starts.
"""

from __future__ import annotations

from agent.model.network import Bond, Bridge, Ethernet, Link, Macvlan, NetworkConfig, Vlan, VlanProtocol, Vrf, Vxlan
from agent.plan.network.render.outline import Outline
from agent.plan.network.render.variables import lines, variables
from agent.plan.network.render.words import bond_options, route_words, rule_words

FOLDER = "/etc/sysconfig/network-scripts"
FOLDERS = (FOLDER,)


def render(config: NetworkConfig) -> dict[str, str]:
    """Path → text."""
    outline = Outline(config)
    files: dict[str, str] = {}
    for link in outline.links:
        if is_known(link, outline):
            texts = {f"ifcfg-{link.name}": ifcfg(link, outline), **routing(link, outline)}
            files |= {f"{FOLDER}/{name}": text for name, text in texts.items() if text is not None}
    return files


def is_known(link: Link, outline: Outline) -> bool:
    """Whether the scripts can make it, and all that it stands on. A VRF's port in no VRF would leak."""
    unknown = isinstance(link, Vxlan | Vrf | Macvlan) or outline.vrf(link) is not None
    unknown |= isinstance(link, Vlan) and link.protocol is VlanProtocol.SERVICE
    return not unknown and all(is_known(one, outline) for one in outline.links if one.name in link.lower)


def ifcfg(link: Link, outline: Outline) -> str:
    """The link itself."""
    upper = outline.upper(link)
    pairs: dict[str, object] = {
        "DEVICE": link.name,
        "HWADDR": link.mac if isinstance(link, Ethernet) else None,
        "MACADDR": None if isinstance(link, Ethernet) else link.mac,
        **making(link),
        "MTU": link.mtu,
        "ONBOOT": "yes" if link.up else "no",
        "USERCTL": "no",
        "NM_CONTROLLED": "no",
        "BOOTPROTO": "dhcp" if link.dhcp4 and not outline.is_bare(link) else "static",
        "MASTER": upper.name if isinstance(upper, Bond) else None,
        "SLAVE": "yes" if isinstance(upper, Bond) else None,
        "BRIDGE": upper.name if isinstance(upper, Bridge) else None,
    }
    if not outline.is_bare(link):
        pairs |= addressing4(link, outline) | addressing6(link, outline) | name_servers(link, outline)
    return variables(pairs)


def making(link: Link) -> dict[str, object]:
    """What it is. Others than bonds and bridges are Ethernets to the scripts."""
    match link:
        case Bond():
            options = " ".join(f"{key}={value}" for key, value in bond_options(link).items())
            return {"TYPE": "Bond", "BONDING_MASTER": "yes", "BONDING_OPTS": options}
        case Bridge():
            stp = None if link.stp is None else ("yes" if link.stp else "no")
            return {"TYPE": "Bridge", "STP": stp, "DELAY": 0 if link.stp is False else None}
        case Vlan():
            told = link.name == f"{link.parent}.{link.vlan_id}"
            keys: dict[str, object] = {"TYPE": "Ethernet", "VLAN": "yes", "PHYSDEV": link.parent}
            return keys if told else keys | {"VLAN_ID": link.vlan_id, "VID": link.vlan_id}
        case _:
            return {"TYPE": "Ethernet"}


def addressing4(link: Link, outline: Outline) -> dict[str, object]:
    """IPv4: static addresses are numbered from the second on."""
    pairs: dict[str, object] = {}
    four = (address for address in link.addresses or () if address.version == 4)
    for place, address in enumerate(four):
        number = place or ""
        pairs |= {f"IPADDR{number}": address.ip, f"NETMASK{number}": address.netmask}
    if link.dhcp4:
        pairs["PERSISTENT_DHCLIENT"] = 1
        pairs["DEFROUTE"] = None if outline.takes_default(link, 4) else "no"
        pairs["PEERDNS"] = None if outline.leased_dns else "no"
    return pairs


def addressing6(link: Link, outline: Outline) -> dict[str, object]:
    """IPv6, if anything is said of it."""
    six = [address for address in link.addresses or () if address.version == 6]
    if not six and link.dhcp6 is None and link.accept_ra is None:
        return {}
    leased = bool(link.dhcp6 or link.accept_ra)
    return {
        "IPV6INIT": "yes" if six or leased else "no",
        "IPV6_AUTOCONF": None if link.accept_ra is None else ("yes" if link.accept_ra else "no"),
        "DHCPV6C": None if link.dhcp6 is None else ("yes" if link.dhcp6 else "no"),
        "IPV6_DEFROUTE": "no" if leased and not outline.takes_default(link, 6) else None,
        "IPV6ADDR": six[0] if six else None,
        "IPV6ADDR_SECONDARIES": " ".join(str(address) for address in six[1:]) or None,
    }


def name_servers(link: Link, outline: Outline) -> dict[str, object]:
    """Three are taken at most (resolv.conf(5), MAXNS)."""
    dns = outline.dns(link)
    servers = {f"DNS{place}": server for place, server in enumerate(dns.servers, 1)}
    return {**servers, "DOMAIN": " ".join(dns.search) or None}


def routing(link: Link, outline: Outline) -> dict[str, str | None]:
    """Routes and rules, a file each for each version: what comes after `ip route add` and `ip rule add`."""
    if outline.is_bare(link):
        return {}
    routes, rules = outline.routes(link), outline.rules(link)
    return {
        f"route-{link.name}": lines([" ".join(route_words(r, r.link)) for r in routes if r.destination.version == 4]),
        f"route6-{link.name}": lines([" ".join(route_words(r, r.link)) for r in routes if r.destination.version == 6]),
        f"rule-{link.name}": lines([" ".join(rule_words(rule)) for rule in rules if rule.version == 4]),
        f"rule6-{link.name}": lines([" ".join(rule_words(rule)) for rule in rules if rule.version == 6]),
    }
