# SPDX-License-Identifier: Apache-2.0
"""Finding the manifest of a chunked image at its source, and making sure that it is the one that was meant.

A file has it near its end, where the seek table says; a store's file is the manifest itself. What came damaged is
fetched again, from another mirror where there is one. Nothing is believed before its digest is right.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from agent.apply.chunked.frames import FileFrames, Frames, StoreFrames, fill
from agent.apply.chunked.sign import must_be_signed
from agent.apply.crew import Crew
from agent.apply.meter import Meter
from agent.apply.place import must_have_its_size
from agent.apply.source import Source
from agent.apply.source.mirrors import in_turn
from agent.apply.source.open import open_source
from agent.errors import (
    DecodeError,
    DigestMismatch,
    ImageRefused,
    ImageTruncated,
    SignatureMissing,
)
from agent.host.doors import Host
from agent.model.chunked import (
    FRAME,
    LARGEST_MANIFEST_BYTES,
    MANIFEST_MAGIC,
    MANIFEST_START,
    Manifest,
    parse,
    place_of_manifest,
    unframe,
)
from agent.model.image import ImageRef
from agent.model.image_signature import LARGEST_BYTES

ATTEMPTS = 3
FIRST_BYTES = 64
TAIL_BYTES = 256 * 1024
"""One request brings seek table and manifest of an image with a thousand chunks."""
DAMAGED = (DecodeError, DigestMismatch, ImageTruncated, SignatureMissing)


@dataclass(frozen=True)
class Found:
    """A manifest as it came: neither its digest nor its form is known to be right."""

    payload: bytes
    signature: bytes | None
    is_store: bool


@dataclass(frozen=True)
class Located:
    """The manifest that was meant."""

    manifest: Manifest
    signature: bytes | None
    is_store: bool


def located(source: Source, trusted_keys: Sequence[str], doing: str) -> Located:
    """Raises `DigestMismatch`, `SignatureMissing`, `DecodeError` (it is no chunked image), and as `Source` does."""
    thing = found(source, doing)
    must_be_meant(thing.payload, source.image, doing)
    must_be_signed(thing.payload, thing.signature, trusted_keys, doing)
    return Located(parse(thing.payload), thing.signature, thing.is_store)


def found(source: Source, doing: str) -> Found:
    """The manifest, wherever it is. Raises `DecodeError`, `ImageRefused`."""
    start = read(source, 0, FIRST_BYTES)
    if bytes(start[: len(MANIFEST_START)]) == MANIFEST_START:
        data, is_store = stored(source, start, doing), True
    else:
        data, is_store = at_the_end(source, doing), False
    payload, signature = unframe(data)
    return Found(payload, signature, is_store)


def stored(source: Source, start: memoryview, doing: str) -> memoryview:
    """All of a store's file. No ranges are needed for it, nor for its chunks."""
    magic, length = FRAME.unpack_from(start)
    if magic != MANIFEST_MAGIC or length > LARGEST_MANIFEST_BYTES:
        raise DecodeError(doing, f"a manifest of {length} bytes cannot be")
    return read(source, 0, FRAME.size + length + FRAME.size + LARGEST_BYTES)


def at_the_end(source: Source, doing: str) -> memoryview:
    """The frames of manifest and signature, out of a file."""
    if not source.does_ranges:
        hint = "Serve it by a server that answers HTTP ranges, or as a store (bms-agent image pack --store)."
        raise ImageRefused(doing, "the server gives no ranges", hint=hint)
    size = source.size_bytes
    if size is None:
        raise ImageRefused(doing, "the server does not tell the file's length", hint="Serve it as a plain file.")
    begin = max(0, size - TAIL_BYTES)
    tail = read(source, begin, size - begin)
    if len(tail) < size - begin:
        raise ImageTruncated(doing, f"{len(tail)} of the file's last {size - begin} bytes came")
    place = place_of_manifest(tail, size)
    if place.offset >= begin:
        return tail[place.offset - begin :][: place.length]
    whole = memoryview(bytearray(place.length))
    with source.reader(place.offset, place.length) as reader:
        fill(reader, whole, doing)
    return whole


def read(source: Source, offset: int, length: int) -> memoryview:
    """Up to so many bytes; less where the file ends."""
    view = memoryview(bytearray(length))
    with source.reader(offset, length) as reader:
        return view[: reader.fill(view)]


def must_be_meant(payload: bytes, image: ImageRef, doing: str) -> None:
    """The manifest has the digest that the image was named by."""
    name, meant = image.digest
    digest = hashlib.new(name, payload).hexdigest()
    if digest != meant:
        raise DigestMismatch(doing, f"{name} of the image's manifest is {digest}, it should be {meant}")


def opened(
    host: Host,
    image: ImageRef,
    trusted_keys: Sequence[str],
    crew: Crew,
    meter: Meter,
    stack: ExitStack,
    doing: str,
) -> tuple[Located, Frames]:
    """The image's manifest, which is the one that was meant, and its frames; until the stack is unwound.

    Each attempt begins with another server, and with nothing that was learnt from the one before, such as the file's
    length.
    """
    orders = in_turn(image)
    attempts = max(ATTEMPTS, len(orders))
    for attempt in range(attempts):
        try:
            source = stack.enter_context(open_source(host, orders[attempt % len(orders)], crew.stop, meter))
            meant = located(source, trusted_keys, doing)
            break
        except (*DAMAGED, ImageRefused) as error:
            more = attempts if isinstance(error, DAMAGED) else len(orders)
            if attempt + 1 >= more:
                raise
    must_have_its_size(meant.manifest.disk_bytes, image.size_bytes, doing)
    if meant.is_store:
        return meant, StoreFrames(source.image, lambda each: open_source(host, each, crew.stop, meter), doing)
    return meant, FileFrames(source, doing)
