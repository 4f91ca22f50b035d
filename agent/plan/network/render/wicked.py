# SPDX-License-Identifier: Apache-2.0
"""SUSE's wicked: ifcfg-, ifroute-, ifrule- for each link in /etc/sysconfig/network, links named by udev.

ifcfg(5), ifcfg-bonding(5), ifcfg-vlan(5), ifcfg-vxlan(5), ifcfg-macvlan(5), ifcfg-bridge(5), ifroute(5), ifrule(5),
ifsysctl(5). Name servers are the whole system's here (NETCONFIG_DNS_STATIC_SERVERS in `config`), which is not our file:
they come with a lease, or by the agent. It knows no VRF, and one remote of a VXLAN: the rest is the agent's when it
starts.
"""

from __future__ import annotations

from agent.model.network import (
    Bond,
    Bridge,
    Link,
    Macvlan,
    NetworkConfig,
    Route,
    RouteType,
    Vlan,
    VlanProtocol,
    Vrf,
    Vxlan,
)
from agent.plan.network.render.names import FOLDER as NAMES
from agent.plan.network.render.names import naming
from agent.plan.network.render.outline import Outline
from agent.plan.network.render.variables import lines, variables
from agent.plan.network.render.words import bond_options, route_options, rule_words

FOLDER = "/etc/sysconfig/network"
FOLDERS = (FOLDER, NAMES)


def render(config: NetworkConfig) -> dict[str, str]:
    """Path → text."""
    outline = Outline(config)
    files = naming(outline)
    for link in outline.links:
        if is_known(link, outline):
            texts = {f"ifcfg-{link.name}": ifcfg(link, outline), **routing(link, outline)}
            files |= {f"{FOLDER}/{name}": text for name, text in texts.items() if text is not None}
    return files


def is_known(link: Link, outline: Outline) -> bool:
    """Whether wicked can make it, and all that it stands on. A VRF's port in no VRF would leak."""
    unknown = isinstance(link, Vrf) or outline.vrf(link) is not None
    return not unknown and all(is_known(one, outline) for one in outline.links if one.name in link.lower)


def ifcfg(link: Link, outline: Outline) -> str:
    """The link itself."""
    pairs: dict[str, object] = {
        "STARTMODE": "auto" if link.up else "off",
        "NM_CONTROLLED": "no",
        "USERCONTRL": "no",
        "DEVICE": link.name,
        "LLADDR": None if link.kind == "ethernet" else link.mac,
        **making(link),
        "MTU": link.mtu,
        "BOOTPROTO": "none" if outline.is_bare(link) else protocol(link),
    }
    if not outline.is_bare(link):
        for place, address in enumerate(link.addresses or ()):
            pairs[f"IPADDR_{place}" if place else "IPADDR"] = address
        if link.dhcp4 and not outline.takes_default(link, 4):
            pairs["DHCLIENT_SET_DEFAULT_ROUTE"] = "no"
        if link.dhcp4 and not outline.leased_dns:
            pairs["DHCLIENT_MODIFY_RESOLV_CONF"] = "no"
    return variables(pairs)


def protocol(link: Link) -> str:
    """`dhcp` is both versions; static addresses may come beside it."""
    if link.dhcp4:
        return "dhcp4" if link.dhcp6 is False else "dhcp"
    return "dhcp6" if link.dhcp6 else "static"


def making(link: Link) -> dict[str, object]:
    """What it is."""
    match link:
        case Bond():
            options = " ".join(f"{key}={value}" for key, value in bond_options(link).items())
            ports = {f"BONDING_SLAVE{place}": port for place, port in enumerate(link.ports)}
            return {"TYPE": "Bond", "BONDING_MASTER": "yes", "BONDING_MODULE_OPTS": options, **ports}
        case Vlan():
            protocol = "ieee802-1ad" if link.protocol is VlanProtocol.SERVICE else None
            keys = {"TYPE": "Ethernet", "ETHERDEVICE": link.parent, "VLAN_ID": link.vlan_id}
            return {**keys, "VLAN_PROTOCOL": protocol}
        case Vxlan():
            alone = link.remotes[0] if link.remotes and len(link.remotes) == 1 else None
            keys = {"VXLAN": "yes", "VXLAN_ID": link.vni, "VXLAN_DEVICE": link.parent}
            ends = {"VXLAN_LOCAL_IP": link.local, "VXLAN_REMOTE_IP": alone, "VXLAN_DST_PORT": link.port}
            return {**keys, **ends, "VXLAN_LEARNING": "yes"}
        case Bridge():
            stp = None if link.stp is None else ("on" if link.stp else "off")
            return {"BRIDGE": "yes", "BRIDGE_PORTS": " ".join(link.ports), "BRIDGE_STP": stp, "BRIDGE_FORWARDDELAY": 0}
        case Macvlan():
            return {"MACVLAN_DEVICE": link.parent, "MACVLAN_MODE": link.mode}
        case _:
            return {}


def routing(link: Link, outline: Outline) -> dict[str, str | None]:
    """Routes, rules, and whether routers' advertisements count."""
    if outline.is_bare(link):
        return {}
    rules = [f"ipv{rule.version} {' '.join(rule_words(rule))}" for rule in outline.rules(link)]
    accept = [] if link.accept_ra is None else [f"net.ipv6.conf.$INTERFACE.accept_ra = {2 if link.accept_ra else 0}"]
    return {
        f"ifroute-{link.name}": lines([route_line(route) for route in outline.routes(link)]),
        f"ifrule-{link.name}": lines(rules),
        f"ifsysctl-{link.name}": lines(accept),
    }


def route_line(route: Route) -> str:
    """Destination, gateway, netmask, link, options."""
    kind = [] if route.type is RouteType.UNICAST else [str(route.type)]
    words = [str(route.destination), str(route.gateway or "-"), "-", route.link or "-"]
    return " ".join([*words, *kind, *route_options(route)])
