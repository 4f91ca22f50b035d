# SPDX-License-Identifier: Apache-2.0
"""Waiting for what a drive does by itself: a sanitize goes on over resets and power cuts, and is found again."""

from __future__ import annotations

from threading import Event
from typing import NamedTuple

from agent.errors import DeviceError
from agent.host.device_doors import Drives
from agent.host.doors import Host
from agent.host.sense import ata_sanitize, sanitize_sense
from agent.model.erasing import Means, ata, nvme
from agent.model.job import Advance
from agent.model.plan import EraseDisk

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.1, 5.0
STUCK_S = 6 * 3600.0
"""Without any progress. Drives have been seen to be "in progress" for days."""
MISSES = 6
"""A drive may be deaf for a while: so often in a row, with pauses between, it is gone."""


class Status(NamedTuple):
    """What the drive says of its sanitize. `means`: by what, where it tells."""

    running: bool
    progress: float
    succeeded: bool
    failed: bool
    text: str
    means: Means | None = None
    is_waking: bool = False


def running(host: Host, step: EraseDisk) -> Means | None:
    """What is under way already. Raises `DeviceError`."""
    for means in step.means:
        if means.is_sanitize:
            now = status(host.drives, step.disk.path, means)
            return (now.means or means) if now is not None and now.running else None
    return None


def watched(host: Host, step: EraseDisk, means: Means, advance: Advance) -> Status:
    """Until it ends, well or badly; what the drive then keeps of it. Raises `DeviceError` where it makes no progress,
    or the drive is gone.
    """
    doing, size = f"sanitizing {step.disk}", step.disk.size_bytes
    pause_s, misses, furthest, since_s = FIRST_PAUSE_S, 0, -1.0, host.clock.monotonic_s()
    while True:
        try:
            now = status(host.drives, step.disk.path, means)
            if now is not None and now.is_waking:
                raise DeviceError(doing, now.text)
        except DeviceError as error:
            misses += 1
            if misses == MISSES:
                raise DeviceError(
                    doing, f"the drive is gone, at {max(furthest, 0):.0%}; it goes on by itself"
                ) from error
            host.clock.wait(Event(), LONGEST_PAUSE_S)
            continue
        misses = 0
        if now is None:
            raise DeviceError(doing, "the drive does not tell how far it is")
        if not now.running:
            return now
        if now.progress > furthest:
            furthest, since_s = now.progress, host.clock.monotonic_s()
        elif host.clock.monotonic_s() - since_s > STUCK_S:
            raise DeviceError(doing, f"no progress for {STUCK_S / 3600:.0f} hours: {now.text}")
        advance(int(now.progress * size), size, f"the drive, which sanitizes itself ({now.progress:.0%})")
        host.clock.wait(Event(), pause_s)
        pause_s = min(2 * pause_s, LONGEST_PAUSE_S)


def status(drives: Drives, node: str, means: Means) -> Status | None:
    """By the drive's own record; `None` where it has none. Raises `DeviceError`, `DecodeError`."""
    if means in nvme.ACTIONS:
        raw = drives.nvme_log(node, nvme.SANITIZE_PAGE, nvme.LOG_BYTES)
        if raw is None:
            return None
        log = nvme.sanitize_status(raw)
        is_ours = log.succeeded and log.means is means
        return Status(log.is_running, log.progress, is_ours, log.failed, str(log), log.means)
    if means in ata.FEATURES:
        state = ata_sanitize(drives, node)
        if state is None:
            return None
        return Status(state.running, state.progress, state.completed, state.failed, str(state))
    sense = sanitize_sense(drives, node)
    if sense is None:
        return None
    return Status(
        sense.running, sense.progress or 0.0, sense.is_ready, sense.failed, str(sense), is_waking=sense.is_waking
    )
