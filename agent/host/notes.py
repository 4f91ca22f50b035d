# SPDX-License-Identifier: Apache-2.0
"""What a witness notes down, and the machine that is made of it. Threads write to it side by side.

Of files only what is the kernel's is kept: nothing that a user, or this agent, has ever written. That there is a
hardware database, and who brings the network up, is of interest; what is in their files is not.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from threading import Lock
from typing import Any

from agent.errors import AgentError
from agent.host.device_doors import AtaAnswer
from agent.host.doors import Files
from agent.host.fake.answers import NOT_RECORDED
from agent.host.fake.faults import call_name
from agent.host.fake.machine import Counts, Machine, Record
from agent.host.fake.tree import LinkTo, Tree, Unreadable

KEPT = re.compile(
    r"/sys/(block|bus|class|dev|devices)(/\S+)?|/sys/firmware/(dmi/tables/\S+|efi(/fw_platform_size)?)"
    r"|/proc/(cmdline|cpuinfo|meminfo|swaps|version|self/mountinfo|sys/kernel/\S+|sys/net/\S+)|/dev/\S+"
    r"|/usr/lib/udev/hwdb\.bin|(/usr)?/sbin/netplan"
    r"|/etc/systemd/system/[\w.@-]+/(NetworkManager|networking|systemd-networkd|wicked)\.service"
)
DULL = re.compile(r"subsystem|firmware_node|iommu|iommu_group|of_node|bdi|memory\d+|.*\s.*|(consumer|supplier):.*")
"""Names of links that every device has, and nobody follows; and what no text of a recording can have."""
SILENT = "no answer while this was recorded"
DRIVES: Mapping[str, Callable[..., str]] = {
    "nvme_identify": lambda structure, namespace=0: f"identify {structure} {namespace}",
    "nvme_log": lambda page, length: f"log {page}",
    "nvme_boot_log": lambda number, offset_bytes, length: f"boot {number} {offset_bytes} {length}",
    "ata_identify": lambda: "ata",
    "ata_smart": lambda feature, log=0: f"smart {feature} {log}" if log else f"smart {feature}",
    "ata_sanitize_status": lambda: "sanitize",
    "ata_capacity": lambda command: f"capacity {command}",
    "scsi_log": lambda page: f"scsi {page}",
    "scsi_supports": lambda opcode, action: f"supports {opcode} {action}",
    "scsi_sense": lambda: "sense",
}
"""How a disk's questions are called in a recording."""


class Notes:
    """All that was seen so far."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._machine = Machine.of(Tree())
        self._contents: dict[str, bytes | Unreadable] = {}
        self._seen: set[str] = set()
        self._listed: set[str] = set()
        self._failures: dict[str, str] = {}
        self._answered: set[str] = set()
        self._declined: set[str] = set()
        self._waiting: list[str] = []
        self._facts: dict[str, Any] = {}
        self._counts: dict[str, Any] = {}

    @contextmanager
    def asking(self, call: str) -> Iterator[None]:
        """While it is asked; a failure is noted, and so is an end that does not come. Who answered once can answer."""
        with self._lock:
            self._waiting.append(call)
        try:
            yield
            with self._lock:
                self._answered.add(call)
        except AgentError as error:
            with self._lock:
                self._failures[call] = error.evidence
            raise
        finally:
            with self._lock:
                self._waiting.remove(call)

    def reading(self, path: str) -> None:
        """A file is about to be read: until it is, it is one that does not answer."""
        if KEPT.fullmatch(path):
            with self._lock:
                self._contents.setdefault(path, Unreadable(SILENT))

    def read(self, path: str, content: bytes | Unreadable | None) -> None:
        """A file's content; `None` where there is none, or no file."""
        if KEPT.fullmatch(path):
            with self._lock:
                self._contents.pop(path, None)
                self._contents |= {path: content} if content is not None else {}

    def see(self, path: str) -> None:
        """Something is there."""
        if KEPT.fullmatch(path):
            with self._lock:
                self._seen.add(path)

    def list(self, directory: str, names: tuple[str, ...]) -> None:
        """These are in a directory. What is a file among them is noted when it is read."""
        paths = [f"{directory}/{name}" for name in names if not DULL.fullmatch(name)]
        with self._lock:
            self._listed.update(path for path in paths if KEPT.fullmatch(path))

    def piece(self, node: str, offset: int, piece: bytes | Unreadable) -> None:
        """A part of a disk; of two that begin at one place the longer."""
        with self._lock:
            pieces = self._machine.pieces.setdefault(node, {})
            before = pieces.get(offset)
            if not isinstance(before, bytes) or (isinstance(piece, bytes) and len(piece) > len(before)):
                pieces[offset] = piece

    def asked(self, noun: str, method: str, args: tuple[Any, ...], ask: Callable[[], Any]) -> Any:
        """Ask, and note what comes; nothing is "I do not know that question"."""
        call = call_name(noun, method, args)
        with self.asking(call):
            answer = ask()
        if answer is None:
            with self._lock:
                self._declined.add(call)
        self.keep(noun, method, args, answer)
        return answer

    def keep(self, noun: str, method: str, args: tuple[Any, ...], answer: Any) -> None:
        """An answer."""
        with self._lock:
            self._keep(noun, method, args, answer)

    def _keep(self, noun: str, method: str, args: tuple[Any, ...], answer: Any) -> None:
        machine = self._machine
        match noun, method:
            case "counters", _:
                self._counts[method] = tuple(answer) if method in ("mounts", "swaps") else answer
            case "udev", "block_devices":
                self._facts["udev"] = {name: dict(told) for name, told in answer.items()}
            case "udev", "devices":
                machine.described[args[0]] = {name: dict(told) for name, told in answer.items()}
            case "netlink", "tables":
                self._facts |= {name: getattr(answer, name) for name in ("links", "routes", "leased_routes", "rules")}
            case "nftables", "chains" if answer:
                self._facts["chains"] = {**self._facts.get("chains", {}), args[0]: dict(answer)}
            case "run", _:
                self._facts["said"] = {args[0]: answer}
            case (("efi" | "ipmi" | "tpm"), "is_there"):
                attribute = {"efi": "variables", "ipmi": "bmc", "tpm": "tpm"}[noun]
                if answer and getattr(machine, attribute) is None:
                    setattr(machine, attribute, {})
            case _ if answer is not None:
                self._learn(noun, method, args, answer)

    def _learn(self, noun: str, method: str, args: tuple[Any, ...], answer: Any) -> None:
        machine = self._machine
        match noun, method:
            case "efi", "read" if machine.variables is not None:
                machine.variables[args[0]] = answer
            case "ipmi", "ask" if machine.bmc is not None:
                machine.bmc[bytes(args[:2]) + args[2]] = answer
            case "tpm", "ask" if machine.tpm is not None:
                machine.tpm[args[0]] = answer
            case "ethtool", "ask":
                if len(answer) >= len(machine.drivers.get(args, b"")):  # asked twice: how long it is, and then all
                    machine.drivers[args[0], args[1]] = answer
            case "drives", _:
                machine.drives[args[0], DRIVES[method](*args[1:])] = coded(method, answer)

    def machine(self, files: Files, origin: str, now: datetime, uptime_s: float) -> Machine:
        """All of it, as a recorded machine. Who was asked and is silent still, is silent in it, too."""
        with self._lock:
            failures = self._failures | dict.fromkeys(self._waiting, SILENT)
            failures = {call: why for call, why in failures.items() if call not in self._answered}
            record = Record(
                origin=origin,
                counts=Counts(**self._counts),
                failures=dict(sorted(failures.items())),
                declined=tuple(sorted(self._declined)),
                now=now,
                uptime_s=round(uptime_s, 1),
                is_partial=True,
                **self._facts,
            )
            made = Machine.of(tree_of(files, self._contents, self._seen, self._listed), record)
            made.described = {name: dict(devices) for name, devices in self._machine.described.items()}
            for name in ("variables", "bmc", "tpm", "drives", "drivers", "pieces"):
                setattr(made, name, getattr(self._machine, name))
        return made


def coded(method: str, answer: bytes | AtaAnswer) -> bytes:
    """What a disk answered, as `FakeDrives` keeps it: data, or those registers that say something."""
    if isinstance(answer, bytes) or answer.data:
        return answer if isinstance(answer, bytes) else answer.data
    if method == "ata_sanitize_status":
        return answer.count.to_bytes(2) + bytes([answer.lba_mid, answer.lba_low, answer.error])
    if method == "ata_capacity":
        return bytes([answer.lba_low, answer.lba_mid, answer.lba_high]) + answer.lba_upper.to_bytes(3, "little")
    return bytes([answer.lba_mid, answer.lba_high])


def tree_of(files: Files, contents: Mapping[str, bytes | Unreadable], seen: set[str], listed: set[str]) -> Tree:
    """Files with their contents, and the links that lead to them. What was seen and not read cannot be read."""
    tree = Tree()
    for path, content in sorted(contents.items()):
        tree.put(placed(files, path, tree), content)
    links = {path for path in listed if is_link(files, path)}
    for path in sorted((seen | links) - contents.keys()):
        end = placed(files, path, tree)
        if end in tree.entries or end in tree.directories:
            continue
        if files.names(end):
            tree.make_directory(end)
        else:
            tree.put(end, Unreadable(NOT_RECORDED))
    return tree


def is_link(files: Files, path: str) -> bool:
    """Whether the last part of a path leads elsewhere."""
    directory, _, name = path.rpartition("/")
    return files.resolve(path) != f"{files.resolve(directory)}/{name}"


def placed(files: Files, path: str, tree: Tree) -> str:
    """Where a path leads to; every link on the way is in the tree then."""
    above = ""
    for name in path.strip("/").split("/"):
        place, end = f"{above}/{name}", files.resolve(f"{above}/{name}")
        if end != place and place not in tree.entries:
            tree.put(place, LinkTo(end))
        above = end
    return above
