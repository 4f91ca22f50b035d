# SPDX-License-Identifier: Apache-2.0
"""A machine full of things that nobody outside shall know, in every place where there may be some."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from ipaddress import ip_address, ip_interface
from uuid import UUID

from agent.host.fake import Counts, FakeHost, LinkTo, Machine
from agent.model.efi import END, LoadOption, path_to
from agent.model.esp import partitions
from agent.model.network import DEFAULT_V4, Route
from tests.efi import SmallFat, csv, head_with
from tests.inventory import equipped
from tests.machines import firmware, parts
from tests.machines.firmware import Fields

HOSTNAME = "db17.acme-bank.example"
MAC, BMC_MAC = "b0:26:28:ab:cd:01", "b0:26:28:ab:cd:99"
ADDRESS, GATEWAY, ADDRESS_V6, BMC_ADDRESS = "10.20.30.40", "10.20.30.254", "2001:470:8:99::42", "10.20.99.7"
BOARD, TAG, PRODUCT_UUID = "CN0BOARD77", "ASSET-004711", "4c4c4544-0044-4710-8057-b2c04f4a5032"
NVME, NGUID, EUI = "S64FNE0T204711", "36344730548047110025384500000047", "0025385b71b04711"
SAS, WWN = "S5G0NE0R047110", "5002538b00474711"
SATA, SATA_WWN = "ZC18ABCD", "5000c500c0ffee47"
FILESYSTEM, MBR = "f00dface-4711-4e00-8abc-0123456789ab", "feedf00d"
ARRAY_HOST, VOLUME_HOST = "dbhost18", "vghost19"
MODULE, FAT = "AGG47110", "12ab34cd"
PORTAL, TARGET, MACHINE = "203.1.113.40", "com.acme-vault:prod", "8f3e4711aa0b4c1d9e2f00112233aabb"
IDENTITIES = (
    HOSTNAME, "acme-bank.example", MAC, BMC_MAC, ADDRESS, GATEWAY, ADDRESS_V6, BMC_ADDRESS, BOARD, TAG, PRODUCT_UUID,
    NVME, NGUID, EUI, SAS, WWN, SATA, SATA_WWN, FILESYSTEM, MBR, MODULE, FAT, ARRAY_HOST,
    VOLUME_HOST, PORTAL, TARGET, MACHINE,
)  # fmt: skip
TOKEN, KEY, PASSPHRASE = "tok-5up3rs3cr3t-4711", "AAAAC3NzaC1lZDI1NTE5AAAAIPrivate4711", "correct-horse-4711"
OEM, CODE, GRUB, STORAGE = "ServiceTag ZQ4711X", "stage1-secret-4711", "password_pbkdf2 root 4711", "nfs.acme.internal"
BUILDER = "builder@forge.acme.internal"
SECRETS = (TOKEN, KEY, PASSPHRASE, OEM, CODE, GRUB, STORAGE, BUILDER)
ESP_FILES = {
    "/EFI/debian/GRUB.CFG": GRUB.encode(),
    "/EFI/debian/GRUBX64.EFI": b"MZ",
    f"/{MACHINE}/6.1/linux": b"MZ",
    f"/EFI/Linux/{MACHINE}-6.1.efi": b"MZ",
    "/EFI/debian/BOOTX64.CSV": csv("grubx64.efi,debian,,This is the boot entry for debian"),
}


def host() -> FakeHost:
    """Its doors."""
    return FakeHost.of(machine())


def machine() -> Machine:
    """The machine: a server whose devices all answer, and what its owner would not tell."""
    built = equipped.machine()
    variables, tpm, drivers, answers = built.variables, built.tpm, dict(built.drivers), dict(built.drives)
    parts.add_smbios(built, table(), firmware.ENTRY_POINT)
    parts.put(built, files())
    add_disks(built)
    made = parts.finished(built)
    networked(made)
    made.variables = {**(variables or {}), "Boot0007": entry(made)}
    made.tpm, made.drivers = tpm, {asked: told.replace(b"AGG1234 ", MODULE.encode()) for asked, told in drivers.items()}
    made.bmc = bmc()
    made.drives = answers | drives()
    return made


def table() -> bytes:
    """SMBIOS: a board's serial, and what a maker keeps in structures of its own."""
    board = Fields(2, 0x0F).text(0x07, BOARD).text(0x08, TAG)
    return firmware.table(
        firmware.firmware("Dell Inc.", "1.5.5", "02/22/2022"),
        firmware.product("Dell Inc.", "PowerEdge R650", BOARD, PRODUCT_UUID),
        board,
        firmware.chassis(BOARD, TAG),
        Fields(11, 5).text(0x04, OEM),
        Fields(221, 8).text(0x04, OEM),
    )


def files() -> dict[str, str | bytes | LinkTo]:
    """What is on the machine: some is the kernel's, some is the owner's."""
    return {
        "/proc/sys/kernel/hostname": HOSTNAME,
        "/proc/cmdline": f"console=ttyS0 root=UUID={FILESYSTEM} bms.token={TOKEN} ip={ADDRESS}::{GATEWAY}:::eno1:off"
        f' root=iscsi:chap:{PASSPHRASE}@{PORTAL}::3260::iqn.2001-05.{TARGET} x="a {KEY}"',
        "/proc/version": f"Linux version 6.1.0 ({BUILDER}) (gcc 12) #1 SMP",
        "/proc/self/mountinfo": "25 1 254:0 / / rw - ext4 /dev/mapper/vg-root rw\n"
        f"26 25 0:9 / /srv rw - nfs4 {STORAGE}:/x rw",
        "/root/.ssh/authorized_keys": f"ssh-ed25519 {KEY} root@{HOSTNAME}",
        "/etc/bms-agent/agent.toml": f'token = "{TOKEN}"',
        "/etc/hostname": HOSTNAME,
        "/var/lib/bms-agent/identity.json": json.dumps({"token": TOKEN}),
    }


def add_disks(built: Machine) -> None:
    """A SATA disk with an MBR, of many names; and names for the others."""
    at = "pci0000:00/0000:00:17.0/ata1/host9/target9:0:0/9:0:0:0"
    path = f"ip-{PORTAL}:3260-iscsi-iqn.2001-05.{TARGET}-lun-0"
    told = {
        "ID_SERIAL": f"ACME_{SATA}", "ID_SERIAL_SHORT": SATA, "ID_WWN": f"0x{SATA_WWN}", "ID_PART_TABLE_TYPE": "dos",
        "ID_PART_TABLE_UUID": MBR, "DEVLINKS": f"/dev/disk/by-id/ata-ACME_{SATA} /dev/disk/by-id/wwn-0x{SATA_WWN} "
        f"/dev/disk/by-path/{path}", "ID_PATH": path, "ID_PATH_TAG": re.sub(r"[^\w-]", "_", path),
    }  # fmt: skip
    parts.add_block(built, "sdz", at, 8 * 10**9, rotational=True, udev=told, files={"model": "ACME"})
    parts.add_partition(
        built, "sdz", 1, {"ID_FS_TYPE": "ext4", "ID_FS_UUID": FILESYSTEM, "ID_PART_ENTRY_UUID": f"{MBR}-01"}
    )
    member = {"ID_FS_TYPE": "linux_raid_member", "ID_FS_LABEL": f"{ARRAY_HOST}:0", "ID_FS_LABEL_ENC": f"{ARRAY_HOST}:0"}
    parts.add_partition(built, "sdz", 2, member)
    parts.tell(built, "dm-0", {"DM_VG_NAME": f"{VOLUME_HOST}-vg", "DM_LV_NAME": "root"})
    sas = built.record.udev["sdb"] | {"ID_SERIAL_SHORT": WWN, "ID_SCSI_SERIAL": SAS, "ID_WWN": f"0x{WWN}"}
    parts.tell(built, "sdb", sas)
    nvme = built.tree.resolve("/sys/block/nvme0n1")
    parts.put(built, {f"{nvme}/wwid": f"eui.{NGUID}", f"{nvme}/device/serial": f"{NVME}      "})


def networked(made: Machine) -> None:
    """Addresses, and a MAC."""
    link = made.links["eno1"]
    addresses = (ip_interface(f"{ADDRESS}/16"), ip_interface(f"{ADDRESS_V6}/64"))
    link = link.model_copy(update={"mac": MAC, "permanent_mac": MAC, "addresses": addresses, "config": None})
    route = Route(destination=DEFAULT_V4, link="eno1", gateway=ip_address(GATEWAY))
    made.links["eno1"], made.routes[route.key] = link, route
    head = bytearray(head_with(SmallFat(ESP_FILES).image, name=f"{HOSTNAME}-esp"))
    head[: len(CODE)] = CODE.encode()
    made.disk("/dev/nvme0n1").write(0, bytes(head))  # type: ignore[union-attr]
    mbr = bytearray(512)
    mbr[:20], mbr[440:444] = CODE.encode().ljust(20), bytes.fromhex(MBR)[::-1]
    mbr[446:462], mbr[510:] = bytes([0x80, 0, 0, 0, 0x83, 0, 0, 0, 0, 8, 0, 0, 0, 8, 0, 0]), b"\x55\xaa"
    made.disk("/dev/sdz").write(0, bytes(mbr) + CODE.encode())  # type: ignore[union-attr]


def entry(made: Machine) -> bytes:
    """A boot entry: its label names a MAC, its path a partition, its data is a command line."""
    disk = made.disk("/dev/nvme0n1")
    assert disk is not None
    (partition,) = partitions(disk.read(0, 4 << 20), 512)
    path = path_to(partition, f"\\EFI\\Linux\\{MACHINE}-6.1.efi")
    assert path.endswith(END)
    label = f"UEFI PXEv4 (MAC:{MAC.replace(':', '').upper()})"
    data = f"root=UUID={FILESYSTEM} luks={PASSPHRASE}".encode("utf-16-le")
    return LoadOption(label=label, path=path, data=data).encode()


def bmc() -> dict[bytes, bytes]:
    """Its addresses, on channel 1."""
    parameter = {3: ip_address(BMC_ADDRESS).packed, 5: bytes.fromhex(BMC_MAC.replace(":", ""))}
    device = {bytes([6, 1]): b"\0\x20\x01\x04\x10\x02"}
    return device | {bytes([0x0C, 2, 1, number, 0, 0]): b"\0\x11" + told for number, told in parameter.items()}


def drives() -> dict[tuple[str, str], bytes]:
    """What disks answer: names in ASCII, the wrong way round, and in binary."""
    controller = bytearray(4096)
    controller[4:24], controller[24:64] = NVME.encode().ljust(20), b"ACME NVMe".ljust(40)
    controller[768:1024] = f"nqn.2019-10.com.acme:{NVME}".encode().ljust(256, b"\0")
    controller[3100 : 3100 + len(OEM)] = OEM.encode()
    space = bytearray(4096)
    space[:8], space[128:132] = (10**6).to_bytes(8, "little"), bytes([0, 0, 9, 0])
    space[104:120], space[120:128] = bytes.fromhex(NGUID), bytes.fromhex(EUI)
    identity = bytearray(512)
    identity[20:40], identity[216:224] = swapped(SATA.encode().ljust(20)), swapped(bytes.fromhex(SATA_WWN))
    identity[510] = 0xA5
    identity[511] = -sum(identity) & 0xFF
    return {
        ("/dev/nvme0n1", "identify 1 0"): bytes(controller),
        ("/dev/nvme0n1", "identify 0 1"): bytes(space),
        ("/dev/sdz", "ata"): bytes(identity),
    }


def swapped(raw: bytes) -> bytes:
    """Words with their bytes the wrong way round, as ATA has texts."""
    return bytes(raw[at ^ 1] for at in range(len(raw) & ~1))


def ways(identity: str) -> set[bytes]:
    """How it may be written, in lower case: as it is, in hexadecimal, in UTF-16, in binary, without its signs."""
    plain = identity.lower()
    bare = re.sub(r"[:-]", "", plain)
    found = {plain.encode(), plain.encode().hex().encode(), plain.encode("utf-16-le")}
    found |= {bare.encode()} if re.fullmatch(r"[0-9a-f]{12,32}", bare) else set()
    if re.fullmatch(r"[0-9a-f]{8}|[0-9a-f]{12}|[0-9a-f]{16}|[0-9a-f]{32}", bare):
        found |= {bytes.fromhex(bare), bytes.fromhex(bare)[::-1]}
    if re.fullmatch(r"[0-9a-f-]{36}", plain):
        found.add(UUID(plain).bytes_le)
    with suppress(ValueError):
        found.add(ip_address(plain).packed)
    return {one.lower() for one in found}


def searchable(files: dict[str, bytes]) -> bytes:
    """All that a recording says, in lower case: as text, and what is in hexadecimal also as bytes, either way round."""
    told = b"\n".join(files.values())
    blocks = re.findall(rb"0x\n((?:\t.*\n)+)", told)
    plain = b"\n".join(b"".join(map(line_bytes, block.split())) for block in blocks)
    return b"\n".join((told, plain, swapped(plain), swapped(b"\0" + plain))).lower()


def line_bytes(line: bytes) -> bytes:
    """A line of hexadecimal; zeroes say nothing."""
    return b"\0" if line.startswith(b"0*") else bytes.fromhex(line.decode())


def small() -> Machine:
    """A machine of a few files, a disk, a link and an answer of each kind: for tests that read it many times."""
    built = parts.machine("synthetic: small", cpuinfo="processor\t: 0\n", counts=Counts())
    parts.add_block(built, "sda", "pci0000:00/0000:00:17.0/ata1/host1/target1:0:0/1:0:0:0", 10**7, udev={})
    card = parts.Card("0x15b3", "0x1015", "mlx5_core")
    parts.add_nic(built, "eno1", "0000:01:00.0", MAC, card, speed=1000, address=f"{ADDRESS}/16", gateway=GATEWAY)
    made = parts.finished(built)
    made.variables, made.bmc, made.tpm = {"SecureBoot": b"\1"}, bmc(), {}
    made.drives["/dev/sda", "ata"] = drives()["/dev/sdz", "ata"]
    return made
