# SPDX-License-Identifier: Apache-2.0
"""QCOW2 headers that speak of more than there is: refused, or mapped in little memory."""

from __future__ import annotations

import tracemalloc

import pytest

from agent.errors import DecodeError, ImageRefused
from agent.model.qcow2 import HEADER, HEADER_READ_BYTES, MAGIC, MOST_TABLES, parse_header
from agent.model.qcow2_map import Map, parse_l1


def looked_at(file: bytes) -> Map:
    """Its map."""
    header = parse_header(file[:HEADER_READ_BYTES], len(file))
    at = header.l1_offset_bytes
    tables = parse_l1(header, file[at : at + header.tables * 8], len(file))
    layout = Map(header, len(file))
    for number, place in enumerate(tables):
        if place:
            layout.add(number, file[place : place + header.cluster_bytes])
    layout.finish(tables)
    return layout


@pytest.mark.parametrize("bits", [9, 12, 16, 21])
@pytest.mark.parametrize("size", [1 << 62, (1 << 63) - 512, 1 << 63, 512, 1 << 45])
@pytest.mark.parametrize("l1_entries", [0, 1, 1 << 22, (1 << 32) - 1])
def test_sizes_cost_nothing(bits: int, size: int, l1_entries: int) -> None:
    """A small file that speaks of exabytes is refused, or takes little memory."""
    fields = (MAGIC, 2, 0, 0, bits, size, 0, l1_entries, 1 << bits, 0, 0, 0, 0)
    file = HEADER.pack(*fields).ljust(1 << bits, b"\0") + bytes(4096)
    tracemalloc.start()
    try:
        list(looked_at(file).holes())
    except (DecodeError, ImageRefused):
        pass
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()

    assert peak < 4 * len(file) + (1 << 20)


def test_many_tables() -> None:
    """An image of more tables than can be kept in mind is refused, whatever its file is: larger clusters help."""
    size = (MOST_TABLES * 64 + 1) * 512
    head = HEADER.pack(MAGIC, 2, 0, 0, 9, size, 0, MOST_TABLES + 1, 512, 0, 0, 0, 0)
    with pytest.raises(ImageRefused, match="tables") as told:
        parse_header(head, 1 << 30)

    assert "cluster_size" in told.value.hint
