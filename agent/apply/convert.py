# SPDX-License-Identifier: Apache-2.0
"""Packing a disk or any image into a chunked image, and unpacking any image into a raw file; by hand.

What is no raw disk yet becomes one first: a sparse file beside the result, gone when all is done. Whatever ends early
(an error, a key that interrupts) leaves nothing behind, and what was there before is as it was.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol
from urllib.parse import quote

from agent.apply.chunked.put import Destination, WholeDevice, pack_disk
from agent.apply.chunked.unpack import unpack_chunked
from agent.apply.inspect import STDIN, Looked, format_of, look
from agent.apply.source.file import path_of
from agent.apply.stream import unpack_stream
from agent.apply.verify import is_named, verify_file
from agent.errors import DigestMismatch, InputError
from agent.host.doors import Host
from agent.model.disk import MIB
from agent.model.image import ImageFormat, ImageRef
from agent.model.job import Advance, Result
from agent.model.url import named

PIECE_BYTES = MIB


class Show(Protocol):
    """Told how far what is done by now."""

    def __call__(self, doing: str, done_bytes: int, total_bytes: int | None, limited_by: str | None = None, /) -> None:
        """What it is; as `Advance` else."""
        ...


@dataclass(frozen=True)
class Given:
    """An image that was named by hand. It may be without a digest, and its format is known only if it was `said`."""

    host: Host
    image: ImageRef
    said: ImageFormat | None
    trusted_keys: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """For messages."""
        return "the standard input" if self.image.url == STDIN else named(self.image.url).removeprefix("file://")

    @property
    def must_be_spooled(self) -> bool:
        """It can be read only once, and nobody knows what it is."""
        return self.image.url == STDIN and not (is_named(self.image) and self.said)

    def settled(self, temporary: str, stack: ExitStack, show: Show) -> Settled:
        """Until the stack is unwound."""
        image = self.image
        if self.must_be_spooled:
            stack.callback(self.host.files.remove, temporary)
            image = spooled(self.host, image, temporary, partial(show, "reading"))
        return settled(self.host, image, self.said)


@dataclass(frozen=True)
class Settled:
    """An image whose format is known."""

    image: ImageRef
    seen: Looked | None

    @property
    def is_raw_here(self) -> bool:
        """A raw disk in a file of this machine."""
        return self.image.format is ImageFormat.RAW and self.image.is_local and self.image.url != STDIN

    @property
    def needs_digest(self) -> bool:
        """Nothing says which image this is; a file of this machine is what it is."""
        return not is_named(self.image) and self.own_digest is None

    @property
    def own_digest(self) -> str | None:
        """What a chunked image of this machine says of itself."""
        if self.image.format is not ImageFormat.CHUNKED or not self.image.is_local:
            return None
        return self.seen.manifest.digest if self.seen is not None and self.seen.manifest is not None else None

    def authentic(self, host: Host, show: Show) -> ImageRef:
        """As an engine takes it: with a digest. Raises `InputError` where that would be to believe a server."""
        self.must_not_be_believed()
        if not self.needs_digest:
            return self.image if is_named(self.image) else self.image.model_copy(update={"sha256": self.own_digest})
        digest = verify_file(host, self.image, partial(show, "reading"))["sha256"]
        return self.image.model_copy(update={"sha256": digest})

    def must_not_be_believed(self) -> None:
        """A server that says itself what its image should be."""
        if self.needs_digest and not self.image.is_local:
            told = "nothing says which image this is to be"
            hint = "Give --sha256, --sha512 or --checksums."
            raise InputError(f"reading {named(self.image.url)}", told, hint=hint)


def settled(host: Host, image: ImageRef, said: ImageFormat | None) -> Settled:
    """A look is taken, but at a stream. Raises as `format_of`."""
    seen = None if image.url == STDIN else look(host, image)
    return Settled(image.model_copy(update={"format": format_of(seen, image, said)}), seen)


@dataclass(frozen=True)
class Unpack:
    """Into a sparse file of exactly the disk's size."""

    given: Given
    to: str

    def plan(self) -> list[str]:
        """In words. A look is taken; nothing is written. Raises as `run` does for what is seen at once."""
        return [*planned(self.given, self.to), f"unpack {self.given.name} into {self.to}"]

    def run(self, show: Show) -> Result:
        """Raises `ImageError`, `HostError`, `LinkError`, `InputError`."""
        with ExitStack() as stack:
            image = self.given.settled(temporary(self.to, "in"), stack, show).authentic(self.given.host, show)
            return {"image": self.to, **unpacked(self.given, image, self.to, show)}


@dataclass(frozen=True)
class Pack:
    """`is_device`: it is read as a disk that nobody can mount meanwhile."""

    given: Given
    to: Destination
    is_device: bool = False

    def plan(self) -> list[str]:
        """In words."""
        given, options = self.given, self.to.options
        doings = [] if self.is_device else planned(given, self.to.path, raw_is_fine=True)
        if not (self.is_device or given.must_be_spooled or settled(given.host, given.image, given.said).is_raw_here):
            doings.append(f"unpack {given.name} into a temporary file in {folder_of(self.to.path)}")
        told = f"in chunks of {options.chunk_bytes} bytes, zstd level {options.level}, {options.threads} threads"
        doings.append(f"pack {given.name} {told}, into {self.to.path}")
        if self.to.public_key:
            doings.append(f"sign it; the public key is {self.to.public_key}")
        return doings

    def run(self, show: Show) -> Result:
        """Raises `ImageError`, `HostError`, `LinkError`, `InputError`; `DiskInUse` for a mounted disk."""
        host, packing = self.given.host, partial(show, "packing")
        if self.is_device:
            with host.block.open_read(path_of(self.given.image.url), exclusive=True) as device:
                return pack_disk(host, WholeDevice(device), self.to, packing)
        with ExitStack() as stack:
            known = self.given.settled(temporary(self.to.path, "in"), stack, show)
            path = self._raw(known, stack, show)
            file = stack.enter_context(host.files.open_large(path))
            found = known.seen.description if known.seen is not None and not known.is_raw_here else None
            return pack_disk(host, file, replace(self.to, found=found), packing)

    def _raw(self, known: Settled, stack: ExitStack, show: Show) -> str:
        """The raw disk, where it is, or unpacked."""
        host = self.given.host
        if known.is_raw_here:
            if is_named(known.image):
                verify_file(host, known.image, partial(show, "reading"))
            return path_of(known.image.url)
        path = temporary(self.to.path, "raw")
        image = known.authentic(host, show)
        stack.callback(host.files.remove, path)
        unpacked(self.given, image, path, show)
        return path


def planned(given: Given, to: str, *, raw_is_fine: bool = False) -> list[str]:
    """What comes first. `raw_is_fine`: a raw disk of this machine is taken as it is."""
    if given.must_be_spooled:
        return [f"copy {given.name} to a temporary file in {folder_of(to)}, and see what it is"]
    known = settled(given.host, given.image, given.said)
    known.must_not_be_believed()
    is_read = known.needs_digest and not (raw_is_fine and known.is_raw_here)
    return [f"read {given.name} ({known.image.format}) for its sha256"] if is_read else []


def unpacked(given: Given, image: ImageRef, to: str, show: Show) -> Result:
    """Under a name of its own first, then atomically under that."""
    host, path, unpacking = given.host, temporary(to, "new"), partial(show, "unpacking")
    if image.format is ImageFormat.CHUNKED:
        result = unpack_chunked(host, image, path, given.trusted_keys, unpacking)
    else:
        result = unpack_stream(host, image, path, unpacking)
    try:
        host.files.rename(path, to)
    except BaseException:
        host.files.remove(path)
        raise
    return result


def spooled(host: Host, image: ImageRef, path: str, advance: Advance) -> ImageRef:
    """The standard input, in a file. Raises `DigestMismatch` if it should be another."""
    algorithm, expected = image.digest
    digest, done = hashlib.new(algorithm), 0
    buffer = memoryview(bytearray(PIECE_BYTES))

    def pieces() -> Iterator[memoryview]:
        nonlocal done
        with host.files.open_large(STDIN) as stream:
            while got := stream.read_into(done, buffer):
                digest.update(buffer[:got])
                yield buffer[:got]
                done += got
                advance(done, None)

    host.files.save(path, pieces())
    if expected not in (None, digest.hexdigest()):
        told = f"{algorithm} is {digest.hexdigest()}, it should be {expected}"
        raise DigestMismatch("reading the standard input", told)
    return image.model_copy(update={"url": f"file://{quote(path)}"})


def temporary(path: str, ending: str) -> str:
    """A name beside that, which no list of files shows."""
    return f"{folder_of(path)}/.{path.rpartition('/')[2]}.{os.getpid()}.{ending}"


def folder_of(path: str) -> str:
    """Where a file is."""
    return path.rpartition("/")[0] or "/"
