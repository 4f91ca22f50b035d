# SPDX-License-Identifier: Apache-2.0
"""NUMA nodes: their memory, their cores with the threads that share them, and the NICs near to them.

Not part of the inventory: it takes a file a processor. A core's number is unique in its socket only, so threads belong
together by node, socket and number.
"""

from __future__ import annotations

import re

from agent.errors import DecodeError
from agent.host.doors import Files
from agent.inventory.cpu import CPUS, NODES
from agent.model.devices import Core, NumaNic, NumaNode, NumaTopology

NICS = "/sys/class/net"
MEMORY = re.compile(r"MemTotal:\s+([0-9]+) kB")


def numa_topology(files: Files) -> NumaTopology | None:
    """All nodes; `None` of a kernel without NUMA. Raises `HostError`, `DecodeError`."""
    numbers = sorted(int(name[4:]) for name in files.names(NODES) if re.fullmatch(r"node[0-9]+", name))
    if not numbers:
        return None
    return NumaTopology(
        nodes=tuple(NumaNode(number=number, memory_kib=memory_kib(files, number)) for number in numbers),
        cores=tuple(core for number in numbers for core in cores(files, number)),
        nics=nics(files),
    )


def memory_kib(files: Files, node: int) -> int:
    """Of one node. Raises `HostError`, `DecodeError`."""
    path = f"{NODES}/node{node}/meminfo"
    found = MEMORY.search(files.read_text(path))
    if found is None:
        raise DecodeError(f"reading {path}", "it has no MemTotal")
    return int(found[1])


def cores(files: Files, node: int) -> list[Core]:
    """Of one node, by their first thread. Raises `HostError`, `DecodeError`."""
    path = f"{NODES}/node{node}/cpulist"
    together: dict[tuple[int, int], list[int]] = {}
    for cpu in numbers_in(path, files.read_text(path)):
        socket, core = (whole(files, f"{CPUS}/cpu{cpu}/topology/{fact}") for fact in ("physical_package_id", "core_id"))
        together.setdefault((socket, core), []).append(cpu)
    return [Core(node=node, number=core, threads=tuple(threads)) for (_, core), threads in together.items()]


def nics(files: Files) -> tuple[NumaNic, ...]:
    """Those whose bus tells. Raises `HostError`, `DecodeError`."""
    paths = {name: f"{NICS}/{name}/device/numa_node" for name in files.names(NICS)}
    return tuple(NumaNic(name=name, node=whole(files, path)) for name, path in paths.items() if files.exists(path))


def numbers_in(path: str, text: str) -> list[int]:
    """The kernel's lists of processors: 0-3,8,10-11; empty for a node without any. Raises `DecodeError`."""
    found: list[int] = []
    for part in filter(None, text.strip().split(",")):
        ends = re.fullmatch(r"([0-9]+)(?:-([0-9]+))?", part)
        if ends is None:
            raise DecodeError(f"reading {path}", f"{part!r} is neither a number nor a range")
        found += range(int(ends[1]), int(ends[2] or ends[1]) + 1)
    return found


def whole(files: Files, path: str) -> int:
    """A whole number. Raises `HostError`, `DecodeError`."""
    text = files.read_text(path).strip()
    if not re.fullmatch(r"-?[0-9]+", text):
        raise DecodeError(f"reading {path}", f"{text!r} is no number")
    return int(text)
