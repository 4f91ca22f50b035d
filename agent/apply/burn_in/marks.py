# SPDX-License-Identifier: Apache-2.0
"""What the hardware itself counts while it is under load: errors of memory (EDAC) and of PCI Express (AER), machine
checks, and how often a processor was slowed down for its temperature.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import NamedTuple

from agent.host.doors import Files
from agent.model.burn_in import Verdict
from agent.model.validation import codes

EDAC = "/sys/devices/system/edac/mc"
CPUS = "/sys/devices/system/cpu"
PCI = "/sys/bus/pci/devices"
INTERRUPTS = "/proc/interrupts"
MACHINE_CHECKS = "MCE"


class Mark(NamedTuple):
    """What is counted; where it is fatal, what it counts on is broken."""

    name: str
    code: str
    is_fatal: bool = False


Counts = Mapping[Mark, int]
UNCORRECTED = Mark("uncorrected memory errors", codes.UNCORRECTED, is_fatal=True)
CORRECTED = Mark("corrected memory errors", codes.CORRECTED)
THROTTLED = Mark("thermal throttling events", codes.THROTTLED)
CHECKED = Mark("machine checks", codes.MACHINE_CHECK, is_fatal=True)
FOLDERS = {
    UNCORRECTED: (EDAC, "mc", "ue_count"),
    CORRECTED: (EDAC, "mc", "ce_count"),
    THROTTLED: (CPUS, "cpu", "thermal_throttle/core_throttle_count"),
}
"""Documentation/admin-guide/ras.rst; arch/x86/kernel/cpu/mce/therm_throt.c."""
AER = {
    "aer_dev_correctable": ("corrected", codes.BUS_CORRECTED, False),
    "aer_dev_nonfatal": ("uncorrected", codes.BUS_UNCORRECTED, True),
    "aer_dev_fatal": ("fatal", codes.BUS_UNCORRECTED, True),
}
"""Documentation/ABI/testing/sysfs-bus-pci-devices-aer_stats: a line for each kind of error, then their total."""


@contextmanager
def worse_by(files: Files) -> Iterator[Callable[[Verdict], Verdict]]:
    """Yields what makes a finding worse by what was counted within the block."""
    with counting(files) as counted_more:

        def worse(finding: Verdict) -> Verdict:
            more = counted_more()
            if not more or finding.state == "skipped":
                return finding
            state = "failed" if finding.state == "failed" or any(mark.is_fatal for mark in more) else "degraded"
            told = "; ".join([*filter(None, [finding.told]), *(f"{count} {mark.name}" for mark, count in more.items())])
            figures = {**finding.figures, **{mark.name: count for mark, count in more.items()}}
            return finding.model_copy(update={"state": state, "told": told, "figures": figures})

        yield worse


@contextmanager
def counting(files: Files) -> Iterator[Callable[[], Counts]]:
    """Yields what says what was counted since."""
    before = counted(files)

    def more() -> Counts:
        after = counted(files)
        return {mark: after[mark] - before.get(mark, 0) for mark in after if after[mark] > before.get(mark, 0)}

    yield more


def counted(files: Files) -> dict[Mark, int]:
    """By what is counted; what a machine does not count is not there."""
    found: dict[Mark, int] = {}
    for mark, (folder, prefix, name) in FOLDERS.items():
        paths = [f"{folder}/{one}/{name}" for one in files.names(folder) if one[len(prefix) :].isdecimal()]
        values = [files.read_text(path).strip() for path in paths if files.exists(path)]
        if values:
            found[mark] = sum(int(value) for value in values if value.isdecimal())
    return found | machine_checks(files) | bus_errors(files)


def machine_checks(files: Files) -> dict[Mark, int]:
    """Exceptions, of all processors (arch_show_interrupts). Corrected errors are no exceptions."""
    lines = files.read_text(INTERRUPTS).splitlines() if files.exists(INTERRUPTS) else []
    for line in lines:
        name, _, rest = line.partition(":")
        if name.strip() == MACHINE_CHECKS:
            return {CHECKED: sum(int(word) for word in rest.split() if word.isdecimal())}
    return {}


def bus_errors(files: Files) -> dict[Mark, int]:
    """Of each function that counts them."""
    found: dict[Mark, int] = {}
    for function in files.names(PCI):
        for name, (kind, code, is_fatal) in AER.items():
            path = f"{PCI}/{function}/{name}"
            if files.exists(path):
                totals = [line.split() for line in files.read_text(path).splitlines() if line.startswith("TOTAL_ERR")]
                mark = Mark(f"{kind} PCI Express errors of {function}", code, is_fatal)
                found[mark] = sum(int(words[1]) for words in totals if len(words) == 2 and words[1].isdecimal())
    return found
