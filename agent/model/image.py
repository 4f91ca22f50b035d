# SPDX-License-Identifier: Apache-2.0
"""OS images as they are referred to: where, in which form, and with which digest."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from agent.model.frozen import Frozen

SHA256_PATTERN = r"^[0-9a-f]{64}$"


class ImageFormat(StrEnum):
    """How the disk's bytes are packed in the file."""

    RAW = "raw"
    RAW_ZST = "raw.zst"


class ImageRef(Frozen):
    """An image to be written. The digest is of the file as it travels and is never optional."""

    url: str = Field(pattern=r"^https?://")
    format: ImageFormat
    sha256: str = Field(pattern=SHA256_PATTERN)
    file_bytes: int | None = Field(default=None, gt=0, description="length of the file as it travels")
    size_bytes: int | None = Field(default=None, gt=0, description="length of the disk it unpacks to")
