# SPDX-License-Identifier: Apache-2.0
"""Where a packed image goes on this machine: one file, or the files of a store. Its name is there when all of it is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from agent.apply.chunked.compress import Readable
from agent.apply.chunked.pack import Options, Packing, first_bytes
from agent.apply.chunked.sign import signing_key
from agent.host.doors import BlockDevice, Host
from agent.model.description import Description, describe
from agent.model.ed25519 import public_key
from agent.model.job import Advance, Result

MANIFEST_ENDING = ".manifest"


@dataclass(frozen=True)
class Destination:
    """A file; or, with `store`, that folder, where `to` is the image's name. `said` is what an operator says of the
    image: it has the word over `found`, what another image said of the same disk, and that over what the first bytes
    tell.
    """

    to: str
    store: str | None
    options: Options
    said: dict[str, Any]
    found: Description | None = None

    @property
    def path(self) -> str:
        """The file that says it is all there."""
        return self.to if self.store is None else f"{self.store}/{self.to}{MANIFEST_ENDING}"

    @property
    def public_key(self) -> str | None:
        """Who signs it."""
        pem = self.options.signing_pem
        return None if pem is None else public_key(signing_key(pem))


def pack_disk(host: Host, disk: Readable, to: Destination, advance: Advance) -> Result:
    """A raw disk. Raises `ImageRefused`, `HostError`."""
    size = disk.size_bytes
    told = to.found or (describe(first_bytes(disk, size), size) if size else Description())
    packing = Packing(disk, replace(to.options, description=told.model_copy(update=to.said)))
    if to.store is None:
        host.files.save(to.path, advancing(packing, packing.pieces(), advance))
    else:
        put_into_store(host, packing, to, advance)
    return {
        "image": to.path,
        "sha256": packing.digest,
        "image_bytes": packing.disk_bytes,
        "data_bytes": packing.data_bytes,
        "file_bytes": packing.packed_bytes,
        "chunks": packing.chunks,
        "chunk_bytes": packing.chunk_bytes,
        **({"public_key": to.public_key} if to.public_key else {}),
    }


def advancing(packing: Packing, pieces: Iterator[bytes], advance: Advance) -> Iterator[bytes]:
    """The pieces; how far on the disk it is, is told with each."""
    for piece in pieces:
        yield piece
        advance(packing.done_bytes, packing.disk_bytes)


def put_into_store(host: Host, packing: Packing, to: Destination, advance: Advance) -> None:
    """Each chunk under its digest: what is there already, of this image or another, stays as it is. The manifest comes
    last. If it does not come to that, chunks stay behind: somebody else's image may count on them by then.
    """
    for beside, content in packing.store():
        path = to.path if beside is None else f"{to.store}/{beside}"
        is_there = beside is not None and host.files.exists(path) and host.files.read_bytes(path) == content
        if not is_there:
            host.files.write(path, content)
        advance(packing.done_bytes, packing.disk_bytes)


class WholeDevice:
    """`Readable`, of a block device."""

    def __init__(self, device: BlockDevice) -> None:
        self._device = device
        self.size_bytes: int | None = device.size_bytes

    def data_extents(self) -> Iterator[tuple[int, int]]:
        """It does not tell: all."""
        return iter([(0, self._device.size_bytes)])

    def read_into(self, offset_bytes: int, view: memoryview) -> None:
        """From the medium."""
        self._device.read_into(offset_bytes, view)
