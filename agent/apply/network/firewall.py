# SPDX-License-Identifier: Apache-2.0
"""Loads firewalls and translations of EIPs, and saves them: they stand before the network does at the next boot.

bms-agent-firewall.service loads what is saved: the firewall, then the members that came and went since. These are in a
file of their own, which is not flushed to the disk, since that would take longer than all else: a power cut may spoil
its end, and then the firewall stands without it until the agent runs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from agent.apply.network import eip, security
from agent.apply.network.ruleset import Ruleset
from agent.errors import HostError
from agent.host.doors import Host
from agent.model.network import IPAddress
from agent.model.network.nft import EIPS_TABLE, FIREWALL_TABLE, generation_of, mark_of
from agent.model.network.step import ChangeMembers, ReplaceFirewall, SetEips

SAVED_FIREWALL = "/var/lib/bms-agent/nftables/firewall.nft"
SAVED_MEMBERS = "/var/lib/bms-agent/nftables/members.nft"
SAVED_EIPS = "/var/lib/bms-agent/nftables/eips.nft"
Sets = dict[str, list[IPAddress]]
LARGEST_BYTES = 1 << 20
"""Of the saved changes: then those that later ones undid are left out."""


def replace_firewall(host: Host, step: ReplaceFirewall) -> None:
    """In one transaction. What was refused leaves the former one standing. Raises `HostError`, `InputError`."""
    made = security.ruleset(step.firewall, next_generation(host, FIREWALL_TABLE))
    script = made.script()
    load(host, made, script)
    host.files.remove(SAVED_MEMBERS)  # first: it is of the former one
    host.files.write(SAVED_FIREWALL, script.encode(), mode=0o600)


def set_eips(host: Host, step: SetEips) -> None:
    """In one transaction, as above."""
    made = eip.ruleset(step.eips, next_generation(host, EIPS_TABLE))
    script = made.script()
    load(host, made, script)
    host.files.write(SAVED_EIPS, script.encode(), mode=0o600)


def next_generation(host: Host, table: str) -> int:
    """No set there has it."""
    return 1 + max(map(generation_of, (*host.nftables.chains(table), *host.nftables.sets(table))), default=0)


def load(host: Host, made: Ruleset, script: str) -> None:
    """In place of what is in its table; then what that needed goes."""
    host.nftables(script)
    chains, sets = made.left_over(host.nftables.chains(made.table), host.nftables.sets(made.table))
    if chains or sets:
        host.nftables.remove(made.table, chains, sets)


def change_members(host: Host, step: ChangeMembers) -> None:
    """Addresses come and go; rules and all other sets are not touched. Raises `HostError`."""
    old = mark_of(host.nftables.chains(FIREWALL_TABLE))
    if old is None:
        raise HostError("changing members of security groups", "the firewall is not as it was loaded")
    new = replace(old, digest=step.digest)
    add, remove = (sets_of(each, old.generation) for each in (step.add, step.remove))
    host.nftables.change(FIREWALL_TABLE, add, remove, (str(old), str(new)))
    host.files.append(SAVED_MEMBERS, changes(add, remove, str(old), str(new)).encode(), durable=False)
    with host.files.open_large(SAVED_MEMBERS) as saved:
        is_long = (saved.size_bytes or 0) > LARGEST_BYTES
    if is_long:
        host.files.write(SAVED_MEMBERS, shortened(host.files.read_text(SAVED_MEMBERS)).encode(), mode=0o600)


def sets_of(members: Mapping[str, Iterable[IPAddress]], generation: int) -> Sets:
    """Name of a set → the addresses of its family."""
    found: Sets = {}
    for group, addresses in members.items():
        for address in addresses:
            found.setdefault(security.members_set(group, address.version, generation), []).append(address)
    return found


def changes(add: Sets, remove: Sets, old: str, new: str) -> str:
    """As commands, one a line; what is taken away is added before, since it may not be there."""
    lines = []
    for verbs, members in ((("add", "delete"), remove), (("add",), add)):
        for name, addresses in members.items():
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
