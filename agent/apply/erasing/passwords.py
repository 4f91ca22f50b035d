# SPDX-License-Identifier: Apache-2.0
"""ATA's secure erase, which needs a password, and the care that no drive is left with one.

Set, erase, and the erasure takes it away. Wherever that breaks off, the drive has our password, which is always the
same, and is freed of it: at once, or after a power cut by the next agent that is asked to erase the drive.
"""

from __future__ import annotations

from agent.errors import DeviceError, HostError
from agent.host.doors import Host
from agent.model.disk import DiskIdentity
from agent.model.erasing import ata

ORDER_S = 60.0


def secure_erase(host: Host, disk: DiskIdentity, *, enhanced: bool) -> None:
    """At its end the drive has no password. Raises `DeviceError`, the drive being free of ours in any case but that
    which the error names.
    """
    node = disk.path
    told = security(host, disk)
    if told.is_frozen or told.is_enabled:
        raise DeviceError(f"erasing {disk}", "it is frozen" if told.is_frozen else "it has a password")
    try:
        host.erasers.ata_security(node, ata.SET_PASSWORD, ata.password_block(), ORDER_S)
        host.erasers.ata_security(node, ata.ERASE_PREPARE, b"", ORDER_S)
        flags, patience_s = (ata.ENHANCED, told.enhanced_s) if enhanced else (0, told.erase_s)
        host.erasers.ata_security(node, ata.ERASE_UNIT, ata.password_block(flags), patience_s)
    finally:
        freed(host, disk)


def freed(host: Host, disk: DiskIdentity) -> None:
    """Take our password from a drive that has one. One wrong try is made at most: after five a drive takes none until
    it is switched off. Raises `DeviceError` where it keeps one: it is ours no more, or never was.
    """
    told = security(host, disk)
    if not told.is_enabled:
        return
    doing = f"taking the password from {disk}"
    try:
        if told.is_locked:
            host.erasers.ata_security(disk.path, ata.UNLOCK, ata.password_block(), ORDER_S)
        host.erasers.ata_security(disk.path, ata.DISABLE_PASSWORD, ata.password_block(), ORDER_S)
    except HostError as error:
        other = "it has another password than ours, or its adapter does not tell what it answers"
        why = "frozen by the firmware: switch it off and on" if told.is_frozen else other
        raise DeviceError(doing, why, hint=HINT) from error
    if security(host, disk).is_enabled:
        raise DeviceError(doing, "the drive says that it is gone, and has it still", hint=HINT)


HINT = (
    "A drive with a stranger's password: erase it with the master password, or the PSID on its label, or replace it. "
    f"One of ours opens with the password {ata.PASSWORD.decode()!r}, padded with zero bytes."
)


def security(host: Host, disk: DiskIdentity) -> ata.Security:
    """As the drive is now. Raises `DeviceError`, `DecodeError`."""
    raw = host.drives.ata_identify(disk.path)
    if raw is None:
        raise DeviceError(f"asking {disk} for its password's state", "it does not say what it is")
    return ata.security(raw)
