# SPDX-License-Identifier: Apache-2.0
"""Processors in full: sysfs for caches, weaknesses and nodes; SMBIOS for sockets."""

from __future__ import annotations

import re
from collections import Counter

from agent.errors import DecodeError
from agent.host.doors import Files, Host
from agent.host.smbios import Processor, Tables
from agent.inventory.cpu import CPUS, NODES, cpu
from agent.inventory.fact import attempt, number, of, said, text
from agent.inventory.folder import Folder
from agent.inventory.numa import memory_kib, numbers_in
from agent.model.fact import Fact
from agent.model.hardware.processor import Cache, CpuInFull, Node, Socket

KIB = 1024
SIZE = re.compile(r"([0-9]+)([KMG]?)")
UNITS = {"": 1, "K": 1024, "M": 1024**2, "G": 1024**3}
LETTERS = {"Data": "d", "Instruction": "i", "Unified": ""}
VULNERABILITIES = f"{CPUS}/vulnerabilities"


def processors(host: Host, tables: Fact[Tables]) -> CpuInFull:
    """All of it. Raises `DecodeError` for a processor that is none of ours."""
    files = host.files
    sockets = of(tables, lambda found: tuple(map(socket_of, found.processors)))
    return CpuInFull(
        **dict(cpu(host, tables)),
        packages=() if sockets is None else sockets,
        caches=attempt(lambda: caches(files)),
        vulnerabilities=attempt(lambda: vulnerabilities(files)),
        min_mhz=of(number(files, f"{CPUS}/cpu0/cpufreq/cpuinfo_min_freq"), lambda khz: khz // 1000),
        nodes=attempt(lambda: nodes(files)),
        offline=text(files, f"{CPUS}/offline"),
    )


def socket_of(one: Processor) -> Socket:
    """SMBIOS's words."""
    return Socket(
        name=said(one.socket), model=said(one.model), cores=one.cores, threads=one.threads, max_mhz=one.max_mhz
    )


def caches(files: Files) -> tuple[Cache, ...]:
    """Each cache once, though every processor that has a share in it shows it. Raises `HostError`, `DecodeError`."""
    found: Counter[tuple[str, int, int]] = Counter()
    seen: dict[str, set[int]] = {}
    for cpu_name in files.names(CPUS):
        if not re.fullmatch(r"cpu\d+", cpu_name):
            continue
        own, at = int(cpu_name[3:]), f"{CPUS}/{cpu_name}/cache"
        for index in (each for each in files.names(at) if each.startswith("index")):
            if own in seen.setdefault(index, set()):
                continue
            one = Folder(files, f"{at}/{index}")
            shared = numbers_in(one.path, one.line("shared_cpu_list") or str(own))
            seen[index] |= {own, *shared}
            name = f"L{one.line('level')}{LETTERS.get(one.line('type') or '', '')}"
            found[name, size_bytes(one), len(shared)] += 1
    return tuple(
        Cache(name=name, count=count, size_bytes=size, shared_by=shared)
        for (name, size, shared), count in sorted(found.items())
    )


def size_bytes(one: Folder) -> int:
    """Such as 32K; a virtual machine may not tell: 0. Raises `DecodeError`."""
    told = one.line("size") or "0"
    if (match := SIZE.fullmatch(told)) is None:
        raise DecodeError(f"reading {one.path}/size", f"{told!r} is no size")
    return int(match[1]) * UNITS[match[2]]


def vulnerabilities(files: Files) -> dict[str, str]:
    """By the kernel's names for them. Raises `HostError`."""
    found = Folder(files, VULNERABILITIES)
    return {name: found.line(name) or "" for name in found.names}


def nodes(files: Files) -> tuple[Node, ...]:
    """NUMA nodes, in order; none of a kernel without NUMA. Raises `HostError`, `DecodeError`."""
    numbers = sorted(int(name[4:]) for name in files.names(NODES) if re.fullmatch(r"node[0-9]+", name))
    return tuple(node(files, number) for number in numbers)


def node(files: Files, number: int) -> Node:
    """One. Raises `HostError`, `DecodeError`."""
    one = Folder(files, f"{NODES}/node{number}")
    distances = (one.line("distance") or "").split()
    return Node(
        number=number,
        threads=tuple(numbers_in(f"{one.path}/cpulist", one.line("cpulist") or "")),
        memory_bytes=memory_kib(files, number) * KIB,
        distances=tuple(int(each) for each in distances if each.isdecimal()),
    )
