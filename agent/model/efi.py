# SPDX-License-Identifier: Apache-2.0
"""UEFI boot entries, bytes ↔ values: load options and BootOrder (UEFI 2.10, section 3.1.3), and the device paths of
partitions and files (section 10.3.5). Pure; whatever the bytes are, the answer is a value or `DecodeError`.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from typing import NamedTuple
from uuid import UUID

from agent.errors import DecodeError
from agent.model.frozen import Frozen

ACTIVE = 0x00000001
LOAD_OPTION = struct.Struct("<IH")
NODE = struct.Struct("<BBH")
HARD_DRIVE = struct.Struct("<IQQ16sBB")
MEDIA, HD, FILE = 4, 1, 4
END = b"\x7f\xff\x04\x00"
MBR_KIND, GPT_KIND = 1, 2
"""Both the table's kind and its signature's: an MBR with a 32-bit number, a GPT with a GUID."""
DOING = "reading a boot entry"


class LoadOption(Frozen):
    """A `Boot####` variable: what the firmware's menu calls it, where it leads to, what is handed to it."""

    attributes: int = ACTIVE
    label: str
    path: bytes
    data: bytes = b""

    def encode(self) -> bytes:
        """As it is kept."""
        label = self.label.encode("utf-16-le") + b"\0\0"
        return LOAD_OPTION.pack(self.attributes, len(self.path)) + label + self.path + self.data

    @property
    def is_active(self) -> bool:
        """Whether the firmware tries it at all."""
        return bool(self.attributes & ACTIVE)


class BootEntry(Frozen):
    """A load option and its number. `raw` is the variable, byte for byte."""

    number: int
    option: LoadOption
    raw: bytes

    @property
    def name(self) -> str:
        """Of its variable."""
        return f"Boot{self.number:04X}"

    def __str__(self) -> str:
        return f"{self.name} '{self.option.label}' ({shown(self.option.path)})"


class FirmwareBoot(Frozen):
    """The boot entries as the firmware has them, and whose programs it starts (x86_64, aarch64 …). A number is `taken`
    also where nobody can read what it stands for.
    """

    architecture: str
    entries: tuple[BootEntry, ...] = ()
    taken: frozenset[int] = frozenset()
    order: tuple[int, ...] = ()


class Node(NamedTuple):
    """One node of a device path."""

    kind: int
    subkind: int
    body: bytes


class PartitionPath(NamedTuple):
    """A HD() node. `signature` is the partition's GUID, or the number of the MBR in its first four bytes."""

    number: int
    first_lba: int
    sectors: int
    signature: bytes
    table: int

    def encode(self) -> bytes:
        """As a node."""
        body = HARD_DRIVE.pack(self.number, self.first_lba, self.sectors, self.signature, self.table, self.table)
        return NODE.pack(MEDIA, HD, NODE.size + len(body)) + body

    @property
    def guid(self) -> str:
        """Of a partition of a GPT, as udev writes it."""
        return str(UUID(bytes_le=self.signature))

    def __str__(self) -> str:
        """As efibootmgr writes it."""
        table, name = "GPT", self.guid
        if self.table == MBR_KIND:
            table, name = "MBR", f"0x{int.from_bytes(self.signature[:4], 'little'):08x}"
        return f"HD({self.number},{table},{name},0x{self.first_lba:x},0x{self.sectors:x})"


class SystemPartition(Frozen):
    """An EFI system partition, and what on it has to do with booting: every program below /EFI/*/, and every list of
    some, by which shim's fallback makes entries.
    """

    partition: PartitionPath
    uuids: tuple[str, ...]
    programs: tuple[str, ...] = ()
    lists: tuple[tuple[str, bytes], ...] = ()
    unreadable: str | None = None

    def __str__(self) -> str:
        return f"partition {self.partition.number} ({', '.join(self.uuids)})"


def decode_option(raw: bytes) -> LoadOption:
    """A load option. Raises `DecodeError`."""
    if len(raw) < LOAD_OPTION.size:
        raise DecodeError(DOING, f"{len(raw)} bytes are none")
    attributes, length = LOAD_OPTION.unpack_from(raw)
    end = terminator(raw, LOAD_OPTION.size)
    path = raw[end + 2 : end + 2 + length]
    if len(path) != length:
        raise DecodeError(DOING, f"its path has {len(path)} bytes of {length}")
    return LoadOption(
        attributes=attributes, label=text(raw[LOAD_OPTION.size : end]), path=path, data=raw[end + 2 + length :]
    )


def terminator(raw: bytes, start: int) -> int:
    """Where a text of 16-bit letters ends. Raises `DecodeError`."""
    for at in range(start, len(raw) - 1, 2):
        if raw[at : at + 2] == b"\0\0":
            return at
    raise DecodeError(DOING, "its label has no end")


def text(raw: bytes) -> str:
    """UCS-2, in which half a pair is a letter too. What is none is shown as a replacement."""
    return raw.decode("utf-16-le", errors="replace")


def decode_order(raw: bytes) -> tuple[int, ...]:
    """BootOrder, or BootCurrent, which has one number. Raises `DecodeError`."""
    if len(raw) % 2:
        raise DecodeError("reading the boot order", f"{len(raw)} bytes are no list of 16-bit numbers")
    return struct.unpack(f"<{len(raw) // 2}H", raw)


def encode_order(numbers: tuple[int, ...]) -> bytes:
    """As it is kept."""
    return struct.pack(f"<{len(numbers)}H", *numbers)


def nodes(path: bytes) -> Iterator[Node]:
    """The nodes up to the first end. Raises `DecodeError`."""
    at = 0
    while path[at : at + len(END)] != END:
        if at + NODE.size > len(path):
            raise DecodeError(DOING, "its path has no end")
        kind, subkind, length = NODE.unpack_from(path, at)
        if length < NODE.size or at + length > len(path):
            raise DecodeError(DOING, f"its path has a node of {length} bytes at byte {at} of {len(path)}")
        yield Node(kind, subkind, path[at + NODE.size : at + length])
        at += length


def partition_of(node: Node) -> PartitionPath | None:
    """The partition that a node names; `None` if it names something else."""
    if (node.kind, node.subkind, len(node.body)) != (MEDIA, HD, HARD_DRIVE.size):
        return None
    number, first, sectors, signature, table, signed = HARD_DRIVE.unpack(node.body)
    if table != signed or table not in (MBR_KIND, GPT_KIND):
        return None
    return PartitionPath(number, first, sectors, signature, table)


def file_of(node: Node) -> str | None:
    """The file that a node names, such as \\EFI\\BOOT\\BOOTX64.EFI; `None` if it names something else."""
    if (node.kind, node.subkind) != (MEDIA, FILE):
        return None
    return text(node.body[: len(node.body) // 2 * 2]).partition("\0")[0]


def path_to(partition: PartitionPath, file: str) -> bytes:
    """The short form: the firmware looks for the partition on every disk (UEFI 2.10, section 3.1.2)."""
    name = file.encode("utf-16-le") + b"\0\0"
    return partition.encode() + NODE.pack(MEDIA, FILE, NODE.size + len(name)) + name + END


def leads_to(option: LoadOption, partition: PartitionPath, file: str) -> bool:
    """Whether a load option is for this file on this partition, whatever it is called."""
    try:
        found = list(nodes(option.path))
    except DecodeError:
        return False
    match found:
        case [disk, loader]:
            return partition_of(disk) == partition and (file_of(loader) or "").lower() == file.lower()
    return False


def leads_into(option: LoadOption) -> PartitionPath | None:
    """The partition of a load option that names nothing but a partition and a file; `None` for any other."""
    try:
        found = list(nodes(option.path))
    except DecodeError:
        return None
    match found:
        case [disk, loader] if file_of(loader) is not None:
            return partition_of(disk)
    return None


def shown(path: bytes) -> str:
    """A path as text, partitions and files as efibootmgr writes them, and what else there is by its numbers."""
    try:
        return "/".join(shown_node(node) for node in nodes(path))
    except DecodeError as error:
        return f"unreadable: {error.evidence}"


def shown_node(node: Node) -> str:
    """One node; those that lead to network cards and drives have their names, for people and for patterns."""
    partition, file = partition_of(node), file_of(node)
    if partition is not None:
        return str(partition)
    if file is not None:
        return f"File({file})"
    special = SPECIAL.get((node.kind, node.subkind, len(node.body)))
    if special is not None:
        return special(node.body)
    name = NAMES.get((node.kind, node.subkind), f"Path({node.kind},{node.subkind})")
    return f"{name}({node.body.hex()})"


def pci_root(body: bytes) -> str:
    """PNP0A03 is one; other devices of ACPI have no short name."""
    hid, uid = struct.unpack("<II", body)
    return f"PciRoot(0x{uid:x})" if hid == PNP0A03 else f"Acpi(0x{hid:08x},0x{uid:x})"


PNP0A03 = 0x0A0341D0
SPECIAL: dict[tuple[int, int, int], Callable[[bytes], str]] = {
    (1, 1, 2): lambda body: f"Pci(0x{body[1]:x},0x{body[0]:x})",
    (2, 1, 8): pci_root,
    (3, 11, 33): lambda body: f"MAC({body[:6].hex()},{body[32]})",
}
"""By kind, subkind and length."""
NAMES = {
    (1, 1): "Pci",
    (1, 4): "VenHw",
    (2, 1): "Acpi",
    (3, 2): "Scsi",
    (3, 5): "UsbClass",
    (3, 10): "VenMsg",
    (3, 11): "MAC",
    (3, 12): "IPv4",
    (3, 13): "IPv6",
    (3, 18): "Sata",
    (3, 23): "NVMe",
    (3, 24): "Uri",
    (4, 2): "CDROM",
    (4, 6): "FvFile",
    (4, 7): "FvVol",
    (5, 1): "BBS",
}
