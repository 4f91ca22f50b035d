# SPDX-License-Identifier: Apache-2.0
"""systemd-networkd: a .netdev file for each link that is to be made, a .network file for each link.

systemd.netdev(5), systemd.network(5), networkd.conf(5). A NIC is found by its permanent MAC. The names sort before
those of netplan and cloud-init (`10-netplan-*`, `10-cloud-init-*`): the first file that matches a link is the only one.

The daemon must not take away what the agent adds: without the settings below it does so whenever it starts (measured
with systemd 252: rules, addresses and routes were gone).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

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
    Vrf,
    Vxlan,
)
from agent.plan.network.render.ini import Key, Section, ini
from agent.plan.network.render.outline import Outline

FOLDER = "/etc/systemd/network"
DAEMON_FOLDER = "/etc/systemd/networkd.conf.d"
FOLDERS = (FOLDER, DAEMON_FOLDER)
FLOOD = "00:00:00:00:00:00"
"""A VXLAN's entry for what has no known place (bridge(8), fdb)."""


def render(config: NetworkConfig) -> dict[str, str]:
    """Path → text."""
    outline = Outline(config)
    files = daemon()
    for link in outline.links:
        files |= made(link) | {network_path(link): network(link, outline)}
    return files


def daemon() -> dict[str, str]:
    """What holds for the daemon as a whole."""
    keys: tuple[Key, ...] = (("ManageForeignRoutes", "no"), ("ManageForeignRoutingPolicyRules", "no"))
    return {f"{DAEMON_FOLDER}/10-bms-agent.conf": ini([Section("Network", keys)])}


def network_path(link: Link) -> str:
    """A NIC's file is called by its MAC, since its name may be another one tomorrow."""
    stem = link.mac.replace(":", "") if isinstance(link, Ethernet) else link.name
    return f"{FOLDER}/10-bms-agent-{stem}.network"


def made(link: Link) -> dict[str, str]:
    """The .netdev file of a link that has to be made."""
    options = making(link)
    if options is None:
        return {}
    head = Section.of("NetDev", ("Name", link.name), ("Kind", link.kind), ("MACAddress", link.mac))
    return {f"{FOLDER}/10-bms-agent-{link.name}.netdev": ini([head, options])}


def making(link: Link) -> Section | None:
    """The section of its kind; `None` for a NIC."""
    match link:
        case Bond():
            return Section.of(
                "Bond",
                ("Mode", link.mode),
                ("TransmitHashPolicy", link.hash_policy),
                ("MIIMonitorSec", None if link.miimon_ms is None else f"{link.miimon_ms}ms"),
                ("LACPTransmitRate", link.lacp_rate),
                ("MinLinks", link.min_links),
            )
        case Vlan():
            return Section.of("VLAN", ("Id", link.vlan_id), ("Protocol", link.protocol))
        case Vxlan():
            return Section.of(
                "VXLAN",
                ("VNI", link.vni),
                ("Local", link.local),
                ("DestinationPort", link.port),
                ("Independent", None if link.parent else "yes"),
            )
        case Vrf():
            return Section.of("VRF", ("Table", link.table))
        case Bridge():
            return Section.of("Bridge", ("STP", yes_or_no(link.stp)))
        case Macvlan():
            return Section.of("MACVLAN", ("Mode", link.mode))
        case Ethernet():
            return None


def network(link: Link, outline: Outline) -> str:
    """The .network file."""
    sections = [matching(link), hardware(link, outline), network_section(link, outline)]
    if not outline.is_bare(link):
        sections += leases(link, outline)
        sections += [route_section(route, outline) for route in outline.routes(link)]
        sections += [rule_section(rule) for rule in outline.rules(link)]
    if isinstance(link, Vxlan):
        flood = ("MACAddress", FLOOD)
        sections += [Section.of("BridgeFDB", flood, ("Destination", remote)) for remote in link.remotes or ()]
    return ini(sections)


def matching(link: Link) -> Section:
    """Links made on top of a NIC have no permanent MAC, whatever MAC they bear."""
    if isinstance(link, Ethernet):
        return Section.of("Match", ("PermanentMACAddress", link.mac))
    return Section.of("Match", ("Name", literal(link.name)))


def literal(name: str) -> str:
    """`Name=` is a shell pattern, and one that begins with "!" is inverted."""
    return re.sub(r"([\[*?]|^!)", lambda found: f"[{found[0]}]" if found[0] != "!" else "?", name)


def hardware(link: Link, outline: Outline) -> Section:
    """`RequiredForOnline=no`: a boot waits for the link by which the server is reached, not for every cable."""
    return Section.of(
        "Link",
        ("MTUBytes", link.mtu),
        ("ActivationPolicy", None if link.up else "down"),
        ("RequiredForOnline", None if link.name == outline.home and link.up else "no"),
    )


def network_section(link: Link, outline: Outline) -> Section:
    """What the link belongs to, what is made on it, its addresses."""
    return Section.of("Network", *belonging(link, outline), *addressing(link, outline), ("KeepConfiguration", "static"))


def belonging(link: Link, outline: Outline) -> Iterator[Key]:
    """Its upper, and links made on top of it."""
    upper = outline.upper(link)
    if upper is not None:
        yield {"bond": "Bond", "bridge": "Bridge", "vrf": "VRF"}[upper.kind], upper.name
    if isinstance(upper, Bond) and upper.primary == link.name:
        yield "PrimarySlave", "yes"
    for child in outline.children(link):
        yield child.kind.upper(), child.name


def addressing(link: Link, outline: Outline) -> Iterator[Key]:
    """A link without a client keeps its addresses without a carrier, as they do that netlink sets."""
    if outline.is_bare(link):
        yield from (("LinkLocalAddressing", "no"), ("IPv6AcceptRA", "no"))
        return
    yield "DHCP", dhcp(link)
    yield "IPv6AcceptRA", yes_or_no(link.accept_ra)
    for address in link.addresses or ():
        yield "Address", address
    dns = outline.dns(link)
    for server in dns.servers:
        yield "DNS", server
    if dns.search:
        yield "Domains", " ".join(dns.search)
    if not (link.dhcp4 or link.dhcp6 or link.accept_ra):
        yield "ConfigureWithoutCarrier", "yes"


def dhcp(link: Link) -> str | None:
    """Which of the clients run."""
    if link.dhcp4 is None and link.dhcp6 is None:
        return None
    return {(True, True): "yes", (True, False): "ipv4", (False, True): "ipv6"}.get(
        (bool(link.dhcp4), bool(link.dhcp6)), "no"
    )


def leases(link: Link, outline: Outline) -> Iterator[Section]:
    """What is taken from a lease, and what not."""
    use_dns = None if outline.leased_dns else "no"
    if link.dhcp4:
        gateway = None if outline.takes_default(link, 4) else "no"
        yield Section.of("DHCPv4", ("UseGateway", gateway), ("UseDNS", use_dns))
    if link.dhcp6:
        alone = "solicit" if link.accept_ra is False else None
        yield Section.of("DHCPv6", ("WithoutRA", alone), ("UseDNS", use_dns))
    if link.accept_ra or (link.dhcp6 and link.accept_ra is None):
        gateway = None if outline.takes_default(link, 6) else "no"
        client = {True: "always", False: "no", None: None}[link.dhcp6]
        yield Section.of("IPv6AcceptRA", ("DHCPv6Client", client), ("UseGateway", gateway), ("UseDNS", use_dns))


def route_section(route: Route, outline: Outline) -> Section:
    """`[Route]`."""
    return Section.of(
        "Route",
        ("Destination", route.destination),
        ("Gateway", route.gateway),
        ("GatewayOnLink", "yes" if route.onlink else None),
        ("PreferredSource", route.source),
        ("Type", None if route.type is RouteType.UNICAST else route.type),
        ("Metric", route.metric or None),
        ("Table", outline.told_table(route)),
    )


def rule_section(rule: Rule) -> Section:
    """`[RoutingPolicyRule]`."""
    return Section.of(
        "RoutingPolicyRule",
        ("Family", f"ipv{rule.version}"),
        ("Priority", rule.priority),
        ("From", rule.source),
        ("To", rule.destination),
        ("IncomingInterface", rule.in_link),
        ("OutgoingInterface", rule.out_link),
        ("FirewallMark", rule.mark),
        ("Table", rule.table),
    )


def yes_or_no(answer: bool | None) -> str | None:
    """systemd's words."""
    return None if answer is None else ("yes" if answer else "no")
