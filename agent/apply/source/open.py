# SPDX-License-Identifier: Apache-2.0
"""Opening an image's source, whatever its URL is, and finding its digest first where it is named by another file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event

from agent.apply.meter import Meter
from agent.apply.source import Source
from agent.apply.source.checksums import LARGEST_BYTES, digest_of
from agent.apply.source.document import read_small
from agent.apply.source.file import STDIN, FileSource, path_of
from agent.apply.source.http import HttpSource
from agent.apply.source.mirrors import Mirror, access_of
from agent.apply.source.oci import SCHEME, located
from agent.errors import InputError
from agent.host.doors import Host
from agent.model.image import ImageFormat, ImageRef
from agent.model.url import named, origin


@contextmanager
def open_source(host: Host, image: ImageRef, stop: Event, meter: Meter) -> Iterator[Source]:
    """A plain URL is not asked before it is read. For a checksum file, and a registry, servers are asked here: that may
    take as long as their patience lasts, unless `stop` is set.

    Raises `InputError`, `ImageError`, `HostError`; `LinkError` when patience is over; `Stopped`.
    """
    must_be_urls(image)
    with opened(host, with_digest(host, image, stop, meter), stop, meter) as source:
        yield source


def must_be_urls(image: ImageRef) -> None:
    """A mirror that is none is left to be found out when it is asked."""
    for url in (image.url, image.checksums or image.url):
        try:
            origin(url)
        except ValueError as error:
            raise InputError("opening the image", f"{named(url)} cannot be read") from error


@contextmanager
def opened(host: Host, image: ImageRef, stop: Event, meter: Meter) -> Iterator[Source]:
    """By the URL's scheme."""
    if image.is_local:
        path = STDIN if image.url == STDIN else path_of(image.url)
        with host.files.open_large(path) as file:
            yield FileSource(file, image, stop, meter)
    elif image.url.startswith(SCHEME):
        known, mirrors = located(host, image, stop, meter)
        yield HttpSource(host, known, mirrors, stop, meter)
    else:
        mirrors = [Mirror(url, access_of(image, url)) for url in (image.url, *image.mirrors)]
        yield HttpSource(host, image, mirrors, stop, meter)


def with_digest(host: Host, image: ImageRef, stop: Event, meter: Meter) -> ImageRef:
    """The image with the digest that its checksum file has for it, in place of that file."""
    if image.checksums is None or image.url.startswith(SCHEME):
        return image
    doing = f"looking for {named(image.url)} in {named(image.checksums)}"
    if image.format is ImageFormat.CHUNKED:
        hint = "Give the sha256 of its manifest, which `bms-agent image inspect` tells."
        raise InputError(doing, "a checksum file has the file's digest, a chunked image is known by its own", hint=hint)
    if image.url == STDIN:
        raise InputError(doing, "the standard input has no name there", hint="Give the digest itself.")
    content = read_checksums(host, image, image.checksums, stop, meter)
    algorithm, digest = digest_of(image.url, content.decode("utf-8", errors="replace"), doing)
    return image.model_copy(update={"checksums": None, algorithm: digest})


def read_checksums(host: Host, image: ImageRef, url: str, stop: Event, meter: Meter) -> bytes:
    """The file. Credentials go there only if it is on the image's own server."""
    access = image.access
    if image.is_local or origin(url) != origin(image.url):
        access = access.model_copy(update={"bearer": None, "username": None, "password": None})
    plain = ImageRef(url=url, format=ImageFormat.RAW, checksums=url, access=access)
    with opened(host, plain, stop, meter) as source:
        return read_small(source, LARGEST_BYTES)
