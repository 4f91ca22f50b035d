# SPDX-License-Identifier: Apache-2.0
"""The config drive: a small vfat partition labelled `config-2` at the END of the disk, so that root can grow.

Layout of its tree: OpenStack's config drive (docs.openstack.org/nova, "metadata"), plus `bms-agent/service.json`,
which tells our service in the installed OS whose it is.
"""

from __future__ import annotations

import base64
import binascii
import zlib

from pydantic import Field, SecretStr

from agent.errors import DecodeError
from agent.model.disk import MIB
from agent.model.frozen import Frozen, Secret

LABEL = "config-2"
SIZE_BYTES = 64 * MIB
GZIP = b"\x1f\x8b"
ISO_MARK, ISO_MARK_AT = b"CD001", 0x8001
ISO_SECTOR_BYTES = 2048


class ConfigDrive(Frozen):
    """The files, path to text. They may hold passwords and credentials, so they are secrets as a whole."""

    files: dict[str, Secret] = Field(max_length=32)

    @classmethod
    def holding(cls, files: dict[str, str]) -> ConfigDrive:
        """From plain texts."""
        return cls(files={path: SecretStr(text) for path, text in files.items()})


class DriveImage(Frozen):
    """A config drive that somebody else has made: the bytes of its filesystem, in base64, packed with gzip or not
    (what OpenStack's conductors send). It is as secret as what it holds.
    """

    data: Secret

    def content(self) -> bytes:
        """The filesystem. Raises `DecodeError` for what is none, or has no room in its partition."""
        doing = "unpacking the config drive"
        try:
            packed = base64.b64decode("".join(self.data.get_secret_value().split()), validate=True)
        except (binascii.Error, ValueError):
            raise DecodeError(doing, "it is not base64") from None
        content = unpacked(packed) if packed[:2] == GZIP else packed
        if not content or len(content) > SIZE_BYTES:
            raise DecodeError(doing, f"it has {len(content)} bytes or more; 1 to {SIZE_BYTES} have room")
        return content


def unpacked(packed: bytes) -> bytes:
    """Up to one byte more than there is room for, whatever it would unpack to. Raises `DecodeError`."""
    unpacker = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
    try:
        content = unpacker.decompress(packed, SIZE_BYTES + 1)
    except zlib.error:
        content = b""
    if not unpacker.eof and len(content) <= SIZE_BYTES:
        raise DecodeError("unpacking the config drive", "its gzip is damaged, or cut short")
    return content


def is_iso9660(content: bytes) -> bool:
    """Made for sectors of 2048 bytes (ECMA-119, section 8.1.2): Linux mounts it on no disk with larger ones."""
    return content[ISO_MARK_AT : ISO_MARK_AT + len(ISO_MARK)] == ISO_MARK


def offset_bytes(disk_bytes: int) -> int:
    """Where the config drive begins on a disk of that size: the last MiB boundary that leaves room for it and the GPT.

    One MiB is left for the backup GPT whatever the sector size is (33 sectors of 4 KiB are 132 KiB).
    """
    return (disk_bytes - MIB - SIZE_BYTES) // MIB * MIB
