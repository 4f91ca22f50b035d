# SPDX-License-Identifier: Apache-2.0
"""What a SCSI or SAS disk says of its health, bytes → values: log pages (SPC-5, section 7.3; SBC-4, section 6.4). Pure.

Whatever the bytes are, the answer is a value or `DecodeError`.
"""

from __future__ import annotations

from collections.abc import Mapping

from agent.errors import DecodeError
from agent.model.hardware.disk import DiskHealth

WRITE_ERRORS, READ_ERRORS, TEMPERATURE, SOLID_STATE, BACKGROUND, EXCEPTIONS = 0x02, 0x03, 0x0D, 0x11, 0x15, 0x2F
SUPPORTED = 0x00
PAGES = (WRITE_ERRORS, READ_ERRORS, TEMPERATURE, SOLID_STATE, BACKGROUND, EXCEPTIONS)
PROCESSED_BYTES, UNCORRECTED = 0x05, 0x06
FAILURE_PREDICTED, WARNING = 0x5D, 0x0B
NO_TEMPERATURE = 0xFF
Parameters = Mapping[int, bytes]


def supported(raw: bytes) -> frozenset[int]:
    """The pages that a disk has, of its page of them (SPC-5, section 7.3.17). Raises `DecodeError`."""
    end = 4 + int.from_bytes(raw[2:4])
    if len(raw) < 4 or raw[0] & 0x3F != SUPPORTED or end > len(raw):
        raise DecodeError("reading SCSI log page 0x00", f"it has {len(raw)} bytes, {raw[:4].hex() or 'none'} first")
    return frozenset(page & 0x3F for page in raw[4:end])


def parameters(raw: bytes, page: int) -> dict[int, bytes]:
    """By code. Raises `DecodeError`."""
    doing = f"reading SCSI log page {page:#04x}"
    if len(raw) < 4 or raw[0] & 0x3F != page:
        raise DecodeError(doing, f"it begins with {raw[:4].hex() or 'nothing'}")
    end = 4 + int.from_bytes(raw[2:4])
    if end > len(raw):
        raise DecodeError(doing, f"it has {len(raw)} bytes of {end}")
    found: dict[int, bytes] = {}
    at = 4
    while at < end:
        stop = at + 4 + raw[at + 3] if at + 4 <= end else end + 1
        if stop > end:
            raise DecodeError(doing, f"it ends within the parameter at byte {at}")
        found[int.from_bytes(raw[at : at + 2])] = raw[at + 4 : stop]
        at = stop
    return found


def health(pages: Mapping[int, Parameters]) -> DiskHealth | None:
    """Of the pages that the disk has; `None` if it has none of them."""
    if not pages:
        return None
    exceptions = pages.get(EXCEPTIONS, {}).get(0, b"")
    asc, ascq = (exceptions[0], exceptions[1]) if len(exceptions) >= 2 else (0, 0)
    passed = asc not in (FAILURE_PREDICTED, WARNING) if EXCEPTIONS in pages else None
    celsius = pages.get(TEMPERATURE, {}).get(0, b"")[1:2]
    worn = pages.get(SOLID_STATE, {}).get(1, b"")[3:4]
    minutes = number(pages, BACKGROUND, 0, 4)
    errors = [number(pages, page, UNCORRECTED) for page in (READ_ERRORS, WRITE_ERRORS)]
    known = [count for count in errors if count is not None]
    return DiskHealth(
        passed=passed,
        warnings=() if passed is not False else (f"it reports {asc:#04x}/{ascq:#04x} (SPC-5, annex F)",),
        temperature_celsius=celsius[0] if celsius and celsius[0] not in (0, NO_TEMPERATURE) else None,
        used_percent=worn[0] if worn else None,
        power_on_hours=None if minutes is None else minutes // 60,
        read_bytes=number(pages, READ_ERRORS, PROCESSED_BYTES),
        written_bytes=number(pages, WRITE_ERRORS, PROCESSED_BYTES),
        media_errors=sum(known) if known else None,
    )


def number(pages: Mapping[int, Parameters], page: int, code: int, length: int | None = None) -> int | None:
    """A counter, as long as its parameter, or its first bytes."""
    value = pages.get(page, {}).get(code, b"")[:length]
    return int.from_bytes(value) if value else None
