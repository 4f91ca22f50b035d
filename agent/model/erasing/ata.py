# SPDX-License-Identifier: Apache-2.0
"""How an ATA drive forgets: Sanitize and the Security feature set, bytes → values (ACS-4, sections 4.17, 4.18). Pure.

Whatever the bytes are, the answer is a value or `DecodeError`.
"""

from __future__ import annotations

from agent.errors import DecodeError
from agent.model.erasing import Means
from agent.model.frozen import Frozen

SECTOR_BYTES = 512
PASSWORD = b"bms-agent erases this drive"
"""A drive only erases itself for who has set a password, and the erasure takes it away again. It is the same for all
drives, always: one that lost power in between is opened with it by whichever agent finds it next. At most 32 bytes.
"""
SET_PASSWORD, UNLOCK, ERASE_PREPARE, ERASE_UNIT, DISABLE_PASSWORD = 0xF1, 0xF2, 0xF3, 0xF4, 0xF6
ENHANCED = 1 << 1
SANITIZE_STATUS, CRYPTO_SCRAMBLE, BLOCK_ERASE = 0x0000, 0x0011, 0x0012
FEATURES = {
    Means.ATA_SANITIZE_CRYPTO: (CRYPTO_SCRAMBLE, 0x43727970),
    Means.ATA_SANITIZE_BLOCK: (BLOCK_ERASE, 0x426B4572),
}
"""Feature, and the word in the LBA without which the drive does not begin (sections 7.33.2 and 7.33.4)."""
FAILURE_MODE, CLEAR_FAILED = 1 << 4, 1 << 0
"""COUNT of what begins a sanitize: if it fails, the drive can be told to go on without. And of SANITIZE STATUS EXT,
which tells it that. After a failure without the former, this is aborted, and so is every sanitize with it (Western
Digital, Ultrastar HC580 specification, sections 10.20.3.4 and 12.38; FreeBSD, camcontrol's sanitize).
"""
LEAVE_FAILURE = (SANITIZE_STATUS, 0, CLEAR_FAILED)
ABORTED, UNSUCCESSFUL, IS_FROZEN = 1 << 2, 1, 3
"""What SANITIZE STATUS EXT is aborted with: LBA (7:0) is the reason (ACS-4, table 177; hdparm, SANITIZE_ERR_…)."""
SANITIZE, SCRAMBLES, ERASES_BLOCKS = 1 << 12, 1 << 13, 1 << 15
SUPPORTED, ENABLED, LOCKED, FROZEN, EXPIRED, HAS_ENHANCED = (1 << bit for bit in range(6))
EXTENDED = 1 << 15
LONGEST_S = 48 * 3600.0
NO_ESTIMATE_S = 24 * 3600.0
COMPLETED, IN_PROGRESS, SANITIZE_FROZEN = 1 << 15, 1 << 14, 1 << 13
FULL = 0x10000


class Security(Frozen):
    """IDENTIFY DEVICE, words 59, 89, 90 and 128."""

    has_security: bool
    has_enhanced: bool
    is_enabled: bool
    is_locked: bool
    is_frozen: bool
    is_expired: bool
    sanitizes_crypto: bool
    sanitizes_block: bool
    erase_s: float
    enhanced_s: float


class SanitizeState(Frozen):
    """The registers after SANITIZE STATUS EXT (section 7.36)."""

    completed: bool
    running: bool
    frozen: bool
    progress: float
    failed: bool = False

    def __str__(self) -> str:
        if self.running:
            return f"sanitize running ({self.progress:.0%})"
        if self.failed:
            return "sanitize failed"
        return "sanitize completed without error" if self.completed else "no sanitize completed"


def security(raw: bytes) -> Security:
    """From IDENTIFY DEVICE. Raises `DecodeError`."""
    if len(raw) < SECTOR_BYTES:
        raise DecodeError("reading what an ATA disk can erase", f"it has {len(raw)} bytes of {SECTOR_BYTES}")
    flags, sanitize = word(raw, 128), word(raw, 59)
    can = sanitize & SANITIZE
    return Security(
        has_security=bool(flags & SUPPORTED),
        has_enhanced=bool(flags & SUPPORTED and flags & HAS_ENHANCED),
        is_enabled=bool(flags & ENABLED),
        is_locked=bool(flags & LOCKED),
        is_frozen=bool(flags & FROZEN),
        is_expired=bool(flags & EXPIRED),
        sanitizes_crypto=bool(can and sanitize & SCRAMBLES),
        sanitizes_block=bool(can and sanitize & ERASES_BLOCKS),
        erase_s=patience_s(word(raw, 89)),
        enhanced_s=patience_s(word(raw, 90)),
    )


def patience_s(estimate: int) -> float:
    """Thrice what the drive says it takes, in units of two minutes, up to two days; never less than it says. With
    bit 15 the field is longer. 0 is not known.
    """
    minutes = (estimate & 0x7FFF if estimate & EXTENDED else estimate & 0xFF) * 2
    if not minutes:
        return NO_ESTIMATE_S
    return max(min(max(3 * minutes * 60.0, 600.0), LONGEST_S), 1.2 * minutes * 60.0)


def password_block(flags: int = 0) -> bytes:
    """The sector that goes with SET PASSWORD, UNLOCK, ERASE UNIT and DISABLE PASSWORD: the user's password, at the
    level "high", at which whoever has the drive's master password can open it as well.
    """
    return flags.to_bytes(2, "little") + PASSWORD.ljust(32, b"\0") + bytes(SECTOR_BYTES - 34)


def sanitize_order(means: Means, *, restricted: bool = False) -> tuple[int, int, int]:
    """Feature, LBA and COUNT. `restricted`: for a drive that takes nothing else any more."""
    return *FEATURES[means], 0 if restricted else FAILURE_MODE


def sanitize_state(count: int, progress: int, error: int = 0) -> SanitizeState | None:
    """From the count, the lower half of the LBA, and the error if it was aborted; `None` if that is all it says."""
    if error:
        why = progress & 0xFF if error & ABORTED else 0
        if why not in (UNSUCCESSFUL, IS_FROZEN):
            return None
        return SanitizeState(
            completed=False, running=False, frozen=why == IS_FROZEN, progress=1.0, failed=why == UNSUCCESSFUL
        )
    running = bool(count & IN_PROGRESS)
    return SanitizeState(
        completed=bool(count & COMPLETED),
        running=running,
        frozen=bool(count & SANITIZE_FROZEN),
        progress=progress / FULL if running else 1.0,
    )


def word(raw: bytes, number: int) -> int:
    """A word of 16 bits."""
    return int.from_bytes(raw[2 * number : 2 * number + 2], "little")
