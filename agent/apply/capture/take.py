# SPDX-License-Identifier: Apache-2.0
"""Doing `CaptureDisk`: look, refuse what would make no good image, forget on a copy in memory, pack what is allocated.

What is refused is refused before a byte is sent; looked at again after the copy was changed, since only then are its
filesystems clean.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from agent.apply.capture.blanks import Blank, blanks, on_disk
from agent.apply.capture.forget import forget, os_name
from agent.apply.capture.mounts import System, mounted
from agent.apply.capture.overlay import overlay
from agent.apply.capture.view import View
from agent.apply.chunked.pack import LEVEL, Options, Packing
from agent.errors import CaptureRefused
from agent.host.doors import BlockDevice, Host
from agent.model.description import describe
from agent.model.filesystem.findings import Finding, findings
from agent.model.filesystem.survey import Survey, survey
from agent.model.generalise import Action, actions
from agent.model.generalise.remarks import remarks
from agent.model.generalise.table import chosen
from agent.model.job import Advance, Result
from agent.model.plan import CaptureDisk
from agent.model.url import named
from agent.program.log import Logger

MOST_THREADS = 8

log = Logger("capture")


@dataclass(frozen=True)
class Forgotten:
    """What was found out while the system was mounted."""

    files: int = 0
    os: str | None = None
    root: int | None = None
    remarks: tuple[tuple[str, str], ...] = ()
    blanks: tuple[Blank, ...] = ()


def capture_disk(host: Host, step: CaptureDisk, advance: Advance) -> Result:
    """Returns the image's digest and sizes. Raises `CaptureRefused`, `HostError`, `LinkError`; nothing is left then."""
    looked = look(host, step)
    if not step.forget:
        return packed(host, step, step.disk.path, Forgotten(), advance)
    with overlay(host, step.disk) as device:
        forgotten = forget_on(host, looked, step)
        return packed(host, step, device, forgotten, advance)


def preview(host: Host, step: CaptureDisk) -> tuple[Action, ...]:
    """What would be forgotten, file by file, found on a copy in memory that is thrown away."""
    looked = look(host, step)
    with overlay(host, step.disk), mounted(host, looked) as system:
        refuse(system.unseen, step)
        return what_to_forget(system, step)


def what_to_forget(system: System, step: CaptureDisk) -> tuple[Action, ...]:
    """In this system."""
    return actions(system.tree, chosen(step.forget), system.own)


def forget_on(host: Host, looked: Survey, step: CaptureDisk) -> Forgotten:
    """Mount the copy, do it, unmount."""
    with mounted(host, looked) as system:
        refuse(system.unseen, step)
        doings = what_to_forget(system, step)
        for doing in doings:
            log.info("forgetting", item=doing.item, what=str(doing))
        blanked = [doing.path for doing in doings if doing.doing == "blank"]
        places = tuple(blank for path in blanked for blank in blanks(system.tree, system.mounts, path))
        count = forget(system.tree, doings)
        told = [(one.code, one.text) for one in system.unseen]
        return Forgotten(count, os_name(system.tree), system.root.number, (*told, *remarks(system.tree)), places)


def look(host: Host, step: CaptureDisk) -> Survey:
    """What is on the disk as it is. Raises `CaptureRefused`."""
    with host.block.open_read(step.disk.path) as device:
        looked = surveyed(device, step)
        refuse(findings(looked, will_be_mounted=bool(step.forget)), step)
        return looked


def surveyed(device: BlockDevice, step: CaptureDisk) -> Survey:
    """What is on a device. The survey reads on as it is asked, while the device is open."""
    return survey(device.read, step.disk.size_bytes, step.disk.logical_sector_bytes, keep_drive=step.keep_drive)


def refuse(found: Iterable[Finding], step: CaptureDisk) -> None:
    """Raises `CaptureRefused` with all that speaks against it, unless it is forced."""
    refusals = [str(one) for one in found if one.is_refusal]
    if refusals and not step.force:
        raise CaptureRefused(f"capturing {step.disk}", "; ".join(refusals))


def packed(host: Host, step: CaptureDisk, path: str, forgotten: Forgotten, advance: Advance) -> Result:
    """Read, compress, send."""
    with host.block.open_read(path, exclusive=path == step.disk.path) as device:
        looked = surveyed(device, step)
        found = findings(looked, root=forgotten.root)
        refuse(found, step)
        extents, reasons = looked.allocated(frozenset(one.number for one in found if one.code == "unclean"))
        extents = extents.without(on_disk(looked, forgotten.blanks))
        view = View(device, extents, looked.size_bytes, looked.new_head)
        description = describe(looked.new_head or looked.head, looked.size_bytes, step.os or forgotten.os)
        threads = min(host.counters.threads(), MOST_THREADS)
        packing = Packing(view, Options(threads=threads, level=step.level or LEVEL, description=description))
        put(host, step, advancing(packing, advance))
    warnings = [str(one) for one in found]
    warnings += [f"illegible: partition {number}: {reason}: it was read whole" for number, reason in reasons.items()]
    warnings += [f"{code}: {text}" for code, text in forgotten.remarks]
    for warning in warnings:
        log.warning("capture", what=warning)
    return {
        "image": named(step.to),
        "sha256": packing.digest,
        "image_bytes": looked.size_bytes,
        "allocated_bytes": extents.total_bytes,
        "read_bytes": view.read_bytes,
        "file_bytes": packing.packed_bytes,
        "forgotten_files": forgotten.files,
        "warnings": "; ".join(warnings) or "none",
    }


def advancing(packing: Packing, advance: Advance) -> Iterator[bytes]:
    """The image's pieces; how far on the disk it is, is told with each."""
    for piece in packing.pieces():
        yield piece
        advance(packing.done_bytes, packing.disk_bytes)


def put(host: Host, step: CaptureDisk, pieces: Iterator[bytes]) -> None:
    """To a server, or into a file."""
    if step.to.startswith("http"):
        host.fetch.send(step.to, pieces, access=step.access)
    else:
        host.files.save(unquote(urlsplit(step.to).path), pieces)
