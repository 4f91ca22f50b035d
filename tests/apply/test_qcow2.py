# SPDX-License-Identifier: Apache-2.0
"""QCOW2 through `write_image`: versions, sizes and kinds of clusters in any order; a file that becomes another one."""

from __future__ import annotations

import random
import zlib
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.apply.image import write_image
from agent.errors import ImageError, ImageRefused
from agent.host.fake import FakeHost, Machine, Page
from agent.host.fake.web import FakeBody, FakeFetch
from agent.model.image import ImageFormat, ImageRef
from agent.model.qcow2 import CORRUPT, DIRTY, EXTENDED_L2, EXTERNAL_DATA, Compression
from tests.apply.disks import MIB, URL, disk_of, gpt_image, machine
from tests.apply.packed import digest_of
from tests.apply.qcow2 import Shape, qcow2
from tests.apply.writing import head_of, must_hold, step_of, write

DISK = 32 * MIB
SIX_BITS = bytes(byte & 0x3F for byte in range(256))


def soft(image: bytes) -> bytes:
    """With noise that packs a little; boot code and table stay."""
    return image[:MIB] + image[MIB:-MIB].translate(SIX_BITS) + image[-MIB:]


IMAGE = soft(gpt_image())


def serve(made: Machine, file: bytes, **changes: Any) -> ImageRef:
    """The file on the fake web."""
    made.web[URL] = Page(file)
    told = {"url": URL, "format": ImageFormat.QCOW2, "sha256": digest_of(file, ImageFormat.QCOW2)}
    return ImageRef.model_validate(told | {"size_bytes": len(IMAGE)} | changes)


def written(file: bytes, image: bytes = IMAGE, sector_bytes: int = 512) -> None:
    """On a disk that was full it must be the image, holes included, and be so when it is read back."""
    made = machine(DISK, sector_bytes=sector_bytes)
    disk_of(made).write(0, b"\xff" * DISK)
    write(made, serve(made, file, size_bytes=len(image)), verify=True)
    must_hold(made, image)


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("cluster_bits", [9, 16, 21])
@pytest.mark.parametrize("packed", [0.0, 0.5, 1.0])
def test_zlib(version: int, cluster_bits: int, packed: float) -> None:
    """Every version and cluster size, with no, some and all clusters packed."""
    written(qcow2(IMAGE, Shape(version, cluster_bits, packed=packed, zeroes=0.3, seed=5)))


@pytest.mark.parametrize("cluster_bits", [9, 16, 21])
def test_zstd(cluster_bits: int) -> None:
    """Clusters that are packed by zstd."""
    written(qcow2(IMAGE, Shape(3, cluster_bits, Compression.ZSTD, packed=0.9, zeroes=0.5, seed=6)))


@given(st.integers(1, 10**6), st.integers(9, 21), st.floats(0, 1), st.floats(0, 1), st.integers(0, 3000))
@settings(max_examples=10)
def test_any_shape(seed: int, cluster_bits: int, packed: float, zeroes: float, more: int) -> None:
    """Whatever order the clusters have, whatever is packed or said to be zero, and wherever the disk ends."""
    image = IMAGE + random.Random(seed).randbytes(more * 512).translate(SIX_BITS)
    kind = random.Random(seed).choice(list(Compression))
    written(qcow2(image, Shape(3, cluster_bits, kind, packed, zeroes, seed)), image)


def test_zeroes_over_old_data() -> None:
    """A cluster that is said to be zero is zero, though the file has a place with other bytes for it."""
    file = qcow2(IMAGE, Shape(zeroes=1.0, seed=3))
    assert b"\xee" * 65536 in file

    written(file)


@pytest.mark.parametrize("length", [4096, 512, 700])
@pytest.mark.parametrize("sector_bytes", [512, 4096])
def test_file_that_ends_within_its_last_cluster(sector_bytes: int, length: int) -> None:
    """What is missing of a plain cluster is zero."""
    begun = gpt_image(sector_bytes=sector_bytes)[:-65536]
    image = begun + b"x" * length + bytes(65536 - length)
    file = qcow2(image)
    at, l2, last = file.rindex(b"x" * length), len(file) - 65536, len(image) // 65536 - 1
    table = bytearray(file[l2:])
    table[8 * last : 8 * last + 8] = (1 << 63 | l2 + 65536).to_bytes(8, "big")
    moved = file[:at] + b"\xee" * 65536 + file[at + 65536 : l2] + bytes(table) + b"x" * length
    written(moved, image, sector_bytes)


def test_clusters_smaller_than_a_sector() -> None:
    """They are refused before the disk is touched."""
    made = machine(DISK, sector_bytes=4096)
    disk_of(made).write(0, b"precious" * 512)
    with pytest.raises(ImageRefused, match="clusters of 512 bytes are smaller"):
        write(made, serve(made, qcow2(gpt_image(sector_bytes=4096), Shape(cluster_bits=9))))

    assert disk_of(made).read(0, 8) == b"precious"


REFUSED: dict[str, tuple[dict[str, int], str]] = {
    "backing file": ({"backing_at": 8, "backing_size": 4}, "backing file"),
    "AES": ({"crypt": 1}, "encrypted.*AES"),
    "LUKS": ({"crypt": 2}, "encrypted.*LUKS"),
    "data file": ({"incompatible": EXTERNAL_DATA}, "data is in another file"),
    "subclusters": ({"incompatible": EXTENDED_L2}, "subclusters"),
    "dirty": ({"incompatible": DIRTY}, "not closed in order"),
    "corrupt": ({"incompatible": CORRUPT}, "marked as corrupt"),
    "unknown feature": ({"incompatible": 1 << 40}, "the feature 40"),
    "version": ({"version": 4}, "QCOW version 4"),
}


@pytest.mark.parametrize(("header", "told"), REFUSED.values(), ids=REFUSED)
def test_refused_by_name(header: dict[str, int], told: str) -> None:
    """What needs another file, a key, a repair or a newer reader is named, and the disk is not touched."""
    made = machine(DISK)
    disk_of(made).write(0, b"precious")
    with pytest.raises(ImageRefused, match=told):
        write(made, serve(made, qcow2(IMAGE, Shape(header=header))))

    assert disk_of(made).read(0, 8) == b"precious"


def test_no_ranges() -> None:
    """A server that gives no ranges is told what it lacks, before the disk is touched."""
    made = machine(DISK)
    disk_of(made).write(0, b"precious")
    image = serve(made, qcow2(IMAGE))
    made.web[URL].does_ranges = False
    with pytest.raises(ImageRefused, match="read by ranges") as told:
        write(made, image)

    assert "does ranges" in told.value.hint and disk_of(made).read(0, 8) == b"precious"


def test_damaged_cluster() -> None:
    """A packed cluster that is not, though the digest is right, is the image's fault; nothing is handed on."""
    file = bytearray(qcow2(IMAGE, Shape(packed=1.0)))
    packer = zlib.compressobj(1, zlib.DEFLATED, -12)
    at = file.index(packer.compress(IMAGE[MIB : MIB + 65536])[:32])
    file[at : at + 64] = b"\xff" * 64
    made = machine(DISK)
    with pytest.raises(ImageError, match="packed clusters"):
        write(made, serve(made, bytes(file)))

    assert head_of(made) is None


def test_cut_file() -> None:
    """A file without its end is known by its tables."""
    made = machine(DISK)
    file = qcow2(IMAGE)
    with pytest.raises(ImageError):
        write(made, serve(made, file[: len(file) - 65536 - 1]))
    with pytest.raises(ImageError):
        write(made, serve(made, file[:100]))

    assert head_of(made) is None


class Turncoat(FakeFetch):
    """Serves another file from the n-th request on."""

    def __init__(self, host: FakeHost, other: bytes, at: int) -> None:
        super().__init__(host.machine, host.faults)
        self._other, self._left = other, at

    def get(self, url: str, *told: Any) -> FakeBody:
        """One request more."""
        self._left -= 1
        if not self._left:
            self.machine.web[URL] = Page(self._other)
        return super().get(url, *told)


@pytest.mark.parametrize("at", range(1, 9))
def test_tables_of_another_file(at: int) -> None:
    """A file that becomes another one among its tables and its data, of the same length and with no validator, is
    never taken half and half, also where the digest is the second one's.
    """
    second = soft(gpt_image(seed=7))
    other = qcow2(second, Shape(seed=8))
    file = qcow2(IMAGE, Shape(seed=9)).ljust(len(other), b"\0")
    other = other.ljust(len(file), b"\0")
    made = machine(DISK)
    image = serve(made, file, sha256=digest_of(other, ImageFormat.QCOW2))
    host = FakeHost.of(made)
    try:
        write_image(replace(host, fetch=Turncoat(host, other, at)), step_of(made, image), lambda *_: None)
    except ImageError:
        assert head_of(made) is None and at > 1
    else:
        must_hold(made, second)
