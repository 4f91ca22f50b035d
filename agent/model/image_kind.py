# SPDX-License-Identifier: Apache-2.0
"""What an image file is, by its first bytes (and its last): whatever its name and whoever sent it say. Pure.

The magics are those of QEMU's block drivers (block/*.c of QEMU, `bdrv_probe`), of libmagic, and of the formats' own
documents. ZVHD and ZVHD2 have no public description: only a name's ending tells them.
"""

from __future__ import annotations

from enum import StrEnum
from pathlib import PurePosixPath
from urllib.parse import unquote

from agent.model import mbr
from agent.model.gpt import sector_bytes_of
from agent.model.image import ImageFormat

HEAD_BYTES = 64 * 1024
"""So much of a file's beginning is enough."""
TAIL_BYTES = 512
"""So much of its end."""


class ImageKind(StrEnum):
    """Every kind that is known by sight."""

    DISK = "a raw disk"
    GZIP = "gzip"
    XZ = "xz"
    ZSTD = "zstd"
    BZIP2 = "bzip2"
    QCOW2 = "QCOW2"
    VMDK = "VMDK"
    VHD = "VHD"
    VHDX = "VHDX"
    VDI = "VDI"
    QED = "QED"
    QCOW1 = "QCOW version 1"
    PARALLELS = "a Parallels disk"
    ISO9660 = "an ISO 9660 CD without a partition table"
    TAR = "a tar archive"
    ZIP = "a ZIP archive"
    SEVEN_ZIP = "a 7-Zip archive"
    ZVHD = "ZVHD"
    ZVHD2 = "ZVHD2"


FORMATS: dict[ImageKind, tuple[ImageFormat, ...]] = {
    ImageKind.DISK: (ImageFormat.RAW,),
    ImageKind.GZIP: (ImageFormat.RAW_GZ,),
    ImageKind.XZ: (ImageFormat.RAW_XZ,),
    ImageKind.ZSTD: (ImageFormat.RAW_ZST, ImageFormat.CHUNKED),
    ImageKind.BZIP2: (ImageFormat.RAW_BZ2,),
    ImageKind.QCOW2: (ImageFormat.QCOW2,),
}
"""What a file of a kind may be said to be; the kinds that are missing are not written on a host."""

MAGICS: tuple[tuple[bytes, ImageKind], ...] = (
    (b"\x1f\x8b\x08", ImageKind.GZIP),
    (b"\xfd7zXZ\0", ImageKind.XZ),
    (b"\x28\xb5\x2f\xfd", ImageKind.ZSTD),
    (b"QFI\xfb\0\0\0\1", ImageKind.QCOW1),
    (b"QFI\xfb", ImageKind.QCOW2),
    (b"KDMV", ImageKind.VMDK),
    (b"COWD", ImageKind.VMDK),
    (b"# Disk DescriptorFile", ImageKind.VMDK),
    (b"conectix", ImageKind.VHD),
    (b"vhdxfile", ImageKind.VHDX),
    (b"QED\0", ImageKind.QED),
    (b"WithoutFreeSpace", ImageKind.PARALLELS),
    (b"WithouFreSpacExt", ImageKind.PARALLELS),
    (b"7z\xbc\xaf\x27\x1c", ImageKind.SEVEN_ZIP),
    (b"PK\3\4", ImageKind.ZIP),
)
BZIP2 = (b"1AY&SY", b"\x17rE8P\x90")
"""What follows `BZh` and the level: a block, or the end of an empty file."""
VDI_MAGIC, VDI_MAGIC_AT = b"\x7f\x10\xda\xbe", 64
TAR_MAGIC, TAR_MAGIC_AT = b"ustar", 257
ISO_MAGIC, ISO_MAGIC_AT = b"CD001", 32769
SKIPPABLE = b"\x2a\x4d\x18"
"""Bytes 1 to 3 of a zstd frame that is to be skipped (RFC 8878, section 3.1.2); byte 0 is 0x50 to 0x5f."""
ENDINGS = {".zvhd": ImageKind.ZVHD, ".zvhd2": ImageKind.ZVHD2}
FORMAT_ENDINGS = {
    ".raw": ImageFormat.RAW,
    ".img": ImageFormat.RAW,
    ".gz": ImageFormat.RAW_GZ,
    ".xz": ImageFormat.RAW_XZ,
    ".zst": ImageFormat.RAW_ZST,
    ".bz2": ImageFormat.RAW_BZ2,
    ".qcow2": ImageFormat.QCOW2,
    ".bmi": ImageFormat.CHUNKED,
    ".manifest": ImageFormat.CHUNKED,
}
IMPORT = "bmsctl image import converts it"


def kind_of(head: bytes, name: str = "", tail: bytes = b"") -> ImageKind | None:
    """`head` is the file's beginning, at best `HEAD_BYTES` of it; `tail` its last 512 bytes; `name` its name or URL.

    None for what is not known: a disk without a partition table looks like anything.
    """
    begun = next((kind for magic, kind in MAGICS if head.startswith(magic)), None)
    named = next((kind for ending, kind in ENDINGS.items() if name.partition("?")[0].lower().endswith(ending)), None)
    ended = ImageKind.VHD if is_vhd_footer(tail) else None
    return begun or kind_further_on(head) or named or ended or disk_kind(head)


def format_by_name(name: str) -> ImageFormat | None:
    """What the ending of a file's name or URL says; an artifact of a registry is a chunked image."""
    if name.startswith("oci://"):
        return ImageFormat.CHUNKED
    return FORMAT_ENDINGS.get(PurePosixPath(unquote(name.partition("?")[0])).suffix.lower())


def kind_further_on(head: bytes) -> ImageKind | None:
    """Magics that are more than a beginning."""
    if head[:3] == b"BZh" and head[4:10] in BZIP2:
        return ImageKind.BZIP2
    if head[1:4] == SKIPPABLE and head[0] & 0xF0 == 0x50:
        return ImageKind.ZSTD
    return ImageKind.VDI if head[VDI_MAGIC_AT : VDI_MAGIC_AT + 4] == VDI_MAGIC else None


def disk_kind(head: bytes) -> ImageKind | None:
    """What is known by no beginning of its own. A hybrid CD has a partition table, and so is a disk, too."""
    if mbr.parse(head) is not None or sector_bytes_of(head) is not None:
        return ImageKind.DISK
    if head[ISO_MAGIC_AT : ISO_MAGIC_AT + 5] == ISO_MAGIC:
        return ImageKind.ISO9660
    if head[TAR_MAGIC_AT : TAR_MAGIC_AT + 5] == TAR_MAGIC:
        return ImageKind.TAR
    return None


def is_vhd_footer(tail: bytes) -> bool:
    """Whether these 512 bytes end a fixed VHD, which is a raw disk in all else (Virtual Hard Disk Image Format
    Specification, "Hard Disk Footer Format"): cookie, and a checksum, the complement of the sum of all other bytes.
    """
    if len(tail) != TAIL_BYTES or not tail.startswith(b"conectix"):
        return False
    told = int.from_bytes(tail[64:68], "big")
    return (sum(tail) - sum(tail[64:68])) ^ 0xFFFFFFFF == told


def misfit(kind: ImageKind | None, said: ImageFormat) -> tuple[str, str] | None:
    """(what it is, what to do) where a file of this kind is not of the format that was said. None: it may be."""
    if kind is None or said in FORMATS.get(kind, ()):
        return None
    evidence = f"it is {kind}, not {said}"
    fitting = FORMATS.get(kind)
    return evidence, f"say that its format is {fitting[0]}" if fitting else IMPORT
