# SPDX-License-Identifier: Apache-2.0
"""Record this machine in the form that tests load: a bug in the field becomes a fixture in one step.

In: a host. Out: a `Machine`, to be saved. What is read is more than the inventory needs today. No user's data, no
machine-id and no file contents of disks are recorded; serial numbers and MACs are, for they are what it is about.
"""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase

from agent.errors import HostError
from agent.host.doors import Files, Host
from agent.host.fake import Counts, LinkTo, Machine, Record, Tree, Unreadable

BLOCK_FILES = (
    "dev",
    "device",
    "hidden",
    "ro",
    "removable",
    "serial",
    "size",
    "uevent",
    "wwid",
    "holders/*",
    "slaves/*",
)
SIZES = ("logical_block_size", "physical_block_size", "rotational")
DEVICE_FILES = ("firmware_rev", "model", "rev", "serial", "state", "vendor", "vpd_pg80", "vpd_pg83", "wwid")
RECORDED: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("/proc", ("cpuinfo", "meminfo", "swaps", "version", "self/mountinfo")),
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


def capture(host: Host, origin: str) -> Machine:
    """The machine as it is now; `origin` says where and when. Raises `HostError`."""
    tree = Tree()
    for directory, names in RECORDED:
        for pattern in (f"{directory}/{name}" for name in names):
            for path in matching(host.files, pattern):
                record(host.files, path, tree)
    counts = Counts(
        memory_total_bytes=host.counters.memory_total_bytes(),
        threads=host.counters.threads(),
        cores=host.counters.cores(),
        mounts=tuple(host.counters.mounts()),
        swaps=tuple(host.counters.swaps()),
    )
    udev = {name: dict(properties) for name, properties in host.udev.block_devices().items()}
    tables = host.netlink.tables()
    network = {
        "links": tables.links,
        "routes": tables.routes,
        "leased_routes": tables.leased_routes,
        "rules": tables.rules,
    }
    return Machine.of(tree, Record(origin=origin, counts=counts, udev=udev, **network))


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


def record(files: Files, path: str, tree: Tree) -> None:
    """Put a file into the tree, with every link on the way to it."""
    above = ""
    for name in path.strip("/").split("/"):
        place, end = f"{above}/{name}", files.resolve(f"{above}/{name}")
        if end != place:
            tree.put(place, LinkTo(end))
        above = end
    try:
        tree.put(above, files.read_bytes(above))
    except HostError as error:
        if isinstance(error.__cause__, IsADirectoryError):
            tree.make_directory(above)
        else:
            tree.put(above, Unreadable(error.evidence))
