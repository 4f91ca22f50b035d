# SPDX-License-Identifier: Apache-2.0
"""The fake doors to what becomes of packets: nf_tables, as far as scripts with one command a line go, and shapers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy

from agent.errors import HostError
from agent.host.fake.faults import FakeDoor, counted
from agent.host.fake.nf_table import JUMP, FakeTable
from agent.model.network import Bandwidth, IPAddress

Tables = dict[str, FakeTable]


class FakeNftables(FakeDoor):
    """`doors.Nftables` over the tables of the machine. Rules are kept, and never asked."""

    noun = "nftables"

    @counted
    def __call__(self, script: str) -> None:
        """One transaction: what is refused leaves all as it was."""
        tables = deepcopy(self.machine.nf_tables)
        for line in script.splitlines():
            if line.strip() and not line.startswith("#"):
                obey(tables, line)
        self.machine.nf_tables = tables

    @counted
    def chains(self, table: str) -> Mapping[str, int]:
        """Name → rules and jumps."""
        found = self.machine.nf_tables.get(table)
        return found.uses() if found else {}

    @counted
    def sets(self, table: str) -> tuple[str, ...]:
        """Names."""
        found = self.machine.nf_tables.get(table)
        return tuple(found.sets) if found else ()

    @counted
    def remove(self, table: str, chains: Sequence[str], sets: Sequence[str]) -> None:
        """One transaction, too."""
        tables = deepcopy(self.machine.nf_tables)
        for noun, names in (("set", sets), ("chain", chains)):
            for name in names:
                obey(tables, f"delete {noun} {table} {name}")
        self.machine.nf_tables = tables

    @counted
    def change(
        self,
        table: str,
        add: Mapping[str, Sequence[IPAddress]],
        remove: Mapping[str, Sequence[IPAddress]],
        rename: tuple[str, str],
    ) -> None:
        """One transaction, too."""
        tables = deepcopy(self.machine.nf_tables)
        for name, addresses in remove.items():
            kept = place(tables, table, "set", name)
            kept[:] = [each for each in kept if each not in {str(one) for one in addresses}]
        for name, addresses in add.items():
            put(place(tables, table, "set", name), [str(one) for one in addresses])
        if rename[0] != rename[1]:
            obey(tables, f"delete chain {table} {rename[0]}")
            obey(tables, f"add chain {table} {rename[1]}")
        self.machine.nf_tables = tables


def obey(tables: Tables, line: str) -> None:
    """One command. Raises `HostError`, as the kernel would."""
    verb, noun, family, name, *rest = line.split(" ", 5)
    table = f"{family} {name}"
    if verb == "add" and noun == "table":
        tables.setdefault(table, FakeTable())
        return
    if table not in tables:
        raise refusal(line, "No such file or directory")
    if verb == "flush" and noun == "table":
        for rules in tables[table].chains.values():
            rules.clear()
        return
    COMMANDS[verb](tables, table, noun, rest, line)


def add(tables: Tables, table: str, noun: str, rest: list[str], line: str) -> None:
    """A chain, a rule, a set, a map, or elements."""
    match noun:
        case "chain":
            tables[table].chains.setdefault(rest[0], [])
        case "set" | "map":
            tables[table].sets.setdefault(rest[0], [])
        case "rule":
            if any(target not in tables[table].chains for target in JUMP.findall(rest[1])):
                raise refusal(line, "No such file or directory")
            place(tables, table, noun, rest[0]).append(rest[1])
        case _:
            put(place(tables, table, noun, rest[0]), rest[1].strip("{} ").split(", "))


def flush(tables: Tables, table: str, noun: str, rest: list[str], line: str) -> None:
    """All elements, or all rules of a chain."""
    place(tables, table, noun, rest[0]).clear()


def delete(tables: Tables, table: str, noun: str, rest: list[str], line: str) -> None:
    """A chain that nothing uses, a set that no rule names, or elements."""
    content = place(tables, table, noun, rest[0])
    rules = [rule for each in tables[table].chains.values() for rule in each]
    if noun == "element":
        for one in rest[1].strip("{} ").split(", "):
            if one not in content:
                raise refusal(line, "No such file or directory")
            content.remove(one)
    elif noun == "chain":
        if tables[table].uses()[rest[0]]:
            raise refusal(line, "Device or resource busy")
        del tables[table].chains[rest[0]]
    else:
        if any(f"@{rest[0]}" in rule.split() for rule in rules):
            raise refusal(line, "Device or resource busy")
        del tables[table].sets[rest[0]]


COMMANDS: dict[str, Callable[[Tables, str, str, list[str], str], None]] = {"add": add, "flush": flush, "delete": delete}


def place(tables: Tables, table: str, noun: str, name: str) -> list[str]:
    """The rules of a chain, or the elements of a set."""
    of_chains = noun in ("chain", "rule")
    found = tables.get(table, FakeTable())
    content = found.chains if of_chains else found.sets
    if name not in content:
        raise refusal(f"{noun} {table} {name}", "No such file or directory")
    return content[name]


def put(content: list[str], elements: Sequence[str]) -> None:
    """What is there already stays."""
    content += [each for each in dict.fromkeys(elements) if each not in content]


def refusal(line: str, reason: str) -> HostError:
    """What the kernel says."""
    return HostError("loading a ruleset", f"{reason}: {line}")


class FakeTraffic(FakeDoor):
    """`doors.Traffic` over the limits of the machine's links."""

    noun = "traffic"

    @counted
    def limit(self, link: str, bandwidth: Bandwidth) -> None:
        """In place of the present limits."""
        index = next((each.index for each in self.machine.links.values() if each.name == link), None)
        if index is None:
            raise HostError(f"limiting the bandwidth of {link}", "No such device")
        if bandwidth.handle is None:
            self.machine.limits.pop(index, None)
        else:
            self.machine.limits[index] = bandwidth

    @counted
    def shapers(self) -> dict[int, int]:
        """Nothing is ever missing."""
        return {index: one.handle for index, one in self.machine.limits.items() if one.handle is not None}
