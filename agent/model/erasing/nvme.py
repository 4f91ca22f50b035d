# SPDX-License-Identifier: Apache-2.0
"""How an NVMe drive forgets: Format NVM and Sanitize, bytes → values (NVMe Base 2.0, sections 5.14 and 5.24). Pure.

Whatever the bytes are, the answer is a value or `DecodeError`.
"""

from __future__ import annotations

from agent.errors import DecodeError
from agent.model.erasing import Means
from agent.model.frozen import Frozen

IDENTIFY_BYTES, LOG_BYTES = 4096, 512
SANITIZE_PAGE = 0x81
ALL_NAMESPACES = 0xFFFFFFFF
CMIC, OACS, FNA, SANICAP = 76, 256, 524, 328
SEVERAL_CONTROLLERS = 1 << 1
CAN_FORMAT = 1 << 1
FORMAT_ALL, ERASE_ALL, CAN_CRYPTO_FORMAT = 1 << 0, 1 << 1, 1 << 2
CAN_CRYPTO, CAN_BLOCK = 1 << 0, 1 << 1
EXIT_FAILURE, BLOCK, OVERWRITE, CRYPTO = 1, 2, 3, 4
UNRESTRICTED = 1 << 3
"""AUSE: a sanitize that fails leaves a drive that can be told to go on without (figure 306)."""
SES_ERASE, SES_CRYPTO = 1, 2
NEVER, SUCCEEDED, RUNNING, FAILED, SUCCEEDED_DEALLOCATED = range(5)
FULL = 0x10000
VERSION, WITH_BOOT_LOG = 80, 0x20000
BOOT_HEAD_BYTES, BOOT_UNIT_BYTES = 16, 128 * 1024
"""Of the log page of boot partitions, which there is since NVMe 2.0 (figure 263); earlier drives tell of them by their
registers alone.
"""
ACTIONS = {Means.NVME_SANITIZE_CRYPTO: CRYPTO, Means.NVME_SANITIZE_BLOCK: BLOCK}
SETTINGS = {Means.NVME_FORMAT_CRYPTO: SES_CRYPTO, Means.NVME_FORMAT_ERASE: SES_ERASE}


class Powers(Frozen):
    """What Identify Controller says (figure 276): CMIC, OACS, FNA, SANICAP."""

    formats: bool
    formats_crypto: bool
    format_reaches_all: bool
    """Format, or the erasing by it, takes every namespace, not the one that is named."""
    sanitizes_crypto: bool
    sanitizes_block: bool
    has_other_controllers: bool
    """What is attached to nobody here may be attached to another machine."""

    @property
    def sanitizes(self) -> bool:
        """In whichever way."""
        return self.sanitizes_crypto or self.sanitizes_block


class SanitizeStatus(Frozen):
    """The sanitize log (figure 294)."""

    state: int
    progress: float
    action: int
    globally_erased: bool

    @property
    def is_running(self) -> bool:
        """It goes on, over resets and power cuts."""
        return self.state == RUNNING

    @property
    def failed(self) -> bool:
        """The drive takes nothing until that is mended: commands end with status 1Ch (figure 95)."""
        return self.state == FAILED

    @property
    def succeeded(self) -> bool:
        """In whichever way."""
        return self.state in (SUCCEEDED, SUCCEEDED_DEALLOCATED)

    @property
    def means(self) -> Means | None:
        """That it was begun by; `None` for an overwrite, which is somebody else's."""
        return next((means for means, action in ACTIONS.items() if action == self.action), None)

    def __str__(self) -> str:
        words = ("no sanitize ever", "sanitize succeeded", "sanitize running", "sanitize failed", "sanitize succeeded")
        state = words[self.state] if self.state < len(words) else f"sanitize status {self.state}"
        erased = ", nothing written since" if self.globally_erased else ""
        return f"{state} (action {self.action}, {self.progress:.0%}{erased})"


def powers(raw: bytes) -> Powers:
    """From Identify Controller. Raises `DecodeError`."""
    checked(raw, IDENTIFY_BYTES, "reading what an NVMe controller can erase")
    can_format = bool(number(raw, OACS, 2) & CAN_FORMAT)
    sanitize = number(raw, SANICAP, 4)
    return Powers(
        formats=can_format,
        formats_crypto=can_format and bool(raw[FNA] & CAN_CRYPTO_FORMAT),
        format_reaches_all=bool(raw[FNA] & (FORMAT_ALL | ERASE_ALL)),
        sanitizes_crypto=bool(sanitize & CAN_CRYPTO),
        sanitizes_block=bool(sanitize & CAN_BLOCK),
        has_other_controllers=bool(raw[CMIC] & SEVERAL_CONTROLLERS),
    )


def sanitize_status(raw: bytes) -> SanitizeStatus:
    """From the log page. Raises `DecodeError`."""
    checked(raw, 8, "reading an NVMe drive's sanitize log")
    status = number(raw, 2, 2)
    progress = number(raw, 0, 2) / FULL
    state = status & 7
    return SanitizeStatus(
        state=state,
        progress=progress if state == RUNNING else 1.0,
        action=number(raw, 4, 4) & 7,
        globally_erased=bool(status & 1 << 8),
    )


def tells_of_boot_partitions(raw: bytes) -> bool:
    """Whether it may be asked for them, by the version in Identify Controller. Raises `DecodeError`."""
    checked(raw, IDENTIFY_BYTES, "reading an NVMe controller's version")
    return number(raw, VERSION, 4) >= WITH_BOOT_LOG


def boot_partition_bytes(raw: bytes) -> int:
    """How large each of both is, from the head of their log page; 0 if there are none. Raises `DecodeError`."""
    checked(raw, BOOT_HEAD_BYTES, "reading how large an NVMe drive's boot partitions are")
    return (number(raw, 4, 4) & 0x7FFF) * BOOT_UNIT_BYTES


def format_word(namespace: bytes, means: Means) -> int:
    """Double word 10 of Format NVM: sectors, metadata and protection stay as Identify Namespace has them (NVM Command
    Set 1.0, figure 97). Raises `DecodeError`.
    """
    checked(namespace, IDENTIFY_BYTES, "reading how an NVMe namespace is formatted")
    used, protection = namespace[26], namespace[29]
    return (
        used & 0x0F
        | (used >> 4 & 1) << 4
        | (protection & 7) << 5
        | (protection >> 3 & 1) << 8
        | SETTINGS[means] << 9
        | (used >> 5 & 3) << 12
    )


def sanitize_word(means: Means, *, restricted: bool = False) -> int:
    """Double word 10 of Sanitize. `restricted`: after one that was so, and failed, the drive takes nothing else."""
    return ACTIONS[means] | (0 if restricted else UNRESTRICTED)


def checked(raw: bytes, length: int, doing: str) -> None:
    """That it is all there. Raises `DecodeError`."""
    if len(raw) < length:
        raise DecodeError(doing, f"it has {len(raw)} bytes of {length}")


def number(raw: bytes, at: int, size: int) -> int:
    """Little-endian."""
    return int.from_bytes(raw[at : at + size], "little")
