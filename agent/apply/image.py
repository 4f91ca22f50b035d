# SPDX-License-Identifier: Apache-2.0
"""Doing `WriteImage`: source → digest → decode → limit → sink. All but the first MiB, which is kept aside.

Order on the disk: first it is made unable to boot (head and tail zeroed, flushed), then the data, then a flush. The
head is handed to `SealDisk` only after digest and length have been verified. Memory is constant.
"""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from itertools import cycle

from agent.apply.decode import Decoder
from agent.apply.digest import verified
from agent.apply.sink import GRAIN_BYTES, Sink
from agent.apply.source import Source
from agent.errors import ImageOverrun, ImageTooLarge, ImageTruncated
from agent.host.doors import BlockDevice, Host
from agent.model.disk import MIB
from agent.model.job import Advance, Result
from agent.model.partition_table import fit
from agent.model.plan import WriteImage

BUFFER_BYTES = 64 * GRAIN_BYTES


def write_image(host: Host, step: WriteImage, advance: Advance) -> Result:
    """Returns the image's size, what of it was written, its digest. Raises `ImageError`, `PreconditionError`, …"""
    doing = f"writing {step.image.url} to {step.disk.path}"
    source = Source(host, step.image, advance)
    decoder = Decoder(verified(source, step.image.sha256, doing), step.image.format, doing)
    head = first_bytes(decoder, step, doing)
    fit(head, step.disk.size_bytes, step.disk.logical_sector_bytes, step.add)
    with host.block.open_exclusive(step.disk.path) as disk:
        make_unbootable(disk, step.hold_back_bytes)
        sink = Sink(disk, step.hold_back_bytes, step.limit_bytes, doing)
        pour(decoder, sink)
        must_have_its_size(decoder.done_bytes, step, doing)
        end = sink.finish()
        clear_what_follows(disk, end, step.limit_bytes)
    host.files.write(step.head_path, head, mode=0o600)
    return {"image_bytes": decoder.done_bytes, "written_bytes": sink.written_bytes, "sha256": step.image.sha256}


def first_bytes(decoder: Decoder, step: WriteImage, doing: str) -> bytes:
    """The head. An image that has no more than this is none."""
    head = bytearray(step.hold_back_bytes)
    got = decoder.fill(memoryview(head))
    if got < step.hold_back_bytes:
        raise ImageTruncated(doing, f"the image unpacks to {got} bytes, which is no disk")
    if step.image.size_bytes is not None and step.image.size_bytes > step.limit_bytes:
        raise ImageTooLarge(doing, f"{step.image.size_bytes} bytes do not fit below byte {step.limit_bytes}")
    return bytes(head)


def make_unbootable(disk: BlockDevice, head_bytes: int) -> None:
    """Both ends: tables, boot code, RAID signatures. Nothing of the old disk may boot beside the new data."""
    disk.zero(0, head_bytes)
    last = (disk.size_bytes - MIB) // disk.logical_sector_bytes * disk.logical_sector_bytes
    disk.zero(last, disk.size_bytes - last)
    disk.flush()


def pour(decoder: Decoder, sink: Sink) -> None:
    """Everything that is left: while one buffer is written, the other is filled."""
    buffers = cycle(memoryview(bytearray(BUFFER_BYTES)) for _ in range(2))
    with ThreadPoolExecutor(1, thread_name_prefix="disk-writer") as writer:
        written: Future[None] | None = None
        for buffer in buffers:
            got = decoder.fill(buffer)
            if written is not None:
                written.result()
            if not got:
                return
            written = writer.submit(sink.put, buffer[:got])


def must_have_its_size(size_bytes: int, step: WriteImage, doing: str) -> None:
    """The image unpacked to what was said."""
    said = step.image.size_bytes
    if said is not None and size_bytes != said:
        short = size_bytes < said
        raise (ImageTruncated if short else ImageOverrun)(doing, f"it unpacks to {size_bytes} bytes, not to {said}")


def clear_what_follows(disk: BlockDevice, end: int, limit: int) -> None:
    """A MiB behind the image, and the last before the limit: a root partition that grows up to there must not end in
    an old superblock. RAID members and ZFS keep theirs within the last MiB of a device.
    """
    start = -(-end // disk.logical_sector_bytes) * disk.logical_sector_bytes
    if start < limit:
        disk.zero(start, min(MIB, limit - start))
        last = max(start, limit - MIB)
        disk.zero(last, limit - last)
        disk.flush()
