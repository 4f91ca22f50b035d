# SPDX-License-Identifier: Apache-2.0
"""Disks in full: each is asked itself, all side by side, so that one that hangs hides no other."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

from agent.errors import AgentError, DecodeError, DeviceError
from agent.host.device_doors import Drives
from agent.host.doors import Files, Host
from agent.inventory.disk import disks
from agent.inventory.disk_names import controllers
from agent.inventory.fact import attempt, number, of
from agent.inventory.hardware.membership import memberships
from agent.inventory.network.nic import PCI_ADDRESS
from agent.inventory.side_by_side import side_by_side
from agent.model.disk import Disk
from agent.model.fact import Fact, Unknown, known
from agent.model.hardware import ata, nvme, scsi, self_test
from agent.model.hardware.disk import DiskHealth, DiskInFull, LbaFormat, Namespace, SelfTest

BLOCK = "/sys/block"
SILENT = frozenset({"virtio", "mmc", "nbd", "usb"})
"""Transports without commands of their own for a disk's health, or whose bridges may hang at what they do not know: a
system may run from such a stick."""


class Told(NamedTuple):
    """What a disk said of itself."""

    health: Fact[DiskHealth] = None
    namespaces: tuple[Namespace, ...] | Unknown = ()
    nvme_version: Fact[str] = None
    capacity_bytes: Fact[int] = None
    unallocated_bytes: Fact[int] = None
    rotation_rpm: Fact[int] = None
    form_factor_inches: Fact[float] = None
    link_gbps: Fact[float] = None
    best_link_gbps: Fact[float] = None
    self_tests: Fact[tuple[SelfTest, ...]] = None
    is_locked: Fact[bool] = None


def disks_in_full(host: Host, limit_s: float) -> tuple[DiskInFull, ...]:
    """Every disk, by name; each has that long for its answers. Raises `HostError`, as `disks` does."""
    found = disks(host)
    asked_for = spokesmen(host.files, found)
    asks = {one.name: partial(asked, host.drives, one) for one in asked_for.values()}
    told = side_by_side(asks, limit_s, at_once=1)
    return tuple(
        in_full(host, one, told[asked_for[one.name].name] if one.name in asked_for else Told()) for one in found
    )


def spokesmen(files: Files, found: tuple[Disk, ...]) -> dict[str, Disk]:
    """By a disk's name, the disk that is asked for it: the first of its NVMe controller, where it has one alone, since
    all namespaces would have the same asked of it. Any other is asked itself, and who is silent has none.
    """
    firsts: dict[str, Disk] = {}
    return {one.name: firsts.setdefault(controller(files, one), one) for one in found if not is_silent(one)}


def controller(files: Files, one: Disk) -> str:
    """The path of its one NVMe controller; else the disk's own name."""
    reached = attempt(lambda: controllers(files, f"{BLOCK}/{one.name}")) if speaks_nvme(one) else []
    return reached[0] if not isinstance(reached, Unknown) and len(reached) == 1 else one.name


def speaks_nvme(one: Disk) -> bool:
    """By whatever it is reached."""
    return (known(one.transport) or "").startswith("nvme")


def is_silent(one: Disk) -> bool:
    """Whether it is not asked at all: it needs no thread either."""
    return known(one.transport) in SILENT or one.name.startswith(("vd", "xvd"))


def in_full(host: Host, one: Disk, told: Told | Unknown) -> DiskInFull:
    """All of one disk. What did not answer is unknown in every place."""
    path = attempt(lambda: host.files.resolve(f"{BLOCK}/{one.name}"))
    functions = [part for part in (known(path) or "").split("/") if PCI_ADDRESS.fullmatch(part)]
    pci = functions[-1] if functions else None
    answers = dict.fromkeys(Told._fields, told) if isinstance(told, Unknown) else told._asdict()
    return DiskInFull(
        **dict(one),
        **answers,
        formats=of(answers["namespaces"], lambda found: formats(host.files, one, found)) or (),
        pci_address=path if isinstance(path, Unknown) else pci,
        numa_node=number(host.files, f"/sys/bus/pci/devices/{pci}/numa_node") if pci else None,
        memberships=attempt(lambda: memberships(host.files, one)),
    )


def asked(drives: Drives, one: Disk) -> Told:
    """By its own commands. A transport that is not known is taken for SCSI: its commands harm nobody who speaks it."""
    if is_silent(one):
        return Told()
    if speaks_nvme(one):
        return of_nvme(drives, one.path)
    return of_ata(drives, one.path) if known(one.transport) == "sata" else of_scsi(drives, one.path)


def of_nvme(drives: Drives, node: str) -> Told:
    """Controller, namespaces, the health log."""
    controller = attempt(lambda: decoded_controller(drives, node))
    told = known(controller)
    why = controller if isinstance(controller, Unknown) else None
    return Told(
        health=attempt(lambda: nvme_health(drives, node)),
        self_tests=attempt(lambda: nvme_self_tests(drives, node)),
        namespaces=attempt(lambda: namespaces(drives, node)),
        nvme_version=why or (told.version if told else None),
        capacity_bytes=why or (told.capacity_bytes if told else None),
        unallocated_bytes=why or (told.unallocated_bytes if told else None),
    )


def decoded_controller(drives: Drives, node: str) -> nvme.Controller | None:
    """Raises `DeviceError`, `DecodeError`."""
    raw = drives.nvme_identify(node, nvme.CONTROLLER)
    return None if raw is None else nvme.controller(raw)


def nvme_health(drives: Drives, node: str) -> DiskHealth | None:
    """Raises `DeviceError`, `DecodeError`."""
    raw = drives.nvme_log(node, nvme.HEALTH_PAGE, nvme.HEALTH_BYTES)
    return None if raw is None else nvme.health(raw)


def namespaces(drives: Drives, node: str) -> tuple[Namespace, ...]:
    """Those that are active. Raises `DeviceError`, `DecodeError`."""
    raw = drives.nvme_identify(node, nvme.ACTIVE_NAMESPACES)
    numbers = () if raw is None else nvme.active_namespaces(raw)
    answers = [(one, drives.nvme_identify(node, nvme.NAMESPACE, one)) for one in numbers]
    return tuple(nvme.namespace(answer, one) for one, answer in answers if answer is not None)


def formats(files: Files, one: Disk, found: tuple[Namespace, ...]) -> tuple[LbaFormat, ...]:
    """Of the namespace that the disk is: the only one, or the one that sysfs says."""
    if len(found) == 1:
        return found[0].formats
    number_of_it = number(files, f"{BLOCK}/{one.name}/nsid") if found else None
    return next((each.formats for each in found if each.number == number_of_it), ())


def of_ata(drives: Drives, node: str) -> Told:
    """IDENTIFY and SMART."""
    try:
        raw = drives.ata_identify(node)
        told = None if raw is None else ata.identity(raw)
    except AgentError as error:
        why = Unknown(unknown=str(error))
        of_nvme_alone = {"namespaces", "nvme_version", "capacity_bytes", "unallocated_bytes"}
        return Told(**{part: why for part in Told._fields if part not in of_nvme_alone})
    if told is None:
        return Told()
    return Told(
        health=attempt(lambda: ata_health(drives, node)) if told.has_smart else None,
        self_tests=attempt(lambda: ata_self_tests(drives, node)) if told.has_smart else None,
        rotation_rpm=told.rotation_rpm,
        form_factor_inches=told.form_factor_inches,
        link_gbps=told.link_gbps,
        best_link_gbps=told.best_link_gbps,
        is_locked=told.is_locked,
    )


def ata_health(drives: Drives, node: str) -> DiskHealth | None:
    """The verdict, and the attributes where they can be read; what has neither tells nothing. Raises `DeviceError`."""
    verdict = drives.ata_smart(node, ata.SMART_STATUS)
    data, limits = drives.ata_smart(node, ata.SMART_DATA), drives.ata_smart(node, ata.SMART_THRESHOLDS)
    if verdict is None and data is None:
        return None
    found = () if data is None else ata.attributes(data.data)
    edges = {} if limits is None else ata.thresholds(limits.data)
    return ata.health(None if verdict is None else ata.passed((verdict.lba_mid, verdict.lba_high)), found, edges)


def nvme_self_tests(drives: Drives, node: str) -> tuple[SelfTest, ...] | None:
    """Raises `DeviceError`, `DecodeError`."""
    raw = drives.nvme_log(node, self_test.NVME_PAGE, self_test.NVME_BYTES)
    return None if raw is None else self_test.of_nvme(raw)


def ata_self_tests(drives: Drives, node: str) -> tuple[SelfTest, ...] | None:
    """Raises `DeviceError`, `DecodeError`."""
    answer = drives.ata_smart(node, self_test.ATA_READ_LOG, self_test.ATA_LOG)
    return None if answer is None else self_test.of_ata(answer.data)


def scsi_self_tests(drives: Drives, node: str, there: frozenset[int]) -> tuple[SelfTest, ...] | None:
    """Raises `DeviceError`, `DecodeError`."""
    raw = drives.scsi_log(node, self_test.SCSI_PAGE) if self_test.SCSI_PAGE in there else None
    return None if raw is None else self_test.of_scsi(scsi.parameters(raw, self_test.SCSI_PAGE))


def of_scsi(drives: Drives, node: str) -> Told:
    """Log pages; SATA disks behind a SAS adapter answer them too, by its translation. Which pages there are is asked
    first: who has none would refuse each.
    """
    there = attempt(lambda: scsi_pages(drives, node))
    return Told(
        health=of(there, lambda found: attempt(lambda: scsi_health(drives, node, found))),
        self_tests=of(there, lambda found: attempt(lambda: scsi_self_tests(drives, node, found))),
    )


def scsi_pages(drives: Drives, node: str) -> frozenset[int]:
    """All of its log pages. Raises `DeviceError`, `DecodeError`."""
    raw = drives.scsi_log(node, scsi.SUPPORTED)
    return frozenset() if raw is None else scsi.supported(raw)


def scsi_health(drives: Drives, node: str, there: frozenset[int]) -> DiskHealth | None:
    """Of the pages that it has; a page that is damaged is told, if no other is there. Raises `DeviceError`."""
    pages: dict[int, scsi.Parameters] = {}
    damaged: DecodeError | None = None
    for page in scsi.PAGES:
        if page not in there:
            continue
        raw = drives.scsi_log(node, page)
        if raw is None:
            continue
        try:
            pages[page] = scsi.parameters(raw, page)
        except DecodeError as error:
            damaged = error
    if damaged is not None and not pages:
        raise DeviceError(damaged.doing, damaged.evidence) from damaged
    return scsi.health(pages)
