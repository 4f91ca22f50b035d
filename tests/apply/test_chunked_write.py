# SPDX-License-Identifier: Apache-2.0
"""Writing chunked images to a fake machine: any disk comes out as it was packed; what is there is not fetched."""

from __future__ import annotations

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.apply.chunked.unpack import unpack_chunked, verify_chunked
from agent.errors import ImageRefused, ImageTooLarge, NotAsObserved, SectorSizeMismatch
from agent.host.fake import FakeDisk, FakeHost, Machine
from tests.apply.chunks import KIB, MIB, STORE, packing, serve, serve_store, sparse_disk
from tests.apply.disks import URL, boots, disk_of, gpt_image, machine
from tests.apply.writing import head_of, must_be_unverified, must_hold, write

DISK = 32 * MIB
IMAGE = gpt_image()


def full(made: Machine) -> FakeDisk:
    """The disk, every byte of it written once."""
    disk = disk_of(made)
    disk.write(0, b"\xff" * disk.size_bytes)
    disk.flush()
    return disk


@settings(max_examples=25)
@given(
    seed=st.integers(0, 1 << 32),
    sectors=st.integers(2 * MIB // 512, 5 * MIB // 512),
    chunk_bytes=st.sampled_from([64 * KIB, 192 * KIB, 256 * KIB, MIB, 2 * MIB]),
    was_full=st.booleans(),
    is_store=st.booleans(),
    verify=st.booleans(),
)
def test_any_disk(seed: int, sectors: int, chunk_bytes: int, was_full: bool, is_store: bool, verify: bool) -> None:
    """Packed and written, any disk is what it was, holes and end included; nothing behind its next MiB is touched."""
    disk = sparse_disk(sectors * 512, seed)
    made = machine(12 * MIB)
    if was_full:
        full(made)
    image = (serve_store if is_store else serve)(made, disk, chunk_bytes=chunk_bytes)
    result = write(made, image, verify=verify)

    must_hold(made, disk)
    assert result["image_bytes"] == len(disk) and result["sha256"] == image.sha256 and result["reused_bytes"] == 0
    assert result.get("verified_bytes") == (len(disk) - MIB if verify else None)
    assert disk_of(made).read(len(disk) + MIB, MIB) == (b"\xff" if was_full else b"\0") * MIB


@given(seed=st.integers(0, 1 << 32), size=st.integers(1, 3 * MIB), chunk_bytes=st.sampled_from([64 * KIB, MIB]))
@settings(max_examples=25)
def test_packed_file_is_ordinary_zstd(seed: int, size: int, chunk_bytes: int) -> None:
    """Whoever reads zstd gets the disk, of whatever length it is; packing is the same every time, by any threads."""
    disk = sparse_disk(size, seed)
    made, file = packing(disk, chunk_bytes=chunk_bytes)

    assert zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True).read() == disk
    assert packing(disk, chunk_bytes=chunk_bytes, threads=3)[1] == file and made.packed_bytes == len(file)


@given(seed=st.integers(0, 1 << 32), size=st.integers(1, 3 * MIB))
@settings(max_examples=20)
def test_unpacked_to_a_file(seed: int, size: int) -> None:
    """A file has exactly the disk's length, also where that is no whole sector."""
    disk = sparse_disk(size, seed)
    made = machine(DISK)
    image = serve(made, disk)
    unpack_chunked(FakeHost.of(made), image, "/out.raw", (), lambda *_: None)
    verify_chunked(FakeHost.of(made), image, (), lambda *_: None)

    assert made.tree.entries["/out.raw"] == disk


def test_only_data_is_fetched_and_written() -> None:
    """What is zero is neither fetched nor written; nothing is fetched twice."""
    made = machine(DISK)
    disk = bytearray(24 * MIB)
    disk[9 * MIB : 9 * MIB + 70 * KIB] = bytes(range(1, 71)) * KIB
    disk[:446] = IMAGE[:446]
    result = write(made, serve(made, bytes(disk)))

    assert result["written_bytes"] == 128 * KIB and isinstance(result["fetched_bytes"], int)
    assert result["fetched_bytes"] < 2 * len(made.web[URL].body) < 10 * KIB


@pytest.mark.parametrize("is_store", [False, True])
def test_the_same_again(is_store: bool) -> None:
    """A disk that holds the image already is read, and next to nothing is fetched or written."""
    made = machine(DISK)
    disk = gpt_image(24 * MIB)
    image = (serve_store if is_store else serve)(made, disk)
    first = write(made, image)
    second = write(made, image)

    must_hold(made, disk)
    assert isinstance(second["reused_bytes"], int) and isinstance(first["written_bytes"], int)
    assert second["reused_bytes"] >= first["written_bytes"] - 512 * KIB
    assert second["written_bytes"] == 0


@settings(max_examples=25)
@given(seed=st.integers(0, 1 << 32), flips=st.lists(st.integers(MIB, 6 * MIB - 1), max_size=5))
def test_only_what_differs(seed: int, flips: list[int]) -> None:
    """Whatever changed on a disk since it was written becomes the image again, and only those chunks are fetched."""
    disk = gpt_image()
    made = machine(DISK)
    image = serve(made, disk)
    write(made, image)
    there = disk_of(made)
    for at in flips:
        sector = bytearray(there.read(at // 512 * 512, 512))
        sector[at % 512] ^= 1 + seed % 255
        there.write(at // 512 * 512, bytes(sector))
    made.web[URL].opened_at.clear()
    again = write(made, image, resumed=True, verify=True)

    must_hold(made, disk)
    changed = {at // (256 * KIB) for at in flips}
    assert isinstance(again["written_bytes"], int) and again["written_bytes"] <= len(changed) * 256 * KIB


def test_another_image_over_one() -> None:
    """A newer image of the same system keeps what is the same; what is a hole in it becomes one."""
    old = bytearray(gpt_image(24 * MIB, seed=1))
    new = bytearray(gpt_image(24 * MIB, seed=1))
    old[4 * MIB : 8 * MIB] = new[4 * MIB : 8 * MIB] = sparse_disk(4 * MIB, 5)
    old[12 * MIB : 13 * MIB] = b"\x55" * MIB
    new[14 * MIB : 15 * MIB] = b"\xaa" * MIB
    made = machine(DISK)
    write(made, serve(made, bytes(old)))
    result = write(made, serve(made, bytes(new)))

    must_hold(made, bytes(new))
    assert result["written_bytes"] == MIB


def test_store_shares_chunks() -> None:
    """Two images in one store have one file for what they have in common."""
    made = machine(DISK)
    serve_store(made, gpt_image(24 * MIB))
    before = {url for url in made.web if url.startswith(STORE)}
    changed = bytearray(gpt_image(24 * MIB))
    changed[1_500_000] ^= 1
    serve_store(made, bytes(changed))

    assert len({url for url in made.web if url.startswith(STORE)} - before) == 1


def test_refused_before_the_first_write() -> None:
    """An image that does not fit, or is for other sectors, or comes without ranges, leaves the disk as it was."""
    made = machine(DISK)
    full(made)
    with pytest.raises(ImageTooLarge):
        write(made, serve(made, gpt_image(24 * MIB)), limit_bytes=20 * MIB)
    with pytest.raises(SectorSizeMismatch):
        write(made, serve(made, gpt_image(sector_bytes=4096)))
    image = serve(made, IMAGE)
    made.web[URL].does_ranges = False
    with pytest.raises(ImageRefused, match="ranges"):
        write(made, image)

    assert not disk_of(made).cached and disk_of(made).read(0, MIB) == b"\xff" * MIB and head_of(made) is None


class LyingDisk(FakeDisk):
    """Keeps all but one sector of what is written, or zeroes nothing but its ends."""

    def __init__(self, at: int | None) -> None:
        super().__init__(DISK)
        self._at = at

    def write(self, offset: int, data: bytes) -> None:
        """All but that."""
        super().write(offset, data)
        if self._at is not None and offset <= self._at < offset + len(data):
            super().write(self._at, b"\xee" * 512)

    def zero(self, offset: int, length: int) -> None:
        """Or not."""
        if self._at is not None or offset in (0, DISK - MIB):
            super().zero(offset, length)


@pytest.mark.parametrize("at", [MIB, MIB + 512 * 9, 5 * MIB - 512, None])
def test_read_back(at: int | None) -> None:
    """What the disk did not keep, data or zeroes, is found when it is read back; nothing is handed on."""
    made = machine(DISK)
    made.disks["/dev/sda"] = LyingDisk(at)
    FakeDisk.write(disk_of(made), 0, b"\xff" * DISK)
    with pytest.raises(NotAsObserved, match="differs"):
        write(made, serve(made, IMAGE), verify=True)

    assert head_of(made) is None and not boots(disk_of(made))


def test_sectors_of_4096() -> None:
    """The same on a disk of larger sectors."""
    made, image = machine(DISK, sector_bytes=4096), gpt_image(sector_bytes=4096)
    write(made, serve(made, image), verify=True)

    must_hold(made, image)


def test_too_small_to_be_a_disk() -> None:
    """An image shorter than a disk's first MiB is none."""
    made = machine(DISK)
    with pytest.raises(Exception, match="no disk"):
        write(made, serve(made, b"x" * 100_000))

    must_be_unverified(made)
