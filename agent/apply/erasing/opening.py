# SPDX-License-Identifier: Apache-2.0
"""Opening a drive that a failed sanitize has shut. Until then it takes neither data nor other orders, over power cuts.

One that was begun unrestricted, as ours are, can be left behind by a word; after any other a sanitize has to succeed,
and the drive takes none but those that are restricted, too.
"""

from __future__ import annotations

from agent.apply.erasing.means import leave_failure, sanitize
from agent.apply.erasing.watch import status, watched
from agent.errors import DeviceError
from agent.host.doors import Host
from agent.model.erasing import Shut
from agent.model.job import Advance
from agent.model.plan import EraseDisk

HINT = "Switch the drive off and on, and erase it again; if that fails, too, it is to be replaced and destroyed."


def opened(host: Host, step: EraseDisk, shut: Shut, advance: Advance) -> list[str]:
    """What it took; nothing if the drive is not shut. What it holds then is for the erasure to find out. Raises
    `DeviceError` where it stays shut.
    """
    if not is_shut(host, step, shut):
        return []
    try:
        leave_failure(host, step.disk.path, shut.by)
        tried = ["it was told to leave that, and has not"]
    except DeviceError as error:
        tried = [str(error)]
    if not is_shut(host, step, shut):
        return ["a sanitize had failed: the drive was told to go on without it"]
    for means in shut.opening:
        try:
            sanitize(host, step.disk.path, means, restricted=True)
            ended = watched(host, step, means, advance)
        except DeviceError as error:
            tried.append(f"{means}: {error}")
            continue
        if ended.succeeded:
            return [f"a sanitize had failed, and left the drive shut: {means} opened it"]
        tried.append(f"{means}: the drive says: {ended.text}")
    why = f"a sanitize has failed on it, and it takes nothing before one succeeds: {'; '.join(tried)}"
    raise DeviceError(f"opening {step.disk}", why, hint=HINT)


def is_shut(host: Host, step: EraseDisk, shut: Shut) -> bool:
    """By the drive's own record. Raises `DeviceError`."""
    now = status(host.drives, step.disk.path, shut.by)
    return now is not None and now.failed
