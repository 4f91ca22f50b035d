# SPDX-License-Identifier: Apache-2.0
"""Doing `ResetPlatform`: each thing undone is looked at again. What cannot be undone is told, and fails nothing but a
boot that stays ordered: a next tenant's machine would boot what somebody else chose.
"""

from __future__ import annotations

from agent.errors import AgentError, DeviceError, HostError
from agent.host.doors import Files, Host
from agent.host.tpm_kept import kept
from agent.model.hardware.tpm_owner import LOCKOUT, PLATFORM, ask_permanent, clear, owned_by, refusal
from agent.model.job import Result
from agent.model.leftovers import ResetPlatform

BOOT_NEXT = "BootNext"
PPI = "/sys/class/tpm/tpm0/ppi/request"
CLEAR_AT_BOOT = "5"
"""TCG Physical Presence Interface 1.30, table 1: the firmware clears it at the next boot, or asks at the console."""


def reset_platform(host: Host, step: ResetPlatform) -> Result:
    """Returns what was undone, and what was not. Raises `HostError`."""
    result: Result = {}
    if step.boot_next:
        host.efi.remove(BOOT_NEXT)
        if BOOT_NEXT in host.efi.names():
            raise DeviceError("removing BootNext", "the firmware has kept it")
        result["BootNext"] = "removed"
    if step.clear_tpm:
        result["TPM"] = cleared(host)
    for link in step.functions:
        result[f"virtual functions of {link}"] = functions_removed(host.files, link)
    return result | {f"note {number}": note for number, note in enumerate(step.notes, 1)}


def cleared(host: Host) -> str:
    """By whichever authority it takes; else by the firmware, at the next boot."""
    refused = []
    try:
        for authority in (LOCKOUT, PLATFORM):
            if code := refusal(host.tpm.clear(clear(authority))):
                refused.append(f"{code:#x}")
                continue
            left = [f"a password of {name}" for name in owned_by(host.tpm.ask(ask_permanent()))] + [*kept(host.tpm)]
            return f"not cleared: it said that it was, and has {', '.join(left)}" if left else "cleared"
        why = f"it refused ({', '.join(refused)}): somebody has set its lockout password"
    except AgentError as error:
        why = str(error)
    try:
        is_heard = host.files.exists(PPI)
        if is_heard:
            host.files.tell(PPI, CLEAR_AT_BOOT)
    except HostError:
        is_heard = False
    if not is_heard:
        return f"not cleared: {why}; clear it in the firmware's setup"
    return f"not cleared yet: {why}; the firmware was asked to at the next boot"


def functions_removed(files: Files, link: str) -> str:
    """All of a NIC's."""
    place = f"/sys/class/net/{link}/device/sriov_numvfs"
    try:
        files.tell(place, "0")
        left = files.read_text(place).strip()
    except HostError as error:
        return f"not removed: {error}"
    return "removed" if left == "0" else f"not removed: it still has {left}"
