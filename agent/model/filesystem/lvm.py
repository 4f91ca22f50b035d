# SPDX-License-Identifier: Apache-2.0
"""A physical volume of LVM2: of how many its group consists (lvm2, lib/format_text/layout.h). Pure."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator

from agent.errors import DecodeError
from agent.model.filesystem import Extent, Read

LABEL, KIND, AREA = b"LABELONE", b"LVM2 001", b" LVM2 x[5A%r0N*>"
SECTOR_BYTES = 512
LABEL_SECTORS = 4
LARGEST_TEXT_BYTES = 16 * 1024 * 1024
VOLUMES = re.compile(rb"physical_volumes\s*\{((?:[^{}]*\{[^{}]*\})*)[^{}]*\}")
"""Sections in a section; nothing is indented on the disk."""
DOING = "reading the LVM physical volume"


def label_sector(read: Read, size_bytes: int) -> int | None:
    """Which of the first four sectors has the label; `None` if none does."""
    if size_bytes < LABEL_SECTORS * SECTOR_BYTES:
        return None
    head = read(0, LABEL_SECTORS * SECTOR_BYTES)
    starts = range(0, len(head), SECTOR_BYTES)
    return next((at for at in starts if head[at : at + 8] == LABEL and head[at + 24 : at + 32] == KIND), None)


def members(read: Read, size_bytes: int) -> int:
    """How many physical volumes the group has. Raises `DecodeError` where that cannot be told."""
    at = label_sector(read, size_bytes)
    if at is None:
        raise DecodeError(DOING, "no label")
    sector = read(at, SECTOR_BYTES)
    (header,) = struct.unpack_from("<I", sector, 20)
    data_areas = header + 40  # behind the UUID and the device's size
    metadata_areas = data_areas + 16 * (len(list(areas_of(sector, data_areas))) + 1)
    for offset, _ in areas_of(sector, metadata_areas):
        volumes = VOLUMES.search(metadata(read, offset, size_bytes))
        if volumes:
            return len(re.findall(rb"^\s*id\s*=", volumes.group(1), re.MULTILINE))
    raise DecodeError(DOING, "it has no metadata that names its group")


def areas_of(sector: bytes, at: int) -> Iterator[Extent]:
    """(offset, size) up to a pair of zeroes."""
    while at + 16 <= len(sector):
        offset, size = struct.unpack_from("<QQ", sector, at)
        if not offset:
            return
        yield offset, size
        at += 16


def metadata(read: Read, area: int, size_bytes: int) -> bytes:
    """The newest text of a metadata area, which is a ring behind its header sector."""
    head = read(area, SECTOR_BYTES)
    _, magic, _, start, size, offset, length = struct.unpack_from("<I16sIQQQQ", head)
    fits = SECTOR_BYTES <= offset < size <= size_bytes and length <= min(size - SECTOR_BYTES, LARGEST_TEXT_BYTES)
    if magic != AREA or start != area or not fits:
        raise DecodeError(DOING, f"the metadata area at {area} is not one")
    first = min(length, size - offset)
    return read(area + offset, first) + read(area + SECTOR_BYTES, length - first)
