# SPDX-License-Identifier: Apache-2.0
"""Where a partition image goes: between two places of a disk that gets a table of our own.

What the image is can be told from its first MiB: anything but a root filesystem that has room there is refused before
the disk is touched. Where a partition is to be preserved, a table that has it is on the disk at every moment: the copy
at the end is written before the head is zeroed. No firmware or kernel looks at the copy of a disk whose head is blank.
(`agent.apply.lender` does both.)
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from agent.apply.lender import Lender, must_begin_so
from agent.apply.meter import Meter
from agent.apply.place import DiskPlace
from agent.apply.region import Region
from agent.apply.resume import Bookmark, key_of
from agent.apply.target import Target
from agent.host.doors import BlockDevice, Clock
from agent.model.image import ImageRef
from agent.model.plan import NewTable, WriteImage


class PartitionPlace(DiskPlace):
    """The root partition of a step."""

    def __init__(self, lender: Lender, clock: Clock, step: WriteImage, image: ImageRef, table: NewTable) -> None:
        """`image` has a digest of its own by now."""
        super().__init__(lender, clock, step, image)
        self._table = table
        self.least_bytes = 0
        self.limit_bytes = table.root.size_bytes

    def open(self, head: bytes, stack: ExitStack, meter: Meter) -> Target:
        """With nobody else on the disk, which cannot boot. Raises `ImageRefused`, `PreconditionError`."""
        device = stack.enter_context(self._lender.begin(head))
        target = Target(region_of(device, self._table), bytearray(), self.limit_bytes, meter, self.doing)
        target.put_sparse(0, memoryview(head))
        return target

    @contextmanager
    def open_read(self) -> Iterator[BlockDevice]:
        """The partition, by another door."""
        with super().open_read() as device:
            yield region_of(device, self._table)

    def bookmark(self, target: Target, done_bytes: int, total_bytes: int) -> Bookmark:
        """In the disk's last MiB, where no partition lies."""
        region = target.disk
        assert isinstance(region, Region)
        key = key_of(self._image, self._step.disk, self._step.hold_back_bytes, self._table.root.offset_bytes)
        return Bookmark(region.whole, key, done_bytes, total_bytes, self._clock)

    def confirm(self, target: Target, head: bytes) -> None:
        """The partition's first bytes are on the medium. Raises `NotAsObserved`."""
        must_begin_so(target.disk, head, self.doing)


def region_of(device: BlockDevice, table: NewTable) -> Region:
    """The root partition."""
    return Region(device, table.root.offset_bytes, table.root.size_bytes)
