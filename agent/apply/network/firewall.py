# SPDX-License-Identifier: Apache-2.0
"""Loads firewalls and translations of EIPs, and saves them: they stand before the network does at the next boot.

bms-agent-firewall.service loads what is saved. A change of members is appended, so that it costs what it changes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from agent.apply.network import eip, security
from agent.apply.network.ruleset import Ruleset
from agent.errors import HostError
from agent.host.doors import Host
from agent.model.network import IPAddress
from agent.model.network.nft import FIREWALL_TABLE, mark, mark_in, uses_of
from agent.model.network.step import ChangeMembers, ReplaceFirewall, SetEips

SAVED_FIREWALL = "/var/lib/bms-agent/nftables/firewall.nft"
SAVED_EIPS = "/var/lib/bms-agent/nftables/eips.nft"
CHANGES = "# members that came and went since\n"
LARGEST_BYTES = 4 << 20
"""Of the saved firewall: then changes that later ones undid are left out."""


def replace_firewall(host: Host, step: ReplaceFirewall) -> None:
    """In one transaction. What was refused leaves the former one standing. Raises `HostError`, `InputError`."""
    load(host, security.ruleset(step.firewall), SAVED_FIREWALL)


def set_eips(host: Host, step: SetEips) -> None:
    """In one transaction, as above."""
    load(host, eip.ruleset(step.eips), SAVED_EIPS)


def load(host: Host, made: Ruleset, saved: str) -> None:
    """In place of what is in its table; then saved, as it is loaded into a kernel that has nothing yet."""
    host.nftables(made.script(host.nftables.chains(made.table), host.nftables.sets(made.table)))
    host.files.write(saved, (made.script() + CHANGES).encode(), mode=0o600)


def change_members(host: Host, step: ChangeMembers) -> None:
    """Addresses come and go; rules and all other sets are not touched. Raises `HostError`."""
    old = mark_in(host.nftables.chains(FIREWALL_TABLE))
    if old is None:
        raise HostError("changing members of security groups", "the firewall is not as it was loaded")
    new = mark(step.digest, uses_of(old))
    host.nftables.change(FIREWALL_TABLE, sets_of(step.add), sets_of(step.remove), (old, new))
    save(host, changes(step, old, new))


def sets_of(members: Mapping[str, Iterable[IPAddress]]) -> dict[str, list[IPAddress]]:
    """Name of a set → the addresses of its family."""
    found: dict[str, list[IPAddress]] = {}
    for group, addresses in members.items():
        for address in addresses:
            found.setdefault(security.members_set(group, address.version), []).append(address)
    return found


def changes(step: ChangeMembers, old: str, new: str) -> str:
    """As commands, one a line; what is taken away is added before, since it may not be there."""
    lines = []
    for verbs, members in ((("add", "delete"), step.remove), (("add",), step.add)):
        for name, addresses in sets_of(members).items():
            lines += [f"{verb} element {FIREWALL_TABLE} {name} {{ {one} }}" for one in addresses for verb in verbs]
    if old != new:
        lines += [f"delete chain {FIREWALL_TABLE} {old}", f"add chain {FIREWALL_TABLE} {new}"]
    return "".join(f"{line}\n" for line in lines)


def save(host: Host, more: str) -> None:
    """At the end of the saved firewall."""
    host.files.append(SAVED_FIREWALL, more.encode())
    text = host.files.read_text(SAVED_FIREWALL)
    if len(text) > LARGEST_BYTES:
        host.files.write(SAVED_FIREWALL, shortened(text).encode(), mode=0o600)


def shortened(text: str) -> str:
    """Of each member the last change; of the marks, the first that went and the last that came."""
    head, comment, tail = text.partition(CHANGES)
    last: dict[str, str] = {}
    gone = came = ""
    for line in tail.splitlines(keepends=True):
        verb, noun, rest = line.split(" ", 2)
        if noun == "element":
            last.pop(rest, None)
            last[rest] = verb
        elif verb == "delete":
            gone = gone or line
        else:
            came = line
    kept = [f"{one} element {rest}" for rest, verb in last.items() for one in dict.fromkeys(("add", verb))]
    return "".join([head, comment, *kept, gone, came])
