# SPDX-License-Identifier: Apache-2.0
"""What is another about what is plugged in: disks, NICs, PCI functions, USB devices.

Each is known by what stays with it: a disk by WWN or serial, a NIC by its MAC; a PCI function is a place.
"""

from __future__ import annotations

from collections.abc import Iterator

from agent.model.difference import Difference
from agent.model.disk import GB
from agent.model.fact import Unknown, known
from agent.model.hardware.device import PciInFull, UsbInFull
from agent.model.hardware.disk import DiskHealth, DiskInFull
from agent.model.hardware.nic import NicInFull, Transceiver
from agent.model.lldp import LldpNeighbour
from agent.plan.differences.fields import changed, each_changed, keyed, lowered, not_in, pairs

DISK = (
    "size_bytes", "model", "firmware", "transport", "logical_sector_bytes", "physical_sector_bytes", "read_only",
    "is_locked",
)  # fmt: skip
NIC = ("pci_address", "driver", "firmware", "most_virtual_functions")
PLUG = ("kind", "vendor", "part", "serial")
DISPLAY = "03"
"""Graphics processors slow their link down when they idle."""


def disks(before: tuple[DiskInFull, ...], after: tuple[DiskInFull, ...]) -> Iterator[Difference]:
    """A disk that is gone, with another in its place, was replaced. Kernel names are of one boot: they are not told."""
    old, new = keyed(before, disk_name), keyed(after, disk_name)
    for was, now in pairs(old, new):
        yield from disk(was, now)
    gone, come = not_in(old, new), not_in(new, old)
    places = {place: one for one in come if (place := known(one.by_path))}
    for one in gone:
        other = places.get(known(one.by_path) or "")
        if other is None:
            yield Difference(code="DISK.GONE", weight="fault", what=whose(one), before=described(one))
            continue
        come.remove(other)
        what = f"disk at {known(one.by_path)}"
        yield Difference(
            code="DISK.REPLACED", weight="change", what=what, before=described(one), after=described(other)
        )
    for one in come:
        yield Difference(code="DISK.NEW", weight="change", what=whose(one), after=described(one))


def disk_name(one: DiskInFull) -> tuple[str | None, ...]:
    """Who it is; a disk without a name of its own is where it hangs, and at last what the kernel calls it."""
    name = known(one.wwn) or known(one.serial)
    return (name,) if name else (None, known(one.by_path) or one.name)


def whose(one: DiskInFull) -> str:
    """For people, who have the drive before their eyes: its serial."""
    return f"disk {known(one.serial) or known(one.wwn) or one.name}"


def described(one: DiskInFull) -> str:
    """Model and size."""
    return f"{known(one.model) or 'a disk'} {known(one.serial) or ''} ({one.size_bytes / GB:.0f} GB)".replace("  ", " ")


def disk(was: DiskInFull, now: DiskInFull) -> Iterator[Difference]:
    """The same disk."""
    what = whose(now)
    yield from each_changed(what, "DISK", was, now, DISK)
    if known(was.by_path) and known(now.by_path):
        yield from changed(f"{what}, slot", "DISK.MOVED", was.by_path, now.by_path)
    yield from lowered(f"{what}, link", "DISK.LINK_SPEED", was.link_gbps, now.link_gbps, "Gbit/s")
    if isinstance(was.health, DiskHealth) and isinstance(now.health, DiskHealth):
        passed = was.health.passed, now.health.passed
        if None not in passed:
            words = ["good" if each else "failing" for each in passed]
            yield from changed(
                f"{what}, health", "DISK.HEALTH", *words, weight="change" if now.health.passed else "fault"
            )
        news = {*now.health.warnings} - {*was.health.warnings}
        for warning in sorted(news):
            yield Difference(code="DISK.WARNING", weight="fault", what=what, after=warning)


def nics(before: tuple[NicInFull, ...], after: tuple[NicInFull, ...]) -> Iterator[Difference]:
    """By their permanent MAC."""
    old, new = keyed(before, lambda one: one.mac), keyed(after, lambda one: one.mac)
    for was, now in pairs(old, new):
        yield from nic(was, now)
    for one in not_in(old, new):
        yield Difference(code="NIC.GONE", weight="fault", what=f"NIC {one.name}", before=one.mac)
    for one in not_in(new, old):
        yield Difference(code="NIC.NEW", weight="change", what=f"NIC {one.name}", after=one.mac)


def nic(was: NicInFull, now: NicInFull) -> Iterator[Difference]:
    """The same NIC."""
    what = f"NIC {now.name} ({now.mac})"
    yield from each_changed(what, "NIC", was, now, NIC)
    yield from changed(f"{what}, name", "NIC.NAME", was.name, now.name)
    if was.carrier is True and now.carrier is False:
        yield Difference(code="NIC.CARRIER_LOST", weight="fault", what=what, before="its link", after="down")
    if was.carrier is False and now.carrier is True:
        yield Difference(code="NIC.CARRIER_FOUND", weight="change", what=what, before="no link", after="up")
    yield from lowered(f"{what}, link", "NIC.SPEED", was.speed_mbps, now.speed_mbps, "Mbit/s")
    yield from plugged(what, was, now)
    if isinstance(was.lldp, LldpNeighbour) and isinstance(now.lldp, LldpNeighbour):
        ends = [f"{each.system_name or each.chassis_id} port {each.port_id}" for each in (was.lldp, now.lldp)]
        yield from changed(f"{what}, cable", "NIC.NEIGHBOUR", *ends)
        yield from changed(f"{what}, untagged VLAN", "NIC.VLAN", was.lldp.port_vlan_id, now.lldp.port_vlan_id)


def plugged(what: str, was: NicInFull, now: NicInFull) -> Iterator[Difference]:
    """The module in its cage. One that does not answer any more is told by its reason, which is a fault, too."""
    if isinstance(was.transceiver, Transceiver) and isinstance(now.transceiver, Transceiver):
        yield from each_changed(f"{what}, module", "NIC.MODULE", was.transceiver, now.transceiver, PLUG)
    elif not isinstance(was.transceiver, Unknown) and not isinstance(now.transceiver, Unknown):
        words = [None if one is None else f"{one.kind} {one.part or ''}" for one in (was.transceiver, now.transceiver)]
        yield from changed(f"{what}, module", "NIC.MODULE", *words, weight="fault" if words[1] is None else "change")


def pci(before: tuple[PciInFull, ...], after: tuple[PciInFull, ...]) -> Iterator[Difference]:
    """By place: a function that is another there, and a link that is narrower or slower than it was."""
    old, new = ({one.address: one for one in each} for each in (before, after))
    for address in sorted(old.keys() | new.keys()):
        was, now = old.get(address), new.get(address)
        names = [None if one is None else named(one) for one in (was, now)]
        yield from changed(f"PCI {address}", "PCI.FUNCTION", *names, weight="fault" if now is None else "change")
        if was is None or now is None or names[0] != names[1]:
            continue
        what = f"PCI {address} ({known(now.product_name) or now.class_name or now.product})"
        yield from each_changed(what, "PCI", was, now, ("driver", "revision"))
        if was.link is None or now.link is None:
            continue
        yield from lowered(f"{what}, link", "PCI.LINK_WIDTH", was.link.width_lanes, now.link.width_lanes, "lanes")
        if not now.device_class.startswith(DISPLAY):
            yield from lowered(f"{what}, link", "PCI.LINK_SPEED", was.link.speed_gts, now.link.speed_gts, "GT/s")


def named(one: PciInFull) -> str:
    """By its numbers: names depend on which database is installed."""
    return f"{one.vendor}:{one.product} (class {one.device_class})"


def usb(before: tuple[UsbInFull, ...], after: tuple[UsbInFull, ...]) -> Iterator[Difference]:
    """By what each is and its serial: the same stick in another port is the same."""
    old, new = keyed(before, usb_name), keyed(after, usb_name)
    for code, these, others in (("USB.GONE", old, new), ("USB.NEW", new, old)):
        for one in not_in(these, others):
            text = " ".join(filter(None, (known(one.vendor_name), known(one.product_name), one.serial)))
            told = {"before" if code == "USB.GONE" else "after": text or f"{one.vendor}:{one.product}"}
            yield Difference(code=code, weight="note", what=f"USB port {one.port}", **told)


def usb_name(one: UsbInFull) -> tuple[str | None, ...]:
    """Without its number, which is of this boot."""
    return one.vendor, one.product, one.serial
