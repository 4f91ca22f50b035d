# SPDX-License-Identifier: Apache-2.0
"""Our inventory in Ironic's words: the document that `/v1/continue_inspection` takes. Pure.

Names, types and units are IPA's (ironic_python_agent/hardware.py, `serializable_fields`), whatever ours are: operators'
inspection rules, root device hints and Ironic's hooks are written against them. What is absent or unknown is null, or
"" where IPA has that; what could not be observed at all is said in `error`, which fails the inspection.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv6Address

from agent.model.bmc import Bmc
from agent.model.disk import MIB, Disk
from agent.model.fact import Unknown, known
from agent.model.inventory import Inventory
from agent.model.ironic.wire import MASTER, VERSION
from agent.model.network import Nic
from agent.model.system import Cpu, Memory, System
from agent.plan.device_hints import lsblks_transport, vendor

GIB = 1024**3
SMALLEST_ROOT_BYTES = 4 * GIB
NO_V4, NO_V6 = "0.0.0.0", "::/0"  # noqa: S104 - what IPA says of a BMC without an address; nothing is bound to it
MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}")
INFINIBAND_MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){19}")
NO_MAC = "00:00:00:00:00:00"
CLIENT_ID_PREFIX = "ff:00:00:00:00:00:02:00:00:02:c9:00:"  # RFC 4390, as IPA's manager of Mellanox NICs writes it
OPENSTACK_MACS = "fa:16:3e:"
TRANSPORTS = frozenset({"sata", "sas", "nvme", "usb", "iscsi", "fc", "virtio", "mmc"})  # lsblk's words
Choice = Callable[[Sequence[Disk]], Disk | None]
RawTlvs = list[tuple[int, str]]


@dataclass(frozen=True)
class Surroundings:
    """What the inventory does not have.

    boot_interface   BOOTIF, as the boot loader wrote it
    bmc              None: there is none, or it is not to be told of
    link_locals      by name of the NIC
    faults           what else went wrong, for `error`
    """

    hostname: str
    collectors: Sequence[str]
    boot_interface: str | None = None
    bmc: Bmc | Unknown | None = None
    link_locals: Mapping[str, IPv6Address] = field(default_factory=dict)
    faults: Sequence[str] = ()


def smallest(disks: Sequence[Disk]) -> Disk | None:
    """The root disk where nobody gave hints: of 4 GiB or more the smallest, by name among equals; none on a network."""
    large = [disk for disk in disks if disk.size_bytes >= SMALLEST_ROOT_BYTES and not disk.is_remote]
    return min(large, key=lambda disk: (disk.size_bytes, disk.path), default=None)


def document(inventory: Inventory, around: Surroundings, choose: Choice = smallest) -> dict[str, object]:
    """The body of the default collector, and `error`; `choose` finds the root disk."""
    disks = (*(known(inventory.disks) or ()), *(known(inventory.arrays) or ()))
    root = choose(disks)
    return {
        "inventory": {
            "interfaces": interfaces(known(inventory.nics) or (), around),
            "cpu": cpu(known(inventory.cpu)),
            "disks": [disk_told(disk) for disk in disks],
            "memory": memory(known(inventory.memory)),
            **bmc(around.bmc),
            "system_vendor": system_vendor(known(inventory.system)),
            "boot": {
                "current_boot_mode": boot_mode(known(inventory.system)),
                "pxe_interface": around.boot_interface,
            },
            "hostname": around.hostname,
        },
        **({} if root is None else {"root_disk": disk_told(root)}),
        "boot_interface": around.boot_interface,
        "configuration": {
            "collectors": list(around.collectors),
            "managers": [{"name": MASTER, "version": VERSION}],
        },
        "error": error((*faults(inventory), *around.faults)),
    }


def faults(inventory: Inventory) -> list[str]:
    """What could not be observed at all."""
    parts = ((name, getattr(inventory, name)) for name in type(inventory).model_fields)
    return [f"{name} could not be observed: {part.unknown}" for name, part in parts if isinstance(part, Unknown)]


def error(told: Sequence[str]) -> str | None:
    """As IPA puts it; `None` is what lets an inspection pass."""
    return "\n".join(["The following errors were encountered:", *(f"* {one}" for one in told)]) if told else None


def interfaces(nics: Sequence[Nic], around: Surroundings) -> list[dict[str, object]]:
    """Those that have a MAC: one without fails the whole document (ironic/api/controllers/v1/ramdisk.py)."""
    return [interface(nic, mac, around) for nic in nics if (mac := mac_of(nic)) is not None]


def mac_of(nic: Nic) -> str | None:
    """The permanent MAC. IPA leaves out `fa:…`, which vendors give to a NIC that leads to the BMC; OpenStack's own
    virtual machines have such ones too, and those are meant. Of InfiniBand's 20 bytes, those that make an Ethernet MAC.
    """
    mac = nic.mac.lower()
    if INFINIBAND_MAC.fullmatch(mac):
        return mac[36:45] + mac[51:]
    is_internal = mac.startswith("fa:") and not mac.startswith(OPENSTACK_MACS)
    return mac if MAC.fullmatch(mac) and mac != NO_MAC and not is_internal else None


def interface(nic: Nic, mac: str, around: Surroundings) -> dict[str, object]:
    """One NIC."""
    v4 = next((str(one.ip) for one in nic.addresses if one.version == 4), None)
    v6 = next((str(one.ip) for one in nic.addresses if one.version == 6), None)
    local = around.link_locals.get(nic.name)
    address = nic.mac.lower()
    return {
        "name": nic.name,
        "mac_address": mac,
        "ipv4_address": v4,
        "ipv6_address": v6 or (f"{local}%{nic.name}" if local else None),
        "has_carrier": bool(known(nic.carrier)),
        "lldp": None,
        "vendor": known(nic.vendor),
        "product": known(nic.product),
        "client_id": CLIENT_ID_PREFIX + address[36:] if INFINIBAND_MAC.fullmatch(address) else None,
        "biosdevname": None,  # that tool says names of distributions that are no more; IPA has it only if it is there
        "speed_mbps": known(nic.speed_mbps),
        "pci_address": known(nic.pci_address),
        "driver": known(nic.driver),
    }


def with_lldp(body: Mapping[str, object], heard: Mapping[str, RawTlvs]) -> dict[str, object]:
    """The document with what switches said in its interfaces, too: so it is where `ipa-collect-lldp` is set."""
    inventory = body["inventory"]
    assert isinstance(inventory, dict)
    told = [{**one, "lldp": heard.get(one["name"])} for one in inventory["interfaces"]]
    return {**body, "inventory": {**inventory, "interfaces": told}}


def cpu(found: Cpu | None) -> dict[str, object]:
    """lscpu's words. The frequency is a text in MHz, the highest where it is known."""
    if found is None:
        return {"model_name": "", "frequency": "", "count": 0, "architecture": "", "flags": [], "socket_count": 0}
    mhz = known(found.max_mhz)
    return {
        "model_name": known(found.model) or "",
        "frequency": "" if mhz is None else f"{mhz:.4f}",
        "count": found.threads,
        "architecture": found.architecture,
        "flags": list(known(found.flags) or ()),
        "socket_count": known(found.sockets) or 0,
    }


def memory(found: Memory | None) -> dict[str, object]:
    """In bytes and MiB. Where no firmware tells what is plugged in, it is what the kernel has (as lshw does it): the
    memory hook wants a number.
    """
    if found is None:
        return {"total": None, "physical_mb": None}
    physical = known(found.physical_bytes) or found.total_bytes
    return {"total": found.total_bytes, "physical_mb": physical // MIB}


def disk_told(disk: Disk) -> dict[str, object]:
    """One disk, in bytes. SATA's maker is "ATA" to IPA and to the hints that were copied from it."""
    transport = known(lsblks_transport(disk))
    return {
        "name": disk.path,
        "model": known(disk.model),
        "size": disk.size_bytes,
        "rotational": bool(known(disk.rotational)),
        "wwn": known(disk.wwn),
        "serial": known(disk.serial),
        "vendor": known(vendor(disk)),
        "wwn_with_extension": known(disk.wwn_with_extension),
        "wwn_vendor_extension": known(disk.wwn_vendor_extension),
        "hctl": known(disk.hctl),
        "by_path": known(disk.by_path),
        "logical_sectors": disk.logical_sector_bytes,
        "physical_sectors": disk.physical_sector_bytes,
        "tran": transport if transport in TRANSPORTS else None,
    }


def bmc(found: Bmc | Unknown | None) -> dict[str, object]:
    """Ironic looks the node up by it, so a wrong address is worse than none: null where there is no BMC or it does not
    answer, and IPA's words for one that has no address.
    """
    if found is None or isinstance(found, Unknown):
        return {"bmc_address": None, "bmc_v6address": None}
    mac = {} if found.mac is None else {"bmc_mac": found.mac}
    return {"bmc_address": str(found.v4 or NO_V4), "bmc_v6address": str(found.v6 or NO_V6), **mac}


def system_vendor(found: System | None) -> dict[str, object]:
    """SMBIOS; "" for what it does not say."""
    facts = {} if found is None else {name: known(getattr(found, name)) for name in type(found).model_fields}
    return {
        "product_name": facts.get("product") or "",
        "serial_number": facts.get("serial") or "",
        "manufacturer": facts.get("vendor") or "",
        "firmware": {
            "vendor": facts.get("firmware_vendor") or "",
            "version": facts.get("firmware_version") or "",
            "build_date": facts.get("firmware_date") or "",
        },
    }


def boot_mode(found: System | None) -> str | None:
    """uefi or bios; a hook copies it into the node's capabilities."""
    return None if found is None else found.firmware_mode.value
