# SPDX-License-Identifier: Apache-2.0
"""The inventory in full as people read it: what `agent.cli.inventory` has no room for, a table a noun."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Console
from rich.table import Table

from agent.cli.inventory import narrow, shown
from agent.model.bmc import Bmc
from agent.model.difference import Difference
from agent.model.fact import Unknown, known
from agent.model.hardware import Hardware
from agent.model.hardware.device import PciInFull, UsbInFull
from agent.model.hardware.disk import DiskHealth, DiskInFull
from agent.model.hardware.firmware import FirmwareInFull
from agent.model.hardware.nic import NicInFull
from agent.model.hardware.tpm import Tpm
from agent.model.lldp import LldpNeighbour
from agent.model.system import Dimm

GIB = 1024**3
PARTS_OF_A_BOARD = ("05", "06", "08", "11")
"""Bridges, memory controllers, and the rest of a chipset: a server has a hundred of them."""
STYLES = {"fault": "bold red", "change": "yellow", "note": "dim"}
Rows = Iterator[tuple[str, ...]]


def details(found: Hardware, console: Console) -> None:
    """Below the tables of the short inventory."""
    for line in board(found):
        console.print(line, highlight=False)
    for table in tables(found):
        console.print()
        console.print(table, highlight=False)
    for line in left_out(found):
        console.print(line, highlight=False, style="dim")


def board(found: Hardware) -> Iterator[str]:
    """Firmware, TPM, BMC: a line each."""
    firmware, tpm, bmc = found.firmware, found.tpm, found.bmc
    yield ""
    is_uefi = not isinstance(found.system, Unknown) and found.system.firmware_mode == "uefi"
    yield f"boot     {firmware if isinstance(firmware, Unknown) else booted(firmware, is_uefi=is_uefi)}"
    if not isinstance(firmware, Unknown) and (order := known(firmware.order)):
        yield f"         order {', '.join(order)}"
    if tpm is not None:
        yield f"TPM      {tpm if isinstance(tpm, Unknown) else told_of_tpm(tpm)}"
        for one in () if isinstance(tpm, Unknown) else tpm.certificates:
            yield f"         EK certificate {one}"
    if bmc is not None:
        yield f"BMC      {bmc if isinstance(bmc, Unknown) else told_of_bmc(bmc)}"


def told_of_tpm(tpm: Tpm) -> str:
    """One of version 1.2 tells nothing but that."""
    return f"{tpm.version}, {shown(tpm.manufacturer)}, firmware {shown(tpm.firmware)}"


def told_of_bmc(bmc: Bmc) -> str:
    """Where it is found."""
    return f"{shown(bmc.v4)}, {shown(bmc.v6)}, {shown(bmc.mac)}, firmware {shown(bmc.firmware)}"


def booted(firmware: FirmwareInFull, *, is_uefi: bool) -> str:
    """Secure Boot, and which entry it was."""
    if firmware == FirmwareInFull():
        return "by UEFI, which tells no more" if is_uefi else "not by UEFI"
    labels = {} if isinstance(firmware.entries, Unknown) else {one.name: one.label for one in firmware.entries}
    name = known(firmware.booted)
    secure = {True: "on", False: "off", None: "not there"}[known(firmware.secure_boot)]
    return f"Secure Boot {secure}; booted by {name or '-'} {labels.get(name or '', '')}".rstrip()


def tables(found: Hardware) -> Iterator[Table]:
    """Those with anything in them."""
    drawn = (
        (("memory", "size", "kind", "MT/s", "maker", "part", "serial"), modules(known(found.memory.dimms) or ()))
        if not isinstance(found.memory, Unknown)
        else ((), iter(())),
        (("disk", "health", "used", "hours", "°C", "firmware", "link"), drives(known(found.disks) or ())),
        (("NIC", "firmware", "VFs", "module", "neighbour"), cards(known(found.nics) or ())),
        (("PCI", "device", "driver", "link"), functions(known(found.pci_devices) or ())),
        (("USB", "device", "serial"), usb(found)),
        (("sensor", "of", "reading"), sensors(found)),
        (("memory errors", "corrected", "uncorrected"), errors(found)),
    )
    for columns, rows in drawn:
        table = narrow(*columns, firm=1)
        for row in rows:
            table.add_row(*row)
        if table.row_count:
            yield table


def modules(dimms: Sequence[Dimm]) -> Rows:
    """Memory; a module that runs slower than it could shows both."""
    for one in dimms:
        speeds = dict.fromkeys(filter(None, (one.configured_speed_mts, one.speed_mts)))
        yield (
            one.locator,
            f"{one.size_bytes / GIB:g} GiB",
            shown(one.kind),
            " of ".join(map(str, speeds)) or "-",
            shown(one.manufacturer),
            shown(one.part),
            shown(one.serial),
        )


def drives(disks: Sequence[DiskInFull]) -> Rows:
    """Disks that tell anything of themselves."""
    for one in disks:
        health = one.health
        if isinstance(health, DiskHealth):
            verdict = {True: "good", False: "FAILING", None: "-"}[health.passed]
            used = "-" if health.used_percent is None else f"{health.used_percent} %"
            words = (verdict, used, shown(health.power_on_hours), shown(health.temperature_celsius))
        else:
            words = (shown(health), "-", "-", "-")
        link = "-" if known(one.link_gbps) is None else f"{known(one.link_gbps):g} Gbit/s"
        yield one.path, *words, shown(one.firmware), link


def cards(nics: Sequence[NicInFull]) -> Rows:
    """NICs."""
    for one in nics:
        most = known(one.most_virtual_functions)
        functions = "-" if most is None else f"{shown(one.virtual_functions)} of {most}"
        plug = known(one.transceiver)
        module = shown(one.transceiver) if plug is None else " ".join(filter(None, (plug.kind, plug.part)))
        other = one.lldp
        end = f"{other.system_name or other.chassis_id} {other.port_id}" if isinstance(other, LldpNeighbour) else "-"
        yield one.name, shown(one.firmware), functions, module, end


def functions(every: Sequence[PciInFull]) -> Rows:
    """PCI, without what every board has; a link that is narrower or slower than it could be shows both."""
    for one in every:
        if one.device_class.startswith(PARTS_OF_A_BOARD):
            continue
        name = called(one)
        yield one.address, f"{one.class_name or one.device_class}: {name}", shown(one.driver), link(one)


def link(one: PciInFull) -> str:
    """Width and speed."""
    if one.link is None or one.link.width_lanes is None:
        return "-"
    now = f"x{one.link.width_lanes} {one.link.speed_gts or 0:g} GT/s"
    best = f"x{one.link.best_width_lanes} {one.link.best_speed_gts or 0:g} GT/s"
    return now if now == best or one.link.best_width_lanes is None else f"{now} of {best}"


def usb(found: Hardware) -> Rows:
    """USB devices."""
    for one in known(found.usb_devices) or ():
        yield one.port, called(one), shown(one.serial)


def called(one: PciInFull | UsbInFull) -> str:
    """By its names, else by its numbers."""
    words = filter(None, (known(one.vendor_name), known(one.product_name)))
    return " ".join(words) or f"{one.vendor}:{one.product}"


def sensors(found: Hardware) -> Rows:
    """What is measured now."""
    for one in known(found.sensors) or ():
        reading = shown(one.reading) if known(one.reading) is None else f"{known(one.reading):g} {one.reading_units}"
        yield one.name, one.chip, reading


def errors(found: Hardware) -> Rows:
    """What memory controllers have counted."""
    for one in known(found.memory_errors) or ():
        yield f"{one.controller} {one.name or ''}".strip(), str(one.correctable), str(one.uncorrectable)


def left_out(found: Hardware) -> Iterator[str]:
    """Reasons, and what is in --json only."""
    hidden = sum(one.device_class.startswith(PARTS_OF_A_BOARD) for one in known(found.pci_devices) or ())
    if hidden:
        yield ""
        yield f"{hidden} PCI functions of the board itself, caches, flags, link modes: --json"
    for word in ("pci_devices", "usb_devices", "gpus", "sensors", "memory_errors"):
        part = getattr(found, word)
        if isinstance(part, Unknown):
            yield f"? {word.replace('_', ' ')}: {part.unknown}"
    for one in known(found.disks) or ():
        if isinstance(one.health, Unknown):
            yield f"? health of {one.path}: {one.health.unknown}"


def compared(found: Sequence[Difference], console: Console) -> None:
    """Differences, a line each; what one is does not break in the middle of a word."""
    if not found:
        console.print("no differences", highlight=False)
        return
    table = narrow("", "code", "what")
    table.columns[2].no_wrap = False
    for one in found:
        table.add_row(f"[{STYLES[one.weight]}]{one.weight}[/]", one.code, str(one).replace("[", r"\["))
    console.print(table, highlight=False)
