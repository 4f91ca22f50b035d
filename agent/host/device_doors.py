# SPDX-License-Identifier: Apache-2.0
"""The doors to devices themselves, as protocols: what a disk, a NIC, a TPM or the firmware answers when it is asked
about itself.

`Drives` and `Ethtool` have questions only. What makes a drive forget is a door of its own, `Erasers`. What the answers
mean, `agent.model.hardware` and `agent.model.erasing` say.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class AtaAnswer:
    """A sector that was asked for, or the registers of a command without data."""

    data: bytes = b""
    lba_low: int = 0
    lba_mid: int = 0
    lba_high: int = 0
    count: int = 0
    lba_upper: int = 0
    """Bits 47 to 24 of the address."""
    error: int = 0
    """The error register of a command that the drive aborted."""


class Drives(Protocol):
    """Disks by their node. Raises `DeviceError`; `None` is "this disk does not know that command"."""

    def nvme_identify(self, node: str, structure: int, namespace: int = 0) -> bytes | None:
        """4096 bytes (NVMe Base 2.0, section 5.17); `structure` is the CNS."""
        ...

    def nvme_log(self, node: str, page: int, length: int) -> bytes | None:
        """A log page of the controller (section 5.16)."""
        ...

    def nvme_boot_log(self, node: str, number: int, offset_bytes: int, length: int) -> bytes | None:
        """A piece of the log page of a boot partition, 0 or 1 (section 5.16.1.19): 16 bytes of header, then what it
        holds.
        """
        ...

    def ata_identify(self, node: str) -> bytes | None:
        """IDENTIFY DEVICE, 512 bytes."""
        ...

    def ata_smart(self, node: str, feature: int, log: int = 0) -> AtaAnswer | None:
        """SMART READ DATA (0xD0), READ THRESHOLDS (0xD1), READ LOG (0xD5) with its number, RETURN STATUS (0xDA)."""
        ...

    def ata_sanitize_status(self, node: str) -> AtaAnswer | None:
        """SANITIZE STATUS EXT (ACS-4, section 7.36): its registers, also where the drive aborted it, since it does that
        after a sanitize that failed, and says why in the address.
        """
        ...

    def ata_capacity(self, node: str, command: int) -> AtaAnswer | None:
        """How large it was made: the last address by READ NATIVE MAX ADDRESS EXT (0x27) or GET NATIVE MAX ADDRESS EXT
        (0x78), the sector of DEVICE CONFIGURATION IDENTIFY (0xB1) (ACS-2, sections 7.10.4 and 7.34; ACS-3, 7.2.2).
        """
        ...

    def scsi_log(self, node: str, page: int) -> bytes | None:
        """LOG SENSE, cumulative values (SPC-5, section 6.9)."""
        ...

    def scsi_supports(self, node: str, opcode: int, action: int) -> bytes | None:
        """REPORT SUPPORTED OPERATION CODES, of one with that service action (SPC-5, section 6.35)."""
        ...

    def scsi_sense(self, node: str) -> bytes | None:
        """REQUEST SENSE, in the descriptor format where the disk has it."""
        ...


class Erasers(Protocol):
    """Drives by their node, told to forget. All that they hold is lost. Raises `DeviceError`: what was ordered was not
    begun, or ended in an error. An order that returns proves nothing.
    """

    def nvme_format(self, node: str, namespace: int, cdw10: int, timeout_s: float) -> None:
        """Format NVM (NVMe Base 2.0, section 5.14): returns at its end."""
        ...

    def nvme_sanitize(self, node: str, cdw10: int) -> None:
        """Sanitize (section 5.24): returns when it has begun."""
        ...

    def ata_sanitize(self, node: str, feature: int, key: int, count: int) -> None:
        """SANITIZE DEVICE (ACS-4, section 7.33 and following): returns when it has begun."""
        ...

    def ata_security(self, node: str, command: int, block: bytes, timeout_s: float) -> None:
        """A command of the Security feature set (section 7.39 and following), at its end; `block` may be empty."""
        ...

    def ata_show(self, node: str, question: int, last: int) -> None:
        """Let it show itself up to that address, for good: what `Drives.ata_capacity` told by that question."""
        ...

    def scsi_sanitize(self, node: str, word: int) -> None:
        """SANITIZE (SBC-4, section 5.33) with the service action and the bits of its second byte."""
        ...

    def discard(self, node: str, offset_bytes: int, length_bytes: int) -> None:
        """BLKDISCARD: a hint, nothing more."""
        ...


class Ethtool(Protocol):
    """A NIC's driver, by ethtool's ioctl (linux/ethtool.h)."""

    def __call__(self, link: str, request: bytes) -> bytes | None:
        """The request as the kernel has filled it in; its first four bytes are the command. `None` is "not supported".
        Raises `DeviceError`.
        """
        ...


class Tpm(Protocol):
    """The TPM, by the kernel's resource manager. What `ask` sends only reads."""

    def is_there(self) -> bool: ...
    def ask(self, command: bytes) -> bytes:
        """The response to a command that only reads. Raises `DeviceError`."""
        ...

    def clear(self, command: bytes) -> bytes:
        """The response to TPM2_Clear: what its owner kept in it is gone. Raises `DeviceError`."""
        ...

    def seal(self, secret: bytes) -> bytes:
        """What this TPM alone makes the secret of again; nothing is kept in it. Raises `DeviceError`, `DecodeError`."""
        ...

    def unseal(self, sealed: bytes) -> bytes:
        """The secret. Raises `DeviceError`, `DecodeError`; `SealRefused` where it is not this TPM's."""
        ...


class Ipmi(Protocol):
    """The BMC, from within (IPMI 2.0): commands over the system interface."""

    def is_there(self) -> bool:
        """Whether the kernel has a BMC's device."""
        ...

    def ask(self, netfn: int, command: int, data: bytes) -> bytes:
        """The answer: its completion code (0 is good), and what is behind it. Raises `DeviceError` if none comes."""
        ...


class Efi(Protocol):
    """The firmware's variables, those that UEFI itself defines, which outlive every boot. By name: "Boot0001"."""

    def is_there(self) -> bool:
        """Whether this boot came from UEFI; otherwise there are no variables."""
        ...

    def names(self) -> tuple[str, ...]:
        """Sorted. Raises `DeviceError` where there are some and they cannot be reached."""
        ...

    def read(self, name: str) -> bytes: ...
    def write(self, name: str, data: bytes) -> None:
        """Make it, or replace what it holds, all or nothing."""
        ...

    def remove(self, name: str) -> None:
        """One that is not there is fine."""
        ...
