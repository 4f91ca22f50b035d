# SPDX-License-Identifier: Apache-2.0
"""ifupdown: stanzas in one file below /etc/network/interfaces.d (interfaces(5)), links named by udev.

Bonds are in the words of ifenslave, VLANs that are called as usual (`bond0.100`) in ifupdown's own; other links are
made by ip(8), since no package that is there on every system knows them. `dns-nameservers` needs resolvconf or
systemd-resolved. A DHCP client here cannot be told to leave the default route: it gets a large metric.

Stanzas of two files for one link are both carried out: `superseded` says which file of cloud-init has to go.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence

from agent.model.network import Bond, Bridge, IPInterface, Link, NetworkConfig, Vlan, VlanProtocol, Vrf, Vxlan
from agent.plan.network.render.mark import marked
from agent.plan.network.render.names import FOLDER as NAMES
from agent.plan.network.render.names import naming
from agent.plan.network.render.outline import Outline
from agent.plan.network.render.words import bond_options, making_words, route_words, rule_words

FOLDER = "/etc/network/interfaces.d"
PATH = f"{FOLDER}/50-bms-agent"
"""Without a dot: `source-directory` takes no other names."""
FOLDERS = (FOLDER, NAMES)
CLOUD_INIT = (f"{FOLDER}/50-cloud-init", f"{FOLDER}/50-cloud-init.cfg")
LEASED_METRIC = 1024
FLOOD = "00:00:00:00:00:00"


def render(config: NetworkConfig) -> dict[str, str]:
    """Path → text."""
    outline = Outline(config)
    links = sorted(outline.links, key=lambda link: not isinstance(link, Vrf))  # a port that joins one loses addresses
    return naming(outline) | {PATH: marked("\n".join(stanzas(link, outline) for link in links))}


def superseded(config: NetworkConfig, files: Mapping[str, str]) -> dict[str, str]:
    """Files of cloud-init all of whose links are in this configuration."""
    ours = {link.name for link in config.links} | {"lo"}
    return {
        path: files[path]
        for path in CLOUD_INIT
        if path in files and set(re.findall(r"^\s*iface\s+(\S+)", files[path], re.MULTILINE)) <= ours
    }


def stanzas(link: Link, outline: Outline) -> str:
    """All of one link: the first stanza makes it and sets what is not of IP, the last has what needs all addresses."""
    methods = list(methods_of(link, outline))
    if methods[0][0] not in ("inet static", "inet manual") or outline.vrf(link) is not None:
        methods.insert(0, ("inet manual", []))  # the method dhcp knows no MTU
    methods[0][1].extend(first_words(link, outline))
    methods[-1][1].extend(last_words(link, outline))
    text = f"auto {link.name}\n" if link.up else ""
    for method, words in methods:
        text += "\n".join([f"iface {link.name} {method}", *(f"    {line}" for line in words)]) + "\n"
    return text


def methods_of(link: Link, outline: Outline) -> Iterator[tuple[str, list[str]]]:
    """(family and method, its options) of each stanza."""
    addresses = [] if outline.is_bare(link) else list(link.addresses or ())
    yield from (("inet static", address_lines(one)) for one in addresses if one.version == 4)
    if outline.is_bare(link):
        yield "inet manual", []
        return
    if link.dhcp4:
        yield "inet dhcp", [] if outline.takes_default(link, 4) else [f"metric {LEASED_METRIC}"]
    accept = [] if link.accept_ra is None else [f"accept_ra {2 if link.accept_ra else 0}"]
    if link.dhcp6:
        yield "inet6 dhcp", accept
    elif link.accept_ra:
        yield "inet6 auto", accept
    yield from (("inet6 static", [*address_lines(one), *accept]) for one in addresses if one.version == 6)
    if not (addresses or link.dhcp4 or link.dhcp6 or link.accept_ra):
        yield "inet manual", []


def address_lines(address: IPInterface) -> list[str]:
    """Of a static stanza."""
    mask = address.netmask if address.version == 4 else address.network.prefixlen
    return [f"address {address.ip}", f"netmask {mask}"]


def first_words(link: Link, outline: Outline) -> Iterator[str]:
    """How it comes to be, and what it is whatever its addresses are."""
    yield from making_lines(link)
    vrf = outline.vrf(link)
    if vrf is not None:
        yield f"up {command(['ip', 'link', 'set', 'dev', link.name, 'master', vrf.name])}"
    if isinstance(link, Bridge):
        yield from (f"pre-up {command(['ip', 'link', 'set', 'dev', port, 'master', link.name])}" for port in link.ports)
    if link.mtu is not None:
        yield f"mtu {link.mtu}"
    if link.mac is not None and link.kind != "ethernet":
        yield f"hwaddress {link.mac}"
    dns = outline.dns(link)
    if dns.servers:
        yield f"dns-nameservers {' '.join(str(server) for server in dns.servers)}"
    if dns.search:
        yield f"dns-search {' '.join(dns.search)}"
    if link.accept_ra is False and not link.dhcp6 and not any(one.version == 6 for one in link.addresses or ()):
        yield f"up echo 0 > {shlex.quote(f'/proc/sys/net/ipv6/conf/{link.name}/accept_ra')}"


def making_lines(link: Link) -> Iterator[str]:
    """The words of whoever makes such links."""
    match link:
        case Bond():
            for name, value in bond_options(link).items():
                if name != "min_links":  # ifenslave does not know it
                    yield f"bond_{name} {value}"
            yield f"bond-slaves {' '.join(link.ports)}"
            if link.min_links is not None:
                yield f"up echo {link.min_links} > {shlex.quote(f'/sys/class/net/{link.name}/bonding/min_links')}"
        case Vlan() if link.protocol is VlanProtocol.CUSTOMER and is_usual(link):
            yield f"vlan-raw-device {link.parent}"
        case _:
            words = making_words(link)
            if words:
                there = shlex.quote(f"/sys/class/net/{link.name}")
                yield f"pre-up test -e {there} || {command(['ip', 'link', 'add', *words])}"
                yield f"post-down {command(['ip', 'link', 'del', 'dev', link.name])} || true"


def is_usual(link: Vlan) -> bool:
    """Whether the name tells the tag, as ifupdown wants it."""
    return link.name.rpartition(".")[0] != "" and link.name.rpartition(".")[2] == str(link.vlan_id)


def last_words(link: Link, outline: Outline) -> Iterator[str]:
    """Routes, rules, remotes. Those that are there already are fine: the agent may have been first."""
    if isinstance(link, Vxlan):
        for remote in link.remotes or ():
            words = ["bridge", "fdb", "append", FLOOD, "dev", link.name, "dst", str(remote)]
            yield f"up {command(words)} || true"
    if outline.is_bare(link):
        return
    for route in outline.routes(link):
        family = f"-{route.destination.version}"
        yield f"up {command(['ip', family, 'route', 'replace', *route_words(route, route.link)])}"
    for rule in outline.rules(link):
        words = rule_words(rule)
        yield f"up {command(['ip', f'-{rule.version}', 'rule', 'add', *words])} || true"
        yield f"down {command(['ip', f'-{rule.version}', 'rule', 'del', *words])} || true"


def command(words: Sequence[str]) -> str:
    """For the shell, by which ifupdown runs them."""
    return shlex.join(words)
