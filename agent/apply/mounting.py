# SPDX-License-Identifier: Apache-2.0
"""A stranger's filesystem, mounted: no device, no program, no set-uid of it counts, and nothing of it is run. What is
captured, looked into for its loader, or given files is mounted here, and nowhere else.
"""

from __future__ import annotations

from threading import Event

from agent.errors import CommandFailed
from agent.host.doors import Host, Tree

SAFELY = "nosuid,nodev,noexec"
TIMEOUT_S = 1800.0
"""A journal is replayed in seconds; a drive that is dying is slow."""
TRIES, PAUSE_S = 5, 1.0


def mount(host: Host, kind: str, source: str, place: str, *options: str, mode: str = "") -> None:
    """At a folder that is there; `mode` is ro or rw. Raises `CommandFailed` where the kernel does not take it."""
    told = ",".join(filter(None, (mode, SAFELY, *options)))
    host.run(["mount", "-t", kind, "-o", told, source, host.files.real_path(place)], timeout_s=TIMEOUT_S)


def make_place(host: Host, place: str) -> None:
    """The folder."""
    host.files.write(f"{place}/.keep", b"")


def unmount(host: Host, place: str) -> None:
    """Flushed, and clean. Tried again for a while: udev may be looking. Raises `CommandFailed`."""
    for attempt in range(TRIES):
        try:
            host.run(["umount", host.files.real_path(place)], timeout_s=TIMEOUT_S)
            return
        except CommandFailed:
            if attempt == TRIES - 1:
                raise
            host.clock.wait(Event(), PAUSE_S)


def unmount_all(host: Host, place: str) -> None:
    """What is there, and below, from the bottom up; also what an agent that died has left. Raises `HostError`."""
    places = [one for _, one in host.counters.mounts() if one == place or one.startswith(f"{place}/")]
    for one in sorted(places, key=len, reverse=True):
        unmount(host, one)


def is_root(tree: Tree, folder: str) -> bool:
    """Whether a folder is the root of an operating system."""
    has_release = any(tree.kind(f"{folder}/{path}") for path in ("etc/os-release", "usr/lib/os-release"))
    return has_release and tree.kind(f"{folder}/etc") == "directory"
