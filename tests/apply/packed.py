# SPDX-License-Identifier: Apache-2.0
"""A disk's image as a file of every format, and the digest that it is known by."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import lzma
from collections.abc import Callable
from functools import lru_cache

import zstandard

from agent.model.image import ImageFormat
from tests.apply.qcow2 import qcow2
from tests.controller.chunks import manifest_of
from tests.controller.chunks import packed as chunked

STREAMS = tuple(one for one in ImageFormat if one is not ImageFormat.CHUNKED)
"""What the stream engine writes."""
PACKED = tuple(one for one in STREAMS if one not in (ImageFormat.RAW, ImageFormat.QCOW2))


PACKERS: dict[ImageFormat, Callable[[bytes], bytes]] = {
    ImageFormat.RAW: bytes,
    ImageFormat.RAW_GZ: lambda image: gzip.compress(image, 1),
    ImageFormat.RAW_XZ: lambda image: lzma.compress(image, preset=0),
    ImageFormat.RAW_ZST: zstandard.compress,
    ImageFormat.RAW_BZ2: lambda image: bz2.compress(image, 1),
    ImageFormat.QCOW2: qcow2,
    ImageFormat.CHUNKED: chunked,
}


@lru_cache(maxsize=64)
def file_of(image: bytes, image_format: ImageFormat) -> bytes:
    """The file as it travels. Of QCOW2, a plain one."""
    return PACKERS[image_format](image)


def digest_of(file: bytes, image_format: ImageFormat) -> str:
    """SHA-256 of the file, or of a chunked image's manifest."""
    return manifest_of(file).digest if image_format is ImageFormat.CHUNKED else hashlib.sha256(file).hexdigest()
