# SPDX-License-Identifier: Apache-2.0
"""A whole disk, looked at: tables of every kind, what becomes part of an image, and what speaks against one."""

from __future__ import annotations

import struct
from dataclasses import replace

import pytest

from agent.errors import DecodeError
from agent.host.fake.disk import SparseBytes
from agent.model import mbr
from agent.model.filesystem import bounded
from agent.model.filesystem.findings import findings
from agent.model.filesystem.known import kind_of
from agent.model.filesystem.lvm import AREA, members
from agent.model.filesystem.survey import Part, Survey, survey
from agent.model.partition_table import partitions
from tests.apply import captured
from tests.apply.captured import DRIVE, ROOT, SIZE, SWAP
from tests.apply.disks import MIB, disk_of
from tests.model import disks

TEXT = """vg {{
id = "AbCd"
physical_volumes {{

pv0 {{
id = "one"
device = "/dev/sda2"
}}
{more}}}

logical_volumes {{
}}
}}
"""
SECOND = 'pv1 {\nid = "two"\n}\n'


def server() -> Survey:
    """Of a server's disk."""
    disk = disk_of(captured.server())
    return survey(disk.read, SIZE, 512)


def dos(*records: tuple[int, int, int], logical: tuple[tuple[int, int], ...] = ()) -> SparseBytes:
    """A disk with an MBR of (type, first sector, sectors), and logical partitions in the extended one: (offset of
    the table in it, sectors), each partition one sector behind its table."""
    content = SparseBytes()
    content.write(0, table(*records))
    content.write(440, (0xCAFE1234).to_bytes(4, "little"))
    extended = next((first for kind, first, _ in records if kind in (5, 15)), 0)
    for (at, sectors), following in zip(logical, [*logical[1:], None], strict=False):
        link = [(5, following[0], 10)] if following else []
        content.write((extended + at) * 512, table((0x83, 1, sectors), *link))
    return content


def table(*records: tuple[int, int, int]) -> bytes:
    """A sector with such a table."""
    sector = bytearray(512)
    for slot, (kind, first, sectors) in enumerate(records):
        mbr.RECORD.pack_into(sector, 446 + 16 * slot, 0, b"\0\0\0", kind, b"\0\0\0", first, sectors)
    sector[510:] = b"\x55\xaa"
    return bytes(sector)


def codes(looked: Survey, **known: int) -> set[str]:
    """What is found."""
    return {one.code for one in findings(looked, root=known.get("root"))}


def test_a_server() -> None:
    """Each partition with what it holds; the image ends with root, without config drive; nothing speaks against it."""
    looked = server()

    assert [(part.number, part.kind) for part in looked.parts] == [(1, "vfat"), (2, "swap"), (3, "ext4"), (4, "vfat")]
    assert looked.left_out == {4} and looked.size_bytes == DRIVE * MIB and looked.table == "gpt"
    assert [number for number, _, _ in partitions(looked.new_head, 512)] == [1, 2, 3]
    assert codes(looked) == set() and codes(looked, root=2) == {"root-not-last"}


def test_what_is_allocated() -> None:
    """Everything outside of partitions, the swap's header, what files and filesystems use; whole, if that is wanted."""
    looked = server()
    extents, reasons = looked.allocated()
    swap = [one for one in extents if SWAP * MIB <= one[0] < (SWAP + 4) * MIB]

    assert reasons == {} and next(iter(extents)) == (0, MIB + 2000896)
    assert all(offset + length <= DRIVE * MIB for offset, length in extents)
    assert swap == [] and (21 * MIB, 3 * MIB + 4096) in list(extents)
    assert looked.allocated(frozenset({3}))[0].total_bytes > extents.total_bytes + 10 * MIB


def test_a_map_that_turns_out_wrong() -> None:
    """A filesystem whose map does not add up is taken whole, and the reason told."""
    disk = disk_of(captured.server())
    descriptor = ROOT * MIB + 2048
    disk.write(descriptor + 12, b"\x07\x07")
    extents, reasons = survey(disk.read, SIZE, 512).allocated()

    assert list(reasons) == [3] and "descriptor" in reasons[3]
    assert any(offset <= ROOT * MIB and offset + length == DRIVE * MIB for offset, length in extents)


@pytest.mark.parametrize("name", ["ext4", "xfs", "btrfs", "btrfs-mixed", "fat16", "fat32"])
def test_what_lies_behind_a_filesystem(name: str) -> None:
    """A filesystem may be smaller than its place; what follows it there (hashes, another layer's state) is kept."""
    content, size = disks.load(name)
    looked = survey(content.read, size + 16 * MIB, 512)
    extents, reasons = looked.allocated()
    found = looked.parts[0].filesystem

    assert found is not None and found.size_bytes <= size and reasons == {}
    assert list(extents.within(found.size_bytes, size + 16 * MIB)) == [(found.size_bytes, size + 16 * MIB)]
    assert extents.total_bytes == sum(length for _, length in found.used()) + size + 16 * MIB - found.size_bytes


def test_data_that_belongs_to_no_filesystem() -> None:
    """What a deleted partition left between others, and large things behind a filesystem, get into the image: told.
    Zeroes, alignment, and what lies behind the image are not worth a word."""
    parts = ((1, 20, "esp"), (32, 4, "swap"), (40, 34, "root"), (76, 2, "a"))
    content = SparseBytes()
    content.write(0, captured.table(parts)[0])
    for name, at in (("fat16", 1), ("ext4-1k", 40)):
        for offset, data in disks.pieces(name):
            content.write(at * MIB + offset, data)
    assert codes(survey(content.read, SIZE, 512), root=4) == set()
    content.write(37 * MIB, b"alignment")
    content.write(79 * MIB, b"behind")
    assert codes(survey(content.read, SIZE, 512), root=4) == set()

    content.write(31 * MIB, b"deleted")
    content.write(73 * MIB, b"behind a filesystem")
    looked = survey(content.read, SIZE, 512)
    assert codes(looked, root=4) == {"outside"} and looked.outside == ((21 * MIB, 11 * MIB), (64 * MIB, 10 * MIB))


def test_logical_partitions() -> None:
    """Primary partitions from 1, logical ones from 5; their PARTUUIDs; an extended one counts as primary."""
    content = dos((0x83, 2048, 2048), (5, 6144, 8192), (0x83, 20480, 100), logical=((0, 10), (1024, 20), (4096, 30)))
    looked = survey(content.read, 32 * MIB, 512)

    assert [(part.number, part.offset_bytes // 512, part.size_bytes // 512) for part in looked.parts] == [
        (1, 2048, 2048), (5, 6145, 10), (6, 7169, 20), (7, 10241, 30), (3, 20480, 100),
    ]  # fmt: skip
    assert looked.parts[1].guid == "cafe1234-05" and looked.primaries == 3
    assert looked.size_bytes == 20580 * 512 and codes(looked) == {"root-not-last"}


@pytest.mark.parametrize("link", [0, 5, 20000])
def test_chains_that_lead_nowhere(link: int) -> None:
    """Logical partitions in a circle, or outside of the extended one, are refused."""
    content = dos((5, 6144, 8192), logical=((0, 10), (5, 2)))
    content.write(6149 * 512, table((0x83, 1, 2), (5, link, 10)))
    with pytest.raises(DecodeError):
        survey(content.read, 32 * MIB, 512)


def test_four_primaries() -> None:
    """An MBR that is full takes no config drive: refused; three are fine, and one of four may be the old drive."""
    records = tuple((0x83, 2048 * number, 2048) for number in (1, 2, 3, 4))
    full = survey(dos(*records).read, 32 * MIB, 512)

    assert "four-primaries" in codes(full)
    assert "four-primaries" not in codes(survey(dos(*records[:3]).read, 32 * MIB, 512))
    assert "four-primaries" not in codes(replace(full, left_out=frozenset({4})))


@pytest.mark.parametrize(
    "records", [((0x83, 2048, 100), (0x83, 2100, 10)), ((0x83, 2048, 1 << 30),), ((0xEE, 1, 65535),)]
)
def test_tables_that_cannot_be(records: tuple[tuple[int, int, int], ...]) -> None:
    """Overlapping partitions, one past the end, the MBR of a GPT that is not there."""
    with pytest.raises(DecodeError):
        survey(dos(*records).read, 32 * MIB, 512)


def volume(text: str, *, area: int = 4096) -> SparseBytes:
    """A physical volume of LVM2 whose metadata is this text."""
    content = SparseBytes()
    label = b"LABELONE" + struct.pack("<QII8s", 1, 0, 32, b"LVM2 001")
    areas = struct.pack("<QQQQQQQQ", MIB, 0, 0, 0, area, MIB - area, 0, 0)
    content.write(512, label + b"U" * 32 + struct.pack("<Q", 32 * MIB) + areas)
    content.write(area, struct.pack("<I16sIQQQQ", 0, AREA, 1, area, MIB - area, 512, len(text)))
    content.write(area + 512, text.encode())
    return content


def test_lvm() -> None:
    """A volume group on one disk is read whole, one on several is refused, and so is one that cannot be read."""
    found = {}
    for name, text in {"one": TEXT.format(more=""), "two": TEXT.format(more=SECOND), "none": "vg {\n}\n"}.items():
        looked = survey(volume(text).read, 32 * MIB, 512)
        assert looked.parts[0].kind == "LVM2_member"
        found[name] = {one.code for one in findings(looked)}, any(one.is_refusal for one in findings(looked))

    assert members(volume(TEXT.format(more=SECOND)).read, 32 * MIB) == 2
    assert found["one"] == ({"no-table", "closed", "root-not-last"}, False)
    assert found["two"] == ({"no-table", "lvm", "root-not-last"}, True)
    assert found["none"] == ({"no-table", "lvm", "illegible", "root-not-last"}, True)


@pytest.mark.parametrize(
    ("offset", "mark", "kind"),
    [
        (0, b"\xfc\x4e\x2b\xa9", "linux_raid_member"),
        (4096, b"\xfc\x4e\x2b\xa9", "linux_raid_member"),
        (32 * MIB - 8192, b"\xfc\x4e\x2b\xa9", "linux_raid_member"),
        (32 * MIB - 65536, b"\xfc\x4e\x2b\xa9", "linux_raid_member"),
        (32 * MIB - 1024, b"Intel Raid ISM Cfg Sig. 1.3", "linux_raid_member"),
        (0, b"LUKS\xba\xbe\0\2", "crypto_LUKS"),
        (3, b"NTFS    ", "ntfs"),
        (4096 + 24, bytes.fromhex("c68573f666ce90a9d96a60cf803df7ef"), "bcachefs"),
        (128 * 1024, struct.pack("<Q1016x", 0x00BAB10C) * 4, "zfs_member"),
        (128 * 1024, struct.pack(">Q1016x", 0x00BAB10C) * 4, "zfs_member"),
        (100, b"something", None),
    ],
)
def test_marks(offset: int, mark: bytes, kind: str | None) -> None:
    """RAID and encryption at their places, also where a filesystem was before; of others, with the mark of one more,
    nothing is believed."""
    content = SparseBytes()
    content.write(offset, mark)
    assert kind_of(bounded(content.read, 32 * MIB), 32 * MIB) == kind
    content.write(1024 + 0x38, b"\x53\xef")
    assert kind_of(bounded(content.read, 32 * MIB), 32 * MIB) == {
        "linux_raid_member": kind, "crypto_LUKS": kind, None: "ext4",
    }.get(kind)  # fmt: skip


def test_marks_of_several_filesystems() -> None:
    """One of them is of the past, and its map would lose files: all is read, none of it mounted, and that is told."""
    disk = disk_of(captured.server())
    disk.write(ROOT * MIB + 0x10040, b"_BHRfS_M")
    looked = survey(disk.read, SIZE, 512)
    extents, _ = looked.allocated()

    assert any(offset <= ROOT * MIB and offset + length == DRIVE * MIB for offset, length in extents)
    told = [str(one) for one in findings(looked) if one.code == "illegible"]
    assert looked.parts[2].kind is None and "ext4 and btrfs" in told[0]


def test_findings_of_parts() -> None:
    """A part of a RAID and of a btrfs on several devices are refused; what is encrypted is taken whole, and said."""
    looked = server()
    raid = replace(looked, parts=(Part(1, MIB, MIB, kind="linux_raid_member"), *looked.parts[1:]))
    luks = replace(looked, parts=(Part(1, MIB, MIB, kind="crypto_LUKS"), *looked.parts[1:]))
    nothing = replace(looked, parts=())

    assert codes(raid) == {"raid"} and codes(luks) == {"closed"} and codes(nothing) == {"empty"}
    content, size = disks.load("btrfs")
    content.write(0x10088, (2).to_bytes(8, "little"))
    assert codes(survey(content.read, size, 512)) == {"no-table", "several-disks"}
