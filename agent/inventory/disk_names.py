# SPDX-License-Identifier: Apache-2.0
"""Who a disk is: serial, WWN, model, and where it hangs. Each kind of disk keeps its names in another place.

In: sysfs and udev's properties. Out: facts; a name that tells no disk from another counts as absent.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from agent.host.doors import Files
from agent.inventory.fact import attempt, content, first, first_asked, of, said, text
from agent.model.disk import Aliases
from agent.model.fact import Fact, Unknown

Properties = Mapping[str, str]
Told = Properties | Unknown

# A part of the sysfs path, and the transport that it betrays; the first that is found wins.
TRANSPORTS = (
    (re.compile(r"/usb\d+/"), "usb"),
    (re.compile(r"/nvme"), "nvme"),
    (re.compile(r"/session\d+/"), "iscsi"),
    (re.compile(r"/rport-"), "fc"),
    (re.compile(r"/end_device-"), "sas"),
    (re.compile(r"/ata\d+/"), "sata"),
    (re.compile(r"/mmc_host/"), "mmc"),
    (re.compile(r"/host\d+/"), "scsi"),
    (re.compile(r"/virtio\d+/"), "virtio"),
)
CONTROLLER = re.compile(r"nvme\d+")
OWN_BUSES = ("pcie", "apple-nvme")
HCTL = re.compile(r"\d+:\d+:\d+:\d+")
SERIALS = ("SCSI_IDENT_SERIAL", "ID_SCSI_SERIAL", "ID_SERIAL_SHORT", "ID_SERIAL")  # lsblk's order, util-linux
UNIT_SERIAL = "device/vpd_pg80"


def transport(path: str) -> str | None:
    """How the disk is attached, from its path below /sys/devices."""
    return next((word for pattern, word in TRANSPORTS if pattern.search(f"{path}/")), None)


def attached(files: Files, at: str) -> str | None:
    """The same; of NVMe, its controllers say by what they are reached, of which one that is far away is enough. Raises
    `HostError`.
    """
    word = transport(files.resolve(at))
    if word != "nvme":
        return word
    told = [said.strip() for one in controllers(files, at) if (said := content(files, f"{one}/transport")) is not None]
    return next((f"{word}-{one}" for one in told if one not in OWN_BUSES), word)


def controllers(files: Files, at: str) -> list[str]:
    """Of NVMe: the disk's device is its controller, or the subsystem of several (Linux, nvme/host/multipath.c). Raises
    `HostError`.
    """
    device = files.resolve(f"{at}/device")
    if CONTROLLER.fullmatch(device.rpartition("/")[2]):
        return [device]
    return [f"{device}/{name}" for name in files.names(device) if CONTROLLER.fullmatch(name)] or [device]


def hctl(device: str) -> str | None:
    """SCSI host:channel:target:lun: the name of a SCSI disk's device."""
    name = device.rpartition("/")[2]
    return name if HCTL.fullmatch(name) else None


def by_path(told: Told) -> Fact[str]:
    """The link by which the disk is found as long as it stays in its slot."""
    return of(told, lambda properties: next(iter(by_paths(properties)), None))


def by_paths(properties: Properties) -> tuple[str, ...]:
    """All such links: a SATA disk has two (`…-ata-1`, `…-ata-1.0`)."""
    return tuple(
        sorted(each for each in properties.get("DEVLINKS", "").split() if each.startswith("/dev/disk/by-path/"))
    )


def vendor(files: Files, at: str) -> Fact[str]:
    """The maker. `ATA` is no maker: SAT says it of every SATA disk (T10/SAT, INQUIRY)."""
    return of(text(files, f"{at}/device/vendor"), lambda found: None if found == "ATA" else found)


def model(files: Files, at: str, told: Told) -> Fact[str]:
    """The model; udev has it in full, while SCSI's field in sysfs ends after 16 letters."""
    from_udev = of(told, lambda properties: said(unescaped(properties.get("ID_MODEL_ENC", ""))))
    return first_asked(lambda: from_udev, lambda: text(files, f"{at}/device/model"))


def serial(files: Files, at: str, told: Told) -> Fact[str]:
    """What is printed on the drive: NVMe and virtio have it in sysfs, SCSI and SATA in udev or VPD page 0x80."""
    keys = ("ID_SCSI_SERIAL", "ID_SERIAL_SHORT")  # SAS drives have their WWN in the second
    return first_asked(
        lambda: text(files, f"{at}/device/serial"),
        lambda: text(files, f"{at}/serial"),
        lambda: first(*(of(told, said_under(key)) for key in keys)),
        lambda: attempt(lambda: unit_serial(files, f"{at}/{UNIT_SERIAL}")),
    )


def unit_serial(files: Files, path: str) -> str | None:
    """VPD page 0x80 (SPC-4, 7.8.14): four bytes of header, the last two the length, then the serial."""
    if not files.exists(path):
        return None
    page = files.read_bytes(path)
    return said(page[4 : 4 + int.from_bytes(page[2:4])].decode("ascii", errors="replace"))


def wwn(files: Files, at: str, told: Told) -> Fact[str]:
    """The name that no other disk in the world has: with udev's extension for SCSI, `wwid` for NVMe."""
    keys = ("ID_WWN_WITH_EXTENSION", "ID_WWN")
    return first(
        of(text(files, f"{at}/wwid"), world_wide),
        *(of(of(told, said_under(key)), world_wide) for key in keys),
    )


def aliases(told: Told) -> Aliases:
    """Every name that udev has for the disk. Where udev says nothing there are none."""
    if isinstance(told, Unknown):
        return Aliases()
    return Aliases(
        serials=each_once(told, SERIALS),
        wwns=each_once(told, ("ID_WWN_WITH_EXTENSION", "ID_WWN")),
        by_paths=by_paths(told),
    )


def each_once(properties: Properties, keys: tuple[str, ...]) -> tuple[str, ...]:
    """What is said under the keys, in their order."""
    return tuple(dict.fromkeys(value for key in keys if (value := said(properties.get(key)))))


def said_under(key: str) -> Callable[[Properties], str | None]:
    """The question for one property of udev's."""
    return lambda properties: said(properties.get(key))


def world_wide(name: str) -> str | None:
    """In lower case. A name of zeroes is no name: firmware writes it where it has none."""
    lower = name.strip().lower()
    digits = re.sub(r"^(0x|eui\.|nvme\.|uuid\.)", "", lower)
    return lower if re.search(r"[1-9a-f]", digits) else None


def unescaped(text: str) -> str:
    """udev writes unsafe bytes as \\x20 (systemd, `encode_devnode_name`)."""
    raw = re.sub(rb"\\x([0-9a-f]{2})", lambda match: bytes.fromhex(match[1].decode()), text.encode())
    return raw.decode("utf-8", errors="replace")
