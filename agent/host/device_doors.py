# SPDX-License-Identifier: Apache-2.0
"""The doors to devices themselves, as protocols: what a disk, a NIC or a TPM answers when it is asked about itself.

None of them can change anything: each has questions only. What the answers mean, `agent.model.hardware` says.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class AtaAnswer:
    """A sector that was asked for, or the registers of a command without data."""

    data: bytes = b""
    lba_mid: int = 0
    lba_high: int = 0


class Drives(Protocol):
    """Disks by their node. Raises `DeviceError`; `None` is "this disk does not know that command"."""

    def nvme_identify(self, node: str, structure: int, namespace: int = 0) -> bytes | None:
        """4096 bytes (NVMe Base 2.0, section 5.17); `structure` is the CNS."""
        ...

    def nvme_log(self, node: str, page: int, length: int) -> bytes | None:
        """A log page of the controller (section 5.16)."""
        ...

    def ata_identify(self, node: str) -> bytes | None:
        """IDENTIFY DEVICE, 512 bytes."""
        ...

    def ata_smart(self, node: str, feature: int) -> AtaAnswer | None:
        """SMART READ DATA (0xD0), READ THRESHOLDS (0xD1), RETURN STATUS (0xDA)."""
        ...

    def scsi_log(self, node: str, page: int) -> bytes | None:
        """LOG SENSE, cumulative values (SPC-5, section 6.9)."""
        ...


class Ethtool(Protocol):
    """A NIC's driver, by ethtool's ioctl (linux/ethtool.h)."""

    def __call__(self, link: str, request: bytes) -> bytes | None:
        """The request as the kernel has filled it in; its first four bytes are the command. `None` is "not supported".
        Raises `DeviceError`.
        """
        ...


class Tpm(Protocol):
    """The TPM, by the kernel's resource manager."""

    def is_there(self) -> bool: ...
    def ask(self, command: bytes) -> bytes:
        """The response to a command that only reads. Raises `DeviceError`."""
        ...
