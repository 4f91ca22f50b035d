# SPDX-License-Identifier: Apache-2.0
"""Letting an ATA drive show what it hides, before it is erased: for good, so that nothing of it comes back later.

By the command of each feature that hides something, until nothing does; then the kernel is told to look at the drive
again. In: the step as planned. Out: the step for the whole drive, or an error that says why it stays as it is.
"""

from __future__ import annotations

from threading import Event

from agent.errors import DeviceError, HostError
from agent.host.doors import Host
from agent.host.sense import capacities
from agent.model.disk import DiskIdentity
from agent.model.erasing import capacity
from agent.model.plan import EraseDisk

ROUNDS = 4
"""What one feature hides may be all that another shows."""
PATIENCE_S, PAUSE_S = 60.0, 0.5
HOSTS = "/sys/class/scsi_host"
FROZEN = (
    "Its firmware has frozen that, or it was changed once since it was switched on: switch the drive off and on (take "
    "it out, or suspend the machine to memory and wake it), and erase it again."
)
UNSEEN = "It shows all of itself now, and the kernel does not see it: boot the machine again, and erase it once more."


def shown(host: Host, step: EraseDisk) -> EraseDisk:
    """The drive is as large as it was made, and so is what is to be erased. Raises `DeviceError`, `DecodeError`."""
    disk, hidden_bytes = step.disk, step.hidden_bytes or 0
    for _ in range(ROUNDS):
        raw = identified(host, disk)
        hiding = {each: size for each, size in capacities(host.drives, disk.path, raw).items()
                  if size > capacity.shown(raw)}  # fmt: skip
        if not hiding:
            break
        command = next(each for each in capacity.ORDER if each in hiding)
        try:
            host.erasers.ata_show(disk.path, command, hiding[command] - 1)
        except DeviceError as error:
            raise DeviceError(f"letting {disk} show what it hides", error.evidence, hint=FROZEN) from error
    whole = disk.model_copy(update={"size_bytes": disk.size_bytes + hidden_bytes})
    made_bytes = capacity.shown(identified(host, disk)) * disk.logical_sector_bytes
    if made_bytes != whole.size_bytes:
        why = f"it took the order, and shows {made_bytes} bytes, not {whole.size_bytes}"
        raise DeviceError(f"letting {disk} show what it hides", why, hint=FROZEN)
    seen_anew(host, whole)
    return step.model_copy(update={"disk": whole, "sample_offsets": step.shown_offsets, "hidden_bytes": 0})


def identified(host: Host, disk: DiskIdentity) -> bytes:
    """IDENTIFY DEVICE. Raises `DeviceError`."""
    raw = host.drives.ata_identify(disk.path)
    if raw is None:
        raise DeviceError(f"asking {disk} how large it is", "it does not say what it is")
    return raw


def seen_anew(host: Host, whole: DiskIdentity) -> None:
    """The kernel has its new size. Linux's own ATA ports read it when they are reset, which a scan does (libata-scsi.c,
    ata_scsi_user_scan); another adapter's disk when it is rescanned. Raises `DeviceError`.
    """
    name = whole.path.removeprefix("/dev/")
    at = host.files.resolve(f"/sys/block/{name}/device")
    adapter = next((each for each in at.split("/") if each.startswith("host")), "")
    doing, deadline_s = f"looking at {whole} anew", host.clock.monotonic_s() + PATIENCE_S
    try:
        if adapter and any(each.startswith("ata") for each in at.split("/")):
            host.files.tell(f"{HOSTS}/{adapter}/scan", "- - -")
        host.files.tell(f"/sys/block/{name}/device/rescan", "1")
        while size_bytes(host, name) != whole.size_bytes:
            if host.clock.monotonic_s() >= deadline_s:
                raise DeviceError(doing, f"after {PATIENCE_S:.0f} s it is not as large", hint=UNSEEN)
            host.clock.wait(Event(), PAUSE_S)
    except HostError as error:
        raise DeviceError(doing, error.evidence, hint=UNSEEN) from error


def size_bytes(host: Host, name: str) -> int:
    """As the kernel has it; nothing while it is away. Raises `HostError`."""
    place = f"/sys/block/{name}/size"
    text = host.files.read_text(place).strip() if host.files.exists(place) else ""
    return int(text) * 512 if text.isdecimal() else 0
