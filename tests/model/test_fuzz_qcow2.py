# SPDX-License-Identifier: Apache-2.0
"""QCOW2 headers and tables of any bytes: a map that stays within disk and file, or a refusal; in bounded memory."""

from __future__ import annotations

import random
import tracemalloc

import pytest

from agent.errors import DecodeError, ImageRefused
from agent.model.qcow2 import HEADER, HEADER_READ_BYTES, MAGIC, MOST_TABLES, Compression, parse_header
from agent.model.qcow2_map import Map, parse_l1
from tests.apply.qcow2 import Shape, qcow2
from tests.mutations import inputs

HEAD_BYTES = 1 << 20
NOISE = random.Random(4).randbytes(40_000)
IMAGE = NOISE.translate(bytes(byte & 0x3F for byte in range(256))) + bytes(50_000) + NOISE[:9840]
SAMPLES = [
    qcow2(IMAGE, Shape(2, 9)),
    qcow2(IMAGE, Shape(3, 9, Compression.ZSTD, 0.8, 0.5, 1)),
    qcow2(IMAGE, Shape(3, 10, packed=0.6, zeroes=0.5, seed=2)),
    qcow2(IMAGE, Shape(3, 12, packed=0.3, zeroes=0.5, seed=3)),
    qcow2(bytes(1 << 20) + IMAGE, Shape(2, 16, packed=1.0)),
]


def looked_at(file: bytes) -> Map:
    """As the engine does."""
    header = parse_header(file[:HEADER_READ_BYTES], len(file))
    at = header.l1_offset_bytes
    tables = parse_l1(header, file[at : at + header.tables * 8], len(file))
    layout = Map(header, len(file), HEAD_BYTES)
    for number, place in enumerate(tables):
        if place:
            layout.add(number, file[place : place + header.cluster_bytes])
    layout.finish(tables)
    return layout


def must_be_sound(layout: Map, file_bytes: int) -> None:
    """Each byte of the disk comes from one place at most, which is in the file."""
    size, cluster, taken = layout.header.size_bytes, layout.header.cluster_bytes, []
    for at, place, length in layout.runs(0, file_bytes):
        assert length > 0 and at >= 0 and at + length <= file_bytes
        taken.append((place, place + length))
    before = 0
    for at, end, guest in layout.packed():
        assert before <= at < end <= file_bytes and guest * cluster < size
        before = at
        taken.append((guest * cluster, min((guest + 1) * cluster, size)))
    taken += layout.holes()
    done = 0
    for start, end in sorted(taken):
        assert start == done and end > start, "a gap, or twice"
        done = end
    assert done == size
    for place, at, end, _ in layout.head():
        assert place % cluster == 0 and place < HEAD_BYTES + cluster and 0 <= at <= end <= file_bytes


def test_samples_are_good() -> None:
    """What is damaged below is whole here."""
    for sample in SAMPLES:
        must_be_sound(looked_at(sample), len(sample))


def test_any_file() -> None:
    """Whatever it is."""
    accepted = 0
    for name, file in inputs(20261121, SAMPLES, most=4000, longest_s=2.5):
        try:
            layout = looked_at(file)
        except (DecodeError, ImageRefused):
            continue
        accepted += 1
        try:
            must_be_sound(layout, len(file))
        except Exception as error:
            raise AssertionError(f"input {name}") from error
    assert accepted


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
