# SPDX-License-Identifier: Apache-2.0
"""A plan is data: steps that name exact devices, offsets and addresses, and what must hold before the first of them.

Executing a plan leaves no choice to be made. A plan is shown to operators as it is (`bms-agent … --plan`).
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from agent.model.config_drive import ConfigDrive
from agent.model.disk import DiskIdentity
from agent.model.frozen import Frozen
from agent.model.image import OPEN, Access, ImageRef


class Epilogue(StrEnum):
    """What happens after the final report was acknowledged: it ends this boot, so nothing can be reported after it."""

    REBOOT = "reboot"
    POWER_OFF = "power_off"


class Partition(Frozen):
    """A partition to be added to the image's table."""

    label: str
    offset_bytes: int
    size_bytes: int


class WriteImage(Frozen):
    """Stream the image to the disk, all but the first `hold_back_bytes`, which go to `head_path`."""

    kind: Literal["write_image"] = "write_image"
    disk: DiskIdentity
    image: ImageRef
    limit_bytes: int = Field(description="the image may not reach past this offset of the disk")
    hold_back_bytes: int
    head_path: str
    resumed: bool = Field(default=False, description="this request has written to this disk before")
    verify: bool = Field(default=False, description="read the medium back when all is written")
    trusted_keys: tuple[str, ...] = Field(
        default=(), description="raw Ed25519 public keys in base64; where there are any, one must have signed the image"
    )
    add: tuple[Partition, ...] = Field(
        default=(),
        description="what will be added to the image's table: that it can be is checked before the first write",
    )


class PlaceConfigDrive(Frozen):
    """Write a vfat filesystem with these files at this place of the disk."""

    kind: Literal["place_config_drive"] = "place_config_drive"
    disk: DiskIdentity
    offset_bytes: int
    size_bytes: int
    label: str
    drive: ConfigDrive


class SealDisk(Frozen):
    """Fit the partition table to the disk, flush, write the held-back head LAST, and see the kernel re-read it."""

    kind: Literal["seal_disk"] = "seal_disk"
    disk: DiskIdentity
    head_path: str
    add: tuple[Partition, ...] = ()


class EraseDisk(Frozen):
    """Zero the whole disk, then read the samples back; any nonzero byte is a failure."""

    kind: Literal["erase_disk"] = "erase_disk"
    disk: DiskIdentity
    sample_offsets: tuple[int, ...]
    sample_bytes: int


class CaptureDisk(Frozen):
    """Read the disk into a chunked image at `to`: allocated blocks only, up to the end of the last partition. With
    items to `forget`, a copy of it in memory forgets them first.
    """

    kind: Literal["capture_disk"] = "capture_disk"
    disk: DiskIdentity
    to: str
    access: Access = OPEN
    forget: tuple[str, ...] = ()
    keep_drive: bool = Field(default=False, description="the config drive becomes part of the image")
    force: bool = False
    os: str | None = None
    level: int | None = None


Step = Annotated[
    WriteImage | PlaceConfigDrive | SealDisk | EraseDisk | CaptureDisk,
    Field(discriminator="kind"),
]
STEP: TypeAdapter[Step] = TypeAdapter(Step)


class DiskMustBe(Frozen):
    """The disk at this path is still this one, writable, and neither mounted nor held."""

    kind: Literal["disk_must_be"] = "disk_must_be"
    disk: DiskIdentity


class DiskMustBeIdle(Frozen):
    """The disk at this path is still this one, and neither mounted nor held. It is only read."""

    kind: Literal["disk_must_be_idle"] = "disk_must_be_idle"
    disk: DiskIdentity


Precondition = Annotated[DiskMustBe | DiskMustBeIdle, Field(discriminator="kind")]


class Plan(Frozen):
    """Preconditions, then steps in order, then at most one thing that ends this boot."""

    preconditions: tuple[Precondition, ...] = ()
    steps: tuple[Step, ...] = ()
    epilogue: Epilogue | None = None
