# SPDX-License-Identifier: Apache-2.0
"""Virtual media: drives that a BMC plugs in, with a floppy of parameters and a disc of files. Nothing is mounted.

A drive counts if it is a CD drive, or a whole USB disk of less than 4 GiB (ironic_python_agent/utils.py,
_check_vmedia_device): a tenant's disk never does, whatever it is labelled. A disc must have the publisher that the
command line names, if it names one (`ir_pub_id`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from pydantic import SecretStr

from agent.errors import AgentError, DecodeError
from agent.host.disk_stack import BLOCK
from agent.host.doors import Files, Host
from agent.inventory.disk import SECTOR_BYTES, needed
from agent.inventory.disk_names import transport
from agent.inventory.fact import attempt
from agent.model.filesystem import Read
from agent.model.filesystem.fat_files import FatFiles
from agent.model.filesystem.iso9660 import Iso
from agent.model.virtual_media import DISC_LABELS, FLOPPY_LABEL, FOLDERS, NETWORK_DATA, PARAMETERS, VirtualMedia
from agent.program.log import Logger

LARGEST_USB_BYTES = 4 << 30
LARGEST_FILE_BYTES = 1 << 20
MOST_FILES = 64
FAT_LABEL_BYTES = 11
CD_ROM = "5"
"""SCSI's device type (SPC-5, table 139), in sysfs."""
MODEL = "virtual media"

T = TypeVar("T")
log = Logger("media")


@dataclass(frozen=True)
class Drive:
    """A drive with a medium in it."""

    path: str
    size_bytes: int
    model: str


def drives(files: Files) -> tuple[Drive, ...]:
    """Those that may be a BMC's. One may go while it is looked at: BMCs plug in and out. Raises `HostError`."""
    found = (attempt(partial(drive, files, name)) for name in files.names(BLOCK))
    return tuple(one for one in found if isinstance(one, Drive))


def drive(files: Files, name: str) -> Drive | None:
    """A whole device of such a kind, with something in it."""
    at = f"{BLOCK}/{name}"
    size = needed(files, f"{at}/size") * SECTOR_BYTES
    is_disc = name.startswith("sr") and text(files, f"{at}/device/type") == CD_ROM
    is_usb = name.startswith("sd") and transport(files.resolve(at)) == "usb" and size < LARGEST_USB_BYTES
    if not size or not (is_disc or is_usb):
        return None
    return Drive(f"/dev/{name}", size, text(files, f"{at}/device/model"))


def text(files: Files, path: str) -> str:
    """Of a file that may not be there."""
    return files.read_text(path).strip() if files.exists(path) else ""


def read_media(host: Host, publisher: str | None) -> VirtualMedia:
    """What is plugged in now. A drive, or a file, that cannot be read has nothing to say, and is logged."""
    parameters, disc = None, None
    for each in drives(host.files):
        parameters = parameters or looked_into(host, each, floppy)
        disc = disc or looked_into(host, each, lambda drive, read: disc_of(drive, read, publisher))
    found = disc or VirtualMedia()
    return found.model_copy(update={"parameters": SecretStr(parameters)}) if parameters else found


def looked_into(host: Host, each: Drive, look: Callable[[Drive, Read], T | None]) -> T | None:
    """What a look into a medium brings."""
    try:
        with opened(host, each) as read:
            return look(each, read)
    except AgentError as error:
        log.warning("virtual media not read", drive=each.path, error=str(error))
        return None


@contextmanager
def opened(host: Host, each: Drive) -> Iterator[Read]:
    """Its bytes."""
    with host.block.open_read(each.path) as device:
        yield device.read


def floppy(each: Drive, read: Read) -> str | None:
    """The words on a floppy: by its label, or on a drive that calls itself virtual media. Raises `DecodeError`."""
    found = filesystem(lambda: FatFiles(read, each.size_bytes))
    if found is None:
        return None
    label = found.label or ""
    if label.lower() != FLOPPY_LABEL[:FAT_LABEL_BYTES] and MODEL not in each.model.lower():
        return None
    if found.find(PARAMETERS) is None:
        return None
    return found.content(PARAMETERS, LARGEST_FILE_BYTES).decode(errors="replace")


def disc_of(each: Drive, read: Read, publisher: str | None) -> VirtualMedia | None:
    """What a disc of Ironic's has; None of another. Raises `DecodeError`."""
    iso = filesystem(lambda: Iso(read, each.size_bytes))
    if iso is None or iso.label.lower() not in DISC_LABELS:
        return None
    if publisher is not None and iso.publisher.lower() != publisher.lower():
        log.warning("a disc of another publisher is left alone", drive=each.path, wanted=publisher)
        return None
    paths = [f"{folder}/{name}" for folder in FOLDERS for name in iso.names(folder)]
    files = {path: SecretStr(told) for path in paths[:MOST_FILES] if (told := text_on(iso, path)) is not None}
    return VirtualMedia(has_disc=True, files=files, network_data=text_on(iso, NETWORK_DATA))


def filesystem(opened: Callable[[], T]) -> T | None:
    """None of another filesystem: a medium is looked at as all that it may be."""
    try:
        return opened()
    except DecodeError:
        return None


def text_on(iso: Iso, path: str) -> str | None:
    """A file on a disc; None of what is no file, or cannot be read: the others count nevertheless."""
    try:
        content = iso.content(path, LARGEST_FILE_BYTES)
    except DecodeError as error:
        log.warning("a file of virtual media not read", error=str(error))
        return None
    return None if content is None else content.decode(errors="replace")
