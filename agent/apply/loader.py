# SPDX-License-Identifier: Apache-2.0
"""Doing `InstallLoader`: the root filesystem is mounted read-only and looked into, and what it carries of a boot loader
becomes the EFI system partition: made in a sparse file, copied to its place, read back and compared.

Nothing of the image is run, no device, program or set-uid of it counts, no journal is replayed, and no link in it leads
out of it: what is read comes through the door to somebody else's tree.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from agent.apply.config_drive import mkfs_argv
from agent.apply.mounting import is_root, make_place, mount, unmount, unmount_all
from agent.apply.region import Region
from agent.errors import CommandFailed, HostError, NotAsObserved, NothingToBoot
from agent.host.doors import Host, LargeFile, Tree
from agent.host.memory import aligned
from agent.model.disk import MIB
from agent.model.filesystem.names import HEAD_BYTES, Names, names_of
from agent.model.job import Advance, Result
from agent.model.loader import Loader, loader_in
from agent.model.plan import InstallLoader

PLACE = "/run/bms-agent/root"
OPTIONS = {"ext4": "errors=continue", "xfs": "nouuid", "btrfs": "subvolid=5"}
"""What a filesystem says itself about errors does not count: it might be to end this kernel. The loop device is
read-only, too: one whose journal would have to be replayed is not mounted, since what it shows without may be old.
"""
SUBVOLUME = re.compile(r"[A-Za-z0-9@._-]+")
"""It becomes a word of GRUB's."""
PIECE_BYTES = MIB


def install_loader(host: Host, step: InstallLoader, advance: Advance) -> Result:
    """Returns what the loader is, and the partition's UUID. Raises `NothingToBoot`, `HostError`."""
    loader = looked_for(host, step)
    node = step.disk.path.rpartition("/")[2]
    image, source = f"/run/bms-agent/esp-{node}", f"/run/bms-agent/esp-{node}.file"
    try:
        host.files.write(image, b"", mode=0o600)
        host.files.truncate(image, step.esp.size_bytes)
        fill(host, step, loader, host.files.real_path(image), source)
        with host.files.open_large(image) as file, host.block.open_exclusive(step.disk.path) as disk:
            region = Region(disk, step.esp.offset_bytes, step.esp.size_bytes)
            place(region, file, f"filling '{step.esp.label}' on {step.disk.path}", advance)
    finally:
        host.files.remove(source)
        host.files.remove(image)
    uuid = f"{step.volume_id[:4]}-{step.volume_id[4:]}".upper()
    return {"loader": loader.title, "efi_system_partition_uuid": uuid}


def looked_for(host: Host, step: InstallLoader) -> Loader:
    """In the root filesystem as it lies on the disk."""
    with host.block.open_read(step.disk.path) as disk:
        names = names_of(disk.read(step.root.offset_bytes, min(HEAD_BYTES, step.root.size_bytes)))
    with mounted(host, step, names):
        folder = root_folder(host, names)
        root = host.files.below(f"{PLACE}{folder}")
        return loader_in(root, step.architecture, names.uuid, folder)


@contextmanager
def mounted(host: Host, step: InstallLoader, names: Names) -> Iterator[None]:
    """At `PLACE`, by a loop device that ends with the mount. Raises `NothingToBoot` where it cannot be mounted."""
    unmount_all(host, PLACE)
    make_place(host, PLACE)
    region = f"loop,offset={step.root.offset_bytes},sizelimit={step.root.size_bytes}"
    try:
        mount(host, names.kind, step.disk.path, PLACE, region, OPTIONS[names.kind], mode="ro")
    except CommandFailed as error:
        told = f"its {names.kind} cannot be mounted: not cleanly unmounted, damaged, or for a newer kernel"
        hint = "Unmount it cleanly, or repair it (fsck), when the image is made; or use a whole-disk image."
        raise NothingToBoot("looking into the image's root filesystem", told, hint=hint) from error
    try:
        yield
    except BaseException:
        with suppress(HostError):
            unmount_all(host, PLACE)
        raise
    unmount(host, PLACE)


def root_folder(host: Host, names: Names) -> str:
    """Where root begins on its filesystem: of btrfs, it may be a subvolume."""
    tree: Tree = host.files.below(PLACE)
    if names.kind != "btrfs" or is_root(tree, ""):
        return ""
    names_there = [name for name in tree.names("/") if SUBVOLUME.fullmatch(name)]
    folders = [f"/{name}" for name in names_there if tree.kind(f"/{name}") == "directory"]
    found = next((folder for folder in folders if is_root(tree, folder)), None)
    if found is None:
        told = "neither its top nor a subvolume there holds an os-release"
        raise NothingToBoot("looking into the image's root filesystem", told, hint="Use a whole-disk image.")
    return found


def fill(host: Host, step: InstallLoader, loader: Loader, image: str, source: str) -> None:
    """A vfat filesystem with these files, in this file."""
    label, sector = step.esp.label, step.disk.logical_sector_bytes
    host.run(mkfs_argv(image, label, int(step.volume_id, 16), sector))
    folders = {path.rpartition("/")[0] for path in loader.files}
    for folder in sorted({"/EFI", *folders}):
        host.run(["mmd", "-i", image, f"::{folder}"])
    for path, content in sorted(loader.files.items()):
        host.files.write(source, content, mode=0o600)
        host.run(["mcopy", "-i", image, host.files.real_path(source), f"::{path}"])


def place(region: Region, file: LargeFile, doing: str, advance: Advance) -> None:
    """What of the file is no hole; all else is zeroed. Raises `NotAsObserved` where it is not on the medium then."""
    region.zero(0, region.size_bytes)
    pieces = [
        (at, min(PIECE_BYTES, offset + length - at))
        for offset, length in file.data_extents()
        for at in range(offset, offset + length, PIECE_BYTES)
    ]
    buffer = aligned(PIECE_BYTES)
    for done, (at, length) in enumerate(pieces):
        advance(done, 2 * len(pieces))
        file.read_into(at, buffer[:length])
        region.write(at, buffer[:length])
    region.flush()
    for done, (at, length) in enumerate(pieces, start=len(pieces)):
        advance(done, 2 * len(pieces))
        file.read_into(at, buffer[:length])
        if region.read(at, length) != buffer[:length]:
            raise NotAsObserved(doing, f"what was read back at byte {at} differs from what was written")
