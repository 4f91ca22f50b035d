# SPDX-License-Identifier: Apache-2.0
"""Machines that nobody has: made up to hold what the recorded ones do not. `python -m tests.machines.synthetic`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from agent.host.fake import Counts, LinkTo, Machine, Unreadable
from tests.machines import firmware, parts
from tests.machines.firmware import GIB
from tests.machines.parts import Card

HERE = Path(__file__).parent
XEON = """\
processor\t: 0
vendor_id\t: GenuineIntel
model name\t: Intel(R) Xeon(R) Gold 6338 CPU @ 2.00GHz
microcode\t: 0xd0003a5
physical id\t: 0
flags\t\t: fpu vme lm aes avx512f

processor\t: 1
model name\t: Intel(R) Xeon(R) Gold 6338 CPU @ 2.00GHz
"""
QEMU_CPU = """\
processor\t: 0
vendor_id\t: GenuineIntel
model name\t: QEMU Virtual CPU version 2.5+
flags\t\t: fpu lm
"""
ALTRA = """\
processor\t: 0
BogoMIPS\t: 50.00
Features\t: fp asimd aes
CPU implementer\t: 0x41
CPU architecture: 8
"""


def dell_r650() -> Machine:
    """Two sockets, 16 DIMMs, two SAS SSDs of which one holds an old system in use, two NVMe, four ports."""
    built = parts.machine(
        "synthetic: a Dell PowerEdge R650, written by hand after its manuals",
        cpuinfo=XEON,
        counts=Counts(
            memory_total_bytes=540_000_000_000,
            threads=8,
            cores=4,
            mounts=(("/dev/sda1", "/boot/efi"), ("/dev/mapper/vg-root", "/")),
            swaps=("/dev/sda2",),
        ),
    )
    dimms = [
        firmware.memory_device(f"{bank}{slot}", 32 * GIB if slot <= 8 else 0, serial=f"F{bank}{slot:02}")
        for bank in "AB"
        for slot in range(1, 17)
    ]
    xeon = "Intel(R) Xeon(R) Gold 6338 CPU @ 2.00GHz"
    table = firmware.table(
        firmware.firmware("Dell Inc.", "1.5.5", "02/22/2022"),
        firmware.product("Dell Inc.", "PowerEdge R650", "7XK4Q33", "4c4c4544-0058-4b10-8034-b7c04f513333"),
        firmware.chassis("7XK4Q33", "rack 7, unit 12"),
        firmware.processor("CPU1", xeon, cores=32, threads=64, max_mhz=4000),
        firmware.processor("CPU2", xeon, cores=32, threads=64, max_mhz=4000),
        *dimms,
    )
    parts.add_smbios(built, table, firmware.ENTRY_POINT)
    parts.add_topology(built, sockets=2, cpus=8, nodes=2, max_khz=3_200_000)
    for number in (0, 1):
        add_sas_ssd(built, number)
        add_nvme(built, number)
    add_old_system(built)
    intel = Card("0x8086", "0x1572", "i40e")
    mellanox = Card("0x15b3", "0x1015", "mlx5_core", numa_node=1)
    parts.add_nic(built, "eno1", "0000:19:00.0", "b0:26:28:00:00:01", intel, speed=10000, address="10.0.0.5/24")
    parts.add_nic(built, "eno2", "0000:19:00.1", "b0:26:28:00:00:02", intel, speed=None)
    parts.add_nic(built, "ens1f0np0", "0000:b1:00.0", "0c:42:a1:00:00:10", mellanox, speed=25000)
    parts.add_nic(built, "ens1f1np1", "0000:b1:00.1", "0c:42:a1:00:00:11", mellanox, speed=None, up=False)
    parts.lend_mac(built, "ens1f0np0", "0c:42:a1:00:00:11")
    return parts.finished(built)


def add_sas_ssd(built: Machine, number: int) -> None:
    """A SAS SSD behind an HBA."""
    name, wwn, hctl = "ab"[number], f"5002538b0000000{number}", f"0:0:{number}:0"
    port = f"port-0:{number}/end_device-0:{number}/target0:0:{number}/{hctl}"
    parts.add_block(
        built,
        f"sd{name}",
        f"pci0000:17/0000:18:00.0/host0/{port}",
        960_197_124_096,
        sectors=(512, 4096),
        files={"vendor": "SAMSUNG ", "model": "MZILT960HBHQAD3 ", "rev": "DSG9"},
        udev={
            "DEVLINKS": f"/dev/disk/by-id/wwn-0x{wwn} /dev/disk/by-path/pci-0000:18:00.0-sas-phy{number}-lun-0",
            "ID_BUS": "scsi",
            "ID_MODEL_ENC": "MZILT960HBHQAD3\\x20",
            "ID_SCSI_SERIAL": f"S5G0NE0R00000{number}",
            "ID_SERIAL_SHORT": wwn,
            "ID_WWN_WITH_EXTENSION": f"0x{wwn}",
        },
    )


def add_nvme(built: Machine, number: int) -> None:
    """An NVMe SSD on its own PCI function."""
    parts.add_block(
        built,
        f"nvme{number}n1",
        f"pci0000:64/0000:{65 + number}:00.0/nvme/nvme{number}",
        3_840_755_982_336,
        files={
            "model": "Dell Ent NVMe v2 AGN RI U.2 3.84TB      ",
            "serial": f"S61BNE0R10000{number}     ",
            "firmware_rev": "2.0.0   ",
        },
        udev={
            "DEVLINKS": f"/dev/disk/by-path/pci-0000:{65 + number}:00.0-nvme-1",
            "ID_SERIAL_SHORT": f"S61BNE0R10000{number}",
            "ID_WWN": f"eui.36344730548010{number}00025384500000001",
        },
    )
    at = built.tree.resolve(f"/sys/block/nvme{number}n1")
    parts.put(built, {f"{at}/wwid": f"eui.36344730548010{number}00025384500000001"})


def add_old_system(built: Machine) -> None:
    """What an earlier tenant left on sda, still in use."""
    old = dict(built.record.udev["sda"]) | {"ID_PART_TABLE_TYPE": "gpt", "ID_PART_TABLE_UUID": "a-table"}
    parts.tell(built, "sda", old)
    parts.add_partition(built, "sda", 1, {"ID_FS_TYPE": "vfat", "ID_FS_LABEL_ENC": "EFI\\x20OLD", "ID_FS_UUID": "1-2"})
    parts.add_partition(built, "sda", 2, {"ID_FS_TYPE": "swap", "ID_PART_TABLE_TYPE": "gpt"})
    lvm = parts.add_partition(built, "sda", 3, {"ID_FS_TYPE": "LVM2_member", "ID_FS_UUID": "pv-1"})
    parts.add_holder(built, lvm, "dm-0", "vg-root")
    parts.put(built, {"/dev/mapper/vg-root": LinkTo("../dm-0")})
    built.tree.put("/proc/self/mountinfo", b"25 1 254:0 / / rw - ext4 /dev/mapper/vg-root rw\n")


def arm64() -> Machine:
    """An arm64 server: other words in /proc/cpuinfo, no such thing as a physical id, one NVMe, one port."""
    built = parts.machine(
        "synthetic: an arm64 server",
        arch="aarch64",
        cpuinfo=ALTRA,
        counts=Counts(memory_total_bytes=64 * GIB, threads=4, cores=None),
    )
    table = firmware.table(
        firmware.firmware("AMI", "2.06", "11/30/2022"),
        firmware.product("Ampere", "Mt.Jade", None, "00000000-0000-0000-0000-000000000000"),
        firmware.chassis("Chassis-7", "To Be Filled By O.E.M."),
        firmware.processor("CPU0", "Ampere(R) Altra(R) Processor", cores=300, threads=300, max_mhz=3000),
        firmware.processor("CPU1", "Ampere(R) Altra(R) Processor", cores=0, threads=0, max_mhz=0, populated=False),
        firmware.memory_device("DIMM 1", 64 * GIB, kind=0x22, speed=4800, serial="E1"),
    )
    parts.add_smbios(built, table, firmware.ENTRY_POINT)
    add_nvme(built, 0)
    mellanox = Card("0x15b3", "0x1017", "mlx5_core")
    mac = "02:00:00:00:00:01"
    parts.add_nic(
        built, "enp1s0", "0000:01:00.0", mac, mellanox, speed=100000, address="10.0.0.6/24", gateway="10.0.0.1"
    )
    return parts.finished(built)


def no_smbios() -> Machine:
    """A small virtual machine whose firmware says nothing; booted by BIOS."""
    built = parts.machine(
        "synthetic: a virtual machine without SMBIOS",
        cpuinfo=QEMU_CPU,
        uefi=False,
        counts=Counts(memory_total_bytes=GIB, threads=1, cores=1),
    )
    parts.add_topology(built, sockets=1, cpus=1, nodes=1)
    disk = "pci0000:00/0000:00:03.0/virtio0"
    parts.add_block(
        built, "vda", disk, 8 * GIB, rotational=True, udev={"ID_PATH": "pci-0000:00:03.0"}, files={"vendor": "0x1af4"}
    )
    virtio = Card("0x1af4", "0x1000", "virtio_net", numa_node=-1, bus="virtio1")
    parts.add_nic(built, "ens4", "0000:00:04.0", "52:54:00:12:34:56", virtio, speed=None)
    return parts.finished(built)


def truncated_smbios() -> Machine:
    """The same, with firmware whose table ends in the middle of a structure."""
    built = no_smbios()
    built.record = built.record.model_copy(update={"origin": "synthetic: a virtual machine with half an SMBIOS table"})
    table = firmware.table(
        firmware.firmware("SeaBIOS", "1.16", "04/01/2014"),
        firmware.product("QEMU", "Standard PC", None, "b6a5d1c2-0000-4000-8000-000000000001"),
    )
    parts.add_smbios(built, table[: len(table) - 20], firmware.ENTRY_POINT)
    return parts.finished(built)


def odd_disks() -> Machine:
    """Disks that are trouble, between things that are no disks at all."""
    built = parts.machine(
        "synthetic: a machine full of odd disks, its board's fields never filled in",
        cpuinfo=QEMU_CPU,
        counts=Counts(memory_total_bytes=16 * GIB, threads=2, cores=2),
    )
    table = firmware.table(
        firmware.firmware("American Megatrends Inc.", "F5", "01/01/2020"),
        firmware.product(
            "To Be Filled By O.E.M.", "Default string", "0123456789", "03000200-0400-0500-0006-000700080009"
        ),
        firmware.chassis("System Serial Number", "Default string"),
        firmware.memory_device("DIMM 0", 16 * GIB, serial="00000000"),
        firmware.memory_device("DIMM 0", 16 * GIB, serial="A1B2C3D4"),
    )
    parts.add_smbios(built, table, firmware.ENTRY_POINT)
    sata = "pci0000:00/0000:00:17.0/ata{0}/host{0}/target{0}:0:0/{0}:0:0:0"
    twin = {"ID_SERIAL_SHORT": "SAME-SERIAL", "ID_MODEL_ENC": "CHEAP\\x20SSD"}
    ata = {"vendor": "ATA     ", "model": "CHEAP SSD       "}
    parts.add_block(built, "sda", sata.format(1), 240 * 10**9, udev=twin | {"ID_WWN": "0x0000000000000000"}, files=ata)
    parts.add_block(built, "sdb", sata.format(2), 240 * 10**9, udev=twin | {"ID_WWN": "0x5000000000000001"}, files=ata)
    named = {"ID_PART_TABLE_TYPE": "gpt", "ID_SERIAL_SHORT": "4KN", "ID_WWN": "0x5000C500A1B2C3D4"}
    parts.add_block(built, "sdc", sata.format(3), 8 * 10**12, rotational=True, sectors=(4096, 4096), udev=named)
    parts.add_partition(built, "sdc", 1, {"ID_FS_TYPE": "ext4", "ID_FS_LABEL_ENC": "donn\\xc3\\xa9es"})
    parts.add_block(built, "sdd", sata.format(4), 10**12)  # udev has not looked at it
    usb = "pci0000:00/0000:00:14.0/usb1/1-1/1-1:1.0/host9/target9:0:0/9:0:0:0"
    parts.add_block(built, "sde", usb, 32 * 10**9, udev={}, files={"vendor": "Kingston"})
    add_no_disks(built)
    return parts.finished(built)


def add_no_disks(built: Machine) -> None:
    """A loop device, a CD drive, a card reader without a card, a hidden path of an NVMe disk; and a NIC that fails."""
    parts.add_block(built, "loop0", "virtual", 10**9)
    parts.add_block(built, "sr0", "pci0000:00/0000:00:17.0/ata6/host6/target6:0:0/6:0:0:0", 10**9)
    parts.add_block(built, "sdf", "pci0000:00/0000:00:14.0/usb1/1-2/host10/target10:0:0/10:0:0:0", 0)
    parts.add_block(built, "nvme0c0n1", "pci0000:00/0000:00:1d.0/nvme/nvme0", 10**12)
    reader, path = built.tree.resolve("/sys/block/sdf"), built.tree.resolve("/sys/block/nvme0c0n1")
    parts.put(built, {f"{reader}/removable": "1", f"{path}/hidden": "1"})
    card = Card("0x8086", "0x15bc", "e1000e")
    parts.add_nic(built, "eno1", "0000:00:1f.6", "02:00:00:00:00:09", card, speed=1000)
    built.tree.put(built.tree.resolve("/sys/class/net/eno1") + "/speed", Unreadable("Input/output error"))


MACHINES: dict[str, Callable[[], Machine]] = {
    "synthetic-arm64": arm64,
    "synthetic-dell-r650": dell_r650,
    "synthetic-no-smbios": no_smbios,
    "synthetic-odd-disks": odd_disks,
    "synthetic-truncated-smbios": truncated_smbios,
}

if __name__ == "__main__":
    for name, build in MACHINES.items():
        build().save(HERE / name)
