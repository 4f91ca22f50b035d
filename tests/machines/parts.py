# SPDX-License-Identifier: Apache-2.0
"""Parts of synthetic machines: each puts its sysfs files into a `Machine`, and what udev and netlink say of it."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface

from agent.host.fake import Counts, LinkTo, Machine, Record, Tree
from agent.model.network import DEFAULT_V4, Ethernet, LinkState, Route

SECTOR = 512


@dataclass(frozen=True)
class Card:
    """What a NIC is made of; `bus` is what lies between its PCI function and it (virtio0)."""

    vendor: str
    product: str
    driver: str
    numa_node: int = 0
    bus: str = ""


def machine(origin: str, *, arch: str = "x86_64", cpuinfo: str, uefi: bool = True, counts: Counts) -> Machine:
    """A case with a mainboard and processors in it."""
    files: dict[str, str | bytes | LinkTo] = {
        "/proc/cpuinfo": cpuinfo,
        "/proc/swaps": "Filename\tType\tSize\tUsed\tPriority\n",
        "/proc/self/mountinfo": "1 1 0:2 / / rw - rootfs rootfs rw\n",
        "/proc/sys/kernel/arch": f"{arch}\n",
        "/proc/sys/kernel/hostname": "ramdisk\n",
        "/proc/sys/kernel/random/boot_id": "11111111-2222-3333-4444-555555555555\n",
    }
    if uefi:
        files["/sys/firmware/efi/fw_platform_size"] = "64\n"
    return Machine.of(Tree.of(files), Record(origin=origin, counts=counts))


def finished(built: Machine) -> Machine:
    """The machine as if it were switched on now: what was put into it is what it boots with."""
    return Machine.of(built.tree, built.record)


def put(built: Machine, files: dict[str, str | bytes | LinkTo]) -> None:
    """Add files; a text is one line."""
    for path, content in files.items():
        built.tree.put(path, f"{content}\n".encode() if isinstance(content, str) else content)


def add_smbios(built: Machine, table: bytes, entry_point: bytes) -> None:
    """What the firmware says."""
    put(built, {"/sys/firmware/dmi/tables/DMI": table, "/sys/firmware/dmi/tables/smbios_entry_point": entry_point})


def add_topology(built: Machine, *, sockets: int, cpus: int, nodes: int, max_khz: int | None = None) -> None:
    """Processors and NUMA nodes as sysfs shows them."""
    for number in range(cpus):
        package = str(number * sockets // cpus)
        put(built, {f"/sys/devices/system/cpu/cpu{number}/topology/physical_package_id": package})
    for number in range(nodes):
        put(built, {f"/sys/devices/system/node/node{number}/cpulist": f"{number}"})
    if max_khz:
        put(built, {"/sys/devices/system/cpu/cpu0/cpufreq/cpuinfo_max_freq": str(max_khz)})


def add_block(
    built: Machine,
    name: str,
    device: str,
    size_bytes: int,
    *,
    rotational: bool = False,
    sectors: tuple[int, int] = (512, 512),
    udev: dict[str, str] | None = None,
    files: dict[str, str] | None = None,
) -> None:
    """A disk at `device`, below /sys/devices. `udev=None` is a disk that udev has not looked at."""
    at = f"/sys/devices/{device}/block/{name}"
    number = f"8:{16 * len(built.record.udev)}"
    put(
        built,
        {
            f"/sys/block/{name}": LinkTo(f"../devices/{device}/block/{name}"),
            f"/sys/class/block/{name}": LinkTo(f"../../devices/{device}/block/{name}"),
            f"/sys/dev/block/{number}": LinkTo(f"../../devices/{device}/block/{name}"),
            f"{at}/dev": number,
            f"{at}/device": LinkTo(f"/sys/devices/{device}"),
            f"{at}/size": str(size_bytes // SECTOR),
            f"{at}/ro": "0",
            f"{at}/removable": "0",
            f"{at}/hidden": "0",
            f"{at}/queue/rotational": str(int(rotational)),
            f"{at}/queue/logical_block_size": str(sectors[0]),
            f"{at}/queue/physical_block_size": str(sectors[1]),
        },
    )
    built.tree.make_directory(f"{at}/holders")
    put(built, {f"/sys/devices/{device}/{path}": text for path, text in (files or {}).items()})
    told = {"DEVNAME": f"/dev/{name}", "DEVTYPE": "disk", "SUBSYSTEM": "block"}
    extra = {} if udev is None else {"USEC_INITIALIZED": "1000000", **udev}
    tell(built, name, told | extra)


def add_partition(built: Machine, disk: str, number: int, udev: dict[str, str]) -> str:
    """A partition on a disk; its kernel name."""
    name = f"{disk}p{number}" if disk[-1].isdigit() else f"{disk}{number}"
    at = f"{built.tree.resolve(f'/sys/block/{disk}')}/{name}"
    extent = {f"{at}/start": str(number * 2**20), f"{at}/size": str(2**20)}
    put(built, {f"{at}/partition": str(number), f"/sys/class/block/{name}": LinkTo(at), **extent})
    built.tree.make_directory(f"{at}/holders")
    told = {"DEVNAME": f"/dev/{name}", "DEVTYPE": "partition", "SUBSYSTEM": "block", "USEC_INITIALIZED": "1000001"}
    tell(built, name, told | udev)
    return name


def add_holder(built: Machine, name: str, holder: str, mapped: str) -> None:
    """A device-mapper device on a disk or partition."""
    put(
        built,
        {
            f"{built.tree.resolve(f'/sys/class/block/{name}')}/holders/{holder}": LinkTo(f"/sys/block/{holder}"),
            f"/sys/block/{holder}": LinkTo(f"../devices/virtual/block/{holder}"),
            f"/sys/devices/virtual/block/{holder}/dm/name": mapped,
            f"/sys/devices/virtual/block/{holder}/size": "1000",
            f"/sys/devices/virtual/block/{holder}/slaves/{name}": LinkTo(f"/sys/class/block/{name}"),
            f"/sys/class/block/{holder}": LinkTo(f"../../devices/virtual/block/{holder}"),
            "/sys/dev/block/254:0": LinkTo(f"../../devices/virtual/block/{holder}"),
        },
    )


def add_nic(
    built: Machine,
    name: str,
    pci: str,
    mac: str,
    card: Card,
    *,
    speed: int | None,
    up: bool = True,
    address: str | None = None,
    gateway: str | None = None,
) -> None:
    """A NIC. Without a speed there is no carrier."""
    function = f"/sys/devices/pci0000:{pci[5:7]}/{pci}"
    device = function + (f"/{card.bus}" if card.bus else "")
    drivers = f"/sys/bus/{'virtio' if card.bus else 'pci'}/drivers"
    put(
        built,
        {
            f"/sys/class/net/{name}": LinkTo(f"../..{device.removeprefix('/sys')}/net/{name}"),
            f"{device}/net/{name}/device": LinkTo(f"../../../{device.rpartition('/')[2]}"),
            f"{device}/net/{name}/speed": str(speed or -1),
            f"{device}/driver": LinkTo(f"{drivers}/{card.driver}"),
            f"{function}/vendor": card.vendor,
            f"{function}/device": card.product,
            f"{device}/numa_node": str(card.numa_node),
            f"/sys/bus/pci/devices/{pci}": LinkTo(f"../../..{function.removeprefix('/sys')}"),
        },
    )
    built.tree.make_directory(f"{drivers}/{card.driver}")
    addresses = (IPv4Interface(address),) if address else ()
    link = LinkState(
        name=name,
        index=len(built.record.links) + 2,
        kind="ethernet",
        mac=mac,
        permanent_mac=mac,
        carrier=speed is not None,
        up=up,
        mtu=1500,
        addresses=addresses,
        config=Ethernet(name=name, mac=mac, mtu=1500, up=up, addresses=addresses),
    )
    routes = (Route(destination=DEFAULT_V4, link=name, gateway=IPv4Address(gateway)),) if gateway else ()
    built.record = built.record.model_copy(
        update={"links": (*built.record.links, link), "routes": (*built.record.routes, *routes)}
    )


def lend_mac(built: Machine, name: str, mac: str) -> None:
    """A bond gives its slave another MAC; the permanent one stays."""
    links = tuple(each.model_copy(update={"mac": mac}) if each.name == name else each for each in built.record.links)
    built.record = built.record.model_copy(update={"links": links})


def tell(built: Machine, name: str, properties: dict[str, str]) -> None:
    """What udev says of a device."""
    built.record = built.record.model_copy(update={"udev": {**built.record.udev, name: properties}})
