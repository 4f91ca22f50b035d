# SPDX-License-Identifier: Apache-2.0
"""Synthetic machines of shapes that QEMU has not, made when a test asks for them: they are too large to be kept."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

from agent.host.fake import Counts, LinkTo, Machine
from agent.model import gpt, mbr
from tests.machines import firmware, parts
from tests.machines.firmware import GIB
from tests.machines.parts import Card
from tests.machines.synthetic import QEMU_CPU, XEON, truncated_smbios
from tests.model.hardware import answers

TB = 10**12
NIC = Card("0x15b3", "0x1015", "mlx5_core")
TABLE, HOME = UUID("0c0ffee0-0000-4000-8000-000000000001"), UUID("0c0ffee0-0000-4000-8000-000000000002")
NAMES = ("EFI-система", "データ", "donnée 1")
MANY = 300


def two_sockets() -> Machine:
    """Two sockets with twelve DIMMs each, twelve NVMe disks over both nodes, four ports."""
    built = case(
        "a 2-socket server with 24 DIMMs and 12 NVMe", cpuinfo=XEON, threads=128, cores=64, memory=24 * 64 * GIB
    )
    model = "Intel(R) Xeon(R) Gold 6338 CPU @ 2.00GHz"
    sockets = [firmware.processor(f"CPU{one}", model, cores=32, threads=64, max_mhz=3200) for one in (1, 2)]
    dimms = [
        firmware.memory_device(f"P{socket}_DIMM_{slot}", 64 * GIB, serial=f"D{socket}{slot:02}4711")
        for socket in (1, 2)
        for slot in range(1, 13)
    ]
    board = firmware.product("ACME", "Twin 2U", "TWIN4711", "4c4c4544-0000-4000-8000-000000004711")
    parts.add_smbios(built, firmware.table(board, *sockets, *dimms), firmware.ENTRY_POINT)
    parts.add_topology(built, sockets=2, cpus=128, nodes=2, max_khz=3_200_000)
    for number in range(12):
        add_nvme(built, number, node=number // 6)
    for number in range(4):
        parts.add_nic(built, f"ens{number}np0", f"0000:a{number}:00.0", f"0c:42:a1:00:47:1{number}", NIC, speed=25000)
    made = parts.finished(built)
    for number in range(12):
        made.drives |= {
            (f"/dev/nvme{number}n1", "identify 1 0"): answers.nvme_controller(),
            (f"/dev/nvme{number}n1", "identify 2 0"): answers.nvme_list(1),
            (f"/dev/nvme{number}n1", "identify 0 1"): answers.nvme_namespace(),
            (f"/dev/nvme{number}n1", "log 2"): answers.nvme_health(used=number),
        }
    return made


def multipath() -> Machine:
    """Two paths to one disk on a SAN, joined by multipath; and a disk of its own."""
    built = case("two paths to one disk, joined by multipath")
    wwn = "0x600508b1001c4711600508b1001c4711"
    for number, name in enumerate(("sda", "sdb")):
        told = {"ID_SERIAL_SHORT": "LUN47110", "ID_WWN_WITH_EXTENSION": wwn, "ID_WWN": wwn[:18],
                "ID_FS_TYPE": "mpath_member"}  # fmt: skip
        at = f"pci0000:17/0000:18:00.{number}/host{number}/rport-{number}:0-0/target{number}:0:0/{number}:0:0:0"
        parts.add_block(built, name, at, 2 * TB, udev=told)
        parts.add_holder(built, name, "dm-0", "mpatha")
    parts.put(built, {"/sys/devices/virtual/block/dm-0/dm/uuid": f"mpath-3{wwn[2:]}"})
    add_sata(built, "sdc", 3, "OWN47110", 480 * 10**9)
    return with_port(built)


def bogus_wwn() -> Machine:
    """Disks whose firmware was never given a WWN: zeroes, and one name for two of them."""
    built = case("disks with bogus WWNs")
    for number, wwn in enumerate(("0x0000000000000000", "0x5000000000000001", "0x5000000000000001")):
        add_sata(built, f"sd{'abc'[number]}", number + 1, f"BOGUS00{number}", 480 * 10**9, wwn=wwn)
    return with_port(built)


def foreign_names() -> Machine:
    """A disk with partitions that are named in other scripts than Latin."""
    built = case("partitions with names that are no ASCII")
    add_sata(built, "sda", 1, "NAMES471", 480 * 10**9, table="gpt")
    for number, name in enumerate(NAMES, 1):
        escaped = "".join(sign if sign.isascii() and sign.isalnum() else hexed(sign) for sign in name)
        told = {"ID_FS_TYPE": "ext4", "ID_FS_LABEL_ENC": escaped, "ID_PART_ENTRY_NAME": escaped}
        parts.add_partition(built, "sda", number, told | {"ID_PART_ENTRY_UUID": str(HOME)[:-1] + str(number)})
    add_sata(built, "sdb", 2, "EMPTY471", 480 * 10**9)
    made = with_port(built)
    disk = made.disk("/dev/sda")
    assert disk is not None
    disk.write(0, named_table(disk.size_bytes // 512))
    disk.flush()
    return made


def many_disks(count: int = MANY) -> Machine:
    """A shelf of disks, the last of which is the small one that a system goes to."""
    built = case(f"{count} disks")
    for number in range(count):
        size = 480 * 10**9 if number == count - 1 else 20 * TB
        add_sata(built, f"sd{letters(number)}", number, f"SHELF{number:05}", size, wwn=f"0x5000c500{number:08x}")
    return with_port(built)


SHAPES: dict[str, Callable[[], Machine]] = {
    "two-sockets": two_sockets,
    "multipath": multipath,
    "bogus-wwn": bogus_wwn,
    "foreign-names": foreign_names,
    "truncated-smbios": truncated_smbios,
    "many-disks": many_disks,
}


def case(what: str, *, cpuinfo: str = QEMU_CPU, threads: int = 2, cores: int = 2, memory: int = 16 * GIB) -> Machine:
    """An empty one."""
    counts = Counts(memory_total_bytes=memory, threads=threads, cores=cores)
    return parts.machine(f"synthetic: {what}", cpuinfo=cpuinfo, uefi=False, counts=counts)


def with_port(built: Machine) -> Machine:
    """Switched on, with one NIC that has a way out."""
    mac = "0c:42:a1:00:47:11"
    parts.add_nic(built, "eno1", "0000:01:00.0", mac, NIC, speed=10000, address="10.0.0.6/24", gateway="10.0.0.1")
    return parts.finished(built)


def add_sata(
    built: Machine, name: str, number: int, serial: str, size: int, *, wwn: str | None = None, table: str | None = None
) -> None:
    """A SATA disk on a port of its own."""
    at = f"pci0000:00/0000:00:17.0/ata{number}/host{number}/target{number}:0:0/{number}:0:0:0"
    told = {"ID_SERIAL_SHORT": serial, "ID_MODEL_ENC": "ACME\\x20Disk"}
    told |= {"ID_WWN": wwn} if wwn else {}
    told |= {"ID_PART_TABLE_TYPE": table, "ID_PART_TABLE_UUID": str(TABLE)} if table else {}
    parts.add_block(built, name, at, size, rotational=True, udev=told, files={"model": "ACME Disk       "})


def add_nvme(built: Machine, number: int, node: int) -> None:
    """An NVMe disk on a PCI function of its own."""
    address, name, serial = f"0000:{0x20 + number:02x}:00.0", f"nvme{number}n1", f"NVME47{number:02}"
    wwid = f"eui.{number:016x}0025384700000001"
    at = f"pci0000:{0x20 + number:02x}/{address}/nvme/nvme{number}"
    files = {"model": "ACME NVMe 1TB", "serial": serial, "firmware_rev": "2.0.0"}
    parts.add_block(built, name, at, 1_000_204_886_016, files=files, udev={"ID_SERIAL_SHORT": serial, "ID_WWN": wwid})
    function = f"/sys/devices/pci0000:{0x20 + number:02x}/{address}"
    parts.put(
        built,
        {
            f"{built.tree.resolve(f'/sys/block/{name}')}/wwid": wwid,
            f"/sys/bus/pci/devices/{address}": LinkTo(f"../../..{function.removeprefix('/sys')}"),
            f"{function}/numa_node": str(node),
            f"{function}/vendor": "0x144d",
            f"{function}/device": "0xa808",
            f"{function}/class": "0x010802",
        },
    )


def named_table(sectors: int) -> bytes:
    """The first MiB of a disk with a GPT whose partitions have these names."""
    data = gpt.TYPES["data"]
    entries = tuple(
        gpt.Entry(slot, data, UUID(int=HOME.int + slot), 2048 * (slot + 1), 2048 * (slot + 2) - 1, 0, name)
        for slot, name in enumerate(NAMES)
    )
    table = gpt.Gpt(512, TABLE, 34, sectors - 34, sectors - 1, 2, 128, 128, entries)
    array = gpt.array_of(table, bytes(128 * 128))
    head = bytearray(1 << 20)
    mbr.RECORD.pack_into(head, 446, 0, b"\0\2\0", mbr.PROTECTIVE, b"\xff\xff\xff", 1, min(sectors - 1, 0xFFFFFFFF))
    head[510:512] = b"\x55\xaa"
    head[512:1024] = gpt.header_of(table, array, backup=False)
    head[1024 : 1024 + len(array)] = array
    return bytes(head)


def letters(number: int) -> str:
    """sda, sdb … sdz, sdaa …: as the kernel counts."""
    found = ""
    number += 1
    while number:
        number, rest = divmod(number - 1, 26)
        found = chr(ord("a") + rest) + found
    return found


def hexed(sign: str) -> str:
    """As udev escapes it: UTF-8 stays in labels, what else is no letter does not."""
    return sign if not sign.isascii() else "".join(f"\\x{byte:02x}" for byte in sign.encode())
