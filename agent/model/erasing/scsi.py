# SPDX-License-Identifier: Apache-2.0
"""How a SCSI disk forgets: SANITIZE, bytes → values (SBC-4, section 5.33; SPC-5, sections 4.4 and 6.35). Pure.

Whatever the bytes are, the answer is a value or `DecodeError`.
"""

from __future__ import annotations

from agent.errors import DecodeError
from agent.model.erasing import Means
from agent.model.frozen import Frozen

SANITIZE = 0x48
ACTIONS = {Means.SCSI_SANITIZE_CRYPTO: 0x03, Means.SCSI_SANITIZE_BLOCK: 0x02}
IMMEDIATELY, UNRESTRICTED = 0x80, 0x20
"""AUSE: a sanitize that fails leaves a drive that can be told to go on without (SBC-4, section 5.33.1)."""
EXIT_FAILURE = 0x1F
"""A service action, too (SBC-4, section 5.33.5; sg_sanitize.c, SANITIZE_SA_EXIT_FAIL_MODE)."""
AS_STANDARD = 0b011
NO_SENSE, RECOVERED, NOT_READY, MEDIUM_ERROR, UNIT_ATTENTION = 0x00, 0x01, 0x02, 0x03, 0x06
UNDER_WAY, BECOMING_READY, FAILED = (0x04, 0x1B), (0x04, 0x01), (0x31, 0x03)
"""Additional sense: sanitize in progress, becoming ready, sanitize command failed (SPC-5, annex F)."""
DESCRIPTOR, FIXED = (0x72, 0x73), (0x70, 0x71)
SENSE_KEY_SPECIFIC = 0x02
FULL = 0x10000


class SanitizeState(Frozen):
    """What the drive answers when it is asked for its sense."""

    key: int
    code: tuple[int, int]
    progress: float | None = None

    @property
    def running(self) -> bool:
        """It goes on, over resets and power cuts."""
        return self.code == UNDER_WAY

    @property
    def is_waking(self) -> bool:
        """It will be ready by itself: of a sanitize that says nothing yet."""
        return self.code == BECOMING_READY

    @property
    def failed(self) -> bool:
        """The drive says so, until it is sanitized again."""
        return (self.key, self.code) == (MEDIUM_ERROR, FAILED)

    @property
    def is_ready(self) -> bool:
        """Nothing is under way, and nothing is wrong."""
        return self.key in (NO_SENSE, RECOVERED) and not self.running

    @property
    def is_news(self) -> bool:
        """That it was reset, or switched on: it says nothing of a sanitize, and is told once."""
        return self.key == UNIT_ATTENTION and not self.running

    def __str__(self) -> str:
        if self.running:
            return f"sanitize running ({self.progress or 0:.0%})"
        return (
            "ready, no sanitize under way"
            if self.is_ready
            else f"sense {self.key:#x}, {self.code[0]:02x}/" + (f"{self.code[1]:02x}")
        )


def sanitize_word(means: Means, *, restricted: bool = False) -> int:
    """The second byte of SANITIZE."""
    return ACTIONS[means] | IMMEDIATELY | (0 if restricted else UNRESTRICTED)


def supported(raw: bytes) -> bool:
    """Whether REPORT SUPPORTED OPERATION CODES says that it has the command (one_command parameter data)."""
    return len(raw) >= 2 and raw[1] & 0b111 == AS_STANDARD


def sanitize_state(raw: bytes) -> SanitizeState:
    """From sense data, in either format. Raises `DecodeError`."""
    doing = "reading a SCSI disk's sense"
    kind = raw[0] & 0x7F if raw else None
    if kind in DESCRIPTOR and len(raw) >= 8:
        return SanitizeState(key=raw[1] & 0x0F, code=(raw[2], raw[3]), progress=described_progress(raw))
    if kind in FIXED and len(raw) >= 14:
        has_progress = len(raw) >= 18 and raw[15] & 0x80
        progress = int.from_bytes(raw[16:18]) / FULL if has_progress else None
        return SanitizeState(key=raw[2] & 0x0F, code=(raw[12], raw[13]), progress=progress)
    raise DecodeError(doing, f"it begins with {raw[:8].hex() or 'nothing'}")


def described_progress(raw: bytes) -> float | None:
    """From the descriptor that is specific to the sense key."""
    at, end = 8, min(8 + raw[7], len(raw))
    while at + 2 <= end:
        if raw[at] == SENSE_KEY_SPECIFIC and at + 7 <= end and raw[at + 4] & 0x80:
            return int.from_bytes(raw[at + 5 : at + 7]) / FULL
        at += 2 + raw[at + 1]
    return None
