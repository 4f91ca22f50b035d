# SPDX-License-Identifier: Apache-2.0
"""Record this machine in the form that tests load: a bug in the field becomes a fixture in one step.

In: a host. Out: a `Machine` without its identity (`agent.inventory.scrub`), to be saved. All that the agent looks at is
looked at, with a witness (`agent.host.witness`); a few files more are read than it needs today. No user's data, no
state of the agent's own and no file contents of disks are recorded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fnmatch import fnmatchcase
from functools import partial
from typing import TypeVar

from agent.diagnose import diagnose
from agent.diagnose.look.boot import FAULT
from agent.host.doors import Files, Host
from agent.host.fake import Machine
from agent.host.witness import witnessed
from agent.inventory.disk import disks
from agent.inventory.efi import system_partitions
from agent.inventory.erasing import abilities
from agent.inventory.hardware import LIMIT_S, take_in_full
from agent.inventory.network.persistence import manager_of
from agent.inventory.partitions import partitions_known
from agent.inventory.scrub import scrubbed
from agent.inventory.side_by_side import side_by_side
from agent.model.fact import Unknown
from agent.model.network import NetworkConfig
from agent.networking import Networking

T = TypeVar("T")
BLOCK_FILES = (
    "dev",
    "device",
    "hidden",
    "ro",
    "removable",
    "serial",
    "size",
    "wwid",
    "holders/*",
    "slaves/*",
)
SIZES = ("logical_block_size", "physical_block_size", "rotational")
DEVICE_FILES = ("firmware_rev", "model", "rev", "serial", "state", "vendor", "vpd_pg80", "wwid")
RECORDED: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("/proc", ("cmdline", "cpuinfo", "meminfo", "swaps", "version", "self/mountinfo")),
    ("/proc/sys/kernel", ("arch", "hostname", "osrelease", "random/boot_id")),
    ("/sys/firmware/dmi/tables", ("*",)),
    ("/sys/firmware/efi", ("fw_platform_size",)),
    ("/sys/devices/system/cpu/cpu*", ("topology/physical_package_id", "topology/core_id", "cpufreq/cpuinfo_max_freq")),
    ("/sys/devices/system/cpu/cpu*/cache/index*", ("level", "shared_cpu_list", "size", "type")),
    ("/sys/devices/system/cpu", ("offline", "vulnerabilities/*")),
    ("/sys/devices/system/node/node*", ("cpulist", "distance", "meminfo")),
    ("/sys/devices/system/edac/mc/mc*", ("ce_count", "mc_name", "size_mb", "ue_count")),
    ("/sys/devices/system/edac/mc/mc*/*", ("dimm_ce_count", "dimm_label", "dimm_location", "dimm_ue_count")),
    ("/sys/class/hwmon/*", ("name", "*_average", "*_crit", "*_input", "*_label")),
    ("/sys/class/tpm/tpm0", ("tpm_version_major",)),
    ("/sys/block/*", (*BLOCK_FILES, "dm/name", "md/array_state")),
    ("/sys/block/*/queue", SIZES),
    ("/sys/block/*/device", DEVICE_FILES),
    ("/sys/block/*/*", ("partition", "size", "start", "holders/*")),
    ("/sys/class/block", ("*",)),
    ("/sys/dev/block", ("*",)),
    ("/sys/class/net/*", ("address", "addr_assign_type", "carrier", "device", "mtu", "operstate", "speed", "type")),
    (
        "/sys/class/net/*/device",
        ("driver", "numa_node", "physfn", "sriov_numvfs", "sriov_totalvfs", "subsystem"),
    ),
    ("/sys/bus/pci/devices/*", ("class", "device", "driver", "numa_node", "revision", "subsystem_*", "vendor")),
    ("/sys/bus/pci/devices/*", ("boot_vga", "current_link_*", "max_link_*", "mem_info_vram_total", "resource")),
    (
        "/sys/bus/usb/devices/*",
        ("bDeviceClass", "busnum", "devnum", "idProduct", "idVendor", "manufacturer", "product", "serial", "speed"),
    ),
)


def capture(host: Host, origin: str, key: bytes, *, limit_s: float = LIMIT_S) -> tuple[Machine, int]:
    """The machine as it is now under other names, and how many names those are; `origin` says where and when, and `key`
    is what the names are made of: at random, and then forgotten. It never raises an `AgentError`.
    """
    seen, notes = witnessed(host)
    for look in looks(seen, host.files, limit_s):
        side_by_side({"look": look}, 2 * limit_s)  # what fails, or hangs, is noted, and hinders no other
    machine = notes.machine(host.files, origin, host.clock.now(), host.clock.monotonic_s())
    said = {line: complaints_alone(text) for line, text in machine.record.said.items()}
    machine.record = machine.record.model_copy(update={"said": said})
    return scrubbed(machine, key)


def complaints_alone(log: str) -> str:
    """Of the kernel's log what it says against disks: nobody knows what else there is in it."""
    return "".join(f"{found[0]}\n" for found in FAULT.finditer(log))


def looks(seen: Host, files: Files, limit_s: float) -> Iterator[Callable[[], object]]:
    """All that the agent ever looks at; `files` to see what there is, `seen` to read it."""
    for directory, names in RECORDED:
        for pattern in (f"{directory}/{name}" for name in names):
            for path in matching(files, pattern):
                yield partial(seen.files.read_bytes, path)
    yield from (seen.counters.memory_total_bytes, seen.counters.threads, seen.counters.cores)
    yield from (seen.counters.mounts, seen.counters.swaps, seen.udev.block_devices)
    yield partial(take_in_full, seen, limit_s=limit_s)
    yield partial(Networking(seen).network_state, NetworkConfig())
    yield partial(manager_of, seen.files)
    for link in listed(partial(links, seen), limit_s):
        yield partial(seen.files.resolve, link)
    found = listed(partial(disks, seen), limit_s)
    yield partial(abilities, seen, found)
    for disk in found:
        yield partial(partitions_known, seen, disk)
        yield partial(system_partitions, seen, disk)
    yield partial(diagnose, seen)


def links(seen: Host) -> tuple[str, ...]:
    """By what other names disks can be opened. Raises `HostError`."""
    told = [one for one in seen.udev.block_devices().values() if one.get("DEVTYPE") == "disk"]
    return tuple(link for one in told for link in one.get("DEVLINKS", "").split())


def listed(bring: Callable[[], tuple[T, ...]], limit_s: float) -> tuple[T, ...]:
    """All of them; none where that cannot be told, or not in time."""
    found = side_by_side({"list": bring}, limit_s)["list"]
    return () if isinstance(found, Unknown) else found


def matching(files: Files, pattern: str) -> Iterator[str]:
    """The paths that exist; `*` stands for any name within one directory."""
    head, star, rest = pattern.partition("*")
    if not star:
        if files.exists(pattern):
            yield pattern
        return
    directory, _, prefix = head.rpartition("/")
    suffix, slash, below = rest.partition("/")
    for name in files.names(directory):
        if fnmatchcase(name, f"{prefix}*{suffix}"):
            yield from matching(files, f"{directory}/{name}{slash}{below}")
