# SPDX-License-Identifier: Apache-2.0
"""Where an image goes: a disk, whose head is held back until all is verified, or a new file.

A place is opened when the image's first bytes are known and can be taken; before that, nothing is touched.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, ExitStack
from typing import Protocol

from agent.apply.decode.unpack import longest_file
from agent.apply.lender import Lender, doing_of
from agent.apply.meter import Meter
from agent.apply.resume import Bookmark, key_of
from agent.apply.target import Target
from agent.errors import ImageOverrun, ImageRefused, ImageTooLarge, ImageTruncated
from agent.host.doors import BlockDevice, Clock, Host
from agent.model.disk import MIB
from agent.model.image import ImageFormat, ImageRef
from agent.model.image_kind import TAIL_BYTES, ImageKind, is_vhd_footer, kind_of, misfit
from agent.model.plan import WriteImage

NO_LIMIT = 1 << 62


class Place(Protocol):
    """`head_bytes` are wanted to open it, and at least `least_bytes`; it is written in units of `sector_bytes`; `doing`
    is what is being done, for messages.
    """

    head_bytes: int
    least_bytes: int
    limit_bytes: int
    sector_bytes: int
    doing: str

    def open(self, head: bytes, stack: ExitStack, meter: Meter) -> Target:
        """Ready to be written, until the stack is unwound. Raises where the image cannot be taken, untouched."""
        ...

    def open_read(self) -> AbstractContextManager[BlockDevice]:
        """To read what is there."""
        ...

    def bookmark(self, target: Target, done_bytes: int, total_bytes: int) -> Bookmark | None:
        """None where nothing is to be gone on with."""
        ...


class DiskPlace:
    """The disk of a step."""

    def __init__(self, lender: Lender, clock: Clock, step: WriteImage, image: ImageRef) -> None:
        """`image` has a digest of its own by now."""
        self._lender = lender
        self._clock = clock
        self._step = step
        self._image = image
        self.head_bytes = self.least_bytes = step.hold_back_bytes
        self.limit_bytes = step.limit_bytes
        self.sector_bytes = step.disk.logical_sector_bytes
        self.doing = doing_of(step)

    def open(self, head: bytes, stack: ExitStack, meter: Meter) -> Target:
        """With nobody else in it, and unable to boot. Raises `PreconditionError`, `DecodeError`, `ImageRefused`."""
        device = stack.enter_context(self._lender.begin(head))
        return Target(device, bytearray(head), self.limit_bytes, meter, self.doing)

    def open_read(self) -> AbstractContextManager[BlockDevice]:
        """The same disk, by another door."""
        return self._lender.open_read()

    def bookmark(self, target: Target, done_bytes: int, total_bytes: int) -> Bookmark:
        """In the disk's last MiB."""
        key = key_of(self._image, self._step.disk, self._step.hold_back_bytes)
        return Bookmark(target.disk, key, done_bytes, total_bytes, self._clock)

    def confirm(self, target: Target, head: bytes) -> None:
        """What is held back is not there to be looked at."""


class FilePlace:
    """A new sparse file."""

    def __init__(self, host: Host, path: str, doing: str) -> None:
        self._host = host
        self._path = path
        self.head_bytes = MIB
        self.least_bytes = 0
        self.limit_bytes = NO_LIMIT
        self.sector_bytes = 1
        self.doing = doing

    def open(self, head: bytes, stack: ExitStack, meter: Meter) -> Target:
        """Left by an error, it is removed."""
        file = stack.enter_context(self._host.block.open_file(self._path))
        target = Target(file, bytearray(), NO_LIMIT, meter, self.doing)
        target.put_sparse(0, memoryview(head))
        return target

    def open_read(self) -> AbstractContextManager[BlockDevice]:
        """The file is new: there is nothing to be read."""
        return self._host.block.open_read(self._path)

    def bookmark(self, target: Target, done_bytes: int, total_bytes: int) -> None:
        """Left by an error, the file is gone."""


def must_be_said_so(opening: bytes, image: ImageRef, doing: str) -> None:
    """Raises `ImageRefused` for a file whose first bytes are known for another kind than was said."""
    wrong = misfit(kind_of(opening, image.url), image.format)
    if wrong is not None:
        raise ImageRefused(doing, wrong[0], hint=wrong[1])


def must_be_a_disk(head: bytes, least_bytes: int, doing: str) -> None:
    """Raises for what unpacks to no disk: too little, or an image of another kind in the packing."""
    if len(head) < least_bytes:
        raise ImageTruncated(doing, f"it unpacks to {len(head)} bytes, which is no disk")
    wrong = misfit(kind_of(head), ImageFormat.RAW)
    if wrong is not None:
        raise ImageRefused(doing, f"what it unpacks to is no disk: {wrong[0]}", hint=wrong[1])


def must_be_whole_sectors(grain_bytes: int, sector_bytes: int, doing: str) -> None:
    """Raises `ImageRefused` for what comes in pieces that no sector can be written from."""
    if grain_bytes % sector_bytes:
        told = f"its clusters of {grain_bytes} bytes are smaller than the disk's sectors of {sector_bytes}"
        raise ImageRefused(doing, told, hint="Convert it with larger clusters: qemu-img convert -o cluster_size=64k")


def must_fit(size_bytes: int | None, limit_bytes: int, doing: str) -> None:
    """Raises `ImageTooLarge` for an image that says by itself that it is longer than its place."""
    if size_bytes is not None and size_bytes > limit_bytes:
        raise ImageTooLarge(doing, f"it has {size_bytes} bytes, there is room for {limit_bytes}")


def must_not_be_longer(file_bytes: int | None, limit_bytes: int, doing: str) -> None:
    """Raises `ImageTooLarge` for a file that is longer than any of a disk of that size, packed or not."""
    most = longest_file(limit_bytes)
    if file_bytes is not None and file_bytes > most:
        raise ImageTooLarge(doing, f"its file has more than {most} bytes, and what it holds has room in {limit_bytes}")


def must_not_end_as_vhd(disk: BlockDevice, size_bytes: int, doing: str) -> None:
    """Raises `ImageRefused` for a fixed VHD: it is a raw disk in all but its last bytes, and so is known no earlier."""
    if size_bytes > TAIL_BYTES and is_vhd_footer(disk.read(size_bytes - TAIL_BYTES, TAIL_BYTES)):
        told, hint = misfit(ImageKind.VHD, ImageFormat.RAW) or ("", "")
        raise ImageRefused(doing, told, hint=hint)


def must_have_its_size(size_bytes: int, said: int | None, doing: str) -> None:
    """The image unpacks to what was said."""
    if said is not None and size_bytes != said:
        short = size_bytes < said
        raise (ImageTruncated if short else ImageOverrun)(doing, f"it unpacks to {size_bytes} bytes, not to {said}")
