# SPDX-License-Identifier: Apache-2.0
"""What an image is, by a look at its two ends: a few hundred KB by ranges, whatever its size. Writes nothing.

The content has the first word. Where it says nothing (a disk without a partition table looks like anything), the
name's ending has.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from agent.apply.chunked.locate import Found, found, read
from agent.apply.crew import Crew
from agent.apply.meter import meter_of
from agent.apply.source import Source
from agent.apply.source.open import open_source
from agent.errors import AgentError, DecodeError, ImageRefused, InputError
from agent.host.doors import Host
from agent.model.chunked import MANIFEST_START, Manifest, parse
from agent.model.description import Description, describe
from agent.model.disk import MIB
from agent.model.image import ImageFormat, ImageRef
from agent.model.image_kind import FORMATS, HEAD_BYTES, IMPORT, TAIL_BYTES, ImageKind, format_by_name, kind_of, misfit
from agent.model.qcow2 import HEADER_READ_BYTES, parse_header
from agent.model.url import named

STDIN = "-"


@dataclass(frozen=True)
class Looked:
    """What was seen. `format` is what it can be written as; `obstacle` says why it cannot, if it is known to."""

    name: str
    kind: ImageKind | None
    format: ImageFormat | None
    file_bytes: int | None
    disk_bytes: int | None = None
    description: Description | None = None
    obstacle: AgentError | None = None
    manifest: Manifest | None = None
    signature: bytes | None = None
    is_store: bool = False
    file_sha256: str | None = None

    @property
    def sha256(self) -> str | None:
        """What `image write` wants, where it is seen without reading all: a manifest has it, a registry tells it."""
        return self.manifest.digest if self.manifest is not None else self.file_sha256


def look(host: Host, image: ImageRef) -> Looked:
    """Raises as reading the source does; the image's digest is not looked at."""
    with open_source(host, image, Crew().stop, meter_of(host)) as source:
        return looked(source)


def looked(source: Source) -> Looked:
    """By its first bytes and its last."""
    url, doing = source.image.url, f"looking at {source.name}"
    head = bytes(read(source, 0, MIB))
    does_ranges, size = source.does_ranges, source.size_bytes  # in this order: asking shows the size
    tail = bytes(read(source, max(0, size - TAIL_BYTES), TAIL_BYTES)) if size and does_ranges else b""
    kind = kind_of(head[:HEAD_BYTES], url, tail)
    if kind is ImageKind.ZSTD and (chunked := manifest_of(source, head, doing)) is not None:
        manifest = parse(chunked.payload)
        told = manifest.disk_bytes, manifest.description, None, manifest, chunked.signature, chunked.is_store
        return Looked(source.name, kind, ImageFormat.CHUNKED, size, *told)
    forms = FORMATS.get(kind, ()) if kind else ()
    seen = Looked(source.name, kind, forms[0] if forms else None, size, file_sha256=source.image.sha256)
    if kind is not None and not forms:
        return replace(seen, obstacle=ImageRefused(doing, f"it is {kind}", hint=IMPORT))
    if kind is ImageKind.QCOW2 and size is not None:
        disk_bytes, obstacle = qcow2_size(head, size)
        return replace(seen, disk_bytes=disk_bytes, obstacle=obstacle)
    if kind is ImageKind.DISK and size is not None:
        return replace(seen, disk_bytes=size, description=describe(head, size))
    return seen


def manifest_of(source: Source, head: bytes, doing: str) -> Found | None:
    """Of a chunked image; None for any other zstd file. Raises `DecodeError` for a store's file that is damaged."""
    is_store = head.startswith(MANIFEST_START)
    try:
        return found(source, doing) if source.does_ranges or is_store else None
    except DecodeError:
        if is_store:
            raise
        return None


def qcow2_size(head: bytes, file_bytes: int) -> tuple[int | None, AgentError | None]:
    """(the disk's size, why it cannot be written)."""
    try:
        return parse_header(head[:HEADER_READ_BYTES], file_bytes).size_bytes, None
    except (ImageRefused, DecodeError) as error:
        return None, error


def format_of(seen: Looked | None, image: ImageRef, said: ImageFormat | None) -> ImageFormat:
    """What the image is to be read as: as was said, if it may be that; by its content; by its name, where the content
    says nothing. `seen` is None for a stream. Raises `ImageRefused`, `InputError`.
    """
    doing = f"looking at {named(image.url)}"
    if seen is not None and said is not None and (wrong := misfit(seen.kind, said)) is not None:
        raise ImageRefused(doing, wrong[0], hint=wrong[1])
    if seen is not None and seen.obstacle is not None:
        raise seen.obstacle
    if said is not None:
        return said
    if seen is not None and seen.format is not None:
        return seen.format
    by_name = None if seen is None else format_by_name(image.url)
    if by_name is not ImageFormat.RAW:
        named_so = f"its name says {by_name}, and " if by_name else ""
        told = f"{named_so}its first bytes do not say what it is" if seen else "a stream does not say what it is"
        raise InputError(doing, told, hint=f"--format: {', '.join(ImageFormat)}")
    return ImageFormat.RAW
