# SPDX-License-Identifier: Apache-2.0
"""NetworkManager: a keyfile for each link (nm-settings-keyfile(5)); files that others can read are ignored by it.

A NIC is found by its permanent MAC. Links refer to each other by UUID, which is made of the link's name, or a NIC's
MAC. A profile of ours comes before others that fit the same device, such as cloud-init's (its priority is 120).

It has no word for several remotes of a VXLAN: the agent adds them when it starts. A NIC that shall be down stays
without a profile that begins by itself, but NetworkManager keeps it up to see its carrier.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from hashlib import sha256

from agent.model.network import (
    DEFAULT_V4,
    DEFAULT_V6,
    Bond,
    Bridge,
    Ethernet,
    Link,
    Macvlan,
    MacvlanMode,
    NetworkConfig,
    Route,
    RouteType,
    Rule,
    Vlan,
    VlanProtocol,
    Vrf,
    Vxlan,
)
from agent.plan.network.render.ini import Key, Section, ini
from agent.plan.network.render.outline import Outline

FOLDER = "/etc/NetworkManager/system-connections"
FOLDERS = (FOLDER,)
PRIORITY = 200
MACVLAN_MODES = {MacvlanMode.VEPA: 1, MacvlanMode.BRIDGE: 2, MacvlanMode.PRIVATE: 3, MacvlanMode.PASSTHRU: 4}
"""NMSettingMacvlanMode."""


def render(config: NetworkConfig) -> dict[str, str]:
    """Path → text."""
    outline = Outline(config)
    return {f"{FOLDER}/{stem(link)}.nmconnection": keyfile(link, outline) for link in outline.links}


def identity(link: Link) -> str:
    """What nmcli(1) calls it."""
    return f"bms-agent-{link.name}"


def stem(link: Link) -> str:
    """Of its file: a NIC's is called by its MAC, since its name may be another one tomorrow."""
    return f"bms-agent-{link.mac.replace(':', '')}" if isinstance(link, Ethernet) else identity(link)


def uuid(link: Link) -> str:
    """The same for the same link for ever; in the form of RFC 9562 version 8, which is whatever one likes."""
    digest = sha256(stem(link).encode()).hexdigest()
    return f"{digest[:8]}-{digest[8:12]}-8{digest[13:16]}-8{digest[17:20]}-{digest[20:32]}"


def keyfile(link: Link, outline: Outline) -> str:
    """The profile of one link."""
    hardware = Section.of(
        "ethernet",
        ("mac-address", link.mac if isinstance(link, Ethernet) else None),
        ("cloned-mac-address", None if isinstance(link, Ethernet) else link.mac),
        ("mtu", link.mtu),
    )
    sections = [connection(link, outline), hardware, making(link, outline)]
    if outline.is_bare(link):
        return ini(sections)
    return ini([*sections, *(protocol(link, version, outline) for version in (4, 6))])


def connection(link: Link, outline: Outline) -> Section:
    """Who it is, and whose port."""
    upper = outline.upper(link)
    return Section.of(
        "connection",
        ("id", identity(link)),
        ("uuid", uuid(link)),
        ("type", link.kind),
        ("interface-name", None if isinstance(link, Ethernet) else escaped(link.name)),
        ("autoconnect", None if link.up else "false"),
        ("autoconnect-priority", PRIORITY),
        ("master", upper and uuid(upper)),
        ("slave-type", upper and upper.kind),
    )


def making(link: Link, outline: Outline) -> Section:
    """The section of its kind; empty for a NIC."""
    named = {one.name: one for one in outline.links}
    parent: str | None = getattr(link, "parent", None)
    on = ("parent", uuid(named[parent]) if parent else None)
    match link:
        case Bond():
            return Section.of(
                "bond",
                ("mode", link.mode),
                ("miimon", link.miimon_ms),
                ("xmit_hash_policy", link.hash_policy),
                ("lacp_rate", link.lacp_rate),
                ("min_links", link.min_links),
                ("primary", link.primary and escaped(link.primary)),
            )
        case Vlan():
            service = link.protocol if link.protocol is VlanProtocol.SERVICE else None  # NetworkManager 1.42 has it
            return Section.of("vlan", on, ("id", link.vlan_id), ("protocol", service))
        case Vxlan():
            alone = link.remotes[0] if link.remotes and len(link.remotes) == 1 else None
            place = (("local", link.local), ("destination-port", link.port))
            return Section.of("vxlan", on, ("id", link.vni), *place, ("remote", alone))
        case Vrf():
            return Section.of("vrf", ("table", link.table))
        case Bridge():
            return Section.of("bridge", ("stp", None if link.stp is None else str(link.stp).lower()))
        case Macvlan():
            return Section.of("macvlan", on, ("mode", MACVLAN_MODES[link.mode]))
        case Ethernet():
            return Section.of("ethernet")


def protocol(link: Link, version: int, outline: Outline) -> Section:
    """`[ipv4]` or `[ipv6]`. The section must be there: without it NetworkManager asks for a lease."""
    leased = link.dhcp4 if version == 4 else (link.dhcp6 or link.accept_ra)
    refused = "true" if leased and not outline.takes_default(link, version) else None
    addresses = (address for address in link.addresses or () if address.version == version)
    return Section.of(
        f"ipv{version}",
        ("method", methods(link, outline)[version]),
        *((f"address{place}", address) for place, address in enumerate(addresses, 1)),
        *route_keys([one for one in outline.routes(link) if one.destination.version == version], outline),
        *rule_keys([one for one in outline.rules(link) if one.version == version]),
        *dns_keys(link, version, outline),
        ("never-default", refused),
        ("ignore-auto-dns", "true" if leased and not outline.leased_dns else None),
    )


def methods(link: Link, outline: Outline) -> dict[int, str]:
    """Where addresses come from. IPv6 of which nothing is said is left to the kernel ("ignore")."""
    static = {address.version for address in link.addresses or ()}
    method4 = "auto" if link.dhcp4 else ("manual" if 4 in static else "disabled")
    if link.dhcp6 and link.accept_ra is False:
        method6 = "dhcp"
    elif link.accept_ra or link.dhcp6:
        method6 = "auto"
    elif 6 in static:
        method6 = "manual"
    elif link.accept_ra is False:
        method6 = "link-local"
    else:
        said = {
            *(one.destination.version for one in outline.routes(link)),
            *(one.version for one in outline.rules(link)),
        }
        method6 = "auto" if 6 in said | {server.version for server in outline.dns(link).servers} else "ignore"
    return {4: method4, 6: method6}


def dns_keys(link: Link, version: int, outline: Outline) -> Iterator[Key]:
    """Servers at their version, domains once. A profile with them where no address can come is refused as a whole."""
    dns = outline.dns(link)
    able = [each for each, method in methods(link, outline).items() if method in ("auto", "manual", "dhcp")]
    servers = [str(server) for server in dns.servers if server.version == version]
    if version in able and servers:
        yield "dns", "".join(f"{server};" for server in servers)
    if version in able[:1] and dns.search:
        yield "dns-search", "".join(f"{domain};" for domain in dns.search)


def route_keys(routes: Sequence[Route], outline: Outline) -> Iterator[Key]:
    """`routeN=destination[,gateway[,metric]]`, and what else there is of it in `routeN_options`."""
    for place, route in enumerate(routes, 1):
        nowhere = (DEFAULT_V4 if route.destination.version == 4 else DEFAULT_V6).network_address
        metric = route.key[2]  # said even where it is the kernel's own: NetworkManager has others for each kind of link
        yield f"route{place}", f"{route.destination},{route.gateway or nowhere},{metric}"
        options = {
            "onlink": "true" if route.onlink else None,
            "src": route.source,
            "table": outline.told_table(route),
            "type": None if route.type is RouteType.UNICAST else route.type,
        }
        said = ",".join(f"{key}={value}" for key, value in options.items() if value is not None)
        yield f"route{place}_options", said or None


def rule_keys(rules: Sequence[Rule]) -> Iterator[Key]:
    """`routing-ruleN=`, in the words of `ip rule add`; it has to have an end."""
    for place, rule in enumerate(rules, 1):
        everywhere = "0.0.0.0/0" if rule.version == 4 else "::/0"
        words = {
            "priority": rule.priority,
            "from": rule.source or (None if rule.destination else everywhere),
            "to": rule.destination,
            "iif": rule.in_link,
            "oif": rule.out_link,
            "fwmark": rule.mark,
            "table": rule.table,
        }
        yield f"routing-rule{place}", " ".join(f"{key} {value}" for key, value in words.items() if value is not None)


def escaped(name: str) -> str:
    """GKeyFile's escape."""
    return name.replace("\\", "\\\\")
