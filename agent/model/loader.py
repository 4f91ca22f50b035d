# SPDX-License-Identifier: Apache-2.0
"""The boot loader that a root filesystem carries, and the files of an EFI system partition that starts it. Pure.

Distributions keep the loaders that their packages brought: shim and GRUB, signed, ready to be copied. Nothing of the
image is run. What GRUB reads first is written here: it finds root by its UUID, and goes on with the image's own menu;
where there is none, with its newest kernel. GRUB looks for that file in the folder that was built into it, which
stands in its bytes, and in the one it was started from.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

from agent.errors import InputError, NothingToBoot
from agent.model.generalise import Look, read_text
from agent.model.kernels import boot_entry

MOST_PROGRAM_BYTES = 32 * 1024 * 1024
MOST_FOLDERS = 32
MOST_PREFIXES = 4
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,31}")
PREFIX = re.compile(rb"/EFI/([A-Za-z0-9][A-Za-z0-9._-]{0,31})\0")
MENUS = ("/boot/grub/grub.cfg", "/boot/grub2/grub.cfg")
VENDORS = {"rhel": "redhat", "opensuse-leap": "opensuse", "opensuse-tumbleweed": "opensuse"}
"""Of os-release's ID, where the folder on the partition is called otherwise."""
WITHOUT = (
    "Install the distribution's shim and GRUB for UEFI in the image (Debian, Ubuntu: shim-signed and "
    "grub-efi-amd64-signed; others: shim and grub2-efi), or use a whole-disk image."
)


SYSTEMD_BOOT = "/usr/lib/systemd/boot/efi/systemd-boot"
SYSTEMD_ALONE = (
    "it carries systemd-boot, and neither shim nor GRUB for UEFI. systemd-boot starts kernels that lie on the EFI "
    "system partition beside it, never those in root: a copy that is made now would stay the kernel of a system that "
    "does not know where to put its next one"
)


@dataclass(frozen=True)
class Machine:
    """How an architecture is called: by firmware (UEFI 2.10, 3.5.1.1), by GRUB, in a program's header (PE/COFF)."""

    suffix: str
    grub: str
    share: str
    number: int


MACHINES = {
    "x86_64": Machine("x64", "x86_64-efi", "x86_64", 0x8664),
    "aarch64": Machine("aa64", "arm64-efi", "aarch64", 0xAA64),
    "i686": Machine("ia32", "i386-efi", "i386", 0x014C),
}


@dataclass(frozen=True)
class Files:
    """Paths in the root filesystem of what belongs together; `second` is the name by which shim looks for GRUB."""

    vendor: str
    grub: str
    shim: str | None = None
    mok_manager: str | None = None
    second: str = ""


@dataclass(frozen=True)
class Loader:
    """Content by path on the partition, and what it is, in words."""

    files: dict[str, bytes] = field(repr=False)
    title: str


def loader_in(root: Look, architecture: str, uuid: str, folder: str) -> Loader:
    """What `root` carries. `uuid` is of its filesystem, in which it begins at `folder` (btrfs: a subvolume, as GRUB
    calls it; else nothing). Raises `NothingToBoot`, `InputError`.
    """
    doing = "looking for the boot loader of the image"
    machine = MACHINES.get(architecture)
    if machine is None:
        raise InputError(doing, f"none is known for {architecture}; known are {', '.join(MACHINES)}")
    name, vendor = release(root)
    found = next(iter(carried(root, machine, vendor)), None)
    if found is None and first(root, machine, [f"{SYSTEMD_BOOT}{machine.suffix}.efi{end}" for end in ("", ".signed")]):
        raise NothingToBoot(doing, SYSTEMD_ALONE, hint=WITHOUT)
    if found is None:
        told = f"it has no shim or GRUB for UEFI on {architecture}: {', '.join(searched(machine))}"
        raise NothingToBoot(doing, told, hint=WITHOUT)
    config = configuration(root, uuid, folder, name)
    return Loader(on_partition(root, machine, found, config, name), title_of(found, name))


def title_of(found: Files, name: str) -> str:
    """In words."""
    return f"shim and GRUB of {name}" if found.shim else f"GRUB of {name}, not signed: not for Secure Boot"


def searched(machine: Machine) -> tuple[str, ...]:
    """Where was looked, for people."""
    return (
        f"/usr/lib/shim/shim{machine.suffix}.efi.signed",
        f"/usr/lib/grub/{machine.grub}-signed",
        "/boot/efi/EFI/*",
        "/usr/lib/efi/*/*/EFI/*",
        f"/usr/share/efi/{machine.share}",
        f"/usr/lib/grub/{machine.grub}/monolithic",
    )


def release(root: Look) -> tuple[str, str]:
    """(name, folder on the partition) of the distribution, by os-release(5)."""
    text = read_text(root, "/etc/os-release") or read_text(root, "/usr/lib/os-release")
    lines = (line.partition("=") for line in text.splitlines())
    said = {key.strip(): value.strip().strip("\"'") for key, _, value in lines}
    known = said.get("ID", "")
    vendor = VENDORS.get(known, known)
    name = re.sub(r"[^A-Za-z0-9 ._-]", "", said.get("NAME", ""))[:40].strip()
    return name or "Linux", vendor if NAME.fullmatch(vendor) else "linux"


def carried(root: Look, machine: Machine, vendor: str) -> Iterator[Files]:
    """The best first: with shim, by which firmware with Secure Boot starts it, before GRUB alone."""
    everything = [*of_debian(root, machine, vendor), *of_fedora(root, machine), *of_suse(root, machine, vendor)]
    yield from (one for one in everything if one.shim)
    yield from (one for one in everything if not one.shim)


def of_debian(root: Look, machine: Machine, vendor: str) -> Iterator[Files]:
    """shim-signed, grub-efi-amd64-signed; grub-efi-amd64-bin has the same GRUB without a signature."""
    suffix, grub = machine.suffix, f"/usr/lib/grub/{machine.grub}"
    shim = first(root, machine, [f"/usr/lib/shim/shim{suffix}.efi.signed{end}" for end in ("", ".latest")])
    manager = first(root, machine, [f"/usr/lib/shim/mm{suffix}.efi{end}" for end in (".signed", "")])
    signed = first(root, machine, [f"{grub}-signed/grub{suffix}.efi.signed"])
    plain = first(root, machine, [f"{grub}/monolithic/grub{suffix}.efi"])
    if signed:
        yield Files(vendor, signed, shim, manager, f"grub{suffix}.efi")
    if plain:
        yield Files(vendor, plain)


def of_fedora(root: Look, machine: Machine) -> Iterator[Files]:
    """shim and grub2-efi lie where an EFI system partition would be mounted; of late, also below /usr/lib/efi."""
    suffix = machine.suffix
    versions = [
        [f"/usr/lib/efi/{package}/{version}/EFI" for version in reversed(listed(root, f"/usr/lib/efi/{package}"))]
        for package in ("shim", "grub2")
    ]
    for shims, grubs in ((["/boot/efi/EFI"], ["/boot/efi/EFI"]), versions):
        vendors = dict.fromkeys(name for folder in grubs for name in listed(root, folder) if name.upper() != "BOOT")
        for vendor in vendors:
            grub = first(root, machine, [f"{each}/{vendor}/grub{suffix}.efi" for each in grubs])
            shim = first(root, machine, [f"{each}/{vendor}/shim{suffix}.efi" for each in shims])
            manager = first(root, machine, [f"{each}/{vendor}/mm{suffix}.efi" for each in shims])
            if grub:
                yield Files(vendor, grub, shim, manager, f"grub{suffix}.efi")


def of_suse(root: Look, machine: Machine, vendor: str) -> Iterator[Files]:
    """Its shim looks for grub.efi."""
    folder = f"/usr/share/efi/{machine.share}"
    shim, manager = first(root, machine, [f"{folder}/shim.efi"]), first(root, machine, [f"{folder}/MokManager.efi"])
    grub = first(root, machine, [f"{folder}/grub.efi", f"/usr/share/grub2/{machine.grub}/grub.efi"])
    if grub:
        yield Files(vendor, grub, shim, manager, "grub.efi")


def listed(root: Look, folder: str) -> list[str]:
    """Names in a folder that are fit to be one on the partition, too; of a crowd the first."""
    return [name for name in root.names(folder)[:MOST_FOLDERS] if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._:~+-]*", name)]


def first(root: Look, machine: Machine, paths: list[str]) -> str | None:
    """The first that is a program for that machine."""
    return next((path for path in paths if is_program(root.read(path, 4096), machine)), None)


def is_program(beginning: bytes, machine: Machine) -> bool:
    """A header of PE/COFF, with the machine's number."""
    if len(beginning) < 64 or beginning[:2] != b"MZ":
        return False
    (at,) = struct.unpack_from("<I", beginning, 0x3C)
    header = beginning[at : at + 6]
    return len(header) == 6 and header[:4] == b"PE\0\0" and struct.unpack_from("<H", header, 4)[0] == machine.number


def configuration(root: Look, uuid: str, folder: str, name: str) -> str:
    """What GRUB reads first. Raises `NothingToBoot` where it would find neither a menu nor a kernel."""
    find = f"search --no-floppy --fs-uuid --set=root {uuid}\n"
    for menu in MENUS:
        if root.read(menu, 1):
            return f"{find}set prefix=($root){folder}{menu.rpartition('/')[0]}\nconfigfile $prefix/grub.cfg\n"
    return find + boot_entry(root, uuid, folder, name)


def on_partition(root: Look, machine: Machine, found: Files, config: str, name: str) -> dict[str, bytes]:
    """By path: in the distribution's folder, and once more where firmware looks that was never told of it."""
    suffix, grub = machine.suffix, program(root, found.grub)
    told = config.encode()
    files: dict[str, bytes] = {}
    for folder in ("BOOT", found.vendor):
        files[f"/EFI/{folder}/{found.second or f'grub{suffix}.efi'}"] = grub
        files[f"/EFI/{folder}/grub.cfg"] = told
        if found.shim and found.mok_manager:
            manager = "MokManager.efi" if found.second == "grub.efi" else f"mm{suffix}.efi"
            files[f"/EFI/{folder}/{manager}"] = program(root, found.mok_manager)
    files |= {f"/EFI/{each}/grub.cfg": told for each in prefixes(grub)}
    start = f"shim{suffix}.efi" if found.shim else f"grub{suffix}.efi"
    starting = program(root, found.shim) if found.shim else grub
    files[f"/EFI/BOOT/BOOT{suffix.upper()}.EFI"] = files[f"/EFI/{found.vendor}/{start}"] = starting
    files[f"/EFI/{found.vendor}/BOOT{suffix.upper()}.CSV"] = f"\ufeff{start},{name},,\n".encode("utf-16-le")
    return files


def prefixes(grub: bytes) -> list[str]:
    """The folders that were built into it."""
    names = (match.group(1).decode() for match in PREFIX.finditer(grub))
    return list(dict.fromkeys(name for name in names if name.upper() != "BOOT"))[:MOST_PREFIXES]


def program(root: Look, path: str) -> bytes:
    """All of it. Raises `NothingToBoot` for what is too large to be a loader."""
    content = root.read(path, MOST_PROGRAM_BYTES + 1)
    if len(content) > MOST_PROGRAM_BYTES:
        raise NothingToBoot(f"reading {path} of the image", f"it has more than {MOST_PROGRAM_BYTES} bytes")
    return content
