# SPDX-License-Identifier: Apache-2.0
"""The machine behind the fake doors: its files, disks, links and all that a test can look at afterwards.

A recorded machine is a directory: `tree.txt` (files, see `tree.py`), `answers.txt` (what devices answer, see
`answers.py`) and `machine.json` (all else). The machine outlives the agent's process: `agent.host.fake.FakeHost` is one
process's view of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from pydantic import Field

from agent.errors import DecodeError
from agent.host.fake.answers import answers, learn
from agent.host.fake.disk import FakeDisk
from agent.host.fake.erasing import Mind
from agent.host.fake.nf_table import FakeTable
from agent.host.fake.programs import PROGRAMS, Program
from agent.host.fake.tree import Tree, Unreadable, parse, render
from agent.host.fake.web import Page
from agent.model.frozen import Frozen, decode
from agent.model.ladder import Ladder
from agent.model.network import Bandwidth, LinkState, Route, Rule
from agent.model.partition_table import partitions
from agent.model.space import Space

HEAD_BYTES = 1024 * 1024
RECORD, TREE, ANSWERS = "machine.json", "tree.txt", "answers.txt"
FILES = (RECORD, TREE, ANSWERS)
SECTOR_BYTES = 512  # the unit of /sys/block/*/size, whatever the disk's sectors are (block/genhd.c)


class Counts(Frozen):
    """What psutil would say."""

    memory_total_bytes: int = 8 * 1024**3
    threads: int = 4
    cores: int | None = 2
    mounts: tuple[tuple[str, str], ...] = ()
    swaps: tuple[str, ...] = ()


class Record(Frozen):
    """`machine.json`."""

    origin: str = Field(description="where this was recorded, or 'synthetic: …'")
    counts: Counts = Counts()
    links: tuple[LinkState, ...] = ()
    routes: tuple[Route, ...] = ()
    leased_routes: tuple[Route, ...] = ()
    rules: tuple[Rule, ...] = ()
    chains: dict[str, dict[str, int]] = Field(default_factory=dict, description="of nf_tables: table → chain → uses")
    udev: dict[str, dict[str, str]] = Field(default_factory=dict)
    described: dict[str, dict[str, dict[str, str]]] = Field(default_factory=dict, description="by udev's subsystem")
    said: dict[str, str] = Field(default_factory=dict, description="what commands printed")
    failures: dict[str, str] = Field(default_factory=dict, description="door calls that failed, and why")
    declined: tuple[str, ...] = Field(default=(), description="questions that devices do not know")
    now: datetime = datetime(2026, 1, 1, tzinfo=UTC)
    uptime_s: float = 100.0
    is_partial: bool = Field(default=False, description="what is not in it is not known, rather than not there")


@dataclass
class Machine:
    """Everything that doors can see or change."""

    tree: Tree
    record: Record
    booted_tree: Tree = field(default_factory=Tree, repr=False)
    links: dict[str, LinkState] = field(default_factory=dict)
    routes: dict[object, Route] = field(default_factory=dict)
    leased_routes: tuple[Route, ...] = ()
    rules: list[Rule] = field(default_factory=list)
    network_changes: int = 0
    hardware_changes: int = 0
    locks: set[str] = field(default_factory=set)
    silent: set[str] = field(default_factory=set)
    names: dict[str, str] = field(default_factory=dict)
    ladders: dict[str, Ladder] = field(default_factory=dict)
    variables: dict[str, bytes] | None = None
    disks: dict[str, FakeDisk] = field(default_factory=dict)
    pieces: dict[str, dict[int, bytes | Unreadable]] = field(default_factory=dict)
    nf_tables: dict[str, FakeTable] = field(default_factory=dict)
    limits: dict[int, Bandwidth] = field(default_factory=dict)
    bmc: dict[bytes, bytes] | None = None
    announcements: dict[str, bytes] = field(default_factory=dict)
    correspondents: dict[tuple[str, int], Callable[[bytes], list[bytes]]] = field(default_factory=dict)
    drives: dict[tuple[str, str], bytes] = field(default_factory=dict)
    minds: dict[str, Mind] = field(default_factory=dict)
    drivers: dict[tuple[str, int], bytes] = field(default_factory=dict)
    tpm: dict[bytes, bytes] | None = None
    tpm_cleared: dict[bytes, bytes] = field(default_factory=dict)
    tpm_sealed: dict[bytes, bytes] = field(default_factory=dict)
    described: dict[str, dict[str, dict[str, str]]] = field(default_factory=dict)
    web: dict[str, Page] = field(default_factory=dict)
    trusted: tuple[str | None, bool] | None = None
    programs: dict[str, Program] = field(default_factory=lambda: dict(PROGRAMS))
    commands: list[tuple[str, ...]] = field(default_factory=list)
    power_orders: list[str] = field(default_factory=list)
    dresses: dict[str, tuple[int | None, int | None, int | None]] = field(default_factory=dict)
    file_extents: dict[str, tuple[tuple[int, int, int], ...]] = field(default_factory=dict)
    spaces: dict[str, Space] = field(default_factory=dict)
    stdin: bytes = b""
    stdout: bytes = b""
    now: datetime = datetime(2026, 1, 1, tzinfo=UTC)
    uptime_s: float = 100.0

    @classmethod
    def of(cls, tree: Tree, record: Record | None = None) -> Machine:
        """A machine as it is right after it was switched on."""
        record = record or Record(origin="synthetic")
        machine = cls(tree=tree.copy(), booted_tree=tree.copy(), record=record)
        machine.described = {name: dict(devices) for name, devices in record.described.items()}
        machine.now, machine.uptime_s = record.now, record.uptime_s
        machine.begin_network()
        return machine

    def begin_network(self) -> None:
        """The network as it is before anybody sets it."""
        self.links = {link.name: link for link in self.record.links}
        self.routes = {route.key: route for route in self.record.routes}
        self.leased_routes = self.record.leased_routes
        self.rules = list(self.record.rules)
        self.nf_tables = {name: FakeTable.used(chains) for name, chains in self.record.chains.items()}
        self.limits = {}

    @classmethod
    def load(cls, directory: Path) -> Machine:
        """A recorded machine. Raises `DecodeError`, `OSError`."""
        found = {name: directory / name for name in FILES if name != ANSWERS or (directory / name).exists()}
        return cls.read({name: path.read_bytes() for name, path in found.items()}, str(directory))

    @classmethod
    def read(cls, files: Mapping[str, bytes], where: str) -> Machine:
        """The same, of its files by name. Raises `DecodeError`, whatever the bytes are."""
        try:
            record = decode(Record, files[RECORD], f"reading {where}/{RECORD}")
            machine = cls.of(parse(files[TREE].decode()), record)
            learn(machine, parse(files.get(ANSWERS, b"").decode()))
        except KeyError as error:
            raise DecodeError(f"reading {where}", f"it is no recorded machine: there is no {error.args[0]}") from None
        except UnicodeDecodeError as error:
            raise DecodeError(f"reading {where}", "its trees are no UTF-8") from error
        return machine

    def save(self, directory: Path) -> None:
        """Write it down, in the form that `load` reads."""
        directory.mkdir(parents=True, exist_ok=True)
        for name, content in self.written().items():
            (directory / name).write_bytes(content)

    def written(self) -> dict[str, bytes]:
        """Its files, by name; what no device answered needs none."""
        record = self.record.model_copy(update={"described": self.described})
        told = answers(self)
        files = {
            RECORD: record.model_dump_json(indent=1) + "\n",
            TREE: render(self.tree, self.record.origin),
            **({ANSWERS: render(told, self.record.origin)} if told.directories["/"] else {}),
        }
        return {name: text.encode() for name, text in files.items()}

    def disk(self, path: str) -> FakeDisk | None:
        """The disk at a device node, if sysfs has one by its name."""
        node = self.tree.resolve(path)
        if node not in self.disks and (sysfs := self._sysfs(node)):
            self.disks[node] = FakeDisk(
                size_bytes=self._number(f"{sysfs}/size", 0) * SECTOR_BYTES,
                logical_sector_bytes=self._number(f"{sysfs}/queue/logical_block_size", SECTOR_BYTES),
                read_only=self._number(f"{sysfs}/ro", 0) != 0,
            )
            if self.record.is_partial:
                self.disks[node].hold(self.pieces.get(node, {}))
        return self.disks.get(node)

    def see_partitions(self, path: str, disk: FakeDisk) -> None:
        """What the kernel does when it reads a disk's partition table."""
        sysfs = self._sysfs(self.tree.resolve(path))
        name = sysfs.rpartition("/")[2]
        for part in [each for each in self.tree.directories.get(sysfs, ()) if each.startswith(name)]:
            self.tree.drop(f"{sysfs}/{part}")
        head = disk.read(0, min(HEAD_BYTES, disk.size_bytes))
        for number, offset, size in partitions(head, disk.logical_sector_bytes):
            part = f"{name}p{number}" if name[-1].isdigit() else f"{name}{number}"
            facts = {"partition": number, "start": offset // SECTOR_BYTES, "size": size // SECTOR_BYTES}
            for fact, value in facts.items():
                self.tree.put(f"{sysfs}/{part}/{fact}", f"{value}\n".encode())

    def users(self, path: str) -> tuple[str, ...]:
        """What keeps a disk from being opened exclusively: mounts, swap and holders of it or of its partitions."""
        node = self.tree.resolve(path)
        sysfs = self._sysfs(node)
        names = self.tree.directories.get(sysfs, set())
        parts = [name for name in names if f"{sysfs}/{name}/partition" in self.tree.entries]
        nodes = {node, *(f"/dev/{part}" for part in parts)}
        holders = [
            self.tree.directories.get(f"{sysfs}{part}/holders", set()) for part in ("", *(f"/{p}" for p in parts))
        ]
        counts = self.record.counts
        return (
            *(f"mounted on {point}" for device, point in counts.mounts if device in nodes),
            *(f"{swap} is swapped to" for swap in counts.swaps if swap in nodes),
            *(f"held by {name}" for held in holders for name in sorted(held)),
        )

    def take_down(self, name: str) -> None:
        """An array, or a mapped device, ceases to be: it holds nothing any more."""
        self.tree.drop(self.tree.resolve(f"/sys/block/{name}"))
        self.tree.drop(f"/sys/block/{name}")
        for place in [each for each in self.tree.directories if each.endswith("/holders")]:
            self.tree.drop(f"{place}/{name}")

    def look_again(self) -> None:
        """Drives may be larger than they were."""
        for node in self.minds:
            disk, place = self.disks.get(node), self._sysfs(node)
            if disk is not None and place:
                self.tree.put(f"{place}/size", f"{disk.size_bytes // SECTOR_BYTES}\n".encode())

    def cut_power(self, *, survives: Callable[[int], bool] = lambda _: False, keep_files: bool = False) -> None:
        """Off and on again: caches of disks and the network's state are lost, and files unless they are kept."""
        for disk in self.disks.values():
            disk.cut_power(survives)
        self.begin_network()
        if keep_files:
            self.tree.drop("/run")
        else:
            self.tree = self.booted_tree.copy()
        self.look_again()

    def _sysfs(self, node: str) -> str:
        path = self.tree.resolve(f"/sys/block/{node.removeprefix('/dev/')}")
        return path if path in self.tree.directories else ""

    def _number(self, path: str, otherwise: int) -> int:
        content = self.tree.entries.get(self.tree.resolve(path))
        return int(content) if isinstance(content, bytes) and content.strip().isdigit() else otherwise
