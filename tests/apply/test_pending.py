# SPDX-License-Identifier: Apache-2.0
"""Disks with sectors that cannot be read until they are written: nothing that is only looked at ends a deployment."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

import pytest

from agent.errors import DeviceError
from agent.host.fake import FakeDisk, Machine
from agent.model.image import ImageFormat
from tests.apply import chunks
from tests.apply.disks import MIB, disk_of, gpt_image, machine, serve
from tests.apply.writing import must_be_unverified, must_hold, write

DISK = 16 * MIB
PLAIN = gpt_image(8 * MIB)
IMAGE = PLAIN[: 2 * MIB] + random.Random(1).randbytes(2 * MIB) + PLAIN[4 * MIB :]
DATA, HOLE, RECORD = 3 * MIB + 512, 5 * MIB, DISK - MIB


@dataclass
class PendingDisk(FakeDisk):
    """`pending` are bytes whose sectors cannot be read; writing them heals them, unless the disk is `broken`."""

    pending: set[int] = field(default_factory=set)
    broken: bool = False

    def read(self, offset: int, length: int) -> bytes:
        """Or an error."""
        if any(offset <= at < offset + length for at in self.pending):
            raise DeviceError(f"reading at byte {offset}", "Input/output error")
        return super().read(offset, length)

    def write(self, offset: int, data: bytes) -> None:
        """Heals."""
        self._heal(offset, len(data))
        super().write(offset, data)

    def zero(self, offset: int, length: int) -> None:
        """Heals."""
        self._heal(offset, length)
        super().zero(offset, length)

    def _heal(self, offset: int, length: int) -> None:
        if not self.broken:
            self.pending -= {at for at in self.pending if offset <= at < offset + length}


def with_pending(made: Machine, *places: int, broken: bool = False) -> PendingDisk:
    """The same machine; its disk has them now."""
    disk = PendingDisk(**vars(disk_of(made)), pending=set(places), broken=broken)
    made.disks["/dev/sda"] = disk
    return disk


@pytest.mark.parametrize("places", [(DATA,), (RECORD,), (DATA, HOLE, RECORD + 4096)])
@pytest.mark.parametrize("image_format", [ImageFormat.RAW, ImageFormat.QCOW2])
def test_going_on_with_a_stream(image_format: ImageFormat, places: tuple[int, ...]) -> None:
    """What was to be gone on with cannot be read: all is fetched and written."""
    made = machine(DISK)
    image = serve(made, IMAGE, image_format)
    write(made, image)
    disk = with_pending(made, *places)
    result = write(made, image, resumed=True, verify=True)

    must_hold(made, IMAGE)
    assert not disk.pending and result["reused_bytes"] == 0


@pytest.mark.parametrize(("place", "resumed"), [(DATA, False), (DATA, True), (HOLE, False), (RECORD, True)])
def test_going_on_with_chunks(place: int, resumed: bool) -> None:
    """What cannot be read differs, and is fetched or zeroed; the rest is left as it is."""
    made = machine(DISK)
    image = chunks.serve(made, IMAGE)
    write(made, image)
    disk = with_pending(made, place)
    result = write(made, image, resumed=resumed, verify=True)

    must_hold(made, IMAGE)
    reused = result["reused_bytes"]
    assert not disk.pending and isinstance(reused, int) and reused > MIB


@pytest.mark.parametrize("image_format", [ImageFormat.RAW, ImageFormat.CHUNKED])
def test_disk_that_is_broken(image_format: ImageFormat) -> None:
    """What cannot be read after it was written is an error when it is read back, and nothing boots."""
    made = machine(DISK)
    image = serve(made, IMAGE, image_format)
    with_pending(made, DATA, broken=True)
    with pytest.raises(DeviceError, match="Input/output"):
        write(made, image, verify=True)
    must_be_unverified(made)
