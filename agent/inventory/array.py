# SPDX-License-Identifier: Apache-2.0
"""RAID arrays that the kernel runs, as disks: sysfs for what they are, udev for the name that their members bear.

One that is not assembled is seen on its members only, as content of disks.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from agent.host.disk_stack import BLOCK
from agent.host.doors import Files, Host
from agent.inventory.disk import disk, uses
from agent.inventory.disk_names import Properties, unescaped
from agent.inventory.disk_use import properties
from agent.inventory.fact import attempt, said, text
from agent.model.fact import Fact, Unknown, known
from agent.model.raid import RunningArray, without_host

ARRAY = re.compile(r"md\d+")
STOPPED = ("inactive", "clear")


def arrays(host: Host) -> tuple[RunningArray, ...]:
    """Every array, by name. Raises `HostError` where the answer could make a used one look free."""
    names = [name for name in host.files.names(BLOCK) if ARRAY.fullmatch(name)]
    if not names:
        return ()
    udev, used = attempt(host.udev.block_devices), uses(host)
    return tuple(array(host.files, name, udev, used) for name in names)


def array(
    files: Files, name: str, udev: Mapping[str, Properties] | Unknown, used: list[tuple[str, str]]
) -> RunningArray:
    """One array. Raises `HostError`."""
    at = f"{BLOCK}/{name}/md"
    members = files.names(f"{BLOCK}/{name}/slaves")
    uuid = text(files, f"{at}/uuid")
    facts = dict(disk(files, name, udev, used))
    return RunningArray(
        **facts,
        uuid=uuid,
        volume_name=volume_name(udev, members, known(uuid)),
        level=known(text(files, f"{at}/level")) or "",
        members=members,
        faults=tuple(faults(files, at, members)),
    )


def volume_name(udev: Mapping[str, Properties] | Unknown, members: tuple[str, ...], uuid: str | None) -> Fact[str]:
    """What its members say; a member that udev has not looked at since is no witness."""
    for member in members:
        told = properties(udev, member)
        if not isinstance(told, Unknown) and uuid is not None and told.get("ID_FS_UUID") == uuid:
            label = said(unescaped(told.get("ID_FS_LABEL_ENC") or told.get("ID_FS_LABEL", "")))
            return without_host(label) if label else None
    return Unknown(unknown=f"udev says of none of {', '.join(members) or 'its members'} that it is a part of it")


def faults(files: Files, at: str, members: tuple[str, ...]) -> list[str]:
    """Whatever of it is missing (Documentation/admin-guide/md.rst): it may have data that nobody sees here."""
    state = known(text(files, f"{at}/array_state"))
    if state is None or state in STOPPED:
        return [f"it does not run ({state or 'its state is unknown'})"]
    wanted, degraded = (known(text(files, f"{at}/{fact}")) for fact in ("raid_disks", "degraded"))
    found = [] if (degraded or "0") == "0" else [f"it is degraded by {degraded}"]
    return found if wanted == str(len(members)) else [*found, f"it has {len(members)} of {wanted} members"]
