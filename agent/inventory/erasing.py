# SPDX-License-Identifier: Apache-2.0
"""What each drive says it can do to forget. Asked of all side by side; one that does not answer is unknown."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import NamedTuple

from agent.errors import DecodeError, DeviceError
from agent.host.device_doors import Drives
from agent.host.doors import Host
from agent.host.sense import ata_sanitize, hidden_sectors, sanitize_sense
from agent.inventory.hardware.disk import SILENT
from agent.inventory.side_by_side import side_by_side
from agent.model.disk import Disk
from agent.model.erasing import Abilities, Means, Shut, ata, nvme, scsi
from agent.model.fact import Unknown, known
from agent.model.hardware.nvme import ACTIVE_NAMESPACES, CONTROLLER, active_namespaces

LIMIT_S = 20.0
ALLOCATED_NAMESPACES = 0x10


def abilities(host: Host, disks: Iterable[Disk], *, all_of_it: bool = False) -> dict[str, Abilities | Unknown]:
    """By node. `all_of_it`: nothing of the machine is to stay, also not what nobody sees."""
    return side_by_side({disk.path: partial(able, host.drives, disk, all_of_it) for disk in disks}, LIMIT_S)


def able(drives: Drives, disk: Disk, all_of_it: bool) -> Abilities:
    """Of one. A disk behind a bridge, and a virtual one, is not asked: some hang at what they do not know. Raises
    `DeviceError`, `DecodeError`.
    """
    transport = known(disk.transport)
    if transport in SILENT or disk.name.startswith(("vd", "xvd", "md", "loop")):
        return Abilities()
    if transport is not None and transport.startswith("nvme"):
        return of_nvme(drives, disk.path, all_of_it)
    raw = drives.ata_identify(disk.path) if transport in ("sata", "sas") else None  # SAS adapters have SATA drives, too
    return of_scsi(drives, disk.path) if raw is None else of_ata(drives, disk, raw)


def of_nvme(drives: Drives, node: str, all_of_it: bool) -> Abilities:
    """A sanitize takes all that the drive holds, and some drives' Format does: with several namespaces each is on its
    own, since one of them may be to stay. Of one that is attached to nobody it is known whether all is to go.
    """
    raw = drives.nvme_identify(node, CONTROLLER)
    if raw is None:
        return Abilities()
    powers, there = nvme.powers(raw), namespaces(drives, node)
    seen_alone = len(there.seen) == 1 and not powers.has_other_controllers
    alone = there.total == 1 or (all_of_it and seen_alone)
    log = drives.nvme_log(node, nvme.SANITIZE_PAGE, nvme.LOG_BYTES) if powers.sanitizes else None
    status = None if log is None else nvme.sanitize_status(log)
    sanitizing = [means for means, can in (
        (Means.NVME_SANITIZE_CRYPTO, powers.sanitizes_crypto), (Means.NVME_SANITIZE_BLOCK, powers.sanitizes_block),
    ) if can and status is not None]  # fmt: skip
    formatting = [means for means, can in (
        (Means.NVME_FORMAT_CRYPTO, powers.formats_crypto), (Means.NVME_FORMAT_ERASE, powers.formats),
    ) if can]  # fmt: skip
    reach_all = [*sanitizing, *(formatting if powers.format_reaches_all else [])]
    kept = [means for means in (*sanitizing, *formatting) if alone or means not in reach_all]
    notes = [f"{means}: it would take every namespace of the drive" for means in reach_all if means not in kept]
    if powers.sanitizes and status is None:
        notes.append("NVMe sanitize: the drive has no log of it, which is the proof")
    boot_bytes = boot_partitions(drives, node, raw, notes)
    running = (status.means or next(iter(kept), None)) if status is not None and status.is_running else None
    shut = shut_by(sanitizing, kept) if status is not None and status.failed else None
    return Abilities(
        means=tuple(kept),
        notes=tuple(notes),
        running=running,
        shut=shut,
        unseen=there.unseen,
        boot_bytes=boot_bytes,
    )


def boot_partitions(drives: Drives, node: str, raw: bytes, notes: list[str]) -> int | None:
    """How large they are. Raises `DecodeError` for what is no Identify Controller."""
    if not nvme.tells_of_boot_partitions(raw):
        return 0
    try:
        head = drives.nvme_boot_log(node, 0, 0, nvme.BOOT_HEAD_BYTES)
        return 0 if head is None else nvme.boot_partition_bytes(head)
    except (DeviceError, DecodeError) as error:
        notes.append(f"whether it has boot partitions is not known: {error}")
        return None


def shut_by(kind: Iterable[Means], may: Iterable[Means]) -> Shut | None:
    """A drive of that kind is shut; of what it may be erased by, its sanitizes may open it."""
    by = next(iter(kind), None)
    return None if by is None else Shut(by=by, opening=tuple(means for means in may if means.is_sanitize))


class Namespaces(NamedTuple):
    """Of a drive, by number: those that the machine sees, and those that are attached to nobody here."""

    seen: tuple[int, ...] = ()
    unseen: tuple[int, ...] = ()

    @property
    def total(self) -> int:
        """Of both."""
        return len(self.seen) + len(self.unseen)


def namespaces(drives: Drives, node: str) -> Namespaces:
    """None at all if that is not known. Raises `DeviceError`."""
    active = drives.nvme_identify(node, ACTIVE_NAMESPACES)
    seen = () if active is None else active_namespaces(active)
    allocated = drives.nvme_identify(node, ALLOCATED_NAMESPACES)
    there = seen if allocated is None else active_namespaces(allocated)
    return Namespaces(seen, tuple(number for number in there if number not in seen))


def of_ata(drives: Drives, disk: Disk, raw: bytes) -> Abilities:
    """Sanitize goes before Security: it needs no password, and the drive keeps a record of it. Raises `DecodeError`."""
    told, node = ata.security(raw), disk.path
    state = ata_sanitize(drives, node) if told.sanitizes_crypto or told.sanitizes_block else None
    means: list[Means] = []
    notes: list[str] = []
    if state is not None and state.frozen:
        notes.append("ATA sanitize: frozen until the drive is switched off and on")
    elif state is not None:
        means += [Means.ATA_SANITIZE_CRYPTO] if told.sanitizes_crypto else []
        means += [Means.ATA_SANITIZE_BLOCK] if told.sanitizes_block else []
    if told.has_security and told.is_frozen:
        notes.append("ATA security erase: frozen by the firmware until the drive is switched off and on")
    elif told.is_expired:
        notes.append("ATA security erase: too many wrong passwords since the drive was switched on")
    elif told.has_security:
        means += [Means.ATA_SECURE_ERASE_ENHANCED] if told.has_enhanced else []
        means.append(Means.ATA_SECURE_ERASE)
    running = next(iter(means), None) if state is not None and state.running else None
    hidden_bytes: int | None = None
    try:
        hidden_bytes = hidden_sectors(drives, node, raw) * disk.logical_sector_bytes
    except (DeviceError, DecodeError) as error:
        notes.append(f"whether it hides a part of itself is not known: {error}")
    shut = shut_by(means, means) if state is not None and state.failed else None
    return Abilities(
        means=tuple(means),
        notes=tuple(notes),
        running=running,
        shut=shut,
        has_password=told.is_enabled,
        hidden_bytes=hidden_bytes,
    )


def of_scsi(drives: Drives, node: str) -> Abilities:
    """By REPORT SUPPORTED OPERATION CODES: a disk that does not know that one has no SANITIZE. One that is at it does
    not answer anything but for its sense (SBC-4, section 4.11.2), nor does one that failed at it: that it knows how,
    it has shown. Raises `DeviceError`, `DecodeError`.
    """
    sense = sanitize_sense(drives, node)
    if sense is not None and sense.running:
        return Abilities(means=(Means.SCSI_SANITIZE_BLOCK,), running=Means.SCSI_SANITIZE_BLOCK)
    if sense is not None and sense.failed:
        every = tuple(scsi.ACTIONS)
        return Abilities(means=every, shut=shut_by(every, every))
    return Abilities(means=tuple(means for means, action in scsi.ACTIONS.items() if supports(drives, node, action)))


def supports(drives: Drives, node: str, action: int) -> bool:
    """That kind of SANITIZE. Raises `DeviceError`."""
    raw = drives.scsi_supports(node, scsi.SANITIZE, action)
    return raw is not None and scsi.supported(raw)
