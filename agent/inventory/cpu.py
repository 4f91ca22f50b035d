# SPDX-License-Identifier: Apache-2.0
"""Processors, on x86 and arm64: /proc/cpuinfo, the topology in sysfs, and SMBIOS where those are silent."""

from __future__ import annotations

import re

from agent.errors import DecodeError
from agent.host.doors import Files, Host
from agent.host.smbios import Tables
from agent.inventory.fact import attempt, first, number, of, said
from agent.model.fact import Fact, Unknown
from agent.model.system import Cpu

CPUS = "/sys/devices/system/cpu"
NODES = "/sys/devices/system/node"
ARCHITECTURE = "/proc/sys/kernel/arch"  # since Linux 6.1


def cpu(host: Host, tables: Fact[Tables]) -> Cpu:
    """Sockets that are empty do not count. `cores` and `threads` are those that are online."""
    info = attempt(lambda: first_processor(host.files.read_text("/proc/cpuinfo")))
    sockets = of(tables, lambda found: found.processors or None)
    return Cpu(
        architecture=architecture(host.files, info),
        model=first(
            of(info, lambda found: said(found.get("model name"))),
            of(sockets, lambda every: said(every[0].model)),
        ),
        sockets=first(attempt(lambda: packages(host.files)), of(sockets, len)),
        cores=first(
            attempt(host.counters.cores),
            of(sockets, lambda every: sum(each.cores or 0 for each in every) or None),
        ),
        threads=host.counters.threads(),
        numa_nodes=attempt(lambda: sum(map(is_node, host.files.names(NODES))) or None),
        flags=flags(info),
        microcode=of(info, lambda found: said(found.get("microcode"))),
        max_mhz=first(
            of(number(host.files, f"{CPUS}/cpu0/cpufreq/cpuinfo_max_freq"), lambda khz: khz // 1000),
            of(sockets, lambda every: every[0].max_mhz),
        ),
    )


def first_processor(text: str) -> dict[str, str]:
    """/proc/cpuinfo: the fields of the first processor. All have the same; on arm64 the words differ from x86."""
    block = text.strip().split("\n\n")[0]
    pairs = (line.partition(":") for line in block.splitlines())
    return {name.strip(): value.strip() for name, colon, value in pairs if colon}


def architecture(files: Files, info: Fact[dict[str, str]]) -> str:
    """As `uname -m` says it. Raises `DecodeError` for a processor that is neither of the two we serve."""
    if files.exists(ARCHITECTURE):
        return files.read_text(ARCHITECTURE).strip()
    fields = {} if info is None or isinstance(info, Unknown) else info
    if "CPU implementer" in fields:
        return "aarch64"
    if "lm" in fields.get("flags", "").split():
        return "x86_64"
    raise DecodeError("reading the processor's architecture", "neither x86_64 nor aarch64")


def flags(info: Fact[dict[str, str]]) -> tuple[str, ...] | Unknown:
    """What the processor can do: `flags` on x86, `Features` on arm64."""
    if info is None or isinstance(info, Unknown):
        return info or Unknown(unknown="/proc/cpuinfo is empty")
    return tuple(sorted((info.get("flags") or info.get("Features") or "").split()))


def packages(files: Files) -> int | None:
    """Sockets in use: distinct packages of the processors that are online (those offline have no topology)."""
    paths = [
        f"{CPUS}/{name}/topology/physical_package_id" for name in files.names(CPUS) if re.fullmatch(r"cpu\d+", name)
    ]
    found = {files.read_text(path).strip() for path in paths if files.exists(path)}
    return len(found - {"-1"}) or None


def is_node(name: str) -> bool:
    """Whether a name in /sys/devices/system/node is a NUMA node's."""
    return re.fullmatch(r"node\d+", name) is not None
