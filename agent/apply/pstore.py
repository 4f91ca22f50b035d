# SPDX-License-Identifier: Apache-2.0
"""Doing `ErasePstore`: each record that a crashed kernel left is removed, which erases it in the platform's memory.

A backend may hand out the next record only once the first is gone (ERST), or take one back only after a while: what is
left after a few rounds is an error, not a success.
"""

from __future__ import annotations

from threading import Event

from agent.errors import DeviceError, HostError
from agent.host.doors import Host
from agent.model.job import Result

PLACE = "/sys/fs/pstore"
MOUNTED = "/proc/mounts"
ROUNDS = 8
PAUSE_S = 1.0


def erase_pstore(host: Host) -> Result:
    """Returns how many records went; the kernel may have none, or no such memory. Raises `DeviceError`."""
    place = mounted_at(host)
    if place is None:
        return {"pstore": "the kernel keeps nothing over a crash here"}
    gone, refused = 0, dict[str, HostError]()
    for _ in range(ROUNDS):
        refused = {}
        names = host.files.names(place)
        if not names:
            return {"pstore records erased": gone}
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
    return {"pstore records erased": gone}


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
