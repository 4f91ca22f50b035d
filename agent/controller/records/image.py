# SPDX-License-Identifier: Apache-2.0
"""Images as they are kept, and imports: images that are still being fetched and converted."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from agent.controller.records.owned import Name, SharedOwned
from agent.model.fault import Fault
from agent.model.frozen import Frozen
from agent.model.image import OPEN, SHA256_PATTERN, SHA512_PATTERN, Access, ImageFormat

ImageFirmware = Literal["uefi", "bios", "both"]
Url = Annotated[str, Field(pattern=r"^(https?|oci)://\S+$", max_length=2048)]
HttpUrl = Annotated[str, Field(pattern=r"^https?://\S+$", max_length=2048)]


def number(value: object) -> object:
    """A query has nothing but text, and a Literal is not converted."""
    return int(value) if isinstance(value, str) and value in ("512", "4096") else value


SectorBytes = Annotated[Literal[512, 4096], BeforeValidator(number)]


class ImageStatus(StrEnum):
    """Where an image stands; only an active one is deployed."""

    QUEUED = "queued"
    SAVING = "saving"
    ACTIVE = "active"
    KILLED = "killed"

    @property
    def final(self) -> bool:
        """Nothing more happens to it."""
        return self in (ImageStatus.ACTIVE, ImageStatus.KILLED)


class ImageSpec(Frozen):
    """An image as its owner describes it. What is left out is as the image itself says, where it says so."""

    name: Name
    min_disk_gb: int | None = Field(default=None, ge=1, le=1024)
    firmware: ImageFirmware | None = None
    sector_bytes: SectorBytes | None = None
    agent: bool | None = Field(
        default=None, description="our service is in it and returns the nonce; left out, cloud-init may do so instead"
    )


class Image(SharedOwned):
    """An image as it is kept; `url` is None for a file of ours, which we serve ourselves.

    The digest is that of the file as it travels; a chunked image's is that of its manifest.
    """

    id: str
    name: str
    status: ImageStatus = ImageStatus.ACTIVE
    format: ImageFormat
    min_disk_gb: int = 1
    firmware: ImageFirmware = "both"
    sector_bytes: SectorBytes | None = Field(default=None, description="that it was made for; None: any, or not known")
    agent: bool | None = None
    url: str | None = None
    mirrors: tuple[str, ...] = ()
    sha256: str | None = Field(default=None, pattern=SHA256_PATTERN)
    sha512: str | None = Field(default=None, pattern=SHA512_PATTERN)
    checksums: str | None = None
    access: Access = OPEN
    file_bytes: int | None = None
    size_bytes: int | None = Field(default=None, description="of the disk it unpacks to")
    fault: Fault | None = Field(default=None, description="why it was killed")
    created_at: datetime


class ImportStep(StrEnum):
    """What an import waits for, or does."""

    FETCH = "fetch"
    """its file is to be fetched from its URL"""
    CONVERT = "convert"
    """its file is here"""


class Import(Frozen):
    """An image on its way in, until it is active or killed. `attempts` counts how often its step was begun."""

    image_id: str
    step: ImportStep
    attempts: int = 0
    kind: str | None = Field(default=None, description="as its owner says; None: as its magic says")
    file: str = ""
    url: str | None = None
    access: Access = OPEN
    sha256: str | None = None
    sha512: str | None = None
    spec: ImageSpec
    doing: str = ""
    done_bytes: int = 0
    total_bytes: int | None = None
    ordered_at: datetime
