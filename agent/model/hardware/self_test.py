# SPDX-License-Identifier: Apache-2.0
"""What disks remember of their self-tests, bytes → values, newest first: NVMe (Base 2.0, section 5.16.1.7), ATA (ACS-3,
annex A.16: SMART self-test log), SCSI (SPC-5, section 7.3.20). Pure.

Whatever the bytes are, the answer is a value or `DecodeError`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from agent.errors import DecodeError
from agent.model.hardware.ata import SECTOR_BYTES, summed
from agent.model.hardware.disk import Kind, SelfTest

NVME_PAGE, NVME_BYTES = 6, 564
NVME_ENTRY_BYTES, NVME_ENTRIES = 28, 20
NVME_UNUSED, NVME_FAILED, NVME_KINDS = 0xF, frozenset({5, 6, 7}), {1: "short", 2: "extended"}
ATA_READ_LOG, ATA_LOG = 0xD5, 0x06
ATA_ENTRY_BYTES, ATA_ENTRIES = 24, 21
ATA_FAILED, ATA_KINDS = frozenset(range(3, 9)), {1: "short", 2: "extended", 0x81: "short", 0x82: "extended"}
ATA_WORDS = {5: "electrical", 6: "servo", 7: "read", 8: "handling damage"}
SCSI_PAGE = 0x10
SCSI_BYTES, SCSI_ENTRIES = 16, 20
SCSI_FAILED = frozenset(range(3, 8))
SCSI_KINDS = {1: "short", 2: "extended", 5: "short", 6: "extended"}
NO_PLACE = 0xFFFFFFFF


def failing(tests: tuple[SelfTest, ...]) -> SelfTest | None:
    """The newest fault that no later test of as much has cleared."""
    cleared: set[str] = set()
    for one in tests:
        if one.outcome == "failed" and one.kind not in cleared:
            return one
        if one.outcome == "passed":
            cleared |= {"short", "extended", "other"} if one.kind == "extended" else {one.kind}
    return None


def of_nvme(raw: bytes) -> tuple[SelfTest, ...]:
    """The device self-test log. Raises `DecodeError`."""
    if len(raw) < NVME_BYTES:
        raise DecodeError("reading an NVMe disk's self-tests", f"it has {len(raw)} bytes of {NVME_BYTES}")
    entries = (raw[at : at + NVME_ENTRY_BYTES] for at in range(4, NVME_BYTES, NVME_ENTRY_BYTES))
    return tuple(nvme_entry(one) for one in entries if one[0] & 0xF != NVME_UNUSED and one[0] >> 4)


def nvme_entry(one: bytes) -> SelfTest:
    """Bit 1 of its third byte says that the place is valid."""
    result = one[0] & 0xF
    return SelfTest(
        kind=kind_of(NVME_KINDS, one[0] >> 4),
        outcome="failed" if result in NVME_FAILED else "passed" if result == 0 else "ended",
        at_hours=int.from_bytes(one[4:12], "little"),
        place_lba=int.from_bytes(one[16:24], "little") if one[2] & 2 else None,
        told=f"segment {one[1]}" if result == 7 else "",
    )


def of_ata(raw: bytes) -> tuple[SelfTest, ...]:
    """A ring, whose newest entry the last bytes name. Raises `DecodeError`."""
    doing = "reading an ATA disk's self-tests"
    summed(raw, doing)
    newest = raw[SECTOR_BYTES - 4]
    if newest > ATA_ENTRIES:
        raise DecodeError(doing, f"its newest entry is number {newest} of {ATA_ENTRIES}")
    order = [(newest - 1 - back) % ATA_ENTRIES for back in range(ATA_ENTRIES)] if newest else []
    entries = (raw[2 + place * ATA_ENTRY_BYTES : 2 + (place + 1) * ATA_ENTRY_BYTES] for place in order)
    return tuple(ata_entry(one) for one in entries if any(one))


def ata_entry(one: bytes) -> SelfTest:
    """Its status is in the upper half of its second byte."""
    status = one[1] >> 4
    place = int.from_bytes(one[5:9], "little")
    is_failed = status in ATA_FAILED
    return SelfTest(
        kind=kind_of(ATA_KINDS, one[0]),
        outcome="failed" if is_failed else "passed" if status == 0 else "ended",
        at_hours=int.from_bytes(one[2:4], "little"),
        place_lba=place if is_failed and 0 < place < NO_PLACE else None,
        told=ATA_WORDS.get(status, ""),
    )


def of_scsi(found: Mapping[int, bytes]) -> tuple[SelfTest, ...]:
    """Of the log page's parameters: 1 is the newest."""
    return tuple(scsi_entries(found))


def scsi_entries(found: Mapping[int, bytes]) -> Iterator[SelfTest]:
    """One that was never done is all zeroes."""
    for code in range(1, SCSI_ENTRIES + 1):
        one = found.get(code, b"")
        if len(one) < SCSI_BYTES or not any(one):
            continue
        result, place = one[0] & 0xF, int.from_bytes(one[4:12])
        is_failed = result in SCSI_FAILED
        yield SelfTest(
            kind=kind_of(SCSI_KINDS, one[0] >> 5),
            outcome="failed" if is_failed else "passed" if result == 0 else "ended",
            at_hours=int.from_bytes(one[2:4]),
            place_lba=place if is_failed and place < 2**64 - 1 else None,
            told=f"sense {one[12] & 0xF:#x}/{one[13]:#04x}/{one[14]:#04x}" if is_failed else "",
        )


def kind_of(known: Mapping[int, str], number: int) -> Kind:
    """A maker's own kinds are others."""
    found = known.get(number)
    return "short" if found == "short" else "extended" if found == "extended" else "other"
