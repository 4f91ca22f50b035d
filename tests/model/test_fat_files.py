# SPDX-License-Identifier: Apache-2.0
"""The files of FAT filesystems that mtools made, and of bytes that nobody would make."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.errors import DecodeError
from agent.model.filesystem.fat_files import FatFiles
from tests.efi import SmallFat, fat_image

LONG = "a rather long name, with ümlaut.efi"
FILES = {
    "/EFI/BOOT/BOOTX64.EFI": b"MZ" + bytes(range(256)) * 40,
    "/EFI/debian/shimx64.efi": b"shim",
    "/lower.txt": b"",
}
SIZES = (2, 20, 64)
"""MiB: of these mtools makes FAT12, FAT16 and FAT32."""


def opened(image: bytes) -> FatFiles:
    """What is in an image."""
    return FatFiles(lambda offset, length: image[offset : offset + length], len(image))


@pytest.mark.root
@pytest.mark.parametrize("size_mib", SIZES)
def test_files_of_every_kind_of_fat(tmp_path: Path, size_mib: int) -> None:
    """Names as they were written, found in any case; contents over many clusters; nothing where nothing is."""
    files = {**FILES, f"/EFI/debian/{LONG}": b"long"}
    found = opened(fat_image(tmp_path, files, size_mib, volume="12AB34CD"))

    assert found.uuid == "12AB-34CD"
    assert set(found.names("/efi/DEBIAN")) == {"shimx64.efi", LONG}
    assert set(found.names("/")) == {"EFI", "lower.txt"}
    assert found.names("/efi/suse") == found.names("/lower.txt") == ()
    for path, content in files.items():
        assert found.content(path.upper(), 20_000) == content
        assert found.find(path.lower()) is not None
    assert found.find("/efi/boot") is None and found.find("/lower.txt/x") is None
    with pytest.raises(DecodeError, match="no file of at most 100 bytes"):
        found.content("/EFI/BOOT/BOOTX64.EFI", 100)


@pytest.mark.root
@pytest.mark.parametrize("size_mib", SIZES)
def test_many_files(tmp_path: Path, size_mib: int) -> None:
    """A directory goes on over as many clusters as it has."""
    files = {f"/EFI/many/a file with number {number}.txt": b"%d" % number for number in range(60)}
    found = opened(fat_image(tmp_path, files, size_mib))

    assert len(found.names("/EFI/many")) == 60
    assert found.content("/EFI/many/a file with number 59.txt", 10) == b"59"


@pytest.mark.root
def test_a_circle_of_clusters(tmp_path: Path) -> None:
    """A directory whose chain bites its tail is an error, and soon."""
    image = bytearray(fat_image(tmp_path, {"/x": b"x"}, 64))
    reserved = int.from_bytes(image[14:16], "little") * 512
    image[reserved + 8 : reserved + 12] = (2).to_bytes(4, "little")  # the root, in cluster 2, is followed by itself
    root = bytes(image).index(b"X  ")
    for at in range(root, root + 512 * image[13], 32):
        image[at] = 0xE5
    with pytest.raises(DecodeError, match="circle"):
        opened(bytes(image)).names("/")


SMALL = SmallFat(FILES | {f"/EFI/many/{number}": bytes(700) for number in range(40)}).image


def test_the_small_one_of_the_tests() -> None:
    """What the fast tests use instead of mtools is a filesystem of the same kind."""
    found = opened(SMALL)

    assert found.uuid == "12AB-34CD" and set(found.names("/")) == {"EFI", "lower.txt"}
    assert set(found.names("/efi")) == {"BOOT", "debian", "many"} and len(found.names("/efi/MANY")) == 40
    assert found.content("/efi/boot/bootx64.efi", 1 << 20) == FILES["/EFI/BOOT/BOOTX64.EFI"]
