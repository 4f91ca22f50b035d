# SPDX-License-Identifier: Apache-2.0
"""Whether an image is what it should be, and whether a disk holds it. Reads; never writes.

A chunked image is compared with a disk by its manifest's digests, and hardly anything is fetched. Any other is read and
unpacked as for a write, onto a disk whose writes are looks.

The disk's first MiB is not the image's after a deployment: the partition table was fitted to the disk, and a config
drive may have been added. That much is told, and is no difference.
"""

from __future__ import annotations

import hashlib
from contextlib import AbstractContextManager, ExitStack
from threading import Lock

from agent.apply.chunked.hands import Hands
from agent.apply.chunked.locate import opened
from agent.apply.chunked.verify import differences
from agent.apply.chunked.write import first_chunks
from agent.apply.crew import Crew
from agent.apply.meter import Meter, meter_of
from agent.apply.place import NO_LIMIT
from agent.apply.pour import Pour
from agent.apply.source.open import open_source
from agent.apply.target import Target, runs
from agent.errors import AgentError, DigestMismatch, ImageTooLarge, NotAsObserved
from agent.host.doors import BlockDevice, Host
from agent.host.memory import aligned
from agent.model.disk import MIB
from agent.model.image import ImageRef
from agent.model.job import Advance, Result
from agent.model.partition_table import fit, partitions, without
from agent.model.url import named

PIECE_BYTES = MIB
MOST_TOLD = 8
EQUAL, FITTED = "as in the image", "as in the image, its partition table fitted to the disk"


def is_named(image: ImageRef) -> bool:
    """Whether something says which image this is to be."""
    return bool(image.sha256 or image.sha512 or image.checksums or "@sha256:" in image.url)


def verify_file(host: Host, image: ImageRef, advance: Advance) -> Result:
    """The file's length and digest. Raises `DigestMismatch` if it should have another; not every image says."""
    crew, meter, done = Crew(), meter_of(host), 0
    buffer = aligned(PIECE_BYTES)
    with open_source(host, image, crew.stop, meter) as source, source.reader() as reader:
        meant = source.image
        algorithm, expected = meant.digest
        digest = hashlib.new(algorithm)
        is_over = False
        while not is_over:
            got = reader.fill(buffer)
            is_over = got < len(buffer)
            digest.update(buffer[:got])
            done += got
            advance(done, source.size_bytes, meter.limit())
    found = digest.hexdigest()
    if expected not in (None, found):
        raise DigestMismatch(f"verifying {named(image.url)}", f"{algorithm} is {found}, it should be {expected}")
    told = "it should have this digest" if expected else "no digest was given to compare with"
    return {"file_bytes": done, algorithm: found, "verdict": told}


def compare_chunked(host: Host, image: ImageRef, path: str, trusted_keys: tuple[str, ...], advance: Advance) -> Result:
    """The disk against the manifest. Raises `NotAsObserved`, which names the places."""
    doing = f"comparing {path} with {named(image.url)}"
    crew, meter = Crew(), meter_of(host)
    with ExitStack() as stack:
        image_there, frames = opened(host, image, trusted_keys, crew, meter, stack, doing)
        manifest = image_there.manifest
        hands = Hands(manifest, frames, crew, meter, host.counters.threads(), doing)
        head = bytearray(min(MIB, manifest.disk_bytes))
        for chunk, raw in hands.workers[0].unpacked(first_chunks(manifest, len(head))):
            place = manifest.place(chunk)
            head[place : place + len(raw)] = raw[: max(0, len(head) - place)]
        disk = stack.enter_context(host.block.open_read(path))
        must_be_large_enough(disk, manifest.disk_bytes, doing)
        told = head_on(disk, bytes(head), doing)
        must_be_equal(differences(manifest, disk, bytes(head), hands, advance), doing)
        return {"image_bytes": manifest.disk_bytes, "sha256": manifest.digest, "disk": path, "head": told}


def compare_stream(host: Host, image: ImageRef, path: str, advance: Advance) -> Result:
    """The disk against what the image unpacks to. Raises as above; `DigestMismatch` if it is another image."""
    doing = f"comparing {path} with {named(image.url)}"
    crew, meter = Crew(), meter_of(host)
    place = ComparedPlace(host, path, doing)
    with ExitStack() as stack, open_source(host, image, crew.stop, meter) as source:
        done = Pour(host, source, place, stack, crew, meter).run(advance)
        must_be_large_enough(done.opened.target.disk, done.size_bytes, doing)
        must_be_equal(sorted(place.wrong), doing)
        return {"image_bytes": done.size_bytes, **done.digest, "disk": path, "head": place.told}


class ComparedPlace:
    """`Place` of a disk that is only looked at."""

    head_bytes = MIB
    least_bytes = 0
    limit_bytes = NO_LIMIT
    sector_bytes = 1

    def __init__(self, host: Host, path: str, doing: str) -> None:
        self._host = host
        self._path = path
        self.doing = doing
        self.told = ""
        self.wrong: list[int] = []

    def open(self, head: bytes, stack: ExitStack, meter: Meter) -> Target:
        """The head is compared at once."""
        disk = stack.enter_context(self.open_read())
        must_be_large_enough(disk, len(head), self.doing)
        self.told = head_on(disk, head, self.doing)
        return Target(ComparedDisk(disk, self.wrong), bytearray(head), disk.size_bytes, meter, self.doing)

    def open_read(self) -> AbstractContextManager[BlockDevice]:
        """The disk."""
        return self._host.block.open_read(self._path)

    def bookmark(self, target: Target, done_bytes: int, total_bytes: int) -> None:
        """There is nothing to be gone on with."""


class ComparedDisk:
    """`BlockDevice` that takes no byte: what should be written is compared with what is there."""

    def __init__(self, disk: BlockDevice, wrong: list[int]) -> None:
        self._disk = disk
        self._wrong = wrong
        self._lock = Lock()
        self.size_bytes = disk.size_bytes
        self.logical_sector_bytes = disk.logical_sector_bytes

    def read(self, offset_bytes: int, length_bytes: int) -> bytes:
        """As it is."""
        return self._disk.read(offset_bytes, length_bytes)

    def read_into(self, offset_bytes: int, view: memoryview) -> None:
        """As it is."""
        self._disk.read_into(offset_bytes, view)

    def write(self, offset_bytes: int, data: bytes | bytearray | memoryview) -> None:
        """Compared."""
        there = aligned(len(data))
        self._disk.read_into(offset_bytes, there)
        if there != data:
            self._note(offset_bytes)

    def zero(self, offset_bytes: int, length_bytes: int) -> None:
        """Compared, too."""
        end = offset_bytes + length_bytes
        there = aligned(PIECE_BYTES)
        for at in range(offset_bytes, end, PIECE_BYTES):
            view = there[: min(PIECE_BYTES, end - at)]
            self._disk.read_into(at, view)
            for start, _, is_zero in runs(view):
                if not is_zero:
                    self._note(at + start)

    def flush(self) -> None:
        """Nothing was written."""

    def reread_table(self) -> None:
        """Nothing was written."""

    def _note(self, offset: int) -> None:
        with self._lock:
            self._wrong.append(offset)


def head_on(disk: BlockDevice, head: bytes, doing: str) -> str:
    """How the disk's first bytes are like the image's. Raises `NotAsObserved`."""
    there = disk.read(0, len(head))
    if there == head:
        return EQUAL
    sector = disk.logical_sector_bytes
    own = {number for number, *_ in partitions(head, sector)}
    added = frozenset(number for number, *_ in partitions(there, sector) if number not in own)
    try:
        fitted = fit(head, disk.size_bytes, sector, ()).head
        if there == fitted or (added and without(there, sector, added) == fitted):
            return FITTED
    except AgentError:  # a table that does not fit this disk was not put there
        pass
    at = next(at for at in range(len(head)) if there[at] != head[at])
    raise NotAsObserved(doing, f"the first {len(head)} bytes differ from the image, from byte {at} on")


def must_be_large_enough(disk: BlockDevice, size_bytes: int, doing: str) -> None:
    """The image has room."""
    if size_bytes > disk.size_bytes:
        raise ImageTooLarge(doing, f"the image has {size_bytes} bytes, the disk has {disk.size_bytes}")


def must_be_equal(wrong: list[int], doing: str) -> None:
    """Nothing differs."""
    if wrong:
        told = ", ".join(str(offset) for offset in wrong[:MOST_TOLD]) + (" …" if len(wrong) > MOST_TOLD else "")
        hint = "A server that ran since changed its disk. If none did, write the image again."
        raise NotAsObserved(doing, f"they differ in {len(wrong)} places, at byte {told}", hint=hint)
