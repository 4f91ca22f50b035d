# SPDX-License-Identifier: Apache-2.0
"""Filesystems: extents inside the device, names, files; or a refusal, after a bounded number of reads.

What is damaged are real filesystems (`tests.model.disks`). They are large and mostly empty, so an input is not all of
one but its name, a size, and what is written over it: made-up bytes alone do not get past the first check.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import cache, partial
from random import Random

from agent.errors import DecodeError
from agent.host.fake.disk import SparseBytes
from agent.model.filesystem import Filesystem, Read, bounded
from agent.model.filesystem.btrfs import Btrfs
from agent.model.filesystem.ext4 import Ext4
from agent.model.filesystem.fat import Fat
from agent.model.filesystem.fat_files import FatFiles
from agent.model.filesystem.findings import findings
from agent.model.filesystem.iso9660 import Iso
from agent.model.filesystem.known import kind_of, open_filesystem
from agent.model.filesystem.lvm import members
from agent.model.filesystem.names import HEAD_BYTES, names_of
from agent.model.filesystem.survey import survey
from agent.model.filesystem.swap import Swap
from agent.model.filesystem.xfs import Xfs
from tests.apply import captured
from tests.apply.disks import disk_of
from tests.fuzz.row import MIB, Row
from tests.model import disks
from tests.model.test_fat_files import SMALL
from tests.mutations import EDGES

HEADER, CHANGE = struct.Struct("<BQ"), struct.Struct("<QH")
NAMES = [*sorted(disks.SIZES_MIB), "server"]
KINDS = {"fat16": "vfat", "fat32": "vfat"}
PARSERS: tuple[Callable[[Read, int], Filesystem], ...] = (Ext4, Xfs, Btrfs, Fat, Swap)
MOST_READS = 5000
FEW = 5


class Busy(BaseException):
    """More reads than any filesystem of this size can need."""


@cache
def whole(name: str) -> tuple[SparseBytes, int]:
    """The filesystem, or the server's disk, that is damaged."""
    return (disk_of(captured.server()).content, captured.SIZE) if name == "server" else disks.load(name)


@cache
def places(name: str) -> list[tuple[int, int]]:
    """(offset, length) of metadata: what is not text of a file."""
    if name == "server":
        return [(sector * 512, 512) for sector in range(2 * MIB // 512)]
    return [(offset, len(data)) for offset, data in disks.pieces(name) if b"texttext" not in data]


def samples(name: str) -> list[bytes]:
    """One: nothing is written over it."""
    return [HEADER.pack(NAMES.index(name), whole(name)[1])]


def written_over(noise: Random, samples: Sequence[bytes]) -> bytes:
    """Numbers over its metadata, a block of it in another's place; at times it is cut."""
    number, size = HEADER.unpack(noise.choice(samples))
    name = NAMES[number]
    if noise.random() < 0.03:
        return HEADER.pack(number, noise.randrange(size))
    made = HEADER.pack(number, size)
    for _ in range(noise.randint(1, 4)):
        offset, length = noise.choice(places(name))
        if noise.random() < 0.1:
            source, room = noise.choice(places(name))
            data = whole(name)[0].read(source, min(room, disks.GRAIN_BYTES))
            made += CHANGE.pack(offset, len(data)) + data
            continue
        width = noise.choice((1, 2, 4, 8))
        word = noise.choice((*EDGES, noise.getrandbits(64))) % (1 << 8 * width)
        at = noise.randrange(min(length, noise.choice((512, length))) - width + 1)
        made += CHANGE.pack(offset + at, width) + word.to_bytes(width, noise.choice(("little", "big")))
    return made


def made_of(data: bytes) -> tuple[Read, int, str]:
    """`read`, with an end to its patience; the size; the name."""
    number, size = HEADER.unpack_from(data)
    name, at, changes, count = NAMES[number], HEADER.size, [], 0
    while at < len(data):
        offset, length = CHANGE.unpack_from(data, at)
        at += CHANGE.size
        changes.append((offset, data[at : at + length]))
        at += length
    content = whole(name)[0]

    def read(offset: int, length: int) -> bytes:
        nonlocal count
        count += 1
        if count > MOST_READS:
            raise Busy
        whole = content.read(offset, length)
        end = offset + length
        here = [(place, new) for place, new in changes if place < end and offset < place + len(new)]
        if not here:
            return whole
        found = bytearray(whole)
        for place, new in here:
            first, last = max(place, offset), min(place + len(new), end)
            found[first - offset : last - offset] = new[first - place : last - place]
        return bytes(found)

    return bounded(read, size), size, name


def filesystem(data: bytes) -> object:
    """What is used of it lies in order, inside the device. Nothing that is too large for its device is believed."""
    read, size, name = made_of(data)
    found = open_filesystem(read, size, KINDS.get(name, name.partition("-")[0]))
    assert found is not None and (found.unclean is None or found.unclean)
    extents = list(found.used())
    end = 0
    for offset, length in extents:
        assert end <= offset and length > 0 and offset + length <= size
        end = offset + length
    if isinstance(found, Btrfs):
        found.subvolumes()
    assert len(data) > HEADER.size or size == whole(name)[1], "it is larger than its device"
    return extents


def whole_disk(data: bytes) -> object:
    """A survey inside the disk."""
    read, size, _ = made_of(data)
    looked = survey(read, size, 512)
    findings(looked)
    extents, _ = looked.allocated()
    image_bytes = looked.size_bytes
    assert image_bytes <= size
    assert all(0 <= offset < offset + length <= image_bytes for offset, length in extents)
    return extents


def any_of(raw: bytes) -> object:
    """A few bytes where superblocks begin, on a device of any size: nothing is made of them."""
    noise = Random(raw)
    offset = noise.choice((0, 512, 1024, 0x38 + 1024, 4086, 0x10000, 0x10040))
    content, size = SparseBytes(), noise.choice((*EDGES, noise.getrandbits(62))) % (1 << 62)
    content.write(offset, raw[:200])
    read = bounded(content.read, size)
    kind_of(read, size)
    for parse in PARSERS:
        with suppress(DecodeError):
            list(parse(read, size).used())
    with suppress(DecodeError):
        members(read, size)
    return None


def files_of_fat(image: bytes) -> object:
    """Names and contents."""
    found = FatFiles(lambda offset, length: image[offset : offset + length], len(image))
    for path in ("/", "/EFI", "/EFI/BOOT", "/EFI/many"):
        assert all(isinstance(name, str) for name in found.names(path))
    return found.content("/EFI/BOOT/BOOTX64.EFI", MIB)


def files_of_disc(disc: bytes) -> object:
    """Names and contents; of a folder the first few: each is looked for from the beginning."""
    iso = Iso(lambda offset, length: disc[offset : offset + length], len(disc))
    folders = ("/", "/many", "/etc", "/openstack/latest")
    return [iso.content(f"{folder}/{name}", 1 << 16) for folder in folders for name in tuple(iso.names(folder))[:FEW]]


def heads() -> Iterator[bytes]:
    """First bytes."""
    for name in ("ext4", "ext4-1k", "xfs", "btrfs"):
        content, _ = disks.load(name)
        yield content.read(0, min(HEAD_BYTES, 68 * 1024))
    yield (b"\1\0\0\0\xff\0\0\0" + bytes(8)).rjust(1024 + 16, b"\0").ljust(4086, b"\0") + b"SWAPSPACE2"


ROWS = {
    **{name: Row(filesystem, partial(samples, name), made=written_over) for name in sorted(disks.SIZES_MIB)},
    "whole disk": Row(whole_disk, partial(samples, "server"), made=written_over, most_bytes=16 * MIB),
    "superblock anywhere": Row(any_of, lambda: [b"\x53\xef", b"XFSB", b"_BHRfS_M", b"SWAPSPACE2", b"LABELONE"], ()),
    "filesystem's names": Row(names_of, lambda: list(heads())),
    "files of fat": Row(files_of_fat, lambda: [SMALL]),
    "files of a disc": Row(files_of_disc, lambda: [disks.disc()]),
}
