# SPDX-License-Identifier: Apache-2.0
"""Doing `StopHolder`: an array, a mapped or a cached device is taken down, and swap is ended. The kernel refuses while
anybody uses it, or where what was swapped out has no room in memory.
"""

from __future__ import annotations

from threading import Event

from agent.errors import DiskChanged, NotAsObserved
from agent.host.disk_stack import holder
from agent.host.doors import Host
from agent.model.disk import Holder
from agent.model.job import Advance, Result
from agent.model.plan import StopHolder

PATIENCE_S = 10.0
PAUSE_S = 0.1
SWAP_S = 1800.0
"""All that is there is read back into memory."""


def stop_holder(host: Host, step: StopHolder, advance: Advance) -> Result:
    """Returns when nothing is held by it any more. Raises `HostError`, `DiskChanged`."""
    advance(0, None)
    one, doing = step.holder, f"taking down {step.holder}"
    if still_held(host, one):
        now = one if one.kind == "swap" else holder(host.files, one.name, one.on[0])
        if now != one:
            raise DiskChanged(doing, f"now {now} stands on {', '.join(now.on)}")
        order(host, one)
        deadline_s = host.clock.monotonic_s() + PATIENCE_S
        while (held := still_held(host, one)) and host.clock.monotonic_s() < deadline_s:
            host.clock.wait(Event(), PAUSE_S)
        if held:
            raise NotAsObserved(doing, f"it still holds {', '.join(held)}")
    return {f"stopped {one.name}": ", ".join(one.on)}


def order(host: Host, one: Holder) -> None:
    """Tell the kernel. "clear" is the ioctl STOP_ARRAY (Documentation/admin-guide/md.rst): superblocks stay."""
    if one.kind == "md":
        host.files.tell(f"/sys/block/{one.name}/md/array_state", "clear")
    elif one.kind == "bcache":
        stop_cached(host, one)
    elif one.kind == "swap":
        host.run(["swapoff", f"/dev/{one.on[0]}"], timeout_s=SWAP_S)
    else:
        host.run(["dmsetup", "remove", "--retry", one.label or one.name])


def stop_cached(host: Host, one: Holder) -> None:
    """The device, and the cache set that it has, which would keep its own disk open (Documentation/admin-guide/
    bcache.rst: "stop"). What is in the cache and not on the disk behind it is not written there.
    """
    sets = [f"/sys/class/block/{below}/bcache/set" for below in one.on]
    for place in (f"/sys/block/{one.name}/bcache", *sets):
        if host.files.exists(f"{place}/stop"):
            host.files.tell(f"{place}/stop", "1")


def still_held(host: Host, one: Holder) -> list[str]:
    """What it stands on, as far as that still says so."""
    if one.kind == "swap":
        used = {host.files.resolve(node) for node in host.counters.swaps()}
        return [below for below in one.on if f"/dev/{below}" in used]
    return [below for below in one.on if is_held(host, one, f"/sys/class/block/{below}")]


def is_held(host: Host, one: Holder, at: str) -> bool:
    """What bcache has let go of has no directory of its any more."""
    is_cached = one.kind == "bcache" and host.files.exists(f"{at}/bcache")
    return is_cached or one.name in host.files.names(f"{at}/holders")
