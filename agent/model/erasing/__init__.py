# SPDX-License-Identifier: Apache-2.0
"""Erasing a disk as values: by what means, what a drive says it can do, and what came of it.

What bytes of NVMe, ATA and SCSI mean stands beside this, a module each; `certificate.py` is what the controller keeps.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum
from typing import Literal

from pydantic import Field

from agent.model.frozen import Frozen


class Means(StrEnum):
    """How a disk is made to forget. Those of a drive stand in the order in which they are preferred."""

    NVME_SANITIZE_CRYPTO = "nvme_sanitize_crypto"
    NVME_SANITIZE_BLOCK = "nvme_sanitize_block"
    NVME_FORMAT_CRYPTO = "nvme_format_crypto"
    NVME_FORMAT_ERASE = "nvme_format_erase"
    ATA_SANITIZE_CRYPTO = "ata_sanitize_crypto"
    ATA_SANITIZE_BLOCK = "ata_sanitize_block"
    ATA_SECURE_ERASE_ENHANCED = "ata_secure_erase_enhanced"
    ATA_SECURE_ERASE = "ata_secure_erase"
    SCSI_SANITIZE_CRYPTO = "scsi_sanitize_crypto"
    SCSI_SANITIZE_BLOCK = "scsi_sanitize_block"
    ZERO = "zero"
    DISCARD = "discard"
    METADATA = "metadata"

    @property
    def is_sanitize(self) -> bool:
        """It goes on by itself, over resets and power cuts, and the drive keeps a record of how it ended."""
        return "sanitize" in self

    @property
    def nist(self) -> Level:
        """Of NIST SP 800-88, revision 1, or of IEEE 2883 where that claims less for it."""
        if self in (Means.DISCARD, Means.METADATA):
            return "none"
        return "purge" if self.is_sanitize else "clear"


Level = Literal["purge", "clear", "none"]
"""Purge: not to be recovered in a laboratory. Clear: not by any command. None: it is a hint that a drive may ignore."""
Outcome = Literal["erased", "unproven", "failed"]


class Shut(Frozen):
    """A drive on which a sanitize has failed: it takes nothing but another one, or, where the one that failed allowed
    that, the word to go on without it (NVMe Base 2.0, section 8.21; ACS-4, section 4.17.9; SBC-4, section 4.11.4).
    """

    by: Means = Field(description="a sanitize of the drive's kind")
    opening: tuple[Means, ...] = Field(default=(), description="sanitizes that may be tried to open it")


class Abilities(Frozen):
    """What a drive says it can do to forget, and what keeps it from doing so now."""

    means: tuple[Means, ...] = Field(default=(), description="its own, the best first")
    notes: tuple[str, ...] = Field(default=(), description="what it would have as well, and why it is of no use now")
    running: Means | None = Field(default=None, description="a sanitize that is under way, whoever began it")
    shut: Shut | None = Field(default=None, description="a sanitize has failed on it, whoever began it")
    has_password: bool = Field(default=False, description="ATA: it is locked by one, or will be when it is switched on")
    hidden_bytes: int | None = Field(
        default=0, description="ATA: how much there is beyond what it lets anybody reach; null if it could not be asked"
    )
    unseen: tuple[int, ...] = Field(default=(), description="NVMe: namespaces that hold data, and no machine sees")
    boot_bytes: int | None = Field(
        default=0, description="NVMe: how large each of both boot partitions is; null if it could not be asked"
    )


class Samples(Frozen):
    """What was looked at on a disk after it was erased."""

    canaries: int = Field(default=0, description="blocks of our own that were written, and read back, before")
    read: int = 0
    zero: int = 0
    survived: int = Field(default=0, description="places where a canary was still found afterwards")
    unreadable: int = 0
    unknown: int = Field(default=0, description="not zero, and nothing of ours was there before to tell by")
    first_bad: int | None = Field(default=None, description="the first byte that speaks against it")


class Erasure(Frozen):
    """What came of one disk."""

    path: str
    serial: str | None = None
    wwn: str | None = None
    model: str | None = None
    firmware: str | None = None
    size_bytes: int
    means: Means | None = Field(default=None, description="None: it came to nothing")
    nist: Level = "none"
    outcome: Outcome
    evidence: str
    samples: Samples = Samples()
    drive_log: str | None = Field(default=None, description="what the drive itself keeps of it")
    passed_over: tuple[str, ...] = Field(default=(), description="better means, and why they were not used")
    resumed: bool = Field(default=False, description="it was under way already: begun before the machine went down")
    began_at: datetime
    ended_at: datetime

    @property
    def who(self) -> str:
        """What the disk is called in results."""
        return self.serial or self.wwn or self.path

    def is_confusable(self, disks: Iterable[Erasure]) -> bool:
        """Whether it has no name, or another of these disks has the same, so that it could not be told from that one
        tomorrow. WWNs tell; one that is there by several paths has one WWN.
        """
        if self.serial is None:
            return self.wwn is None
        others = [one for one in disks if one is not self and one.serial == self.serial]
        return any(not (self.wwn and one.wwn) for one in others)

    @property
    def is_proven(self) -> bool:
        """All of it is gone: what a wipe, or a hint, came to an end of is not; nor what its own samples speak against,
        whatever it is called.
        """
        if self.outcome != "erased" or self.nist == "none" or self.means is None or self.means.nist == "none":
            return False
        return verdict(self.means, self.samples, self.drive_log, resumed=self.resumed)[0] == "erased"

    def __str__(self) -> str:
        return f"{self.who}: {self.outcome}{f' by {self.means}' if self.means else ''}: {self.evidence}"


def verdict(means: Means, samples: Samples, log: str | None, *, resumed: bool) -> tuple[Outcome, str]:
    """What the samples prove, in one word and in words. A drive's own word is never enough."""
    place = f" at byte {samples.first_bad}" if samples.first_bad is not None else ""
    if samples.survived:
        return "failed", f"{samples.survived} of {samples.canaries or samples.read} canaries are still there{place}"
    if means in (Means.ZERO, Means.METADATA) and samples.zero < samples.read:
        return "failed", f"what was zeroed is not zero{place}"
    if samples.unreadable or not samples.read:
        return "unproven", f"{samples.unreadable} samples could not be read back{place}"
    if means.is_sanitize and log is None:
        return "unproven", "the drive keeps no record of it"
    if means is Means.DISCARD:
        return "unproven", "the drive may have ignored any part of it, and nothing tells which"
    all_zero = samples.zero == samples.read
    if not samples.canaries and not (resumed and all_zero):
        return "unproven", "no canary could be written before, so nothing shows that it is another content now"
    if samples.unknown:
        return "unproven", f"{samples.unknown} samples are not zero, and no canary was there before{place}"
    told = "all zero" if all_zero else "none of them as before"
    return "erased", f"{samples.read} samples, {told}; {samples.canaries} canaries are gone"
