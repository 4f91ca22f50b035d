# SPDX-License-Identifier: Apache-2.0
"""Texts that are rewritten: shadow, fstab, hosts, iSCSI's name; and the boot loader's second home. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from agent.model.generalise import EVERYTHING, Look, expanded, read_text

MARK = "# bms-agent: not on this image's disk: "
TAGS = ("UUID", "LABEL", "PARTUUID", "PARTLABEL")
BY_TAG = re.compile(r"/dev/disk/by-(uuid|label|partuuid|partlabel)/(.*)")
OF_THIS_MACHINE = re.compile(
    r"/dev/(disk/by-(id|path)/|[shv]d[a-z]|xvd[a-z]|nvme\d|mmcblk\d|md|dm-|mapper/|[^/]+/[^/]+)"
)
NEEDED = ("/", "/boot", "/boot/efi", "/efi", "/usr", "/var")
LARGEST_LOADER_BYTES = 16 * 1024 * 1024
ESPS = ("/boot/efi", "/efi", "/boot")
LOADERS = {"x64": "BOOTX64.EFI", "aa64": "BOOTAA64.EFI"}


def root_locked(look: Look, own: frozenset[str]) -> Iterator[tuple[str, bytes]]:
    """Nobody comes in with the old server's root password."""
    lines = read_text(look, "/etc/shadow").split("\n")
    new = [locked(line) if line.startswith("root:") else line for line in lines]
    if new != lines:
        yield "/etc/shadow", encoded("\n".join(new))


def locked(line: str) -> str:
    """A line of shadow(5) with a password that nothing matches; one that is locked stays."""
    name, password, *rest = [*line.split(":"), ""][: max(line.count(":") + 1, 2)]
    return line if password.startswith(("!", "*")) else ":".join([name, "!!", *rest])


def own_mounts(look: Look, own: frozenset[str]) -> Iterator[tuple[str, bytes]]:
    """fstab without the filesystems of other disks: a boot would wait for them, and stop."""
    lines = read_text(look, "/etc/fstab").split("\n")
    new = [MARK + line if is_elsewhere(line, own) else line for line in lines]
    if new != lines:
        yield "/etc/fstab", encoded("\n".join(new))


def is_elsewhere(line: str, own: frozenset[str]) -> bool:
    """Whether a line of fstab(5) names a block device that is not the image's. One by a kernel's or a mapper's name
    could be either: it is believed where the system cannot do without, and for swap.
    """
    words = line.split()
    if len(words) < 2 or words[0].startswith("#") or EVERYTHING in own:
        return False
    tag = tag_of(words[0])
    if tag is not None:
        return tag not in own
    is_needed = words[1].rstrip("/") in [place.rstrip("/") for place in NEEDED] or words[2:3] == ["swap"]
    return bool(OF_THIS_MACHINE.match(words[0])) and not is_needed


def tag_of(spec: str) -> str | None:
    """`UUID=…` and its like, in one spelling; `None` for a path or a network's name."""
    if match := BY_TAG.fullmatch(spec):
        return spelled(match.group(1).upper(), match.group(2))
    name, sign, value = spec.partition("=")
    return spelled(name, value.strip("\"'")) if sign and name in TAGS else None


def spelled(tag: str, value: str) -> str:
    """Labels keep their case; numbers have none."""
    return f"{tag}={value if tag.endswith('LABEL') else value.lower()}"


def nameless_hosts(look: Look, own: frozenset[str]) -> Iterator[tuple[str, bytes]]:
    """hosts(5) without the old server's own name: Debian's 127.0.1.1, and what a first boot added."""
    name = read_text(look, "/etc/hostname").strip().partition(".")[0].lower()
    lines = read_text(look, "/etc/hosts").split("\n")
    new = [line for line in lines if not names_host(line, name)]
    if new != lines:
        yield "/etc/hosts", encoded("\n".join(new))


def names_host(line: str, name: str) -> bool:
    """Whether a line is about this host; the loopback's own lines are about any."""
    address, *names = line.partition("#")[0].split() or [""]
    if address == "127.0.1.1":
        return True
    is_named = any(each.lower().partition(".")[0] == name for each in names)
    return bool(name) and name != "localhost" and is_named and address not in ("127.0.0.1", "::1")


def new_initiator(look: Look, own: frozenset[str]) -> Iterator[tuple[str, bytes]]:
    """open-iscsi of Debian makes a name where it is told to; elsewhere the file is removed, and made by a unit."""
    path = "/etc/iscsi/initiatorname.iscsi"
    if look.kind(path) == "file" and look.kind("/usr/lib/open-iscsi/startup-checks.sh") is not None:
        yield path, b"GenerateName=yes\n"


def fallback_loader(look: Look, own: frozenset[str]) -> Iterable[tuple[str, bytes]]:
    """Firmware that has no entry for this disk starts EFI/BOOT/BOOT….EFI alone (UEFI 2.10, section 3.5.1.1): a system
    that was installed for one server's entries gets a copy there.
    """
    for esp in ESPS:
        folder = child(look, esp, "EFI")
        boot = child(look, folder, "BOOT") or f"{folder}/BOOT"
        for machine, fallback in LOADERS.items():
            if folder and child(look, boot, fallback) is None:
                yield from loaders(look, folder, boot, machine, fallback)


def loaders(look: Look, folder: str, boot: str, machine: str, fallback: str) -> Iterator[tuple[str, bytes]]:
    """Copies of the first vendor's loader: the shim with what it starts, or else GRUB."""
    for vendor in expanded(look, f"{folder}/*"):
        shim, grub, keys = (child(look, vendor, f"{name}{machine}.efi") for name in ("shim", "grub", "mm"))
        first = shim or grub
        if vendor != boot and first:
            yield f"{boot}/{fallback}", look.read(first, LARGEST_LOADER_BYTES)
            for beside in (grub, keys) if shim else ():
                if beside:
                    yield f"{boot}/{beside.rpartition('/')[2]}", look.read(beside, LARGEST_LOADER_BYTES)
            return


def child(look: Look, directory: str | None, name: str) -> str | None:
    """What a directory holds under a name, whatever its case (vfat)."""
    if not directory:
        return None
    return next((f"{directory}/{each}" for each in look.names(directory) if each.lower() == name.lower()), None)


def encoded(text: str) -> bytes:
    """As it was read."""
    return text.encode("utf-8", errors="surrogateescape")
