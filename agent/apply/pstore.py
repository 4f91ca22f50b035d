# SPDX-License-Identifier: Apache-2.0
"""Doing `ErasePstore`: each record that a crashed kernel left is removed, which erases it in the platform's memory.

A backend may hand out the next record only once the first is gone (ERST), or take one back only after a while: what is
left after a few rounds is an error, not a success. Of UEFI's variables the kernel shows records only while it has a
driver for them and no other backend was first: those are looked for themselves, too.

The unit lets it: /sys stays writable under ProtectSystem=strict, the directory is root's, and to unlink a record takes
no CAP_SYSLOG, which ProtectKernelLogs takes away (Linux 5, fs/pstore/inode.c, pstore_unlink).
"""

from __future__ import annotations

from threading import Event

from agent.errors import DeviceError, HostError
from agent.host.doors import Host
from agent.model.job import Result

PLACE = "/sys/fs/pstore"
MOUNTED = "/proc/mounts"
VARIABLES = "/sys/firmware/efi/efivars"
CRASH_GUID = "cfc8fc79-be2e-4ddc-97f0-9f98bfe281a0"
"""LINUX_EFI_CRASH_GUID (include/linux/efi.h): dump-type0-1-1-1700000000-C and the like."""
ROUNDS = 8
PAUSE_S = 1.0


def erase_pstore(host: Host) -> Result:
    """Returns how many records went; the kernel may have none, or no such memory. Raises `DeviceError`."""
    place, variables = mounted_at(host), crash_variables_erased(host)
    result: Result = {"crash variables erased": variables} if variables else {}
    if place is None:
        return result or {"pstore": "the kernel keeps nothing over a crash here"}
    return {**result, "pstore records erased": records_erased(host, place)}


def records_erased(host: Host, place: str) -> int:
    """How many went. Raises `DeviceError`, `HostError`."""
    gone, refused = 0, dict[str, HostError]()
    for _ in range(ROUNDS):
        refused = {}
        names = host.files.names(place)
        if not names:
            return gone
        for name in names:
            try:
                host.files.remove(f"{place}/{name}")
                gone += 1
            except HostError as error:
                refused[name] = error
        host.clock.wait(Event(), PAUSE_S)
    left = host.files.names(place)
    if left:
        cause = next(iter(refused.values()), None)
        raise DeviceError("erasing the pstore", f"after {ROUNDS} rounds it still holds {', '.join(left)}") from cause
    return gone


def crash_variables_erased(host: Host) -> int:
    """How many UEFI variables of the kernel's own went. They are not immutable (Linux, drivers/firmware/efi/vars.c).
    Raises `DeviceError`, `HostError`.
    """
    found = crash_variables(host)
    for name in found:
        host.files.remove(f"{VARIABLES}/{name}")
    if left := crash_variables(host):
        raise DeviceError("erasing the pstore", f"the firmware has kept {', '.join(left)}")
    return len(found)


def crash_variables(host: Host) -> list[str]:
    """With their namespace."""
    return [name for name in host.files.names(VARIABLES) if name.endswith(f"-{CRASH_GUID}")]


def mounted_at(host: Host) -> str | None:
    """Where it is, if it is; it is mounted where it belongs if it is not yet. Raises `HostError`."""
    for line in host.files.read_text(MOUNTED).splitlines():
        words = line.split()
        if len(words) > 2 and words[2] == "pstore":
            return words[1]
    if not host.files.exists(PLACE):
        return None
    host.run(["mount", "-t", "pstore", "-o", "nosuid,nodev,noexec", "pstore", PLACE])
    return PLACE
