# SPDX-License-Identifier: Apache-2.0
"""A recorded machine without its identity: serials, WWNs, MACs, addresses, UUIDs and names of hosts are other ones.

    what is known by where it stands ─┐
    what is known by its look ────────┴─► names ─► every text and every answer

Pure but for the key, which is passed in. In: a machine as it was recorded. Out: another, of the same shape, that can
be shown to anybody; an inventory of it differs from the original's in names alone.
"""

from __future__ import annotations

import re
from ipaddress import ip_network
from json import dumps, loads
from typing import Any

from agent.host.fake import LinkTo, Machine, Record, Tree, Unreadable
from agent.host.fake.tree import Entry, render
from agent.host.smbios import ENTRY_POINT, TABLES, version
from agent.inventory.scrub.devices import bmc, drive, driver, serials, tpm, variable
from agent.inventory.scrub.firmware import learn_table, scrubbed_table
from agent.inventory.scrub.pseudonym import NAA_OUI, OUI, Pseudonyms
from agent.inventory.scrub.sectors import scrubbed_pieces
from agent.model.frozen import decode
from agent.model.gpt import TYPES

CMDLINE, MOUNTS, HOSTNAME = "/proc/cmdline", "/proc/self/mountinfo", "/proc/sys/kernel/hostname"
VERSION, BUILDER = "/proc/version", re.compile(r"\([^()]*\)")
"""Who built the kernel, and where, is the first that it has in parentheses (init/version-timestamp.c)."""
SERIAL_FILES = frozenset({"serial", "asset_tag", "phys_port_id", "phys_switch_id", "unique_id"})
SERIAL_KEYS = ("ID_SERIAL_SHORT", "ID_SCSI_SERIAL", "SCSI_IDENT_SERIAL", "ID_FS_UUID", "ID_FS_UUID_SUB", "MD_UUID",
               "ID_PART_TABLE_UUID")  # fmt: skip
WWN_KEYS = ("ID_WWN", "ID_WWN_WITH_EXTENSION", "SCSI_IDENT_LUN_NAA_REG", "SCSI_IDENT_LUN_NAA_REGEXT",
            "SCSI_IDENT_LUN_EUI64")  # fmt: skip
SAME_EVERYWHERE = frozenset({"localhost", "ramdisk", "debian", "ubuntu", "(none)"})
KEPT_WORDS = frozenset({"console", "rootfstype", "iommu", "intel_iommu", "amd_iommu", "mitigations"})
"""Words of the kernel's command line whose values say nothing of whose machine it is."""
PLACE = re.compile(r"(?:root|init)=(?:/|(?:PART)?(?:UUID|LABEL)=)[^\s\"]*")
"""On this machine: a root that is elsewhere is named with servers, and what is told them (dracut.cmdline(7))."""
CMDLINE_WORD = re.compile(r'(?:"[^"]*(?:"|\Z)|[^\s"])+')
"""As the kernel parts them (lib/cmdline.c, next_arg): blanks between quotes are no end, and the last may stay open."""
DEVICE_MOUNT = re.compile(r" - \S+ (/dev/\S+|rootfs|none|tmpfs|overlay) ")
WORD = re.compile(r"[a-z_]+")
CALLED = ("ID_FS_LABEL", "ID_PART_ENTRY_NAME", "MD_", "DM_")
"""Where a plain word may be a name that people gave."""
LONG_NAME, EUI64_DIGITS = 16, 16
NAA = re.compile(r"(?:naa\.|0x)?([0-9a-f]{16}(?:[0-9a-f]{16})?)", re.IGNORECASE)
EUI = re.compile(r"eui\.([0-9a-f]{16}(?:[0-9a-f]{16})?)", re.IGNORECASE)
NETWORK = ("links", "routes", "leased_routes", "rules")
"""What has addresses: in other texts four numbers with dots are a version."""


def scrubbed(machine: Machine, key: bytes) -> tuple[Machine, int]:
    """The machine under other names, and how many names those are. The key is new for each recording."""
    names = learnt(machine, key)
    tree = scrubbed_tree(names, machine.tree)
    new = Machine.of(tree, scrubbed_record(names, machine))
    new.variables = machine.variables and {name: variable(names, name, raw) for name, raw in machine.variables.items()}
    new.bmc = machine.bmc and {asked: bmc(names, asked, told) for asked, told in machine.bmc.items()}
    new.tpm = machine.tpm and tpm(machine.tpm)
    new.drives = {(node, asked): drive(names, asked, told) for (node, asked), told in machine.drives.items()}
    new.drivers = {(names.path(link), asked): driver(names, asked, told)
                   for (link, asked), told in machine.drivers.items()}  # fmt: skip
    for node, pieces in machine.pieces.items():
        if (disk := machine.disk(node)) is not None:
            new.pieces[node] = scrubbed_pieces(names, pieces, disk.size_bytes, disk.logical_sector_bytes)
    return new, names.count


def learnt(machine: Machine, key: bytes) -> Pseudonyms:
    """Every identity of a machine: what is known by where it stands, then what is known by its look."""
    devices = machine.record.udev.values()
    kinds = {told.get("ID_PART_ENTRY_TYPE", "") for told in devices} | {str(kind) for kind in TYPES.values()}
    own = {*machine.links, *machine.record.udev}  # what the kernel, or udev, calls devices
    names = Pseudonyms(key, {name.lower() for name in kinds | own} | SAME_EVERYWHERE)
    for path, entry in machine.tree.entries.items():
        if isinstance(entry, bytes):
            learn_file(names, path, entry)
    for told in (*devices, *(one for found in machine.described.values() for one in found.values())):
        learn_device(names, told)
    for serial in serials(machine.drives, machine.drivers):
        names.learn(serial.strip("\0 "))
    for text in (render(machine.tree), machine.record.model_dump_json(), str(machine.described)):
        names.learn_shapes(text)
    return names


def learn_file(names: Pseudonyms, path: str, content: bytes) -> None:
    """A file of the kernel's that holds an identity."""
    name = path.rpartition("/")[2]
    text = content.decode("utf-8", errors="replace").strip()
    if path == TABLES:
        learn_table(names, content)
    elif path == HOSTNAME:
        for part in (text, *text.split(".", 1)):
            names.learn_host(part)
    elif name == "vpd_pg80":
        names.learn(content[4:].decode("ascii", errors="replace").strip("\0 "))
    elif name == "wwid":
        learn_wwn(names, text)
    elif path.endswith("/dm/uuid"):
        learn_mapped(names, text)
    elif name in SERIAL_FILES:
        names.learn(text)


def learn_device(names: Pseudonyms, told: dict[str, str]) -> None:
    """What udev knows a device by. PARTUUID of an MBR is the disk's number and the partition's."""
    for key in SERIAL_KEYS:
        names.learn(told.get(key, ""))
    if not any(told.get(key) for key in SERIAL_KEYS[:3]):
        names.learn(told.get("ID_SERIAL", ""))
    for key in WWN_KEYS:
        learn_wwn(names, told.get(key, ""))
    learn_mapped(names, told.get("DM_UUID", ""))
    array = told.get("ID_FS_LABEL", "") if told.get("ID_FS_TYPE") == "linux_raid_member" else ""
    for name, end in ((told.get("MD_NAME", ""), ":"), (array, ":"), (told.get("DM_VG_NAME", ""), "-vg")):
        host, found, _ = name.partition(end)  # mdadm, and installers, name these after the host
        names.learn_host(host if found else "")


def learn_mapped(names: Pseudonyms, text: str) -> None:
    """What a mapped device is called: behind who made it ("LVM-", "mpath-", "CRYPT-LUKS2-") there are long names."""
    for part in text.split("-"):
        if len(part) >= LONG_NAME:
            names.learn(part)


def learn_wwn(names: Pseudonyms, text: str) -> None:
    """By its kind; one that is of no kind is a name like any other."""
    if (found := EUI.fullmatch(text)) is not None:
        names.learn_hex(found[1], *((OUI,) if len(found[1]) == EUI64_DIGITS else ((), OUI)))
    elif (found := NAA.fullmatch(text)) is not None:
        names.learn_hex(found[1], NAA_OUI)
    elif text.startswith("t10."):
        names.learn(text.rpartition(" ")[2])
    elif not text.startswith("nvme."):
        names.learn(text)


def scrubbed_tree(names: Pseudonyms, tree: Tree) -> Tree:
    """Files, their names, and what links lead to."""
    new = Tree()
    spoken = tree.entries.get(ENTRY_POINT)
    for path, entry in tree.entries.items():
        told = entry
        if path == TABLES and isinstance(entry, bytes):
            told = scrubbed_table(names, entry, version(spoken if isinstance(spoken, bytes) else b""))
        new.put(names.path(path), told if path == TABLES else scrubbed_entry(names, path, told))
    for directory, inside in tree.directories.items():
        if not inside:
            new.make_directory(names.path(directory))
    return new


def scrubbed_entry(names: Pseudonyms, path: str, entry: Entry) -> Entry:
    """One file or link."""
    match entry:
        case LinkTo(target):
            return LinkTo(names.path(target))
        case Unreadable(reason):
            return Unreadable(names.text(reason))
        case bytes():
            text = entry.decode("utf-8", errors="replace")
            if path == CMDLINE:
                return names.text(plain_words(text)).encode()
            if path == MOUNTS:
                return names.text(device_mounts(text)).encode()
            return names.raw(BUILDER.sub("()", text, count=1).encode() if path == VERSION else entry)


def plain_words(cmdline: str) -> str:
    """Words of a command line that are no secret and nobody's address."""
    return " ".join(filter(is_plain, CMDLINE_WORD.findall(cmdline))) + "\n"


def is_plain(word: str) -> bool:
    """Whether it may be shown. What is between quotes is a text of somebody's."""
    name, equals, _ = word.partition("=")
    return '"' not in word and (not equals or name in KEPT_WORDS or PLACE.fullmatch(word) is not None)


def device_mounts(text: str) -> str:
    """Mounts of this machine's own devices: others tell whose servers it knows."""
    return "".join(f"{line}\n" for line in text.splitlines() if DEVICE_MOUNT.search(line))


def scrubbed_record(names: Pseudonyms, machine: Machine) -> Record:
    """What is no file."""
    record = machine.record.model_copy(update={"described": machine.described})
    told: dict[str, Any] = loads(record.model_dump_json())
    new = {part: renamed(names, value, part, has_addresses=part in NETWORK) for part, value in told.items()}
    return decode(Record, dumps(new), "writing a recording down")


def renamed(names: Pseudonyms, value: Any, key: str, *, has_addresses: bool) -> Any:
    """A part of it; keys are names of devices and properties, which stay, and so do words of ours and of udev's."""
    match value:
        case dict():
            return {
                names.path(name): renamed(names, part, name, has_addresses=has_addresses)
                for name, part in value.items()
            }
        case list():
            return [renamed(names, part, key, has_addresses=has_addresses) for part in value]
        case str() if WORD.fullmatch(value) and not key.startswith(CALLED):
            return value
        case str():
            return (address(names, value) if has_addresses else None) or names.text(value)
    return value


def address(names: Pseudonyms, text: str) -> str | None:
    """Another address, if it is one."""
    try:
        ip_network(text, strict=False)
    except ValueError:
        return None
    return names.address(text)
