# SPDX-License-Identifier: Apache-2.0
"""What the hardware itself counts while it is under load: memory errors, corrected or not (EDAC), and how often a
processor was slowed down for its temperature.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from agent.host.doors import Files
from agent.model.burn_in import Verdict

EDAC = "/sys/devices/system/edac/mc"
CPUS = "/sys/devices/system/cpu"
COUNTERS = {
    "uncorrected memory errors": (EDAC, "mc", "ue_count"),
    "corrected memory errors": (EDAC, "mc", "ce_count"),
    "thermal throttling events": (CPUS, "cpu", "thermal_throttle/core_throttle_count"),
}
"""Documentation/admin-guide/ras.rst; arch/x86/kernel/cpu/mce/therm_throt.c."""
FATAL = "uncorrected memory errors"


@contextmanager
def worse_by(files: Files) -> Iterator[Callable[[Verdict], Verdict]]:
    """Yields what makes a finding worse by what was counted within the block."""
    before = counted(files)

    def worse(finding: Verdict) -> Verdict:
        after = counted(files)
        more = {name: after[name] - before.get(name, 0) for name in after if after[name] > before.get(name, 0)}
        if not more or finding.state == "skipped":
            return finding
        state = "failed" if FATAL in more or finding.state == "failed" else "degraded"
        told = "; ".join([*filter(None, [finding.told]), *(f"{count} {name}" for name, count in more.items())])
        return finding.model_copy(update={"state": state, "told": told, "figures": {**finding.figures, **more}})

    yield worse


def counted(files: Files) -> dict[str, int]:
    """By what is counted; what a machine does not count is not there."""
    found: dict[str, int] = {}
    for what, (folder, prefix, name) in COUNTERS.items():
        paths = [f"{folder}/{one}/{name}" for one in files.names(folder) if one[len(prefix) :].isdecimal()]
        values = [files.read_text(path).strip() for path in paths if files.exists(path)]
        if values:
            found[what] = sum(int(value) for value in values if value.isdecimal())
    return found
