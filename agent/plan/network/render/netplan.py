# SPDX-License-Identifier: Apache-2.0
"""netplan: one YAML file with all links (netplan-yaml(5)), for systemd-networkd to carry out.

A NIC is found by its MAC and named as it is called now. Its id is our own: netplan merges what several files say of one
id, and `bms-…` sorts before the ids of cloud-init's file, of which networkd then reads ours.

What netplan has no words for is said to networkd itself, in its own files, which sort before netplan's: links of some
kinds, with all that is made on them; and links whose part in it netplan cannot tell.
"""

from __future__ import annotations

from agent.model.network import (
    Bond,
    Bridge,
    Ethernet,
    Link,
    Macvlan,
    NetworkConfig,
    Route,
    RouteType,
    Rule,
    Vlan,
    VlanProtocol,
    Vrf,
    Vxlan,
)
from agent.plan.network.render import networkd
from agent.plan.network.render.mark import marked
from agent.plan.network.render.outline import Outline
from agent.plan.network.render.yaml import Node, yaml

PATH = "/etc/netplan/90-bms-agent.yaml"
FOLDERS = ("/etc/netplan", *networkd.FOLDERS)
SECTIONS = {"ethernet": "ethernets", "bond": "bonds", "vlan": "vlans", "vxlan": "tunnels", "vrf": "vrfs"} | {
    "bridge": "bridges"
}


def render(config: NetworkConfig) -> dict[str, str]:
    """Path → text."""
    outline = Outline(config)
    files = networkd.daemon()
    document: dict[str, Node] = {"version": 2}
    for link in outline.links:
        if is_wordless(link, outline):
            files |= networkd.made(link)
        else:
            section = document.setdefault(SECTIONS[link.kind], {})
            assert isinstance(section, dict)
            section[identity(link)] = definition(link, outline)
        if is_wordless(link, outline) or is_shadowed(link, outline):
            files |= {networkd.network_path(link): networkd.network(link, outline)}
    return files | {PATH: marked(yaml({"network": document}))}


def is_wordless(link: Link, outline: Outline) -> bool:
    """Whether netplan knows no such link; then it can know none on top of it either."""
    unknown = (
        isinstance(link, Macvlan)
        or (isinstance(link, Vlan) and link.protocol is VlanProtocol.SERVICE)
        or (isinstance(link, Vxlan) and bool(link.remotes))
    )
    return unknown or any(is_wordless(one, outline) for one in outline.links if one.name in link.lower)


def is_shadowed(link: Link, outline: Outline) -> bool:
    """Whether netplan knows the link, but not all that it is for. Its rules know no links."""
    above = [one for one in outline.links if link.name in one.lower]
    return any(is_wordless(one, outline) for one in above) or any(
        rule.in_link or rule.out_link for rule in outline.rules(link)
    )


def identity(link: Link) -> str:
    """By which other definitions name it."""
    return f"bms-{link.name}" if isinstance(link, Ethernet) else link.name


def definition(link: Link, outline: Outline) -> dict[str, Node]:
    """All that is said of a link."""
    keys = made(link, outline)
    if link.mtu is not None:
        keys["mtu"] = link.mtu
    if not link.up:
        keys["activation-mode"] = "manual"
    if link.name != outline.home:
        keys["optional"] = True
    if isinstance(link, Vrf):
        return keys
    keys["critical"] = True
    return keys if outline.is_bare(link) else keys | addressing(link, outline) | routing(link, outline)


def made(link: Link, outline: Outline) -> dict[str, Node]:
    """What it is."""
    named = {one.name: identity(one) for one in outline.links}
    match link:
        case Ethernet():
            return {"match": {"macaddress": link.mac}, "set-name": link.name}
        case Bond():
            keys: dict[str, Node] = {"interfaces": [named[port] for port in link.ports]}
            keys["parameters"] = bond_parameters(link, named)
        case Vlan():
            keys = {"id": link.vlan_id, "link": named[link.parent]}
        case Vxlan():
            keys = {"mode": "vxlan", "id": link.vni, "local": str(link.local), "port": link.port}
            keys |= {"link": named[link.parent]} if link.parent else {}
        case Vrf():
            return {"table": link.table, "interfaces": [named[port] for port in link.ports]}
        case Bridge():
            keys = {"interfaces": [named[port] for port in link.ports]}
            keys |= {} if link.stp is None else {"parameters": {"stp": link.stp}}
        case Macvlan():
            keys = {}  # it is wordless
    return keys | ({"macaddress": link.mac} if link.mac else {})


def bond_parameters(link: Bond, named: dict[str, str]) -> dict[str, Node]:
    """In netplan's words."""
    parameters = {
        "mode": str(link.mode),
        "mii-monitor-interval": link.miimon_ms,
        "lacp-rate": link.lacp_rate and str(link.lacp_rate),
        "transmit-hash-policy": link.hash_policy and str(link.hash_policy),
        "min-links": link.min_links,
        "primary": named.get(link.primary or ""),
    }
    return {key: value for key, value in parameters.items() if value is not None}


def addressing(link: Link, outline: Outline) -> dict[str, Node]:
    """Addresses, clients, name servers."""
    keys: dict[str, Node] = {}
    for key, wanted in (("dhcp4", link.dhcp4), ("dhcp6", link.dhcp6), ("accept-ra", link.accept_ra)):
        if wanted is not None:
            keys[key] = wanted
    for key, wanted in (("dhcp4-overrides", link.dhcp4), ("dhcp6-overrides", link.dhcp6)):
        if wanted and (kept := overrides(link, outline)):
            keys[key] = kept
    if link.addresses is not None:
        keys["addresses"] = [str(address) for address in link.addresses]
        if link.addresses and not (link.dhcp4 or link.dhcp6):
            keys["ignore-carrier"] = True
    dns = outline.dns(link)
    if dns.servers or dns.search:
        keys["nameservers"] = {"addresses": [str(server) for server in dns.servers], "search": list(dns.search)}
    return keys


def overrides(link: Link, outline: Outline) -> dict[str, Node]:
    """The same for both versions, since networkd had one section for them once and netplan insists."""
    keys: dict[str, Node] = {}
    if not outline.takes_default(link, 4 if link.dhcp4 else 6):
        keys["use-routes"] = False
    if not outline.leased_dns:
        keys["use-dns"] = False
    return keys


def routing(link: Link, outline: Outline) -> dict[str, Node]:
    """Routes and rules."""
    routes: list[Node] = [route_keys(route, outline) for route in outline.routes(link)]
    rules: list[Node] = [rule_keys(rule) for rule in outline.rules(link) if not (rule.in_link or rule.out_link)]
    keys: dict[str, Node] = {"routes": routes, "routing-policy": rules}
    return {key: value for key, value in keys.items() if value}


def route_keys(route: Route, outline: Outline) -> dict[str, Node]:
    """One of `routes`."""
    keys: dict[str, Node] = {"to": str(route.destination)}
    if route.gateway is not None:
        keys["via"] = str(route.gateway)
    elif route.type is RouteType.UNICAST:
        keys["scope"] = "link"
    if route.source is not None:
        keys["from"] = str(route.source)
    if route.type is not RouteType.UNICAST:
        keys["type"] = str(route.type)
    if route.metric:
        keys["metric"] = route.metric
    if (table := outline.told_table(route)) is not None:
        keys["table"] = table
    return keys | ({"on-link": True} if route.onlink else {})


def rule_keys(rule: Rule) -> dict[str, Node]:
    """One of `routing-policy`. It has to have an end, which tells IPv4 from IPv6."""
    everywhere = "0.0.0.0/0" if rule.version == 4 else "::/0"
    keys: dict[str, Node] = {}
    if rule.source is not None or rule.destination is None:
        keys["from"] = str(rule.source or everywhere)
    if rule.destination is not None:
        keys["to"] = str(rule.destination)
    if rule.mark is not None:
        keys["mark"] = rule.mark
    return keys | {"priority": rule.priority, "table": rule.table}
