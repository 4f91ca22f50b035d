# SPDX-License-Identifier: Apache-2.0
"""What is measured (hwmon), and what the memory controllers count (EDAC).

Documentation/hwmon/sysfs-interface.rst; Documentation/ABI/testing/sysfs-devices-edac.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from agent.host.doors import Files
from agent.inventory.fact import attempt, of
from agent.inventory.folder import Folder, each
from agent.model.fact import Fact, Unknown, known
from agent.model.hardware.sensor import MemoryErrors, RankErrors, Sensor, Units

HWMON = "/sys/class/hwmon"
EDAC = "/sys/devices/system/edac/mc"
READING = re.compile(r"(temp|fan|in|curr|power|energy|humidity)([0-9]+)_(input|average)")
SCALES: dict[str, tuple[Units, int]] = {
    "temp": ("Cel", 1000), "fan": ("RPM", 1), "in": ("V", 1000), "curr": ("A", 1000), "power": ("W", 1_000_000),
    "energy": ("J", 1_000_000), "humidity": ("%", 1000),
}  # fmt: skip


def sensors(files: Files) -> tuple[Sensor, ...]:
    """Of all chips. Raises `HostError`."""
    return tuple(reading for _, chip in each(files, HWMON) for reading in readings(chip))


def readings(chip: Folder) -> Iterator[Sensor]:
    """Of one chip. Power meters have an average where they have no present reading. Raises `HostError`."""
    name = chip.line("name") or chip.path.rpartition("/")[2]
    for found in filter(None, map(READING.fullmatch, chip.names)):
        kind, number, which = found.groups()
        if which == "average" and f"{kind}{number}_input" in chip:
            continue
        units, scale = SCALES[kind]
        label = chip.fact(f"{kind}{number}_label")
        yield Sensor(
            chip=name,
            name=known(label) or f"{kind}{number}",
            reading=label if isinstance(label, Unknown) else scaled(chip, found[0], scale),
            reading_units=units,
            critical=scaled(chip, f"{kind}{number}_crit", scale),
        )


def scaled(chip: Folder, file: str, scale: int) -> Fact[float]:
    """In whole units."""
    return of(attempt(lambda: chip.signed(file)), lambda value: value / scale)


def memory_errors(files: Files) -> tuple[MemoryErrors, ...]:
    """Of every memory controller that has a driver. Raises `HostError`, `DecodeError`."""
    return tuple(controller(files, name, one) for name, one in each(files, EDAC) if re.fullmatch(r"mc[0-9]+", name))


def controller(files: Files, name: str, one: Folder) -> MemoryErrors:
    """One. Raises `HostError`, `DecodeError`."""
    return MemoryErrors(
        controller=name,
        name=one.line("mc_name"),
        size_mib=one.whole("size_mb"),
        correctable=one.whole("ce_count") or 0,
        uncorrectable=one.whole("ue_count") or 0,
        modules=attempt(lambda: tuple(modules(files, one))),
    )


def modules(files: Files, one: Folder) -> Iterator[RankErrors]:
    """By the label that the board's maker, or an operator, has given them. Raises `HostError`, `DecodeError`."""
    for name in (found for found in one.names if re.fullmatch(r"(dimm|rank)[0-9]+", found)):
        module = Folder(files, f"{one.path}/{name}")
        yield RankErrors(
            name=module.words("dimm_label") or module.words("dimm_location") or name,
            correctable=module.whole("dimm_ce_count") or 0,
            uncorrectable=module.whole("dimm_ue_count") or 0,
        )
