# SPDX-License-Identifier: Apache-2.0
"""Loads firewalls and translations of EIPs, and saves them: they stand before the network does at the next boot.

bms-agent-firewall.service loads what is saved: the firewall, then the members that came and went since. These are in a
file of their own, which is not flushed to the disk, since that would take longer than all else: a power cut may spoil
its end, and then the firewall stands without it until the agent runs.
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
SAVED_MEMBERS = "/var/lib/bms-agent/nftables/members.nft"
SAVED_EIPS = "/var/lib/bms-agent/nftables/eips.nft"
LARGEST_BYTES = 1 << 20
"""Of the saved changes: then those that later ones undid are left out."""


def replace_firewall(host: Host, step: ReplaceFirewall) -> None:
    """In one transaction. What was refused leaves the former one standing. Raises `HostError`, `InputError`."""
    made = security.ruleset(step.firewall)
    load(host, made)
    host.files.remove(SAVED_MEMBERS)  # first: it is of the former one
    save(host, made, SAVED_FIREWALL)


def set_eips(host: Host, step: SetEips) -> None:
    """In one transaction, as above."""
    made = eip.ruleset(step.eips)
    load(host, made)
    save(host, made, SAVED_EIPS)


def load(host: Host, made: Ruleset) -> None:
    """In place of what is in its table."""
    host.nftables(made.script(host.nftables.chains(made.table), host.nftables.sets(made.table)))


def save(host: Host, made: Ruleset, path: str) -> None:
    """As it is loaded into a kernel that has nothing yet."""
    host.files.write(path, made.script().encode(), mode=0o600)


def change_members(host: Host, step: ChangeMembers) -> None:
    """Addresses come and go; rules and all other sets are not touched. Raises `HostError`."""
    old = mark_in(host.nftables.chains(FIREWALL_TABLE))
    if old is None:
        raise HostError("changing members of security groups", "the firewall is not as it was loaded")
    new = mark(step.digest, uses_of(old))
    host.nftables.change(FIREWALL_TABLE, sets_of(step.add), sets_of(step.remove), (old, new))
    host.files.append(SAVED_MEMBERS, changes(step, old, new).encode(), durable=False)
    with host.files.open_large(SAVED_MEMBERS) as saved:
        is_long = (saved.size_bytes or 0) > LARGEST_BYTES
    if is_long:
        host.files.write(SAVED_MEMBERS, shortened(host.files.read_text(SAVED_MEMBERS)).encode(), mode=0o600)


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


def shortened(text: str) -> str:
    """Of each member the last change; of the marks, the first that went and the last that came."""
    last: dict[str, str] = {}
    gone = came = ""
    for line in text.splitlines(keepends=True):
        verb, noun, rest = line.split(" ", 2)
        if noun == "element":
            last.pop(rest, None)
            last[rest] = verb
        elif verb == "delete":
            gone = gone or line
        else:
            came = line
    kept = [f"{one} element {rest}" for rest, verb in last.items() for one in dict.fromkeys(("add", verb))]
    return "".join([*kept, gone, came])
